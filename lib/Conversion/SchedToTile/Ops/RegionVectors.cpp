//===- RegionVectors.cpp - Vectors of a chunk program -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RegionLowering.h"

#include "wyvern/Dialect/Delta/IR/Splat.h"
#include "wyvern/Dialect/Delta/Utils/TileBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;
using tile::LayoutKind;

//===----------------------------------------------------------------------===//
// From vectors to matrices
//===----------------------------------------------------------------------===//

Value RegionLowering::alongTile(Location loc, Value vector, LayoutKind layout,
                                int64_t repeat, std::optional<int64_t> size) {
  if (auto copy = dyn_cast<tile::SmemType>(vector.getType())) {
    auto target = tile::getTileType(copy.getShape(), copy.getElementType(),
                                    repeat == 1 ? layout : LayoutKind::warp);
    vector = tile::ReadOp::create(builder, loc, target, vector,
                                  /*transpose=*/false, /*block=*/0);
  }
  RankedTensorType type = tensorOf(vector);
  int64_t whole = type.getDimSize(0) * repeat;
  if (tile::getLayout(type) == layout && size.value_or(whole) == whole &&
      repeat == 1)
    return vector;
  auto target =
      tile::getTileType({size.value_or(whole)}, type.getElementType(), layout);
  return tile::RelayoutOp::create(builder, loc, target, vector, repeat);
}

Value RegionLowering::spread(Location loc, Value source,
                             RankedTensorType type) {
  return tile::BroadcastOp::create(builder, loc, type, source);
}

/// The vector `value` along the rows or columns of a tile, made there if it is
/// made of what lies in shared memory; null for another, which lanes exchange.
Value RegionLowering::makeAlong(Location loc, Value value, LayoutKind layout) {
  auto target = tile::getTileType(tensorOf(value).getShape(),
                                  builder.getF32Type(), layout);
  if (isSplat(value))
    return constant(loc, target,
                    cast<FloatAttr>(getSplatValue(value)).getValueAsDouble());
  if (Value tile = shared.lookup(value)) {
    auto smem = cast<tile::SmemType>(tile.getType());
    return smem.getElementType().isF32() ? alongTile(loc, tile, layout, 1)
                                         : Value();
  }
  Operation *op = value.getDefiningOp();
  if (!op || !isa<arith::MulFOp, arith::NegFOp>(op))
    return {};
  IRMapping mapping;
  for (Value operand : op->getOperands()) {
    Value along = makeAlong(loc, operand, layout);
    if (!along)
      return {};
    mapping.map(operand, along);
  }
  Operation *clone = builder.clone(*op, mapping);
  clone->getResult(0).setType(target);
  return clone->getResult(0);
}

Value RegionLowering::makeBroadcast(linalg::BroadcastOp op, int64_t block) {
  Value result = op->getResult(0);
  std::optional<int64_t> m = orientation.getM(result);
  if (tensorOf(result).getRank() == 2 && !m) {
    (void)refuseWithoutRows(op);
    return {};
  }
  Value source = getRegister(op.getInput(), op);
  if (!source)
    return {};
  if (tensorOf(op.getInput()).getRank() == 1) {
    int64_t kept = op.getDimensions().front() == 0 ? 1 : 0;
    if (kept == *m && countTiles(result, m) > 1) {
      op.emitOpError() << "spreads a vector of "
                       << tensorOf(source).getDimSize(0)
                       << " along the rows of an accumulator, which has "
                       << tile::kAccRows
                       << "; the GPU path takes no more so far (target \"cpu\" "
                          "takes it)";
      return {};
    }
    LayoutKind layout = kept == *m ? LayoutKind::row : LayoutKind::col;
    Value along =
        isTight ? makeAlong(op.getLoc(), op.getInput(), layout) : Value();
    source = along ? along : alongTile(op.getLoc(), source, layout, 1);
  }
  return spread(op.getLoc(), source, getRegisterType(result, m));
}

//===----------------------------------------------------------------------===//
// Sums
//===----------------------------------------------------------------------===//

/// The sum of all elements of a product of two tiles that lie in shared memory,
/// of which `op` sums the rows; null for another.
Value RegionLowering::makeDot(linalg::ReduceOp op) {
  auto all = op->hasOneUse() ? dyn_cast<linalg::ReduceOp>(*op->user_begin())
                             : linalg::ReduceOp();
  auto products = op.getInputs().front().getDefiningOp<arith::MulFOp>();
  if (!all || !products || !products->hasOneUse())
    return {};
  Value a = shared.lookup(products.getLhs());
  Value b = shared.lookup(products.getRhs());
  if (!a || !b)
    return {};
  auto of = cast<tile::SmemType>(a.getType());
  auto with = cast<tile::SmemType>(b.getType());
  if (!of.isSwizzled() || of.getShape() != with.getShape() ||
      of.getElementType() != with.getElementType())
    return {};
  Value scratch = allocate({tile::kWarpgroupWarps}, builder.getF32Type(),
                           /*transient=*/true);
  return tile::DotOp::create(builder, op.getLoc(), a, b, scratch,
                             warps.barrier);
}

