//===- _compiler.cpp - The compiler, as a Python extension module ---------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Thin: names, dtypes and their messages are the business of _core/compile.py.
// Arrays come and go through NumPy's array interface (bf16 as uint16), so that
// one build serves every version of NumPy.
//
//===----------------------------------------------------------------------===//

#include "_compiler_xla.h"
#include "_py.h"

#include "wyvern/Execution/CpuProgram.h"
#include "wyvern/Reference/Interpreter.h"
#include "wyvern/Spec/SpecReader.h"
#include "wyvern/Spec/SpecToModule.h"
#include "wyvern/Support/DiagnosticText.h"
#include "wyvern/Support/ParseMLIR.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/FormatVariadic.h"

namespace py = wyvern::py;
using namespace mlir::wyvern;

template <typename T> static T take(llvm::Expected<T> value) {
  if (!value)
    py::raiseValueError(llvm::toString(value.takeError()));
  return std::move(*value);
}

//===----------------------------------------------------------------------===//
// Arrays
//===----------------------------------------------------------------------===//

/// How the array interface names the type that holds elements of `dtype`.
static const std::string &getTypestr(const std::string &dtype) {
  static const std::map<std::string, std::string> typestrs = {
      {"bf16", "<u2"}, {"f16", "<f2"}, {"f32", "<f4"},
      {"f64", "<f8"},  {"i32", "<i4"}, {"i64", "<i8"}};
  return typestrs.at(dtype);
}

static int64_t getBytes(const std::string &dtype) {
  return getTypestr(dtype).back() - '0';
}

/// Describes an array of NumPy; strides come in bytes there, in elements here.
static CpuBuffer getBuffer(const py::Object &array, const std::string &name,
                           const std::string &dtype) {
  auto fail = [&](const char *what) {
    py::raiseValueError(name + ": " + what);
  };
  py::Object described = array.getAttr("__array_interface__");
  auto get = [&](const char *key) {
    PyObject *value = PyDict_GetItemString(described.get(), key);
    return value ? py::Object::share(value) : py::Object::none();
  };
  int64_t bytes = getBytes(dtype);
  if (py::to<std::string>(get("typestr").get()).substr(2) !=
      std::to_string(bytes))
    fail("elements of the wrong size");
  CpuBuffer buffer;
  auto data = py::to<std::vector<py::Object>>(get("data").get());
  buffer.data = reinterpret_cast<void *>(py::to<uintptr_t>(data.at(0).get()));
  buffer.shape = py::to<std::vector<int64_t>>(get("shape").get());
  buffer.strides.assign(buffer.shape.size(), 1);
  for (size_t i = buffer.shape.size(); i-- > 1;)
    buffer.strides[i - 1] = buffer.strides[i] * buffer.shape[i];
  auto strides =
      py::to<std::optional<std::vector<int64_t>>>(get("strides").get());
  if (!strides)
    return buffer;
  for (auto [i, stride] : llvm::enumerate(*strides)) {
    if (stride % bytes != 0)
      fail("strides that are no multiples of the element size");
    buffer.strides[i] = stride / bytes;
  }
  return buffer;
}

namespace {
/// A result, which NumPy sees through its array interface.
struct ResultBuffer {
  std::shared_ptr<void> owner;
  std::string dtype;
  void *data;
  std::vector<int64_t> shape;
};
} // namespace

static py::Object makeResult(ResultBuffer result) {
  return py::wrap(std::make_unique<ResultBuffer>(std::move(result)));
}

static PyObject *getArrayInterface(PyObject *self, void *) {
  return py::guard([&] {
    const auto &result = py::unwrap<ResultBuffer>(self);
    py::Object shape =
        py::Object::take(PySequence_Tuple(py::from(result.shape).get()));
    // Null means to NumPy that there is no array, not that it is empty.
    static char nothing alignas(16);
    void *data = result.data ? result.data : &nothing;
    py::Object described = py::Object::take(PyDict_New());
    py::setItem(described, "version", py::from(int64_t{3}));
    py::setItem(described, "typestr", py::from(getTypestr(result.dtype)));
    py::setItem(described, "shape", shape);
    py::setItem(described, "data",
                py::makeTuple(reinterpret_cast<uintptr_t>(data), false));
    return described;
  });
}

//===----------------------------------------------------------------------===//
// CPU programs
//===----------------------------------------------------------------------===//

static PyObject *compileCpu(PyObject *, PyObject *positional, PyObject *named) {
  return py::guard([&] {
    py::Arguments given("compile_cpu",
                        {"source", "entry", "phase", "operand_type", "training",
                         "save", "backward", "schedule", "segment_tokens",
                         "serving", "state_layout", "state_type", "slot_type",
                         "first_slot", "prologue"},
                        1, positional, named);
    auto source = given.get<std::string>(0);
    CpuOptions options;
    auto read = [&](size_t i, auto &option) {
      option = given.get<std::decay_t<decltype(option)>>(i, option);
    };
    read(1, options.entry);
    read(2, options.phase);
    read(3, options.operandType);
    read(4, options.training);
    read(5, options.save);
    read(6, options.backward);
    read(7, options.schedule);
    read(8, options.segmentTokens);
    read(9, options.serving);
    read(10, options.stateLayout);
    read(11, options.stateType);
    read(12, options.slotType);
    read(13, options.firstSlot);
    read(14, options.prologue);
    auto compileUnlocked = [&] {
      py::Unlocked unlocked;
      return CpuProgram::compile(source, options);
    };
    return py::wrap(take(compileUnlocked()));
  });
}

