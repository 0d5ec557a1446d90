//===- LinearPart.h - What a chunk does to a change of its carry *- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_LINEARPART_H
#define WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_LINEARPART_H

#include "wyvern/Dialect/Delta/Analysis/CarryDependence.h"
#include "wyvern/Dialect/Delta/Analysis/SplitDim.h"

#include "mlir/IR/IRMapping.h"
#include "mlir/IR/PatternMatch.h"

namespace mlir::wyvern::delta {

/// The linear part of a scan with one carry, a matrix with a split dimension:
/// where a chunk makes A S + B of its carry S, that is A S. The columns along
/// the split dimension, the *lanes*, are independent, so A is one matrix for
/// all of them, and the linear part runs on any number of lanes.
class LinearPart {
public:
  /// `splitDim` is a dimension of the carry.
  LinearPart(ChunkScanOp scan, const DimClasses &classes, TileDim splitDim);

  /// Returns why the next carry is not A S + B with one A for all lanes, and
  /// the operation that makes it so; null if it is.
  std::pair<Operation *, StringRef> findObstacle();

  /// Creates the operations of A S, for an S of `lanes` lanes. `mapping` has
  /// the region's arguments; it gets what is cloned.
  Value create(RewriterBase &rewriter, IRMapping &mapping, int64_t lanes);

  /// Returns the type of a tile of the scan, with `lanes` lanes.
  RankedTensorType resize(Value tile, int64_t lanes) const;

private:
  bool hasLanes(Value tile) const;
  StringRef findObstacle(Operation *op);
  Value createLinear(Value tile);
  Value createLinearOp(Operation *op, Value result);
  Value createFactor(OpOperand &operand);
  Value createZeros(Value like);
  Operation *cloneResized(Operation *op, ArrayRef<Value> operands);

  ChunkScanOp scan;
  const DimClasses &classes;
  CarryDependence dependence;
  TileDim splitDim;
  RewriterBase *rewriter = nullptr;
  IRMapping *mapping = nullptr;
  int64_t lanes = 0;
  llvm::DenseMap<Value, Value> linear;
};

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_LINEARPART_H
