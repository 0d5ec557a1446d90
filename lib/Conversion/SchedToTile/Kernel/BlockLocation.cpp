//===- BlockLocation.cpp - Which part of the work a block has -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BlockLocation.h"

#include "wyvern/Dialect/Delta/IR/Delta.h"
#include "wyvern/Dialect/Tile/IR/Tile.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

Value wyvern::createIndex(OpBuilder &builder, Location loc, int64_t value) {
  return arith::ConstantIndexOp::create(builder, loc, value);
}

Value wyvern::createRows(OpBuilder &builder, Location loc, Value tokens,
                         BindingAttr binding) {
  int64_t multiple = binding.getTimeMultiple();
  if (multiple == 1)
    return tokens;
  return arith::MulIOp::create(builder, loc, tokens,
                               createIndex(builder, loc, multiple));
}

/// Elements of a slot are counted in the order of the pool's dimensions, which
/// are even: a tile begins with the first one of a pair.
Value wyvern::createStochasticTrunc(OpBuilder &builder, Location loc,
                                    Value tile, Value seed,
                                    RankedTensorType type, ValueRange coords,
                                    ArrayRef<int64_t> dims) {
  SmallVector<int64_t> steps(type.getRank(), 1);
  for (int64_t i = type.getRank() - 1; i > 0; --i)
    steps[i - 1] = i > 1 ? steps[i] * type.getDimSize(i) : 0;
  Value first = createIndex(builder, loc, 0);
  for (auto [coord, step] :
       llvm::zip_equal(coords.drop_front(), ArrayRef(steps).drop_front()))
    first = arith::AddIOp::create(
        builder, loc, first,
        arith::MulIOp::create(builder, loc, coord,
                              createIndex(builder, loc, step)));
  Value pair =
      arith::DivUIOp::create(builder, loc, first, createIndex(builder, loc, 2));
  auto held = cast<RankedTensorType>(tile.getType());
  SmallVector<int64_t> ofTile =
      llvm::map_to_vector(dims, [&](int64_t dim) { return steps[dim]; });
  return tile::StochasticTruncOp::create(builder, loc,
                                         held.clone(type.getElementType()),
                                         tile, seed, pair, ofTile);
}

//===----------------------------------------------------------------------===//
// The block
//===----------------------------------------------------------------------===//

/// Elements of the split dimension that one block has.
static int64_t getBlockSplit(sched::KernelOp kernel) {
  int64_t parts = 1;
  for (sched::RoleOp role : kernel.getRoles())
    parts = std::max<int64_t>(parts, role.getSplit());
  return parts * tile::kAccRows;
}

/// True if an in or out of the kernel has a dimension that `isOne` holds for.
static bool hasDim(sched::KernelOp kernel, function_ref<bool(BoundDim)> isOne) {
  auto has = [&](BindingAttr binding) {
    return llvm::any_of(binding.getDims(), isOne);
  };
  return llvm::any_of(kernel.getInBindings().getAsRange<BindingAttr>(), has) ||
         llvm::any_of(kernel.getOutBindings().getAsRange<BindingAttr>(), has);
}

/// True if some operand of the kernel has a slot a chunk, or a few of them.
static bool hasSlots(sched::KernelOp kernel) {
  return kernel.getKeepSlots() || hasDim(kernel, [](BoundDim dim) {
           return dim.kind == DimKind::chunk;
         });
}

bool wyvern::hasChunkSlots(sched::KernelOp kernel) {
  return hasDim(kernel, [](BoundDim dim) {
    return dim.kind == DimKind::chunk && dim.multiple == 1;
  });
}

bool wyvern::hasSegments(sched::KernelOp kernel) {
  // The pass that lowers kernels finds them in functions.
  auto func = kernel->getParentOfType<func::FuncOp>();
  auto tokens = func->getAttrOfType<IntegerAttr>(kSegmentAttr);
  int64_t run = kernel.getOver() == sched::GridOver::slots
                    ? static_cast<int64_t>(kernel.getRun())
                    : 1;
  return tokens &&
         tokens.getInt() == run * static_cast<int64_t>(kernel.getChunk());
}