static PyObject *run(PyObject *self, PyObject *positional, PyObject *named) {
  return py::guard([&] {
    py::Arguments given("run", {"arrays"}, 1, positional, named);
    const auto &program = py::unwrap<CpuProgram>(self);
    auto arrays = given.get<std::vector<py::Object>>(0);
    if (arrays.size() != program.getInputs().size())
      py::raiseValueError("expected one array an input");
    std::vector<CpuBuffer> buffers;
    for (auto [array, tensor] : llvm::zip_equal(arrays, program.getInputs()))
      buffers.push_back(getBuffer(array, tensor.name, tensor.dtype));
    auto runUnlocked = [&] {
      py::Unlocked unlocked;
      return program.run(buffers);
    };
    std::vector<py::Object> taken;
    std::vector<CpuResult> results = take(runUnlocked());
    for (auto [result, tensor] : llvm::zip_equal(results, program.getResults()))
      taken.push_back(makeResult({std::move(result.memory), tensor.dtype,
                                  result.buffer.data, result.buffer.shape}));
    return py::from(taken);
  });
}

/// Keeps the program alive, which XLA may call until the process ends.
static PyObject *addForXla(PyObject *self, PyObject *positional,
                           PyObject *named) {
  return py::guard([&] {
    py::Arguments given("add_for_xla", {"name"}, 1, positional, named);
    ::wyvern::addForXla(given.get<std::string>(0),
                        py::unwrap<CpuProgram>(self));
    Py_INCREF(self);
    return py::Object::none();
  });
}

/// (name, dtype, shape with -1 where dynamic, (kind, rows a token) a dimension,
/// is a gate, is a residual, may be empty, is a pool of states) each.
static py::Object describe(llvm::ArrayRef<CpuTensor> tensors) {
  std::vector<py::Object> all;
  for (const CpuTensor &tensor : tensors) {
    std::vector<py::Object> dims;
    for (delta::BoundDim dim : tensor.dims)
      dims.push_back(py::makeTuple(delta::stringifyDimKind(dim.kind).str(),
                                   (int64_t)dim.multiple));
    bool isPool = llvm::any_of(tensor.dims, [](delta::BoundDim dim) {
      return dim.kind == delta::DimKind::slot;
    });
    all.push_back(py::makeTuple(tensor.name, tensor.dtype, tensor.shape, dims,
                                tensor.isGate, tensor.isResidual,
                                tensor.mayBeEmpty(), isPool));
  }
  return py::from(all);
}

static PyObject *getName(PyObject *self, void *) {
  return py::guard(
      [&] { return py::from(py::unwrap<CpuProgram>(self).getName().str()); });
}

static PyObject *hasBackward(PyObject *self, void *) {
  return py::guard(
      [&] { return py::from(py::unwrap<CpuProgram>(self).hasBackward()); });
}

static PyObject *getInputs(PyObject *self, void *) {
  return py::guard(
      [&] { return describe(py::unwrap<CpuProgram>(self).getInputs()); });
}

static PyObject *getResults(PyObject *self, void *) {
  return py::guard(
      [&] { return describe(py::unwrap<CpuProgram>(self).getResults()); });
}

//===----------------------------------------------------------------------===//
// Specs and the reference
//===----------------------------------------------------------------------===//

