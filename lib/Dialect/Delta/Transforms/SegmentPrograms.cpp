//===- SegmentPrograms.cpp - The programs of a scan in segments -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What carries between segments has a slot a segment: of `chunk * m` in the
// programs of the scan's chunks, of `chunk` in those of m times as many tokens.
//
//===----------------------------------------------------------------------===//

#include "SegmentPrograms.h"

#include "ProgramBuilder.h"

#include "wyvern/Dialect/Delta/Utils/TileBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

namespace {
/// An in that says how many tokens there are.
struct TimedIn {
  Value tensor;
  BindingAttr binding;
};
} // namespace

/// Returns an in with a time dimension whose tiles are smallest: nothing but
/// its length is read, by programs of longer chunks.
static TimedIn findTimedIn(ChunkScanOp scan) {
  std::optional<unsigned> found;
  auto getSize = [&](unsigned i) {
    return cast<RankedTensorType>(scan.getInArg(i).getType()).getNumElements();
  };
  for (unsigned i = 0; i < scan.getIns().size(); ++i)
    if (scan.getInBinding(i).has(DimKind::time) &&
        (!found || getSize(i) < getSize(*found)))
      found = i;
  return {scan.getIns()[*found], scan.getInBinding(*found).withOwnRows()};
}

/// True for what says which sequence a carry is of, or where that has it.
static bool isOwner(BoundDim dim) {
  return dim.kind == DimKind::seq || dim.kind == DimKind::slot;
}

/// Returns the binding of a carry with a slot for every `chunks` chunks in the
/// place of a sequence, or of its slot in a pool.
static BindingAttr bindSlots(BindingAttr binding, int64_t chunks,
                             int64_t offset = 0) {
  SmallVector<BoundDim> dims(binding.getDims());
  for (BoundDim &dim : dims)
    if (isOwner(dim))
      dim = {DimKind::chunk, chunks, offset};
  return BindingAttr::get(binding.getContext(), dims);
}

/// Returns the type of tensors that hold a `tile` a slot.
static RankedTensorType getSlotType(BindingAttr carry, RankedTensorType tile,
                                    int64_t heads) {
  SmallVector<int64_t> shape;
  ArrayRef<int64_t> sizes = tile.getShape();
  for (BoundDim dim : carry.getDims()) {
    if (isOwner(dim))
      shape.push_back(ShapedType::kDynamic);
    else if (dim.kind == DimKind::head)
      shape.push_back(heads);
    else
      shape.push_back(sizes.consume_front());
  }
  return RankedTensorType::get(shape, tile.getElementType());
}

namespace {
/// The programs of one scan, as they are built.
class SegmentPrograms {
public:
  SegmentPrograms(RewriterBase &rewriter, ChunkScanOp scan, LinearPart &linear,
                  TileDim splitDim, int64_t chunks)
      : rewriter(rewriter), scan(scan), linear(linear), lane(splitDim.second),
        chunks(chunks), timed(findTimedIn(scan)) {
    stateTile = cast<RankedTensorType>(scan.getCarryArg(0).getType());
    depth = stateTile.getDimSize(1 - lane);
    transitionTile = linear.resize(scan.getCarryArg(0), depth);
  }

  void create();

private:
  RankedTensorType getType(RankedTensorType tile) {
    return getSlotType(scan.getCarryBinding(0), tile, scan.getHeads());
  }
  ChunkMapOp createStarts();
  Value createEnds(Value zeros);
  Value createTransitions(Value identities);
  ChunkScanOp createJoin(Value ends, Value transitions);
  void keepIntoPool(ChunkScanOp join, BindingAttr runs);

  RewriterBase &rewriter;
  ChunkScanOp scan;
  LinearPart &linear;
  int64_t lane, chunks, depth;
  TimedIn timed;
  RankedTensorType stateTile, transitionTile;
};
} // namespace

