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
// Rows that come through shared memory
//===----------------------------------------------------------------------===//

/// True for what each token has of its own.
bool CoresKernel::isOfToken(sched::LoadOp op) {
  return kernel.getBinding(cast<BlockArgument>(op.getSource()))
      .has(DimKind::time);
}

/// Loads what all tokens have once, unless it is a row of the keys, which would
/// be in the registers of all tokens. Filters are asked for where they stand if
/// sequences are few.
void CoresKernel::loadShared() {
  for (auto op : role.getEachChunk().getBlock().getOps<sched::LoadOp>()) {
    if (isOfToken(op) || (!isBlockwise() && getTileRank(op.getTile()) != 0))
      continue;
    Value held = loadHeld(op, plan.getHeldType(op.getTile()), Chunk());
    if (hasFewElements())
      setHint(held, tile::kAskedFirstAttr);
    fixed[op.getTile()] = widen(held);
  }
}

/// Loads the rows of `token`, and of as many numbers as it has.
void CoresKernel::loadAhead(Value token, SmallVectorImpl<Value> &rows) {
  Chunk at;
  at.row = token;
  for (sched::LoadOp op : ahead)
    rows.push_back(loadHeld(op, plan.getHeldType(op.getTile()), at));
}

/// x / (1 + e^-x), by the square of a root, which is one instruction where a
/// division is a dozen.
static Value createSilu(OpBuilder &builder, Location loc, Value x) {
  auto type = cast<RankedTensorType>(x.getType());
  Value one = arith::ConstantOp::create(
      builder, loc,
      DenseElementsAttr::get(type,
                             builder.getFloatAttr(type.getElementType(), 1.0)));
  Value power =
      math::ExpOp::create(builder, loc, arith::NegFOp::create(builder, loc, x));
  Value root = math::RsqrtOp::create(
      builder, loc, arith::AddFOp::create(builder, loc, one, power));
  Value sigmoid = arith::MulFOp::create(builder, loc, root, root);
  return arith::MulFOp::create(builder, loc, x, sigmoid);
}

/// Returns the convolution that a row passes through in front of all else.
static ConvRowOp getConvolution(sched::LoadOp op) {
  Value tile = op.getTile();
  return tile.hasOneUse() ? dyn_cast<ConvRowOp>(*tile.user_begin())
                          : ConvRowOp();
}

/// Convolves the rows `rows` of tokens from `first` on, all of one operand,
/// with the filter and the window that are kept. A window stays behind the last
/// token.
void CoresKernel::convolveRows(ConvRowOp op, Value first,
                               MutableArrayRef<Value> rows) {
  Value window = getKept(op.getWindow(), places.lookup(op.getWindow()));
  Value filter = getKept(op.getFilter(), places.lookup(op.getFilter()));
  for (auto [i, row] : llvm::enumerate(rows)) {
    auto conv = tile::ConvRowOp::create(builder, loc, row, window, filter);
    Value token = arith::AddIOp::create(builder, loc, first,
                                        index(static_cast<int64_t>(i)));
    Value counts = arith::CmpIOp::create(
        builder, loc, arith::CmpIPredicate::ult, token, count);
    window =
        arith::SelectOp::create(builder, loc, counts, conv.getNext(), window);
    row = createSilu(builder, loc, conv.getY());
  }
  tile::KeepOp::create(builder, loc, window, places.lookup(op.getWindow()));
}

/// Returns a place in shared memory.
Value CoresKernel::createAlloc(ArrayRef<int64_t> shape) {
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(&shell.getBody().front());
  auto type =
      tile::SmemType::get(builder.getContext(), shape, builder.getF32Type());
  return tile::AllocOp::create(builder, loc, type, /*transient=*/false,
                               /*offset=*/IntegerAttr());
}