bool wyvern::isDiagonalSum(DecayMaskOp mask) {
  constexpr int64_t square[] = {tile::kAccRows, tile::kAccRows};
  return mask.getR().hasOneUse() &&
         isa<linalg::ReduceOp>(*mask.getR().user_begin()) && !mask.getG() &&
         mask.getNear() == 1 && mask.getMask() == RowMask::upto_token &&
         mask.getRows() == ArrayRef<int64_t>{1, 1} &&
         tensorOf(mask.getR()).getShape() == ArrayRef(square);
}

/// The sums of what a mask leaves of a square, if that is the diagonal: no
/// element is added; null for another.
Value RegionLowering::makeDiagonal(linalg::ReduceOp op) {
  auto mask = op.getInputs().front().getDefiningOp<DecayMaskOp>();
  if (!mask || !isDiagonalSum(mask))
    return {};
  Value x = getRegister(mask.getM(), mask);
  if (!x)
    return {};
  Value scratch =
      allocate({tile::kAccRows}, builder.getF32Type(), /*transient=*/true);
  return tile::DiagonalOp::create(
      builder, op.getLoc(), getRegisterType(op.getResult(0), std::nullopt), x,
      scratch, warps.barrier);
}

LogicalResult RegionLowering::lowerReduce(linalg::ReduceOp op) {
  Block *body = op.getBlock();
  bool isSum = body->getOperations().size() == 2 &&
               isa<arith::AddFOp>(body->front()) &&
               isZero(op.getInits().front());
  Value source = op.getInputs().front(), result = op.getResult(0);
  int64_t rank = tensorOf(source).getRank();
  if (!isSum || op.getDimensions().size() != 1 || (rank == 2 && !isMap))
    return op.emitError() << "expected the sum of a vector, or in a map of one "
                             "dimension of a matrix, from zero; the GPU path "
                             "takes no other reduction so far";
  if (registers.contains(result))
    return success(); // made with its operand
  if (Value dot = rank == 2 ? makeDot(op) : Value()) {
    registers[op->user_begin()->getResult(0)] = {dot};
    return success();
  }
  if (Value diagonal = rank == 2 ? makeDiagonal(op) : Value()) {
    registers[result] = {diagonal};
    return success();
  }
  Tiles tiles = getTiles(source, op);
  if (tiles.empty())
    return failure();
  if (rank == 1) {
    registers[result] = {tile::SumOp::create(
        builder, op.getLoc(), builder.getF32Type(), tiles.front())};
    return success();
  }
  constexpr int64_t kLanes = 32;
  int64_t size = tensorOf(result).getDimSize(0);
  if (size % kLanes != 0)
    return op.emitOpError()
           << "gives " << size << " sums; the GPU path takes multiples of "
           << kLanes << " (a warp's lanes)";
  bool alongRows = op.getDimensions().front() != *orientation.getM(source);
  Value scratch = allocate({alongRows ? size : 4 * size}, builder.getF32Type(),
                           /*transient=*/true);
  registers[result] = {tile::ReduceOp::create(
      builder, op.getLoc(), getRegisterType(result, std::nullopt), tiles,
      /*dim=*/alongRows ? 1 : 0, scratch, warps.barrier)};
  return success();
}

LogicalResult RegionLowering::lowerCumsum(CumsumOp op) {
  if (!isMap)
    return op.emitError() << "expected a running sum in a chunk_map; "
                             "run delta-stage";
  if (tensorOf(op.getX()).getRank() == 2)
    return lowerRowScan(op, op.getX(), op.getReverse(), op.getExclusive(),
                        /*half=*/IntegerAttr());
  if (Value sums = findSumsUpTo(op)) {
    Location loc = op.getLoc();
    Value all =
        spread(loc, tile::LastOp::create(builder, loc, sums), tensorOf(sums));
    registers[op.getY()] = {arith::SubFOp::create(builder, loc, all, sums)};
    return success();
  }
  Value x = getRegister(op.getX(), op);
  if (!x)
    return failure();
  registers[op.getY()] = {
      tile::CumsumOp::create(builder, op.getLoc(), x.getType(), x,
                             op.getReverse(), op.getExclusive())};
  return success();
}

