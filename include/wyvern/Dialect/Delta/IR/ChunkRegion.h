//===- ChunkRegion.h - What passes know of an op in a chunk -----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_IR_CHUNKREGION_H
#define WYVERN_DIALECT_DELTA_IR_CHUNKREGION_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/IR/OpAsmSupport.h"
#include "mlir/IR/Value.h"
#include "llvm/ADT/SmallVector.h"

namespace mlir::wyvern::delta {

/// Returns the number of dimensions of a tile; 0 for a scalar.
inline int64_t getTileRank(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type ? type.getRank() : 0;
}

/// A dimension of a tile.
using TileDim = std::pair<Value, int64_t>;

/// One index of the formula of an operation on tiles.
struct TileLoop {
  /// The dimensions of operands and results that the index runs over. What the
  /// operation does not read (the shape of a linalg `outs`) is left out.
  SmallVector<TileDim> dims;
  /// True if the operation combines elements that differ in the index: it sums
  /// over it, or solves along it.
  bool isMixed = false;
  /// True if the index runs over the rows of a chunk by definition. What the
  /// operation does then depends on the place in the chunk, so its results vary
  /// along the index even where no operand does.
  bool isTime = false;
  /// True if the result depends on the index itself, which is none of rows.
  bool isPlaced = false;
};

/// Names the results of `op` where IR is printed: a matrix as it is in `names`,
/// a vector in small letters. Does nothing without names.
void nameTiles(Operation *op, ArrayRef<StringRef> names,
               OpAsmSetValueNameFn setName);

/// Makes a ChunkRegionOpInterface of every upstream operation that may stand in
/// a chunk program.
void registerChunkRegionModels(DialectRegistry &registry);

} // namespace mlir::wyvern::delta

#endif // WYVERN_DIALECT_DELTA_IR_CHUNKREGION_H
