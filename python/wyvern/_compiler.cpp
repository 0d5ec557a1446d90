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

#include "_compiler_xla.h"

#include "wyvern/Execution/CpuProgram.h"
#include "wyvern/Reference/Interpreter.h"
#include "wyvern/Spec/SpecReader.h"
#include "wyvern/Spec/SpecToModule.h"
#include "wyvern/Support/DiagnosticText.h"
#include "wyvern/Support/ParseMLIR.h"
#include "wyvern/Support/SourceLine.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/FormatVariadic.h"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

namespace py = pybind11;
using namespace mlir::wyvern;

template <typename T> static T unwrap(llvm::Expected<T> value) {
  if (!value)
    throw py::value_error(llvm::toString(value.takeError()));
  return std::move(*value);
}

//===----------------------------------------------------------------------===//
// Arrays
//===----------------------------------------------------------------------===//

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
  std::shared_ptr<void> owner;
  std::string dtype;
  void *data;
  std::vector<int64_t> shape;

  py::buffer_info getInfo() {
    auto [format, bytes] = getStorage(dtype);
    return py::buffer_info(data, bytes, format, shape.size(), shape,
                           py::detail::c_strides(shape, bytes));
  }
};
} // namespace

//===----------------------------------------------------------------------===//
// CPU programs
//===----------------------------------------------------------------------===//

static std::unique_ptr<CpuProgram>
compileCpu(const std::string &source, const std::string &entry,
           const std::string &phase, const std::string &operandType,
           bool training, const std::string &save, bool backward,
           const std::string &schedule, int64_t segmentTokens,
           const std::string &serving, const std::string &stateLayout,
           const std::string &stateType, const std::string &slotType,
           int64_t firstSlot, const std::string &stateRounding,
           const std::vector<std::string> &prologue,
           const std::vector<std::string> &epilogue, double normEpsilon,
           int64_t saveBytes) {
  CpuOptions options;
  options.training = training, options.save = save;
  options.saveBytes = saveBytes;
  options.serving = serving, options.stateLayout = stateLayout;
  options.stateType = stateType, options.slotType = slotType;
  options.firstSlot = firstSlot, options.stateRounding = stateRounding;
  options.prologue = prologue, options.epilogue = epilogue;
  options.normEpsilon = normEpsilon;
  options.entry = entry, options.phase = phase;
  options.operandType = operandType, options.backward = backward;
  options.schedule = schedule, options.segmentTokens = segmentTokens;
  auto compileReleased = [&] {
    py::gil_scoped_release released;
    return CpuProgram::compile(source, options);
  };
  return unwrap(compileReleased());
}

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
  std::vector<ResultBuffer> taken;
  std::vector<CpuResult> results = unwrap(runReleased());
  for (size_t i = 0; i < results.size(); ++i)
    taken.push_back({std::move(results[i].memory),
                     program.getResults()[i].dtype, results[i].buffer.data,
                     results[i].buffer.shape});
  return taken;
}

/// Keeps the program alive, which XLA may call until the process ends.
static void addForXla(const py::object &self, const std::string &name) {
  ::wyvern::addForXla(name, self.cast<const CpuProgram &>());
  self.inc_ref();
}

/// (name, dtype, shape with -1 where dynamic, (kind, rows a token) a dimension,
/// is a gate, is a residual, may be empty, is a pool of states) each.
static std::vector<py::tuple> describe(llvm::ArrayRef<CpuTensor> tensors) {
  std::vector<py::tuple> all;
  for (const CpuTensor &tensor : tensors) {
    std::vector<std::pair<std::string, int64_t>> dims;
    for (delta::BoundDim dim : tensor.dims)
      dims.emplace_back(delta::stringifyDimKind(dim.kind).str(), dim.multiple);
    bool isPool = llvm::any_of(tensor.dims, [](delta::BoundDim dim) {
      return dim.kind == delta::DimKind::slot;
    });
    all.push_back(py::make_tuple(tensor.name, tensor.dtype, tensor.shape, dims,
                                 tensor.isGate, tensor.isResidual,
                                 tensor.mayBeEmpty(), isPool));
  }
  return all;
}

//===----------------------------------------------------------------------===//
// Specs and the reference
//===----------------------------------------------------------------------===//

/// The layers of a spec (`format`: yaml or json) as (name, sequence-level MLIR,
/// canonical YAML, the same as JSON). A `dtype` that is not empty replaces the
/// spec's.
static std::vector<py::tuple> readSpec(const std::string &text,
                                       const std::string &fileName,
                                       const std::string &format,
                                       const std::string &dtype) {
  llvm::SourceMgr sources;
  std::string messages;
  auto append = [](const llvm::SMDiagnostic &diagnostic, void *messages) {
    llvm::raw_string_ostream os(*static_cast<std::string *>(messages));
    printDiagnostic(diagnostic, os);
  };
  sources.setDiagHandler(append, &messages);
  sources.AddNewSourceBuffer(
      llvm::MemoryBuffer::getMemBufferCopy(text, fileName), llvm::SMLoc());

  std::vector<LayerSpec> specs;
  mlir::LogicalResult status = mlir::success();
  if (format == "json") {
    auto read = readModelConfig(sources);
    status = read;
    if (succeeded(read))
      specs = std::move(*read);
  } else {
    auto read = readYAMLSpec(sources);
    status = read;
    if (succeeded(read))
      specs.push_back(std::move(*read));
  }
  if (failed(status))
    throw py::value_error(llvm::StringRef(messages).rtrim().str());

  mlir::DialectRegistry registry;
  registerCpuDialects(registry);
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  std::vector<py::tuple> layers;
  for (LayerSpec &spec : specs) {
    if (dtype == "f64")
      spec.dtype = ElementKind::F64;
    std::string module, yaml;
    llvm::raw_string_ostream moduleOs(module), yamlOs(yaml);
    buildModule(&context, spec)->print(moduleOs);
    printSpec(spec, yamlOs);
    std::string json = llvm::formatv("{0}", llvm::json::Value(toJSON(spec)));
    layers.push_back(py::make_tuple(spec.name, module, yaml, json));
  }
  return layers;
}

