//===- Memory.cpp - What a role loads and stores itself -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RoleLowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Dominance.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Transforms/ControlFlowSinkUtils.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

//===----------------------------------------------------------------------===//
// Ins
//===----------------------------------------------------------------------===//

Value RoleLowering::fetchIn(sched::LoadOp load, RankedTensorType type,
                            const Visit &visit) {
  auto source = cast<BlockArgument>(load.getSource());
  if (type.getRank() == 0)
    return tile::LoadScalarOp::create(
        builder, loc, context.arguments.lookup(source),
        getCoordinates(source, visit.chunk, std::nullopt));
  BindingAttr binding = context.kernel.getBinding(source);
  return tile::FetchRowsOp::create(
      builder, loc, type, context.arguments.lookup(source),
      getCoordinates(source, visit.chunk, std::nullopt), tensorDim(binding, 0),
      validRows(source, visit.chunk),
      binding.getTimeRow() ? binding.getTimeMultiple() : 1);
}

//===----------------------------------------------------------------------===//
// Outs
//===----------------------------------------------------------------------===//

LogicalResult RoleLowering::storeOut(sched::StoreOp store,
                                     RegionLowering &lowering,
                                     const Visit &visit) {
  auto target = cast<BlockArgument>(store.getTarget());
  Value stored = store.getTile();
  bool isVector = tensorOf(stored).getRank() == 1;
  bool isSplit = context.orientation.isSplit(role);
  unsigned number = target.getArgNumber() - context.kernel.getIns().size();
  if (isVector && isSplit)
    return context.kernel.emitError()
           << "out #" << number
           << " is a vector; the GPU path writes vectors in maps "
              "only (compute it in a map: delta-stage)";
  if (copyFactor(store, lowering, visit))
    return success();
  std::optional<int64_t> m = context.orientation.getM(stored);
  RegionLowering::Tiles tiles = lowering.getTiles(stored, store, m);
  if (tiles.empty())
    return failure();
  BindingAttr binding = context.kernel.getBinding(target);
  RankedTensorType type = getTensor(target);
  for (Value &tile : tiles) {
    RankedTensorType held = tensorOf(tile);
    auto rounded = RankedTensorType::get(held.getShape(), type.getElementType(),
                                         held.getEncoding());
    if (rounded != held)
      tile = arith::TruncFOp::create(builder, loc, rounded, tile);
  }
  if (context.orientation.isSummand(stored))
    tiles.front() = sumOverBlocks(store, tiles.front(), visit);
  if (context.kernel.isPairSum(target))
    tiles.front() = sumOverPair(store, tiles.front(), visit);
  OpBuilder::InsertionGuard guard(builder);
  enterFirstBlock(store);
  if (isState(type, binding))
    storeState(store, tiles.front(), visit);
  else if (!isVector)
    storeMatrix(store, tiles,
                store.getDirect() ? Value()
                : store.getVia()  ? lowering.getSharedTile(store.getVia())
                                  : getPart(context.staging.lookup(target),
                                            isSplit ? m : std::nullopt),
                visit);
  else
    tile::StoreVectorOp::create(
        builder, loc, tiles.front(), context.arguments.lookup(target),
        getCoordinates(target, visit.chunk, std::nullopt),
        tensorDim(binding, 0), validRows(target, visit.chunk));
  return success();
}

/// Copies a factor that would leave from registers from where it was made: all
/// warps have written there behind a barrier, and the next factor is begun with
/// one. Returns false for another out.
bool RoleLowering::copyFactor(sched::StoreOp store, RegionLowering &lowering,
                              const Visit &visit) {
  auto target = cast<BlockArgument>(store.getTarget());
  Value place = lowering.getSharedTile(store.getTile());
  if (!store.getDirect() || !place ||
      !place.getDefiningOp<tile::EraseJoinOp>() ||
      cast<tile::SmemType>(place.getType()).getElementType() !=
          getTensor(target).getElementType())
    return false;
  OpBuilder::InsertionGuard guard(builder);
  enterFirstBlock(store);
  tile::CopyRowsOp::create(builder, loc, place,
                           context.arguments.lookup(target),
                           getCoordinates(target, visit.chunk, std::nullopt),
                           tensorDim(context.kernel.getBinding(target), 0),
                           validRows(target, visit.chunk));
  return true;
}