/// Keeps what threads have of a tile out of their registers: filters and
/// windows would take as many as a token's rows. Returns the place.
Value CoresKernel::keep(Value held) {
  auto type = cast<RankedTensorType>(held.getType());
  int64_t elements = ShapedType::getNumElements(
      tile::getSpread(type).getThreadShape(type.getShape()));
  constexpr int64_t kWarpThreads = 32;
  Value own = createAlloc(
      {elements * kWarpThreads * static_cast<int64_t>(role.getWarps())});
  tile::KeepOp::create(builder, loc, held, own);
  return own;
}

Value CoresKernel::getKept(Value tile, Value own) {
  return tile::KeptOp::create(builder, loc, plan.getHeldType(tile), own);
}

/// Returns the tiles that a token's operations read of what is loaded for it.
SmallVector<Value> CoresKernel::getRowTiles() {
  return llvm::map_to_vector(ahead, [](sched::LoadOp op) -> Value {
    ConvRowOp conv = getConvolution(op);
    return conv ? conv.getY() : op.getTile();
  });
}

/// Returns a place for the rows of so many tokens.
Value CoresKernel::createPlace(int64_t tokens) {
  SmallVector<Type> types = llvm::map_to_vector(
      getRowTiles(), [&](Value tile) -> Type { return plan.getType(tile); });
  return createAlloc({tokens, tile::getRowsElements(types)});
}

/// Says what the rows of an entry of `place` have become.
void CoresKernel::takeRows(CoresRegion &region, Value entry) {
  SmallVector<Value> tiles = getRowTiles();
  SmallVector<Type> types = llvm::map_to_vector(
      tiles, [&](Value tile) -> Type { return plan.getType(tile); });
  auto rows = tile::GetRowsOp::create(builder, loc, types, entry, place);
  for (auto [tile, row] : llvm::zip_equal(tiles, rows.getTiles()))
    region.set(tile, row);
}

/// Loads the rows of `tokens` tokens from `from` on, which are addressed where
/// this stands; where there are no more, those of the last token in front of
/// `end` once more. All are asked for before one is waited for.
SmallVector<SmallVector<Value>> CoresKernel::loadRows(Value from, Value end,
                                                      int64_t tokens) {
  Value last = arith::SubIOp::create(builder, loc, end, index(1));
  SmallVector<SmallVector<Value>> rows(tokens); // of each token
  for (int64_t i = 0; i < tokens; ++i) {
    Value token = arith::AddIOp::create(builder, loc, from, index(i));
    loadAhead(arith::MinUIOp::create(builder, loc, token, last), rows[i]);
    for (Value row : rows[i])
      setHint(row, tile::kAddressedAgainAttr);
  }
  for (SmallVector<Value> &token : rows)
    for (Value &row : token)
      row = widen(row);
  return rows;
}

/// Brings the rows of tokens from `from` on to their entries of the place.
void CoresKernel::bringRows(MutableArrayRef<SmallVector<Value>> rows,
                            Value from) {
  for (size_t n = 0; n < ahead.size(); ++n) {
    ConvRowOp conv = getConvolution(ahead[n]);
    if (!conv)
      continue;
    SmallVector<Value> column = llvm::map_to_vector(
        rows, [&](ArrayRef<Value> token) { return token[n]; });
    convolveRows(conv, from, column);
    for (auto [token, row] : llvm::zip_equal(rows, column))
      token[n] = row;
  }
  for (auto [i, token] : llvm::enumerate(rows)) {
    Value number = arith::AddIOp::create(builder, loc, from,
                                         index(static_cast<int64_t>(i)));
    tile::PutRowsOp::create(builder, loc, token, getEntry(number), place);
  }
}

/// Brings the rows of a draft's first tokens, in front of its state: to their
/// place, or if they are to be convolved out of the registers.
void CoresKernel::bringFirstRows() {
  auto tokens = static_cast<int64_t>(*role.getShareRows());
  SmallVector<SmallVector<Value>> rows =
      loadRows(index(0), launch.tokens, tokens);
  if (!hasConvolutions()) {
    bringRows(rows, index(0));
    tile::MeetOp::create(builder, loc);
    return;
  }
  for (SmallVector<Value> &token : rows)
    for (Value &row : token)
      row = keep(row);
  keptRows = std::move(rows);
}

