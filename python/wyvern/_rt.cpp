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

#include <deque>

namespace py = wyvern::py;

namespace {

/// The exception type, with `status` (the enumerator's name) as an attribute.
PyObject *runtimeError = nullptr;

void check(wyvern_status status) {
  if (status == WYVERN_OK)
    return;
  py::Object error =
      py::Object::share(runtimeError)({py::from(wyvern_last_error())});
  py::Object name = py::from(wyvern_status_name(status));
  if (PyObject_SetAttrString(error.get(), "status", name.get()) == 0)
    PyErr_SetObject(runtimeError, error.get());
  throw py::Raised();
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
  py::raiseValueError("manifest: unknown " + std::string(what) + " '" + key +
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

/// A member of a manifest object, null where it is not there.
PyObject *find(const py::Object &object, const char *key) {
  return PyDict_GetItemString(object.get(), key);
}

/// A member of a manifest object; its absence names the key.
template <typename T> T get(const py::Object &object, const char *key) {
  PyObject *member = find(object, key);
  if (!member)
    py::raiseValueError("manifest: expected the key '" + std::string(key) +
                        "' in " + py::repr(object.get()));
  return py::to<T>(member);
}

template <typename T>
T get(const py::Object &object, const char *key, T absent) {
  PyObject *member = find(object, key);
  return member ? py::to<T>(member) : absent;
}

std::vector<py::Object> getList(const py::Object &object, const char *key) {
  return get<std::vector<py::Object>>(object, key);
}

/// How the tensors of a framework are read and copied.
class Framework {
public:
  /// `dtypes` maps the framework's dtypes to manifest names; `fresh(tensor,
  /// copy)` returns a dense tensor like `tensor`.
  Framework(py::Object dtypes, py::Object fresh)
      : dtypes(std::move(dtypes)), fresh(std::move(fresh)) {}

  py::Object copy(const py::Object &tensor, bool withValues) const {
    return fresh({tensor, py::from(withValues)});
  }

  wyvern_tensor describe(const py::Object &tensor, int device) const {
    wyvern_tensor value = {};
    auto sizes = getSizes(tensor.getAttr("shape"));
    auto strides = getSizes(tensor.getAttr("stride")());
    if (sizes.size() > WYVERN_MAX_RANK)
      py::raiseValueError("a tensor has rank " + std::to_string(sizes.size()) +
                          ", expected at most 5");
    value.data = (void *)py::to<uintptr_t>(tensor.getAttr("data_ptr")().get());
    value.dtype = getDtype(tensor.getAttr("dtype"));
    value.device = device;
    value.rank = (uint32_t)sizes.size();
    std::copy(sizes.begin(), sizes.end(), value.sizes);
    std::copy(strides.begin(), strides.end(), value.strides);
    return value;
  }

private:
  static std::vector<int64_t> getSizes(const py::Object &tuple) {
    return py::to<std::vector<int64_t>>(tuple.get());
  }

  wyvern_dtype getDtype(const py::Object &dtype) const {
    PyObject *name = PyDict_GetItemWithError(dtypes.get(), dtype.get());
    if (!name && PyErr_Occurred())
      throw py::Raised();
    if (!name)
      py::raiseTypeError("a tensor has the unsupported dtype " +
                         py::repr(dtype.get()));
    return dtypeOf(py::to<std::string>(name));
  }

  py::Object dtypes, fresh;
};

class Program {
public:
  Program(const py::Object &manifest, const std::string &directory) {
    for (const py::Object &tensor : getList(manifest, "tensors"))
      tensors.push_back(readTensor(tensor));
    for (const py::Object &variant : getList(manifest, "variants"))
      addVariant(variant);
    if (PyObject *member = find(manifest, "machine")) {
      auto machine = py::Object::share(member);
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
    auto prepareUnlocked = [&] {
      py::Unlocked unlocked;
      return wyvern_program_prepare(program, device);
    };
    check(prepareUnlocked());
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
  void launch(const Framework &framework,
              const std::vector<py::Object> &arguments, int device,
              const py::Object &cuSeqlens, uintptr_t workspace,
              size_t workspaceBytes, uintptr_t stream) {
    if (arguments.size() != tensors.size())
      py::raiseValueError("expected one argument a tensor");
    std::vector<wyvern_tensor> values(tensors.size(), wyvern_tensor{});
    std::vector<py::Object> copies;
    std::vector<std::pair<py::Object, py::Object>> copyBack;
    for (size_t i = 0; i < arguments.size(); ++i) {
      const py::Object &tensor = arguments[i];
      if (tensor.isNone())
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
    if (!cuSeqlens.isNone())
      offsets = framework.describe(cuSeqlens, device);
    check(wyvern_program_launch(
        program, values.data(), cuSeqlens.isNone() ? nullptr : &offsets,
        (void *)workspace, workspaceBytes, (void *)stream));
    for (auto &[tensor, copy] : copyBack)
      tensor.getAttr("copy_")({copy});
  }

  /// Runs the program on inputs that need no copy, and returns its outputs in
  /// order; None for those that have a bit in `skipped` (bit i: output i).
  /// Returns None where a launch does not take the inputs as they are: why, is
  /// for launch() to say.
  py::Object runAsIs(const wyvern::Exchange &exchange,
                     const std::vector<py::Object> &inputs,
                     const py::Object &cuSeqlens, uint64_t skipped) {
    if (inputs.size() > tensors.size())
      return py::Object::none();
    std::vector<wyvern_tensor> values(tensors.size(), wyvern_tensor{});
    wyvern_tensor offsets = {};
    for (size_t i = 0; i < inputs.size(); ++i)
      if (!inputs[i].isNone() && !exchange.describe(inputs[i].get(), values[i]))
        return py::Object::none();
    if (!cuSeqlens.isNone() && !exchange.describe(cuSeqlens.get(), offsets))
      return py::Object::none();
    const wyvern_tensor *packed = cuSeqlens.isNone() ? nullptr : &offsets;
    std::vector<wyvern_tensor> expected(tensors.size());
    size_t bytes = 0;
    if (wyvern_program_expect(program, values.data(), packed, expected.data(),
                              &bytes) != WYVERN_OK)
      return py::Object::none();
    py::Object device = deviceOf(inputs), memory;
    size_t numOutputs = tensors.size() - inputs.size();
    py::Object outputs = py::Object::take(PyTuple_New(numOutputs));
    for (size_t i = 0; i < numOutputs; ++i) {
      size_t t = inputs.size() + i;
      py::Object output = py::Object::none();
      if (!(skipped >> i & 1))
        output = exchange.makeEmpty(expected[t], device, values[t]);
      PyTuple_SetItem(outputs.get(), i, output.release());
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
      return py::Object::none();
    check(status);
    return outputs;
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
  static py::Object deviceOf(const std::vector<py::Object> &inputs) {
    for (const py::Object &input : inputs)
      if (!input.isNone())
        return input.getAttr("device");
    return py::Object::none();
  }

  const char *keep(std::string text) {
    strings.push_back(std::move(text));
    return strings.back().c_str();
  }

  wyvern_tensor_desc readTensor(const py::Object &object) {
    wyvern_tensor_desc tensor = {};
    tensor.name = keep(get<std::string>(object, "name"));
    tensor.role = lookUp<wyvern_role>("role", get<std::string>(object, "role"),
                                      {{"input", WYVERN_INPUT},
                                       {"output", WYVERN_OUTPUT},
                                       {"workspace", WYVERN_WORKSPACE}});
    tensor.dtype = dtypeOf(get<std::string>(object, "dtype"));
    tensor.optional = get(object, "optional", false);
    std::vector<py::Object> dims = getList(object, "dims");
    if (dims.size() > WYVERN_MAX_RANK)
      py::raiseValueError("manifest: tensor '" + std::string(tensor.name) +
                          "' has more than 5 dimensions");
    for (const py::Object &dim : dims) {
      wyvern_dim_desc &out = tensor.dims[tensor.rank++];
      out.kind = lookUp<wyvern_dim_kind>("dimension kind",
                                         get<std::string>(dim, "kind"),
                                         {{"seq", WYVERN_DIM_SEQ},
                                          {"time", WYVERN_DIM_TIME},
                                          {"chunk", WYVERN_DIM_CHUNK},
                                          {"head", WYVERN_DIM_HEAD},
                                          {"whole", WYVERN_DIM_WHOLE},
                                          {"slot", WYVERN_DIM_SLOT}});
      if (out.kind == WYVERN_DIM_TIME || out.kind == WYVERN_DIM_CHUNK)
        out.multiple = get(dim, "multiple", 1u);
      if (out.kind == WYVERN_DIM_HEAD || out.kind == WYVERN_DIM_WHOLE)
        out.size = get<int64_t>(dim, "size");
    }
    return tensor;
  }

  void addVariant(const py::Object &object) {
    workspaces.emplace_back();
    for (const py::Object &tensor : getList(object, "workspace"))
      workspaces.back().push_back(readTensor(tensor));
    kernels.emplace_back();
    for (const py::Object &kernel : getList(object, "kernels"))
      addKernel(kernel);
    wyvern_variant_desc variant = {};
    variant.name = keep(get<std::string>(object, "name"));
    variant.num_workspace = (uint32_t)workspaces.back().size();
    variant.workspace = workspaces.back().data();
    variant.num_kernels = (uint32_t)kernels.back().size();
    variant.kernels = kernels.back().data();
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
    py::raiseValueError("manifest: a parameter names the tensor '" + name +
                        "', which is not listed");
  }

  void addKernel(const py::Object &object) {
    params.emplace_back();
    for (const py::Object &dict : getList(object, "params")) {
      wyvern_param_desc param = {};
      param.kind = lookUp<wyvern_param_kind>(
          "parameter kind", get<std::string>(dict, "kind"),
          {{"tensor_map", WYVERN_PARAM_TENSOR_MAP},
           {"pointer", WYVERN_PARAM_POINTER},
           {"stride", WYVERN_PARAM_STRIDE},
           {"cu_seqlens", WYVERN_PARAM_CU_SEQLENS},
           {"cu_width", WYVERN_PARAM_CU_WIDTH},
           {"tokens", WYVERN_PARAM_TOKENS},
           {"sequences", WYVERN_PARAM_SEQUENCES}});
      if (param.kind <= WYVERN_PARAM_STRIDE)
        param.tensor = indexOf(get<std::string>(dict, "tensor"));
      if (param.kind == WYVERN_PARAM_STRIDE)
        param.dim = get<uint32_t>(dict, "dim");
      if (param.kind == WYVERN_PARAM_TENSOR_MAP) {
        param.swizzle = get<uint32_t>(dict, "swizzle");
        auto box = get<std::vector<uint32_t>>(dict, "box");
        if (box.size() != describe(param.tensor).rank)
          py::raiseValueError("manifest: the box of '" +
                              get<std::string>(dict, "tensor") +
                              "' has another rank than the tensor");
        std::copy(box.begin(), box.end(), param.box);
      }
      params.back().push_back(param);
    }
    auto grid = get<py::Object>(object, "grid");
    wyvern_kernel_desc kernel = {};
    kernel.symbol = keep(get<std::string>(object, "symbol"));
    kernel.file = keep(get<std::string>(object, "image"));
    kernel.grid_count = lookUp<wyvern_count>(
        "grid count", get<std::string>(grid, "count"),
        {{"slots", WYVERN_COUNT_SLOTS}, {"sequences", WYVERN_COUNT_SEQUENCES}});
    kernel.grid_factor = get<uint32_t>(grid, "factor");
    kernel.grid_chunks =
        get(grid, "chunks", kernel.grid_count == WYVERN_COUNT_SLOTS ? 1u : 0u);
    kernel.block = get<uint32_t>(object, "block");
    kernel.dynamic_shared = get<uint32_t>(object, "dynamic_shared");
    kernel.num_params = (uint32_t)params.back().size();
    kernel.params = params.back().data();
    if (PyObject *member = find(object, "cost")) {
      auto cost = py::Object::share(member);
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
  std::deque<std::vector<wyvern_tensor_desc>> workspaces;
  std::deque<std::vector<wyvern_kernel_desc>> kernels;
  std::vector<wyvern_variant_desc> variants;
  wyvern_program_desc desc = {};
  wyvern_program *program = nullptr;
};

} // namespace

//===----------------------------------------------------------------------===//
// The module
//===----------------------------------------------------------------------===//

static PyObject *makeFramework(PyTypeObject *, PyObject *positional,
                               PyObject *named) {
  return py::guard([&] {
    py::Arguments given("Framework", {"dtypes", "fresh"}, 2, positional, named);
    return py::wrap(std::make_unique<Framework>(given.get<py::Object>(0),
                                                given.get<py::Object>(1)));
  });
}

static PyObject *makeExchange(PyTypeObject *, PyObject *positional,
                              PyObject *named) {
  return py::guard([&] {
    py::Arguments given("Exchange",
                        {"api", "types", "empty", "dtypes", "device_type"}, 4,
                        positional, named);
    return py::wrap(std::make_unique<wyvern::Exchange>(
        given.get<py::Object>(0), given.get<std::vector<py::Object>>(1),
        given.get<py::Object>(2), given.get<py::Object>(3),
        given.get<int32_t>(4, wyvern::dlpack::kCuda)));
  });
}

static PyObject *makeProgram(PyTypeObject *, PyObject *positional,
                             PyObject *named) {
  return py::guard([&] {
    py::Arguments given("Program", {"manifest", "directory"}, 2, positional,
                        named);
    return py::wrap(std::make_unique<Program>(given.get<py::Object>(0),
                                              given.get<std::string>(1)));
  });
}

static PyObject *prepare(PyObject *self, PyObject *positional,
                         PyObject *named) {
  return py::guard([&] {
    py::Arguments given("prepare", {"device"}, 1, positional, named);
    py::unwrap<Program>(self).prepare(given.get<int>(0));
    return py::Object::none();
  });
}

/// Calls a method that asks something of a call's shapes.
template <auto method>
static PyObject *askOfShapes(PyObject *self, PyObject *positional,
                             PyObject *named) {
  return py::guard([&] {
    py::Arguments given("a call's shapes",
                        {"batch", "tokens", "packed_sequences"}, 3, positional,
                        named);
    return py::from((py::unwrap<Program>(self).*method)(
        given.get<int64_t>(0), given.get<int64_t>(1), given.get<int64_t>(2)));
  });
}

static PyObject *forceVariant(PyObject *self, PyObject *positional,
                              PyObject *named) {
  return py::guard([&] {
    py::Arguments given("force_variant", {"name"}, 1, positional, named);
    py::unwrap<Program>(self).forceVariant(
        given.get<std::optional<std::string>>(0));
    return py::Object::none();
  });
}

static PyObject *launch(PyObject *self, PyObject *positional, PyObject *named) {
  return py::guard([&] {
    py::Arguments given("launch",
                        {"framework", "arguments", "device", "cu_seqlens",
                         "workspace", "workspace_bytes", "stream"},
                        7, positional, named);
    py::unwrap<Program>(self).launch(
        py::unwrap<Framework>(given[0]), given.get<std::vector<py::Object>>(1),
        given.get<int>(2), given.get<py::Object>(3), given.get<uintptr_t>(4),
        given.get<size_t>(5), given.get<uintptr_t>(6));
    return py::Object::none();
  });
}

static PyObject *runAsIs(PyObject *self, PyObject *positional,
                         PyObject *named) {
  return py::guard([&] {
    py::Arguments given("run_as_is",
                        {"exchange", "inputs", "cu_seqlens", "skipped"}, 4,
                        positional, named);
    return py::unwrap<Program>(self).runAsIs(
        py::unwrap<wyvern::Exchange>(given[0]),
        given.get<std::vector<py::Object>>(1), given.get<py::Object>(2),
        given.get<uint64_t>(3));
  });
}

/// Keeps the program alive, which XLA may call until the process ends.
static PyObject *addForXla(PyObject *self, PyObject *positional,
                           PyObject *named) {
  return py::guard([&] {
    py::Arguments given("add_for_xla", {"name"}, 1, positional, named);
    py::unwrap<Program>(self).addForXla(given.get<std::string>(0));
    Py_INCREF(self);
    return py::Object::none();
  });
}

static PyObject *getXlaHandler(PyObject *, PyObject *) {
  return PyCapsule_New(wyvern::getXlaHandler(), nullptr, nullptr);
}

static PyMethodDef programMethods[] = {
    py::method("prepare", &prepare, "Loads the kernels onto a device."),
    py::method("workspace_size", &askOfShapes<&Program::workspaceSize>,
               "Returns the bytes of workspace of a call."),
    py::method("choose", &askOfShapes<&Program::choose>,
               "Returns the variant that a call runs."),
    py::method("estimate", &askOfShapes<&Program::estimate>,
               "Returns the cycles of each variant in a call."),
    py::method("force_variant", &forceVariant,
               "Calls run this variant from now on; None: the fastest."),
    py::method("launch", &launch, "Runs the program on tensors in order."),
    py::method("run_as_is", &runAsIs,
               "Runs the program on inputs that need no copy."),
    py::method("add_for_xla", &addForXla,
               "Makes it known to xla_handler() by this name, for good."),
    {}};

static PyMethodDef noMethods[] = {{}};
static PyGetSetDef noProperties[] = {{}};
static PyMethodDef functions[] = {
    {"xla_handler", &getXlaHandler, METH_NOARGS,
     "The handler of XLA's FFI for all GPU programs: initialize and execute."},
    {}};
static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    "_rt",
    "The runtime's C interface (wyvern_rt.h) in Python.",
    /*m_size=*/-1,
    functions,
    nullptr,
    nullptr,
    nullptr,
    nullptr};

static py::Object makeModule() {
  py::Object made = py::Object::take(PyModule_Create(&definition));
  PyObject *module = made.get();
  runtimeError =
      PyErr_NewException("wyvern.RuntimeError", PyExc_RuntimeError, nullptr);
  py::addObject(module, "RuntimeError", py::Object::share(runtimeError));
  py::addObject(module, "ABI_VERSION", py::from((int64_t)wyvern_abi_version()));
  py::addObject(module, "WORKSPACE_ALIGNMENT",
                py::from((int64_t)WYVERN_WORKSPACE_ALIGNMENT));
  py::addClass<Framework>(module, "wyvern._rt.Framework", &makeFramework,
                          noMethods, noProperties);
  py::addClass<wyvern::Exchange>(module, "wyvern._rt.Exchange", &makeExchange,
                                 noMethods, noProperties);
  py::addClass<Program>(module, "wyvern._rt.Program", &makeProgram,
                        programMethods, noProperties);
  return made;
}

PyMODINIT_FUNC PyInit__rt() { return py::guard(makeModule); }
