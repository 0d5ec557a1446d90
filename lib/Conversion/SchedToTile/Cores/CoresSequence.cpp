//===- CoresSequence.cpp - What a block on the cores does ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CoresKernel.h"

#include "wyvern/Dialect/Tile/IR/Hints.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

std::pair<SmallVector<Value>, SmallVector<int64_t>>
CoresKernel::getPlace(BlockArgument arg, Value tile, const Chunk &at) {
  BindingAttr binding = kernel.getBinding(arg);
  SmallVector<int64_t> dims;
  for (int64_t dim = 0; dim < getTileRank(tile); ++dim)
    dims.push_back(tensorDim(binding, dim));
  return {location->getCoordinates(builder, binding, getTensor(arg), at,
                                   plan.getSplitDim(tile),
                                   location->splitStart),
          dims};
}

/// A tile as it lies in memory, spread as `type` is.
Value CoresKernel::loadHeld(sched::LoadOp op, RankedTensorType type,
                            const Chunk &at) {
  auto source = cast<BlockArgument>(op.getSource());
  auto [coords, dims] = getPlace(source, op.getTile(), at);
  return tile::LoadSpreadOp::create(
      builder, loc, type.clone(getTensor(source).getElementType()),
      arguments.lookup(source), coords, dims);
}

Value CoresKernel::widen(Value held) {
  auto type = cast<RankedTensorType>(held.getType());
  RankedTensorType wide = type.clone(kernel.getCompute());
  return wide == type ? held : arith::ExtFOp::create(builder, loc, wide, held);
}

void CoresKernel::store(sched::StoreOp op, Value tile, const Chunk &at,
                        Value seed) {
  auto target = cast<BlockArgument>(op.getTarget());
  auto type = cast<RankedTensorType>(tile.getType());
  RankedTensorType held = type.clone(getTensor(target).getElementType());
  auto [coords, dims] = getPlace(target, op.getTile(), at);
  if (held != type && seed)
    tile = createStochasticTrunc(builder, loc, tile, seed, getTensor(target),
                                 coords, dims);
  else if (held != type)
    tile = arith::TruncFOp::create(builder, loc, held, tile);
  auto storeOp = tile::StoreSpreadOp::create(
      builder, loc, tile, arguments.lookup(target), coords, dims);
  if (isAddressedFirst)
    storeOp->setAttr(tile::kAddressedFirstAttr, builder.getUnitAttr());
}

//===----------------------------------------------------------------------===//
// A sequence
//===----------------------------------------------------------------------===//

/// Translates the operations of `token`, of which `region` has what `rows`
/// says.
LogicalResult CoresKernel::lowerToken(CoresRegion &region, Value token,
                                      Rows rows) {
  Chunk at;
  at.row = token;
  for (auto [tile, value] : fixed)
    region.set(tile, value);
  for (Operation &op : role.getEachChunk().getBlock().without_terminator()) {
    if (isa<ConvRowOp>(op) || done.contains(&op) ||
        (rows == Rows::made && part.contains(&op)))
      continue; // done
    if (auto load = dyn_cast<sched::LoadOp>(op)) {
      bool isThere = fixed.contains(load.getTile()) ||
                     (rows != Rows::own && isOfToken(load));
      if (!isThere)
        region.set(load.getTile(),
                   widen(loadHeld(load, plan.getType(load.getTile()), at)));
    } else if (auto storeOp = dyn_cast<sched::StoreOp>(op)) {
      store(storeOp, region.get(storeOp.getTile()), at);
    } else if (failed(region.lower(&op))) {
      return failure();
    }
  }
  return success();
}

/// Loads what a carry starts from, as it lies in memory.
Value CoresKernel::loadInit(unsigned carry) {
  Chunk start;
  start.row = index(0);
  start.slot = slot;
  Value init = role.getEachChunk().getInits()[carry];
  Value held = loadHeld(init.getDefiningOp<sched::LoadOp>(),
                        getBroughtType(carry), start);
  setHint(held, tile::kAddressedFirstAttr);
  return held;
}

