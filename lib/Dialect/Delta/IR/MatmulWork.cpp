//===- MatmulWork.cpp - Floating-point operations of the chunk ops --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/IR/MatmulWork.h"

#include "wyvern/Dialect/Delta/IR/Delta.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

/// A multiplication and an addition for each element of `tile` and each of
/// `depth` summands.
static int64_t countProduct(Value tile, int64_t depth) {
  return 2 * cast<RankedTensorType>(tile.getType()).getNumElements() * depth;
}

static int64_t columnsOf(Value tile) {
  return cast<RankedTensorType>(tile.getType()).getShape().back();
}

int64_t DecayDotOp::getMatmulFlops() {
  return countProduct(getM(), columnsOf(getA()));
}

int64_t DecayApplyOp::getMatmulFlops() {
  return countProduct(getM(), columnsOf(getX()));
}

// However it is lowered, a solve counts as the product of the factor of its
// system and the right-hand side.
int64_t EraseSolveOp::getMatmulFlops() {
  return countProduct(getL(), columnsOf(getW()));
}

int64_t EraseSolveAdjointOp::getMatmulFlops() {
  return countProduct(getL(), columnsOf(getX()));
}

// Substitution on a third of a cube.
int64_t EraseFactorOp::getMatmulFlops() {
  return countProduct(getL(), columnsOf(getL())) / 3;
}

/// The sum over a region's operations.
static int64_t sumMatmulFlops(Block &block) {
  int64_t sum = 0;
  for (Operation &op : block)
    if (auto work = dyn_cast<MatmulWorkOpInterface>(op))
      sum += work.getMatmulFlops();
  return sum;
}

int64_t ChunkScanOp::getMatmulFlops() { return sumMatmulFlops(getBlock()); }
int64_t ChunkMapOp::getMatmulFlops() { return sumMatmulFlops(getBlock()); }

namespace {
struct ContractWork
    : MatmulWorkOpInterface::ExternalModel<ContractWork, linalg::ContractOp> {
  int64_t getMatmulFlops(Operation *op) const {
    int64_t flops = 2;
    for (int64_t range : cast<linalg::LinalgOp>(op).getStaticLoopRanges())
      flops *= range;
    return flops;
  }
};
} // namespace

void delta::registerMatmulWork(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, linalg::LinalgDialect *) {
    linalg::ContractOp::attachInterface<ContractWork>(*context);
  });
}
