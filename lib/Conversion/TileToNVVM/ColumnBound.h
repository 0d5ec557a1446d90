//===- ColumnBound.h - Columns that a tensor has ------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_CONVERSION_TILETONVVM_COLUMNBOUND_H
#define WYVERN_LIB_CONVERSION_TILETONVVM_COLUMNBOUND_H

#include "Emitter.h"
#include "wyvern/Dialect/Tile/IR/Tile.h"

namespace mlir::wyvern::tile {

/// Which columns of a tile its tensor has: a tile may go on behind the last
/// dimension (delta-pad-dims).
class ColumnBound {
public:
  /// The tile's first column is number `coord` of the tensor's.
  ColumnBound(Emitter &e, GlobalType global, Value coord, int64_t columns);

  /// True if the tensor has all columns, whatever `coord` is.
  bool holdsAlways() const { return !left; }
  /// Returns whether it has `column` of the tile; not to be asked where it has
  /// all.
  Value isInside(Value column) const;
  /// Returns `condition`, and that it has `column`.
  Value andInside(Value condition, Value column) const;

private:
  Emitter &e;
  Value left; ///< columns that it has of the tile; null for all
};

} // namespace mlir::wyvern::tile

#endif // WYVERN_LIB_CONVERSION_TILETONVVM_COLUMNBOUND_H
