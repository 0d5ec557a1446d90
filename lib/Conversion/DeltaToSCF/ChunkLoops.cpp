//===- ChunkLoops.cpp - chunk_scan and chunk_map to loops -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// for sequence, for head, for chunk: load the tiles, run the region, store the
// tiles. Results are carried through all three loops and edited in place.
//
//===----------------------------------------------------------------------===//

#include "ChunkLoopBuilder.h"
#include "Patterns.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

//===----------------------------------------------------------------------===//
// Sizes and results
//===----------------------------------------------------------------------===//

/// `timed` is an in with a time dimension: it says how many tokens there are.
void ChunkLoopBuilder::createSizes(const Bound &timed) {
  batchRows = index(1);
  for (auto [i, dim] : llvm::enumerate(timed.binding.getDims())) {
    if (dim.kind == DimKind::seq)
      batchRows = b.createOrFold<tensor::DimOp>(timed.operand, i);
    if (dim.kind == DimKind::time)
      tokens = createFloorDiv(
          b, b.createOrFold<tensor::DimOp>(timed.operand, i), dim.multiple);
  }
  sequences = batchRows;
  if (!program.cuSeqlens)
    return;
  Value entries = b.createOrFold<tensor::DimOp>(program.cuSeqlens, 0);
  packed =
      arith::CmpIOp::create(b, arith::CmpIPredicate::ne, entries, index(0));
  sequences = arith::SelectOp::create(
      b, packed, createSub(b, entries, index(1)), batchRows);
}

/// The whole result, zero where nothing will be stored; a pool as it was.
Value ChunkLoopBuilder::createResult(const Bound &result) {
  if (result.binding.has(DimKind::slot))
    return result.operand;
  bool isTimed = result.binding.has(DimKind::time);
  SmallVector<Value> dynamicSizes;
  for (auto [dim, size] :
       llvm::zip_equal(result.binding.getDims(), result.type.getShape())) {
    if (!ShapedType::isDynamic(size))
      continue;
    if (dim.kind == DimKind::seq)
      dynamicSizes.push_back(isTimed ? batchRows : sequences);
    else if (dim.kind == DimKind::time)
      dynamicSizes.push_back(createMul(b, tokens, dim.multiple));
    else
      dynamicSizes.push_back(createSlotCount(dim.multiple));
  }
  Value empty = tensor::EmptyOp::create(b, result.type, dynamicSizes);
  Value zero =
      arith::ConstantOp::create(b, b.getZeroAttr(result.type.getElementType()));
  return linalg::FillOp::create(b, zero, empty).getResult(0);
}

