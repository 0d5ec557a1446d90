//===- BlockLocation.h - Which part of the work a block has -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_CONVERSION_SCHEDTOTILE_KERNEL_BLOCKLOCATION_H
#define WYVERN_LIB_CONVERSION_SCHEDTOTILE_KERNEL_BLOCKLOCATION_H

#include "wyvern/Dialect/Sched/IR/Sched.h"

#include "mlir/IR/Builders.h"

namespace mlir::wyvern {

/// What a kernel is launched with besides its tensors.
struct LaunchArguments {
  Value cu, tokens, sequences;
  /// Tokens by which slots of chunks are numbered: those of the sequences that
  /// the kernel goes through a part of. Null where that is all of them.
  Value slotTokens = {};
  /// Which part of its sequences the kernel goes through, as WYVERN_PART_*;
  /// null where states in pools are those of whole sequences.
  Value part = {};
  /// Tokens of a segment; null where the kernel knows how long its runs are.
  Value segment = {};
};

/// True if how many tokens the kernel's runs of chunks have, or its chunks
/// where a block has a whole sequence, is for the launch to choose.
bool hasSegments(sched::KernelOp kernel);

/// True if some operand of the kernel has a slot for each chunk.
bool hasChunkSlots(sched::KernelOp kernel);

/// Where the running chunk lies; all index values.
struct Chunk {
  Value row = {};      ///< first token of the chunk in its batch row
  Value valid = {};    ///< tokens of it that are the sequence's
  Value number = {};   ///< of the chunk in its sequence
  Value position = {}; ///< of its first token in its sequence
  /// Slot of the chunk, or the sequence's slot of a pool; null where no operand
  /// has a dimension of slots.
  Value slot = {};
};

/// Which head, sequence and chunks a block has; all index values.
class BlockLocation {
public:
  /// Computes it from the block's number, at the builder's place.
  BlockLocation(OpBuilder &builder, sched::KernelOp kernel,
                LaunchArguments launch);

  /// Returns where chunk `number` of the block's sequence lies.
  Chunk locateChunk(OpBuilder &builder, Value number) const;
  /// Returns the number of the first sequence or slot of chunks, of which each
  /// is for as many blocks, that `sequence` has.
  Value locateFirstUnit(OpBuilder &builder, Value sequence) const;
  /// True if the block has a run of `multiple` chunks.
  bool hasRunsOf(int64_t multiple) const;
  /// Returns the slot of the first chunk of chunk `number`'s group of
  /// `multiple`: that of a state that is kept every few chunks.
  Value locateGroup(OpBuilder &builder, Value number, int64_t multiple) const;

  /// Returns the coordinates of an operand's slice for `chunk`; tile dimension
  /// `splitDim`, if any, starts at `splitStart`.
  SmallVector<Value> getCoordinates(OpBuilder &builder,
                                    delta::BindingAttr binding,
                                    RankedTensorType type, const Chunk &chunk,
                                    std::optional<int64_t> splitDim,
                                    Value splitStart) const;
  /// Returns the first element of what the block's head has of a dimension of
  /// `size` elements that is kept whole.
  Value locatePart(OpBuilder &builder, delta::BoundDim dim, int64_t size) const;

  /// The number of the block's part of the split dimension, which is that of
  /// the block in a cluster, and the part's first element.
  Value splitPart, splitStart;
  Value sequence, head;
  Value batch, end; ///< of the sequence
  /// The first token that the block visits, in its batch row, and how many the
  /// sequence has before it and from there on.
  Value start, before, length;
  /// The sequence's chunks, the block's first one, and how many it visits.
  Value chunks, firstChunk, count;
  /// Slot of the first chunk that the block visits; null where no operand has
  /// slots.
  Value firstSlot;
  /// Slot of the run of chunks; null for a whole sequence.
  Value runSlot;

private:
  void locateSequence(OpBuilder &builder, Value unit);
  void countChunks(OpBuilder &builder);
  Value locateHead(OpBuilder &builder, delta::BoundDim dim, int64_t size) const;
  /// Returns the tokens of a chunk, and the chunks and the tokens of a run.
  Value getChunkTokens(OpBuilder &builder) const;
  Value getRun(OpBuilder &builder) const;
  Value getRunTokens(OpBuilder &builder) const;

  mutable sched::KernelOp kernel; // op accessors are not const
  LaunchArguments launch;
};

/// Returns `tile`, of f32, rounded to bf16 by `seed`: the part of a pool of
/// `type` at `coords`, whose dimensions `dims` the tile has.
Value createStochasticTrunc(OpBuilder &builder, Location loc, Value tile,
                            Value seed, RankedTensorType type,
                            ValueRange coords, ArrayRef<int64_t> dims);

/// Returns `value` as an index constant.
Value createIndex(OpBuilder &builder, Location loc, int64_t value);
/// Returns the rows that `tokens` tokens of an operand are.
Value createRows(OpBuilder &builder, Location loc, Value tokens,
                 delta::BindingAttr binding);

} // namespace mlir::wyvern

#endif // WYVERN_LIB_CONVERSION_SCHEDTOTILE_KERNEL_BLOCKLOCATION_H