/// From the block's number to its head, its part of the split dimension, its
/// sequence, and how many chunks it visits: all of a sequence or those of a
/// slot; none where the slot is between two sequences.
BlockLocation::BlockLocation(OpBuilder &builder, sched::KernelOp kernel,
                             LaunchArguments launch)
    : kernel(kernel), launch(launch) {
  Location loc = kernel.getLoc();
  auto div = [&](Value a, Value b) -> Value {
    return arith::DivUIOp::create(builder, loc, a, b);
  };
  auto rem = [&](Value a, Value b) -> Value {
    return arith::RemUIOp::create(builder, loc, a, b);
  };
  Value id = tile::BlockIdOp::create(builder, loc);
  Value splits = createIndex(builder, loc, kernel.getSplit());
  splitPart = rem(id, splits);
  splitStart =
      arith::MulIOp::create(builder, loc, splitPart,
                            createIndex(builder, loc, getBlockSplit(kernel)));
  Value rest = div(id, splits);
  Value heads = createIndex(builder, loc, kernel.getHeads());
  head = rem(rest, heads);
  locateSequence(builder, div(rest, heads));
  countChunks(builder);
}

void BlockLocation::locateSequence(OpBuilder &builder, Value unit) {
  Location loc = kernel.getLoc();
  bool isSlot = kernel.getOver() == sched::GridOver::slots;
  sequence = unit;
  firstChunk = createIndex(builder, loc, 0);
  if (isSlot) {
    auto found =
        tile::FindChunkOp::create(builder, loc, unit, launch.cu, launch.tokens,
                                  launch.sequences, getRunTokens(builder));
    sequence = found.getN();
    firstChunk =
        arith::MulIOp::create(builder, loc, found.getC(), getRun(builder));
    runSlot = unit;
  }
  auto at = tile::SequenceOp::create(builder, loc, sequence, launch.cu,
                                     launch.tokens, launch.sequences);
  // A block of one chunk is that of a slot.
  if (isSlot && kernel.getRun() == 1 && hasSlots(kernel)) {
    firstSlot = unit;
  } else if (hasSlots(kernel)) {
    Value tokens = launch.slotTokens ? launch.slotTokens : launch.tokens;
    firstSlot = tile::FirstSlotOp::create(builder, loc, sequence, launch.cu,
                                          tokens, getChunkTokens(builder));
    if (isSlot)
      firstSlot = arith::AddIOp::create(builder, loc, firstSlot, firstChunk);
  }
  batch = at.getBatch(), start = at.getStart();
  length = at.getLength(), end = at.getEnd();
}

void BlockLocation::countChunks(OpBuilder &builder) {
  Location loc = kernel.getLoc();
  Value chunk = getChunkTokens(builder);
  Value most = builder.createOrFold<arith::SubIOp>(
      loc, chunk, createIndex(builder, loc, 1));
  Value rounded = arith::AddIOp::create(builder, loc, length, most);
  count = chunks = arith::DivUIOp::create(builder, loc, rounded, chunk);
  before = createIndex(builder, loc, 0);
  if (kernel.getOver() == sched::GridOver::sequences)
    return;
  Value begin = arith::MinUIOp::create(builder, loc, firstChunk, count);
  Value left = arith::SubIOp::create(builder, loc, count, begin);
  count = arith::MinUIOp::create(builder, loc, left, getRun(builder));
  // From here on a run is a sequence of its own: the loop over its chunks holds
  // no number more, and nothing that a search has left.
  before = arith::MulIOp::create(builder, loc, firstChunk, chunk);
  start = arith::AddIOp::create(builder, loc, start, before);
  length = arith::SubIOp::create(builder, loc, length, before);
  if (kernel.getRun() == 1)
    return;
  for (Value *number : {&batch, &start, &length, &count, &firstSlot})
    if (*number)
      *number = tile::UniformOp::create(builder, loc, *number);
}

Value BlockLocation::getChunkTokens(OpBuilder &builder) const {
  if (launch.segment && kernel.getOver() == sched::GridOver::sequences)
    return launch.segment;
  return createIndex(builder, kernel.getLoc(), kernel.getChunk());
}

Value BlockLocation::getRunTokens(OpBuilder &builder) const {
  if (launch.segment)
    return launch.segment;
  return createIndex(builder, kernel.getLoc(),
                     static_cast<int64_t>(kernel.getRun() * kernel.getChunk()));
}

Value BlockLocation::getRun(OpBuilder &builder) const {
  if (launch.segment)
    return arith::DivUIOp::create(builder, kernel.getLoc(), launch.segment,
                                  getChunkTokens(builder));
  return createIndex(builder, kernel.getLoc(), kernel.getRun());
}

//===----------------------------------------------------------------------===//
// A chunk
//===----------------------------------------------------------------------===//

