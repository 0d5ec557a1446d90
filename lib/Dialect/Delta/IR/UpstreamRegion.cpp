//===- UpstreamRegion.cpp - What passes know of upstream operations -------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// ChunkRegionOpInterface of upstream operations, as external models: one line
// an operation at the end of the file. An operation that has no line may not
// stand in a chunk program.
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/IR/Delta.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::wyvern::delta;

/// The loops of a linalg operation, off its indexing maps.
static SmallVector<TileLoop> getLinalgLoops(linalg::LinalgOp op) {
  SmallVector<TileLoop> loops(op.getNumLoops());
  auto add = [&](Value tile, AffineMap map) {
    for (auto [dim, expr] : llvm::enumerate(map.getResults()))
      if (auto loop = dyn_cast<AffineDimExpr>(expr))
        loops[loop.getPosition()].dims.push_back({tile, dim});
  };
  for (OpOperand &operand : op->getOpOperands())
    if (op.payloadUsesValueFromOperand(&operand))
      add(operand.get(), op.getMatchingIndexingMap(&operand));
  for (OpResult result : op->getResults())
    add(result, op.getIndexingMapMatchingResult(result));
  for (auto [loop, kind] : llvm::zip_equal(loops, op.getIteratorTypesArray()))
    loop.isMixed = kind == utils::IteratorType::reduction;
  return loops;
}

/// One loop for each dimension of the result. A scalar operand (the condition
/// of a select) has none.
static SmallVector<TileLoop> getElementwiseLoops(Operation *op) {
  SmallVector<TileLoop> loops;
  for (Value result : op->getResults())
    for (int64_t dim = 0; dim < getTileRank(result); ++dim) {
      TileLoop &loop = loops.emplace_back();
      for (Value operand : op->getOperands())
        if (getTileRank(operand) == getTileRank(result))
          loop.dims.push_back({operand, dim});
      loop.dims.push_back({result, dim});
    }
  return loops;
}

namespace {
/// The part of a model that is the same for all but products.
template <typename BaseT> struct WithoutProduct : BaseT {
  SmallVector<OpOperand *> getRoundedOperands(Operation *) const { return {}; }
  int64_t getMatmulFlops(Operation *) const { return 0; }
};

/// One value for all elements: a constant, a fill, or no value at all.
struct UniformModel
    : WithoutProduct<ChunkRegionOpInterface::FallbackModel<UniformModel>> {
  SmallVector<TileLoop> getLoops(Operation *) const { return {}; }
  bool isCheap(Operation *) const { return true; }
};

struct ElementwiseModel
    : WithoutProduct<ChunkRegionOpInterface::FallbackModel<ElementwiseModel>> {
  SmallVector<TileLoop> getLoops(Operation *op) const {
    return getElementwiseLoops(op);
  }
  bool isCheap(Operation *) const { return true; }
};

/// A linalg operation that moves elements or sums them.
template <bool cheap>
struct LinalgModel
    : WithoutProduct<
          ChunkRegionOpInterface::FallbackModel<LinalgModel<cheap>>> {
  SmallVector<TileLoop> getLoops(Operation *op) const {
    return getLinalgLoops(cast<linalg::LinalgOp>(op));
  }
  bool isCheap(Operation *) const { return cheap; }
};

struct ContractModel : ChunkRegionOpInterface::FallbackModel<ContractModel> {
  SmallVector<TileLoop> getLoops(Operation *op) const {
    return getLinalgLoops(cast<linalg::LinalgOp>(op));
  }
  bool isCheap(Operation *) const { return false; }
  SmallVector<OpOperand *> getRoundedOperands(Operation *op) const {
    return cast<linalg::ContractOp>(op).getDpsInputOperands();
  }
  int64_t getMatmulFlops(Operation *op) const {
    int64_t flops = 2;
    for (int64_t range : cast<linalg::LinalgOp>(op).getStaticLoopRanges())
      flops *= range;
    return flops;
  }
};
} // namespace

/// Attaches the elementwise model to the operations of a dialect that have the
/// trait: its contract is that of the model. MLIR 22 has
/// getRegisteredOperationsByDialect, which bisects by an order that is none and
/// finds nothing of some dialects.
static void attachToElementwise(MLIRContext *context, Dialect *dialect) {
  for (RegisteredOperationName op : context->getRegisteredOperations())
    if (op.getDialectNamespace() == dialect->getNamespace() &&
        op.hasTrait<OpTrait::Elementwise>())
      op.attachInterface<ElementwiseModel>();
}

void wyvern::delta::registerChunkRegionModels(DialectRegistry &registry) {
  registry.addExtension(
      +[](MLIRContext *context, arith::ArithDialect *dialect) {
        arith::ConstantOp::attachInterface<UniformModel>(*context);
        attachToElementwise(context, dialect);
      });
  registry.addExtension(+[](MLIRContext *context, linalg::LinalgDialect *) {
    linalg::BroadcastOp::attachInterface<LinalgModel</*cheap=*/true>>(*context);
    linalg::ContractOp::attachInterface<ContractModel>(*context);
    linalg::ElementwiseOp::attachInterface<LinalgModel</*cheap=*/true>>(
        *context);
    linalg::FillOp::attachInterface<UniformModel>(*context);
    linalg::ReduceOp::attachInterface<LinalgModel</*cheap=*/false>>(*context);
    linalg::TransposeOp::attachInterface<LinalgModel</*cheap=*/false>>(
        *context);
  });
  registry.addExtension(+[](MLIRContext *context, math::MathDialect *dialect) {
    attachToElementwise(context, dialect);
  });
  registry.addExtension(+[](MLIRContext *context, tensor::TensorDialect *) {
    tensor::EmptyOp::attachInterface<UniformModel>(*context);
  });
}
