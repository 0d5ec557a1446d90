//===- CpuProgramTest.cpp - Compiling and running on this CPU -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Execution/CpuProgram.h"

#include "gtest/gtest.h"

#include <thread>

using namespace mlir;
using namespace mlir::wyvern;

/// Running sums within chunks of four tokens: easy to do by hand.
static constexpr char sums[] = R"(
func.func @sums(%x: tensor<?x?x1xf32> {delta.name = "x"},
                %cu: tensor<?xi64> {delta.name = "cu_seqlens"})
    -> (tensor<?x?x1xf32> {delta.name = "y"}) {
  %y = delta.chunk_map chunk = 4 heads = 1 compute = f32
      ins(%X = %x[seq, time, head] : tensor<?x?x1xf32>)
      cu_seqlens(%cu : tensor<?xi64>)
      outs([seq, time, head] : tensor<?x?x1xf32>) valid(%n) {
    %Y = delta.cumsum %X : tensor<4xf32>
    delta.yield outs(%Y : tensor<4xf32>)
  }
  return %y : tensor<?x?x1xf32>
}
)";

/// The sums, with the total of each chunk saved. The backward is scaled by it,
/// so that one sees what it was given.
static constexpr char pair[] = R"(
func.func @totals_fwd(%x: tensor<?x?x1xf32> {delta.name = "x"},
                      %cu: tensor<?xi64> {delta.name = "cu_seqlens"})
    -> (tensor<?x?x1xf32> {delta.name = "y"},
        tensor<?x1xf32> {delta.name = "total", delta.residual})
    attributes {delta.backward = @totals_bwd} {
  %y, %total = delta.chunk_map chunk = 4 heads = 1 compute = f32
      ins(%X = %x[seq, time, head] : tensor<?x?x1xf32>)
      cu_seqlens(%cu : tensor<?xi64>)
      outs([seq, time, head] : tensor<?x?x1xf32>,
           [chunk, head] : tensor<?x1xf32>) valid(%n) {
    %Y = delta.cumsum %X : tensor<4xf32>
    %zero = arith.constant dense<0.0> : tensor<f32>
    %Total = linalg.reduce { arith.addf } ins(%X : tensor<4xf32>)
        outs(%zero : tensor<f32>) dimensions = [0]
    delta.yield outs(%Y, %Total : tensor<4xf32>, tensor<f32>)
  }
  return %y, %total : tensor<?x?x1xf32>, tensor<?x1xf32>
}
func.func @totals_bwd(%cu: tensor<?xi64> {delta.name = "cu_seqlens"},
                      %total: tensor<?x1xf32> {delta.name = "total", delta.residual},
                      %dy: tensor<?x?x1xf32> {delta.name = "d_y"})
    -> (tensor<?x?x1xf32> {delta.name = "d_x"}) {
  %dx = delta.chunk_map chunk = 4 heads = 1 compute = f32
      ins(%T = %total[chunk, head] : tensor<?x1xf32>,
          %dY = %dy[seq, time, head] : tensor<?x?x1xf32>)
      cu_seqlens(%cu : tensor<?xi64>)
      outs([seq, time, head] : tensor<?x?x1xf32>) valid(%n) {
    %dX = delta.cumsum reverse %dY : tensor<4xf32>
    %e = tensor.empty() : tensor<4xf32>
    %Ts = linalg.broadcast ins(%T : tensor<f32>) outs(%e : tensor<4xf32>) dimensions = [0]
    %R = arith.mulf %dX, %Ts : tensor<4xf32>
    delta.yield outs(%R : tensor<4xf32>)
  }
  return %dx : tensor<?x?x1xf32>
}
)";

static std::unique_ptr<CpuProgram> compileSums() {
  return cantFail(CpuProgram::compile(sums));
}

/// x as [1, n, 1], every `stride`-th element of `data`.
static CpuBuffer column(std::vector<float> &data, int64_t stride = 1) {
  int64_t n = data.size() / stride;
  return {data.data(), {1, n, 1}, {n * stride, stride, 1}};
}

static CpuBuffer offsets(std::vector<int64_t> &data) {
  return {data.data(), {static_cast<int64_t>(data.size())}, {1}};
}

static std::vector<float> read(const CpuResult &result) {
  auto *data = static_cast<float *>(result.buffer.data);
  return std::vector<float>(data, data + result.buffer.shape[1]);
}

static std::string errorOf(const CpuProgram &program, CpuBuffer x,
                           std::vector<int64_t> cu) {
  auto results = program.run({x, offsets(cu)});
  return results ? "" : llvm::toString(results.takeError());
}

TEST(CpuProgram, KnowsItsTensors) {
  auto program = compileSums();
  EXPECT_EQ(program->getName(), "sums");
  ASSERT_EQ(program->getInputs().size(), 2u);
  const CpuTensor &x = program->getInputs()[0];
  EXPECT_EQ(x.name, "x");
  EXPECT_EQ(x.dtype, "f32");
  EXPECT_EQ(x.shape, (std::vector<int64_t>{-1, -1, 1}));
  ASSERT_EQ(x.dims.size(), 3u);
  EXPECT_EQ(x.dims[1].kind, delta::DimKind::time);
  EXPECT_EQ(program->getInputs()[1].dtype, "i64");
  EXPECT_EQ(program->getResults()[0].name, "y");
}

