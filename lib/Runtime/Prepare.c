/*===- Prepare.c - From a program to kernels on a device ------------------===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#include "Program.h"

#include <stdio.h>

/* Up to this many bytes of dynamic shared memory need no opt-in. */
#define STATIC_SHARED_LIMIT (48 * 1024)

/* sm_XYa code runs on compute capability X.Y alone; sm_XYf, as sm_XY, on X.x
   from X.Y on. */
static int runs_on(const char *target, const wyvern_device *device) {
  int number = 0, used = 0;
  if (sscanf(target, "sm_%d%n", &number, &used) != 1)
    return 0;
  int major = number / 10, minor = number % 10;
  if (target[used] == 'a')
    return device->major == major && device->minor == minor;
  return device->major == major && device->minor >= minor;
}

static wyvern_status check_device(const wyvern_program_desc *desc, int ordinal,
                                  const wyvern_device *device) {
  if (!runs_on(desc->target, device))
    return wyvern_fail(
        WYVERN_ERROR_WRONG_ARCH,
        "%s was built for %s, device %d (%s) is sm_%d%d: compile "
        "it for that architecture or use another GPU",
        desc->name, desc->target, ordinal, device->name, device->major,
        device->minor);
  return WYVERN_OK;
}

static wyvern_status check_shared(const wyvern_program_desc *desc,
                                  const wyvern_kernel_desc *kernel, int ordinal,
                                  const wyvern_device *device) {
  if (kernel->dynamic_shared > (uint32_t)device->max_shared)
    return wyvern_fail(WYVERN_ERROR_WRONG_ARCH,
                       "%s: %s needs %u bytes of shared memory a block, device "
                       "%d (%s) has %d",
                       desc->name, kernel->symbol, kernel->dynamic_shared,
                       ordinal, device->name, device->max_shared);
  return WYVERN_OK;
}

/* A library is context-independent: loaded once for all devices. */
static wyvern_status load_kernel(const wyvern_driver *driver,
                                 const wyvern_program_desc *desc,
                                 const wyvern_kernel_desc *kernel_desc,
                                 wyvern_kernel *kernel) {
  CUresult result = driver->LibraryLoadData(&kernel->library, kernel->image,
                                            NULL, NULL, 0, NULL, NULL, 0);
  if (result != CUDA_SUCCESS) {
    kernel->library = NULL;
    return wyvern_driver_failed(result,
                                "%s: the driver refuses the image of %s",
                                desc->name, kernel_desc->symbol);
  }
  result = driver->LibraryGetKernel(&kernel->kernel, kernel->library,
                                    kernel_desc->symbol);
  if (result == CUDA_SUCCESS)
    return WYVERN_OK;
  driver->LibraryUnload(kernel->library);
  kernel->library = NULL;
  return wyvern_driver_failed(result, "%s: the image of %s has no such kernel",
                              desc->name, kernel_desc->symbol);
}

static wyvern_status prepare_kernel(const wyvern_driver *driver,
                                    const wyvern_device *device,
                                    const wyvern_program_desc *desc,
                                    const wyvern_kernel_desc *kernel_desc,
                                    wyvern_kernel *kernel) {
  if (!kernel->library)
    WYVERN_TRY(load_kernel(driver, desc, kernel_desc, kernel));
  CUresult result = CUDA_SUCCESS;
  if (kernel_desc->dynamic_shared > STATIC_SHARED_LIMIT)
    result = driver->KernelSetAttribute(
        CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
        (int)kernel_desc->dynamic_shared, kernel->kernel, device->handle);
  if (result != CUDA_SUCCESS)
    return wyvern_driver_failed(result,
                                "%s: %s cannot have %u bytes of "
                                "dynamic shared memory",
                                desc->name, kernel_desc->symbol,
                                kernel_desc->dynamic_shared);
  /* Brings the code to the device now: lazily, the first launch would, and it
     may be under capture. */
  CUfunction function;
  result = driver->KernelGetFunction(&function, kernel->kernel);
  if (result != CUDA_SUCCESS)
    return wyvern_driver_failed(result, "%s: cannot load %s", desc->name,
                                kernel_desc->symbol);
  return WYVERN_OK;
}

/* Of all variants: a later launch of other shapes may be under capture. */
static wyvern_status prepare_kernels(wyvern_program *program,
                                     const wyvern_driver *driver, int ordinal,
                                     const wyvern_device *device) {
  const wyvern_program_desc *desc = program->desc;
  for (uint32_t v = 0; v < desc->num_variants; ++v)
    for (uint32_t k = 0; k < desc->variants[v].num_kernels; ++k) {
      const wyvern_kernel_desc *kernel = &desc->variants[v].kernels[k];
      WYVERN_TRY(check_shared(desc, kernel, ordinal, device));
      WYVERN_TRY(prepare_kernel(driver, device, desc, kernel,
                                &program->kernels[v][k]));
    }
  return WYVERN_OK;
}

wyvern_status wyvern_prepare_entered(wyvern_program *program,
                                     const wyvern_driver *driver, int ordinal) {
  if (program->ready[ordinal])
    return WYVERN_OK;
  const wyvern_device *device;
  WYVERN_TRY(wyvern_driver_device(ordinal, &device));
  WYVERN_TRY(check_device(program->desc, ordinal, device));
  /* Loading code is refused to a thread that captures, but harmless. */
  int mode = CU_STREAM_CAPTURE_MODE_RELAXED;
  pthread_mutex_lock(&program->lock);
  driver->ThreadExchangeStreamCaptureMode(&mode);
  wyvern_status status = prepare_kernels(program, driver, ordinal, device);
  driver->ThreadExchangeStreamCaptureMode(&mode);
  if (status == WYVERN_OK)
    program->ready[ordinal] = 1;
  pthread_mutex_unlock(&program->lock);
  return status;
}

wyvern_status wyvern_program_prepare(wyvern_program *program, int device) {
  if (!program)
    return wyvern_fail(WYVERN_ERROR_INVALID_ARGUMENT,
                       "wyvern_program_prepare: null program");
  const wyvern_driver *driver;
  int pushed;
  WYVERN_TRY(wyvern_driver_open(&driver));
  WYVERN_TRY(wyvern_driver_enter(device, &pushed));
  wyvern_status status = wyvern_prepare_entered(program, driver, device);
  wyvern_driver_leave(pushed);
  return status;
}
