//===- Manifest.cpp - manifest.json ---------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Target/Manifest.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/SHA256.h"

using namespace mlir;
using namespace mlir::wyvern;

static constexpr unsigned schemaVersion = 3;

static StringRef stringify(DimRange kind) {
  static constexpr StringLiteral names[] = {"seq",   "time", "chunk",  "head",
                                            "whole", "slot", "segment"};
  return names[static_cast<unsigned>(kind)];
}

static StringRef stringify(TensorRole role) {
  static constexpr StringLiteral names[] = {"input", "output", "workspace"};
  return names[static_cast<unsigned>(role)];
}

static StringRef stringify(ParamKind kind) {
  static constexpr StringLiteral names[] = {
      "tensor_map", "pointer",   "stride",  "cu_seqlens",  "cu_width",
      "tokens",     "sequences", "segment", "slot_tokens", "part"};
  return names[static_cast<unsigned>(kind)];
}

static StringRef stringify(Part part) {
  static constexpr StringLiteral names[] = {"all", "first", "second", "middle",
                                            "last"};
  return names[static_cast<unsigned>(part)];
}

static llvm::json::Object toJSON(const DimInfo &dim) {
  llvm::json::Object object{{"kind", stringify(dim.kind)}};
  if (dim.kind == DimRange::Time || dim.kind == DimRange::Chunk)
    object["multiple"] = dim.multiple;
  if (dim.kind == DimRange::Head || dim.kind == DimRange::Whole)
    object["size"] = dim.size;
  if (dim.kind == DimRange::Time && dim.size)
    object["most"] = dim.size;
  return object;
}

static llvm::json::Object toJSON(const ParamInfo &param) {
  llvm::json::Object object{{"kind", stringify(param.kind)}};
  if (!param.tensor.empty())
    object["tensor"] = param.tensor;
  if (param.kind == ParamKind::Stride)
    object["dim"] = param.dim;
  if (param.kind == ParamKind::TensorMap) {
    object["box"] = llvm::json::Array(param.box);
    object["swizzle"] = param.swizzle;
  }
  return object;
}

static void writeTensor(llvm::json::OStream &json, const TensorInfo &tensor) {
  json.object([&] {
    json.attribute("name", tensor.name);
    json.attribute("role", stringify(tensor.role));
    json.attribute("dtype", tensor.dtype);
    if (tensor.optional)
      json.attribute("optional", true);
    if (tensor.residual)
      json.attribute("residual", true);
    if (tensor.inPlace)
      json.attribute("in_place", true);
    json.attributeArray("dims", [&] {
      for (const DimInfo &dim : tensor.dims)
        json.value(toJSON(dim));
    });
  });
}

static std::string hash(StringRef bytes) {
  return llvm::toHex(llvm::SHA256::hash(llvm::arrayRefFromStringRef(bytes)),
                     /*LowerCase=*/true);
}

static void writeCost(llvm::json::OStream &json, const CostInfo &cost) {
  json.attribute("step_chunks", cost.stepChunks);
  json.attribute("residents", cost.residents);
  json.attribute("block_cycles", cost.blockCycles);
  json.attribute("step_cycles", cost.stepCycles);
  json.attribute("step_work", cost.stepWork);
  json.attribute("step_bytes", cost.stepBytes);
}

static void writeKernel(llvm::json::OStream &json, const KernelInfo &kernel) {
  const KernelResources &resources = kernel.resources;
  json.object([&] {
    json.attribute("symbol", kernel.symbol);
    json.attribute("image", kernel.getImageName());
    json.attribute("sha256", hash(kernel.cubin));
    json.attributeObject("grid", [&] {
      json.attribute("factor", kernel.gridFactor);
      json.attribute("count", getName(kernel.gridCount));
      if (kernel.gridChunks != 1)
        json.attribute("chunks", kernel.gridChunks);
    });
    json.attribute("block", kernel.block);
    json.attribute("dynamic_shared", kernel.dynamicShared);
    if (kernel.waits == Waits::First)
      json.attribute("waits", true);
    if (kernel.waits == Waits::Last)
      json.attribute("waits", "last");
    if (kernel.part != Part::All)
      json.attribute("part", stringify(kernel.part));
    json.attribute("static_shared", resources.staticShared);
    json.attribute("registers", resources.registers);
    json.attribute("stack", resources.stack);
    json.attribute("spill_stores", resources.spillStores);
    json.attribute("spill_loads", resources.spillLoads);
    if (kernel.cost.residents > 0)
      json.attributeObject("cost", [&] { writeCost(json, kernel.cost); });
    json.attributeArray("params", [&] {
      for (const ParamInfo &param : kernel.params)
        json.value(toJSON(param));
    });
  });
}

