/*===- Arguments.c - Checks of the tensors of one call --------------------===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#include "Program.h"

#define REFUSE(...) wyvern_fail(WYVERN_ERROR_INVALID_TENSOR, __VA_ARGS__)

static const char *dtype_name(wyvern_dtype dtype) {
  static const char *const names[] = {"bf16", "f16", "f32",
                                      "f64",  "i32", "i64"};
  return wyvern_dtype_size(dtype) ? names[dtype] : "unknown";
}

static const char *dim_name(wyvern_dim_kind kind) {
  static const char *const names[] = {"sequences", "time",  "chunks",  "heads",
                                      "channels",  "slots", "segments"};
  return names[kind];
}

/* Reads B and T off the main tensor. */
static wyvern_status read_extents(const wyvern_program *program,
                                  const wyvern_tensor *tensors,
                                  const wyvern_tensor *cu_seqlens,
                                  wyvern_extents *extents) {
  const wyvern_tensor_desc *desc =
      &program->desc->tensors[program->main_tensor];
  const wyvern_tensor *tensor = &tensors[program->main_tensor];
  if (tensor->rank != desc->rank)
    return REFUSE("%s: '%s' has rank %u, expected %u", program->desc->name,
                  desc->name, tensor->rank, desc->rank);
  int64_t batch = 0, tokens = 0;
  for (uint32_t i = 0; i < desc->rank; ++i) {
    if (desc->dims[i].kind == WYVERN_DIM_SEQ)
      batch = tensor->sizes[i];
    if (desc->dims[i].kind != WYVERN_DIM_TIME)
      continue;
    tokens = tensor->sizes[i] / desc->dims[i].multiple;
    if (tensor->sizes[i] % desc->dims[i].multiple != 0)
      return REFUSE("%s: '%s' has %lld rows in dimension %u, expected %u a "
                    "token",
                    program->desc->name, desc->name,
                    (long long)tensor->sizes[i], i, desc->dims[i].multiple);
  }
  return wyvern_get_extents(program->desc, batch, tokens,
                            cu_seqlens ? cu_seqlens->sizes[0] - 1 : -1,
                            extents);
}

static wyvern_status check_cu_seqlens(const wyvern_program *program,
                                      const wyvern_tensor *tensor) {
  const char *name = program->desc->name;
  if (tensor->dtype != WYVERN_I32 && tensor->dtype != WYVERN_I64)
    return REFUSE("%s: cu_seqlens has dtype %s, expected i32 or i64", name,
                  dtype_name(tensor->dtype));
  if (tensor->rank != 1 || tensor->sizes[0] < 1)
    return REFUSE(
        "%s: cu_seqlens has rank %u and %lld entries, expected rank 1 "
        "and one entry more than there are sequences",
        name, tensor->rank, tensor->rank ? (long long)tensor->sizes[0] : 0);
  if (tensor->sizes[0] > 1 && tensor->strides[0] != 1)
    return REFUSE("%s: cu_seqlens has the stride %lld, expected 1", name,
                  (long long)tensor->strides[0]);
  if (!tensor->data ||
      (uintptr_t)tensor->data % wyvern_dtype_size(tensor->dtype) != 0)
    return REFUSE("%s: cu_seqlens is null or not aligned to its entries", name);
  return WYVERN_OK;
}

/* Strides are free but where a kernel was compiled for dense ones, and where
   vector or tensor-map accesses need 16 bytes. Dimensions of extent 1 are never
   stepped along, so their strides do not matter. */
static wyvern_status check_strides(const wyvern_program *program, uint32_t t,
                                   const wyvern_tensor *tensor) {
  const char *name = program->desc->name;
  const wyvern_tensor_desc *desc = &program->desc->tensors[t];
  const wyvern_layout *layout = &program->layouts[t];
  int64_t size = wyvern_dtype_size(desc->dtype), dense = 1;
  for (uint32_t i = desc->rank; i-- > 0;) {
    int64_t stride = tensor->strides[i];
    if (tensor->sizes[i] > 1) {
      if ((layout->fixed >> i & 1) && stride != dense)
        return REFUSE("%s: '%s' has the stride %lld in dimension %u, expected "
                      "%lld; pass a contiguous copy",
                      name, desc->name, (long long)stride, i, (long long)dense);
      if (i + 1 < desc->rank && (layout->tensor_map || layout->whole_rows) &&
          stride * size % 16 != 0)
        return REFUSE("%s: '%s' has the stride %lld (%lld bytes) in dimension "
                      "%u, expected a multiple of 16 bytes; pass a contiguous "
                      "copy",
                      name, desc->name, (long long)stride,
                      (long long)(stride * size), i);
      if (stride < 0 || stride >= (INT64_C(1) << 40) / size ||
          (stride == 0 && (layout->tensor_map || desc->role == WYVERN_OUTPUT ||
                           desc->dims[i].kind == WYVERN_DIM_SLOT)))
        return REFUSE(
            "%s: '%s' has the stride %lld in dimension %u, expected "
            "one above 0 and below 2^40 bytes; pass a contiguous copy",
            name, desc->name, (long long)stride, i);
    }
    dense *= tensor->sizes[i];
  }
  return WYVERN_OK;
}