/// Returns the sums up to each element where `op` wants those behind it, and
/// the role has the former: the last one less each is what is wanted, with the
/// rounding that decays of pairs have. Another scan is five exchanges between
/// lanes, one behind the other, in a kernel whose roles keep shared memory
/// busy.
Value RegionLowering::findSumsUpTo(CumsumOp op) {
  if (!op.getReverse() || !op.getExclusive() || !hasBudgets())
    return {};
  for (Operation *user : op.getX().getUsers()) {
    auto other = dyn_cast<CumsumOp>(user);
    if (!other || other.getReverse() || other.getExclusive())
      continue;
    if (auto known = registers.find(other.getY()); known != registers.end())
      return known->second.front();
  }
  return {};
}

LogicalResult RegionLowering::lowerSumToMiddle(SumToMiddleOp op) {
  if (!isMap || tensorOf(op.getG()).getRank() != 2)
    return op.emitError() << "expected sums of the rows of a matrix in a "
                             "chunk_map; run delta-stage";
  return lowerRowScan(op, op.getG(), /*reverse=*/false, op.getBeforeDecay(),
                      op.getHalfAttr());
}

Value wyvern::getExpOfSums(Operation *op) {
  if (!isa<CumsumOp, SumToMiddleOp>(op) || !op->hasOneUse() ||
      tensorOf(op->getResult(0)).getRank() != 2)
    return {};
  auto exp = dyn_cast<math::ExpOp>(*op->user_begin());
  return exp ? exp.getResult() : Value();
}

Value wyvern::getSharedFactor(Operation *op) {
  Value exp = getExpOfSums(op);
  bool isBehind =
      exp && llvm::any_of(exp.getUsers(), [](Operation *user) {
        return isa<arith::MulFOp, arith::DivFOp>(user) &&
               llvm::any_of(user->getOperands(), [](Value operand) {
                 return operand.getDefiningOp<linalg::ContractOp>() != nullptr;
               });
      });
  return isBehind ? exp : Value();
}

/// True for sums that are negated in first halves.
static bool isSigned(Operation *op) {
  auto toMiddle = dyn_cast<SumToMiddleOp>(op);
  return toMiddle && toMiddle.getIsSigned();
}

/// Returns the least number that rows of a sum count as, of gates with `bound`;
/// null for none.
static FloatAttr getLeast(Operation *op, std::optional<double> bound) {
  if (isSigned(op)) {
    double least = cast<SumToMiddleOp>(op).getLeastGate();
    bound = std::max(least, bound.value_or(least));
  }
  return bound ? Builder(op->getContext()).getF32FloatAttr(*bound)
               : FloatAttr();
}

/// Sums over the rows of the matrix `x`: from shared memory where it is there.
/// What is bounded is bounded as it is added.
LogicalResult RegionLowering::lowerRowScan(Operation *op, Value x, bool reverse,
                                           bool exclusive, IntegerAttr half) {
  std::optional<double> bound;
  if (Value in = getBounded(x);
      in && isa_and_nonnull<sched::GetOp, sched::LoadOp>(in.getDefiningOp())) {
    bound = getSplat(x.getDefiningOp()->getOperand(1));
    x = in;
  }
  RankedTensorType type = tensorOf(x);
  if (type.getDimSize(0) != tile::kAccRows || orientation.getM(x) != 0)
    return op->emitOpError()
           << "sums over the rows of " << type << "; the GPU path takes "
           << tile::kAccRows
           << " rows (one row a token, or one step that repeats and reads "
              "behind the decay)";
  Value source = getShared(x);
  if (!source)
    source = getRegister(x, op);
  if (!source)
    return failure();
  Value result = op->getResult(0);
  // Sums that are read for their exp alone leave shared memory as that.
  Value exp = getExpOfSums(op);
  if (exp)
    result = exp;
  bool isShared = getSharedFactor(op) != nullptr;
  Value scratch = allocate(type.getShape(), builder.getF32Type(),
                           /*transient=*/!isShared);
  Type resultType =
      isShared ? scratch.getType() : Type(getRegisterType(result, 0));
  Value sums = tile::ScanRowsOp::create(
      builder, op->getLoc(), resultType, source, reverse, exclusive,
      /*exp=*/exp != nullptr, half, isSigned(op), getLeast(op, bound), scratch,
      warps.barrier);
  if (isShared)
    setShared(result, sums);
  else
    registers[result] = {sums};
  return success();
}

