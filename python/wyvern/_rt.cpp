//===- _rt.cpp - Python over the C runtime --------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Loads a program whose manifest Python has parsed (_rt_manifest.h) and passes
// tensors on. A tensor is any object with torch's data_ptr, shape, stride and
// dtype, or one that DLPack describes (_rt_exchange.h), so neither torch nor
// CUDA is needed to build this module.
//
//===----------------------------------------------------------------------===//

#include "_rt_exchange.h"
#include "_rt_manifest.h"
#include "_rt_xla.h"

#include "wyvern-rt/wyvern_rt.h"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>
#include <string>
#include <vector>

namespace py = pybind11;

namespace {

/// The exception type, with `status` (the enumerator's name) as an attribute.
PyObject *runtimeError = nullptr;

void check(wyvern_status status) {
  if (status == WYVERN_OK)
    return;
  py::object error = py::handle(runtimeError)(wyvern_last_error());
  error.attr("status") = wyvern_status_name(status);
  PyErr_SetObject(runtimeError, error.ptr());
  throw py::error_already_set();
}

/// How the tensors of a framework are read and copied.
class Framework {
public:
  /// `dtypes` maps the framework's dtypes to manifest names; `fresh(tensor,
  /// copy)` returns a dense tensor like `tensor`.
  Framework(const py::dict &dtypes, py::object fresh)
      : fresh(std::move(fresh)) {
    for (auto [dtype, name] : dtypes)
      this->dtypes[dtype] = (int)wyvern::dtypeOf(name.cast<std::string>());
  }

  py::object copy(const py::object &tensor, bool withValues) const {
    return fresh(tensor, withValues);
  }

  wyvern_tensor describe(const py::object &tensor, int device) const {
    wyvern_tensor value = {};
    py::tuple sizes = tensor.attr("shape"), strides = tensor.attr("stride")();
    py::object dtype = tensor.attr("dtype");
    if (sizes.size() > WYVERN_MAX_RANK)
      throw py::value_error("a tensor has rank " +
                            std::to_string(sizes.size()) +
                            ", expected at most 5");
    if (!dtypes.contains(dtype))
      throw py::type_error("a tensor has the unsupported dtype " +
                           py::repr(dtype).cast<std::string>());
    value.data = (void *)tensor.attr("data_ptr")().cast<uintptr_t>();
    value.dtype = (wyvern_dtype)dtypes[dtype].cast<int>();
    value.device = device;
    value.rank = (uint32_t)sizes.size();
    for (uint32_t i = 0; i < value.rank; ++i) {
      value.sizes[i] = PyLong_AsLongLong(sizes[i].ptr());
      value.strides[i] = PyLong_AsLongLong(strides[i].ptr());
    }
    return value;
  }

private:
  py::dict dtypes;
  py::object fresh;
};

class Program {
public:
  Program(const py::dict &object, const std::string &directory)
      : manifest(object), desc(manifest.getDesc()) {
    for (uint32_t i = 0; i < desc.num_tensors; ++i)
      if (desc.tensors[i].role == WYVERN_INPUT)
        inputNames.push_back(intern(desc.tensors[i].name));
    check(wyvern_program_load(&desc, directory.c_str(), &program));
  }
  ~Program() { wyvern_program_free(program); }
  Program(const Program &) = delete;

  void prepare(int device) {
    py::gil_scoped_release release;
    wyvern_status status = wyvern_program_prepare(program, device);
    py::gil_scoped_acquire acquire;
    check(status);
  }

  size_t workspaceSize(int64_t batch, int64_t tokens, int64_t packed) const {
    size_t bytes = 0;
    check(
        wyvern_program_workspace_size(program, batch, tokens, packed, &bytes));
    return bytes;
  }

  /// The name of the variant that a launch of these shapes runs.
  std::string choose(int64_t batch, int64_t tokens, int64_t packed) const {
    uint32_t variant = 0;
    check(wyvern_program_choose(program, batch, tokens, packed, &variant));
    return desc.variants[variant].name;
  }

  /// The estimate of each variant in cycles, in a program of several.
  std::vector<double> estimate(int64_t batch, int64_t tokens,
                               int64_t packed) const {
    std::vector<double> cycles(desc.num_variants);
    for (uint32_t v = 0; v < cycles.size(); ++v)
      check(
          wyvern_estimate_cycles(&desc, v, batch, tokens, packed, &cycles[v]));
    return cycles;
  }

  void forceVariant(const std::optional<std::string> &name) {
    check(
        wyvern_program_force_variant(program, name ? name->c_str() : nullptr));
  }

