/*===- device.h - Device memory, without a CUDA toolkit -----------*- C -*-===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|*===----------------------------------------------------------------------===*|
|*                                                                            *|
|* The runtime allocates nothing and makes no context: that is the program's, *|
|* here by six functions of the driver, with CUDA's headers by cuda.h.        *|
|* Whatever fails ends the program.                                           *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#ifndef WYVERN_EXAMPLES_DEVICE_H
#define WYVERN_EXAMPLES_DEVICE_H

#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Calls a function of libcuda.so.1 that returns 0 if all is well. */
#define DRIVER(NAME, TYPES, ...)                                               \
  device_check(#NAME, ((int(*) TYPES)device_find(#NAME))(__VA_ARGS__))

static inline void *device_find(const char *name) {
  static void *library;
  if (!library)
    library = dlopen("libcuda.so.1", RTLD_NOW);
  void *function = library ? dlsym(library, name) : NULL;
  if (function)
    return function;
  fprintf(stderr, "no NVIDIA driver: %s\n", dlerror());
  exit(3);
}

static inline void device_check(const char *what, int status) {
  if (status == 0)
    return;
  fprintf(stderr, "%s: CUDA error %d\n", what, status);
  exit(3);
}

/* Makes the context of GPU 0 current. */
static inline void device_open(void) {
  void *context;
  DRIVER(cuInit, (unsigned), 0);
  DRIVER(cuDevicePrimaryCtxRetain, (void **, int), &context, 0);
  DRIVER(cuCtxSetCurrent, (void *), context);
}

/* Memory for `bytes`, with the bytes of `from` if it is not null. */
static inline void *device_make(size_t bytes, const void *from) {
  uint64_t pointer;
  DRIVER(cuMemAlloc_v2, (uint64_t *, size_t), &pointer, bytes ? bytes : 1);
  if (from)
    DRIVER(cuMemcpyHtoD_v2, (uint64_t, const void *, size_t), pointer, from,
           bytes);
  return (void *)(uintptr_t)pointer;
}

/* Waits for what was launched before, and copies. */
static inline void device_read(void *to, const void *from, size_t bytes) {
  DRIVER(cuMemcpyDtoH_v2, (void *, uint64_t, size_t), to, (uintptr_t)from,
         bytes);
}

#endif
