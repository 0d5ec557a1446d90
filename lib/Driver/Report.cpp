//===- Report.cpp - What became of a layer, as a page ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The page is ReportPage.html with what is collected here in it, as JSON: what
// it shows of that, and how, is all there.
//
//===----------------------------------------------------------------------===//

#include "Report.h"

#include "wyvern/Dialect/Delta/IR/Delta.h"
#include "wyvern/Dialect/Sched/Analysis/KernelCost.h"
#include "wyvern/Dialect/Sched/IR/Sched.h"
#include "wyvern/Dialect/Tile/IR/Tile.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace mlir::wyvern;
namespace json = llvm::json;

static constexpr StringLiteral page =
#include "ReportPage.inc"
    ;
static constexpr StringLiteral dataMark = "/*DATA*/";

template <typename T> static std::string print(const T &printable) {
  std::string text;
  llvm::raw_string_ostream(text) << printable;
  return text;
}

//===----------------------------------------------------------------------===//
// Kernels as they are scheduled
//===----------------------------------------------------------------------===//

static json::Array describeTiles(sched::ChannelOp channel) {
  json::Array tiles;
  for (Type tile : channel.getChannel().getType().getTiles())
    tiles.push_back(print(tile));
  return tiles;
}

static json::Object describeChannel(sched::ChannelOp channel) {
  auto getName = [](Operation *role) {
    return cast<sched::RoleOp>(role).getRoleName().str();
  };
  json::Array readers;
  for (Operation *reader : channel.getReaders())
    readers.push_back(getName(reader));
  return json::Object{
      {"depth", static_cast<int64_t>(channel.getDepth())},
      {"fill", channel.getFill() == sched::Fill::tma ? "tma" : "warps"},
      {"tiles", describeTiles(channel)},
      {"from", getName(channel.getFiller())},
      {"to", std::move(readers)}};
}

static json::Object describeRole(sched::RoleOp role) {
  json::Object described{{"name", role.getRoleName()},
                         {"warps", static_cast<int64_t>(role.getWarps())},
                         {"split", static_cast<int64_t>(role.getSplit())},
                         {"copies", static_cast<int64_t>(role.getCopies())}};
  if (auto registers = role.getRegisters())
    described["registers"] = static_cast<int64_t>(*registers);
  if (auto host = role.getWithin())
    described["within"] = host->str();
  json::Array ops;
  for (Operation &op : role.getEachChunk().getBlock().without_terminator())
    ops.push_back(op.getName().getStringRef().str());
  described["ops"] = std::move(ops);
  return described;
}

/// Returns the FLOPs of the products of a block in one chunk.
static int64_t countFlops(sched::KernelOp kernel) {
  int64_t flops = 0;
  kernel.walk(
      [&](delta::ChunkRegionOpInterface op) { flops += op.getMatmulFlops(); });
  return flops / static_cast<int64_t>(kernel.getSplit());
}

void Report::addKernels(StringRef variant, ModuleOp module) {
  module.walk([&](sched::KernelOp kernel) {
    json::Array channels, roles;
    for (sched::ChannelOp channel : kernel.getChannels())
      channels.push_back(describeChannel(channel));
    for (sched::RoleOp role : kernel.getRoles())
      roles.push_back(describeRole(role));
    json::Object &known =
        variants[variant].kernels[kernel.getKernelName().str()];
    known["channels"] = std::move(channels);
    known["roles"] = std::move(roles);
    known["heads"] = static_cast<int64_t>(kernel.getHeads());
    known["split"] = static_cast<int64_t>(kernel.getSplit());
    known["flops"] = countFlops(kernel);
    known["bytes"] = sched::estimateKernel(kernel).stepBytes;
  });
}

//===----------------------------------------------------------------------===//
// Kernels as they lie in shared memory
//===----------------------------------------------------------------------===//

