//===- InterpreterTest.cpp - The reference, on numbers done by hand -------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Reference/Interpreter.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"

#include <cmath>

using namespace mlir;
using namespace mlir::wyvern::reference;

namespace {

// K = V = 1, so that a state is a number.
const char *const deltaText = R"mlir(
func.func @f(%q: tensor<?x?x1x1xf32> {delta.name = "q"}, %g: tensor<?x?x2xf32> {delta.name = "g"},
    %k: tensor<?x?x1x1xf32> {delta.name = "k"}, %v: tensor<?x?x2x1xf32> {delta.name = "v"},
    %initial_state: tensor<?x2x1x1xf32> {delta.name = "initial_state"}, %cu: tensor<?xi64> {delta.name = "cu_seqlens"})
    -> (tensor<?x?x2x1xf32> {delta.name = "o"}, tensor<?x2x1x1xf32>) {
  %o, %s = delta.recurrence query(%q) decay(%g) step(write %k erase %k value %v rate 0.5 BEFORE)
      initial_state(%initial_state) cu_seqlens(%cu) scale 10.0
    : tensor<?x?x1x1xf32>, tensor<?x?x2xf32>, tensor<?x?x1x1xf32>, tensor<?x?x1x1xf32>, tensor<?x?x2x1xf32>, tensor<?x2x1x1xf32>, tensor<?xi64>
    -> (tensor<?x?x2x1xf32>, tensor<?x2x1x1xf32>)
  return %o, %s : tensor<?x?x2x1xf32>, tensor<?x2x1x1xf32>
}
)mlir";

class InterpreterTest : public ::testing::Test {
protected:
  InterpreterTest() {
    DialectRegistry registry;
    registerInterpretedDialects(registry);
    context.appendDialectRegistry(registry);
    context.getDiagEngine().registerHandler([&](Diagnostic &diagnostic) {
      message = diagnostic.str();
      return success();
    });
  }

  /// Runs the only function of `text`.
  FailureOr<NamedArrays> run(std::string text, const NamedArrays &arguments) {
    module = parseSourceString<ModuleOp>(text, &context);
    EXPECT_TRUE(module) << message;
    return interpret(*module->getOps<func::FuncOp>().begin(), arguments);
  }

  FailureOr<NamedArrays> runDelta(const NamedArrays &arguments,
                                  StringRef beforeDecay = "") {
    std::string text = deltaText;
    return run(text.replace(text.find("BEFORE"), 6, beforeDecay), arguments);
  }

  MLIRContext context;
  OwningOpRef<ModuleOp> module;
  std::string message;
};

const double half = std::log(0.5);

/// Two tokens; head 0 decays by a half, head 1 not at all.
NamedArrays twoTokens() {
  return {{"q", NDArray({1, 2, 1, 1}, {1, 2})},
          {"g", NDArray({1, 2, 2}, {half, 0, half, 0})},
          {"k", NDArray({1, 2, 1, 1}, {1, 2})},
          {"v", NDArray({1, 2, 2, 1}, {4, 8, 6, 0})},
          {"initial_state", NDArray({1, 2, 1, 1}, {8, 2})}};
}

TEST_F(InterpreterTest, TokenByToken) {
  auto results = runDelta(twoTokens());
  ASSERT_TRUE(succeeded(results)) << message;
  // Head 0: S = 8 -> 4;        u = .5 (4 - 4)  = 0;   S = 4;   o = 10 * 1 * 4.
  //         S = 4 -> 2;        u = .5 (6 - 4)  = 1;   S = 4;   o = 10 * 2 * 4.
  // Head 1: S = 2;             u = .5 (8 - 2)  = 3;   S = 5;   o = 10 * 1 * 5.
  //                            u = .5 (0 - 10) = -5;  S = -5;  o = 10 * 2 * -5.
  EXPECT_EQ((*results)["o"].shape, (std::vector<int64_t>{1, 2, 2, 1}));
  EXPECT_EQ((*results)["o"].data, (std::vector<double>{40, 50, 80, -100}));
  // The second result has no name of its own.
  EXPECT_EQ((*results)["result1"].data, (std::vector<double>{4, -5}));
}

TEST_F(InterpreterTest, BeforeDecayReadsTheUndecayedState) {
  auto results = runDelta(twoTokens(), "before_decay");
  ASSERT_TRUE(succeeded(results)) << message;
  // Head 0: u = .5 (4 - 8) = -2;  S = 4 - 2 = 2;
  //         u = .5 (6 - 4) = 1;   S = 1 + 2 = 3.
  EXPECT_EQ((*results)["result1"].data, (std::vector<double>{3, -5}));
}