/// Bytes for each token of each head: what training keeps between the passes.
static double getBytesPerTokenHead(const TensorInfo &tensor, int64_t chunk) {
  double bytes = llvm::StringSwitch<int64_t>(tensor.dtype)
                     .Cases("bf16", "f16", 2)
                     .Cases("f32", "i32", 4)
                     .Default(8);
  for (const DimInfo &dim : tensor.dims) {
    if (dim.kind == DimRange::Whole)
      bytes *= dim.size;
    if (dim.kind == DimRange::Time)
      bytes *= dim.multiple;
    if (dim.kind == DimRange::Chunk)
      bytes /= chunk * dim.multiple;
  }
  return bytes;
}

static void writeResiduals(llvm::json::OStream &json,
                           const ProgramInfo &program) {
  for (const TensorInfo &tensor : program.tensors)
    if (tensor.residual)
      json.object([&] {
        json.attribute("name", tensor.name);
        json.attribute("bytes_per_token_head",
                       getBytesPerTokenHead(tensor, program.chunk));
        if (!tensor.what.empty())
          json.attribute("what", tensor.what);
      });
}

static void writeCut(llvm::json::OStream &json, const CutInfo &cut) {
  json.attribute("reverse", cut.isReverse);
  json.attribute("first", cut.first);
  json.attribute("second", cut.second);
  json.attribute("last", cut.last);
}

static void writeVariant(llvm::json::OStream &json,
                         const VariantInfo &variant) {
  json.attribute("name", variant.name);
  if (variant.cut.first > 0)
    json.attributeObject("cut", [&] { writeCut(json, variant.cut); });
  json.attributeArray("workspace", [&] {
    for (const TensorInfo &tensor : variant.workspace)
      writeTensor(json, tensor);
  });
  json.attributeArray("kernels", [&] {
    for (const KernelInfo &kernel : variant.kernels)
      writeKernel(json, kernel);
  });
}

static void writeProgram(llvm::json::OStream &json,
                         const ProgramInfo &program) {
  json.attribute("chunk", program.chunk);
  json.attributeArray("tensors", [&] {
    for (const TensorInfo &tensor : program.tensors)
      writeTensor(json, tensor);
  });
  if (program.machine.sms > 0)
    json.attributeObject("machine", [&] {
      json.attribute("sms", program.machine.sms);
      json.attribute("bytes_per_cycle", program.machine.bytesPerCycle);
      json.attribute("launch_cycles", program.machine.launchCycles);
    });
  json.attributeArray("variants", [&] {
    for (const VariantInfo &variant : program.variants)
      json.object([&] { writeVariant(json, variant); });
  });
}

void mlir::wyvern::writeManifest(const BundleInfo &bundle,
                                 const llvm::json::Value &spec,
                                 const CompilerVersions &versions,
                                 llvm::raw_ostream &os) {
  const ProgramInfo &program = bundle.forward;
  llvm::json::OStream json(os, /*IndentSize=*/2);
  json.object([&] {
    json.attribute("schema", schemaVersion);
    json.attribute("name", program.name);
    json.attribute("target", program.target);
    json.attributeObject("compiler", [&] {
      json.attribute("wyvern", versions.wyvern);
      json.attribute("llvm", versions.llvm);
      json.attribute("ptxas", versions.ptxas);
    });
    json.attribute("spec", spec);
    json.attribute("gate_space", "log");
    json.attribute("state_layout", bundle.serving ? bundle.serving->stateLayout
                                                  : "any (strides)");
    if (bundle.serving)
      json.attributeObject("serving", [&] {
        json.attribute("entry", bundle.serving->entry);
        json.attribute("first_slot", bundle.serving->firstSlot);
      });
    writeProgram(json, program);
    if (bundle.saved)
      json.attributeObject("saved", [&] {
        json.attribute("what", bundle.saved->what);
        json.attribute("chosen", bundle.saved->chosen);
        if (!bundle.saved->refused.empty())
          json.attribute("refused", bundle.saved->refused);
      });
    json.attributeArray("residuals", [&] { writeResiduals(json, program); });
    if (bundle.backward)
      json.attributeObject("backward",
                           [&] { writeProgram(json, *bundle.backward); });
    else
      json.attribute("backward", nullptr);
  });
  os << '\n';
}
