//===- KernelOrientation.h - Which dimension of a value is M ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_CONVERSION_SCHEDTOTILE_KERNEL_KERNELORIENTATION_H
#define WYVERN_LIB_CONVERSION_SCHEDTOTILE_KERNEL_KERNELORIENTATION_H

#include "wyvern/Dialect/Delta/Analysis/DimClasses.h"
#include "wyvern/Dialect/Sched/Analysis/PartialSums.h"
#include "wyvern/Dialect/Sched/IR/Sched.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace mlir::wyvern {

/// Relates the dimensions of what `role` computes, from chunk to chunk too.
void addRole(delta::DimClasses &classes, sched::RoleOp role);

/// Which dimension of each value of a kernel is the M of the tensor cores, and
/// which of its dimensions a block has a part of.
///
/// In a role that holds values with the *split* dimension it is that one: the
/// last dimension of the carries that no operation of their role mixes. Along
/// it the whole chunk is independent, so it is split over blocks and
/// warpgroups, and every product keeps it as M: an accumulator is the next
/// product's A operand as it lies. A role that sums over it is not one of
/// these: it takes all parts of what the others put.
///
/// In any other role it may be any dimension. It is one of 64 elements, which
/// are one accumulator's rows, the first if both have 64: a chunk's rows lie
/// so, whatever the head dimensions are. Where neither has (tiles of 128 x 128;
/// the 32 tokens of a chunk with two rows a token), it is the first that is a
/// multiple of 64, held in blocks of 64. The rule looks at shapes alone, so
/// that operands and results of elementwise operations always agree.
///
/// Blocks of a cluster hand each other their parts of the split dimension: what
/// a role that sums over it reads is *whole* in each block. What such a role
/// makes each block would make; a `divided` role makes a part of it in each, of
/// a dimension that it does not sum over (DividedRoles.h).
class KernelOrientation {
public:
  /// Diagnoses a kernel whose carries have no dimension to split, or one of
  /// another size than its blocks and roles take together, and a tile that has
  /// it twice.
  static FailureOr<KernelOrientation> analyze(sched::KernelOp kernel);

  /// The M dimension of `value`, or nothing where it has none: then it can only
  /// be a B operand or, of rank 1, a vector along N.
  std::optional<int64_t> getM(Value value) const;

  /// The split dimension of `value`, or nothing where it has none.
  std::optional<int64_t> getSplitDim(Value value) const;
  /// The split dimension of a channel's tile.
  std::optional<int64_t> getSplitDim(sched::ChannelOp channel,
                                     unsigned tile) const;

  /// True if each block has all of the split dimension of the tiles of
  /// `channel`, since a role that sums over it reads them.
  bool isWhole(sched::ChannelOp channel) const;

  /// The dimension of a tile of a divided role of which each block has a part,
  /// or nothing where it has all of the tile.
  std::optional<int64_t> getDividedDim(Value value) const;
  /// The same of a tile of a channel that is loaded for divided roles alone:
  /// each block loads its part.
  std::optional<int64_t> getDividedDim(sched::ChannelOp channel,
                                       unsigned tile) const;
  /// The dimension of which all readers of a channel's tile take their part, or
  /// nothing where one takes another or all.
  std::optional<int64_t> getReadDim(sched::ChannelOp channel,
                                    unsigned tile) const;

  /// True if each block of a cluster has a summand of `value`.
  bool isSummand(Value value) const { return summands.contains(value); }

  /// True if blocks put their summands of tiles into `channel`, and get sums.
  bool sumsBlocks(sched::ChannelOp channel) const;

  /// True if `op` is in a role that holds values with the split dimension.
  bool isSplit(Operation *op) const;

  /// Register tiles that hold `value` with M dimension `m`: one in a role with
  /// the split dimension, since blocks and warpgroups share it; else all of it.
  int64_t getBlocks(Value value, int64_t m) const;

private:
  void addChannel(sched::ChannelOp channel);
  LogicalResult findSplit(sched::KernelOp kernel, Value carry);
  LogicalResult findSplitRoles(sched::KernelOp kernel);
  LogicalResult checkTiles(sched::RoleOp role) const;
  LogicalResult checkChannel(sched::ChannelOp channel) const;
  LogicalResult checkInTurn(sched::RoleOp role) const;
  LogicalResult checkInTurn(sched::ChannelOp channel) const;
  LogicalResult findDivided(sched::RoleOp role);
  LogicalResult findSummands(sched::KernelOp kernel);
  LogicalResult checkSummands(sched::RoleOp role) const;

  delta::DimClasses classes;
  std::optional<delta::TileDim> split;
  llvm::SmallPtrSet<Operation *, 4> splitRoles;
  /// A dimension of the class that each divided role has a part of.
  DenseMap<Operation *, delta::TileDim> divided;
  sched::PartialSums summands;
};

inline RankedTensorType tensorOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}

/// A value that has no dimensions of its own to speak of: a constant, or what
/// linalg.fill makes of one. It takes the orientation of each of its uses.
bool isSplat(Value value);
/// The constant of a splat; null for an uninitialised tensor.
TypedAttr getSplatValue(Value value);

} // namespace mlir::wyvern

#endif // WYVERN_LIB_CONVERSION_SCHEDTOTILE_KERNEL_KERNELORIENTATION_H