TEST_F(InterpreterTest, PackedSequencesShareNothing) {
  NamedArrays arguments = twoTokens();
  arguments["initial_state"] = NDArray({3, 2, 1, 1}, {8, 2, 1, 1, 8, 2});
  arguments["cu_seqlens"] = NDArray({4}, {0, 1, 1, 1});
  auto results = runDelta(arguments);
  ASSERT_TRUE(succeeded(results)) << message;
  // The second token belongs to no sequence; the empty sequences keep their
  // state.
  EXPECT_EQ((*results)["o"].data, (std::vector<double>{40, 50, 0, 0}));
  EXPECT_EQ((*results)["result1"].data,
            (std::vector<double>{4, 5, 1, 1, 8, 2}));
}

TEST_F(InterpreterTest, AbsentStateIsZero) {
  NamedArrays arguments = twoTokens();
  arguments.erase("initial_state");
  auto results = runDelta(arguments);
  ASSERT_TRUE(succeeded(results)) << message;
  arguments["initial_state"] = NDArray({1, 2, 1, 1}, {0, 0});
  EXPECT_EQ((*results)["o"].data, (*runDelta(arguments))["o"].data);
}

TEST_F(InterpreterTest, ElementwiseNaNs) {
  auto results = run(R"mlir(
func.func @f(%x: tensor<2xf32>) -> (tensor<2xf32>, tensor<2xf32>) {
  %c = arith.constant dense<[1.5, -2.0]> : tensor<2xf32>
  %max = arith.maximumf %x, %c : tensor<2xf32>
  %num = arith.maxnumf %x, %c : tensor<2xf32>
  return %max, %num : tensor<2xf32>, tensor<2xf32>
})mlir",
                     {{"arg0", NDArray({2}, {NAN, -3})}});
  ASSERT_TRUE(succeeded(results)) << message;
  EXPECT_TRUE(std::isnan((*results)["result0"].data[0]));
  EXPECT_EQ((*results)["result0"].data[1], -2.0);
  EXPECT_EQ((*results)["result1"].data[0], 1.5);
}

TEST_F(InterpreterTest, RandomArgumentsRepeat) {
  module = parseSourceString<ModuleOp>(
      std::string(deltaText).replace(std::string(deltaText).find("BEFORE"), 6,
                                     ""),
      &context);
  auto func = *module->getOps<func::FuncOp>().begin();
  auto first = randomArguments(func, 2, 3, 7);
  auto second = randomArguments(func, 2, 3, 7);
  auto third = randomArguments(func, 2, 3, 8);
  ASSERT_TRUE(succeeded(first) && succeeded(second) && succeeded(third));
  EXPECT_EQ((*first)["v"].data, (*second)["v"].data);
  EXPECT_NE((*first)["v"].data, (*third)["v"].data);
  EXPECT_EQ((*first)["v"].shape, (std::vector<int64_t>{2, 3, 2, 1}));
  for (double g : (*first)["g"].data)
    EXPECT_LE(g, 0.0);
  EXPECT_TRUE(succeeded(interpret(func, *first)));
}

//===----------------------------------------------------------------------===//
// Bad input
//===----------------------------------------------------------------------===//

TEST_F(InterpreterTest, RefusesArgumentsOfWrongShape) {
  NamedArrays arguments = twoTokens();
  arguments["k"] = NDArray({1, 2, 3, 1});
  EXPECT_TRUE(failed(runDelta(arguments)));
  EXPECT_EQ(message, "expected an array of type 'tensor<?x?x1x1xf32>' for 'k', "
                     "found shape [1, 2, 3, 1]");
}

TEST_F(InterpreterTest, RefusesOperandsOfOtherLengths) {
  NamedArrays arguments = twoTokens();
  arguments["v"] = NDArray({1, 3, 2, 1});
  EXPECT_TRUE(failed(runDelta(arguments)));
  EXPECT_EQ(message, "expected the operands of step #0 of batch size 1 and 2 "
                     "rows, as the query has, found an array of shape "
                     "[1, 3, 2, 1]");
}

TEST_F(InterpreterTest, RefusesUnknownAndMissingNames) {
  NamedArrays arguments = twoTokens();
  arguments["beta"] = NDArray({1});
  EXPECT_TRUE(failed(runDelta(arguments)));
  EXPECT_EQ(message, "no argument is named 'beta'; expected q, g, k, v, "
                     "initial_state, cu_seqlens");
  arguments.erase("beta");
  arguments.erase("g");
  EXPECT_TRUE(failed(runDelta(arguments)));
  EXPECT_EQ(message,
            "argument 'g' was not given; expected arrays named q, g, k, "
            "v, initial_state, cu_seqlens");
}

