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

#include "Patterns.h"
#include "TensorLoops.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

namespace {
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
  }
  explicit ChunkProgram(ChunkMapOp op) : ChunkProgram(op, /*reverse=*/false) {}

  SmallVector<Bound> ins, carries, outs;
  Value cuSeqlens;
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
  /// time dimension; its length; the slot of its first chunk.
  Value sequence, batch, start, length, firstSlot;
  Value head, chunk;
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
  SmallVector<Value> createChunk(Position at, ValueRange results,
                                 ValueRange carries);

  Slice getSlice(const Bound &bound, const Position &at);
  Value createLoad(const Bound &bound, const Position &at);
  Value createStore(Value tile, Value whole, const Bound &bound,
                    const Position &at);
  Value createCopy(Value from, Value to);
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
  Value packed, batchRows, tokens, sequences, slots;
};
} // namespace

//===----------------------------------------------------------------------===//
// Slices
//===----------------------------------------------------------------------===//

Slice ChunkLoopBuilder::getSlice(const Bound &bound, const Position &at) {
  Slice slice;
  SmallVector<int64_t> shape;
  bool isTimed = bound.binding.has(DimKind::time);
  auto keep = [&](OpFoldResult size) {
    slice.tileOffsets.push_back(b.getIndexAttr(0));
    slice.tileSizes.push_back(size);
    slice.tileStrides.push_back(b.getIndexAttr(1));
    shape.push_back(getConstantIntValue(size).value_or(ShapedType::kDynamic));
  };
  for (auto [dim, size] :
       llvm::zip_equal(bound.binding.getDims(), bound.type.getShape())) {
    OpFoldResult offset = b.getIndexAttr(0), extent = b.getIndexAttr(1);
    switch (dim.kind) {
    case DimKind::seq:
      offset = isTimed ? at.batch : at.sequence;
      break;
    case DimKind::chunk:
      offset = createAdd(b, at.firstSlot, at.chunk);
      break;
    case DimKind::head:
      offset = createFloorDiv(b, at.head, program.heads / size);
      break;
    case DimKind::time:
      offset = createMul(b, at.token, dim.multiple);
      extent = createMul(b, at.valid, dim.multiple);
      keep(extent);
      break;
    case DimKind::whole:
      extent = b.getIndexAttr(size);
      keep(extent);
      break;
    }
    slice.offsets.push_back(offset);
    slice.sizes.push_back(extent);
    slice.strides.push_back(b.getIndexAttr(1));
  }
  slice.type = RankedTensorType::get(shape, bound.type.getElementType());
  return slice;
}

/// Copies elementwise into `to`, with the cast between the two types. A generic
/// op and not arith.extf, so that the destination is known to bufferization.
Value ChunkLoopBuilder::createCopy(Value from, Value to) {
  int64_t rank = tileType(from).getRank();
  SmallVector<AffineMap> maps(2, b.getMultiDimIdentityMap(rank));
  SmallVector<utils::IteratorType> iterators(rank,
                                             utils::IteratorType::parallel);
  auto body = [](OpBuilder &builder, Location loc, ValueRange args) {
    Type from = args[0].getType(), to = args[1].getType();
    Value value = args[0];
    if (from.getIntOrFloatBitWidth() < to.getIntOrFloatBitWidth())
      value = arith::ExtFOp::create(builder, loc, to, value);
    else if (from != to)
      value = arith::TruncFOp::create(builder, loc, to, value);
    linalg::YieldOp::create(builder, loc, value);
  };
  return linalg::GenericOp::create(b, to.getType(), from, to, maps, iterators,
                                   body)
      .getResult(0);
}

Value ChunkLoopBuilder::createLoad(const Bound &bound, const Position &at) {
  Slice slice = getSlice(bound, at);
  Value tile = createZeroTile(
      b, bound.binding.getTileType(bound.type, program.chunk, program.compute));
  Value rows = tensor::ExtractSliceOp::create(
      b, slice.type, bound.operand, slice.offsets, slice.sizes, slice.strides);
  Value valid = tensor::ExtractSliceOp::create(
      b, slice.type.clone(program.compute), tile, slice.tileOffsets,
      slice.tileSizes, slice.tileStrides);
  return tensor::InsertSliceOp::create(b, createCopy(rows, valid), tile,
                                       slice.tileOffsets, slice.tileSizes,
                                       slice.tileStrides);
}

