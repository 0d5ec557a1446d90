/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Launches a backward without workspace: refused as soon as all tensors are
   found to have the shapes that the runtime expects. */

#include "linear_attention.h"

#include <stdio.h>

static wyvern_status launch(wyvern_program *program, int64_t batch,
                            int64_t packed, const int64_t *cu_seqlens,
                            const float *state) {
  /* No device reads it. */
  void *any = (void *)0x10000;
  return linear_attention_backward_launch(program, 0, batch, 600, packed, any,
                                          any, any, state, any, NULL, any, any,
                                          any, NULL, cu_seqlens, NULL, 0, NULL);
}

int main(int argc, char **argv) {
  const float *state = (const float *)0x20000;
  const int64_t *cu_seqlens = (const int64_t *)0x30000;
  wyvern_program *program = NULL;
  wyvern_status status;
  if (argc != 2 ||
      linear_attention_backward_load(argv[1], &program) != WYVERN_OK) {
    puts(wyvern_last_error());
    return 1;
  }
  status = launch(program, 3, -1, NULL, state);
  printf("dense: %s\n", wyvern_status_name(status));
  status = launch(program, 1, 5, cu_seqlens, state);
  printf("packed: %s\n", wyvern_status_name(status));
  status = launch(program, 3, -1, NULL, NULL);
  printf("without state: %s: %s\n", wyvern_status_name(status),
         wyvern_last_error());
  wyvern_program_free(program);
  return 0;
}
