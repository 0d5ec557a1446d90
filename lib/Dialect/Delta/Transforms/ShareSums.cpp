//===- ShareSums.cpp - The decay of a chunk, off its running decay --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A chain multiplies its state by e^(sum of g), and reads e^(running sum of g),
// which a map has made. The last of the latter is the former. On a GPU the sum
// is a dozen additions and two exchanges between lanes in the middle of the
// chain, the last element one load.
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/IR/Delta.h"
#include "wyvern/Dialect/Delta/IR/Splat.h"
#include "wyvern/Dialect/Delta/Transforms/Passes.h"
#include "wyvern/Dialect/Delta/Utils/ExtendProgram.h"
#include "wyvern/Dialect/Delta/Utils/TrainingPair.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/PatternMatch.h"

namespace mlir::wyvern::delta {
#define GEN_PASS_DEF_SHARESUMSPASS
#include "wyvern/Dialect/Delta/Transforms/Passes.h.inc"
} // namespace mlir::wyvern::delta

using namespace mlir;
using namespace mlir::wyvern::delta;

namespace {
/// An in of a chunk program.
struct BoundIn {
  Value tensor;
  BindingAttr binding;
};
} // namespace

/// Returns the in whose tile `value` is; nothing for another value.
static std::optional<BoundIn> findIn(ChunkProgramOpInterface program,
                                     Value value) {
  Value in = ChunkProgramOpInterface::getInOfTile(value);
  if (!in)
    return std::nullopt;
  unsigned number = cast<BlockArgument>(value).getArgNumber() - 1; // `valid`
  return BoundIn{in, program.getInBinding(number)};
}

/// Returns the vector whose sum's exponential `exp` is; null for another.
static Value getSummed(math::ExpOp exp) {
  auto sum = exp.getOperand().getDefiningOp<linalg::ReduceOp>();
  if (!sum || getTileRank(exp.getResult()) != 0 || !sum->hasOneUse() ||
      !isZero(sum.getInits().front()))
    return {};
  Block &body = sum.getCombiner().front();
  bool isSum =
      body.getOperations().size() == 2 && isa<arith::AddFOp>(body.front());
  return isSum ? sum.getInputs().front() : Value();
}

/// Returns what the forward saves as the residual that `tensor`, an argument of
/// its backward, is; null for any other value.
static OpResult findSaved(Value tensor) {
  auto arg = dyn_cast<BlockArgument>(tensor);
  auto backward =
      arg ? dyn_cast<func::FuncOp>(arg.getOwner()->getParentOp()) : nullptr;
  if (!backward || !backward.getArgAttr(arg.getArgNumber(), kResidualAttr))
    return {};
  StringRef name = getArgName(backward, arg.getArgNumber());
  for (auto forward :
       backward->getParentOfType<ModuleOp>().getOps<func::FuncOp>()) {
    if (getBackward(forward) != backward)
      continue;
    Operation *end = forward.getBody().front().getTerminator();
    for (unsigned i = 0; i < forward.getNumResults(); ++i)
      if (getResultName(forward, i) == name)
        return dyn_cast<OpResult>(end->getOperand(i));
  }
  return {};
}

/// True for one tensor, or for an argument of a forward and that of its
/// backward which is the same operand.
static bool isSameTensor(Value a, Value b) {
  auto getName = [](Value value) -> StringRef {
    auto arg = dyn_cast<BlockArgument>(value);
    auto func =
        arg ? dyn_cast<func::FuncOp>(arg.getOwner()->getParentOp()) : nullptr;
    return func ? getArgName(func, arg.getArgNumber()) : StringRef();
  };
  return a == b || (!getName(a).empty() && getName(a) == getName(b));
}

