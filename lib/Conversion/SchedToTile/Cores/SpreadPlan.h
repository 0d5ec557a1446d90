//===- SpreadPlan.h - Who holds what of a role on the cores -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_CONVERSION_SCHEDTOTILE_CORES_SPREADPLAN_H
#define WYVERN_LIB_CONVERSION_SCHEDTOTILE_CORES_SPREADPLAN_H

#include "RowsPart.h"

#include "wyvern/Dialect/Delta/Analysis/DimClasses.h"
#include "wyvern/Dialect/Sched/IR/Sched.h"
#include "wyvern/Dialect/Tile/IR/Tile.h"

namespace mlir::wyvern {

/// How the tiles of a role `on_cores` are spread over its threads.
///
/// Its state has two dimensions: the *split* one, which no operation mixes, and
/// the *summed* one. Along the one that is last in memory a lane holds pieces
/// of 16 bytes, as wide as an access may be. A few lanes share the summed
/// dimension, so that a sum over it takes a few exchanges; the other lanes and
/// all warps share the split one. Every dimension of every other tile that
/// ranges over one of the two is spread as it is there; the rest each thread
/// has whole.
///
/// Rows that come through shared memory are loaded an element a thread, and
/// so are filters and windows of their convolutions.
class SpreadPlan {
public:
  /// Diagnoses a kernel whose state cannot be spread so.
  static FailureOr<SpreadPlan> analyze(sched::KernelOp kernel);

  /// True for what a role carries behind its state that is the window of a
  /// convolution; the rest are vectors.
  static bool isWindow(BlockArgument carry);
  /// True for a tile whose elements follow from where it is used: one number
  /// throughout, or a broadcast.
  static bool isMadeWhereUsed(Value tile);

  /// Returns the block's part of a tile, spread.
  RankedTensorType getType(Value tile) const;
  /// Returns the block's part of a tile in the spread in which it is loaded or
  /// stored: of rows that are shared, and of what is convolved with them, an
  /// element a thread.
  RankedTensorType getHeldType(Value tile) const;
  /// Returns a tile in the spread in which a warp makes it of rows alone. Of
  /// what is carried each lane has as few elements as there may be, and as much
  /// of both halves of a row; else it is that of threads that make their own,
  /// with the same bits.
  RankedTensorType getMadeType(Value tile) const;
  /// Blocks that follow each other and carry the same tile of `pool`.
  int64_t getSharers(sched::KernelOp kernel, BlockArgument pool,
                     Value tile) const;
  /// The blocks that share what they carry, or what they sum over.
  int64_t getCluster() const { return cluster; }
  /// Blocks that the split dimension is split over.
  int64_t getSplit() const { return blocks; }
  /// True if the blocks of a head sum together.
  bool isSummed() const { return summedBlocks; }
  /// Returns the dimension of a tile that is the split one.
  std::optional<int64_t> getSplitDim(Value tile) const;
  const RowsPart &getRowsPart() const { return rows; }
  /// Elements of the split dimension that a block has.
  int64_t getPart() const { return part; }

private:
  explicit SpreadPlan(sched::RoleOp role);
  /// True for a dimension that is spread as the summed one.
  bool isAlike(Value tile, int64_t dim) const;
  void findHalves(Block &block);
  void findRows(sched::RoleOp role);
  int64_t countOperations(Operation *op) const;
  void dropFewRows(sched::RoleOp role);
  LogicalResult spreadState(sched::KernelOp kernel, Value state);
  LogicalResult findCluster(sched::KernelOp kernel);
  void findShared(sched::RoleOp role);

  delta::DimClasses classes;
  delta::TileDim split, summed;
  /// Columns that become those of the summed dimension, or are made of these,
  /// by splits and joins of halves, and how many the fewest of them are.
  SmallVector<delta::TileDim> alike;
  int64_t fewest = 0;
  /// What follows from rows alone, and whether all such halves are of that.
  RowsPart rows;
  bool haveRowsHalves = false;
  tile::DimSpread splitSpread, summedSpread;
  int64_t part = 0, cluster = 1;
  int64_t warps = 1, blocks = 1;
  bool summedBlocks = false;
  /// Tiles with an element a thread.
  llvm::SmallDenseSet<Value> shared;
};

} // namespace mlir::wyvern

#endif // WYVERN_LIB_CONVERSION_SCHEDTOTILE_CORES_SPREADPLAN_H
