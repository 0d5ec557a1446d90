//===- LinalgAdjoints.cpp - Derivatives of the named linalg ops -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Rules.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

namespace {
/// D = sum A B + C:  dA += sum dD B, dB += sum A dD, dC += dD, over the same
/// iteration dimensions with the maps changed places.
struct ContractRule : AdjointRule<ContractRule, linalg::ContractOp> {
  static LogicalResult derive(linalg::ContractOp op, Adjoint &adjoint) {
    Value a = op.getInputs()[0], b = op.getInputs()[1];
    Value dd = adjoint.getGradient(op.getResult(0));
    SmallVector<AffineMap> maps = op.getIndexingMapsArray();
    if (adjoint.isActive(a))
      adjoint.addProduct(a, dd, adjoint.getPrimal(b),
                         {maps[2], maps[1], maps[0]});
    if (adjoint.isActive(b))
      adjoint.addProduct(b, adjoint.getPrimal(a), dd,
                         {maps[0], maps[2], maps[1]});
    adjoint.addGradient(op.getOutputs()[0], dd);
    return success();
  }
};

/// y = x spread over more dimensions:  dx += dy summed over these
struct BroadcastRule : AdjointRule<BroadcastRule, linalg::BroadcastOp> {
  static LogicalResult derive(linalg::BroadcastOp op, Adjoint &adjoint) {
    Value sum = adjoint.getGradient(op->getResult(0));
    TileBuilder tile = adjoint.tiles(sum);
    // From the last dimension, so that the others keep their numbers.
    for (int64_t dim : llvm::reverse(op.getDimensions()))
      sum = tile.sum(sum, dim);
    adjoint.addGradient(op.getInput(), sum);
    return success();
  }
};

/// y = c + x summed over some dimensions:  dx += dy spread over these, dc += dy
struct ReduceRule : AdjointRule<ReduceRule, linalg::ReduceOp> {
  static LogicalResult derive(linalg::ReduceOp op, Adjoint &adjoint) {
    Block *body = op.getBlock();
    if (op.getInputs().size() != 1 || body->getOperations().size() != 2 ||
        !isa<arith::AddFOp>(body->front()))
      return op.emitOpError()
             << "has a derivative only as a sum of one tensor (arith.addf)";
    Value x = op.getInputs()[0], dy = adjoint.getGradient(op.getResult(0));
    if (adjoint.isActive(x))
      adjoint.addGradient(
          x, adjoint.tiles(dy).broadcast(dy, shapeOf(x), op.getDimensions()));
    adjoint.addGradient(op.getInits()[0], dy);
    return success();
  }
};

/// y = x with dimensions in the order p:  dx += dy in the order p^-1
struct TransposeRule : AdjointRule<TransposeRule, linalg::TransposeOp> {
  static LogicalResult derive(linalg::TransposeOp op, Adjoint &adjoint) {
    ImplicitLocOpBuilder &b = adjoint.getBuilder();
    Value x = op.getInput(), dy = adjoint.getGradient(op->getResult(0));
    Value init =
        tensor::EmptyOp::create(b, shapeOf(x), getElementTypeOrSelf(x));
    SmallVector<int64_t> back = invertPermutationVector(op.getPermutation());
    adjoint.addGradient(
        x, linalg::TransposeOp::create(b, dy, init, back)->getResult(0));
    return success();
  }
};
} // namespace

void delta::registerLinalgAdjoints(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, linalg::LinalgDialect *) {
    linalg::ContractOp::attachInterface<ContractRule>(*context);
    linalg::BroadcastOp::attachInterface<BroadcastRule>(*context);
    linalg::ReduceOp::attachInterface<ReduceRule>(*context);
    linalg::TransposeOp::attachInterface<TransposeRule>(*context);
  });
}