/// True for the chunk of its slot that an out bound to `chunk * multiple +
/// offset` is of; for the sequence's last one, if it comes before that.
Value RoleLowering::isOutChunk(BindingAttr binding, Value number) {
  const BlockLocation &location = *context.location;
  int64_t offset = binding.getChunkOffset();
  int64_t multiple = binding.getChunkMultiple();
  auto compare = [&](arith::CmpIPredicate predicate, Value a, Value b) {
    return arith::CmpIOp::create(builder, loc, predicate, a, b);
  };
  auto add = [&](Value a, Value b) {
    return arith::AddIOp::create(builder, loc, a, b);
  };
  // The block's own first or last chunk, however long its run is.
  if (location.hasRunsOf(multiple) && offset == 0)
    return compare(arith::CmpIPredicate::eq, number, location.firstChunk);
  if (location.hasRunsOf(multiple) && offset == multiple - 1)
    return compare(arith::CmpIPredicate::eq, add(number, index(1)),
                   add(location.firstChunk, location.count));
  Value place = arith::RemUIOp::create(builder, loc, number, index(multiple));
  Value isOf = compare(arith::CmpIPredicate::eq, place, index(offset));
  if (offset == 0)
    return isOf;
  Value isBefore = compare(arith::CmpIPredicate::ult, place, index(offset));
  Value isLast =
      compare(arith::CmpIPredicate::eq, add(number, index(1)), location.chunks);
  Value isEarly = arith::AndIOp::create(builder, loc, isBefore, isLast);
  return arith::OrIOp::create(builder, loc, isOf, isEarly);
}

/// Stores the block's part of a state, if the chunk is the one of its slot.
void RoleLowering::storeState(sched::StoreOp store, Value tile,
                              const Visit &visit) {
  auto target = cast<BlockArgument>(store.getTarget());
  BindingAttr binding = context.kernel.getBinding(target);
  int64_t m = *context.orientation.getM(store.getTile());
  Value isOf = isOutChunk(binding, visit.chunk.number);
  auto ifOp = scf::IfOp::create(builder, loc, isOf, /*withElse=*/false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(ifOp.thenBlock());
  Chunk group = visit.chunk;
  group.slot = context.location->locateGroup(builder, visit.chunk.number,
                                             binding.getChunkMultiple());
  tile::StoreMatrixOp::create(builder, loc, tile,
                              context.arguments.lookup(target),
                              getCoordinates(target, group, m),
                              matrixDims(binding, m), /*pairs=*/false);
  if (binding.getChunkMultiple() > 1)
    rareStores.push_back(ifOp);
}

/// Moves what nothing but a store of every few chunks reads to where it is
/// stored: a state is rounded, or divided into parts, only then.
void RoleLowering::sinkIntoRareStores() {
  for (scf::IfOp ifOp : rareStores) {
    DominanceInfo dominance(ifOp->getParentOp());
    Region *region = &ifOp.getThenRegion();
    controlFlowSink(
        region, dominance,
        [&](Operation *op, Region *) {
          return op->getBlock() == ifOp->getBlock() &&
                 op->getNumRegions() == 0 && isMemoryEffectFree(op);
        },
        [](Operation *op, Region *into) {
          op->moveBefore(&into->front(), into->front().begin());
        });
  }
  rareStores.clear();
}

/// True if each warp alone has read of `staging` what it would write there: all
/// reads are of register tiles of the whole. (Rows past the end that are zeroed
/// have a barrier behind them.)
static bool isOwnPlace(Value staging, bool transpose) {
  auto isRead = [&](Operation *user) {
    auto read = dyn_cast<tile::ReadOp>(user);
    return isa<tile::ZeroRowsOp>(user) ||
           (read && read.getTranspose() == transpose && read.getBlock() == 0);
  };
  auto isViewForReads = [&](Operation *user) {
    return isa<tile::SubviewOp>(user) && llvm::all_of(user->getUsers(), isRead);
  };
  if (!cast<tile::SmemType>(staging.getType()).isSwizzled())
    return false;
  if (auto view = staging.getDefiningOp<tile::SubviewOp>())
    return llvm::all_of(view.getTile().getUsers(), isViewForReads);
  return llvm::all_of(staging.getUsers(), isRead);
}

/// Stores the tiles of an out: rows of a chunk as far as they are the
/// sequence's, or all rows of what has a slot a chunk.
void RoleLowering::storeMatrix(sched::StoreOp store, ArrayRef<Value> tiles,
                               Value staging, const Visit &visit) {
  auto target = cast<BlockArgument>(store.getTarget());
  int64_t m = *context.orientation.getM(store.getTile());
  BindingAttr binding = context.kernel.getBinding(target);
  std::optional<int64_t> splitDim;
  if (context.orientation.isSplit(role))
    splitDim = m;
  SmallVector<Value> coords = getCoordinates(target, visit.chunk, splitDim);
  if (auto dim = context.orientation.getDividedDim(store.getTile())) {
    Value start = getDividedStart(tensorOf(store.getTile()).getDimSize(*dim));
    coords = context.location->getCoordinates(
        builder, binding, getTensor(target), visit.chunk, dim, start);
  }
  if (context.kernel.isPairSum(target)) {
    Value start =
        arith::MulIOp::create(builder, loc, getPlaceInCluster(),
                              index(tensorOf(tiles.front()).getDimSize(1)));
    coords.back() = arith::AddIOp::create(builder, loc, coords.back(), start);
  }
  int64_t rowDim = tensorDim(binding, 0);
  Value valid = validRows(target, visit.chunk);
  // The rows in memory are the value's dimension 0: the register tile's columns
  // where dimension 1 is M.
  int64_t blockDim = tensorDim(binding, m);
  bool isOwn = store.getVia() && tiles.size() == 1 &&
               isOwnPlace(staging, /*transpose=*/m == 1);
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
    int64_t every = binding.getTimeRow() ? binding.getTimeMultiple() : 1;
    auto store = [&](Value rows, ValueRange to) {
      tile::StoreRowsOp::create(
          builder, loc, rows, context.arguments.lookup(target), to, rowDim,
          left, staging, /*transpose=*/m == 1, barrier, isOwn, every);
    };
    store(tile, at);
    if (every > 1)
      storeOtherRows(binding, tile, at, store);
  }
}

