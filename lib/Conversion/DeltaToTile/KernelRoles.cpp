//===- KernelRoles.cpp - What the producer and the consumer of a kernel do ===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

//===----------------------------------------------------------------------===//
// Chunks
//===----------------------------------------------------------------------===//

KernelBuilder::Chunk KernelBuilder::locateChunk(Value number) {
  Chunk chunk;
  if (firstSlot)
    chunk.slot = arith::AddIOp::create(builder, loc, firstSlot, number);
  number = arith::AddIOp::create(builder, loc, firstChunk, number);
  chunk.number = number;
  Value offset =
      arith::MulIOp::create(builder, loc, number, index(program.chunk));
  Value left = arith::SubIOp::create(builder, loc, length, offset);
  chunk.row = arith::AddIOp::create(builder, loc, start, offset);
  chunk.valid =
      arith::MinUIOp::create(builder, loc, left, index(program.chunk));
  return chunk;
}

void KernelBuilder::visitChunk(function_ref<void(Value, Chunk)> body) {
  Value exists = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne,
                                       count, index(0));
  auto ifOp = scf::IfOp::create(builder, loc, exists, /*withElse=*/false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(ifOp.thenBlock());
  body(index(0), locateChunk(index(0)));
}

SmallVector<Value> KernelBuilder::visitChunks(
    ValueRange carries,
    function_ref<SmallVector<Value>(Value, Chunk, ValueRange)> body) {
  auto forOp =
      scf::ForOp::create(builder, loc, index(0), count, index(1), carries);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(forOp.getBody());
  Value use = forOp.getInductionVar(), number = use;
  if (program.reverse) {
    Value last = arith::SubIOp::create(builder, loc, count, index(1));
    number = arith::SubIOp::create(builder, loc, last, use);
  }
  SmallVector<Value> next =
      body(use, locateChunk(number), forOp.getRegionIterArgs());
  if (!carries.empty())
    scf::YieldOp::create(builder, loc, next);
  return llvm::to_vector_of<Value>(forOp.getResults());
}

void KernelBuilder::produce() {
  if (program.isMap)
    return visitChunk([&](Value use, Chunk chunk) { loadChunk(use, chunk); });
  visitChunks({}, [&](Value use, Chunk chunk, ValueRange) {
    loadChunk(use, chunk);
    return SmallVector<Value>();
  });
}

void KernelBuilder::loadChunk(Value use, Chunk chunk) {
  auto acquired = tile::AcquireOp::create(builder, loc, ringTiles, ring, use);
  for (auto [i, in] : llvm::enumerate(program.ins)) {
    BindingAttr binding = program.inBindings[i];
    Value arg = program.block->getArgument(1 + i);
    Value tile = acquired.getTiles()[i];
    std::optional<int64_t> laneDim;
    if (!program.isMap)
      laneDim = orientation.getM(arg);
    SmallVector<Value> at = coordinates(binding, tensorOf(in), chunk, laneDim);
    if (tensorOf(arg).getRank() == 2)
      tile::LoadOp::create(builder, loc, inArgs[i], at, tile, ring, use);
    else
      tile::LoadVectorOp::create(builder, loc, inArgs[i], at, timeDim(binding),
                                 rows(chunk.valid, binding), tile);
  }
  tile::CommitOp::create(builder, loc, ring, use);
}

//===----------------------------------------------------------------------===//
// The consumer
//===----------------------------------------------------------------------===//

/// What a partial chunk brought from behind its sequence's end is overwritten.
/// What has a slot a chunk is all the chunk's.
void KernelBuilder::zeroTail(ArrayRef<Value> tiles, Chunk chunk) {
  Value partial = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult,
                                        chunk.valid, index(program.chunk));
  auto ifOp = scf::IfOp::create(builder, loc, partial, /*withElse=*/false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(ifOp.thenBlock());
  for (auto [i, tile] : llvm::enumerate(tiles))
    if (cast<tile::SmemType>(tile.getType()).isSwizzled() &&
        program.inBindings[i].has(DimKind::time))
      tile::ZeroRowsOp::create(builder, loc, tile,
                               rows(chunk.valid, program.inBindings[i]));
  tile::BarrierOp::create(builder, loc, /*proxy=*/true, kConsumerBarrier);
}

