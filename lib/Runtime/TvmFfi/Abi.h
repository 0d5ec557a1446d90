/*===- Abi.h - The part of tvm-ffi that we speak ------------------*- C -*-===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|*===----------------------------------------------------------------------===*|
|*                                                                            *|
|* Structs and functions of apache-tvm-ffi 0.1 (tvm/ffi/c_api.h and           *|
|* extra/c_env_api.h, where they are explained) and of DLPack 1, under names  *|
|* of our own, so that a module is built without either. Compared with the    *|
|* headers of the wheel by test/python/tvm_ffi_layout.c. The functions are    *|
|* those of the libtvm_ffi that the process has loaded.                       *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#ifndef WYVERN_RUNTIME_TVMFFI_ABI_H
#define WYVERN_RUNTIME_TVMFFI_ABI_H

#include "wyvern-rt/wyvern_tvm_ffi.h"

/* DLDeviceType, DLDataTypeCode */
enum { WYVERN_DL_CUDA = 2 };
enum {
  WYVERN_DL_INT = 0,
  WYVERN_DL_UINT = 1,
  WYVERN_DL_FLOAT = 2,
  WYVERN_DL_BFLOAT = 4
};

typedef struct wyvern_dl_device {
  int32_t type, index;
} wyvern_dl_device;

typedef struct wyvern_dl_dtype {
  uint8_t code, bits;
  uint16_t lanes;
} wyvern_dl_dtype;

typedef struct wyvern_dl_tensor {
  void *data;
  wyvern_dl_device device;
  int32_t rank;
  wyvern_dl_dtype dtype;
  int64_t *sizes;
  int64_t *strides; /* elements; null means dense */
  uint64_t byte_offset;
} wyvern_dl_tensor;

/* TVMFFITypeIndex */
enum {
  WYVERN_TVM_NONE = 0,
  WYVERN_TVM_INT = 1,
  WYVERN_TVM_TENSOR_POINTER = 7, /* DLTensor * */
  WYVERN_TVM_TENSOR = 70         /* an object with a DLTensor behind its head */
};

typedef struct wyvern_tvm_object {
  uint64_t references;
  int32_t type;
  uint32_t padding;
  void (*deleter)(void *self, int flags);
} wyvern_tvm_object;

struct wyvern_tvm_any {
  int32_t type;
  uint32_t padding;
  union {
    int64_t integer;
    void *pointer;
    wyvern_tvm_object *object;
  };
};

typedef struct wyvern_tvm_bytes {
  const char *data;
  size_t size;
} wyvern_tvm_bytes;

void TVMFFIErrorSetRaisedFromCStr(const char *kind, const char *message);
int TVMFFIObjectDecRef(void *object);
int TVMFFIStringFromByteArray(const wyvern_tvm_bytes *text, wyvern_tvm_any *);
void *TVMFFIEnvGetStream(int32_t device_type, int32_t device);
int TVMFFIEnvTensorAlloc(wyvern_dl_tensor *prototype, void **tensor);

#endif
