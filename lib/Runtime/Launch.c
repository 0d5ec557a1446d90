/*===- Launch.c - One call of a program -----------------------------------===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#include "Program.h"

#include <limits.h>

/* A kernel parameter by value. */
typedef union wyvern_value {
  CUtensorMap map;
  uint64_t pointer;
  int64_t integer;
} wyvern_value;

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
  case WYVERN_PARAM_SEGMENT:
    value->integer = call->extents.segment * call->extents.chunk;
    break;
  }
  return WYVERN_OK;
}

/* A kernel of a call, as the driver takes it. */
typedef struct wyvern_kernel_call {
  const wyvern_kernel_desc *desc;
  CUkernel kernel;
  unsigned blocks; /* 0: there is nothing to run */
  wyvern_value values[WYVERN_MAX_PARAMS];
  void *params[WYVERN_MAX_PARAMS];
} wyvern_kernel_call;

static wyvern_status fill(wyvern_program *program, const wyvern_driver *driver,
                          const wyvern_call *call, uint32_t k,
                          wyvern_kernel_call *out) {
  const wyvern_kernel_desc *desc =
      &program->desc->variants[call->variant].kernels[k];
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

static wyvern_status launch_kernel(wyvern_program *program,
                                   const wyvern_driver *driver,
                                   const wyvern_call *call, uint32_t k,
                                   CUstream stream) {
  wyvern_kernel_call kernel;
  WYVERN_TRY(fill(program, driver, call, k, &kernel));
  if (kernel.blocks == 0)
    return WYVERN_OK;
  /* A kernel that waits for those before it starts beside the last of them. */
  CUlaunchAttribute overlap = {
      CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION,
      {.programmaticStreamSerializationAllowed = 1}};
  CUlaunchConfig config = {kernel.blocks,
                           1,
                           1,
                           kernel.desc->block,
                           1,
                           1,
                           kernel.desc->dynamic_shared,
                           stream,
                           kernel.desc->waits ? &overlap : NULL,
                           kernel.desc->waits};
  /* A CUkernel is accepted in place of a CUfunction and means the current
     context's copy (cuLaunchKernelEx). */
  CUresult result = driver->LaunchKernelEx(&config, (CUfunction)kernel.kernel,
                                           kernel.params, NULL);
  if (result != CUDA_SUCCESS)
    return wyvern_driver_failed(result, "%s: cannot launch %s",
                                program->desc->name, kernel.desc->symbol);
  return WYVERN_OK;
}

wyvern_status wyvern_add_kernels(wyvern_program *program,
                                 const wyvern_driver *driver,
                                 const wyvern_call *call, CUgraph graph) {
  CUgraphNode last = NULL;
  const uint32_t count = program->desc->variants[call->variant].num_kernels;
  for (uint32_t k = 0; k < count; ++k) {
    wyvern_kernel_call kernel;
    WYVERN_TRY(fill(program, driver, call, k, &kernel));
    if (kernel.blocks == 0)
      continue;
    const CUkernelNodeParams node = {.gridDimX = kernel.blocks,
                                     .gridDimY = 1,
                                     .gridDimZ = 1,
                                     .blockDimX = kernel.desc->block,
                                     .blockDimY = 1,
                                     .blockDimZ = 1,
                                     .sharedMemBytes =
                                         kernel.desc->dynamic_shared,
                                     .kernelParams = kernel.params,
                                     .kern = kernel.kernel};
    CUgraphNode before = last;
    CUresult result = driver->GraphAddKernelNode(&last, graph, &before,
                                                 before ? 1 : 0, &node);
    if (result != CUDA_SUCCESS)
      return wyvern_driver_failed(result, "%s: cannot add %s to a graph",
                                  program->desc->name, kernel.desc->symbol);
  }
  return WYVERN_OK;
}

/* Zeroes the dimensions from `dim` on, in runs as long as they are dense. */
static CUresult zero(const wyvern_driver *driver, const wyvern_tensor *tensor,
                     uint32_t dim, char *data, CUstream stream) {
  int64_t dense = 1;
  int is_dense = 1;
  for (uint32_t i = tensor->rank; i-- > dim;) {
    if (tensor->sizes[i] == 0)
      return CUDA_SUCCESS;
    is_dense &= tensor->sizes[i] == 1 || tensor->strides[i] == dense;
    dense *= tensor->sizes[i];
  }
  int64_t size = wyvern_dtype_size(tensor->dtype);
  if (is_dense)
    return driver->MemsetD8Async((uintptr_t)data, 0, (size_t)(dense * size),
                                 stream);
  CUresult result = CUDA_SUCCESS;
  for (int64_t i = 0; i < tensor->sizes[dim] && result == CUDA_SUCCESS; ++i)
    result = zero(driver, tensor, dim + 1,
                  data + i * tensor->strides[dim] * size, stream);
  return result;
}

/* Without a sequence no kernel has a block, but rows past cu_seqlens[-1] (all
   of them) are zero by contract. */
static wyvern_status zero_outputs(const wyvern_program *program,
                                  const wyvern_driver *driver,
                                  const wyvern_call *call, CUstream stream) {
  for (uint32_t t = 0; t < program->desc->num_tensors; ++t) {
    const wyvern_tensor *tensor = &call->tensors[t];
    if (program->desc->tensors[t].role != WYVERN_OUTPUT || !tensor->data)
      continue;
    CUresult result = zero(driver, tensor, 0, tensor->data, stream);
    if (result != CUDA_SUCCESS)
      return wyvern_driver_failed(result, "%s: cannot zero '%s'",
                                  program->desc->name,
                                  program->desc->tensors[t].name);
  }
  return WYVERN_OK;
}

static wyvern_status run(wyvern_program *program, const wyvern_driver *driver,
                         const wyvern_call *call, CUstream stream) {
  WYVERN_TRY(wyvern_prepare_entered(program, driver, call->device));
  if (call->extents.sequences == 0)
    return zero_outputs(program, driver, call, stream);
  int launched;
  WYVERN_TRY(wyvern_launch_graph(program, driver, call, stream, &launched));
  const uint32_t count = program->desc->variants[call->variant].num_kernels;
  for (uint32_t k = 0; !launched && k < count; ++k)
    WYVERN_TRY(launch_kernel(program, driver, call, k, stream));
  return WYVERN_OK;
}

wyvern_status wyvern_program_launch(wyvern_program *program,
                                    const wyvern_tensor *tensors,
                                    const wyvern_tensor *cu_seqlens,
                                    void *workspace, size_t workspace_bytes,
                                    void *stream) {
  if (!program || !tensors)
    return wyvern_fail(WYVERN_ERROR_INVALID_ARGUMENT,
                       "wyvern_program_launch: null program or tensors");
  const wyvern_driver *driver;
  wyvern_call call;
  int pushed;
  WYVERN_TRY(wyvern_resolve_call(program, tensors, cu_seqlens, workspace,
                                 workspace_bytes, &call));
  WYVERN_TRY(wyvern_driver_open(&driver));
  WYVERN_TRY(wyvern_driver_enter(call.device, &pushed));
  wyvern_status status = run(program, driver, &call, stream);
  wyvern_driver_leave(pushed);
  return status;
}
