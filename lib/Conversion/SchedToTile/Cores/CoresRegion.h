//===- CoresRegion.h - Chunk operations on the cores --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_CONVERSION_SCHEDTOTILE_CORES_CORESREGION_H
#define WYVERN_LIB_CONVERSION_SCHEDTOTILE_CORES_CORESREGION_H

#include "SpreadPlan.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/Builders.h"

namespace mlir::wyvern {

/// Translates the operations of one token into those on spread tiles.
class CoresRegion {
public:
  /// `ofWarp`: a warp makes all tiles, of rows alone.
  CoresRegion(OpBuilder &builder, const SpreadPlan &plan, bool ofWarp = false)
      : builder(builder), plan(plan), ofWarp(ofWarp) {}

  /// Says what a tile has become.
  void set(Value tile, Value lowered) { values[tile] = lowered; }
  /// True if it is known what the root of a tile has become.
  bool isKnown(Value tile) const;
  /// Returns what a tile has become.
  Value get(Value tile) { return get(tile, getType(tile)); }
  RankedTensorType getType(Value tile) const {
    return ofWarp ? plan.getMadeType(tile) : plan.getType(tile);
  }
  /// Translates an operation; diagnoses one that the cores' path does not
  /// take. What is made where it is used makes nothing here.
  LogicalResult lower(Operation *op);

private:
  /// Returns a tile as `type` says; one that is made where it is used is made.
  Value get(Value tile, RankedTensorType type);
  Value makeBroadcast(linalg::BroadcastOp op, RankedTensorType type);
  void lowerContract(linalg::ContractOp op);
  Value createScratch(Location loc, int64_t size);
  void lowerElementwise(Operation *op);
  LogicalResult lowerReduce(linalg::ReduceOp op);
  LogicalResult lowerSolve(delta::EraseSolveOp op);
  LogicalResult lowerHalves(Operation *op);
  void rearrange(Value source, Value result, ArrayRef<int64_t> from);

  OpBuilder &builder;
  const SpreadPlan &plan;
  bool ofWarp;
  DenseMap<Value, Value> values;
};

} // namespace mlir::wyvern

#endif // WYVERN_LIB_CONVERSION_SCHEDTOTILE_CORES_CORESREGION_H
