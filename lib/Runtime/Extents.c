/*===- Extents.c - Shapes that follow from B, T and N ---------------------===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#include "Program.h"

int64_t wyvern_dtype_size(wyvern_dtype dtype) {
  switch (dtype) {
  case WYVERN_BF16:
  case WYVERN_F16:
    return 2;
  case WYVERN_F32:
  case WYVERN_I32:
    return 4;
  case WYVERN_F64:
  case WYVERN_I64:
    return 8;
  }
  return 0;
}

/* Slots of `tokens` tokens each, or an overflow. Packed, the host does not know
   the lengths: every sequence may end in a partial slot. */
static int count_slots_of(const wyvern_extents *extents, int64_t tokens,
                          int64_t *slots) {
  int64_t whole = extents->tokens / tokens;
  if (extents->packed)
    return __builtin_add_overflow(whole, extents->sequences, slots);
  return __builtin_mul_overflow(extents->batch,
                                whole + (extents->tokens % tokens != 0), slots);
}

/* Slots of so many chunks each. There are no more than slots of one chunk,
   which wyvern_get_extents has counted; chunk is below 2^31. */
int64_t wyvern_count_slots(const wyvern_extents *extents, int64_t chunks) {
  int64_t slots;
  count_slots_of(extents, extents->chunk * chunks, &slots);
  return slots;
}

/* What a kernel's grid is a multiple of. */
int64_t wyvern_count_grid(const wyvern_kernel_desc *kernel,
                          const wyvern_extents *extents) {
  switch (kernel->grid_count) {
  case WYVERN_COUNT_SLOTS:
    return wyvern_count_slots(extents, kernel->grid_chunks);
  case WYVERN_COUNT_SEGMENTS:
    return wyvern_count_slots(extents, extents->segment);
  case WYVERN_COUNT_SEQUENCES:
    break;
  }
  return extents->sequences;
}

/* Some tensor may say how many tokens there are at most. Packed, all count: how
   long a sequence is lies on the device. */
static wyvern_status check_tokens(const wyvern_program_desc *desc,
                                  int64_t tokens, int packed) {
  for (uint32_t t = 0; t < desc->num_tensors; ++t)
    for (uint32_t i = 0; i < desc->tensors[t].rank; ++i) {
      const wyvern_dim_desc *dim = &desc->tensors[t].dims[i];
      if (dim->kind == WYVERN_DIM_TIME && dim->size > 0 && tokens > dim->size)
        return wyvern_fail(WYVERN_ERROR_INVALID_TENSOR,
                           "%s: expected at most %lld tokens%s, found %lld; "
                           "compile the layer with a larger max_tokens",
                           desc->name, (long long)dim->size,
                           packed ? " in all packed sequences" : "",
                           (long long)tokens);
    }
  return WYVERN_OK;
}

wyvern_status wyvern_get_extents(const wyvern_program_desc *desc, int64_t batch,
                                 int64_t tokens, int64_t packed_sequences,
                                 wyvern_extents *extents) {
  const char *name = desc->name;
  int packed = packed_sequences >= 0;
  if (batch < 0 || tokens < 0 || packed_sequences < -1)
    return wyvern_fail(WYVERN_ERROR_INVALID_ARGUMENT,
                       "%s: batch and tokens must not be negative, and "
                       "packed_sequences not below -1; found %lld, %lld, %lld",
                       name, (long long)batch, (long long)tokens,
                       (long long)packed_sequences);
  if (packed && batch != 1)
    return wyvern_fail(WYVERN_ERROR_INVALID_ARGUMENT,
                       "%s: with cu_seqlens the tensors hold one packed batch, "
                       "so dimension 0 must be 1; found %lld",
                       name, (long long)batch);
  WYVERN_TRY(check_tokens(desc, tokens, packed));
  extents->batch = batch;
  extents->tokens = extents->slot_tokens = tokens;
  extents->packed = packed;
  extents->sequences = packed ? packed_sequences : batch;
  extents->chunk = desc->chunk;
  extents->segment = 0;
  extents->first = extents->second = extents->last = 0;
  extents->reverse = 0;
  extents->part = WYVERN_PART_ALL;
  int64_t slots;
  if (count_slots_of(extents, extents->chunk, &slots))
    return wyvern_fail(WYVERN_ERROR_INVALID_ARGUMENT,
                       "%s: %lld sequences of %lld tokens overflow 64 bits",
                       name, (long long)extents->sequences, (long long)tokens);
  return WYVERN_OK;
}

int64_t wyvern_dim_extent(const wyvern_tensor_desc *tensor, uint32_t dim,
                          const wyvern_extents *extents) {
  const wyvern_dim_desc *desc = &tensor->dims[dim];
  switch (desc->kind) {
  case WYVERN_DIM_SEQ:
    for (uint32_t i = 0; i < tensor->rank; ++i)
      if (tensor->dims[i].kind == WYVERN_DIM_TIME)
        return extents->batch;
    return extents->sequences;
  case WYVERN_DIM_TIME:
    return extents->tokens * desc->multiple;
  case WYVERN_DIM_CHUNK: {
    wyvern_extents all = *extents;
    all.tokens = extents->slot_tokens;
    return wyvern_count_slots(&all, desc->multiple);
  }
  case WYVERN_DIM_SEGMENT:
    return wyvern_count_slots(extents, extents->segment);
  case WYVERN_DIM_HEAD:
  case WYVERN_DIM_WHOLE:
  case WYVERN_DIM_SLOT:
    break;
  }
  return desc->size;
}