Value BlockLocation::locateHead(OpBuilder &builder, BoundDim dim,
                                int64_t size) const {
  Location loc = kernel.getLoc();
  if (dim.multiple == 1)
    return arith::DivUIOp::create(
        builder, loc, head,
        createIndex(builder, loc, int64_t(kernel.getHeads()) / size));
  Value first = arith::MulIOp::create(builder, loc, head,
                                      createIndex(builder, loc, dim.multiple));
  return arith::AddIOp::create(builder, loc, first,
                               createIndex(builder, loc, dim.offset));
}

Value BlockLocation::locatePart(OpBuilder &builder, BoundDim dim,
                                int64_t size) const {
  Location loc = kernel.getLoc();
  if (dim.parts == 1)
    return createIndex(builder, loc, dim.offset);
  Value part = arith::RemUIOp::create(builder, loc, head,
                                      createIndex(builder, loc, dim.parts));
  return arith::MulIOp::create(builder, loc, part,
                               createIndex(builder, loc, dim.getExtent(size)));
}

SmallVector<Value>
BlockLocation::getCoordinates(OpBuilder &builder, BindingAttr binding,
                              RankedTensorType type, const Chunk &chunk,
                              std::optional<int64_t> splitDim,
                              Value splitStart) const {
  Location loc = kernel.getLoc();
  SmallVector<Value> coords;
  int64_t tileDim = 0;
  for (auto [dim, size] : llvm::zip_equal(binding.getDims(), type.getShape())) {
    switch (dim.kind) {
    case DimKind::seq:
      coords.push_back(binding.has(DimKind::time) ? batch : sequence);
      break;
    case DimKind::head:
      coords.push_back(locateHead(builder, dim, size));
      break;
    case DimKind::time:
      coords.push_back(createRows(builder, loc, chunk.row, binding));
      if (dim.isRow)
        coords.back() = arith::AddIOp::create(
            builder, loc, coords.back(), createIndex(builder, loc, dim.offset));
      ++tileDim;
      break;
    case DimKind::whole:
      coords.push_back(locatePart(builder, dim, size));
      if (splitDim == tileDim)
        coords.back() = dim.isPart() || dim.parts > 1
                            ? Value(arith::AddIOp::create(
                                  builder, loc, coords.back(), splitStart))
                            : splitStart;
      ++tileDim;
      break;
    case DimKind::chunk:
    case DimKind::slot:
      coords.push_back(chunk.slot);
      break;
    }
  }
  return coords;
}

Value BlockLocation::locateFirstUnit(OpBuilder &builder, Value sequence) const {
  Location loc = kernel.getLoc();
  if (!runSlot)
    return sequence;
  // Counted again: held from the kernel's beginning on, it would cost
  // registers.
  Value run = tile::UniformOp::create(builder, loc, getRunTokens(builder));
  return tile::FirstSlotOp::create(builder, loc, sequence, launch.cu,
                                   launch.tokens, run);
}

bool BlockLocation::hasRunsOf(int64_t multiple) const {
  return runSlot && multiple == static_cast<int64_t>(kernel.getRun());
}

Value BlockLocation::locateGroup(OpBuilder &builder, Value number,
                                 int64_t multiple) const {
  Location loc = kernel.getLoc();
  if (hasRunsOf(multiple))
    return runSlot;
  Value tokens = builder.createOrFold<arith::MulIOp>(
      loc, createIndex(builder, loc, multiple), getChunkTokens(builder));
  Value first = tile::FirstSlotOp::create(builder, loc, sequence, launch.cu,
                                          launch.tokens, tokens);
  Value group = arith::DivUIOp::create(builder, loc, number,
                                       createIndex(builder, loc, multiple));
  return arith::AddIOp::create(builder, loc, first, group);
}

Chunk BlockLocation::locateChunk(OpBuilder &builder, Value number) const {
  Location loc = kernel.getLoc();
  Value tokens = getChunkTokens(builder);
  Chunk chunk;
  if (firstSlot)
    chunk.slot = arith::AddIOp::create(builder, loc, firstSlot, number);
  chunk.number = arith::AddIOp::create(builder, loc, firstChunk, number);
  Value offset = arith::MulIOp::create(builder, loc, number, tokens);
  Value left = arith::SubIOp::create(builder, loc, length, offset);
  chunk.position = arith::AddIOp::create(builder, loc, before, offset);
  chunk.row = arith::AddIOp::create(builder, loc, start, offset);
  chunk.valid = arith::MinUIOp::create(builder, loc, left, tokens);
  return chunk;
}
