//===- ContractToLoops.cpp - linalg.contract in the order of memory -------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A contraction as linalg lowers it has the reduction innermost: a chain of
// dependent additions that no compiler may vectorize. Here the innermost loop
// runs over the last dimension of the result, and operands are contiguous in
// it. The sum of one element is in the same order either way.
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"
#include "TensorLoops.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

/// Transposes `operand` so that loop dimension `inner` is its last one, if it
/// is a matrix in which `inner` comes first.
static void makeContiguous(ImplicitLocOpBuilder &b, Value &operand,
                           AffineMap &map, AffineExpr inner) {
  if (map.getNumResults() != 2 || map.getResult(0) != inner)
    return;
  RankedTensorType type = tileType(operand);
  Value empty = tensor::EmptyOp::create(
      b, {type.getDimSize(1), type.getDimSize(0)}, type.getElementType());
  operand =
      linalg::TransposeOp::create(b, operand, empty, ArrayRef<int64_t>{1, 0})
          .getResult()[0];
  map = AffineMap::get(map.getNumDims(), 0,
                       {map.getResult(1), map.getResult(0)}, b.getContext());
}

/// The loop dimensions, outermost first: those of the result but its last, the
/// reductions, the last of the result.
static SmallVector<unsigned> getLoopOrder(AffineMap result) {
  SmallVector<unsigned> order;
  for (AffineExpr expr : result.getResults())
    order.push_back(cast<AffineDimExpr>(expr).getPosition());
  auto *beforeInner = order.empty() ? order.end() : std::prev(order.end());
  SmallVector<unsigned> reductions;
  for (unsigned dim = 0; dim < result.getNumDims(); ++dim)
    if (!llvm::is_contained(order, dim))
      reductions.push_back(dim);
  order.insert(beforeInner, reductions.begin(), reductions.end());
  return order;
}

Value delta::createContraction(ImplicitLocOpBuilder &b, Value lhs, Value rhs,
                               Value init, ArrayRef<AffineMap> maps) {
  AffineMap lhsMap = maps[0], rhsMap = maps[1], resultMap = maps[2];
  Type type = tileType(init).getElementType();
  lhs = createCast(b, lhs, type);
  rhs = createCast(b, rhs, type);
  if (resultMap.getNumResults() != 0) {
    AffineExpr inner = resultMap.getResults().back();
    makeContiguous(b, lhs, lhsMap, inner);
    makeContiguous(b, rhs, rhsMap, inner);
  }

  // Loop i of the generic op is loop order[i] of the contraction.
  SmallVector<unsigned> order = getLoopOrder(resultMap);
  SmallVector<AffineExpr> renamed(order.size());
  SmallVector<utils::IteratorType> iterators;
  for (auto [position, dim] : llvm::enumerate(order)) {
    renamed[dim] = b.getAffineDimExpr(position);
    iterators.push_back(resultMap.isFunctionOfDim(dim)
                            ? utils::IteratorType::parallel
                            : utils::IteratorType::reduction);
  }
  SmallVector<AffineMap> newMaps;
  for (AffineMap map : {lhsMap, rhsMap, resultMap})
    newMaps.push_back(map.replaceDimsAndSymbols(renamed, {}, order.size(), 0));
  auto body = [](OpBuilder &builder, Location loc, ValueRange args) {
    Value product = arith::MulFOp::create(builder, loc, args[0], args[1]);
    Value sum = arith::AddFOp::create(builder, loc, args[2], product);
    linalg::YieldOp::create(builder, loc, sum);
  };
  return linalg::GenericOp::create(b, init.getType(), ValueRange{lhs, rhs},
                                   init, newMaps, iterators, body)
      .getResult(0);
}

namespace {
struct LowerContract : OpRewritePattern<linalg::ContractOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(linalg::ContractOp op,
                                PatternRewriter &rewriter) const override {
    if (!op.hasPureTensorSemantics())
      return rewriter.notifyMatchFailure(op, "expected tensors, found memrefs");
    if (!isa<FloatType>(getElementTypeOrSelf(op.getOutputs()[0].getType())))
      return rewriter.notifyMatchFailure(op, "expected floats");
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    rewriter.replaceOp(
        op, createContraction(b, op.getInputs()[0], op.getInputs()[1],
                              op.getOutputs()[0], op.getIndexingMapsArray()));
    return success();
  }
};
} // namespace

void delta::populateContractPatterns(RewritePatternSet &patterns) {
  patterns.add<LowerContract>(patterns.getContext());
}
