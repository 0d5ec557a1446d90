//===- _rt.cpp - Python over the C runtime --------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Builds the C descriptors from a parsed manifest and passes tensors on. A
// tensor is any object with torch's data_ptr, shape, stride and dtype, or one
// that DLPack describes (_rt_exchange.h), so neither torch nor CUDA is needed
// to build this module.
//
//===----------------------------------------------------------------------===//

#include "_rt_exchange.h"
#include "_rt_xla.h"

#include "wyvern-rt/wyvern_rt.h"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <deque>
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

template <typename T>
T lookUp(const char *what, const std::string &key,
         std::initializer_list<std::pair<const char *, T>> values) {
  std::string known;
  for (const auto &[name, value] : values) {
    if (key == name)
      return value;
    known += std::string(known.empty() ? "" : ", ") + name;
  }
  throw py::value_error("manifest: unknown " + std::string(what) + " '" + key +
                        "', expected one of " + known);
}

wyvern_dtype dtypeOf(const std::string &name) {
  return lookUp<wyvern_dtype>("dtype", name,
                              {{"bf16", WYVERN_BF16},
                               {"f16", WYVERN_F16},
                               {"f32", WYVERN_F32},
                               {"f64", WYVERN_F64},
                               {"i32", WYVERN_I32},
                               {"i64", WYVERN_I64}});
}

/// A member of a manifest object; its absence names the key, and so does a
/// value that is none, a null in the place of a number.
template <typename T> T get(const py::dict &object, const char *key) {
  auto refuse = [&](const std::string &expected) {
    return py::value_error("manifest: expected " + expected + " '" + key +
                           "' in " + py::repr(object).cast<std::string>());
  };
  if (!object.contains(key))
    throw refuse("the key");
  try {
    return object[key].cast<T>();
  } catch (const py::cast_error &) {
    throw refuse("another value of");
  }
}

template <typename T> T get(const py::dict &object, const char *key, T absent) {
  return object.contains(key) ? get<T>(object, key) : absent;
}

