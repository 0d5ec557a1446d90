/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Loads a bundle through its header, as far as that goes without a GPU. */

#include "linear_attention.h"

#include <stdio.h>

int main(int argc, char **argv) {
  wyvern_program *program = NULL;
  size_t bytes = 0;
  wyvern_status status;
  if (argc != 2 || linear_attention_load(argv[1], &program) != WYVERN_OK) {
    puts(wyvern_last_error());
    return 1;
  }
  printf("loaded %s for %s\n", linear_attention_program.name,
         linear_attention_program.target);
  if (wyvern_program_workspace_size(program, 2, 100, -1, &bytes) != WYVERN_OK)
    return 1;
  printf("workspace of 2 x 100 tokens: %zu bytes\n", bytes);
  status = linear_attention_launch(program, 0, 2, 100, -1, NULL, NULL, NULL,
                                   NULL, NULL, NULL, NULL, NULL, 0, NULL);
  printf("launched without q: %s\n", wyvern_status_name(status));
  wyvern_program_free(program);
  return status == WYVERN_OK;
}
