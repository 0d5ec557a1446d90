//===- _compiler.cpp - The compiler, as a Python extension module ---------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Thin: names, dtypes and their messages are _compile.py's business. Arrays
// come and go through the buffer protocol (bf16 as uint16), so that one build
// serves every version of NumPy.
//
//===----------------------------------------------------------------------===//

#include "wyvern/Execution/CpuProgram.h"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

namespace py = pybind11;
using namespace mlir::wyvern;

template <typename T> static T unwrap(llvm::Expected<T> value) {
  if (!value)
    throw py::value_error(llvm::toString(value.takeError()));
  return std::move(*value);
}

/// The struct-module format that holds elements of `dtype`, and their bytes.
static std::pair<const char *, py::ssize_t>
getStorage(const std::string &dtype) {
  static const std::map<std::string, std::pair<const char *, py::ssize_t>>
      formats = {{"bf16", {"H", 2}}, {"f16", {"e", 2}}, {"f32", {"f", 4}},
                 {"f64", {"d", 8}},  {"i32", {"i", 4}}, {"i64", {"q", 8}}};
  return formats.at(dtype);
}

/// `info` as a buffer of the program; its strides come in elements there.
static CpuBuffer getBuffer(const py::buffer_info &info,
                           const CpuTensor &tensor) {
  auto fail = [&](const char *what) {
    throw py::value_error(tensor.name + ": " + what);
  };
  if (info.itemsize != getStorage(tensor.dtype).second)
    fail("elements of the wrong size");
  CpuBuffer buffer;
  buffer.data = info.ptr;
  buffer.shape.assign(info.shape.begin(), info.shape.end());
  for (py::ssize_t stride : info.strides) {
    if (stride % info.itemsize != 0)
      fail("strides that are no multiples of the element size");
    buffer.strides.push_back(stride / info.itemsize);
  }
  return buffer;
}

namespace {
/// A result, seen from Python through the buffer protocol.
struct ResultBuffer {
  CpuResult result;
  std::string dtype;

  py::buffer_info getInfo() {
    auto [format, bytes] = getStorage(dtype);
    std::vector<py::ssize_t> strides(result.buffer.strides);
    for (py::ssize_t &stride : strides)
      stride *= bytes;
    return py::buffer_info(result.buffer.data, bytes, format,
                           result.buffer.shape.size(), result.buffer.shape,
                           strides);
  }
};
} // namespace

static std::vector<ResultBuffer> run(const CpuProgram &program,
                                     const std::vector<py::buffer> &arrays) {
  if (arrays.size() != program.getInputs().size())
    throw py::value_error("expected one array an input");
  std::vector<py::buffer_info> infos;
  std::vector<CpuBuffer> buffers;
  for (size_t i = 0; i < arrays.size(); ++i) {
    infos.push_back(arrays[i].request());
    buffers.push_back(getBuffer(infos.back(), program.getInputs()[i]));
  }
  auto runReleased = [&] {
    py::gil_scoped_release released;
    return program.run(buffers);
  };
  std::vector<CpuResult> results = unwrap(runReleased());
  std::vector<ResultBuffer> taken;
  for (size_t i = 0; i < results.size(); ++i)
    taken.push_back({std::move(results[i]), program.getResults()[i].dtype});
  return taken;
}

static std::unique_ptr<CpuProgram> compileText(const std::string &source,
                                               const std::string &entry) {
  auto compileReleased = [&] {
    py::gil_scoped_release released;
    return CpuProgram::compile(source, entry);
  };
  return unwrap(compileReleased());
}

static std::vector<py::tuple> describe(llvm::ArrayRef<CpuTensor> tensors) {
  std::vector<py::tuple> all;
  for (const CpuTensor &tensor : tensors) {
    std::vector<std::string> dims;
    for (delta::BoundDim dim : tensor.dims)
      dims.push_back(delta::stringifyDimKind(dim.kind).str());
    all.push_back(
        py::make_tuple(tensor.name, tensor.dtype, tensor.shape, dims));
  }
  return all;
}

PYBIND11_MODULE(_compiler, m) {
  m.doc() = "Wyvern's compiler; use the functions of the package wyvern.";
  py::class_<ResultBuffer>(m, "ResultBuffer", py::buffer_protocol())
      .def_buffer(&ResultBuffer::getInfo);
  py::class_<CpuProgram>(m, "CpuProgram")
      .def_property_readonly(
          "name", [](const CpuProgram &p) { return p.getName().str(); })
      .def_property_readonly(
          "inputs", [](const CpuProgram &p) { return describe(p.getInputs()); },
          "(name, dtype, shape with -1 where dynamic, kinds of dimension) an "
          "input")
      .def_property_readonly(
          "results",
          [](const CpuProgram &p) { return describe(p.getResults()); })
      .def("run", &run, py::arg("arrays"),
           "Runs on one array an input; one buffer a result.");
  m.def("compile_cpu", &compileText, py::arg("source"), py::arg("entry") = "",
        "Compiles MLIR text at any phase from sequence level to rounded.");
}