/// How the tensors of a framework are read and copied.
class Framework {
public:
  /// `dtypes` maps the framework's dtypes to manifest names; `fresh(tensor,
  /// copy)` returns a dense tensor like `tensor`.
  Framework(const py::dict &dtypes, py::object fresh)
      : fresh(std::move(fresh)) {
    for (auto [dtype, name] : dtypes)
      this->dtypes[dtype] = (int)dtypeOf(name.cast<std::string>());
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
  Program(const py::dict &manifest, const std::string &directory) {
    for (py::handle tensor : get<py::list>(manifest, "tensors"))
      tensors.push_back(readTensor(tensor.cast<py::dict>()));
    for (const wyvern_tensor_desc &tensor : tensors)
      if (tensor.role == WYVERN_INPUT)
        inputNames.push_back(intern(tensor.name));
    for (py::handle variant : get<py::list>(manifest, "variants"))
      addVariant(variant.cast<py::dict>());
    if (manifest.contains("machine")) {
      auto machine = get<py::dict>(manifest, "machine");
      desc.machine = {get<uint32_t>(machine, "sms"),
                      get<uint32_t>(machine, "bytes_per_cycle"),
                      get<uint32_t>(machine, "launch_cycles")};
    }
    desc.abi_version = WYVERN_ABI_VERSION;
    desc.name = keep(get<std::string>(manifest, "name"));
    desc.target = keep(get<std::string>(manifest, "target"));
    desc.chunk = get<int64_t>(manifest, "chunk");
    desc.num_tensors = (uint32_t)tensors.size();
    desc.tensors = tensors.data();
    desc.num_variants = (uint32_t)variants.size();
    desc.variants = variants.data();
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
    return variants[variant].name;
  }

  /// The estimate of each variant in cycles, in a program of several.
  std::vector<double> estimate(int64_t batch, int64_t tokens,
                               int64_t packed) const {
    std::vector<double> cycles(variants.size());
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
    std::vector<wyvern_tensor> values(tensors.size(), wyvern_tensor{});
    std::vector<py::object> copies;
    std::vector<std::pair<py::object, py::object>> copyBack;
    for (size_t i = 0; i < arguments.size(); ++i) {
      py::object tensor = arguments[i];
      if (tensor.is_none())
        continue;
      values[i] = framework.describe(tensor, device);
      if (wyvern_program_check_layout(program, (uint32_t)i, &values[i]) ==
              WYVERN_OK ||
          values[i].rank != tensors[i].rank || isPool(tensors[i]))
        continue;
      bool isInput = tensors[i].role == WYVERN_INPUT;
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
    std::vector<wyvern_tensor> values(tensors.size(), wyvern_tensor{});
    wyvern_tensor offsets = {};
    for (size_t i = 0; i < inputs.size(); ++i)
      if (!inputs[i].is_none() && !exchange.describe(inputs[i], values[i]))
        return py::none();
    if (!cuSeqlens.is_none() && !exchange.describe(cuSeqlens, offsets))
      return py::none();
    const wyvern_tensor *packed = cuSeqlens.is_none() ? nullptr : &offsets;
    std::vector<wyvern_tensor> expected(tensors.size());
    size_t bytes = 0;
    if (wyvern_program_expect(program, values.data(), packed, expected.data(),
                              &bytes) != WYVERN_OK)
      return py::none();
    py::object device = deviceOf(inputs), memory;
    py::tuple outputs(tensors.size() - inputs.size());
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

  const char *keep(std::string text) {
    strings.push_back(std::move(text));
    return strings.back().c_str();
  }

  wyvern_tensor_desc readTensor(const py::dict &object) {
    wyvern_tensor_desc tensor = {};
    tensor.name = keep(get<std::string>(object, "name"));
    tensor.role = lookUp<wyvern_role>("role", get<std::string>(object, "role"),
                                      {{"input", WYVERN_INPUT},
                                       {"output", WYVERN_OUTPUT},
                                       {"workspace", WYVERN_WORKSPACE}});
    tensor.dtype = dtypeOf(get<std::string>(object, "dtype"));
    tensor.optional = get(object, "optional", false);
    py::list dims = get<py::list>(object, "dims");
    if (dims.size() > WYVERN_MAX_RANK)
      throw py::value_error("manifest: tensor '" + std::string(tensor.name) +
                            "' has more than 5 dimensions");
    for (py::handle handle : dims) {
      auto dim = handle.cast<py::dict>();
      wyvern_dim_desc &out = tensor.dims[tensor.rank++];
      out.kind = lookUp<wyvern_dim_kind>("dimension kind",
                                         get<std::string>(dim, "kind"),
                                         {{"seq", WYVERN_DIM_SEQ},
                                          {"time", WYVERN_DIM_TIME},
                                          {"chunk", WYVERN_DIM_CHUNK},
                                          {"head", WYVERN_DIM_HEAD},
                                          {"whole", WYVERN_DIM_WHOLE},
                                          {"slot", WYVERN_DIM_SLOT},
                                          {"segment", WYVERN_DIM_SEGMENT}});
      if (out.kind == WYVERN_DIM_TIME || out.kind == WYVERN_DIM_CHUNK)
        out.multiple = get(dim, "multiple", 1u);
      if (out.kind == WYVERN_DIM_HEAD || out.kind == WYVERN_DIM_WHOLE)
        out.size = get<int64_t>(dim, "size");
      if (out.kind == WYVERN_DIM_TIME)
        out.size = get<int64_t>(dim, "most", 0);
    }
    return tensor;
  }

  void addVariant(const py::dict &object) {
    workspaces.emplace_back();
    for (py::handle tensor : get<py::list>(object, "workspace"))
      workspaces.back().push_back(readTensor(tensor.cast<py::dict>()));
    kernels.emplace_back();
    for (py::handle kernel : get<py::list>(object, "kernels"))
      addKernel(kernel.cast<py::dict>());
    wyvern_variant_desc variant = {};
    variant.name = keep(get<std::string>(object, "name"));
    variant.num_workspace = (uint32_t)workspaces.back().size();
    variant.workspace = workspaces.back().data();
    variant.num_kernels = (uint32_t)kernels.back().size();
    variant.kernels = kernels.back().data();
    if (object.contains("cut")) {
      auto cut = get<py::dict>(object, "cut");
      variant.cut = {get<bool>(cut, "reverse"), get<uint32_t>(cut, "first"),
                     get<uint32_t>(cut, "second"), get<uint32_t>(cut, "last")};
    }
    variants.push_back(variant);
  }

  /// The tensor that the last variant's parameters call by this name.
  const wyvern_tensor_desc &describe(uint32_t index) const {
    return index < tensors.size() ? tensors[index]
                                  : workspaces.back()[index - tensors.size()];
  }

  uint32_t indexOf(const std::string &name) const {
    auto count = (uint32_t)(tensors.size() + workspaces.back().size());
    for (uint32_t i = 0; i < count; ++i)
      if (name == describe(i).name)
        return i;
    throw py::value_error("manifest: a parameter names the tensor '" + name +
                          "', which is not listed");
  }

  /// True where a kernel waits before it begins, `last` where in the end.
  static wyvern_waits readWaits(const py::dict &object) {
    if (object.contains("waits") && py::isinstance<py::str>(object["waits"]))
      return lookUp<wyvern_waits>("wait", get<std::string>(object, "waits"),
                                  {{"last", WYVERN_WAITS_LAST}});
    return get(object, "waits", false) ? WYVERN_WAITS_FIRST : WYVERN_WAITS_NOT;
  }

  void addKernel(const py::dict &object) {
    params.emplace_back();
    for (py::handle handle : get<py::list>(object, "params")) {
      auto dict = handle.cast<py::dict>();
      wyvern_param_desc param = {};
      param.kind = lookUp<wyvern_param_kind>(
          "parameter kind", get<std::string>(dict, "kind"),
          {{"tensor_map", WYVERN_PARAM_TENSOR_MAP},
           {"pointer", WYVERN_PARAM_POINTER},
           {"stride", WYVERN_PARAM_STRIDE},
           {"cu_seqlens", WYVERN_PARAM_CU_SEQLENS},
           {"cu_width", WYVERN_PARAM_CU_WIDTH},
           {"tokens", WYVERN_PARAM_TOKENS},
           {"sequences", WYVERN_PARAM_SEQUENCES},
           {"segment", WYVERN_PARAM_SEGMENT},
           {"slot_tokens", WYVERN_PARAM_SLOT_TOKENS},
           {"part", WYVERN_PARAM_PART}});
      if (param.kind <= WYVERN_PARAM_STRIDE)
        param.tensor = indexOf(get<std::string>(dict, "tensor"));
      if (param.kind == WYVERN_PARAM_STRIDE)
        param.dim = get<uint32_t>(dict, "dim");
      if (param.kind == WYVERN_PARAM_TENSOR_MAP) {
        param.swizzle = get<uint32_t>(dict, "swizzle");
        auto box = get<std::vector<uint32_t>>(dict, "box");
        if (box.size() != describe(param.tensor).rank)
          throw py::value_error("manifest: the box of '" +
                                get<std::string>(dict, "tensor") +
                                "' has another rank than the tensor");
        std::copy(box.begin(), box.end(), param.box);
      }
      params.back().push_back(param);
    }
    auto grid = get<py::dict>(object, "grid");
    wyvern_kernel_desc kernel = {};
    kernel.symbol = keep(get<std::string>(object, "symbol"));
    kernel.file = keep(get<std::string>(object, "image"));
    kernel.grid_count =
        lookUp<wyvern_count>("grid count", get<std::string>(grid, "count"),
                             {{"slots", WYVERN_COUNT_SLOTS},
                              {"sequences", WYVERN_COUNT_SEQUENCES},
                              {"segments", WYVERN_COUNT_SEGMENTS}});
    kernel.grid_factor = get<uint32_t>(grid, "factor");
    kernel.grid_chunks =
        get(grid, "chunks", kernel.grid_count == WYVERN_COUNT_SLOTS ? 1u : 0u);
    kernel.block = get<uint32_t>(object, "block");
    kernel.dynamic_shared = get<uint32_t>(object, "dynamic_shared");
    kernel.waits = readWaits(object);
    kernel.part =
        lookUp<wyvern_part>("part", get(object, "part", std::string("all")),
                            {{"all", WYVERN_PART_ALL},
                             {"first", WYVERN_PART_FIRST},
                             {"second", WYVERN_PART_SECOND},
                             {"middle", WYVERN_PART_MIDDLE},
                             {"last", WYVERN_PART_LAST}});
    kernel.num_params = (uint32_t)params.back().size();
    kernel.params = params.back().data();
    if (object.contains("cost")) {
      auto cost = get<py::dict>(object, "cost");
      kernel.cost = {get<uint32_t>(cost, "step_chunks"),
                     get<uint32_t>(cost, "residents"),
                     get<uint32_t>(cost, "block_cycles"),
                     get<uint32_t>(cost, "step_cycles"),
                     get<uint32_t>(cost, "step_work"),
                     get<uint32_t>(cost, "step_bytes")};
    }
    kernels.back().push_back(kernel);
  }

  std::deque<std::string> strings; // stable addresses
  std::deque<std::vector<wyvern_param_desc>> params;
  std::vector<wyvern_tensor_desc> tensors;
  std::vector<py::str> inputNames;
  py::str gradName = intern("requires_grad");
  std::deque<std::vector<wyvern_tensor_desc>> workspaces;
  std::deque<std::vector<wyvern_kernel_desc>> kernels;
  std::vector<wyvern_variant_desc> variants;
  wyvern_program_desc desc = {};
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
