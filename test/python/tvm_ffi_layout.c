/*===- tvm_ffi_layout.c - Our declarations of tvm-ffi against its own -----===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|*===----------------------------------------------------------------------===*|
|*                                                                            *|
|* Compiled by test_tvm_ffi.py, which is the test.                            *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

/* Its functions have the types of its own structs: see the last lines. */
#define TVMFFIErrorSetRaisedFromCStr ours_set_raised
#define TVMFFIObjectDecRef ours_dec_ref
#define TVMFFIStringFromByteArray ours_string
#define TVMFFIEnvGetStream ours_get_stream
#define TVMFFIEnvTensorAlloc ours_tensor_alloc
#include "../../lib/Runtime/TvmFfi/Abi.h"
#undef TVMFFIErrorSetRaisedFromCStr
#undef TVMFFIObjectDecRef
#undef TVMFFIStringFromByteArray
#undef TVMFFIEnvGetStream
#undef TVMFFIEnvTensorAlloc

#include <tvm/ffi/extra/c_env_api.h>

#include <stddef.h>

#define SAME(OURS, FIELD, THEIRS, OTHER)                                       \
  _Static_assert(offsetof(OURS, FIELD) == offsetof(THEIRS, OTHER) &&           \
                     sizeof(((OURS *)0)->FIELD) ==                             \
                         sizeof(((THEIRS *)0)->OTHER),                         \
                 #OURS "." #FIELD)

_Static_assert(sizeof(wyvern_dl_tensor) == sizeof(DLTensor), "DLTensor");
SAME(wyvern_dl_tensor, data, DLTensor, data);
SAME(wyvern_dl_tensor, device.type, DLTensor, device.device_type);
SAME(wyvern_dl_tensor, device.index, DLTensor, device.device_id);
SAME(wyvern_dl_tensor, rank, DLTensor, ndim);
SAME(wyvern_dl_tensor, dtype.code, DLTensor, dtype.code);
SAME(wyvern_dl_tensor, dtype.bits, DLTensor, dtype.bits);
SAME(wyvern_dl_tensor, dtype.lanes, DLTensor, dtype.lanes);
SAME(wyvern_dl_tensor, sizes, DLTensor, shape);
SAME(wyvern_dl_tensor, strides, DLTensor, strides);
SAME(wyvern_dl_tensor, byte_offset, DLTensor, byte_offset);
_Static_assert(sizeof(wyvern_tvm_object) == sizeof(TVMFFIObject), "object");
SAME(wyvern_tvm_object, references, TVMFFIObject, combined_ref_count);
SAME(wyvern_tvm_object, type, TVMFFIObject, type_index);
_Static_assert(sizeof(wyvern_tvm_any) == sizeof(TVMFFIAny), "any");
SAME(wyvern_tvm_any, type, TVMFFIAny, type_index);
SAME(wyvern_tvm_any, padding, TVMFFIAny, zero_padding);
SAME(wyvern_tvm_any, integer, TVMFFIAny, v_int64);
SAME(wyvern_tvm_any, pointer, TVMFFIAny, v_ptr);
SAME(wyvern_tvm_any, object, TVMFFIAny, v_obj);
SAME(wyvern_tvm_bytes, data, TVMFFIByteArray, data);
SAME(wyvern_tvm_bytes, size, TVMFFIByteArray, size);
_Static_assert((int)WYVERN_DL_CUDA == kDLCUDA && (int)WYVERN_DL_INT == kDLInt &&
                   (int)WYVERN_DL_UINT == kDLUInt &&
                   (int)WYVERN_DL_FLOAT == kDLFloat &&
                   (int)WYVERN_DL_BFLOAT == kDLBfloat,
               "DLPack's numbers");
_Static_assert((int)WYVERN_TVM_NONE == kTVMFFINone &&
                   (int)WYVERN_TVM_INT == kTVMFFIInt &&
                   (int)WYVERN_TVM_TENSOR_POINTER == kTVMFFIDLTensorPtr &&
                   (int)WYVERN_TVM_TENSOR == kTVMFFITensor,
               "tvm-ffi's numbers");

/* The functions take as many arguments, of the same kinds. */
void (*const set_raised)(const char *,
                         const char *) = TVMFFIErrorSetRaisedFromCStr;
int (*const dec_ref)(void *) = TVMFFIObjectDecRef;
int (*const string)(const TVMFFIByteArray *,
                    TVMFFIAny *) = TVMFFIStringFromByteArray;
void *(*const get_stream)(int32_t, int32_t) = TVMFFIEnvGetStream;
int (*const tensor_alloc)(DLTensor *, void **) = TVMFFIEnvTensorAlloc;