  /// `arguments`: one tensor or None for each input and output. Inputs whose
  /// layout the kernels cannot take are copied, outputs are copied back.
  void launch(const Framework &framework, const py::list &arguments, int device,
              py::object cuSeqlens, uintptr_t workspace, size_t workspaceBytes,
              uintptr_t stream) {
    std::vector<wyvern_tensor> values(desc.num_tensors, wyvern_tensor{});
    std::vector<py::object> copies;
    std::vector<std::pair<py::object, py::object>> copyBack;
    for (size_t i = 0; i < arguments.size(); ++i) {
      py::object tensor = arguments[i];
      if (tensor.is_none())
        continue;
      values[i] = framework.describe(tensor, device);
      if (wyvern_program_check_layout(program, (uint32_t)i, &values[i]) ==
              WYVERN_OK ||
          values[i].rank != desc.tensors[i].rank || isPool(desc.tensors[i]))
        continue;
      bool isInput = desc.tensors[i].role == WYVERN_INPUT;
      copies.push_back(framework.copy(tensor, isInput));
      values[i] = framework.describe(copies.back(), device);
      if (!isInput)
        copyBack.emplace_back(tensor, copies.back());
    }
    wyvern_tensor offsets = {};
    if (!cuSeqlens.is_none())
      offsets = framework.describe(cuSeqlens, device);
    check(wyvern_program_launch(
        program, values.data(), cuSeqlens.is_none() ? nullptr : &offsets,
        (void *)workspace, workspaceBytes, (void *)stream));
    for (auto &[tensor, copy] : copyBack)
      tensor.attr("copy_")(copy);
  }

  /// Runs the program on inputs that need no copy, and returns its outputs in
  /// order; None for those that have a bit in `skipped` (bit i: output i).
  /// Returns None where a launch does not take the inputs as they are: why, is
  /// for launch() to say.
  py::object runAsIs(const wyvern::Exchange &exchange, const py::tuple &inputs,
                     const py::object &cuSeqlens, uint64_t skipped) {
    std::vector<py::handle> handles(inputs.begin(), inputs.end());
    return run(exchange, handles, cuSeqlens, skipped, py::none());
  }

  /// The same with inputs by name, all of them, None for those that are left
  /// out, for the first output alone, which is `out` unless that is None. With
  /// `refusesGrad` it also returns None where one of them requires grad.
  py::object advance(const wyvern::Exchange &exchange, const py::dict &inputs,
                     bool refusesGrad, const py::object &out) {
    if (inputs.size() != inputNames.size() ||
        (refusesGrad && !out.is_none() && requiresGrad(out)))
      return py::none();
    std::vector<py::handle> handles;
    handles.reserve(inputNames.size());
    for (const py::str &name : inputNames) {
      PyObject *input = PyDict_GetItemWithError(inputs.ptr(), name.ptr());
      if (!input && PyErr_Occurred())
        throw py::error_already_set();
      if (!input || (refusesGrad && input != Py_None && requiresGrad(input)))
        return py::none();
      handles.emplace_back(input);
    }
    py::object outputs = run(exchange, handles, py::none(), 0, out);
    return outputs.is_none() ? outputs : py::object(outputs[py::int_(0)]);
  }

  void addForXla(const std::string &name) const {
    wyvern::addForXla(name, program, &desc);
  }

private:
  /// True for a pool of states: it is written where it is, so a copy would not
  /// do, and a launch says what is wrong with it.
  static bool isPool(const wyvern_tensor_desc &tensor) {
    return tensor.rank > 0 && tensor.dims[0].kind == WYVERN_DIM_SLOT;
  }

  /// The framework's device of the tensors.
  static py::object deviceOf(const std::vector<py::handle> &inputs) {
    for (py::handle input : inputs)
      if (!input.is_none())
        return input.attr("device");
    return py::none();
  }

  /// True for a tensor that a gradient is wanted of, and for what is none.
  bool requiresGrad(py::handle input) const {
    PyObject *found = PyObject_GetAttr(input.ptr(), gradName.ptr());
    if (!found)
      PyErr_Clear();
    Py_XDECREF(found);
    return found != Py_False;
  }