LogicalResult KernelBuilder::storeOut(RegionLowering &lowering, unsigned i,
                                      Chunk chunk) {
  Operation *yield = program.block->getTerminator();
  Value yielded = yield->getOperand(i);
  if (tensorOf(yielded).getRank() == 1 && !program.isMap)
    return program.op->emitError()
           << "out #" << i
           << " is a vector; the GPU path writes vectors in maps "
              "only (compute it in a map: delta-stage)";
  std::optional<int64_t> m = orientation.getM(yielded);
  RegionLowering::Tiles tiles = lowering.getTiles(yielded, yield, m);
  if (tiles.empty())
    return failure();
  BindingAttr binding = program.outBindings[i];
  RankedTensorType type = tensorOf(program.outs[i]);
  for (Value &tile : tiles) {
    RankedTensorType held = tensorOf(tile);
    auto rounded = RankedTensorType::get(held.getShape(), type.getElementType(),
                                         held.getEncoding());
    if (rounded != held)
      tile = arith::TruncFOp::create(builder, loc, rounded, tile);
  }
  if (isState(type, binding)) {
    storeState(tiles.front(), i, chunk);
    return success();
  }
  if (tensorOf(yielded).getRank() == 2) {
    storeMatrix(tiles, i, *m, chunk);
    return success();
  }
  tile::StoreVectorOp::create(builder, loc, tiles.front(), outArgs[i],
                              coordinates(binding, type, chunk, std::nullopt),
                              timeDim(binding), rows(chunk.valid, binding));
  return success();
}

/// Stores the block's part of a state, if the chunk is the first of its slot.
void KernelBuilder::storeState(Value tile, unsigned i, Chunk chunk) {
  BindingAttr binding = program.outBindings[i];
  int64_t multiple = binding.getChunkMultiple();
  Value yielded = program.block->getTerminator()->getOperand(i);
  int64_t m = *orientation.getM(yielded);
  Value place =
      arith::RemUIOp::create(builder, loc, chunk.number, index(multiple));
  Value isFirst = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq,
                                        place, index(0));
  auto ifOp = scf::IfOp::create(builder, loc, isFirst, /*withElse=*/false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(ifOp.thenBlock());
  Value first = tile::FirstSlotOp::create(builder, loc, sequence, cu, tokens,
                                          multiple * program.chunk);
  Value group =
      arith::DivUIOp::create(builder, loc, chunk.number, index(multiple));
  chunk.slot = arith::AddIOp::create(builder, loc, first, group);
  tile::StoreMatrixOp::create(
      builder, loc, tile, outArgs[i],
      coordinates(binding, tensorOf(program.outs[i]), chunk, m),
      builder.getDenseI64ArrayAttr(
          {tensorDim(binding, m), tensorDim(binding, 1 - m)}));
}

/// Stores the tiles of out `i`: rows of a chunk as far as they are the
/// sequence's, or all rows of what has a slot a chunk.
void KernelBuilder::storeMatrix(ArrayRef<Value> tiles, unsigned i, int64_t m,
                                Chunk chunk) {
  BindingAttr binding = program.outBindings[i];
  RankedTensorType type = tensorOf(program.outs[i]);
  SmallVector<Value> coords =
      coordinates(binding, type, chunk,
                  program.isMap ? std::nullopt : std::optional<int64_t>(m));
  int64_t rowDim = tensorDim(binding, 0);
  Value valid = binding.has(DimKind::time) ? rows(chunk.valid, binding)
                                           : index(type.getDimSize(rowDim));
  // The rows in memory are the value's dimension 0: the register tile's columns
  // where dimension 1 is M.
  int64_t blockDim = tensorDim(binding, m);
  for (auto [block, tile] : llvm::enumerate(tiles)) {
    SmallVector<Value> at = coords;
    Value left = valid;
    if (block > 0) {
      Value first = index(block * tile::kAccRows);
      at[blockDim] = arith::AddIOp::create(builder, loc, at[blockDim], first);
      if (m == 0)
        left = arith::SubIOp::create(
            builder, loc, valid,
            arith::MinUIOp::create(builder, loc, valid, first));
    }
    tile::StoreRowsOp::create(builder, loc, tile, outArgs[i], at, rowDim, left,
                              staging[i], /*transpose=*/m == 1,
                              kConsumerBarrier);
  }
}

LogicalResult KernelBuilder::computeChunk(Value use, Chunk chunk,
                                          ValueRange carries,
                                          SmallVectorImpl<Value> &next) {
  auto full = tile::WaitOp::create(builder, loc, ringTiles, ring, use);
  SmallVector<Value> tiles(full.getTiles());
  zeroTail(tiles, chunk);
  RegionLowering lowering(builder, orientation, program.isMap, roles);
  for (auto [i, tile] : llvm::enumerate(tiles))
    lowering.setShared(program.block->getArgument(1 + i), tile);
  for (auto [i, carry] : llvm::enumerate(carries))
    lowering.setRegister(program.block->getArgument(1 + program.ins.size() + i),
                         carry);
  SmallVector<Operation *> ops = lowering.plan(*program.block);
  // An out is stored where it is made: its registers are free for what follows.
  // First what was there before: the chunk's products overwrite a carry.
  Operation *yield = program.block->getTerminator();
  auto storeOutsOf = [&](Operation *op) -> LogicalResult {
    for (unsigned i = 0; i < program.outs.size(); ++i)
      if (yield->getOperand(i).getDefiningOp() == op &&
          failed(storeOut(lowering, i, chunk)))
        return failure();
    return success();
  };
  if (failed(storeOutsOf(/*op=*/nullptr)))
    return failure();
  for (Operation *op : ops)
    if (failed(lowering.lower(op)) || failed(storeOutsOf(op)))
      return failure();
  numProducts = lowering.getNumProducts();
  numStaged = lowering.getNumStaged();
  for (Value carried : yield->getOperands().drop_front(program.outs.size())) {
    next.push_back(lowering.getRegister(carried, yield));
    if (!next.back())
      return failure();
  }
  tile::ReleaseOp::create(builder, loc, ring, use);
  return success();
}