LogicalResult RegionLowering::lowerLastRow(LastRowOp op) {
  Value x = getShared(op.getX());
  if (!x || cast<tile::SmemType>(x.getType()).getShape().size() != 1)
    return op.emitOpError()
           << "reads a row of " << op.getX().getType()
           << "; the GPU path reads one element of a vector that a channel "
              "brings (delta-share-sums)";
  Location loc = op.getLoc();
  auto index = [&](int64_t value) -> Value {
    return arith::ConstantIndexOp::create(builder, loc, value);
  };
  Value rows = arith::MulIOp::create(builder, loc,
                                     registers.lookup(op.getValid()).front(),
                                     index(op.getRows()));
  Value last = arith::SubIOp::create(builder, loc, rows, index(1));
  registers[op.getY()] = {tile::ReadElementOp::create(builder, loc, x, last)};
  return success();
}

LogicalResult RegionLowering::lowerMaskRows(MaskRowsOp op) {
  if (!isMap || tensorOf(op.getX()).getRank() != 1)
    return op.emitError() << "expected a vector in a chunk_map, found "
                          << op.getX().getType()
                          << "; run delta-stage (target \"cpu\" takes all)";
  Value x = getRegister(op.getX(), op);
  if (!x)
    return failure();
  Location loc = op.getLoc();
  Value rows = arith::MulIOp::create(
      builder, loc, registers.lookup(op.getValid()).front(),
      arith::ConstantIndexOp::create(builder, loc, op.getRows()));
  registers[op.getY()] = {tile::MaskVectorOp::create(builder, loc, x, rows)};
  return success();
}

/// The vector `x` of a map, which `op` repeats or sums; null, with the reason,
/// for another.
Value RegionLowering::getMapVector(Operation *op, Value x) {
  if (isMap && tensorOf(x).getRank() == 1)
    return getRegister(x, op);
  op->emitError() << "expected a vector in a chunk_map; run delta-stage";
  return {};
}

LogicalResult RegionLowering::lowerRepeatRows(RepeatRowsOp op) {
  Value x = getMapVector(op, op.getX());
  if (!x)
    return failure();
  registers[op.getY()] = {alongTile(op.getLoc(), x, LayoutKind::warp, op.getN(),
                                    tensorOf(op.getY()).getDimSize(0))};
  return success();
}

LogicalResult RegionLowering::lowerSumRows(SumRowsOp op) {
  Value x = getMapVector(op, op.getX());
  if (!x)
    return failure();
  registers[op.getY()] = {tile::SumGroupsOp::create(
      builder, op.getLoc(), getRegisterType(op.getY(), std::nullopt), x,
      op.getN())};
  return success();
}

//===----------------------------------------------------------------------===//
// Levels
//===----------------------------------------------------------------------===//

/// As convert-delta-to-scf does it: of a position t the bit that tells the
/// halves of the level's block apart is `half`, and those within the block are
/// `block` - 1.
LogicalResult RegionLowering::lowerLevelRows(LevelRowsOp op) {
  Location loc = op.getLoc();
  auto index = [&](int64_t value) -> Value {
    return arith::ConstantIndexOp::create(builder, loc, value);
  };
  RankedTensorType type = getRegisterType(op.getY(), std::nullopt);
  RankedTensorType places = type.clone(builder.getI32Type());
  auto everywhere = [&](Value scalar) {
    Value number =
        arith::IndexCastOp::create(builder, loc, builder.getI32Type(), scalar);
    return spread(loc, number, places);
  };
  Value level =
      arith::RemUIOp::create(builder, loc, head, index(op.getLevels()));
  Value block = arith::ShLIOp::create(builder, loc, index(1), level);
  Value half = arith::ShRUIOp::create(builder, loc, block, index(1));
  Value inside = arith::SubIOp::create(builder, loc, block, index(1));
  bool isStart = op.getRole() == LevelRole::starts;
  Value bits = everywhere(isStart ? inside : half);
  Value wanted =
      op.getRole() == LevelRole::reads ? bits : constant(loc, places, 0);

  Value t = tile::IndexOp::create(builder, loc, places, /*dim=*/0);
  if (op.getRows() != 1)
    t = arith::DivUIOp::create(builder, loc, t,
                               constant(loc, places, op.getRows()));
  Value first = position;
  if (Value start = op.getStart()) {
    Value number = getTile(start, 0, op);
    if (!number)
      return failure();
    Value whole =
        arith::FPToSIOp::create(builder, loc, builder.getI32Type(), number);
    first =
        arith::AddIOp::create(builder, loc, first,
                              arith::IndexCastOp::create(
                                  builder, loc, builder.getIndexType(), whole));
  }
  t = arith::AddIOp::create(builder, loc, everywhere(first), t);
  Value found = arith::AndIOp::create(builder, loc, t, bits);
  Value holds = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq,
                                      found, wanted);
  registers[op.getY()] = {arith::SelectOp::create(
      builder, loc, holds, constant(loc, type, 1.0), constant(loc, type, 0.0))};
  return success();
}
