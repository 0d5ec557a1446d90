//===- _rt_exchange.cpp - Tensors without Python --------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "_rt_exchange.h"

#include <algorithm>

using namespace wyvern;

static const dlpack::ExchangeApi *findTable(const py::Object &capsule) {
  auto *api = static_cast<const dlpack::ExchangeApi *>(
      PyCapsule_GetPointer(capsule.get(), dlpack::kCapsule));
  if (!api)
    throw py::Raised();
  while (api && api->major != dlpack::kMajorVersion)
    api = api->previous;
  if (!api || !api->describe || !api->currentStream)
    py::raiseValueError(
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

static py::Object getDtype(const py::Object &dtypes, const char *name) {
  PyObject *dtype = PyDict_GetItemString(dtypes.get(), name);
  if (!dtype)
    py::raiseValueError(std::string("dtypes: expected one for ") + name);
  return py::Object::share(dtype);
}

Exchange::Exchange(py::Object api, std::vector<py::Object> types,
                   py::Object empty, const py::Object &dtypes,
                   int32_t deviceType)
    : api(findTable(api)), deviceType(deviceType), owner(std::move(api)),
      types(std::move(types)), empty(std::move(empty)),
      isNegated(py::from("is_neg")),
      dtypes{getDtype(dtypes, "bf16"), getDtype(dtypes, "f16"),
             getDtype(dtypes, "f32"),  getDtype(dtypes, "f64"),
             getDtype(dtypes, "i32"),  getDtype(dtypes, "i64")} {}

/// Whether the tensor's memory holds its values: a subclass may mean anything
/// by it, and a lazy negation is not in it.
bool Exchange::isReadable(PyObject *tensor) const {
  auto isType = [&](const py::Object &type) {
    return type.get() == reinterpret_cast<PyObject *>(Py_TYPE(tensor));
  };
  if (std::none_of(types.begin(), types.end(), isType))
    return false;
  py::Object negated = py::Object::take(
      PyObject_CallMethodObjArgs(tensor, isNegated.get(), nullptr));
  return negated.get() == Py_False;
}

bool Exchange::describe(PyObject *tensor, wyvern_tensor &out) const {
  if (!isReadable(tensor))
    return false;
  dlpack::Tensor view = {};
  if (api->describe(tensor, &view) != 0) {
    PyErr_Clear(); // one without memory, say
    return false;
  }
  std::optional<wyvern_dtype> dtype = readDtype(view.dtype);
  if (!dtype || view.device.type != deviceType || !view.strides ||
      view.rank > WYVERN_MAX_RANK)
    return false;
  out.data = static_cast<char *>(view.data) + view.byteOffset;
  out.dtype = *dtype;
  out.device = view.device.index;
  out.rank = (uint32_t)view.rank;
  std::copy_n(view.sizes, view.rank, out.sizes);
  std::copy_n(view.strides, view.rank, out.strides);
  return true;
}

py::Object Exchange::makeEmpty(const wyvern_tensor &shape,
                               const py::Object &device,
                               wyvern_tensor &made) const {
  py::Object sizes = py::Object::take(PyTuple_New(shape.rank));
  for (uint32_t i = 0; i < shape.rank; ++i)
    PyTuple_SetItem(sizes.get(), i, py::from(shape.sizes[i]).release());
  py::Object keywords = py::Object::take(PyDict_New());
  py::setItem(keywords, "dtype", dtypes[shape.dtype]);
  py::setItem(keywords, "device", device);
  py::Object tensor = py::Object::take(
      PyObject_Call(empty.get(), py::makeTuple(sizes).get(), keywords.get()));
  if (!describe(tensor.get(), made))
    py::raiseTypeError("expected the framework to make a plain tensor");
  return tensor;
}

void *Exchange::currentStream(int32_t device) const {
  void *stream = nullptr;
  if (api->currentStream(deviceType, device, &stream) != 0)
    throw py::Raised();
  return stream;
}
