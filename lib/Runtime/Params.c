/*===- Params.c - What the kernels of a call are told ---------------------===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#include "Program.h"

#include <limits.h>

static wyvern_status set_param(wyvern_program *program,
                               const wyvern_driver *driver,
                               const wyvern_call *call,
                               const wyvern_param_desc *param,
                               wyvern_value *value) {
  const wyvern_tensor *tensor = &call->tensors[param->tensor];
  switch (param->kind) {
  case WYVERN_PARAM_TENSOR_MAP:
    return wyvern_encode_map(program, driver, call, param, &value->map);
  case WYVERN_PARAM_POINTER:
    value->pointer = (uintptr_t)tensor->data;
    break;
  case WYVERN_PARAM_STRIDE:
    value->integer = tensor->data ? tensor->strides[param->dim] : 0;
    break;
  case WYVERN_PARAM_CU_SEQLENS:
    value->pointer = call->cu_seqlens ? (uintptr_t)call->cu_seqlens->data : 0;
    break;
  case WYVERN_PARAM_CU_WIDTH:
    value->integer =
        call->cu_seqlens ? wyvern_dtype_size(call->cu_seqlens->dtype) : 0;
    break;
  case WYVERN_PARAM_TOKENS:
    value->integer = call->extents.tokens;
    break;
  case WYVERN_PARAM_SEQUENCES:
    value->integer = call->extents.sequences;
    break;
  case WYVERN_PARAM_SLOT_TOKENS:
    value->integer = call->extents.slot_tokens;
    break;
  case WYVERN_PARAM_PART:
    value->integer = call->extents.part;
    break;
  case WYVERN_PARAM_SEGMENT:
    value->integer = call->extents.segment * call->extents.chunk;
    break;
  }
  return WYVERN_OK;
}

/* Whether a kernel may start before what was launched before it has ended.
   `follows`: that was the kernel listed before it. One that waits in the end
   would else begin before the kernels that it needs have ended. */
int wyvern_overlaps(const wyvern_kernel_desc *kernel, int follows) {
  return kernel->waits == WYVERN_WAITS_FIRST ||
         (kernel->waits == WYVERN_WAITS_LAST && follows);
}

wyvern_status wyvern_fill_kernel(wyvern_program *program,
                                 const wyvern_driver *driver,
                                 const wyvern_call *call, uint32_t k,
                                 wyvern_kernel_call *out) {
  const wyvern_kernel_desc *desc =
      &program->desc->variants[call->variant].kernels[k];
  wyvern_call part;
  if (desc->part != WYVERN_PART_ALL) {
    wyvern_take_part(program->desc, call, desc->part, &part);
    call = &part;
  }
  int64_t count = wyvern_count_grid(desc, &call->extents);
  int64_t blocks;
  if (__builtin_mul_overflow(count, (int64_t)desc->grid_factor, &blocks) ||
      blocks > INT_MAX)
    return wyvern_fail(
        WYVERN_ERROR_INVALID_ARGUMENT,
        "%s: %s needs %u blocks for each of %lld %s, more than a "
        "grid's 2^31 - 1: split the batch",
        program->desc->name, desc->symbol, desc->grid_factor, (long long)count,
        desc->grid_count == WYVERN_COUNT_SEQUENCES ? "sequences"
                                                   : "slots of chunks");
  out->desc = desc;
  out->kernel = program->kernels[call->variant][k].kernel;
  out->blocks = (unsigned)blocks;
  for (uint32_t p = 0; blocks > 0 && p < desc->num_params; ++p) {
    out->params[p] = &out->values[p];
    WYVERN_TRY(
        set_param(program, driver, call, &desc->params[p], &out->values[p]));
  }
  return WYVERN_OK;
}