/// Creates the states that segments start from where nothing is known of those
/// before: zeros, and the identity.
ChunkMapOp SegmentPrograms::createStarts() {
  BindingAttr slots = bindSlots(scan.getCarryBinding(0), 1);
  int64_t tokens = chunks * scan.getChunk();
  auto map = ChunkMapOp::create(
      rewriter, scan.getLoc(),
      TypeRange{getType(stateTile), getType(transitionTile)},
      ValueRange(timed.tensor), scan.getCuSeqlens(), tokens, scan.getHeads(),
      scan.getCompute(), rewriter.getArrayAttr({timed.binding}),
      rewriter.getArrayAttr({slots, slots}));
  OpBuilder::InsertionGuard guard(rewriter);
  Block *block = rewriter.createBlock(&map.getBody());
  block->addArgument(rewriter.getIndexType(), scan.getLoc());
  block->addArgument(
      timed.binding.getTileType(cast<RankedTensorType>(timed.tensor.getType()),
                                tokens, scan.getCompute()),
      timed.tensor.getLoc());
  Value zeros = arith::ConstantOp::create(rewriter, scan.getLoc(),
                                          rewriter.getZeroAttr(stateTile));
  Value identity = IdentityOp::create(rewriter, scan.getLoc(), transitionTile);
  YieldOp::create(rewriter, scan.getLoc(), ValueRange{zeros, identity},
                  ValueRange());
  return map;
}

/// Creates the chain on segments that start from zero, and nothing beside it.
/// Returns the states that they end in.
Value SegmentPrograms::createEnds(Value zeros) {
  SmallVector<Operation *> ops = sliceOf(scan, scan.getYield().getCarries());
  ProgramBuilder program(scan, ops);
  bool isReverse = scan.getDirection() == Direction::reverse;
  BindingAttr last =
      bindSlots(scan.getCarryBinding(0), chunks, isReverse ? 0 : chunks - 1);
  program.addOut(scan.getYield().getCarries().front(),
                 {getType(stateTile), last});
  ChunkScanOp ends = program.createScan(rewriter);
  ends.removeSlots();
  ends.getInitsMutable()[0].set(zeros);
  ends.getFinals()[0].setType(zeros.getType());
  ends.setCarryBindingsAttr(
      rewriter.getArrayAttr({bindSlots(scan.getCarryBinding(0), chunks)}));
  return ends.getOuts().front();
}

/// Creates the linear part of the chain on segments that start from the
/// identity. Returns what it ends in.
Value SegmentPrograms::createTransitions(Value identities) {
  bool isReverse = scan.getDirection() == Direction::reverse;
  BindingAttr first = bindSlots(scan.getCarryBinding(0), chunks),
              last = bindSlots(scan.getCarryBinding(0), chunks,
                               isReverse ? 0 : chunks - 1);
  Type type = identities.getType();
  auto program = ChunkScanOp::create(
      rewriter, scan.getLoc(), TypeRange(type), TypeRange(type), scan.getIns(),
      ValueRange(identities), scan.getCuSeqlens(), scan.getDirectionAttr(),
      scan.getChunkAttr(), scan.getHeadsAttr(), scan.getComputeAttr(),
      scan.getInBindingsAttr(), rewriter.getArrayAttr({first}),
      rewriter.getArrayAttr({last}));
  OpBuilder::InsertionGuard guard(rewriter);
  Block *block = rewriter.createBlock(&program.getBody());
  IRMapping mapping;
  for (BlockArgument arg : scan.getBlock().getArguments())
    mapping.map(arg, block->addArgument(arg == scan.getCarryArg(0)
                                            ? Type(transitionTile)
                                            : arg.getType(),
                                        arg.getLoc()));
  Value next = linear.create(rewriter, mapping, depth);
  YieldOp::create(rewriter, scan.getLoc(), ValueRange(next), ValueRange(next));
  return program.getOuts().front();
}

