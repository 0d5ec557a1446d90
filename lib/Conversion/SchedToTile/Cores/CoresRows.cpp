//===- CoresRows.cpp - Rows that a block on the cores shares --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Rows of tokens come through shared memory: an element a thread loads and
// convolves them, a warp a token makes what follows from them alone, and every
// thread reads what it needs of both.
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
// What is loaded
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
      askFirst(held);
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

/// Says what the rows of an entry of `place` have become. `isSeldom`: in a loop
/// that has better use for registers than their addresses.
void CoresKernel::takeRows(CoresRegion &region, Value entry, bool isSeldom) {
  SmallVector<Value> tiles = getRowTiles();
  SmallVector<Type> types = llvm::map_to_vector(
      tiles, [&](Value tile) -> Type { return region.getType(tile); });
  auto rows = tile::GetRowsOp::create(builder, loc, types, entry, place);
  for (auto [tile, row] : llvm::zip_equal(tiles, rows.getTiles()))
    region.set(tile, row);
  if (isSeldom)
    rows->setAttr(tile::kAddressedAgainAttr, builder.getUnitAttr());
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
    askFirst(row);
}

/// Brings the rows of the first token, which are loaded, to their place: with
/// filters and windows that are in registers.
LogicalResult CoresKernel::bringFirst() {
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
  auto put = tile::PutRowsOp::create(builder, loc, rows, index(0), place);
  if (hasOwnStep())
    put->setAttr(tile::kWithoutBranchAttr, builder.getUnitAttr());
  tile::MeetOp::create(builder, loc);
  return sharesMade() ? makeFirst() : success();
}

//===----------------------------------------------------------------------===//
// What follows from rows alone
//===----------------------------------------------------------------------===//

/// Returns a place for what follows from the rows of so many tokens.
Value CoresKernel::createMadePlace(int64_t tokens) {
  return createAlloc(
      {tokens, tile::getRowsElements(ValueRange(part.getRead()).getTypes())});
}

/// Says what the operations of an entry of `madePlace` have become.
void CoresKernel::takeMade(CoresRegion &region, Value entry) {
  if (!madePlace)
    return;
  SmallVector<Type> types = llvm::map_to_vector(
      part.getRead(), [&](Value tile) -> Type { return plan.getType(tile); });
  auto made = tile::GetRowsOp::create(builder, loc, types, entry, madePlace);
  for (auto [tile, held] : llvm::zip_equal(part.getRead(), made.getTiles()))
    region.set(tile, held);
}

/// Says what the tiles have become that all tokens have. `again`: numbers, too,
/// are loaded where this stands, and not in registers all the while.
void CoresKernel::loadFixed(CoresRegion &region, bool again) {
  for (auto op : role.getEachChunk().getBlock().getOps<sched::LoadOp>()) {
    Value tile = op.getTile();
    if (isOfToken(op) || !part.reads(tile))
      continue;
    if (!again && getTileRank(tile) == 0 && fixed.contains(tile)) {
      region.set(tile, fixed.lookup(tile));
      continue;
    }
    Value held = loadHeld(op, plan.getMadeType(tile), Chunk());
    setHint(held, tile::kAddressedAgainAttr);
    region.set(tile, widen(held));
  }
}

/// Translates the operations of `token` that follow from its rows, which are
/// there: those that vectors are made of, or the rest.
LogicalResult CoresKernel::lowerRows(CoresRegion &region, Value token,
                                     When when, bool areCarried) {
  takeRows(region, getEntry(token), /*isSeldom=*/true);
  loadFixed(region, when == When::later);
  for (Operation &op : role.getEachChunk().getBlock())
    if (part.contains(&op) && part.isCarried(&op) == areCarried &&
        failed(region.lower(&op)))
      return failure();
  return success();
}

/// Puts what the other operations of `token` read, which one warp has.
void CoresKernel::putMade(CoresRegion &region, Value token) {
  if (!madePlace)
    return;
  SmallVector<Value> made = llvm::map_to_vector(
      part.getRead(), [&](Value tile) { return region.get(tile); });
  auto put = tile::PutRowsOp::create(builder, loc, made, getEntry(token),
                                     madePlace, /*of_warp=*/true);
  put->setAttr(tile::kAddressedAgainAttr, builder.getUnitAttr());
}

