//===- exchange_layout.cpp - Our declarations of DLPack against torch's ---===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Compiled by test_torch_direct.py, which is the test.
//
//===----------------------------------------------------------------------===//

#include "../../python/wyvern/_dlpack.h"

#include <ATen/dlpack.h>

#include <cstddef>

using namespace wyvern::dlpack;

#define SAME(OURS, FIELD, THEIRS, OTHER)                                       \
  static_assert(offsetof(OURS, FIELD) == offsetof(THEIRS, OTHER) &&            \
                    sizeof(OURS::FIELD) == sizeof(THEIRS::OTHER),              \
                #OURS "::" #FIELD)

static_assert(sizeof(Tensor) == sizeof(DLTensor));
SAME(Tensor, data, DLTensor, data);
SAME(Tensor, device, DLTensor, device);
SAME(Tensor, rank, DLTensor, ndim);
SAME(Tensor, dtype, DLTensor, dtype);
SAME(Tensor, sizes, DLTensor, shape);
SAME(Tensor, strides, DLTensor, strides);
SAME(Tensor, byteOffset, DLTensor, byte_offset);
SAME(Device, type, DLDevice, device_type);
SAME(Device, index, DLDevice, device_id);
SAME(DataType, code, DLDataType, code);
SAME(DataType, bits, DLDataType, bits);
SAME(DataType, lanes, DLDataType, lanes);
static_assert(kCuda == kDLCUDA && kInt == kDLInt && kFloat == kDLFloat &&
              kBfloat == kDLBfloat && kMajorVersion == DLPACK_MAJOR_VERSION);

SAME(ExchangeApi, major, DLPackExchangeAPI, header.version.major);
SAME(ExchangeApi, minor, DLPackExchangeAPI, header.version.minor);
SAME(ExchangeApi, previous, DLPackExchangeAPI, header.prev_api);
SAME(ExchangeApi, describe, DLPackExchangeAPI, dltensor_from_py_object_no_sync);
SAME(ExchangeApi, currentStream, DLPackExchangeAPI, current_work_stream);
