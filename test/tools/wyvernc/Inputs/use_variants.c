/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Asks a bundle of several variants which one a launch runs; needs no GPU. */

#include "delta_net.h"

#include <stdio.h>

static const char *choose(const wyvern_program *program, int64_t batch,
                          int64_t tokens) {
  uint32_t variant;
  if (wyvern_program_choose(program, batch, tokens, -1, &variant) != WYVERN_OK)
    return wyvern_last_error();
  return delta_net_program.variants[variant].name;
}

int main(int argc, char **argv) {
  wyvern_program *program = NULL;
  wyvern_status status;
  if (argc != 2 || delta_net_load(argv[1], &program) != WYVERN_OK) {
    puts(wyvern_last_error());
    return 1;
  }
  printf("1 x 32768: %s\n", choose(program, 1, 32768));
  printf("4 x 4096: %s\n", choose(program, 4, 4096));
  wyvern_program_force_variant(program, "separate");
  printf("4 x 4096, forced: %s\n", choose(program, 4, 4096));
  status = wyvern_program_force_variant(program, "fastest");
  printf("%s: %s\n", wyvern_status_name(status), wyvern_last_error());
  wyvern_program_free(program);
  return 0;
}
