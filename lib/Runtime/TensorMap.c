/*===- TensorMap.c - Tensor maps, encoded once a buffer -------------------===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|*===----------------------------------------------------------------------===*|
|*                                                                            *|
|* A model calls a program with few distinct buffers over and over (the       *|
|* allocator hands the same ones out), so encoded maps are kept in a          *|
|* direct-mapped cache keyed by everything that the encoding depends on.      *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#include "Program.h"

#include <string.h>

static int map_dtype(wyvern_dtype dtype) {
  static const int types[] = {
      CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, CU_TENSOR_MAP_DATA_TYPE_FLOAT16,
      CU_TENSOR_MAP_DATA_TYPE_FLOAT32,  CU_TENSOR_MAP_DATA_TYPE_FLOAT64,
      CU_TENSOR_MAP_DATA_TYPE_INT32,    CU_TENSOR_MAP_DATA_TYPE_INT64};
  return types[dtype];
}

static const wyvern_tensor_desc *describe(const wyvern_program *program,
                                          const wyvern_call *call,
                                          const wyvern_param_desc *param) {
  return wyvern_find_tensor(
      program->desc, &program->desc->variants[call->variant], param->tensor);
}

/* A map needs an address even if nothing is ever read through it: an absent or
   empty tensor gets that of another one, and extents of at least 1. */
static void *any_address(const wyvern_program *program,
                         const wyvern_call *call) {
  const wyvern_variant_desc *variant = &program->desc->variants[call->variant];
  uint32_t tensors = program->desc->num_tensors + variant->num_workspace;
  for (uint32_t t = 0; t < tensors; ++t)
    if (call->tensors[t].data && (uintptr_t)call->tensors[t].data % 16 == 0)
      return call->tensors[t].data;
  return (void *)(uintptr_t)WYVERN_WORKSPACE_ALIGNMENT;
}

static void fill_key(const wyvern_program *program, const wyvern_call *call,
                     const wyvern_param_desc *param, wyvern_map_key *key) {
  const wyvern_tensor_desc *desc = describe(program, call, param);
  const wyvern_tensor *tensor = &call->tensors[param->tensor];
  uint64_t size = (uint64_t)wyvern_dtype_size(desc->dtype);
  memset(key, 0, sizeof(*key));
  key->address = tensor->data ? tensor->data : any_address(program, call);
  key->rank = desc->rank;
  key->dtype = (uint32_t)map_dtype(desc->dtype);
  key->swizzle = param->swizzle;
  uint64_t dense = size;
  for (uint32_t i = 0; i < desc->rank; ++i) {
    uint32_t dim = desc->rank - 1 - i; /* the driver counts fastest first */
    int64_t extent = tensor->data ? tensor->sizes[dim] : 0;
    key->sizes[i] = extent > 0 ? (uint64_t)extent : 1;
    key->box[i] = param->box[dim];
    /* The stride of a dimension of extent 1 is arbitrary in torch, but must be
       a multiple of 16 here. */
    if (i > 0)
      key->strides[i - 1] = extent > 1 ? (uint64_t)tensor->strides[dim] * size
                                       : (dense + 15) / 16 * 16;
    dense = i > 0 ? key->strides[i - 1] * key->sizes[i] : size * key->sizes[0];
  }
}

static wyvern_status encode(const wyvern_program *program,
                            const wyvern_driver *driver,
                            const wyvern_call *call,
                            const wyvern_param_desc *param,
                            const wyvern_map_key *key, CUtensorMap *map) {
  static const uint32_t steps[WYVERN_MAX_RANK] = {1, 1, 1, 1, 1};
  int swizzle = key->swizzle == 128  ? CU_TENSOR_MAP_SWIZZLE_128B
                : key->swizzle == 64 ? CU_TENSOR_MAP_SWIZZLE_64B
                : key->swizzle == 32 ? CU_TENSOR_MAP_SWIZZLE_32B
                                     : CU_TENSOR_MAP_SWIZZLE_NONE;
  CUresult result = driver->TensorMapEncodeTiled(
      map, (int)key->dtype, key->rank, key->address, key->sizes, key->strides,
      key->box, steps, /*interleave=*/0, swizzle,
      CU_TENSOR_MAP_L2_PROMOTION_L2_128B, /*oobFill=*/0);
  if (result != CUDA_SUCCESS)
    return wyvern_driver_failed(result, "%s: cuTensorMapEncodeTiled for '%s'",
                                program->desc->name,
                                describe(program, call, param)->name);
  return WYVERN_OK;
}

/* FNV-1a over 8-byte words; a key is a multiple of them. */
static uint64_t hash_key(const wyvern_map_key *key) {
  uint64_t hash = UINT64_C(14695981039346656037), word;
  _Static_assert(sizeof(*key) % 8 == 0, "hash_key reads whole words");
  for (size_t i = 0; i < sizeof(*key); i += 8) {
    memcpy(&word, (const char *)key + i, 8);
    hash = (hash ^ word) * UINT64_C(1099511628211);
  }
  return hash ^ hash >> 29;
}

wyvern_status wyvern_encode_map(wyvern_program *program,
                                const wyvern_driver *driver,
                                const wyvern_call *call,
                                const wyvern_param_desc *param,
                                CUtensorMap *map) {
  wyvern_map_key key;
  fill_key(program, call, param, &key);
  wyvern_map_entry *entry =
      &program->maps[hash_key(&key) & (WYVERN_MAP_CACHE - 1)];
  pthread_mutex_lock(&program->map_lock);
  int hit = entry->valid && memcmp(&entry->key, &key, sizeof(key)) == 0;
  if (hit)
    *map = entry->map;
  pthread_mutex_unlock(&program->map_lock);
  if (hit)
    return WYVERN_OK;
  WYVERN_TRY(encode(program, driver, call, param, &key, map));
  pthread_mutex_lock(&program->map_lock);
  entry->map = *map;
  entry->key = key;
  entry->valid = 1;
  pthread_mutex_unlock(&program->map_lock);
  return WYVERN_OK;
}