/// Stores zeros in a token's rows but the one that an out is bound to, whose
/// tile is stored `at`.
void RoleLowering::storeOtherRows(BindingAttr binding, Value tile,
                                  SmallVector<Value> at,
                                  function_ref<void(Value, ValueRange)> store) {
  Value zeros = arith::ConstantOp::create(builder, loc,
                                          builder.getZeroAttr(tensorOf(tile)));
  int64_t dim = timeDim(binding);
  Value first = arith::SubIOp::create(builder, loc, at[dim],
                                      index(*binding.getTimeRow()));
  for (int64_t row = 0; row < binding.getTimeMultiple(); ++row) {
    if (row == *binding.getTimeRow())
      continue;
    at[dim] = arith::AddIOp::create(builder, loc, first, index(row));
    store(zeros, at);
  }
}

//===----------------------------------------------------------------------===//
// Rows of nobody
//===----------------------------------------------------------------------===//

/// Rows at and past the last sequence's end are nobody's: the last sequence's
/// blocks zero them; of blocks for parts of a sequence, those of its first
/// slot, which it has even if it is empty.
void RoleLowering::zeroUnownedRows() {
  SmallVector<sched::StoreOp> stores;
  bool storesOuts = false;
  for (auto store : role.getEachChunk().getBlock().getOps<sched::StoreOp>()) {
    auto target = cast<BlockArgument>(store.getTarget());
    unsigned out = target.getArgNumber() - context.kernel.getIns().size();
    storesOuts = true;
    if (context.names.results.contains(context.kernel.getOuts()[out]) &&
        context.kernel.getBinding(target).has(DimKind::time))
      stores.push_back(store);
  }
  if (!storesOuts)
    return;
  Value last =
      arith::SubIOp::create(builder, loc, context.launch.sequences, index(1));
  // By the block's number, which need not be held as its sequence's would.
  Value blocks = index(static_cast<int64_t>(context.kernel.getHeads()) *
                       static_cast<int64_t>(context.kernel.getSplit()));
  Value first = context.location->locateFirstUnit(builder, last);
  Value number =
      arith::SubIOp::create(builder, loc, tile::BlockIdOp::create(builder, loc),
                            arith::MulIOp::create(builder, loc, first, blocks));
  Value zeroes = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult,
                                       number, blocks);
  auto ifOp = scf::IfOp::create(builder, loc, zeroes, /*withElse=*/false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(ifOp.thenBlock());
  locateSplitAgain();
  // Found again: held from the kernel's beginning on, it would cost registers.
  Value end =
      tile::SequenceOp::create(builder, loc, last, context.launch.cu,
                               context.launch.tokens, context.launch.sequences)
          .getEnd();
  llvm::sort(stores, [](sched::StoreOp a, sched::StoreOp b) {
    return cast<BlockArgument>(a.getTarget()).getArgNumber() <
           cast<BlockArgument>(b.getTarget()).getArgNumber();
  });
  for (sched::StoreOp store : stores)
    zeroUnownedRows(store, end);
}

void RoleLowering::zeroUnownedRows(sched::StoreOp store, Value end) {
  auto target = cast<BlockArgument>(store.getTarget());
  BindingAttr binding = context.kernel.getBinding(target);
  std::optional<int64_t> splitDim;
  if (context.orientation.isSplit(role))
    splitDim = context.orientation.getM(store.getTile());
  Chunk first;
  first.row = index(0);
  SmallVector<Value> at = getCoordinates(target, first, splitDim);
  int64_t dim = timeDim(binding);
  at[dim] = index(0);
  // This block's columns; of a vector, one element a row.
  bool isVector = tensorOf(store.getTile()).getRank() == 1;
  int64_t pieces =
      isVector || splitDim
          ? 1
          : llvm::divideCeil(binding.getDims().back().getExtent(
                                 getTensor(target).getShape().back()),
                             tile::kBlockColumns);
  Value column = at.back();
  for (int64_t piece = 0; piece < pieces; ++piece) {
    if (piece > 0)
      at.back() = arith::AddIOp::create(builder, loc, column,
                                        index(piece * tile::kBlockColumns));
    tile::ZeroFillOp::create(builder, loc, context.arguments.lookup(target), at,
                             dim, rows(end, binding),
                             rows(context.launch.tokens, binding),
                             isVector ? 1 : tile::kBlockColumns);
  }
}
