//===- SizeClasses.h - Dimensions that are of one size ----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_SIZECLASSES_H
#define WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_SIZECLASSES_H

#include "wyvern/Dialect/Delta/IR/ChunkRegion.h"
#include "wyvern/Dialect/Delta/IR/Delta.h"

#include "llvm/ADT/EquivalenceClasses.h"

namespace mlir::wyvern::delta {

/// Calls `visit` with each dimension of the tile that `binding` gives, its
/// place among those of the tensor and its number in the tile.
void forEachTileDim(BindingAttr binding,
                    function_ref<void(BoundDim, size_t, int64_t)> visit);

/// The dimensions of a chunk program's tiles, in classes: those that change
/// their size together, since an operation runs over both with one index. Other
/// than in DimClasses, what is uniform has a class too.
class SizeClasses {
public:
  /// Gives every use of a constant, and of a tile that says only its shape, one
  /// of its own: two may become of different sizes.
  explicit SizeClasses(ChunkProgramOpInterface program);

  void join(TileDim a, TileDim b) { classes.unionSets(number(a), number(b)); }
  /// Returns the number of the class of `dim`, which may be in none yet.
  unsigned get(TileDim dim) { return classes.getLeaderValue(number(dim)); }
  /// Returns the same of a dimension that is in a class; none for others.
  std::optional<unsigned> find(TileDim dim) const;

private:
  unsigned number(TileDim dim);

  llvm::DenseMap<TileDim, unsigned> numbers;
  llvm::EquivalenceClasses<unsigned> classes;
};

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_SIZECLASSES_H