void Report::addMemory(StringRef variant, ModuleOp module) {
  module.walk([&](tile::KernelOp kernel) {
    json::Array places;
    auto add = [&](std::optional<int64_t> offset, int64_t bytes, Type type,
                   StringRef kind) {
      if (offset)
        places.push_back(json::Object{{"offset", *offset},
                                      {"bytes", bytes},
                                      {"type", print(type)},
                                      {"kind", kind}});
    };
    kernel.walk([&](tile::AllocOp alloc) {
      add(alloc.getOffset(), alloc.getTile().getType().getSizeInBytes(),
          alloc.getTile().getType(),
          alloc.getTransient() ? "transient" : "tile");
    });
    kernel.walk([&](tile::AllocRingOp ring) {
      tile::RingType type = ring.getRing().getType();
      add(ring.getOffset(), type.getTileBytes(), type, "ring");
      if (auto offset = ring.getOffset())
        add(static_cast<int64_t>(*offset) + ring.getBarrierDistance(),
            type.getBarrierBytes(), type, "barriers of ring");
    });
    variants[variant].kernels[kernel.getSymName()]["memory"] =
        std::move(places);
  });
}

void Report::addPhase(StringRef variant, StringRef phase, ModuleOp module) {
  variants[variant].phases.push_back(
      json::Object{{"name", phase}, {"text", print(module)}});
  if (phase == "scheduled")
    addKernels(variant, module);
  else if (phase == "tile")
    addMemory(variant, module);
}

//===----------------------------------------------------------------------===//
// The page
//===----------------------------------------------------------------------===//

json::Object Report::describe(const VariantInfo &variant) const {
  auto found = variants.find(variant.name);
  // A program of one variant does not name it.
  if (found == variants.end())
    found = variants.begin();
  json::Array kernels;
  for (const KernelInfo &kernel : variant.kernels) {
    json::Object described = found->second.kernels.lookup(kernel.symbol);
    const KernelResources &resources = kernel.resources;
    described["symbol"] = kernel.symbol;
    described["threads"] = kernel.block;
    described["blocks"] = kernel.gridFactor;
    described["over"] = getName(kernel.gridCount);
    described["chunks"] = kernel.gridChunks;
    described["shared"] = kernel.dynamicShared + resources.staticShared;
    described["registers"] = resources.registers;
    described["spilled"] = resources.spillStores + resources.spillLoads;
    kernels.push_back(std::move(described));
  }
  return json::Object{{"name", found->first()},
                      {"phases", json::Array(found->second.phases)},
                      {"kernels", std::move(kernels)}};
}

std::string Report::getPage(const BundleInfo &bundle, const LayerSpec *spec,
                            const CompilerVersions &versions) const {
  json::Array described;
  for (const VariantInfo &variant : bundle.forward.variants)
    described.push_back(describe(variant));
  if (bundle.backward)
    for (const VariantInfo &variant : bundle.backward->variants) {
      // Its IR stands in the forward's module.
      json::Object backward = describe(variant);
      backward["name"] = "backward";
      backward["phases"] = json::Array();
      described.push_back(std::move(backward));
    }
  tile::TargetInfo target = *tile::findTarget(bundle.forward.target);
  json::Object data{
      {"name", bundle.forward.name},
      {"target", bundle.forward.target},
      {"versions", json::Object{{"wyvern", versions.wyvern},
                                {"llvm", versions.llvm},
                                {"ptxas", versions.ptxas}}},
      {"spec", spec ? json::Value(toJSON(*spec)) : json::Value(nullptr)},
      {"machine",
       json::Object{{"shared", target.sharedBytes},
                    {"sms", target.sms},
                    {"bytesPerCycle", target.memoryBytesPerCycle},
                    {"flopsPerCycle", target.mmaFlopsPerCycle * target.sms}}},
      {"variants", std::move(described)}};
  std::string text = print(json::Value(std::move(data)));
  // Nothing in it may end the script that it stands in.
  size_t at = 0;
  while ((at = text.find('<', at)) != std::string::npos)
    text.replace(at, 1, "\\u003c");
  auto [before, after] = page.split(dataMark);
  return (before + text + after).str();
}