/// Loads the rows of the first token.
void CoresKernel::loadFirst() {
  loadAhead(index(0), first);
  for (Value row : first)
    setHint(row, tile::kAskedFirstAttr);
}

/// Brings the rows of the first token, which are loaded, to their place: with
/// filters and windows that are in registers.
void CoresKernel::bringFirst() {
  SmallVector<Value> rows;
  for (auto [op, held] : llvm::zip_equal(ahead, first)) {
    rows.push_back(widen(held));
    ConvRowOp convolution = getConvolution(op);
    if (!convolution)
      continue;
    Value window = convolution.getWindow();
    auto conv = tile::ConvRowOp::create(builder, loc, rows.back(),
                                        widen(windows.lookup(window)),
                                        fixed.lookup(convolution.getFilter()));
    lastWindows[window] = conv.getNext();
    rows.back() = createSilu(builder, loc, conv.getY());
  }
  tile::PutRowsOp::create(builder, loc, rows, index(0), place);
  tile::MeetOp::create(builder, loc);
}

//===----------------------------------------------------------------------===//
// A sequence
//===----------------------------------------------------------------------===//

/// Translates the operations of `token`, whose rows `region` has, or each
/// thread loads.
LogicalResult CoresKernel::lowerToken(CoresRegion &region, Value token,
                                      bool loadsRows) {
  Chunk at;
  at.row = token;
  for (auto [tile, value] : fixed)
    region.set(tile, value);
  for (Operation &op : role.getEachChunk().getBlock().without_terminator()) {
    if (isa<ConvRowOp>(op))
      continue; // done
    if (auto load = dyn_cast<sched::LoadOp>(op)) {
      bool isThere =
          fixed.contains(load.getTile()) || (!loadsRows && isOfToken(load));
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

/// Loads what the sequence starts from, as it lies in memory, and returns its
/// state, which is waited for last, and vectors.
CoresKernel::Held CoresKernel::loadInits() {
  Chunk start;
  start.row = index(0);
  start.slot = slot;
  sched::EachChunkOp loop = role.getEachChunk();
  Held held(loop.getInits().size());
  for (unsigned i = held.size(); i-- > 0;) {
    auto op = loop.getInits()[i].getDefiningOp<sched::LoadOp>();
    held[i] = loadHeld(op, plan.getHeldType(op.getTile()), start);
    setHint(held[i], tile::kAddressedFirstAttr);
  }
  for (auto [carry, loaded] :
       llvm::drop_begin(llvm::zip_equal(loop.getCarryArgs(), held)))
    windows[carry] = loaded;
  return llvm::map_to_vector(getHeldCarries(),
                             [&](unsigned i) { return held[i]; });
}

/// Keeps filters and windows in shared memory.
void CoresKernel::keepAll() {
  sched::EachChunkOp loop = role.getEachChunk();
  for (auto conv : loop.getBlock().getOps<ConvRowOp>())
    places[conv.getFilter()] = keep(fixed.lookup(conv.getFilter()));
  for (BlockArgument carry : loop.getCarryArgs().drop_front())
    if (SpreadPlan::isWindow(carry))
      places[carry] = keep(widen(windows.lookup(carry)));
}

SmallVector<unsigned> CoresKernel::getHeldCarries() {
  SmallVector<unsigned> numbers;
  for (auto [i, carry] : llvm::enumerate(role.getEachChunk().getCarryArgs()))
    if (i == 0 || !SpreadPlan::isWindow(carry))
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
FailureOr<CoresKernel::Held>
CoresKernel::lowerTokens(ValueRange held, Value tokens, bool loadsRows,
                         function_ref<void(CoresRegion &, Value)> bring) {
  auto forOp =
      scf::ForOp::create(builder, loc, index(0), tokens, index(1), held);
  OpBuilder::InsertionGuard inside(builder);
  builder.setInsertionPointToStart(forOp.getBody());
  CoresRegion region(builder, plan);
  setCarries(region, forOp.getRegionIterArgs());
  bring(region, forOp.getInductionVar());
  if (failed(lowerToken(region, forOp.getInductionVar(), loadsRows)))
    return failure();
  scf::YieldOp::create(builder, loc, getCarries(region));
  return Held(forOp.getResults());
}

/// Each thread loads its own rows, as it comes to a token.
FailureOr<CoresKernel::Held> CoresKernel::lowerAlone(ValueRange held) {
  return lowerTokens(held, count, /*loadsRows=*/true,
                     [](CoresRegion &, Value) {});
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
  int64_t more = entries % 2 == 0 ? 2 : 1;
  auto compare = [&](arith::CmpIPredicate predicate, Value value,
                     int64_t with) -> Value {
    return arith::CmpIOp::create(builder, loc, predicate, value, index(with));
  };
  auto bring = [&](CoresRegion &region, Value token) {
    Value rest = arith::RemUIOp::create(builder, loc, token, index(more));
    Value isLater = arith::AndIOp::create(
        builder, loc, compare(arith::CmpIPredicate::eq, rest, 0),
        compare(arith::CmpIPredicate::uge, token, entries));
    auto ifLater = scf::IfOp::create(builder, loc, isLater, /*withElse=*/false);
    {
      OpBuilder::InsertionGuard inside(builder);
      builder.setInsertionPointToStart(ifLater.thenBlock());
      SmallVector<SmallVector<Value>> rows = loadRows(token, count, more);
      // Others still read those of the tokens before.
      tile::MeetOp::create(builder, loc);
      bringRows(rows, token);
      tile::MeetOp::create(builder, loc);
    }
    takeRows(region, getEntry(token));
  };
  return lowerTokens(held, count, /*loadsRows=*/false, bring);
}

/// The one token of a call: without a loop, which would have addresses in
/// registers. Returns what is held behind it.
FailureOr<CoresKernel::Held> CoresKernel::lowerOne(ValueRange held) {
  CoresRegion region(builder, plan);
  setCarries(region, held);
  if (isBlockwise()) {
    bringFirst();
    arriveAsReader();
    takeRows(region, index(0));
  }
  if (failed(lowerToken(region, index(0), /*loadsRows=*/!isBlockwise())))
    return failure();
  return getCarries(region);
}

/// A call of one token has nothing to wait for but its state: each thread loads
/// its own rows beside that, or a block its windows, which then are in
/// registers.
LogicalResult CoresKernel::lowerShared(ArrayRef<Value> loaded) {
  auto isOne = [&](Value tokens) -> Value {
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, tokens,
                                 index(1));
  };
  Value isStep =
      arith::AndIOp::create(builder, loc, isOne(launch.tokens), isOne(count));
  auto ifOp = scf::IfOp::create(builder, loc, isStep, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard inside(builder);
  builder.setInsertionPointToStart(ifOp.thenBlock());
  isAddressedFirst = hasFewElements();
  FailureOr<Held> last = lowerOne(widenAll(loaded));
  if (failed(last))
    return failure();
  storeFinals(*last);
  isAddressedFirst = false;
  lastWindows.clear();
  builder.setInsertionPointToStart(ifOp.elseBlock());
  keepAll();
  arriveAsReader();
  last = lowerDraft(widenAll(loaded));
  if (failed(last))
    return failure();
  // Asked for again, and not held all the while: registers are short here.
  writeSlot = loadEntry(writeSlots, index(-1));
  storeFinals(*last);
  return success();
}

LogicalResult CoresKernel::lowerSequence() {
  sched::EachChunkOp loop = role.getEachChunk();
  for (Value init : loop.getInits())
    if (!init.getDefiningOp<sched::LoadOp>())
      return role.emitOpError() << "carries something that it does not load; "
                                   "a state lies in a pool";
  Held loaded = loadInits();
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
    Value window = loop.getCarryArgs()[i], last = lastWindows.lookup(window);
    return last ? last : getKept(window, places.lookup(window));
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
