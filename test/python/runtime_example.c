/*===- runtime_example.c - A program launched from plain C ----------------===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|*===----------------------------------------------------------------------===*|
|*                                                                            *|
|* What a C program does with the descriptors of a bundle's header; argv[1] is
*|
|* the bundle folder. Run by test_runtime.py against a fake driver.           *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#include "wyvern-rt/wyvern_rt.h"

#include <stdio.h>

#define ROWS                                                                   \
  {                                                                            \
      {WYVERN_DIM_SEQ, 0, 0},                                                  \
      {WYVERN_DIM_TIME, 1, 0},                                                 \
      {WYVERN_DIM_HEAD, 0, 4},                                                 \
      {WYVERN_DIM_WHOLE, 0, 64},                                               \
  }

static const wyvern_tensor_desc tensors[] = {
    {"x", WYVERN_INPUT, WYVERN_BF16, 0, 4, ROWS},
    {"y", WYVERN_OUTPUT, WYVERN_BF16, 0, 4, ROWS},
};
static const wyvern_tensor_desc workspace[] = {
    {"scratch", WYVERN_WORKSPACE, WYVERN_F32, 0, 4, ROWS},
};
static const wyvern_param_desc params[] = {
    {WYVERN_PARAM_TENSOR_MAP, 0, 0, 128, {1, 64, 1, 64}},
    {WYVERN_PARAM_POINTER, 1, 0, 0, {0}},
    {WYVERN_PARAM_STRIDE, 1, 1, 0, {0}},
    {WYVERN_PARAM_POINTER, 2, 0, 0, {0}},
    {WYVERN_PARAM_TOKENS, 0, 0, 0, {0}},
};
static const wyvern_kernel_desc kernels[] = {{"scale",
                                              "scale.cubin",
                                              NULL,
                                              0,
                                              WYVERN_COUNT_SLOTS,
                                              4,
                                              1,
                                              128,
                                              1024,
                                              WYVERN_WAITS_NOT,
                                              WYVERN_PART_ALL,
                                              5,
                                              params,
                                              {0}}};
static const wyvern_variant_desc variants[] = {
    {"separate", 1, workspace, 1, kernels, {0}}};
static const wyvern_program_desc desc = {
    WYVERN_ABI_VERSION, "scale", "sm_90a", 64, 2, tensors, {0}, 1, variants};

static int fail(const char *what, wyvern_status status) {
  fprintf(stderr, "%s: %s: %s\n", what, wyvern_status_name(status),
          wyvern_last_error());
  return 1;
}

int main(int argc, char **argv) {
  wyvern_program *program;
  wyvern_status status =
      wyvern_program_load(&desc, argc > 1 ? argv[1] : NULL, &program);
  if (status != WYVERN_OK)
    return fail("load", status);
  size_t bytes;
  status = wyvern_program_workspace_size(program, 2, 100, -1, &bytes);
  if (status != WYVERN_OK)
    return fail("workspace", status);
  printf("workspace %zu\n", bytes);
  const int64_t sizes[] = {2, 100, 4, 64};
  wyvern_tensor arguments[] = {
      wyvern_tensor_dense((void *)0x10000, WYVERN_BF16, 0, 4, sizes),
      wyvern_tensor_dense((void *)0x20000, WYVERN_BF16, 0, 4, sizes),
  };
  status = wyvern_program_launch(program, arguments, NULL, (void *)0x40000,
                                 bytes, NULL);
  if (status != WYVERN_OK)
    return fail("launch", status);
  arguments[1].device = 1;
  status = wyvern_program_launch(program, arguments, NULL, (void *)0x40000,
                                 bytes, NULL);
  if (status == WYVERN_OK)
    return 2;
  fail("expected", status);
  wyvern_program_free(program);
  return wyvern_abi_version() != WYVERN_ABI_VERSION;
}