/// Fills in what the sequence alone determines.
void ChunkLoopBuilder::createSequence(Position &at, Value sequence) {
  at.sequence = at.batch = sequence;
  at.start = index(0);
  at.length = tokens;
  if (program.lengths) {
    Value length = createEntryOr(program.lengths, sequence, tokens);
    length = arith::MaxSIOp::create(b, length, index(0));
    at.length = arith::MinSIOp::create(b, length, tokens);
  }
  if (!packed)
    return;
  auto extract = [&](Value at) -> Value {
    return arith::IndexCastOp::create(b, b.getIndexType(),
                                      createExtract(b, program.cuSeqlens, at));
  };
  auto range = scf::IfOp::create(
      b, packed,
      [&](OpBuilder &, Location) {
        Value start = extract(sequence);
        Value end = extract(createAdd(b, sequence, index(1)));
        scf::YieldOp::create(b, {start, createSub(b, end, start)});
      },
      [&](OpBuilder &, Location) {
        scf::YieldOp::create(b, {at.start, at.length});
      });
  at.start = range.getResult(0);
  at.length = range.getResult(1);
  at.batch = arith::SelectOp::create(b, packed, index(0), sequence);
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

SmallVector<Value> ChunkLoopBuilder::createFor(
    Value upper, ValueRange inits,
    function_ref<SmallVector<Value>(Value, ValueRange)> body) {
  auto loop = scf::ForOp::create(b, index(0), upper, index(1), inits);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  SmallVector<Value> next =
      body(loop.getInductionVar(), loop.getRegionIterArgs());
  b.setInsertionPointToEnd(loop.getBody());
  scf::YieldOp::create(b, next);
  return loop.getResults();
}

/// With the level's block of 2^l tokens: of a position t the bit that tells its
/// halves apart is `half`, and those within the block are `block` - 1. For
/// level 0 both are 0, as every token writes, reads and starts.
Value ChunkLoopBuilder::createLevelRows(LevelRowsOp op, const Position &at) {
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(op);
  Value level = arith::RemUIOp::create(b, at.head, index(op.getLevels()));
  Value block = arith::ShLIOp::create(b, index(1), level);
  Value half = arith::ShRUIOp::create(b, block, index(1));
  bool isStart = op.getRole() == LevelRole::starts;
  Value bits = isStart ? createSub(b, block, index(1)) : half;
  Value wanted = op.getRole() == LevelRole::reads ? half : index(0);
  Value first = createMul(b, at.chunk, program.chunk);
  Type element = tileType(op.getY()).getElementType();
  if (Value start = op.getStart()) {
    Value number = createExtract(b, start, {});
    first = createAdd(b, first,
                      arith::IndexCastOp::create(
                          b, b.getIndexType(),
                          arith::FPToSIOp::create(b, b.getI64Type(), number)));
  }
  Value one = arith::ConstantOp::create(b, b.getFloatAttr(element, 1.0));
  Value zero = arith::ConstantOp::create(b, b.getFloatAttr(element, 0.0));
  return createElementLoops(
      b, createZeroTile(b, tileType(op.getY())), {},
      [&](ValueRange ivs, Value) -> Value {
        Value t = createAdd(b, first, createFloorDiv(b, ivs[0], op.getRows()));
        Value found = arith::AndIOp::create(b, t, bits);
        Value holds =
            arith::CmpIOp::create(b, arith::CmpIPredicate::eq, found, wanted);
        return arith::SelectOp::create(b, holds, one, zero);
      });
}

SmallVector<Value> ChunkLoopBuilder::createChunk(Position at,
                                                 ValueRange results,
                                                 ValueRange carries,
                                                 ValueRange kept) {
  Value first = createMul(b, at.chunk, program.chunk);
  at.token = createAdd(b, at.start, first);
  at.valid = arith::MinUIOp::create(b, createSub(b, at.length, first),
                                    index(program.chunk));
  SmallVector<Value> arguments = {at.valid};
  for (const Bound &in : program.ins)
    arguments.push_back(createLoad(in, at));
  llvm::append_range(arguments, carries);

  for (auto op :
       llvm::make_early_inc_range(program.body->getOps<LevelRowsOp>()))
    rewriter.replaceOp(op, createLevelRows(op, at));

  Block *loopBody = b.getInsertionBlock();
  rewriter.inlineBlockBefore(program.body, loopBody, loopBody->end(),
                             arguments);
  auto yield = cast<YieldOp>(loopBody->back());
  SmallVector<Value> next;
  b.setInsertionPoint(yield);
  for (auto [tile, whole, out] :
       llvm::zip_equal(yield.getOuts(), results, program.outs))
    next.push_back(createOut(tile, whole, out, at));
  // Into the carry's own buffer: a loop must yield what it was given to stay in
  // place.
  for (auto [tile, carry] : llvm::zip_equal(yield.getCarries(), carries))
    next.push_back(createCopy(tile, carry));
  if (!kept.empty()) {
    SmallVector<Value> tiles(ArrayRef(next).take_back(carries.size()));
    llvm::append_range(next, createKept(tiles, kept, at));
  }
  rewriter.eraseOp(yield);
  return next;
}

/// What a carry starts from: zeros where the sequence reads no slot.
Value ChunkLoopBuilder::createStart(const Bound &carry, const Position &at) {
  if (!program.elseZeros)
    return createLoad(carry, at);
  Value zeros = createZeroTile(
      b, carry.binding.getTileType(carry.type, program.chunk, program.compute));
  return createIfValid(at.poolSlot, zeros, [&]() -> SmallVector<Value> {
    return {createLoad(carry, at)};
  })[0];
}

/// The chunks from `first` on, in order: outs, then the last carries, as tiles,
/// then the pools that states are kept in on the way.
SmallVector<Value> ChunkLoopBuilder::createLoop(Position at, Value first,
                                                Value chunks, ValueRange outs,
                                                ValueRange kept) {
  size_t numOuts = program.outs.size(), numCarries = program.carries.size();
  at.chunk = first;
  SmallVector<Value> inits(outs);
  for (const Bound &carry : program.carries)
    inits.push_back(createStart(carry, at));
  llvm::append_range(inits, kept);
  return createFor(chunks, inits, [&](Value iv, ValueRange current) {
    Value step =
        program.reverse ? createSub(b, createSub(b, chunks, index(1)), iv) : iv;
    at.chunk = createAdd(b, first, step);
    return createChunk(at, current.take_front(numOuts),
                       current.slice(numOuts, numCarries),
                       current.drop_front(numOuts + numCarries));
  });
}

/// Stores the tiles of carries in results that are bound as `bounds` say.
SmallVector<Value> ChunkLoopBuilder::createFinals(ValueRange tiles,
                                                  ValueRange wholes,
                                                  ArrayRef<Bound> bounds,
                                                  const Position &at) {
  SmallVector<Value> next;
  for (auto [tile, whole, bound] : llvm::zip_equal(tiles, wholes, bounds))
    next.push_back(createStore(tile, whole, bound, at));
  return next;
}

/// The chunks from `first` on, between a load and a store of the carries.
SmallVector<Value> ChunkLoopBuilder::createRun(Position at, Value first,
                                               Value chunks,
                                               ValueRange results) {
  size_t numOuts = program.outs.size(), numCarries = program.carries.size();
  SmallVector<Value> last =
      createLoop(at, first, chunks, results.take_front(numOuts),
                 results.drop_front(numOuts + numCarries));
  at.chunk = first;
  ArrayRef<Value> all(last);
  SmallVector<Value> next(all.take_front(numOuts));
  llvm::append_range(next, createFinals(all.slice(numOuts, numCarries),
                                        results.slice(numOuts, numCarries),
                                        program.carries, at));
  llvm::append_range(next, all.drop_front(numOuts + numCarries));
  return next;
}

/// Carries that are bound to `chunk * n` start anew every n chunks.
SmallVector<Value> ChunkLoopBuilder::createSegments(Position at,
                                                    ValueRange results) {
  int64_t multiple = program.carries.front().binding.getChunkMultiple();
  Value chunks = ceilDiv(at.length, program.chunk);
  return createFor(ceilDiv(chunks, multiple), results,
                   [&](Value iv, ValueRange current) {
                     Value first = createMul(b, iv, multiple);
                     Value run = arith::MinUIOp::create(
                         b, createSub(b, chunks, first), index(multiple));
                     return createRun(at, first, run, current);
                   });
}

//===----------------------------------------------------------------------===//
// Pools of states
//===----------------------------------------------------------------------===//

Value ChunkLoopBuilder::createEntry(Value vector, Value sequence) {
  return arith::IndexCastOp::create(b, b.getIndexType(),
                                    createExtract(b, vector, sequence));
}

/// The sequence's entry of `vector`; `absent` where that is empty.
Value ChunkLoopBuilder::createEntryOr(Value vector, Value sequence,
                                      Value absent) {
  Value entries = b.createOrFold<tensor::DimOp>(vector, 0);
  Value isThere =
      arith::CmpIOp::create(b, arith::CmpIPredicate::ne, entries, index(0));
  auto ifOp = scf::IfOp::create(
      b, isThere,
      [&](OpBuilder &, Location) {
        scf::YieldOp::create(b, createEntry(vector, sequence));
      },
      [&](OpBuilder &, Location) { scf::YieldOp::create(b, absent); });
  return ifOp.getResult(0);
}

/// What `body` makes of `results` where `slot` is one of the pool; else these.
SmallVector<Value>
ChunkLoopBuilder::createIfValid(Value slot, ValueRange results,
                                function_ref<SmallVector<Value>()> body) {
  Value isValid = arith::CmpIOp::create(b, arith::CmpIPredicate::sge, slot,
                                        index(program.firstSlot));
  auto ifOp = scf::IfOp::create(
      b, isValid,
      [&](OpBuilder &, Location) { scf::YieldOp::create(b, body()); },
      [&](OpBuilder &, Location) { scf::YieldOp::create(b, results); });
  return ifOp.getResults();
}

/// Stores the carries behind the chunk of `at`, if it has a slot for them.
SmallVector<Value> ChunkLoopBuilder::createKept(ValueRange tiles,
                                                ValueRange pools, Position at) {
  at.poolSlot = createEntryOr(program.keepSlots, createSlot(at, 1), index(-1));
  return createIfValid(at.poolSlot, pools, [&] {
    return createFinals(tiles, pools, program.pools, at);
  });
}

/// From the sequence's slot to the one that it is written to, if it has any.
SmallVector<Value> ChunkLoopBuilder::createFromSlot(const Position &at,
                                                    ValueRange results) {
  size_t numOuts = program.outs.size(), numCarries = program.carries.size();
  Value write = createEntryOr(program.writeSlots, at.sequence, index(-1));
  ValueRange pools = results.drop_front(numOuts);
  SmallVector<Value> last = createLoop(
      at, index(0), ceilDiv(at.length, program.chunk),
      results.take_front(numOuts), program.keepSlots ? pools : ValueRange());
  ArrayRef<Value> tiles = ArrayRef(last).slice(numOuts, numCarries);
  SmallVector<Value> next(ArrayRef<Value>(last).take_front(numOuts));
  if (program.keepSlots)
    pools = ArrayRef(last).take_back(numCarries);
  Position end = at;
  end.poolSlot = write;
  llvm::append_range(next, createIfValid(write, pools, [&] {
                       return createFinals(tiles, pools, program.carries, end);
                     }));
  return next;
}

/// The same, but for sequences that are padding.
SmallVector<Value> ChunkLoopBuilder::createPooled(Position at,
                                                  ValueRange results) {
  at.poolSlot = createEntry(program.readSlots, at.sequence);
  auto create = [&] { return createFromSlot(at, results); };
  return program.elseZeros ? create()
                           : createIfValid(at.poolSlot, results, create);
}

SmallVector<Value> ChunkLoopBuilder::createHead(Position at,
                                                ValueRange results) {
  if (program.readSlots)
    return createPooled(at, results);
  bool isSegmented = !program.carries.empty() &&
                     program.carries.front().binding.has(DimKind::chunk);
  if (isSegmented)
    return createSegments(at, results);
  return createRun(at, index(0), ceilDiv(at.length, program.chunk), results);
}

SmallVector<Value> ChunkLoopBuilder::build(const Bound &timed) {
  createSizes(timed);
  SmallVector<Value> results;
  for (const Bound &bound :
       llvm::concat<const Bound>(program.outs, program.carries))
    results.push_back(createResult(bound));
  if (!program.hasOwnPools())
    for (const Bound &pool : program.pools)
      results.push_back(createResult(pool));
  return createFor(sequences, results, [&](Value sequence, ValueRange current) {
    Position at;
    createSequence(at, sequence);
    return createFor(index(program.heads), current,
                     [&](Value head, ValueRange current) {
                       at.head = head;
                       return createHead(at, current);
                     });
  });
}

namespace {
template <typename OpT> struct LowerChunkProgram : OpRewritePattern<OpT> {
  using OpRewritePattern<OpT>::OpRewritePattern;
  LogicalResult matchAndRewrite(OpT op,
                                PatternRewriter &rewriter) const override {
    ChunkProgram program(op);
    // The verifier has checked that there is one (C14).
    auto *timed = llvm::find_if(program.ins, [](const Bound &in) {
      return in.binding.has(DimKind::time);
    });
    ChunkLoopBuilder builder(program, rewriter, op.getLoc());
    rewriter.replaceOp(op, builder.build(*timed));
    return success();
  }
};
} // namespace

void delta::populateChunkLoopPatterns(RewritePatternSet &patterns) {
  patterns.add<LowerChunkProgram<ChunkScanOp>, LowerChunkProgram<ChunkMapOp>>(
      patterns.getContext());
}
