/*===- Workspace.c - What the kernels of a variant hand each other --------===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#include "Program.h"

/* Lays the workspace tensors of the call's variant out one behind the other,
   dense, from `base`. */
wyvern_status wyvern_place_workspace(const wyvern_program_desc *desc,
                                     wyvern_call *call, char *base,
                                     size_t *bytes) {
  const wyvern_variant_desc *variant = &desc->variants[call->variant];
  const wyvern_extents extents =
      wyvern_workspace_extents(variant, &call->extents);
  int64_t offset = 0;
  for (uint32_t t = 0; t < variant->num_workspace; ++t) {
    const wyvern_tensor_desc *tensor = &variant->workspace[t];
    int64_t sizes[WYVERN_MAX_RANK];
    int64_t total = wyvern_dtype_size(tensor->dtype);
    int overflow = 0;
    for (uint32_t i = 0; i < tensor->rank; ++i) {
      sizes[i] = wyvern_dim_extent(tensor, i, &extents);
      overflow |= __builtin_mul_overflow(total, sizes[i], &total);
    }
    call->tensors[desc->num_tensors + t] =
        wyvern_tensor_dense(base ? base + offset : NULL, tensor->dtype,
                            call->device, tensor->rank, sizes);
    overflow |=
        __builtin_add_overflow(total, WYVERN_WORKSPACE_ALIGNMENT - 1, &total);
    total -= total % WYVERN_WORKSPACE_ALIGNMENT;
    overflow |= __builtin_add_overflow(offset, total, &offset);
    if (overflow)
      return wyvern_fail(WYVERN_ERROR_INVALID_ARGUMENT,
                         "%s: the size of workspace tensor '%s' overflows 64 "
                         "bits",
                         desc->name, tensor->name);
  }
  *bytes = (size_t)offset;
  return WYVERN_OK;
}

wyvern_status wyvern_program_workspace_size(const wyvern_program *program,
                                            int64_t batch, int64_t tokens,
                                            int64_t packed_sequences,
                                            size_t *bytes) {
  if (!program || !bytes)
    return wyvern_fail(WYVERN_ERROR_INVALID_ARGUMENT,
                       "wyvern_program_workspace_size: null program or bytes");
  wyvern_call call;
  call.device = 0;
  WYVERN_TRY(wyvern_get_extents(program->desc, batch, tokens, packed_sequences,
                                &call.extents));
  call.variant = wyvern_choose(program, &call.extents);
  return wyvern_place_workspace(program->desc, &call, NULL, bytes);
}
