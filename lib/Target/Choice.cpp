//===- Choice.cpp - Which variant a launch would run ----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The runtime's own formula decides here too, on the part of a descriptor that
// it reads: there is one place that knows it.
//
//===----------------------------------------------------------------------===//

#include "wyvern/Target/Choice.h"

#include "wyvern-rt/wyvern_rt.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir::wyvern;

namespace {
/// The grids and costs of a program, as descriptors.
class CostDescriptor {
public:
  explicit CostDescriptor(const ProgramInfo &program);

  double estimate(size_t variant, LaunchShape shape) const {
    double cycles = 0;
    wyvern_estimate_cycles(&desc, static_cast<uint32_t>(variant),
                           shape.sequences, shape.tokens,
                           /*packed_sequences=*/-1, &cycles);
    return cycles;
  }

private:
  std::vector<std::vector<wyvern_kernel_desc>> kernels;
  std::vector<wyvern_variant_desc> variants;
  wyvern_program_desc desc = {};
};
} // namespace

static wyvern_kernel_desc describe(const KernelInfo &kernel) {
  auto narrow = [](int64_t value) { return static_cast<uint32_t>(value); };
  wyvern_kernel_desc desc = {};
  static constexpr wyvern_count counts[] = {
      WYVERN_COUNT_SLOTS, WYVERN_COUNT_SEQUENCES, WYVERN_COUNT_SEGMENTS};
  bool slots = kernel.gridCount == GridCount::Slots;
  desc.symbol = kernel.symbol.c_str();
  desc.grid_count = counts[static_cast<unsigned>(kernel.gridCount)];
  desc.grid_factor = narrow(kernel.gridFactor);
  desc.grid_chunks = slots ? narrow(kernel.gridChunks) : 0;
  desc.waits = static_cast<wyvern_waits>(kernel.waits);
  desc.part = static_cast<wyvern_part>(kernel.part);
  desc.cost = {narrow(kernel.cost.stepChunks),  narrow(kernel.cost.residents),
               narrow(kernel.cost.blockCycles), narrow(kernel.cost.stepCycles),
               narrow(kernel.cost.stepWork),    narrow(kernel.cost.stepBytes)};
  return desc;
}

CostDescriptor::CostDescriptor(const ProgramInfo &program) {
  for (const VariantInfo &variant : program.variants) {
    auto &list = kernels.emplace_back();
    for (const KernelInfo &kernel : variant.kernels)
      list.push_back(describe(kernel));
  }
  for (auto [variant, list] : llvm::zip_equal(program.variants, kernels)) {
    const CutInfo &cut = variant.cut;
    variants.push_back(
        {variant.name.c_str(),
         0,
         nullptr,
         static_cast<uint32_t>(list.size()),
         list.data(),
         {cut.isReverse, static_cast<uint32_t>(cut.first),
          static_cast<uint32_t>(cut.second), static_cast<uint32_t>(cut.last)}});
  }
  desc.name = program.name.c_str();
  desc.chunk = program.chunk;
  desc.machine = {static_cast<uint32_t>(program.machine.sms),
                  static_cast<uint32_t>(program.machine.bytesPerCycle),
                  static_cast<uint32_t>(program.machine.launchCycles)};
  desc.num_variants = static_cast<uint32_t>(variants.size());
  desc.variants = variants.data();
}

std::vector<double> mlir::wyvern::estimateVariants(const ProgramInfo &program,
                                                   LaunchShape shape) {
  std::vector<double> cycles;
  if (program.variants.size() < 2)
    return cycles;
  CostDescriptor descriptor(program);
  for (size_t v = 0; v < program.variants.size(); ++v)
    cycles.push_back(descriptor.estimate(v, shape));
  return cycles;
}

std::vector<LaunchShape> mlir::wyvern::getJudgedShapes() {
  constexpr int64_t mostSequences = 64, mostTokens = 128 * 1024,
                    mostInAll = 512 * 1024;
  std::vector<LaunchShape> shapes;
  for (int64_t sequences = 1; sequences <= mostSequences; sequences *= 2)
    for (int64_t tokens = 512; tokens <= mostTokens; tokens *= 2)
      if (sequences * tokens <= mostInAll)
        shapes.push_back({sequences, tokens});
  return shapes;
}

/// Returns the shapes that those of a step are judged by.
static std::vector<LaunchShape> getStepShapes() {
  constexpr int64_t mostSequences = 256;
  std::vector<LaunchShape> shapes;
  for (int64_t sequences = 1; sequences <= mostSequences; sequences *= 2)
    shapes.push_back({sequences, 1});
  return shapes;
}

std::vector<size_t> mlir::wyvern::pickVariants(const ProgramInfo &program,
                                               size_t most) {
  std::vector<size_t> picked = {0};
  if (program.variants.size() < 2)
    return picked;
  std::vector<std::vector<double>> table;
  for (LaunchShape shape :
       program.chunk == 1 ? getStepShapes() : getJudgedShapes())
    table.push_back(estimateVariants(program, shape));
  // Of each row what the picked ones take, and what one more would leave.
  auto getBest = [&](const std::vector<double> &row) {
    double best = row[picked.front()];
    for (size_t v : picked)
      best = std::min(best, row[v]);
    return best;
  };
  auto getSaving = [&](size_t v) {
    double saved = 0;
    for (const std::vector<double> &row : table)
      saved += 1 - std::min(row[v] / getBest(row), 1.0);
    return saved / static_cast<double>(table.size());
  };
  constexpr double worth = 0.002;
  while (picked.size() < most) {
    size_t next = 0;
    double saving = worth;
    for (size_t v = 1; v < program.variants.size(); ++v)
      if (!llvm::is_contained(picked, v) && getSaving(v) > saving) {
        next = v;
        saving = getSaving(v);
      }
    if (next == 0)
      break;
    picked.push_back(next);
  }
  llvm::sort(picked);
  return picked;
}
