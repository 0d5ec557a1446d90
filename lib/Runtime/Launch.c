/*===- Launch.c - One call of a program -----------------------------------===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#include "Program.h"

/* Launches a kernel of the call. `*follows` says whether the one listed before
   it has been launched, and gets whether this one was. */
static wyvern_status launch_kernel(wyvern_program *program,
                                   const wyvern_driver *driver,
                                   const wyvern_call *call, uint32_t k,
                                   CUstream stream, int *follows) {
  wyvern_kernel_call kernel;
  WYVERN_TRY(wyvern_fill_kernel(program, driver, call, k, &kernel));
  int overlaps = wyvern_overlaps(kernel.desc, *follows);
  *follows = kernel.blocks > 0;
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
                           overlaps ? &overlap : NULL,
                           overlaps ? 1u : 0u};
  /* A CUkernel is accepted in place of a CUfunction and means the current
     context's copy (cuLaunchKernelEx). */
  CUresult result = driver->LaunchKernelEx(&config, (CUfunction)kernel.kernel,
                                           kernel.params, NULL);
  if (result != CUDA_SUCCESS)
    return wyvern_driver_failed(result, "%s: cannot launch %s",
                                program->desc->name, kernel.desc->symbol);
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
                         const wyvern_given *given, const wyvern_call *call,
                         CUstream stream) {
  WYVERN_TRY(wyvern_prepare_entered(program, driver, call->device));
  if (call->extents.sequences == 0)
    return zero_outputs(program, driver, call, stream);
  int launched, follows = 0;
  WYVERN_TRY(
      wyvern_launch_graph(program, driver, given, call, stream, &launched));
  const uint32_t count = program->desc->variants[call->variant].num_kernels;
  for (uint32_t k = 0; !launched && k < count; ++k)
    WYVERN_TRY(launch_kernel(program, driver, call, k, stream, &follows));
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
  const wyvern_given given = {tensors, cu_seqlens, workspace, workspace_bytes};
  const wyvern_driver *driver;
  wyvern_call call;
  int pushed, launched;
  WYVERN_TRY(wyvern_launch_again(program, &given, stream, &launched));
  if (launched)
    return WYVERN_OK;
  WYVERN_TRY(wyvern_resolve_call(program, &given, &call));
  WYVERN_TRY(wyvern_driver_open(&driver));
  WYVERN_TRY(wyvern_driver_enter(call.device, &pushed));
  wyvern_status status = run(program, driver, &given, &call, stream);
  wyvern_driver_leave(pushed);
  return status;
}