/// Rows at and past the last sequence's end are nobody's: the last sequence's
/// blocks zero them; of blocks for parts of a sequence, those of its first
/// slot, which it has even if it is empty.
void KernelBuilder::zeroUnownedRows() {
  Value last = arith::SubIOp::create(builder, loc, sequences, index(1));
  Value zeroes = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq,
                                       sequence, last);
  if (runSlot) {
    Value isFirst = arith::CmpIOp::create(
        builder, loc, arith::CmpIPredicate::eq, firstChunk, index(0));
    zeroes = arith::AndIOp::create(builder, loc, zeroes, isFirst);
  }
  auto ifOp = scf::IfOp::create(builder, loc, zeroes, /*withElse=*/false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(ifOp.thenBlock());
  for (unsigned i = 0; i < program.outs.size(); ++i)
    if (names.results.contains(program.outs[i]) &&
        program.outBindings[i].has(DimKind::time))
      zeroUnownedRows(i);
}

void KernelBuilder::zeroUnownedRows(unsigned i) {
  BindingAttr binding = program.outBindings[i];
  RankedTensorType type = tensorOf(program.outs[i]);
  Value yielded = program.block->getTerminator()->getOperand(i);
  std::optional<int64_t> laneDim;
  if (!program.isMap)
    laneDim = orientation.getM(yielded);
  SmallVector<Value> at = coordinates(binding, type, {index(0)}, laneDim);
  int64_t dim = timeDim(binding);
  at[dim] = index(0);
  // This block's columns; of a vector, one element a row.
  bool isVector = tensorOf(yielded).getRank() == 1;
  int64_t pieces =
      isVector || laneDim ? 1 : type.getShape().back() / tile::kBlockColumns;
  for (int64_t piece = 0; piece < pieces; ++piece) {
    if (piece > 0)
      at.back() = index(piece * tile::kBlockColumns);
    tile::ZeroFillOp::create(builder, loc, outArgs[i], at, dim,
                             rows(end, binding), rows(tokens, binding),
                             isVector ? 1 : tile::kBlockColumns);
  }
}

KernelBuilder::StateSlice KernelBuilder::locateState(unsigned i) {
  Value arg = program.block->getArgument(1 + program.ins.size() + i);
  BindingAttr binding = program.carryBindings[i];
  std::optional<int64_t> m = orientation.getM(arg);
  RegionLowering types(builder, orientation, program.isMap, roles);
  Chunk start;
  start.row = index(0);
  start.slot = runSlot;
  return {types.getRegisterType(arg, m),
          coordinates(binding, tensorOf(program.inits[i]), start, m),
          {tensorDim(binding, *m), tensorDim(binding, 1 - *m)}};
}

LogicalResult KernelBuilder::consume() {
  LogicalResult result = success();
  if (program.isMap) {
    visitChunk([&](Value use, Chunk chunk) {
      SmallVector<Value> none;
      result = computeChunk(use, chunk, {}, none);
    });
    zeroUnownedRows();
    return result;
  }
  SmallVector<Value> carries;
  for (auto [i, init] : llvm::enumerate(initArgs)) {
    StateSlice slice = locateState(i);
    carries.push_back(tile::LoadMatrixOp::create(builder, loc, slice.type, init,
                                                 slice.coords, slice.dims));
  }
  SmallVector<Value> finals =
      visitChunks(carries, [&](Value use, Chunk chunk, ValueRange running) {
        SmallVector<Value> next;
        result = computeChunk(use, chunk, running, next);
        return succeeded(result) ? next : SmallVector<Value>(running);
      });
  if (failed(result))
    return failure();
  for (auto [i, value] : llvm::enumerate(finals)) {
    if (!finalArgs[i])
      continue;
    StateSlice slice = locateState(i);
    tile::StoreMatrixOp::create(builder, loc, value, finalArgs[i], slice.coords,
                                slice.dims);
  }
  zeroUnownedRows();
  return success();
}