/// True if `out` is the exponential of the running sum of `g`, a row a token.
static bool isRunningDecay(OpResult out, const BoundIn &g, int64_t chunk) {
  auto map = dyn_cast<ChunkMapOp>(out.getOwner());
  if (!map || static_cast<int64_t>(map.getChunk()) != chunk)
    return false;
  auto exp = map.getYield()
                 .getOuts()[out.getResultNumber()]
                 .getDefiningOp<math::ExpOp>();
  auto sum = exp ? exp.getOperand().getDefiningOp<CumsumOp>() : CumsumOp();
  if (!sum || sum.getReverse() || sum.getExclusive() || getTileRank(sum) != 1 ||
      g.binding.getTimeMultiple() != 1)
    return false;
  std::optional<BoundIn> summed =
      findIn(cast<ChunkProgramOpInterface>(map.getOperation()), sum.getX());
  return summed && isSameTensor(summed->tensor, g.tensor) &&
         summed->binding == g.binding;
}

/// Returns the tile of `program` that is the running decay of `g`; null if it
/// reads none.
static Value findRunningDecay(ChunkProgramOpInterface program,
                              const BoundIn &g) {
  for (auto [i, in] : llvm::enumerate(program.getIns())) {
    OpResult saved = findSaved(in);
    auto out = saved ? saved : dyn_cast<OpResult>(in);
    if (out && isRunningDecay(out, g, program.getChunk()))
      return program.getInArg(i);
  }
  return {};
}

/// Returns the running decay of the gates that a map makes for `program` as one
/// more in of it, which is as large as the gates are; null where none makes
/// them, or not a row a token.
static Value addRunningDecay(RewriterBase &rewriter,
                             ChunkProgramOpInterface program,
                             const BoundIn &g) {
  auto made = dyn_cast<OpResult>(g.tensor);
  auto map = made ? dyn_cast<ChunkMapOp>(made.getOwner()) : ChunkMapOp();
  auto type = cast<RankedTensorType>(g.tensor.getType());
  if (!map || int64_t(map.getChunk()) != program.getChunk() ||
      type.getRank() != 3 || g.binding.getTimeMultiple() != 1)
    return {};
  auto maker = cast<ChunkProgramOpInterface>(map.getOperation());
  Operation *end = maker.getYield();
  Value gates = end->getOperand(made.getResultNumber());
  rewriter.setInsertionPoint(end);
  Value sum = CumsumOp::create(rewriter, map.getLoc(), gates.getType(), gates,
                               /*reverse=*/false, /*exclusive=*/false);
  Value running = math::ExpOp::create(rewriter, map.getLoc(), sum);
  rewriter.setInsertionPoint(map);
  Value out = addOut(rewriter, maker, running, {type, g.binding});
  return addIn(rewriter, program, out, g.binding, running.getType());
}

namespace {
struct ShareSumsPass : wyvern::delta::impl::ShareSumsPassBase<ShareSumsPass> {
  void runOnOperation() override {
    SmallVector<math::ExpOp> exps;
    getOperation()->walk([&](math::ExpOp exp) {
      if (isa<ChunkScanOp, ChunkMapOp>(exp->getParentOp()))
        exps.push_back(exp);
    });
    IRRewriter rewriter(&getContext());
    for (math::ExpOp exp : exps)
      numShared += succeeded(share(rewriter, exp));
  }

private:
  static LogicalResult share(RewriterBase &rewriter, math::ExpOp exp) {
    auto program = cast<ChunkProgramOpInterface>(exp->getParentOp());
    Value summed = getSummed(exp);
    std::optional<BoundIn> g = summed ? findIn(program, summed) : std::nullopt;
    Value running = g ? findRunningDecay(program, *g) : Value();
    if (g && !running && isa<ChunkScanOp>(program))
      running = addRunningDecay(rewriter, program, *g);
    if (!running)
      return failure();
    Operation *sum = exp.getOperand().getDefiningOp();
    rewriter.setInsertionPoint(exp);
    rewriter.replaceOpWithNewOp<LastRowOp>(exp, exp.getType(), running,
                                           program.getValid());
    rewriter.eraseOp(sum);
    return success();
  }
};
} // namespace
