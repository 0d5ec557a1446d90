//===- ChannelStages.h - Which of several maps makes what -------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_CHANNELSTAGES_H
#define WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_CHANNELSTAGES_H

#include "SizeClasses.h"
#include "SumsOfParts.h"

namespace mlir::wyvern::delta {

/// Returns a tile whose columns are the channels of `map`: of a product with a
/// decay a channel, of pairs of tokens with one, or else of rows that leave.
/// Null where there is none.
Value findChannels(ChunkMapOp map);

/// The dimensions of a map's tiles that are its channels.
class Channels {
public:
  explicit Channels(ChunkMapOp map);

  int64_t getSize() const {
    return cast<RankedTensorType>(tile.getType()).getDimSize(1);
  }
  bool isOf(TileDim dim) const { return classes.find(dim) == number; }
  /// Returns how many dimensions of `value` are channels.
  int64_t count(Value value) const;
  bool has(Value value) const { return count(value) > 0; }
  /// True if `op` makes of some channels what depends on others, or on which
  /// they are.
  bool mixes(Operation &op) const;

private:
  SizeClasses classes;
  Value tile;
  unsigned number;
};

/// The map that makes an operation: one of all channels, one of parts of them,
/// or one of all channels behind that. What no product leads to, and
/// elementwise work on the channels of what the first map makes, is made where
/// it is read.
enum class ChannelStage { anywhere, before, parts, behind };

/// The stages of a map's operations.
class ChannelStages {
public:
  ChannelStages(ChunkMapOp map, const Channels &channels);

  ChannelStage get(Value value) const {
    return stages.lookup(value.getDefiningOp());
  }
  ChannelStage get(Operation *op) const { return stages.lookup(op); }
  /// True for a sum over the channels of which each part makes its summand.
  bool isPartial(Value value) const {
    return partial.contains(value.getDefiningOp());
  }
  /// Returns how many such sums there are.
  int64_t countPartial() const { return partial.size(); }
  /// True for pairs of tokens that are such a sum where they can be.
  bool dividesPairs(Operation &op) const {
    return dividesSums && isSumOverPairs(op);
  }

private:
  bool reads(Operation &op, ChannelStage stage) const {
    return llvm::any_of(op.getOperands(),
                        [&](Value operand) { return get(operand) == stage; });
  }
  void moveBehind(Operation &op);

  bool dividesSums;
  llvm::DenseMap<Operation *, ChannelStage> stages;
  llvm::SmallPtrSet<Operation *, 4> partial;
};

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_CHANNELSTAGES_H
