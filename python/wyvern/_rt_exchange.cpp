//===- _rt_exchange.cpp - Tensors without Python --------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "_rt_exchange.h"

#include <algorithm>
#include <optional>
#include <string>

namespace py = pybind11;
using namespace wyvern;

static const dlpack::ExchangeApi *findTable(const py::capsule &capsule) {
  auto *api = static_cast<const dlpack::ExchangeApi *>(
      PyCapsule_GetPointer(capsule.ptr(), dlpack::kCapsule));
  if (!api)
    throw py::error_already_set();
  while (api && api->major != dlpack::kMajorVersion)
    api = api->previous;
  if (!api || !api->describe || !api->currentStream)
    throw py::value_error(
        "expected DLPack's exchange functions of version 1, found others");
  return api;
}

static std::optional<wyvern_dtype> readDtype(dlpack::DataType type) {
  if (type.lanes != 1)
    return std::nullopt;
  switch (type.code << 8 | type.bits) {
  case dlpack::kBfloat << 8 | 16:
    return WYVERN_BF16;
  case dlpack::kFloat << 8 | 16:
    return WYVERN_F16;
  case dlpack::kFloat << 8 | 32:
    return WYVERN_F32;
  case dlpack::kFloat << 8 | 64:
    return WYVERN_F64;
  case dlpack::kInt << 8 | 32:
    return WYVERN_I32;
  case dlpack::kInt << 8 | 64:
    return WYVERN_I64;
  }
  return std::nullopt;
}

Exchange::Exchange(const py::capsule &api, py::tuple types, py::object empty,
                   const py::dict &dtypes, int32_t deviceType)
    : api(findTable(api)), deviceType(deviceType), owner(api),
      types(std::move(types)), empty(std::move(empty)),
      isNegated(py::str("is_neg")),
      dtypes{dtypes["bf16"], dtypes["f16"], dtypes["f32"],
             dtypes["f64"],  dtypes["i32"], dtypes["i64"]},
      keywords(py::make_tuple("dtype", "device")) {}

/// Whether the tensor is of a type whose memory holds its values: a subclass
/// may mean anything by it.
bool Exchange::isPlain(py::handle tensor) const {
  auto isType = [&](py::handle type) { return tensor.get_type().is(type); };
  return std::any_of(types.begin(), types.end(), isType);
}

/// Whether a lazy negation is not in the memory: of the imaginary part of a
/// conjugate, so of no bf16 and no integer. To ask gives Python's lock away.
bool Exchange::isNegative(py::handle tensor, wyvern_dtype dtype) const {
  if (dtype != WYVERN_F16 && dtype != WYVERN_F32 && dtype != WYVERN_F64)
    return false;
  PyObject *negated = PyObject_CallMethodNoArgs(tensor.ptr(), isNegated.ptr());
  if (!negated)
    throw py::error_already_set();
  Py_DECREF(negated);
  return negated != Py_False;
}

bool Exchange::describe(py::handle tensor, wyvern_tensor &out) const {
  if (!isPlain(tensor))
    return false;
  dlpack::Tensor view = {};
  if (api->describe(tensor.ptr(), &view) != 0) {
    PyErr_Clear(); // one without memory, say
    return false;
  }
  std::optional<wyvern_dtype> dtype = readDtype(view.dtype);
  if (!dtype || view.device.type != deviceType || !view.strides ||
      view.rank > WYVERN_MAX_RANK || isNegative(tensor, *dtype))
    return false;
  out.data = static_cast<char *>(view.data) + view.byteOffset;
  out.dtype = *dtype;
  out.device = view.device.index;
  out.rank = (uint32_t)view.rank;
  std::copy_n(view.sizes, view.rank, out.sizes);
  std::copy_n(view.strides, view.rank, out.strides);
  return true;
}

py::object Exchange::makeEmpty(const wyvern_tensor &shape,
                               const py::object &device,
                               wyvern_tensor &made) const {
  // Sizes one by one: of a tuple torch first makes an error, that it is no
  // integer, in a fourth of the time that the call takes.
  py::object sizes[WYVERN_MAX_RANK];
  PyObject *arguments[WYVERN_MAX_RANK + 2];
  for (uint32_t i = 0; i < shape.rank; ++i)
    arguments[i] = (sizes[i] = py::int_(shape.sizes[i])).ptr();
  arguments[shape.rank] = dtypes[shape.dtype].ptr();
  arguments[shape.rank + 1] = device.ptr();
  auto tensor = py::reinterpret_steal<py::object>(
      PyObject_Vectorcall(empty.ptr(), arguments, shape.rank, keywords.ptr()));
  if (!tensor)
    throw py::error_already_set();
  if (!describe(tensor, made))
    throw py::type_error("expected the framework to make a plain tensor");
  return tensor;
}

void *Exchange::currentStream(int32_t device) const {
  void *stream = nullptr;
  if (api->currentStream(deviceType, device, &stream) != 0)
    throw py::error_already_set();
  return stream;
}