/// Raises where parsing MLIR text would be the end of the process.
static void checkMLIR(const std::string &text) {
  auto checkReleased = [&] {
    py::gil_scoped_release released;
    mlir::DialectRegistry registry;
    registerCpuDialects(registry);
    return findParserCrash(text, registry);
  };
  if (auto crash = checkReleased())
    throw py::value_error(*crash);
}

static reference::NDArray getArray(const py::buffer_info &info) {
  reference::NDArray array;
  array.shape.assign(info.shape.begin(), info.shape.end());
  auto *data = static_cast<const double *>(info.ptr);
  array.data.assign(data, data + info.size);
  return array;
}

/// Interprets the module's function on contiguous float64 arrays by name.
static std::map<std::string, ResultBuffer>
interpret(const std::string &source,
          const std::map<std::string, py::buffer> &arrays) {
  reference::NamedArrays arguments;
  for (const auto &[name, array] : arrays)
    arguments[name] = getArray(array.request());
  auto interpretReleased = [&]() -> llvm::Expected<reference::NamedArrays> {
    py::gil_scoped_release released;
    mlir::DialectRegistry registry;
    reference::registerInterpretedDialects(registry);
    mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
    DiagnosticText diagnostics(&context);
    auto module = mlir::parseSourceString<mlir::ModuleOp>(source, &context);
    if (!module)
      return diagnostics.getError("the source does not parse");
    auto functions = module->getOps<mlir::func::FuncOp>();
    if (!llvm::hasSingleElement(functions))
      return llvm::createStringError("expected one function");
    auto results = reference::interpret(*functions.begin(), arguments);
    if (failed(results))
      return diagnostics.getError("the interpreter failed");
    return std::move(*results);
  };
  std::map<std::string, ResultBuffer> taken;
  for (auto &[name, array] : unwrap(interpretReleased())) {
    auto owner = std::make_shared<reference::NDArray>(std::move(array));
    taken[name] = {owner, "f64", owner->data.data(), owner->shape};
  }
  return taken;
}

PYBIND11_MODULE(_compiler, m) {
  m.doc() = "Wyvern's compiler; use the functions of the package wyvern.";
  py::class_<ResultBuffer>(m, "ResultBuffer", py::buffer_protocol())
      .def_buffer(&ResultBuffer::getInfo);
  py::class_<CpuProgram>(m, "CpuProgram")
      .def_property_readonly(
          "name", [](const CpuProgram &p) { return p.getName().str(); })
      .def_property_readonly("has_backward", &CpuProgram::hasBackward)
      .def_property_readonly("kept_chunk", &CpuProgram::getKeptChunk)
      .def_property_readonly(
          "inputs", [](const CpuProgram &p) { return describe(p.getInputs()); })
      .def_property_readonly(
          "results",
          [](const CpuProgram &p) { return describe(p.getResults()); })
      .def("run", &run, py::arg("arrays"),
           "Runs on one array an input; one buffer a result.")
      .def("add_for_xla", &addForXla, py::arg("name"),
           "Makes it known to xla_handler() by this name, for good.");
  m.def(
      "xla_handler", [] { return py::capsule(::wyvern::getXlaHandler()); },
      "The handler of XLA's FFI for all CPU programs.");
  m.def("compile_cpu", &compileCpu, py::arg("source"), py::arg("entry") = "",
        py::arg("phase") = "wy", py::arg("operand_type") = "bf16",
        py::arg("training") = false, py::arg("save") = "factor",
        py::arg("backward") = false, py::arg("schedule") = "separate",
        py::arg("segment_tokens") = 0, py::arg("serving") = "",
        py::arg("state_layout") = "vk", py::arg("state_type") = "f32",
        py::arg("slot_type") = "i32", py::arg("first_slot") = 0,
        py::arg("state_rounding") = "nearest",
        py::arg("prologue") = std::vector<std::string>(),
        py::arg("epilogue") = std::vector<std::string>(),
        py::arg("norm_epsilon") = CpuOptions().normEpsilon,
        py::arg("save_bytes") = CpuOptions().saveBytes,
        "Compiles MLIR text at any phase from the sequence level on.");
  m.def("read_spec", &readSpec, py::arg("text"), py::arg("file_name"),
        py::arg("format"), py::arg("dtype") = "",
        "The layers of a spec: (name, MLIR, YAML, JSON) each.");
  m.def("check_mlir", &checkMLIR, py::arg("text"),
        "Raises ValueError where parsing MLIR text would end the process.");
  m.def("interpret", &interpret, py::arg("source"), py::arg("arrays"),
        "Runs MLIR text token by token in float64.");
}