/// Loads windows and vectors.
void CoresKernel::loadWindows() {
  Block::BlockArgListType carries = role.getEachChunk().getCarryArgs();
  for (unsigned i = carries.size(); i-- > 1;)
    windows[carries[i]] = loadInit(i);
}

/// Loads the state, which is waited for last, and returns it and vectors, which
/// are loaded.
CoresKernel::Held CoresKernel::loadState() {
  Block::BlockArgListType carries = role.getEachChunk().getCarryArgs();
  return llvm::map_to_vector(getHeldCarries(), [&](unsigned i) {
    return i == 0 ? loadInit(0) : windows.lookup(carries[i]);
  });
}

/// Keeps filters, windows and vectors that rows are made with in shared memory.
void CoresKernel::keepAll() {
  sched::EachChunkOp loop = role.getEachChunk();
  for (auto conv : loop.getBlock().getOps<ConvRowOp>())
    places[conv.getFilter()] = keep(fixed.lookup(conv.getFilter()));
  for (auto [i, carry] : llvm::enumerate(loop.getCarryArgs()))
    if (isBrought(i))
      places[carry] = keep(widen(windows.lookup(carry)));
}

SmallVector<unsigned> CoresKernel::getHeldCarries() {
  SmallVector<unsigned> numbers;
  for (unsigned i = 0; i < role.getEachChunk().getCarryArgs().size(); ++i)
    if (!isBrought(i))
      numbers.push_back(i);
  return numbers;
}

void CoresKernel::setCarries(CoresRegion &region, ValueRange held) {
  for (auto [i, value] : llvm::zip_equal(getHeldCarries(), held))
    region.set(role.getEachChunk().getCarryArgs()[i], value);
}

CoresKernel::Held CoresKernel::getCarries(CoresRegion &region) {
  OperandRange carries = role.getEachChunk().getYield().getCarries();
  return llvm::map_to_vector(getHeldCarries(), [&](unsigned i) -> Value {
    return region.get(carries[i]);
  });
}

/// Goes through the first `tokens` tokens from what is held on; `bring` sees to
/// it that a token's region has its rows. Returns what is held behind them.
FailureOr<CoresKernel::Held> CoresKernel::lowerTokens(ValueRange held,
                                                      Value tokens, Rows rows,
                                                      BringFn bring) {
  auto forOp =
      scf::ForOp::create(builder, loc, index(0), tokens, index(1), held);
  OpBuilder::InsertionGuard inside(builder);
  builder.setInsertionPointToStart(forOp.getBody());
  CoresRegion region(builder, plan);
  setCarries(region, forOp.getRegionIterArgs());
  if (failed(bring(region, forOp.getInductionVar())) ||
      failed(lowerToken(region, forOp.getInductionVar(), rows)))
    return failure();
  scf::YieldOp::create(builder, loc, getCarries(region));
  return Held(forOp.getResults());
}

/// Each thread loads its own rows, as it comes to a token.
FailureOr<CoresKernel::Held> CoresKernel::lowerAlone(ValueRange held) {
  return lowerTokens(held, count, Rows::own,
                     [](CoresRegion &, Value) { return success(); });
}

/// Goes through a draft. The rows of its first tokens are there, or kept as
/// they came; of what follows those of two are brought at once, beside the
/// state.
FailureOr<CoresKernel::Held> CoresKernel::lowerDraft(ValueRange held) {
  if (!keptRows.empty()) {
    for (SmallVector<Value> &token : keptRows)
      for (auto [op, row] : llvm::zip_equal(ahead, token))
        row = getKept(op.getTile(), row);
    bringRows(keptRows, index(0));
    tile::MeetOp::create(builder, loc);
  }
  auto entries = static_cast<int64_t>(*role.getShareRows());
  bool areMade = !part.isEmpty();
  if (areMade && failed(makeDraft(index(0), entries, When::first)))
    return failure();
  int64_t more = entries % 2 == 0 ? 2 : 1;
  auto bring = [&](CoresRegion &region, Value token) -> LogicalResult {
    Value rest = arith::RemUIOp::create(builder, loc, token, index(more));
    Value isLater = arith::AndIOp::create(
        builder, loc, compare(arith::CmpIPredicate::eq, rest, index(0)),
        compare(arith::CmpIPredicate::uge, token, index(entries)));
    auto ifLater = scf::IfOp::create(builder, loc, isLater, /*withElse=*/false);
    {
      OpBuilder::InsertionGuard inside(builder);
      builder.setInsertionPointToStart(ifLater.thenBlock());
      SmallVector<SmallVector<Value>> rows = loadRows(token, count, more);
      // Others still read those of the tokens before.
      tile::MeetOp::create(builder, loc);
      bringRows(rows, token);
      tile::MeetOp::create(builder, loc);
      if (areMade && failed(makeDraft(token, more, When::later)))
        return failure();
    }
    takeRows(region, getEntry(token));
    if (areMade)
      takeMade(region, getEntry(token));
    return success();
  };
  return lowerTokens(held, count, areMade ? Rows::made : Rows::shared, bring);
}

