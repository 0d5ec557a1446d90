//===- AddPartsTest.cpp - A variant of segments between whole sequences ---===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Target/Manifest.h"

#include <gtest/gtest.h>

using namespace mlir::wyvern;

namespace {
KernelInfo makeKernel(const char *symbol, GridCount count,
                      std::vector<std::string> tensors) {
  KernelInfo kernel;
  kernel.symbol = kernel.file = symbol;
  kernel.gridCount = count;
  kernel.gridFactor = 16;
  kernel.cost.stepCycles = 1000;
  for (const std::string &tensor : tensors)
    kernel.params.push_back({ParamKind::Pointer, tensor, 0, {}, 0});
  return kernel;
}

/// A program with a variant of whole sequences and one of segments.
ProgramInfo makeProgram() {
  ProgramInfo program;
  program.name = "layer";
  program.machine.codeBytes = 128 << 10;
  TensorInfo state;
  state.dtype = "f32";
  state.optional = true;
  state.dims = {{DimRange::Seq, 0, 0}, {DimRange::Head, 0, 16}};
  state.name = "start";
  program.tensors.push_back(state);
  state.name = "end";
  state.role = TensorRole::Output;
  program.tensors.push_back(state);
  KernelInfo whole =
      makeKernel("whole", GridCount::Sequences, {"start", "end"});
  whole.canWaitLast = true;
  TensorInfo kept;
  kept.name = "kept";
  kept.role = TensorRole::Workspace;
  program.variants = {
      {"fused", {}, {whole}, {{"start", "end"}}},
      {"fused-segments",
       {kept},
       {makeKernel("ends", GridCount::Segments, {"kept"}),
        makeKernel("transitions", GridCount::Segments, {"kept"}),
        makeKernel("join", GridCount::Sequences, {"start", "end", "kept"}),
        makeKernel("last", GridCount::Segments, {"kept"})},
       {{"start", "end"}},
       /*inParts=*/true}};
  for (KernelInfo &kernel : program.variants[1].kernels)
    kernel.waits = Waits::First;
  return program;
}

std::vector<std::string> getTensors(const KernelInfo &kernel) {
  std::vector<std::string> tensors;
  for (const ParamInfo &param : kernel.params)
    tensors.push_back(param.tensor);
  return tensors;
}

using Names = std::vector<std::string>;
} // namespace

TEST(AddPartsTest, HandsStatesOn) {
  ProgramInfo program = makeProgram();
  ASSERT_TRUE(addParts(program));
  ASSERT_EQ(program.variants.size(), 3u);
  const VariantInfo &made = program.variants[2];
  EXPECT_EQ(made.name, "fused-parts");
  ASSERT_EQ(made.workspace.size(), 4u);
  EXPECT_EQ(made.workspace[1].name, "behind_first");
  EXPECT_EQ(made.workspace[2].name, "behind_second");
  EXPECT_EQ(made.workspace[3].name, "behind_middle");
  EXPECT_EQ(made.workspace[3].dims, program.tensors[0].dims);
  EXPECT_EQ(made.workspace[3].role, TensorRole::Workspace);
  EXPECT_FALSE(made.workspace[3].optional);
  const std::vector<KernelInfo> &kernels = made.kernels;
  ASSERT_EQ(kernels.size(), 7u);
  EXPECT_EQ(kernels[0].symbol, "ends");
  EXPECT_EQ(kernels[0].part, Part::Middle);
  EXPECT_EQ(kernels[1].symbol, "whole");
  EXPECT_EQ(kernels[1].part, Part::First);
  EXPECT_EQ(kernels[1].waits, Waits::Last);
  EXPECT_EQ(getTensors(kernels[1]), (Names{"start", "behind_first"}));
  EXPECT_EQ(kernels[3].part, Part::Second);
  EXPECT_EQ(getTensors(kernels[3]), (Names{"behind_first", "behind_second"}));
  EXPECT_EQ(getTensors(kernels[4]),
            (Names{"behind_second", "behind_middle", "kept"}));
  EXPECT_EQ(kernels[5].waits, Waits::First);
  EXPECT_EQ(kernels[6].part, Part::Last);
  EXPECT_EQ(getTensors(kernels[6]), (Names{"behind_middle", "end"}));
  // The kernels are those of the others.
  EXPECT_EQ(kernels[6].file, "whole");
  EXPECT_EQ(program.variants[0].kernels[0].part, Part::All);
}

