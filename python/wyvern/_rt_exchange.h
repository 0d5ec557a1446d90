//===- _rt_exchange.h - Tensors without Python ------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_PYTHON_RT_EXCHANGE_H
#define WYVERN_PYTHON_RT_EXCHANGE_H

#include "_dlpack.h"

#include "wyvern-rt/wyvern_rt.h"

#include <pybind11/pybind11.h>

#include <array>

namespace wyvern {

/// A framework whose tensors are read through DLPack's table of C functions,
/// which takes nanoseconds a tensor where attributes take a microsecond.
class Exchange {
public:
  /// `api` is the capsule with the table; `types` are the Python types, exactly
  /// these, whose objects it describes; `empty(*sizes, dtype=, device=)` makes
  /// a dense tensor; `dtypes` are the framework's by manifest name;
  /// `deviceType` is DLPack's number of the devices that programs run on.
  /// Throws ValueError for a table of another version.
  Exchange(const pybind11::capsule &api, pybind11::tuple types,
           pybind11::object empty, const pybind11::dict &dtypes,
           int32_t deviceType);

  /// Describes a tensor; false where it is none that a program reads as it is.
  bool describe(pybind11::handle tensor, wyvern_tensor &out) const;

  /// Makes a tensor of the dtype and sizes of `shape`, and describes it.
  /// `device` is the framework's name of one.
  pybind11::object makeEmpty(const wyvern_tensor &shape,
                             const pybind11::object &device,
                             wyvern_tensor &made) const;

  /// The stream of a device that the framework's own work goes to.
  void *currentStream(int32_t device) const;

private:
  bool isPlain(pybind11::handle tensor) const;
  bool isNegative(pybind11::handle tensor, wyvern_dtype dtype) const;

  const dlpack::ExchangeApi *api;
  int32_t deviceType;
  pybind11::capsule owner;
  pybind11::tuple types;
  pybind11::object empty, isNegated;
  std::array<pybind11::object, WYVERN_I64 + 1> dtypes;
  pybind11::tuple keywords;
};

} // namespace wyvern

#endif // WYVERN_PYTHON_RT_EXCHANGE_H