TEST_F(InterpreterTest, RefusesBadCuSeqlens) {
  NamedArrays arguments = twoTokens();
  arguments["cu_seqlens"] = NDArray({3}, {0, 2, 1});
  arguments["initial_state"] = NDArray({2, 2, 1, 1});
  EXPECT_TRUE(failed(runDelta(arguments)));
  EXPECT_EQ(message, "expected cu_seqlens that do not decrease, from 0 or more "
                     "to at most 2 tokens, found 1 after 2");
  arguments["cu_seqlens"] = NDArray({3}, {0, 1, 3});
  EXPECT_TRUE(failed(runDelta(arguments)));
  EXPECT_EQ(message, "expected cu_seqlens that do not decrease, from 0 or more "
                     "to at most 2 tokens, found 3 after 1");
  arguments["cu_seqlens"] = NDArray({2}, {0, 2});
  EXPECT_TRUE(failed(runDelta(arguments)));
  EXPECT_EQ(message,
            "expected one initial state for each of 1 sequences, found 2");
}

TEST_F(InterpreterTest, RefusesChunkPrograms) {
  EXPECT_TRUE(failed(run(R"mlir(
func.func @f(%x: tensor<4xf32>) -> tensor<4xf32> {
  %y = delta.cumsum %x : tensor<4xf32>
  return %y : tensor<4xf32>
})mlir",
                         {{"arg0", NDArray({4})}})));
  EXPECT_EQ(message,
            "the reference interpreter takes the sequence level only: "
            "delta.recurrence, delta.running_sum, maps of single tokens, "
            "elementwise arith and math on floats, constants and return; "
            "interpret the program before delta-form-wy");
  EXPECT_TRUE(failed(run(R"mlir(
func.func @f(%x: tensor<?x?x1xf32>) -> tensor<?x?x1xf32> {
  %y = delta.chunk_map chunk = 2 heads = 1 compute = f32
      ins(%a = %x[seq, time, head] : tensor<?x?x1xf32>)
      outs([seq, time, head] : tensor<?x?x1xf32>) valid(%n) {
    %b = arith.addf %a, %a : tensor<2xf32>
    delta.yield outs(%b : tensor<2xf32>)
  }
  return %y : tensor<?x?x1xf32>
})mlir",
                         {{"arg0", NDArray({1, 2, 1})}})));
  EXPECT_EQ(message, "the reference interpreter takes maps of single tokens, "
                     "found chunks of 2; interpret the program before "
                     "delta-form-wy");
}

TEST_F(InterpreterTest, ComputesForEachToken) {
  NamedArrays arguments;
  arguments["arg0"] = NDArray({1, 3, 1, 2}, {3, 4, 1, 0, 5, 6});
  arguments["arg1"] = NDArray({1, 3, 1, 2}, {1, 2, 3, 4, 9, 9});
  arguments["arg2"] = NDArray({2}, {0, 2});
  FailureOr<NamedArrays> results = run(R"mlir(
func.func @f(%x: tensor<?x?x1x2xf64>, %p: tensor<?x?x1x2xf64>,
             %c: tensor<?xi64>)
    -> (tensor<?x?x1x2xf64>, tensor<?x1x2xf64>) {
  %s, %t = delta.running_sum %p cu_seqlens(%c : tensor<?xi64>)
      : tensor<?x?x1x2xf64> -> tensor<?x1x2xf64>
  %y = delta.chunk_map chunk = 1 heads = 1 compute = f64
      ins(%a = %x[seq, time, head, _] : tensor<?x?x1x2xf64>,
          %b = %s[seq, time, head, _] : tensor<?x?x1x2xf64>)
      cu_seqlens(%c : tensor<?xi64>)
      outs([seq, time, head, _] : tensor<?x?x1x2xf64>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<1xf64>
    %sum = linalg.reduce { arith.addf } ins(%a : tensor<1x2xf64>)
        outs(%zero : tensor<1xf64>) dimensions = [1]
    %like = tensor.empty() : tensor<1x2xf64>
    %row = linalg.broadcast ins(%sum : tensor<1xf64>)
        outs(%like : tensor<1x2xf64>) dimensions = [1]
    %u, %v = delta.split_columns %b : tensor<1x2xf64> -> tensor<1x1xf64>
    %w = delta.join_columns %v, %u : tensor<1x1xf64> -> tensor<1x2xf64>
    %z = arith.mulf %row, %w : tensor<1x2xf64>
    delta.yield outs(%z : tensor<1x2xf64>)
  }
  return %y, %t : tensor<?x?x1x2xf64>, tensor<?x1x2xf64>
})mlir",
                                       arguments);
  ASSERT_TRUE(succeeded(results)) << message;
  EXPECT_EQ((*results)["result0"].data,
            (std::vector<double>{14, 7, 6, 4, 0, 0}));
  EXPECT_EQ((*results)["result1"].data, (std::vector<double>{4, 6}));
}

} // namespace
