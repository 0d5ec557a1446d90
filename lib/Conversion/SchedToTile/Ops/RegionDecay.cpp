//===- RegionDecay.cpp - Decay products and the triangular factor -------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "../Kernel/Operands.h"
#include "RegionLowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;
using tile::LayoutKind;

Value RegionLowering::tokenIndex(Location loc, RankedTensorType type,
                                 int64_t dim, int64_t rows) {
  auto indexType =
      tile::getTileType(type.getShape(), builder.getI32Type(), LayoutKind::acc);
  Value index = tile::IndexOp::create(builder, loc, indexType, dim);
  if (rows == 1)
    return index;
  return arith::DivUIOp::create(builder, loc, index,
                                constant(loc, indexType, rows));
}

/// Sums h and p, times log2 e, along the rows and columns of a tile of pairs:
/// the decay between token t(j) and token t(i) is two to h_i - p_j. The factor
/// goes into the sums, of which there are fewer than pairs.
template <typename OpT>
std::pair<Value, Value> RegionLowering::pairSums(OpT op, RankedTensorType type,
                                                 int64_t m) {
  Location loc = op.getLoc();
  Value sum = sumInLog2(op, /*exclusive=*/false);
  Value read = op.getBeforeDecay() ? sumInLog2(op, /*exclusive=*/true) : sum;
  if (!sum || !read)
    return {};
  LayoutKind aLayout = m == 0 ? LayoutKind::row : LayoutKind::col;
  LayoutKind bLayout = m == 0 ? LayoutKind::col : LayoutKind::row;
  return {alongTile(loc, read, aLayout, op.getRows()[0],
                    type.getDimSize(m == 0 ? 0 : 1)),
          alongTile(loc, sum, bLayout, op.getRows()[1],
                    type.getDimSize(m == 0 ? 1 : 0))};
}

/// The decay between the tokens of each pair, of later ones too, where it may
/// be infinite. Where registers do, products of one orientation share it.
template <typename OpT>
Value RegionLowering::pairDecay(OpT op, RankedTensorType type, int64_t m) {
  Value &known = decays[{op.getG(), m}];
  bool isShared = hasPlenty && !op.getBeforeDecay() &&
                  op.getRows() == ArrayRef<int64_t>{1, 1};
  if (isShared && known && known.getType() == type)
    return known;
  auto [h, p] = pairSums(op, type, m);
  if (!h)
    return {};
  Location loc = op.getLoc();
  h = spread(loc, h, type);
  Value decay = math::Exp2Op::create(
      builder, loc,
      arith::SubFOp::create(builder, loc, h, spread(loc, p, type)));
  if (isShared)
    known = decay;
  return decay;
}

bool RegionLowering::hasBudgets() {
  auto roles = dyn_cast<tile::RolesOp>(allocationPoint);
  return roles && roles.getRegisters();
}

/// The running sums of the decay of `op`, times log2 e. Products of a role
/// share them: in a kernel whose roles have budgets, where no other block runs
/// while lanes exchange what they hold, as copies in shared memory.
template <typename OpT>
Value RegionLowering::sumInLog2(OpT op, bool exclusive) {
  Value &known = sums[{op.getG(), exclusive ? 1u : 0u}];
  if (known)
    return known;
  Location loc = op.getLoc();
  bool isCopied = hasBudgets();
  // ptxas spreads the instructions of a product that is being issued over what
  // follows it, so that each exchange would hold the next one up.
  if (isCopied)
    tile::BarrierOp::create(builder, loc, /*proxy=*/false, warps.barrier);
  Value g = getRegister(op.getG(), op);
  if (!g)
    return {};
  Value sum = tile::CumsumOp::create(builder, loc, g.getType(), g,
                                     /*reverse=*/false, exclusive);
  Value log2E = constant(loc, g.getType(), llvm::numbers::log2e);
  known = arith::MulFOp::create(builder, loc, sum, log2E);
  if (!isCopied)
    return known;
  RankedTensorType type = tensorOf(known);
  int64_t size = type.getDimSize(0);
  // Behind the barrier all warps may write to one place.
  int64_t copies = isTight ? 1 : tile::kWarpgroupWarps;
  Value scratch =
      allocate({copies * size}, type.getElementType(), /*transient=*/false);
  auto copy =
      tile::SmemType::get(builder.getContext(), {size}, type.getElementType());
  known = tile::CopyToWarpsOp::create(builder, loc, copy, known, scratch);
  return known;
}