wyvern_status wyvern_program_check_layout(const wyvern_program *program,
                                          uint32_t index,
                                          const wyvern_tensor *tensor) {
  if (!program || !tensor || index >= program->desc->num_tensors)
    return wyvern_fail(
        WYVERN_ERROR_INVALID_ARGUMENT,
        "wyvern_program_check_layout: null program or tensor, or "
        "no argument %u",
        index);
  const wyvern_tensor_desc *desc = &program->desc->tensors[index];
  if (tensor->rank != desc->rank)
    return REFUSE("%s: '%s' has rank %u, expected %u", program->desc->name,
                  desc->name, tensor->rank, desc->rank);
  for (uint32_t i = 0; i < tensor->rank; ++i)
    if (tensor->sizes[i] == 0)
      return WYVERN_OK;
  /* Integers are read one by one. */
  int is_index = desc->dtype == WYVERN_I32 || desc->dtype == WYVERN_I64;
  int64_t alignment = is_index ? wyvern_dtype_size(desc->dtype) : 16;
  if (!tensor->data || (uintptr_t)tensor->data % (uint64_t)alignment != 0)
    return REFUSE("%s: '%s' starts at %p, expected a multiple of %lld; pass a "
                  "contiguous copy",
                  program->desc->name, desc->name, tensor->data,
                  (long long)alignment);
  return check_strides(program, index, tensor);
}

/* A dense tensor of the sizes that these extents make it. */
static wyvern_tensor expect_tensor(const wyvern_tensor_desc *desc,
                                   const wyvern_extents *extents,
                                   int32_t device) {
  int64_t sizes[WYVERN_MAX_RANK];
  for (uint32_t i = 0; i < desc->rank; ++i)
    sizes[i] = wyvern_dim_extent(desc, i, extents);
  return wyvern_tensor_dense(NULL, desc->dtype, device, desc->rank, sizes);
}

wyvern_status wyvern_program_expect(const wyvern_program *program,
                                    const wyvern_tensor *tensors,
                                    const wyvern_tensor *cu_seqlens,
                                    wyvern_tensor *expected,
                                    size_t *workspace_bytes) {
  if (!program || !tensors || !expected || !workspace_bytes)
    return wyvern_fail(WYVERN_ERROR_INVALID_ARGUMENT,
                       "wyvern_program_expect: null program, tensors, expected "
                       "or workspace_bytes");
  wyvern_call call;
  call.device = tensors[program->main_tensor].device;
  if (cu_seqlens)
    WYVERN_TRY(check_cu_seqlens(program, cu_seqlens));
  WYVERN_TRY(read_extents(program, tensors, cu_seqlens, &call.extents));
  for (uint32_t t = 0; t < program->desc->num_tensors; ++t)
    expected[t] =
        expect_tensor(&program->desc->tensors[t], &call.extents, call.device);
  call.variant = wyvern_choose(program, &call.extents);
  return wyvern_place_workspace(program->desc, &call, NULL, workspace_bytes);
}

static wyvern_status check_tensor(const wyvern_program *program, uint32_t t,
                                  const wyvern_call *call) {
  const char *name = program->desc->name;
  const wyvern_tensor_desc *desc = &program->desc->tensors[t];
  const wyvern_tensor *tensor = &call->tensors[t];
  if (tensor->dtype != desc->dtype)
    return REFUSE("%s: '%s' has dtype %s, expected %s", name, desc->name,
                  dtype_name(tensor->dtype), dtype_name(desc->dtype));
  if (tensor->rank != desc->rank)
    return REFUSE("%s: '%s' has rank %u, expected %u", name, desc->name,
                  tensor->rank, desc->rank);
  if (tensor->device != call->device)
    return REFUSE("%s: '%s' is on device %d, '%s' on device %d; expected one "
                  "device",
                  name, desc->name, tensor->device,
                  program->desc->tensors[program->main_tensor].name,
                  call->device);
  for (uint32_t i = 0; i < desc->rank; ++i) {
    int64_t expected = wyvern_dim_extent(desc, i, &call->extents);
    if (desc->dims[i].kind == WYVERN_DIM_SLOT)
      continue;
    if (tensor->sizes[i] != expected)
      return REFUSE("%s: '%s' has extent %lld in dimension %u (%s), expected "
                    "%lld",
                    name, desc->name, (long long)tensor->sizes[i], i,
                    dim_name(desc->dims[i].kind), (long long)expected);
  }
  return wyvern_program_check_layout(program, t, tensor);
}

wyvern_status wyvern_resolve_call(const wyvern_program *program,
                                  const wyvern_given *given,
                                  wyvern_call *call) {
  const wyvern_program_desc *desc = program->desc;
  const wyvern_tensor *tensors = given->tensors;
  const wyvern_tensor *cu_seqlens = given->cu_seqlens;
  call->cu_seqlens = cu_seqlens;
  call->device = tensors[program->main_tensor].device;
  if (cu_seqlens)
    WYVERN_TRY(check_cu_seqlens(program, cu_seqlens));
  WYVERN_TRY(read_extents(program, tensors, cu_seqlens, &call->extents));
  if (cu_seqlens && cu_seqlens->device != call->device)
    return REFUSE("%s: cu_seqlens is on device %d, expected device %d, where "
                  "the other tensors are",
                  desc->name, cu_seqlens->device, call->device);
  for (uint32_t t = 0; t < desc->num_tensors; ++t) {
    call->tensors[t] = tensors[t];
    if (tensors[t].data || !desc->tensors[t].optional)
      WYVERN_TRY(check_tensor(program, t, call));
  }
  call->variant = wyvern_choose(program, &call->extents);
  size_t needed;
  WYVERN_TRY(wyvern_place_workspace(desc, call, given->workspace, &needed));
  call->workspace_bytes = needed;
  if (given->workspace_bytes < needed ||
      (needed &&
       (!given->workspace ||
        (uintptr_t)given->workspace % WYVERN_WORKSPACE_ALIGNMENT != 0)))
    return wyvern_fail(WYVERN_ERROR_WORKSPACE,
                       "%s: the workspace has %zu bytes at %p, expected at "
                       "least %zu at a multiple of %d",
                       desc->name, given->workspace_bytes, given->workspace,
                       needed, WYVERN_WORKSPACE_ALIGNMENT);
  return WYVERN_OK;
}