  /// As runAsIs; the first output is `out` unless that is None.
  py::object run(const wyvern::Exchange &exchange,
                 const std::vector<py::handle> &inputs,
                 const py::object &cuSeqlens, uint64_t skipped,
                 const py::object &out) {
    std::vector<wyvern_tensor> values(desc.num_tensors, wyvern_tensor{});
    wyvern_tensor offsets = {};
    for (size_t i = 0; i < inputs.size(); ++i)
      if (!inputs[i].is_none() && !exchange.describe(inputs[i], values[i]))
        return py::none();
    if (!cuSeqlens.is_none() && !exchange.describe(cuSeqlens, offsets))
      return py::none();
    const wyvern_tensor *packed = cuSeqlens.is_none() ? nullptr : &offsets;
    std::vector<wyvern_tensor> expected(desc.num_tensors);
    size_t bytes = 0;
    if (wyvern_program_expect(program, values.data(), packed, expected.data(),
                              &bytes) != WYVERN_OK)
      return py::none();
    py::object device = deviceOf(inputs), memory;
    py::tuple outputs(desc.num_tensors - inputs.size());
    for (size_t i = 0; i < outputs.size(); ++i) {
      size_t t = inputs.size() + i;
      outputs[i] = i == 0 ? out : py::none();
      bool isGiven = !outputs[i].is_none();
      if (isGiven && !exchange.describe(out, values[t]))
        return py::none();
      if (!isGiven && !(skipped >> i & 1))
        outputs[i] = exchange.makeEmpty(expected[t], device, values[t]);
    }
    wyvern_tensor workspace = {};
    if (bytes > 0) {
      const int64_t words = (int64_t)(bytes / 4);
      memory = exchange.makeEmpty(
          wyvern_tensor_dense(nullptr, WYVERN_I32, 0, 1, &words), device,
          workspace);
    }
    wyvern_status status = wyvern_program_launch(
        program, values.data(), packed, workspace.data, bytes,
        exchange.currentStream(expected[0].device));
    if (status == WYVERN_ERROR_INVALID_TENSOR)
      return py::none();
    check(status);
    return outputs;
  }

  /// The one string of this text that names in calls are, too: a dictionary
  /// finds it by its address.
  static py::str intern(const char *text) {
    auto name =
        py::reinterpret_steal<py::str>(PyUnicode_InternFromString(text));
    if (!name)
      throw py::error_already_set();
    return name;
  }

  wyvern::Manifest manifest;
  const wyvern_program_desc &desc;
  std::vector<py::str> inputNames;
  py::str gradName = intern("requires_grad");
  wyvern_program *program = nullptr;
};

} // namespace

/// Keeps the program alive, which XLA may call until the process ends.
static void addForXla(const py::object &self, const std::string &name) {
  self.cast<const Program &>().addForXla(name);
  self.inc_ref();
}

PYBIND11_MODULE(_rt, module) {
  module.doc() = "The runtime's C interface (wyvern_rt.h) in Python.";
  runtimeError =
      PyErr_NewExceptionWithDoc("wyvern.RuntimeError",
                                "What the runtime or the NVIDIA driver refuses "
                                "in a call: which tensor, and why.",
                                PyExc_RuntimeError, nullptr);
  module.attr("RuntimeError") = py::handle(runtimeError);
  module.attr("ABI_VERSION") = wyvern_abi_version();
  py::class_<Framework>(module, "Framework")
      .def(py::init<const py::dict &, py::object>(), py::arg("dtypes"),
           py::arg("fresh"));
  py::class_<wyvern::Exchange>(module, "Exchange")
      .def(py::init<const py::capsule &, py::tuple, py::object,
                    const py::dict &, int32_t>(),
           py::arg("api"), py::arg("types"), py::arg("empty"),
           py::arg("dtypes"), py::arg("device_type") = wyvern::dlpack::kCuda);
  py::class_<Program>(module, "Program")
      .def(py::init<const py::dict &, const std::string &>(),
           py::arg("manifest"), py::arg("directory"))
      .def("prepare", &Program::prepare, py::arg("device"))
      .def("workspace_size", &Program::workspaceSize, py::arg("batch"),
           py::arg("tokens"), py::arg("packed_sequences"))
      .def("choose", &Program::choose, py::arg("batch"), py::arg("tokens"),
           py::arg("packed_sequences"))
      .def("estimate", &Program::estimate, py::arg("batch"), py::arg("tokens"),
           py::arg("packed_sequences"))
      .def("force_variant", &Program::forceVariant, py::arg("name"))
      .def("launch", &Program::launch, py::arg("framework"),
           py::arg("arguments"), py::arg("device"), py::arg("cu_seqlens"),
           py::arg("workspace"), py::arg("workspace_bytes"), py::arg("stream"))
      .def("run_as_is", &Program::runAsIs, py::arg("exchange"),
           py::arg("inputs"), py::arg("cu_seqlens"), py::arg("skipped"))
      .def("advance", &Program::advance, py::arg("exchange"), py::arg("inputs"),
           py::arg("refuses_grad"), py::arg("out") = py::none())
      .def("add_for_xla", &addForXla, py::arg("name"),
           "Makes it known to xla_handler() by this name, for good.");
  module.attr("WORKSPACE_ALIGNMENT") = WYVERN_WORKSPACE_ALIGNMENT;
  module.def(
      "xla_handler", [] { return py::capsule(wyvern::getXlaHandler()); },
      "The handler of XLA's FFI for all GPU programs: initialize and execute.");
}