/// True for pairs of tokens on both sides of the middle of a block of twice
/// `half`, the later one i: in halves one after the other, that of i odd. What
/// depends on i alone is a number a row; of j some bits are known.
Value RegionLowering::isOfHalf(DecayMaskOp op, RankedTensorType type, int64_t m,
                               int64_t half) {
  Location loc = op.getLoc();
  Value i = tokenIndex(loc, type, m, op.getRows()[0] * half);
  Value j = tokenIndex(loc, type, 1 - m, op.getRows()[1] * half);
  Value one = constant(loc, i.getType(), 1);
  Value isNext =
      arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, j,
                            arith::SubIOp::create(builder, loc, i, one));
  Value isOdd =
      arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq,
                            arith::AndIOp::create(builder, loc, i, one), one);
  return arith::AndIOp::create(builder, loc, isNext, isOdd);
}

/// True for the entries that the mask of `op` lets pass; of near tokens, of
/// those of one block.
template <typename OpT>
Value RegionLowering::isKept(OpT op, RankedTensorType type, int64_t m) {
  Location loc = op.getLoc();
  bool byRow = op.getMask() == RowMask::before_row;
  Value i = tokenIndex(loc, type, m, byRow ? 1 : op.getRows()[0]);
  Value j = tokenIndex(loc, type, 1 - m, byRow ? 1 : op.getRows()[1]);
  auto predicate = op.getMask() == RowMask::upto_token
                       ? arith::CmpIPredicate::ule
                       : arith::CmpIPredicate::ult;
  Value keep = arith::CmpIOp::create(builder, loc, predicate, j, i);
  if constexpr (std::is_same_v<OpT, DecayMaskOp>)
    if (std::optional<int64_t> near = op.getNear()) {
      Value isSame = arith::CmpIOp::create(
          builder, loc, arith::CmpIPredicate::eq,
          tokenIndex(loc, type, m, op.getRows()[0] * *near),
          tokenIndex(loc, type, 1 - m, op.getRows()[1] * *near));
      keep = arith::AndIOp::create(builder, loc, keep, isSame);
    }
  return keep;
}

/// True for pairs of tokens of one row each, the later ones along the rows of
/// an accumulator, in a kernel whose roles have budgets: there warps of other
/// roles take what issue slots a warp leaves.
bool RegionLowering::isTriangle(DecayDotOp op, int64_t m) {
  return m == 0 && hasBudgets() && op.getRows() == ArrayRef<int64_t>{1, 1} &&
         tensorOf(op.getM()).getShape() ==
             ArrayRef<int64_t>{tile::kAccRows, tile::kAccRows};
}

template <typename OpT>
Value RegionLowering::maskDecayProduct(OpT op, Value product, int64_t m) {
  Location loc = op.getLoc();
  auto type = tensorOf(product);
  if constexpr (std::is_same_v<OpT, DecayDotOp>)
    if (isTriangle(op, m)) {
      Value h, p;
      if (op.getG())
        std::tie(h, p) = pairSums(op, type, m);
      if (op.getG() && !h)
        return {};
      return tile::TriangleOp::create(builder, loc, type, product, h, p,
                                      op.getMask() != RowMask::upto_token);
    }
  Value keep;
  // Of the later token of a pair a mask lets pass all rows of the earlier one.
  if constexpr (std::is_same_v<OpT, DecayMaskOp>)
    if (op.getHalf())
      keep = isOfHalf(op, type, m, *op.getHalf());
  if (!keep)
    keep = isKept(op, type, m);
  Value zero = constant(loc, type, 0);
  if (op.getG()) {
    Value decay = pairDecay(op, type, m);
    if (!decay)
      return {};
    // Of pairs that the mask drops the exponent may be huge, and their product
    // infinite or no number: the selection below does not look at it.
    product = arith::MulFOp::create(builder, loc, product, decay);
  }
  return arith::SelectOp::create(builder, loc, keep, product, zero);
}

LogicalResult RegionLowering::lowerDecayDot(DecayDotOp op) {
  if (op.getG() && tensorOf(op.getG()).getRank() != 1)
    return op.emitOpError()
           << "has a decay per key channel inside of its sum; the GPU path "
              "takes products of its factors (delta-halve-decay)";
  std::optional<Product> product = getProduct(op);
  if (!isMap || !product)
    return op.emitError()
           << "expected a product in a chunk_map, with 64 rows on one side; "
              "run delta-stage";
  Value dots = emitProduct(op, *product, /*init=*/{}, /*block=*/0);
  Value masked = dots ? makeMasked(op, op.getM(), dots, product->m) : Value();
  registers[op.getM()] = {masked};
  return success(masked != nullptr);
}

