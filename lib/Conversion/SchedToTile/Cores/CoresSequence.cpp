//===- CoresSequence.cpp - What a block on the cores does ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CoresKernel.h"

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

/// A tile as it lies in memory.
Value CoresKernel::loadHeld(sched::LoadOp op, const Chunk &at) {
  auto source = cast<BlockArgument>(op.getSource());
  RankedTensorType type = plan.getHeldType(op.getTile());
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
  tile::StoreSpreadOp::create(builder, loc, tile, arguments.lookup(target),
                              coords, dims);
}

//===----------------------------------------------------------------------===//
// Rows that come through shared memory
//===----------------------------------------------------------------------===//

/// Loads what all tokens have, and notes what each has of its own.
void CoresKernel::loadShared() {
  if (!role.getShareRows())
    return;
  for (auto op : role.getEachChunk().getBlock().getOps<sched::LoadOp>())
    if (kernel.getBinding(cast<BlockArgument>(op.getSource()))
            .has(DimKind::time))
      ahead.push_back(op);
    else
      fixed[op.getTile()] = load(op, Chunk());
}

/// Loads the rows of `token`, and of as many numbers as it has.
void CoresKernel::loadAhead(Value token, SmallVectorImpl<Value> &rows) {
  Chunk at;
  at.row = token;
  for (sched::LoadOp op : ahead)
    rows.push_back(loadHeld(op, at));
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

Value CoresKernel::convolve(ConvRowOp op, Value row) {
  auto conv = tile::ConvRowOp::create(
      builder, loc, row, getKept(op.getWindow()), getKept(op.getFilter()));
  tile::KeepOp::create(builder, loc, conv.getNext(),
                       places.lookup(op.getWindow()));
  return createSilu(builder, loc, conv.getY());
}

/// Returns a vector in shared memory.
static Value createVector(OpBuilder &builder, Location loc, int64_t size) {
  OpBuilder::InsertionGuard guard(builder);
  auto shell = builder.getInsertionBlock()
                   ->getParentOp()
                   ->getParentOfType<tile::KernelOp>();
  builder.setInsertionPointToStart(&shell.getBody().front());
  auto type =
      tile::SmemType::get(builder.getContext(), {size}, builder.getF32Type());
  return tile::AllocOp::create(builder, loc, type, /*transient=*/false,
                               /*offset=*/IntegerAttr());
}

/// Returns the two halves that rows are shared through.
Value CoresKernel::createScratch(ArrayRef<Value> rows) {
  int64_t elements = 0;
  for (Value row : rows)
    elements += cast<RankedTensorType>(row.getType()).getNumElements();
  return createVector(builder, loc, 2 * elements);
}

/// Keeps what threads have of `tile` out of their registers: filters and
/// windows would take as many as a token's rows.
void CoresKernel::keep(Value tile, Value held) {
  auto type = cast<RankedTensorType>(held.getType());
  int64_t elements = ShapedType::getNumElements(
      tile::getSpread(type).getThreadShape(type.getShape()));
  constexpr int64_t kWarpThreads = 32;
  places[tile] = createVector(builder, loc,
                              elements * kWarpThreads *
                                  static_cast<int64_t>(role.getWarps()));
  tile::KeepOp::create(builder, loc, held, places[tile]);
}

Value CoresKernel::getKept(Value tile) {
  return tile::KeptOp::create(builder, loc, plan.getHeldType(tile),
                              places.lookup(tile));
}

/// Says what the rows of `token` have become, once they are convolved and every
/// thread has what it reads of them.
void CoresKernel::lowerRows(CoresRegion &region, Value token,
                            ValueRange rowsAhead) {
  SmallVector<Value> tiles, rows;
  SmallVector<Type> types;
  for (auto [op, held] : llvm::zip_equal(ahead, rowsAhead)) {
    Value row = widen(held), tile = op.getTile();
    if (getTileRank(tile) < 2) {
      region.set(tile, row);
      continue;
    }
    if (tile.hasOneUse())
      if (auto conv = dyn_cast<ConvRowOp>(*tile.user_begin())) {
        row = convolve(conv, row);
        tile = conv.getY();
      }
    tiles.push_back(tile);
    rows.push_back(row);
    types.push_back(plan.getType(tile));
  }
  if (tiles.empty())
    return;
  Value half = arith::RemUIOp::create(builder, loc, token, index(2));
  auto shared = tile::ShareRowsOp::create(builder, loc, types, rows, half,
                                          createScratch(rows));
  for (auto [tile, result] : llvm::zip_equal(tiles, shared.getShared()))
    region.set(tile, result);
}

//===----------------------------------------------------------------------===//
// A sequence
//===----------------------------------------------------------------------===//

LogicalResult CoresKernel::lowerToken(CoresRegion &region, Value token,
                                      ValueRange rowsAhead) {
  Chunk at;
  at.row = token;
  if (role.getShareRows()) {
    for (auto [tile, value] : fixed)
      region.set(tile, value);
    lowerRows(region, token, rowsAhead);
  }
  for (Operation &op : role.getEachChunk().getBlock().without_terminator()) {
    auto loadOp = dyn_cast<sched::LoadOp>(op);
    if (isa<ConvRowOp>(op) || (loadOp && role.getShareRows()))
      continue; // done
    if (loadOp)
      region.set(loadOp.getTile(), load(loadOp, at));
    else if (auto storeOp = dyn_cast<sched::StoreOp>(op))
      store(storeOp, region.get(storeOp.getTile()), at);
    else if (failed(region.lower(&op)))
      return failure();
  }
  return success();
}

/// Loads what the sequence starts from, and returns its state, which is waited
/// for last.
Value CoresKernel::loadInits() {
  Chunk start;
  start.row = index(0);
  start.slot = slot;
  sched::EachChunkOp loop = role.getEachChunk();
  SmallVector<Value> loaded(loop.getInits().size());
  for (unsigned i = loaded.size(); i-- > 0;)
    loaded[i] = load(loop.getInits()[i].getDefiningOp<sched::LoadOp>(), start);
  for (auto conv : loop.getBlock().getOps<ConvRowOp>())
    keep(conv.getFilter(), fixed.lookup(conv.getFilter()));
  for (auto [window, held] :
       llvm::drop_begin(llvm::zip_equal(loop.getCarryArgs(), loaded)))
    keep(window, held);
  return loaded.front();
}

LogicalResult CoresKernel::lowerSequence() {
  sched::EachChunkOp loop = role.getEachChunk();
  for (Value init : loop.getInits())
    if (!init.getDefiningOp<sched::LoadOp>())
      return role.emitOpError() << "carries something that it does not load; "
                                   "a state lies in a pool";
  SmallVector<Value> inits;
  loadShared();
  loadAhead(index(0), inits);
  inits.insert(inits.begin(), loadInits());
  auto forOp =
      scf::ForOp::create(builder, loc, index(0), count, index(1), inits);
  {
    OpBuilder::InsertionGuard inside(builder);
    builder.setInsertionPointToStart(forOp.getBody());
    ValueRange carried = forOp.getRegionIterArgs();
    Value token = forOp.getInductionVar();
    SmallVector<Value> next(1);
    if (!ahead.empty()) {
      // Behind the last token its own once more.
      Value last = arith::SubIOp::create(builder, loc, count, index(1));
      Value following = arith::AddIOp::create(builder, loc, token, index(1));
      loadAhead(arith::MinUIOp::create(builder, loc, following, last), next);
    }
    CoresRegion region(builder, plan);
    region.set(loop.getCarryArgs().front(), carried.front());
    if (failed(lowerToken(region, token, carried.drop_front())))
      return failure();
    next.front() = region.get(loop.getYield().getCarries().front());
    scf::YieldOp::create(builder, loc, next);
  }
  storeFinals(forOp.getResult(0));
  return success();
}

/// Stores what the sequence ends in, if it has a slot to be written to. What
/// several blocks have read, the first of them writes when all have.
void CoresKernel::storeFinals(Value state) {
  sched::EachChunkOp loop = role.getEachChunk();
  auto getFinal = [&](unsigned i) {
    return i == 0 ? state : getKept(loop.getCarryArgs()[i]);
  };
  bool isShared = llvm::any_of(
      role.getBlock().getOps<sched::StoreOp>(), [&](sched::StoreOp op) {
        return plan.getSharers(kernel, cast<BlockArgument>(op.getTarget()),
                               op.getTile()) > 1;
      });
  if (isShared)
    tile::ClusterArriveOp::create(builder, loc);
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
  if (!isShared)
    return;
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