/// The one token of a call: without a loop, which would have addresses in
/// registers. Returns what is held behind it.
FailureOr<CoresKernel::Held> CoresKernel::lowerOne(ValueRange held) {
  CoresRegion region(builder, plan);
  setCarries(region, held);
  Rows rows = sharesMade()    ? Rows::made
              : isBlockwise() ? Rows::shared
                              : Rows::own;
  if (rows == Rows::shared && hasOwnStep() && failed(lowerNumbers(region)))
    return failure();
  if (rows != Rows::own) {
    if (failed(bringFirst()))
      return failure();
    arriveAsReader();
    takeRows(region, index(0));
    if (rows == Rows::made)
      takeMade(region, index(0));
  }
  if (failed(lowerToken(region, index(0), rows)))
    return failure();
  done.clear();
  return getCarries(region);
}

/// A call of one token has nothing to wait for but its state: each thread loads
/// its own rows beside that, or a block its windows, which then are in
/// registers.
LogicalResult CoresKernel::lowerShared(ArrayRef<Value> loaded) {
  if (hasOwnStep())
    return lowerSeveral(loaded);
  auto isOne = [&](Value tokens) -> Value {
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, tokens,
                                 index(1));
  };
  Value isStep =
      arith::AndIOp::create(builder, loc, isOne(launch.tokens), isOne(count));
  auto ifOp = scf::IfOp::create(builder, loc, isStep, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard inside(builder);
  builder.setInsertionPointToStart(ifOp.thenBlock());
  if (failed(lowerOnly(loaded)))
    return failure();
  builder.setInsertionPointToStart(ifOp.elseBlock());
  return lowerSeveral(loaded);
}

/// Goes through the only token of a call, from what is loaded to what is stored
/// behind it.
LogicalResult CoresKernel::lowerOnly(ArrayRef<Value> loaded) {
  isAddressedFirst = hasFewElements();
  FailureOr<Held> last = lowerOne(widenAll(loaded));
  if (failed(last))
    return failure();
  storeFinals(*last);
  isAddressedFirst = false;
  lastWindows.clear();
  return success();
}

/// Goes through several tokens, or none.
LogicalResult CoresKernel::lowerSeveral(ArrayRef<Value> loaded) {
  keepAll();
  arriveAsReader();
  FailureOr<Held> last = lowerDraft(widenAll(loaded));
  if (failed(last))
    return failure();
  // Asked for again, and not held all the while: registers are short here.
  writeSlot = loadEntry(writeSlots, index(-1));
  storeFinals(*last);
  return success();
}

LogicalResult CoresKernel::lowerSequence() {
  loadWindows();
  Held loaded = loadState();
  if (role.getShareRows())
    return lowerShared(loaded);
  FailureOr<Held> last = lowerAlone(widenAll(loaded));
  if (failed(last))
    return failure();
  storeFinals(*last);
  return success();
}

/// True for a pool's tile that several blocks read.
bool CoresKernel::isReadByOthers(sched::StoreOp op) {
  return plan.getSharers(kernel, cast<BlockArgument>(op.getTarget()),
                         op.getTile()) > 1;
}

