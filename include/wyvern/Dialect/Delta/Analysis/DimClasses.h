//===- DimClasses.h - Which dimensions range over the same thing *- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_ANALYSIS_DIMCLASSES_H
#define WYVERN_DIALECT_DELTA_ANALYSIS_DIMCLASSES_H

#include "wyvern/Dialect/Delta/IR/Delta.h"

#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/EquivalenceClasses.h"

namespace mlir::wyvern::delta {

/// The dimensions of tiles, in classes: two are in one class if some operation
/// runs over both with one index. So a class is one of a program's letters: its
/// tokens, its key channels, its value channels.
///
/// A dimension is *uniform* if all elements along it are equal because of how
/// the tile is made: each of a constant, and those that a broadcast adds. It is
/// in no class and joins nothing, since one such tile may meet tiles of several
/// classes (CSE merges broadcasts to equal types).
class DimClasses {
public:
  using Dim = TileDim;

  DimClasses() = default;
  /// The classes of a chunk program, each carry joined with what is yielded.
  explicit DimClasses(ChunkProgramOpInterface program);

  /// Adds the operations of `block`, after those of all blocks that it reads.
  /// One without ChunkRegionOpInterface (a terminator, what takes a tile from
  /// elsewhere) joins nothing: its dimensions are the caller's to join.
  void addBlock(Block &block);
  /// Makes one class of those of `a` and `b`.
  void join(Dim a, Dim b);
  /// Joins the dimensions of two tiles of one shape, each with its like.
  void join(Value a, Value b);

  bool isUniform(Dim dim) const { return uniform.contains(dim); }
  /// True if both are of one class.
  bool areSame(Dim a, Dim b) const;
  /// True if `dim` is of the class of `other`, or is uniform and some use of it
  /// runs over it and that class with one index.
  bool meets(Dim dim, Dim other) const;
  /// True if `op` combines elements that differ in the class of `dim`: it sums
  /// over it, or solves along it.
  bool mixes(Operation *op, Dim dim) const;

private:
  void addOp(ChunkRegionOpInterface op);
  void markUniform(Operation *op, ArrayRef<TileLoop> loops);
  unsigned number(Dim dim);

  llvm::EquivalenceClasses<unsigned> classes;
  llvm::DenseMap<Dim, unsigned> numbers;
  llvm::DenseMap<Operation *, SmallVector<unsigned>> mixed;
  llvm::DenseSet<Dim> uniform;
  /// For a uniform dimension, what its uses run over with it: a dimension of
  /// some class, or one of the use's results that is uniform too. So steps lead
  /// from a tile to its uses, and come to an end.
  llvm::DenseMap<Dim, SmallVector<Dim>> met;
};

} // namespace mlir::wyvern::delta

#endif // WYVERN_DIALECT_DELTA_ANALYSIS_DIMCLASSES_H
