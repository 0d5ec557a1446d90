//===- _rt_manifest.cpp - The C descriptor of a manifest ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "_rt_manifest.h"

#include <pybind11/stl.h>

#include <algorithm>
#include <initializer_list>
#include <utility>

namespace py = pybind11;

namespace {

/// Returns the value that manifests call `key`; `what` names the kind of value
/// in the error for a name that is not there.
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

/// Returns a member of a manifest object. Its absence names the key, and so
/// does a value of another type, a null in the place of a number.
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

wyvern_dim_desc readDim(const py::dict &object) {
  wyvern_dim_desc dim = {};
  dim.kind = lookUp<wyvern_dim_kind>("dimension kind",
                                     get<std::string>(object, "kind"),
                                     {{"seq", WYVERN_DIM_SEQ},
                                      {"time", WYVERN_DIM_TIME},
                                      {"chunk", WYVERN_DIM_CHUNK},
                                      {"head", WYVERN_DIM_HEAD},
                                      {"whole", WYVERN_DIM_WHOLE},
                                      {"slot", WYVERN_DIM_SLOT},
                                      {"segment", WYVERN_DIM_SEGMENT}});
  if (dim.kind == WYVERN_DIM_TIME || dim.kind == WYVERN_DIM_CHUNK)
    dim.multiple = get(object, "multiple", 1u);
  if (dim.kind == WYVERN_DIM_HEAD || dim.kind == WYVERN_DIM_WHOLE)
    dim.size = get<int64_t>(object, "size");
  if (dim.kind == WYVERN_DIM_TIME)
    dim.size = get<int64_t>(object, "most", 0);
  return dim;
}

/// True where a kernel waits before it begins, `last` where in the end.
wyvern_waits readWaits(const py::dict &kernel) {
  if (kernel.contains("waits") && py::isinstance<py::str>(kernel["waits"]))
    return lookUp<wyvern_waits>("wait", get<std::string>(kernel, "waits"),
                                {{"last", WYVERN_WAITS_LAST}});
  return get(kernel, "waits", false) ? WYVERN_WAITS_FIRST : WYVERN_WAITS_NOT;
}

wyvern_part readPart(const py::dict &kernel) {
  return lookUp<wyvern_part>("part", get(kernel, "part", std::string("all")),
                             {{"all", WYVERN_PART_ALL},
                              {"first", WYVERN_PART_FIRST},
                              {"second", WYVERN_PART_SECOND},
                              {"middle", WYVERN_PART_MIDDLE},
                              {"last", WYVERN_PART_LAST}});
}

/// Reads how many blocks a kernel has.
void readGrid(const py::dict &grid, wyvern_kernel_desc &kernel) {
  kernel.grid_count =
      lookUp<wyvern_count>("grid count", get<std::string>(grid, "count"),
                           {{"slots", WYVERN_COUNT_SLOTS},
                            {"sequences", WYVERN_COUNT_SEQUENCES},
                            {"segments", WYVERN_COUNT_SEGMENTS}});
  kernel.grid_factor = get<uint32_t>(grid, "factor");
  kernel.grid_chunks =
      get(grid, "chunks", kernel.grid_count == WYVERN_COUNT_SLOTS ? 1u : 0u);
}

} // namespace

wyvern_dtype wyvern::dtypeOf(const std::string &name) {
  return lookUp<wyvern_dtype>("dtype", name,
                              {{"bf16", WYVERN_BF16},
                               {"f16", WYVERN_F16},
                               {"f32", WYVERN_F32},
                               {"f64", WYVERN_F64},
                               {"i32", WYVERN_I32},
                               {"i64", WYVERN_I64}});
}