TEST(AddPartsTest, HandsOnWhatIsInSlotsOfAPool) {
  ProgramInfo program = makeProgram();
  TensorInfo &pool = program.tensors.front();
  pool.name = "state";
  pool.optional = false;
  pool.inPlace = true;
  pool.dims.front().kind = DimRange::Slot;
  program.tensors.pop_back();
  // Where states begin, then where they end; then what else there is.
  auto makePooled = [](std::vector<ParamInfo> &params) {
    params.clear();
    for (int i = 0; i < 2; ++i) {
      params.push_back({ParamKind::Pointer, "state", 0, {}, 0});
      params.push_back({ParamKind::Stride, "state", 1, {}, 0});
    }
    params.push_back({ParamKind::Pointer, "read_slots", 0, {}, 0});
    params.push_back({ParamKind::Part, "", 0, {}, 0});
  };
  makePooled(program.variants[0].kernels[0].params);
  makePooled(program.variants[1].kernels[2].params);
  for (VariantInfo &variant : program.variants)
    variant.states = {{"state", "state"}};
  ASSERT_TRUE(addParts(program));
  const VariantInfo &made = program.variants[2];
  // They are one a sequence, and no pool.
  EXPECT_EQ(made.workspace[1].dims.front().kind, DimRange::Seq);
  EXPECT_EQ(made.workspace[1].dims.back(), program.tensors[0].dims.back());
  EXPECT_FALSE(made.workspace[1].inPlace);
  auto getStates = [&](size_t number) {
    Names names = getTensors(made.kernels[number]);
    names.resize(4);
    return names;
  };
  EXPECT_EQ(getStates(1),
            (Names{"state", "state", "behind_first", "behind_first"}));
  EXPECT_EQ(getStates(3), (Names{"behind_first", "behind_first",
                                 "behind_second", "behind_second"}));
  EXPECT_EQ(getStates(4), (Names{"behind_second", "behind_second",
                                 "behind_middle", "behind_middle"}));
  EXPECT_EQ(getStates(6),
            (Names{"behind_middle", "behind_middle", "state", "state"}));
}

TEST(AddPartsTest, CutsByTimes) {
  ProgramInfo program = makeProgram();
  std::vector<KernelInfo> &kernels = program.variants[1].kernels;
  kernels[0].cost.stepCycles = 500;
  kernels[1].cost.stepCycles = 10;
  kernels[3].cost.stepCycles = 2000;
  program.variants[1].cut.isReverse = true;
  ASSERT_TRUE(addParts(program));
  const CutInfo &cut = program.variants[2].cut;
  EXPECT_TRUE(cut.isReverse);
  EXPECT_EQ(cut.first, 6);
  // A chunk at least, and not all that there is time for.
  EXPECT_EQ(cut.second, 1);
  EXPECT_EQ(cut.last, 14);
  EXPECT_EQ(program.variants[0].cut.first, 0);
  // By the memory where that takes longer: 2 * 1000 for the ends.
  program.variants.pop_back();
  program.machine = {/*sms=*/100, /*bytesPerCycle=*/1000, /*launchCycles=*/0};
  program.variants[0].kernels[0].cost.stepBytes = 40000;
  program.variants[1].kernels[0].cost.stepBytes = 20000;
  ASSERT_TRUE(addParts(program));
  EXPECT_EQ(program.variants[2].cut.first, 6);
  EXPECT_EQ(program.variants[2].cut.last, 9);
}

TEST(AddPartsTest, NeedsBothAndWhatMakesThemParts) {
  auto isRefused = [](auto change) {
    ProgramInfo program = makeProgram();
    change(program.variants[0], program.variants[1]);
    return !addParts(program) && program.variants.size() == 2;
  };
  EXPECT_FALSE(isRefused([](VariantInfo &, VariantInfo &) {}));
  EXPECT_TRUE(isRefused(
      [](VariantInfo &, VariantInfo &segments) { segments.inParts = false; }));
  EXPECT_TRUE(isRefused(
      [](VariantInfo &, VariantInfo &segments) { segments.states.clear(); }));
  EXPECT_TRUE(isRefused([](VariantInfo &whole, VariantInfo &) {
    whole.states.front().final = "another";
  }));
  // Behind a map of its own it could not run beside another kernel.
  EXPECT_TRUE(isRefused([](VariantInfo &whole, VariantInfo &) {
    whole.kernels.front().canWaitLast = false;
  }));
  EXPECT_TRUE(isRefused([](VariantInfo &whole, VariantInfo &) {
    whole.kernels.push_back(whole.kernels.front());
  }));
  EXPECT_TRUE(isRefused(
      [](VariantInfo &whole, VariantInfo &) { whole.name = "other"; }));
  // Two blocks a head would leave no room for the segments.
  EXPECT_TRUE(isRefused([](VariantInfo &whole, VariantInfo &) {
    whole.kernels.front().gridFactor = 32;
  }));
  EXPECT_TRUE(isRefused([](VariantInfo &, VariantInfo &segments) {
    segments.kernels.front().gridCount = GridCount::Slots;
  }));
  // Of the last part and the last chain, which run beside each other.
  EXPECT_TRUE(isRefused([](VariantInfo &whole, VariantInfo &segments) {
    whole.kernels.front().cubin = std::string(128 << 10, ' ');
    segments.kernels.back().cubin = std::string(97 << 10, ' ');
  }));
}
