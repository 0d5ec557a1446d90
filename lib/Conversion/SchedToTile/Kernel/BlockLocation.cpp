//===- BlockLocation.cpp - Which part of the work a block has -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BlockLocation.h"

#include "wyvern/Dialect/Tile/IR/Tile.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

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

/// True if some operand of the kernel has a slot a chunk.
static bool hasSlots(sched::KernelOp kernel) {
  auto has = [](BindingAttr binding) { return binding.has(DimKind::chunk); };
  return llvm::any_of(kernel.getInBindings().getAsRange<BindingAttr>(), has) ||
         llvm::any_of(kernel.getOutBindings().getAsRange<BindingAttr>(), has);
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
  splitStart =
      arith::MulIOp::create(builder, loc, rem(id, splits),
                            createIndex(builder, loc, getBlockSplit(kernel)));
  Value rest = div(id, splits);
  Value heads = createIndex(builder, loc, kernel.getHeads());
  head = rem(rest, heads);
  locateSequence(builder, div(rest, heads));
  countChunks(builder);
}

void BlockLocation::locateSequence(OpBuilder &builder, Value unit) {
  Location loc = kernel.getLoc();
  int64_t run = kernel.getRun(), chunk = kernel.getChunk();
  bool isSlot = kernel.getOver() == sched::GridOver::slots;
  sequence = unit;
  firstChunk = createIndex(builder, loc, 0);
  if (isSlot) {
    auto found =
        tile::FindChunkOp::create(builder, loc, unit, launch.cu, launch.tokens,
                                  launch.sequences, run * chunk);
    sequence = found.getN();
    firstChunk = arith::MulIOp::create(builder, loc, found.getC(),
                                       createIndex(builder, loc, run));
    runSlot = unit;
  }
  auto at = tile::SequenceOp::create(builder, loc, sequence, launch.cu,
                                     launch.tokens, launch.sequences);
  // A block of one chunk is that of a slot.
  if (isSlot && run == 1 && hasSlots(kernel)) {
    firstSlot = unit;
  } else if (hasSlots(kernel)) {
    firstSlot = tile::FirstSlotOp::create(builder, loc, sequence, launch.cu,
                                          launch.tokens, chunk);
    if (isSlot)
      firstSlot = arith::AddIOp::create(builder, loc, firstSlot, firstChunk);
  }
  batch = at.getBatch(), start = at.getStart();
  length = at.getLength(), end = at.getEnd();
}

void BlockLocation::countChunks(OpBuilder &builder) {
  Location loc = kernel.getLoc();
  int64_t chunk = kernel.getChunk();
  Value rounded = arith::AddIOp::create(builder, loc, length,
                                        createIndex(builder, loc, chunk - 1));
  count = chunks = arith::DivUIOp::create(builder, loc, rounded,
                                          createIndex(builder, loc, chunk));
  if (kernel.getOver() == sched::GridOver::sequences)
    return;
  Value begin = arith::MinUIOp::create(builder, loc, firstChunk, count);
  Value left = arith::SubIOp::create(builder, loc, count, begin);
  count = arith::MinUIOp::create(builder, loc, left,
                                 createIndex(builder, loc, kernel.getRun()));
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
      ++tileDim;
      break;
    case DimKind::whole:
      coords.push_back(createIndex(builder, loc, dim.offset));
      if (splitDim == tileDim)
        coords.back() = dim.isPart()
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

Value BlockLocation::locateGroup(OpBuilder &builder, Value number,
                                 int64_t multiple) const {
  Location loc = kernel.getLoc();
  Value first =
      tile::FirstSlotOp::create(builder, loc, sequence, launch.cu,
                                launch.tokens, multiple * kernel.getChunk());
  Value group = arith::DivUIOp::create(builder, loc, number,
                                       createIndex(builder, loc, multiple));
  return arith::AddIOp::create(builder, loc, first, group);
}

Chunk BlockLocation::locateChunk(OpBuilder &builder, Value number) const {
  Location loc = kernel.getLoc();
  int64_t tokens = kernel.getChunk();
  Chunk chunk;
  if (firstSlot)
    chunk.slot = arith::AddIOp::create(builder, loc, firstSlot, number);
  chunk.number = arith::AddIOp::create(builder, loc, firstChunk, number);
  Value offset = arith::MulIOp::create(builder, loc, chunk.number,
                                       createIndex(builder, loc, tokens));
  Value left = arith::SubIOp::create(builder, loc, length, offset);
  chunk.position = offset;
  chunk.row = arith::AddIOp::create(builder, loc, start, offset);
  chunk.valid = arith::MinUIOp::create(builder, loc, left,
                                       createIndex(builder, loc, tokens));
  return chunk;
}