namespace wyvern {

Manifest::Manifest(const py::dict &object) {
  for (py::handle tensor : get<py::list>(object, "tensors"))
    tensors.push_back(readTensor(tensor.cast<py::dict>()));
  for (py::handle variant : get<py::list>(object, "variants"))
    variants.push_back(readVariant(variant.cast<py::dict>()));
  if (object.contains("machine")) {
    auto machine = get<py::dict>(object, "machine");
    desc.machine = {get<uint32_t>(machine, "sms"),
                    get<uint32_t>(machine, "bytes_per_cycle"),
                    get<uint32_t>(machine, "launch_cycles")};
  }
  desc.abi_version = WYVERN_ABI_VERSION;
  desc.name = keep(get<std::string>(object, "name"));
  desc.target = keep(get<std::string>(object, "target"));
  desc.chunk = get<int64_t>(object, "chunk");
  desc.num_tensors = (uint32_t)tensors.size();
  desc.tensors = tensors.data();
  desc.num_variants = (uint32_t)variants.size();
  desc.variants = variants.data();
}

const char *Manifest::keep(std::string text) {
  strings.push_back(std::move(text));
  return strings.back().c_str();
}

wyvern_tensor_desc Manifest::readTensor(const py::dict &object) {
  wyvern_tensor_desc tensor = {};
  tensor.name = keep(get<std::string>(object, "name"));
  tensor.role = lookUp<wyvern_role>("role", get<std::string>(object, "role"),
                                    {{"input", WYVERN_INPUT},
                                     {"output", WYVERN_OUTPUT},
                                     {"workspace", WYVERN_WORKSPACE}});
  tensor.dtype = dtypeOf(get<std::string>(object, "dtype"));
  tensor.optional = get(object, "optional", false);
  auto dims = get<py::list>(object, "dims");
  if (dims.size() > WYVERN_MAX_RANK)
    throw py::value_error("manifest: tensor '" + std::string(tensor.name) +
                          "' has more than 5 dimensions");
  for (py::handle dim : dims)
    tensor.dims[tensor.rank++] = readDim(dim.cast<py::dict>());
  return tensor;
}

/// Reads a variant, whose kernels' parameters may name its own workspace.
wyvern_variant_desc Manifest::readVariant(const py::dict &object) {
  workspaces.emplace_back();
  for (py::handle tensor : get<py::list>(object, "workspace"))
    workspaces.back().push_back(readTensor(tensor.cast<py::dict>()));
  kernels.emplace_back();
  for (py::handle kernel : get<py::list>(object, "kernels"))
    kernels.back().push_back(readKernel(kernel.cast<py::dict>()));
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
  return variant;
}

/// Returns the tensor that the last variant's parameters call by this number.
const wyvern_tensor_desc &Manifest::describe(uint32_t index) const {
  return index < tensors.size() ? tensors[index]
                                : workspaces.back()[index - tensors.size()];
}

/// Returns the number by which the last variant's parameters call a tensor.
uint32_t Manifest::indexOf(const std::string &name) const {
  auto count = (uint32_t)(tensors.size() + workspaces.back().size());
  for (uint32_t i = 0; i < count; ++i)
    if (name == describe(i).name)
      return i;
  throw py::value_error("manifest: a parameter names the tensor '" + name +
                        "', which is not listed");
}

wyvern_param_desc Manifest::readParam(const py::dict &object) const {
  wyvern_param_desc param = {};
  param.kind = lookUp<wyvern_param_kind>(
      "parameter kind", get<std::string>(object, "kind"),
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
    param.tensor = indexOf(get<std::string>(object, "tensor"));
  if (param.kind == WYVERN_PARAM_STRIDE)
    param.dim = get<uint32_t>(object, "dim");
  if (param.kind == WYVERN_PARAM_TENSOR_MAP) {
    param.swizzle = get<uint32_t>(object, "swizzle");
    auto box = get<std::vector<uint32_t>>(object, "box");
    if (box.size() != describe(param.tensor).rank)
      throw py::value_error("manifest: the box of '" +
                            get<std::string>(object, "tensor") +
                            "' has another rank than the tensor");
    std::copy(box.begin(), box.end(), param.box);
  }
  return param;
}

wyvern_kernel_desc Manifest::readKernel(const py::dict &object) {
  params.emplace_back();
  for (py::handle param : get<py::list>(object, "params"))
    params.back().push_back(readParam(param.cast<py::dict>()));
  wyvern_kernel_desc kernel = {};
  kernel.symbol = keep(get<std::string>(object, "symbol"));
  kernel.file = keep(get<std::string>(object, "image"));
  readGrid(get<py::dict>(object, "grid"), kernel);
  kernel.block = get<uint32_t>(object, "block");
  kernel.dynamic_shared = get<uint32_t>(object, "dynamic_shared");
  kernel.waits = readWaits(object);
  kernel.part = readPart(object);
  kernel.num_params = (uint32_t)params.back().size();
  kernel.params = params.back().data();
  if (object.contains("cost")) {
    auto cost = get<py::dict>(object, "cost");
    kernel.cost = {
        get<uint32_t>(cost, "step_chunks"),  get<uint32_t>(cost, "residents"),
        get<uint32_t>(cost, "block_cycles"), get<uint32_t>(cost, "step_cycles"),
        get<uint32_t>(cost, "step_work"),    get<uint32_t>(cost, "step_bytes")};
  }
  return kernel;
}

} // namespace wyvern
