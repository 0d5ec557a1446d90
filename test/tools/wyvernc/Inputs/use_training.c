/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Loads both programs of a bundle, as far as that goes without a GPU. */

#include "sums.h"

#include <stdio.h>

int main(int argc, char **argv) {
  wyvern_program *forward = NULL, *backward = NULL;
  wyvern_status status;
  if (argc != 2 || sums_load(argv[1], &forward) != WYVERN_OK ||
      sums_backward_load(argv[1], &backward) != WYVERN_OK) {
    puts(wyvern_last_error());
    return 1;
  }
  printf("loaded %s and %s\n", sums_program.name, sums_backward_program.name);
  status = sums_backward_launch(backward, 0, 2, 100, -1, NULL, NULL, NULL, NULL,
                                NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
                                0, NULL);
  printf("launched without d_o: %s\n", wyvern_status_name(status));
  wyvern_program_free(backward);
  wyvern_program_free(forward);
  return status == WYVERN_OK;
}