LogicalResult RegionLowering::lowerDecayMask(DecayMaskOp op) {
  if (isDiagonalSum(op))
    return success(); // made where it is summed
  Value masked = makeMask(op);
  registers[op.getR()] = {masked};
  return success(masked != nullptr);
}

Value RegionLowering::makeMask(DecayMaskOp op, std::optional<int64_t> m) {
  m = m ? m : orientation.getM(op.getM());
  if (!isMap || !m) {
    op.emitError()
        << "expected a mask of 64 rows or columns in a chunk_map; run "
           "delta-stage";
    return {};
  }
  Value tile = getTile(op.getM(), 0, op, m);
  return tile ? makeMasked(op, op.getR(), tile, *m) : Value();
}

template <typename OpT>
Value RegionLowering::makeMasked(OpT op, Value result, Value tile, int64_t m) {
  // Tokens of a chunk go with the rows of one accumulator.
  if (int64_t tiles = countTiles(result, std::nullopt); tiles > 1) {
    op.emitOpError() << "has " << tiles * tile::kAccRows
                     << " rows; the GPU path takes chunks of at most "
                     << tile::kAccRows << " rows";
    return {};
  }
  return maskDecayProduct(op, tile, m);
}

LogicalResult wyvern::checkFactorBlock(Operation *op,
                                       std::optional<int64_t> block) {
  if (block == tile::kFactorBlock)
    return success();
  return op->emitOpError() << "has a factor in blocks of "
                           << block.value_or(tile::kAccRows)
                           << " rows; the GPU path takes blocks of "
                           << tile::kFactorBlock << " (delta-stage)";
}

/// True if `factor` goes to a channel, and all that is done with it there is to
/// solve by it.
static bool isForApply(Value factor) {
  auto isSolve = [](Operation *user) { return isa<EraseApplyOp>(user); };
  auto solvesBy = [&](Value got) {
    return llvm::all_of(got.getUsers(), [&](Operation *user) {
      return isSolve(user) || (isa<arith::TruncFOp>(user) &&
                               llvm::all_of(user->getUsers(), isSolve));
    });
  };
  return llvm::all_of(factor.getUses(), [&](OpOperand &use) {
    auto put = dyn_cast<sched::PutOp>(use.getOwner());
    if (!put)
      return false;
    auto position = llvm::find(put.getTiles(), factor).getIndex();
    return llvm::all_of(put.getChannel().getUsers(), [&](Operation *user) {
      return !isa<sched::GetOp>(user) || solvesBy(user->getResult(position));
    });
  });
}

LogicalResult RegionLowering::lowerEraseFactor(EraseFactorOp op) {
  // Where L comes out of a channel, in f32, it need not be held while it is
  // solved for, nor need its rates.
  Value l = getShared(op.getL());
  if (!l || !cast<tile::SmemType>(l.getType()).getElementType().isF32())
    l = getRegister(op.getL(), op);
  bool isShared = l && isa<tile::SmemType>(l.getType());
  Value rate = isShared ? getShared(op.getRate()) : Value();
  if (!rate)
    rate = getRegister(op.getRate(), op);
  if (!l || !rate)
    return failure();
  if (!isMap || tensorOf(op.getL()).getDimSize(0) != tile::kAccRows)
    return op.emitError()
           << "expected a system of 64 rows in a chunk_map, found "
           << op.getL().getType();
  if (failed(checkFactorBlock(op, op.getBlock())))
    return failure();
  if (!op.getTo())
    return op.emitOpError() << "says not what its factor is rounded to; run "
                               "delta-assign-precision";
  Value scratch = allocate({tile::kFactorScratch}, builder.getF32Type(),
                           /*transient=*/false);
  Value place = getSharedTile(op.getZ());
  bool isStage = place != nullptr;
  if (!isStage)
    place = allocate(tensorOf(op.getZ()).getShape(), *op.getTo(),
                     /*transient=*/false);
  Value begun = tile::EraseStripsOp::create(
      builder, op.getLoc(), l, rate, scratch, place, warps.barrier,
      /*for_apply=*/isStage && isForApply(op.getZ()));
  setShared(op.getZ(), tile::EraseJoinOp::create(builder, op.getLoc(), begun,
                                                 scratch, warps.barrier));
  // What a put alone takes is complete when the stage is committed.
  if (!isStage || !op.getZ().hasOneUse())
    tile::BarrierOp::create(builder, op.getLoc(), /*proxy=*/true,
                            warps.barrier);
  return success();
}