TEST(CpuProgram, RunsDenseAndPacked) {
  auto program = compileSums();
  std::vector<float> x = {1, 2, 3, 4, 5, 6};
  std::vector<int64_t> none, cu = {0, 2, 2, 5};
  auto dense = cantFail(program->run({column(x), offsets(none)}));
  EXPECT_EQ(read(dense[0]), (std::vector<float>{1, 3, 6, 10, 5, 11}));
  auto packed = cantFail(program->run({column(x), offsets(cu)}));
  EXPECT_EQ(read(packed[0]), (std::vector<float>{1, 3, 3, 7, 12, 0}));
}

TEST(CpuProgram, TakesAnyStrides) {
  auto program = compileSums();
  std::vector<float> wide = {1, -7, 2, -7, 3, -7};
  std::vector<int64_t> none;
  auto results = cantFail(program->run({column(wide, 2), offsets(none)}));
  EXPECT_EQ(read(results[0]), (std::vector<float>{1, 3, 6}));
  EXPECT_EQ(results[0].buffer.strides, (std::vector<int64_t>{3, 1, 1}));
}

TEST(CpuProgram, RunsFromSeveralThreads) {
  auto program = compileSums();
  std::vector<std::vector<float>> found(4);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&, i] {
      std::vector<float> x(4, static_cast<float>(i));
      std::vector<int64_t> none;
      auto results = cantFail(program->run({column(x), offsets(none)}));
      found[i] = read(results[0]);
    });
  for (std::thread &thread : threads)
    thread.join();
  for (int i = 0; i < 4; ++i)
    EXPECT_EQ(found[i].back(), 4.0f * i);
}

TEST(CpuProgram, RefusesWhatDoesNotFit) {
  auto program = compileSums();
  std::vector<float> x(6);
  CpuBuffer flat = {x.data(), {6}, {1}};
  EXPECT_EQ(errorOf(*program, flat, {}),
            "x: expected shape [?, ?, 1], found [6]");
  EXPECT_EQ(errorOf(*program, column(x), {0, 7}),
            "cu_seqlens: expected offsets that start at 0 or above, never "
            "decrease and end within the 6 tokens; found 7 after 0 at entry 1");
  CpuBuffer rows = {x.data(), {2, 3, 1}, {3, 1, 1}};
  EXPECT_EQ(errorOf(*program, rows, {0, 3}),
            "cu_seqlens: expected one batch row of packed sequences, found 2");
  auto missing = program->run({column(x)});
  EXPECT_EQ(llvm::toString(missing.takeError()), "expected 2 inputs, found 1");
}

static std::string compileError(StringRef source, CpuOptions options = {}) {
  auto program = CpuProgram::compile(source, options);
  return program ? "" : llvm::toString(program.takeError());
}

TEST(CpuProgram, ErrorsAreStrings) {
  EXPECT_NE(compileError("func.func @f(").find("<mlir>:1:"), std::string::npos);
  EXPECT_EQ(compileError(""), "expected one function, found none");
  CpuOptions other, phase;
  other.entry = "other";
  EXPECT_EQ(compileError(sums, other),
            "expected a function @other, found sums");
  phase.phase = "nonsense";
  EXPECT_EQ(compileError(sums, phase),
            "expected a phase that a CPU can run (wy, differentiated, staged, "
            "rounded or scheduled), found 'nonsense'");
  CpuOptions schedule;
  schedule.schedule = "nonsense";
  EXPECT_EQ(compileError(sums, schedule),
            "expected a schedule (separate, fused-blocks, fused-warps, "
            "fused-backward, clustered-backward), found 'nonsense'");
  CpuOptions backward;
  backward.backward = true;
  EXPECT_EQ(compileError(sums, backward),
            "sums has no backward; derive it (training)");
  other.entry = "totals_bwd";
  EXPECT_EQ(compileError(pair, other), "");
  CpuOptions training;
  training.training = true;
  EXPECT_NE(compileError(pair, training).find("has a backward already"),
            std::string::npos);
}

TEST(CpuProgram, ForwardAndBackward) {
  CpuOptions options;
  auto forward = cantFail(CpuProgram::compile(pair));
  options.backward = true;
  auto backward = cantFail(CpuProgram::compile(pair, options));
  EXPECT_EQ(forward->getName(), "totals");
  EXPECT_EQ(backward->getName(), "totals_backward");
  EXPECT_TRUE(forward->hasBackward() && !backward->hasBackward());
  EXPECT_TRUE(forward->getResults()[1].isResidual);
  EXPECT_TRUE(backward->getInputs()[1].isResidual);

  std::vector<float> x = {1, 2, 3, 4, 5, 6}, ones(6, 1.0f);
  std::vector<int64_t> none, cu = {0, 5, 6};
  auto y = cantFail(forward->run({column(x), offsets(none)}));
  auto *total = static_cast<float *>(y[1].buffer.data);
  EXPECT_EQ(y[1].buffer.shape, (std::vector<int64_t>{2, 1}));
  EXPECT_EQ(std::vector<float>(total, total + 2), (std::vector<float>{10, 11}));
  auto dx = cantFail(backward->run({offsets(none), y[1].buffer, column(ones)}));
  EXPECT_EQ(read(dx[0]), (std::vector<float>{40, 30, 20, 10, 22, 11}));
  // Packed there are 6 / 4 + 2 slots: what was saved does not fit.
  auto wrong = backward->run({offsets(cu), y[1].buffer, column(ones)});
  EXPECT_EQ(llvm::toString(wrong.takeError()),
            "total: expected shape [3, 1], found [2, 1]");
}