/// Makes what follows from the rows of `token`: `vectors`, which all warps have
/// and which become the next ones, and the rest, which the warp makes whose
/// turn it is.
LogicalResult CoresKernel::makeRows(Value token, MutableArrayRef<Value> vectors,
                                    When when) {
  sched::EachChunkOp loop = role.getEachChunk();
  CoresRegion region(builder, plan, /*ofWarp=*/true);
  for (auto [i, vector] : llvm::zip_equal(part.getCarries(), vectors))
    region.set(loop.getCarryArgs()[i], vector);
  if (failed(lowerRows(region, token, when, /*areCarried=*/true)))
    return failure();
  for (auto [i, vector] : llvm::zip_equal(part.getCarries(), vectors))
    vector = region.get(loop.getYield().getCarries()[i]);
  // Of one token all warps make it, and no branch stands between what waits for
  // the vectors and what does not.
  bool byAll = when == When::step;
  if (byAll && failed(lowerRows(region, token, when, /*areCarried=*/false)))
    return failure();
  Value turn = arith::RemUIOp::create(
      builder, loc, token, index(static_cast<int64_t>(role.getWarps())));
  auto ifOp = scf::IfOp::create(builder, loc,
                                compare(arith::CmpIPredicate::eq, turn,
                                        tile::WarpIdOp::create(builder, loc)),
                                /*withElse=*/false);
  OpBuilder::InsertionGuard inside(builder);
  builder.setInsertionPointToStart(ifOp.thenBlock());
  if (!byAll && failed(lowerRows(region, token, when, /*areCarried=*/false)))
    return failure();
  putMade(region, token);
  return success();
}

/// Makes what follows from the rows of the first token, with vectors that are
/// in registers.
LogicalResult CoresKernel::makeFirst() {
  Block::BlockArgListType carries = role.getEachChunk().getCarryArgs();
  SmallVector<Value> vectors;
  for (unsigned i : part.getCarries())
    vectors.push_back(widen(windows.lookup(carries[i])));
  if (failed(makeRows(index(0), vectors, When::step)))
    return failure();
  for (auto [i, vector] : llvm::zip_equal(part.getCarries(), vectors))
    lastWindows[carries[i]] = vector;
  tile::MeetOp::create(builder, loc);
  return success();
}

/// The same of a draft's tokens from `from` to `end`, with vectors that are
/// kept: one token after the other.
LogicalResult CoresKernel::makeInTurn(Value from, Value end, When when) {
  Block::BlockArgListType carries = role.getEachChunk().getCarryArgs();
  SmallVector<Value> vectors =
      llvm::map_to_vector(part.getCarries(), [&](unsigned i) -> Value {
        return tile::KeptOp::create(builder, loc, plan.getMadeType(carries[i]),
                                    places.lookup(carries[i]));
      });
  auto forOp = scf::ForOp::create(builder, loc, from, end, index(1), vectors);
  {
    OpBuilder::InsertionGuard inside(builder);
    builder.setInsertionPointToStart(forOp.getBody());
    vectors.assign(forOp.getRegionIterArgs().begin(),
                   forOp.getRegionIterArgs().end());
    if (failed(makeRows(forOp.getInductionVar(), vectors, when)))
      return failure();
    scf::YieldOp::create(builder, loc, vectors);
  }
  for (auto [i, last] : llvm::zip_equal(part.getCarries(), forOp.getResults()))
    tile::KeepOp::create(builder, loc, last, places.lookup(carries[i]));
  return success();
}

/// Makes what follows from the rows of a draft's tokens from `from` on, of as
/// many as `tokens`. Without vectors each warp makes its own at once.
LogicalResult CoresKernel::makeDraft(Value from, int64_t tokens, When when) {
  Value last = arith::AddIOp::create(builder, loc, from, index(tokens));
  Value end = arith::MinUIOp::create(builder, loc, count, last);
  auto warps = static_cast<int64_t>(role.getWarps());
  if (sharesMade() && failed(makeInTurn(from, end, when)))
    return failure();
  for (int64_t first = 0; !sharesMade() && first < tokens; first += warps) {
    Value start = arith::AddIOp::create(builder, loc, from, index(first));
    Value token = arith::AddIOp::create(builder, loc, start,
                                        tile::WarpIdOp::create(builder, loc));
    auto ifOp = scf::IfOp::create(
        builder, loc, compare(arith::CmpIPredicate::ult, token, end),
        /*withElse=*/false);
    OpBuilder::InsertionGuard inside(builder);
    builder.setInsertionPointToStart(ifOp.thenBlock());
    CoresRegion region(builder, plan, /*ofWarp=*/true);
    if (failed(lowerRows(region, token, when, /*areCarried=*/false)))
      return failure();
    putMade(region, token);
  }
  tile::MeetOp::create(builder, loc);
  return success();
}
