//===- ChoiceTest.cpp - Which variant a launch would run ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Target/Choice.h"

#include <gtest/gtest.h>

using namespace mlir::wyvern;

namespace {
/// A kernel of `factor` blocks a sequence, of which each chunk takes so long.
KernelInfo makeChain(int64_t factor, int64_t stepCycles) {
  KernelInfo kernel;
  kernel.symbol = kernel.file = "chain";
  kernel.gridCount = GridCount::Sequences;
  kernel.gridFactor = factor;
  kernel.cost = {/*stepChunks=*/1,     /*residents=*/1,
                 /*blockCycles=*/1000, stepCycles,
                 /*stepWork=*/0,       /*stepBytes=*/0};
  return kernel;
}

/// A program of 16 heads: two blocks a head that are fast, and a map with a
/// chain that is faster, but has to be waited for.
ProgramInfo makeProgram() {
  ProgramInfo program;
  program.name = "layer";
  program.chunk = 64;
  program.machine = {/*sms=*/100, /*bytesPerCycle=*/1000, /*launchCycles=*/500};
  KernelInfo map = makeChain(16, 0);
  map.gridCount = GridCount::Slots;
  map.cost = {1, 4, 1000, 4000, 1500, 0};
  program.variants = {{"separate", {}, {map, makeChain(16, 1000)}},
                      {"fused", {}, {makeChain(32, 1200)}}};
  return program;
}

std::vector<double> estimate(int64_t sequences, int64_t tokens) {
  return estimateVariants(makeProgram(), {sequences, tokens});
}
} // namespace

TEST(ChoiceTest, WavesTimesStepsTimesCycles) {
  // 16 chains of 2 chunks; 32 blocks of the map, fewer than there are SMs.
  EXPECT_EQ(estimate(1, 100)[0], 500 + 1000 + 4000 + 500 + 1000 + 2 * 1000);
  EXPECT_EQ(estimate(1, 100)[1], 500 + 1000 + 2 * 1200);
  // 128 blocks are two waves.
  EXPECT_EQ(estimate(4, 100)[1], 500 + 2 * (1000 + 2 * 1200));
  // 1280 blocks of the map, of which an SM holds four: three rounds, and one of
  // those that are left, the thirteenth. Four share what they keep busy.
  EXPECT_EQ(estimate(1, 64 * 80)[0],
            500 + 3 * (1000 + 4 * 1500) + 1000 + 4000 + 500 + 1000 + 80 * 1000);
}

TEST(ChoiceTest, ASlotIsNoLongerThanItsSequence) {
  ProgramInfo program = makeProgram();
  KernelInfo &kernel = program.variants[1].kernels[0];
  kernel.gridCount = GridCount::Slots;
  kernel.gridChunks = 16;
  EXPECT_EQ(estimateVariants(program, {1, 64 * 3})[1], 500 + 1000 + 3 * 1200);
  EXPECT_EQ(estimateVariants(program, {1, 64 * 48})[1], 500 + 1000 + 16 * 1200);
  // A step through four chunks at once.
  kernel.cost.stepChunks = 4;
  EXPECT_EQ(estimateVariants(program, {1, 64 * 48})[1], 500 + 1000 + 4 * 1200);
}

TEST(ChoiceTest, NoFasterThanMemory) {
  ProgramInfo program = makeProgram();
  program.variants[1].kernels[0].cost.stepBytes = 1 << 20;
  EXPECT_EQ(estimateVariants(program, {1, 64})[1],
            500 + 32 * double(1 << 20) / 1000);
}

TEST(ChoiceTest, NothingToEstimateWithoutAChoice) {
  ProgramInfo program = makeProgram();
  program.variants.pop_back();
  EXPECT_TRUE(estimateVariants(program, {1, 100}).empty());
  EXPECT_EQ(pickVariants(program, 3), std::vector<size_t>{0});
}

TEST(ChoiceTest, PicksWhatSavesMost) {
  ProgramInfo program = makeProgram();
  EXPECT_EQ(pickVariants(program, 3), (std::vector<size_t>{0, 1}));
  EXPECT_EQ(pickVariants(program, 1), std::vector<size_t>{0});
  // Another that is a little slower everywhere saves nothing.
  program.variants.push_back({"slower", {}, {makeChain(32, 1201)}});
  EXPECT_EQ(pickVariants(program, 3), (std::vector<size_t>{0, 1}));
  // One that is faster takes the place of the second.
  program.variants.push_back({"faster", {}, {makeChain(32, 800)}});
  EXPECT_EQ(pickVariants(program, 2), (std::vector<size_t>{0, 3}));
}

TEST(ChoiceTest, JudgesShapesOfALaunch) {
  std::vector<LaunchShape> shapes = getJudgedShapes();
  ASSERT_FALSE(shapes.empty());
  for (LaunchShape shape : shapes)
    EXPECT_LE(shape.sequences * shape.tokens, 512 * 1024);
  EXPECT_EQ(shapes.front().tokens, 512);
}
