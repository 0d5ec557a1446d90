//===- ChunkLoopBuilder.h - One chunk program as loops --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_CONVERSION_DELTATOSCF_CHUNKLOOPBUILDER_H
#define WYVERN_LIB_CONVERSION_DELTATOSCF_CHUNKLOOPBUILDER_H

#include "TensorLoops.h"

namespace mlir::wyvern::delta {

/// A whole tensor (an operand, or its type for a result) with its binding.
struct Bound {
  RankedTensorType type;
  BindingAttr binding;
  Value operand;
};

/// What chunk_scan and chunk_map have in common; a map has no carries.
struct ChunkProgram {
  explicit ChunkProgram(ChunkScanOp op)
      : ChunkProgram(op, op.getDirection() == Direction::reverse) {
    for (auto [init, binding] :
         llvm::zip_equal(op.getInits(), op.getCarryBindings()))
      carries.push_back({tileType(init), cast<BindingAttr>(binding), init});
    readSlots = op.getReadSlots();
    writeSlots = op.getWriteSlots();
    lengths = op.getLengths();
    keepSlots = op.getKeepSlots();
    seeds = op.getSeeds();
    if (Value pool = op.getPool())
      pools.push_back({tileType(pool), op.getPoolBinding(), pool});
    else if (keepSlots)
      pools = carries;
    firstSlot = op.getFirstSlot();
    elseZeros = op.getElseZeros();
  }
  explicit ChunkProgram(ChunkMapOp op) : ChunkProgram(op, /*reverse=*/false) {}

  SmallVector<Bound> ins, carries, outs;
  /// Where carries are kept on the way: in their own pools, or in one that is
  /// no carry.
  SmallVector<Bound> pools;
  bool hasOwnPools() const {
    return !carries.empty() && carries.front().binding.has(DimKind::slot);
  }
  Value cuSeqlens;
  /// Of pools of states, and how long sequences are; null without.
  Value readSlots, writeSlots, lengths, keepSlots, seeds;
  int64_t firstSlot = 0;
  /// A sequence that reads no slot begins with zeros, and is no padding.
  bool elseZeros = false;
  Block *body;
  int64_t chunk, heads;
  Type compute;
  bool reverse;

private:
  template <typename OpT>
  ChunkProgram(OpT op, bool reverse)
      : cuSeqlens(op.getCuSeqlens()), body(&op.getBlock()),
        chunk(op.getChunk()), heads(op.getHeads()), compute(op.getCompute()),
        reverse(reverse) {
    for (auto [in, binding] : llvm::zip_equal(op.getIns(), op.getInBindings()))
      ins.push_back({tileType(in), cast<BindingAttr>(binding), in});
    for (auto [out, binding] :
         llvm::zip_equal(op.getOuts(), op.getOutBindings()))
      outs.push_back({tileType(out), cast<BindingAttr>(binding), Value()});
  }
};

/// Where the innermost body is: all `index` values.
struct Position {
  /// The sequence; the batch row and the first token it has in tensors with a
  /// time dimension; its length.
  Value sequence, batch, start, length;
  Value head, chunk;
  /// In a pool of states: the slot to read, or to write.
  Value poolSlot;
  /// First token of the chunk, counted in the batch row, and how many are
  /// valid.
  Value token, valid;
};

/// Offsets and sizes of a bound tensor's slice at a position, and of the same
/// rows within its tile.
struct Slice {
  SmallVector<OpFoldResult> offsets, sizes, strides;
  SmallVector<OpFoldResult> tileOffsets, tileSizes, tileStrides;
  RankedTensorType type;
};

class ChunkLoopBuilder {
public:
  ChunkLoopBuilder(ChunkProgram &program, RewriterBase &rewriter, Location loc)
      : program(program), rewriter(rewriter), b(loc, rewriter) {}

  /// Builds the loops before the op and takes its region; the op's results.
  SmallVector<Value> build(const Bound &timed);

private:
  void createSizes(const Bound &timed);
  Value createResult(const Bound &result);
  void createSequence(Position &at, Value sequence);
  SmallVector<Value> createHead(Position at, ValueRange results);
  SmallVector<Value> createSegments(Position at, ValueRange results);
  SmallVector<Value> createPooled(Position at, ValueRange results);
  SmallVector<Value> createFromSlot(const Position &at, ValueRange results);
  Value createEntry(Value vector, Value sequence);
  Value createEntryOr(Value vector, Value sequence, Value absent);
  SmallVector<Value> createIfValid(Value slot, ValueRange results,
                                   function_ref<SmallVector<Value>()> body);
  SmallVector<Value> createRun(Position at, Value first, Value chunks,
                               ValueRange results);
  SmallVector<Value> createLoop(Position at, Value first, Value chunks,
                                ValueRange outs, ValueRange kept = {});
  Value createStart(const Bound &carry, const Position &at);
  SmallVector<Value> createKept(ValueRange tiles, ValueRange pools,
                                Position at);
  SmallVector<Value> createFinals(ValueRange tiles, ValueRange wholes,
                                  ArrayRef<Bound> bounds, const Position &at);
  SmallVector<Value> createChunk(Position at, ValueRange results,
                                 ValueRange carries, ValueRange kept);

  /// The value of `op`, which is in the region, at `at`.
  Value createLevelRows(LevelRowsOp op, const Position &at);
  Slice getSlice(const Bound &bound, const Position &at);
  Value createLoad(const Bound &bound, const Position &at);
  Value createStore(Value tile, Value whole, const Bound &bound,
                    const Position &at);
  Value createIsStored(const Position &at, BindingAttr binding);
  Value createOut(Value tile, Value whole, const Bound &bound,
                  const Position &at);
  Value createCopy(Value from, Value to);
  /// The same to a slice of a pool of bf16, rounded by the sequence's seed.
  Value createRoundedCopy(Value from, Value to, const Bound &bound,
                          const Slice &slice, const Position &at);
  Value createSlotCount(int64_t multiple);
  Value createSlot(const Position &at, int64_t multiple);
  SmallVector<Value>
  createFor(Value upper, ValueRange inits,
            function_ref<SmallVector<Value>(Value iv, ValueRange)> body);

  Value index(int64_t value) { return createIndex(b, value); }
  Value ceilDiv(Value x, int64_t divisor) {
    return createFloorDiv(b, createAdd(b, x, index(divisor - 1)), divisor);
  }

  ChunkProgram &program;
  RewriterBase &rewriter;
  ImplicitLocOpBuilder b;
  /// `packed`: cu_seqlens is there and not empty.
  Value packed, batchRows, tokens, sequences;
};

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_CONVERSION_DELTATOSCF_CHUNKLOOPBUILDER_H
