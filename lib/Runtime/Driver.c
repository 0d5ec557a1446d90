/*===- Driver.c - Opening the CUDA driver and its contexts ----------------===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#include "Driver.h"
#include "Error.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static wyvern_driver table;
static _Atomic int opened; /* 1 once the table is complete and cuInit worked */

static int device_count;
static wyvern_device devices[WYVERN_MAX_DEVICES];
static CUcontext primary_contexts[WYVERN_MAX_DEVICES]; /* guarded by lock */

wyvern_status wyvern_driver_failed(CUresult result, const char *what, ...) {
  char text[256];
  va_list arguments;
  va_start(arguments, what);
  vsnprintf(text, sizeof(text), what, arguments);
  va_end(arguments);
  const char *name = NULL, *meaning = NULL;
  table.GetErrorName(result, &name);
  table.GetErrorString(result, &meaning);
  wyvern_status status = WYVERN_ERROR_DRIVER;
  if (result == CUDA_ERROR_INVALID_IMAGE || result == CUDA_ERROR_NOT_FOUND ||
      result == CUDA_ERROR_NO_BINARY_FOR_GPU ||
      result == CUDA_ERROR_INVALID_SOURCE)
    status = WYVERN_ERROR_BAD_IMAGE;
  return wyvern_fail(status, "%s: %s, error %d (%s)", text,
                     name ? name : "unknown error", result,
                     meaning ? meaning : "no description");
}

static wyvern_status find_functions(void *library) {
  struct {
    const char *symbol;
    void *slot;
    int is_needed;
  } functions[] = {
#define X(field, symbol, parameters) {symbol, &table.field, 1},
      WYVERN_DRIVER_FUNCTIONS(X)
#undef X
#define X(field, symbol, parameters) {symbol, &table.field, 0},
          WYVERN_LATER_DRIVER_FUNCTIONS(X)
#undef X
  };
  for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); ++i) {
    void *address = dlsym(library, functions[i].symbol);
    if (!address && functions[i].is_needed)
      return wyvern_fail(WYVERN_ERROR_NO_DRIVER,
                         "the installed NVIDIA driver has no %s: a driver for "
                         "CUDA 12.0 or later is needed; update it",
                         functions[i].symbol);
    /* ISO C has no cast from an object to a function pointer; POSIX defines
       dlsym's result as one. */
    memcpy(functions[i].slot, &address, sizeof(address));
  }
  return WYVERN_OK;
}

static wyvern_status describe_device(int ordinal) {
  wyvern_device *device = &devices[ordinal];
  CUresult result = table.DeviceGet(&device->handle, ordinal);
  const struct {
    int attribute, *value;
  } queries[] = {{CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, &device->major},
                 {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, &device->minor},
                 {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN,
                  &device->max_shared}};
  for (int i = 0; i < 3 && result == CUDA_SUCCESS; ++i)
    result = table.DeviceGetAttribute(queries[i].value, queries[i].attribute,
                                      device->handle);
  if (result == CUDA_SUCCESS)
    result =
        table.DeviceGetName(device->name, sizeof(device->name), device->handle);
  if (result != CUDA_SUCCESS)
    return wyvern_driver_failed(result, "cannot query device %d", ordinal);
  return WYVERN_OK;
}

static wyvern_status open_locked(void) {
  void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library)
    return wyvern_fail(WYVERN_ERROR_NO_DRIVER,
                       "no NVIDIA driver on this machine (%s)", dlerror());
  WYVERN_TRY(find_functions(library));
  CUresult result = table.Init(0);
  if (result == CUDA_ERROR_NO_DEVICE)
    return wyvern_fail(WYVERN_ERROR_NO_DEVICE,
                       "the NVIDIA driver sees no GPU (is CUDA_VISIBLE_DEVICES "
                       "empty?)");
  if (result != CUDA_SUCCESS)
    return wyvern_driver_failed(result, "cuInit");
  result = table.DeviceGetCount(&device_count);
  if (result != CUDA_SUCCESS)
    return wyvern_driver_failed(result, "cuDeviceGetCount");
  if (device_count > WYVERN_MAX_DEVICES)
    device_count = WYVERN_MAX_DEVICES;
  for (int i = 0; i < device_count; ++i)
    WYVERN_TRY(describe_device(i));
  return WYVERN_OK;
}

wyvern_status wyvern_driver_open(const wyvern_driver **driver) {
  *driver = &table;
  if (opened)
    return WYVERN_OK;
  pthread_mutex_lock(&lock);
  wyvern_status status = opened ? WYVERN_OK : open_locked();
  if (status == WYVERN_OK)
    opened = 1;
  pthread_mutex_unlock(&lock);
  return status;
}

wyvern_status wyvern_driver_device(int ordinal, const wyvern_device **device) {
  if (ordinal < 0 || ordinal >= device_count)
    return wyvern_fail(WYVERN_ERROR_NO_DEVICE,
                       "no device %d: the driver sees %d GPU(s), numbered from "
                       "0",
                       ordinal, device_count);
  *device = &devices[ordinal];
  return WYVERN_OK;
}

/* The primary context is retained once a device and kept: releasing it at exit
   would race with the driver's own teardown. */
static wyvern_status retain_primary(int ordinal, CUcontext *context) {
  CUresult result = CUDA_SUCCESS;
  pthread_mutex_lock(&lock);
  if (!primary_contexts[ordinal])
    result = table.PrimaryCtxRetain(&primary_contexts[ordinal],
                                    devices[ordinal].handle);
  *context = primary_contexts[ordinal];
  pthread_mutex_unlock(&lock);
  if (result != CUDA_SUCCESS)
    return wyvern_driver_failed(result, "cuDevicePrimaryCtxRetain(%d)",
                                ordinal);
  return WYVERN_OK;
}

wyvern_status wyvern_driver_enter(int ordinal, int *pushed) {
  const wyvern_device *device = NULL;
  *pushed = 0;
  WYVERN_TRY(wyvern_driver_device(ordinal, &device));
  CUcontext context = NULL;
  CUdevice current = -1;
  CUresult result = table.CtxGetCurrent(&context);
  if (result == CUDA_SUCCESS && context) {
    result = table.CtxGetDevice(&current);
    if (result == CUDA_SUCCESS && current == device->handle)
      return WYVERN_OK;
  }
  if (result != CUDA_SUCCESS)
    return wyvern_driver_failed(result, "cannot read the current context");
  WYVERN_TRY(retain_primary(ordinal, &context));
  result = table.CtxPushCurrent(context);
  if (result != CUDA_SUCCESS)
    return wyvern_driver_failed(result, "cuCtxPushCurrent");
  *pushed = 1;
  return WYVERN_OK;
}

void wyvern_driver_leave(int pushed) {
  CUcontext popped;
  if (pushed)
    table.CtxPopCurrent(&popped);
}
