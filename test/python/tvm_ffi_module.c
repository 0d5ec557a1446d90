/*===- tvm_ffi_module.c - A module of tvm-ffi by hand ---------------------===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|*===----------------------------------------------------------------------===*|
|*                                                                            *|
|* What wyvernc --emit=tvm-ffi writes, for a program of one kernel whose      *|
|* image only fake_cuda.c takes. Built and run by test_tvm_ffi.py.            *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#include "wyvern-rt/wyvern_tvm_ffi.h"

#define ROWS                                                                   \
  {                                                                            \
      {WYVERN_DIM_SEQ, 0, 0},                                                  \
      {WYVERN_DIM_TIME, 1, 0},                                                 \
      {WYVERN_DIM_HEAD, 0, 4},                                                 \
      {WYVERN_DIM_WHOLE, 0, 64},                                               \
  }

/* An ELF header without sections, and the line that the fake driver reads. */
_Alignas(16) static const char image[] = "\177ELF\2\1\1\0\0\0\0\0\0\0\0\0"
                                         "\2\0\276\0\1\0\0\0\0\0\0\0\0\0\0\0"
                                         "\100\0\0\0\0\0\0\0\100\0\0\0\0\0\0\0"
                                         "\0\0\0\0\100\0\70\0\0\0\100\0\0\0\0\0"
                                         "scale ppipi\n";

static const wyvern_tensor_desc tensors[] = {
    {"x", WYVERN_INPUT, WYVERN_BF16, 0, 4, ROWS},
    {"weight", WYVERN_INPUT, WYVERN_F32, 1, 4, ROWS},
    {"y", WYVERN_OUTPUT, WYVERN_BF16, 0, 4, ROWS},
};
static const wyvern_tensor_desc workspace[] = {
    {"scratch", WYVERN_WORKSPACE, WYVERN_F32, 0, 4, ROWS},
};
static const wyvern_param_desc params[] = {
    {WYVERN_PARAM_POINTER, 0, 0, 0, {0}}, {WYVERN_PARAM_POINTER, 2, 0, 0, {0}},
    {WYVERN_PARAM_STRIDE, 2, 1, 0, {0}},  {WYVERN_PARAM_POINTER, 3, 0, 0, {0}},
    {WYVERN_PARAM_TOKENS, 0, 0, 0, {0}},
};
static const wyvern_kernel_desc kernels[] = {{"scale",
                                              "scale.cubin",
                                              image,
                                              sizeof(image) - 1,
                                              WYVERN_COUNT_SEQUENCES,
                                              4,
                                              0,
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
    WYVERN_ABI_VERSION, "scale", "sm_90a", 64, 3, tensors, {0}, 1, variants};

static wyvern_tvm_program scale = {&desc, "scale(x, weight, y)", NULL};
WYVERN_TVM_FUNCTIONS(scale, &scale)
WYVERN_TVM_TEXT(scale_manifest, "{}")
