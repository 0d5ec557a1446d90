//===- _dlpack.h - The part of DLPack that we speak -------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// DLPack 1.3's struct of a tensor, and its table of C functions by which a
// framework lends its tensors without running Python (dlpack.h, "DLPack C
// Exchange API"). Structs of one major version only grow at their ends, so
// these declarations serve every framework of version 1. Compared with the
// dlpack.h that torch ships by test/python/exchange_layout.cpp.
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_PYTHON_DLPACK_H
#define WYVERN_PYTHON_DLPACK_H

#include <cstdint>

namespace wyvern::dlpack {

constexpr uint32_t kMajorVersion = 1;

/// The name of the capsule that holds the table, which a type has as its
/// attribute `__dlpack_c_exchange_api__`.
constexpr char kCapsule[] = "dlpack_exchange_api";

struct Device {
  int32_t type; // DLDeviceType; kCuda is that of CUDA
  int32_t index;
};
constexpr int32_t kCuda = 2;

struct DataType {
  uint8_t code; // DLDataTypeCode
  uint8_t bits;
  uint16_t lanes;
};
constexpr uint8_t kInt = 0, kFloat = 2, kBfloat = 4;

struct Tensor {
  void *data;
  Device device;
  int32_t rank;
  DataType dtype;
  int64_t *sizes;   // the framework's
  int64_t *strides; // the framework's, in elements
  uint64_t byteOffset;
};

struct ExchangeApi {
  uint32_t major, minor;
  ExchangeApi *previous;                    // of an older major version
  void *allocate, *toManaged, *fromManaged; // not called
  /// Describes a tensor for as long as the caller holds it; -1 with a Python
  /// exception set where it cannot be. May be null.
  int (*describe)(void *object, Tensor *out);
  int (*currentStream)(int32_t deviceType, int32_t index, void **stream);
};

} // namespace wyvern::dlpack

#endif // WYVERN_PYTHON_DLPACK_H
