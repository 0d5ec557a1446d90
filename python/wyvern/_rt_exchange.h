//===- _rt_exchange.h - Tensors without Python ------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_PYTHON_RT_EXCHANGE_H
#define WYVERN_PYTHON_RT_EXCHANGE_H

#include "_dlpack.h"
#include "_py.h"

#include "wyvern-rt/wyvern_rt.h"

#include <array>

namespace wyvern {

/// A framework whose tensors are read through DLPack's table of C functions,
/// which takes nanoseconds a tensor where attributes take a microsecond.
class Exchange {
public:
  /// `api` is the capsule with the table; `types` are the Python types, exactly
  /// these, whose objects it describes; `empty(sizes, dtype=, device=)` makes a
  /// dense tensor; `dtypes` are the framework's by manifest name; `deviceType`
  /// is DLPack's number of the devices that programs run on. Throws ValueError
  /// for a table of another version.
  Exchange(py::Object api, std::vector<py::Object> types, py::Object empty,
           const py::Object &dtypes, int32_t deviceType);

  /// Describes a tensor; false where it is none that a program reads as it is.
  bool describe(PyObject *tensor, wyvern_tensor &out) const;

  /// Makes a tensor of the dtype and sizes of `shape`, and describes it.
  /// `device` is the framework's name of one.
  py::Object makeEmpty(const wyvern_tensor &shape, const py::Object &device,
                       wyvern_tensor &made) const;

  /// The stream of a device that the framework's own work goes to.
  void *currentStream(int32_t device) const;

private:
  bool isReadable(PyObject *tensor) const;

  const dlpack::ExchangeApi *api;
  int32_t deviceType;
  py::Object owner;
  std::vector<py::Object> types;
  py::Object empty, isNegated;
  std::array<py::Object, WYVERN_I64 + 1> dtypes;
};

} // namespace wyvern

#endif // WYVERN_PYTHON_RT_EXCHANGE_H