/// True if blocks read each other's windows and vectors, and wait for nothing
/// else of each other between reading and writing them: those that sum together
/// meet in every token, and where there is none these stay as they are.
bool CoresKernel::sharesCarries() {
  return !plan.isSummed() &&
         llvm::any_of(role.getBlock().getOps<sched::StoreOp>(),
                      [&](sched::StoreOp op) { return isReadByOthers(op); });
}

/// Says to the blocks that read the same windows that this one has: their
/// values have been used. Those of vectors may be until the last token is
/// through.
void CoresKernel::arriveAsReader() {
  if (sharesCarries() && !hasVectors())
    tile::ClusterArriveOp::create(builder, loc, /*of_reads=*/true);
}

/// Stores what the sequence ends in, if it has a slot to be written to. What
/// several blocks have read, the first of them writes when all have.
void CoresKernel::storeFinals(ValueRange held) {
  sched::EachChunkOp loop = role.getEachChunk();
  if (sharesCarries() && hasVectors())
    tile::ClusterArriveOp::create(builder, loc, /*of_reads=*/false);
  SmallVector<unsigned> numbers = getHeldCarries();
  auto getFinal = [&](unsigned i) -> Value {
    if (auto *found = llvm::find(numbers, i); found != numbers.end())
      return held[found - numbers.begin()];
    Value carry = loop.getCarryArgs()[i];
    if (Value last = lastWindows.lookup(carry))
      return last;
    return tile::KeptOp::create(builder, loc, getBroughtType(i),
                                places.lookup(carry));
  };
  Chunk end;
  end.row = index(0);
  end.slot = writeSlot;
  auto storeAll = [&](bool ofCluster) {
    for (auto op : role.getBlock().getOps<sched::StoreOp>()) {
      auto result = cast<OpResult>(op.getTile());
      auto target = cast<BlockArgument>(op.getTarget());
      int64_t sharers = plan.getSharers(kernel, target, op.getTile());
      if (!arguments.contains(target) || (sharers > 1) != ofCluster)
        continue;
      OpBuilder::InsertionGuard guard(builder);
      if (ofCluster) {
        Value rank = arith::RemUIOp::create(
            builder, loc, tile::BlockIdOp::create(builder, loc),
            index(sharers));
        Value isFirst = arith::CmpIOp::create(
            builder, loc, arith::CmpIPredicate::eq, rank, index(0));
        auto ifFirst =
            scf::IfOp::create(builder, loc, isFirst, /*withElse=*/false);
        builder.setInsertionPointToStart(ifFirst.thenBlock());
      }
      // A window holds rows as they came: rounding leaves them as they are.
      Value seed;
      if (seeds && result.getResultNumber() == 0)
        seed = tile::LoadIndexOp::create(builder, loc, seeds,
                                         location->sequence, index(0));
      store(op, getFinal(result.getResultNumber()), end, seed);
    }
  };
  auto ifWritten = [&](bool ofCluster) {
    auto ifOp = scf::IfOp::create(builder, loc, isValid(writeSlot),
                                  /*withElse=*/false);
    OpBuilder::InsertionGuard inside(builder);
    builder.setInsertionPointToStart(ifOp.thenBlock());
    storeAll(ofCluster);
  };
  ifWritten(/*ofCluster=*/false);
  if (sharesCarries())
    tile::ClusterWaitOp::create(builder, loc);
  ifWritten(/*ofCluster=*/true);
}

/// Zeroes the rows of outs from `from` on, of padding and of what a sequence
/// has no token for.
void CoresKernel::zeroRows(Value from) {
  auto forOp = scf::ForOp::create(builder, loc, from, launch.tokens, index(1));
  OpBuilder::InsertionGuard inside(builder);
  builder.setInsertionPointToStart(forOp.getBody());
  Chunk at;
  at.row = forOp.getInductionVar();
  for (auto storeOp : role.getEachChunk().getBlock().getOps<sched::StoreOp>()) {
    RankedTensorType type = plan.getType(storeOp.getTile());
    Value zeros = arith::ConstantOp::create(
        builder, loc,
        DenseElementsAttr::get(type,
                               builder.getZeroAttr(type.getElementType())));
    store(storeOp, zeros, at);
  }
}