/// The layers of a spec (`format`: yaml or json) as (name, sequence-level MLIR,
/// canonical YAML, the same as JSON). A `dtype` that is not empty replaces the
/// spec's.
static py::Object readLayers(const std::string &text,
                             const std::string &fileName,
                             const std::string &format,
                             const std::string &dtype) {
  llvm::SourceMgr sources;
  std::string messages;
  auto append = [](const llvm::SMDiagnostic &diagnostic, void *messages) {
    llvm::raw_string_ostream os(*static_cast<std::string *>(messages));
    diagnostic.print(nullptr, os, /*ShowColors=*/false);
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
    py::raiseValueError(llvm::StringRef(messages).rtrim().str());

  mlir::DialectRegistry registry;
  registerCpuDialects(registry);
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  std::vector<py::Object> layers;
  for (LayerSpec &spec : specs) {
    if (dtype == "f64")
      spec.dtype = ElementKind::F64;
    std::string module, yaml;
    llvm::raw_string_ostream moduleOs(module), yamlOs(yaml);
    buildModule(&context, spec)->print(moduleOs);
    printSpec(spec, yamlOs);
    std::string json = llvm::formatv("{0}", llvm::json::Value(toJSON(spec)));
    layers.push_back(py::makeTuple(spec.name, module, yaml, json));
  }
  return py::from(layers);
}

static PyObject *readSpec(PyObject *, PyObject *positional, PyObject *named) {
  return py::guard([&] {
    py::Arguments given("read_spec", {"text", "file_name", "format", "dtype"},
                        3, positional, named);
    return readLayers(given.get<std::string>(0), given.get<std::string>(1),
                      given.get<std::string>(2), given.get<std::string>(3, ""));
  });
}

static PyObject *checkMLIR(PyObject *, PyObject *positional, PyObject *named) {
  return py::guard([&] {
    py::Arguments given("check_mlir", {"text"}, 1, positional, named);
    auto text = given.get<std::string>(0);
    auto checkUnlocked = [&] {
      py::Unlocked unlocked;
      mlir::DialectRegistry registry;
      registerCpuDialects(registry);
      return findParserCrash(text, registry);
    };
    if (auto crash = checkUnlocked())
      py::raiseValueError(*crash);
    return py::Object::none();
  });
}

/// Copies contiguous float64 arrays by name.
static reference::NamedArrays getArrays(PyObject *arrays) {
  reference::NamedArrays copies;
  if (!PyDict_Check(arrays))
    py::raiseTypeError("interpret: expected a dict of arrays");
  PyObject *key = nullptr, *value = nullptr;
  for (Py_ssize_t at = 0; PyDict_Next(arrays, &at, &key, &value);) {
    auto name = py::to<std::string>(key);
    CpuBuffer buffer = getBuffer(py::Object::share(value), name, "f64");
    auto *data = static_cast<const double *>(buffer.data);
    int64_t size = 1;
    for (int64_t extent : buffer.shape)
      size *= extent;
    copies[name].shape = buffer.shape;
    copies[name].data.assign(data, data + size);
  }
  return copies;
}

static llvm::Expected<reference::NamedArrays>
interpretModule(const std::string &source,
                const reference::NamedArrays &arguments) {
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
}

/// Interprets the module's function on contiguous float64 arrays by name.
static PyObject *interpret(PyObject *, PyObject *positional, PyObject *named) {
  return py::guard([&] {
    py::Arguments given("interpret", {"source", "arrays"}, 2, positional,
                        named);
    auto source = given.get<std::string>(0);
    reference::NamedArrays arguments = getArrays(given[1]);
    auto interpretUnlocked = [&] {
      py::Unlocked unlocked;
      return interpretModule(source, arguments);
    };
    py::Object taken = py::Object::take(PyDict_New());
    for (auto &[name, array] : take(interpretUnlocked())) {
      auto owner = std::make_shared<reference::NDArray>(std::move(array));
      py::setItem(taken, name.c_str(),
                  makeResult({owner, "f64", owner->data.data(), owner->shape}));
    }
    return taken;
  });
}

//===----------------------------------------------------------------------===//
// The module
//===----------------------------------------------------------------------===//

static PyObject *getXlaHandler(PyObject *, PyObject *) {
  return PyCapsule_New(::wyvern::getXlaHandler(), nullptr, nullptr);
}

static PyMethodDef programMethods[] = {
    py::method("run", &run, "Runs on one array an input; one buffer a result."),
    py::method("add_for_xla", &addForXla,
               "Makes it known to xla_handler() by this name, for good."),
    {}};
static PyGetSetDef programProperties[] = {
    py::property("name", &getName),
    py::property("has_backward", &hasBackward),
    py::property("inputs", &getInputs),
    py::property("results", &getResults),
    {}};
static PyMethodDef noMethods[] = {{}};
static PyGetSetDef resultProperties[] = {
    py::property("__array_interface__", &getArrayInterface), {}};

static PyMethodDef functions[] = {
    {"xla_handler", &getXlaHandler, METH_NOARGS,
     "The handler of XLA's FFI for all CPU programs."},
    py::method("compile_cpu", &compileCpu,
               "Compiles MLIR text at any phase from the sequence level on."),
    py::method("read_spec", &readSpec,
               "The layers of a spec: (name, MLIR, YAML, JSON) each."),
    py::method("check_mlir", &checkMLIR,
               "Raises ValueError where parsing MLIR text would end the "
               "process."),
    py::method("interpret", &interpret,
               "Runs MLIR text token by token in float64."),
    {}};
static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    "_compiler",
    "Wyvern's compiler; use the functions of the package wyvern.",
    /*m_size=*/-1,
    functions,
    nullptr,
    nullptr,
    nullptr,
    nullptr};

static py::Object makeModule() {
  py::Object made = py::Object::take(PyModule_Create(&definition));
  py::addClass<ResultBuffer>(made.get(), "wyvern._compiler.ResultBuffer",
                             &py::refuseNew, noMethods, resultProperties);
  py::addClass<CpuProgram>(made.get(), "wyvern._compiler.CpuProgram",
                           &py::refuseNew, programMethods, programProperties);
  return made;
}

PyMODINIT_FUNC PyInit__compiler() { return py::guard(makeModule); }