/// Creates the scan over segments: the state that leaves one is its end, and
/// its transition times the state that enters it. Its out is the latter.
ChunkScanOp SegmentPrograms::createJoin(Value ends, Value transitions) {
  BindingAttr carry = scan.getCarryBinding(0), slots = bindSlots(carry, 1);
  int64_t tokens = chunks * scan.getChunk();
  auto join = ChunkScanOp::create(
      rewriter, scan.getLoc(), TypeRange(getType(stateTile)),
      scan.getFinals().getTypes(), ValueRange{timed.tensor, transitions, ends},
      scan.getInits(), scan.getCuSeqlens(), scan.getDirection(), tokens,
      scan.getHeads(), scan.getCompute(),
      rewriter.getArrayAttr({timed.binding, slots, slots}),
      scan.getCarryBindings(), rewriter.getArrayAttr({slots}));
  join.setSlots(scan);
  join.getKeepSlotsMutable().clear();
  OpBuilder::InsertionGuard guard(rewriter);
  Block *block = rewriter.createBlock(&join.getBody());
  ImplicitLocOpBuilder b(scan.getLoc(), rewriter);
  block->addArgument(b.getIndexType(), b.getLoc());
  block->addArgument(
      timed.binding.getTileType(cast<RankedTensorType>(timed.tensor.getType()),
                                tokens, scan.getCompute()),
      timed.tensor.getLoc());
  Value transition = block->addArgument(transitionTile, b.getLoc()),
        end = block->addArgument(stateTile, b.getLoc()),
        state = block->addArgument(stateTile, b.getLoc());
  TileBuilder tiles(b, cast<FloatType>(scan.getCompute()));
  Value next = lane == 1 ? tiles.matmul(transition, state, end)
                         : tiles.matmul(state, transition, end);
  YieldOp::create(b, ValueRange(state), ValueRange(next));
  return join;
}

/// Makes the scan one that keeps its states on the way into the pool that the
/// join has left the last ones in. It has a result more, so it is made anew.
void SegmentPrograms::keepIntoPool(ChunkScanOp join, BindingAttr runs) {
  Value pool = join.getFinals()[0], entering = join.getOuts()[0];
  auto keeping = ChunkScanOp::create(
      rewriter, scan.getLoc(), scan.getOuts().getTypes(),
      TypeRange(entering.getType()), pool.getType(), scan.getIns(), entering,
      scan.getCuSeqlens(), /*read_slots=*/Value(), /*write_slots=*/Value(),
      /*lengths=*/Value(), scan.getKeepSlots(), scan.getSeeds(), pool,
      scan.getDirection(), scan.getChunk(), scan.getHeads(), scan.getCompute(),
      scan.getInBindings(), rewriter.getArrayAttr({runs}),
      scan.getOutBindings(), scan.getFirstSlot());
  keeping->setDiscardableAttrs(scan->getDiscardableAttrDictionary());
  keeping.getBody().takeBody(scan.getBody());
  rewriter.replaceAllUsesExcept(pool, keeping.getKept(), keeping);
  rewriter.replaceAllUsesWith(scan.getOuts(), keeping.getOuts());
  rewriter.eraseOp(scan);
}

void SegmentPrograms::create() {
  rewriter.setInsertionPoint(scan);
  ChunkMapOp starts = createStarts();
  Value ends = createEnds(starts.getOuts()[0]);
  Value transitions = createTransitions(starts.getOuts()[1]);
  ChunkScanOp join = createJoin(ends, transitions);
  rewriter.replaceAllUsesWith(scan.getFinals(), join.getFinals());
  Value entering = join.getOuts().front();
  BindingAttr runs = bindSlots(scan.getCarryBinding(0), chunks);
  if (scan.getKeepSlots())
    return keepIntoPool(join, runs);
  rewriter.modifyOpInPlace(scan, [&] {
    scan.removeSlots();
    scan.getInitsMutable()[0].set(entering);
    scan.getFinals()[0].setType(entering.getType());
    scan.setCarryBindingsAttr(rewriter.getArrayAttr({runs}));
  });
}

void delta::createSegments(RewriterBase &rewriter, ChunkScanOp scan,
                           LinearPart &linear, TileDim splitDim,
                           int64_t chunks) {
  SegmentPrograms(rewriter, scan, linear, splitDim, chunks).create();
}