Value ChunkLoopBuilder::createStore(Value tile, Value whole, const Bound &bound,
                                    const Position &at) {
  Slice slice = getSlice(bound, at);
  Value valid = tensor::ExtractSliceOp::create(
      b, slice.type.clone(program.compute), tile, slice.tileOffsets,
      slice.tileSizes, slice.tileStrides);
  Value rows = tensor::ExtractSliceOp::create(
      b, slice.type, whole, slice.offsets, slice.sizes, slice.strides);
  return tensor::InsertSliceOp::create(b, createCopy(valid, rows), whole,
                                       slice.offsets, slice.sizes,
                                       slice.strides);
}

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
  slots =
      b.createOrFold<arith::MulIOp>(batchRows, ceilDiv(tokens, program.chunk));
  if (!program.cuSeqlens)
    return;
  Value entries = b.createOrFold<tensor::DimOp>(program.cuSeqlens, 0);
  packed =
      arith::CmpIOp::create(b, arith::CmpIPredicate::ne, entries, index(0));
  sequences = arith::SelectOp::create(
      b, packed, createSub(b, entries, index(1)), batchRows);
  slots = arith::SelectOp::create(
      b, packed,
      createAdd(b, createFloorDiv(b, tokens, program.chunk), sequences), slots);
}

/// The whole result, zero where nothing will be stored.
Value ChunkLoopBuilder::createResult(const Bound &result) {
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
      dynamicSizes.push_back(slots);
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
  at.firstSlot =
      b.createOrFold<arith::MulIOp>(sequence, ceilDiv(tokens, program.chunk));
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
  Value packedSlot =
      createAdd(b, createFloorDiv(b, at.start, program.chunk), sequence);
  at.firstSlot = arith::SelectOp::create(b, packed, packedSlot, at.firstSlot);
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

SmallVector<Value> ChunkLoopBuilder::createChunk(Position at,
                                                 ValueRange results,
                                                 ValueRange carries) {
  Value first = createMul(b, at.chunk, program.chunk);
  at.token = createAdd(b, at.start, first);
  at.valid = arith::MinUIOp::create(b, createSub(b, at.length, first),
                                    index(program.chunk));
  SmallVector<Value> arguments = {at.valid};
  for (const Bound &in : program.ins)
    arguments.push_back(createLoad(in, at));
  llvm::append_range(arguments, carries);

  Block *loopBody = b.getInsertionBlock();
  rewriter.inlineBlockBefore(program.body, loopBody, loopBody->end(),
                             arguments);
  auto yield = cast<YieldOp>(loopBody->back());
  SmallVector<Value> next;
  b.setInsertionPoint(yield);
  for (auto [tile, whole, out] :
       llvm::zip_equal(yield.getOuts(), results, program.outs))
    next.push_back(createStore(tile, whole, out, at));
  // Into the carry's own buffer: a loop must yield what it was given to stay in
  // place.
  for (auto [tile, carry] : llvm::zip_equal(yield.getCarries(), carries))
    next.push_back(createCopy(tile, carry));
  rewriter.eraseOp(yield);
  return next;
}

SmallVector<Value> ChunkLoopBuilder::createHead(Position at,
                                                ValueRange results) {
  size_t numOuts = program.outs.size();
  SmallVector<Value> inits(results.take_front(numOuts));
  for (const Bound &carry : program.carries)
    inits.push_back(createLoad(carry, at));

  Value chunks = ceilDiv(at.length, program.chunk);
  SmallVector<Value> last =
      createFor(chunks, inits, [&](Value iv, ValueRange current) {
        at.chunk = program.reverse
                       ? createSub(b, createSub(b, chunks, index(1)), iv)
                       : iv;
        return createChunk(at, current.take_front(numOuts),
                           current.drop_front(numOuts));
      });

  SmallVector<Value> next(ArrayRef<Value>(last).take_front(numOuts));
  for (auto [tile, whole, carry] :
       llvm::zip_equal(ArrayRef<Value>(last).drop_front(numOuts),
                       results.drop_front(numOuts), program.carries))
    next.push_back(createStore(tile, whole, carry, at));
  return next;
}

SmallVector<Value> ChunkLoopBuilder::build(const Bound &timed) {
  createSizes(timed);
  SmallVector<Value> results;
  for (const Bound &bound :
       llvm::concat<const Bound>(program.outs, program.carries))
    results.push_back(createResult(bound));
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
