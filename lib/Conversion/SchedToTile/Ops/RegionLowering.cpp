//===- RegionLowering.cpp - The region of a chunk program, op by op -----===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RegionLowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;
using tile::LayoutKind;

//===----------------------------------------------------------------------===//
// Where values are
//===----------------------------------------------------------------------===//

RankedTensorType wyvern::getRegisterType(Value value, std::optional<int64_t> m,
                                         bool isSplit) {
  RankedTensorType type = tensorOf(value);
  if (type.getRank() == 1) {
    LayoutKind layout = !isSplit ? LayoutKind::warp
                        : m      ? LayoutKind::row
                                 : LayoutKind::col;
    int64_t size = isSplit && m ? tile::kAccRows : type.getDimSize(0);
    return tile::getTileType({size}, type.getElementType(), layout);
  }
  return tile::getTileType({tile::kAccRows, type.getDimSize(1 - *m)},
                           type.getElementType(), LayoutKind::acc);
}

Value RegionLowering::getShared(Value value) {
  if (Value tile = shared.lookup(value))
    return tile;
  auto rounded = value.getDefiningOp<arith::TruncFOp>();
  if (!rounded)
    return {};
  Value tile = shared.lookup(rounded.getIn());
  if (!tile)
    return {};
  auto type = cast<tile::SmemType>(tile.getType());
  return type.getElementType() == tensorOf(value).getElementType() ? tile
                                                                   : Value();
}

bool RegionLowering::isShared(Value value) {
  if (getShared(value))
    return true;
  auto rounded = value.getDefiningOp<arith::TruncFOp>();
  auto got = dyn_cast<OpResult>(rounded ? rounded.getIn() : value);
  auto get = got ? dyn_cast<sched::GetOp>(got.getOwner()) : sched::GetOp();
  return get &&
         getElementTypeOrSelf(
             get.getChannel().getType().getTiles()[got.getResultNumber()]) ==
             tensorOf(value).getElementType();
}

bool RegionLowering::isMadeAtUse(Value value) {
  llvm::SmallDenseSet<Value> seen;
  return isMadeAtUse(value, seen);
}

/// True if `op` makes what the rounding of its left operand leaves out.
static bool isRemainder(Operation *op) {
  auto rest = dyn_cast<arith::SubFOp>(op);
  auto kept = rest ? rest.getRhs().getDefiningOp<arith::ExtFOp>() : nullptr;
  auto rounded = kept ? kept.getIn().getDefiningOp<arith::TruncFOp>() : nullptr;
  return rounded && rounded.getIn() == rest.getLhs();
}

/// True if what the rounding of `value` leaves out of it is wanted.
static bool hasRemainder(Value value) {
  return llvm::any_of(value.getUsers(), [&](Operation *user) {
    return isRemainder(user) && user->getOperand(0) == value;
  });
}

bool RegionLowering::isMadeAtUse(Value value,
                                 llvm::SmallDenseSet<Value> &seen) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type || type.getRank() < 2 || isSplat(value))
    return true; // vectors and scalars are held, splats are constants
  Operation *op = value.getDefiningOp();
  if (!op)
    return shared.contains(value);
  if (isa<sched::LoadOp, sched::GetOp>(op) || isReadBack(op))
    return true;
  if (isa<linalg::BroadcastOp>(op) ||
      (isMap && (isMaskOfShared(value) || isSharedFactor(value))))
    return true;
  // Both parts are of one reading, and the rounded one is multiplied behind.
  auto rounded = dyn_cast<arith::TruncFOp>(op);
  if (isFull && hasRemainder(rounded ? rounded.getIn() : value))
    return false;
  return !fused.contains(op) && isa<arith::ArithDialect>(op->getDialect()) &&
         llvm::all_of(op->getOperands(), [&](Value operand) {
           // Once each: one that is not ends the search.
           return !seen.insert(operand).second || isMadeAtUse(operand, seen);
         });
}

Value RegionLowering::allocate(ArrayRef<int64_t> shape, Type element,
                               bool transient) {
  auto type = tile::SmemType::get(builder.getContext(), shape, element);
  // The groups' tiles lie one behind the other: along the dimension that an
  // element's address grows with fastest in steps of whole tiles.
  SmallVector<int64_t> whole(shape);
  (type.isSwizzled() ? whole.back() : whole.front()) *= warps.groups;
  auto wholeType = tile::SmemType::get(builder.getContext(), whole, element);
  Value all;
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPoint(allocationPoint);
    all = tile::AllocOp::create(builder, allocationPoint->getLoc(), wholeType,
                                transient, IntegerAttr());
  }
  if (!warps.group)
    return all;
  return tile::SubviewOp::create(builder, all.getLoc(), type, all, warps.group);
}

Value RegionLowering::constant(Location loc, Type type, double value) {
  Type element = getElementTypeOrSelf(type);
  TypedAttr attr =
      isa<FloatType>(element)
          ? TypedAttr(FloatAttr::get(element, value))
          : TypedAttr(IntegerAttr::get(element, static_cast<int64_t>(value)));
  if (auto shaped = dyn_cast<ShapedType>(type))
    attr = DenseElementsAttr::get(shaped, Attribute(attr));
  return arith::ConstantOp::create(builder, loc, attr);
}

int64_t RegionLowering::countTiles(Value value, std::optional<int64_t> m) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!m)
    m = orientation.getM(value);
  return type && type.getRank() == 2 && m ? orientation.getBlocks(value, *m)
                                          : 1;
}

Value RegionLowering::makeSplat(Value value, Operation *user,
                                std::optional<int64_t> m) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  auto splat = dyn_cast_or_null<FloatAttr>(getSplatValue(value));
  if (!splat || (type && type.getRank() == 2 && !m)) {
    user->emitOpError()
        << "reads a constant that is not one number throughout; "
           "the GPU path takes splat constants only";
    return {};
  }
  bool isScalar = !type || type.getRank() == 0;
  return constant(user->getLoc(),
                  isScalar ? splat.getType() : Type(getRegisterType(value, m)),
                  splat.getValueAsDouble());
}

Value RegionLowering::readShared(Value value, int64_t block, Operation *user,
                                 std::optional<int64_t> m) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  Value tile = shared.lookup(value);
  if (!tile || (type.getRank() == 2 && !m)) {
    user->emitOpError()
        << "needs " << value.getType()
        << " in registers, but it has no dimension to be the 64 rows of an "
           "accumulator; the GPU path can only multiply by it (as a plain in)";
    return {};
  }
  Location loc = user->getLoc();
  RankedTensorType target = getRegisterType(value, m);
  auto smem = cast<tile::SmemType>(tile.getType());
  RankedTensorType stored = tile::getTileType(
      target.getShape(), smem.getElementType(), *tile::getLayout(target));
  bool transpose = type.getRank() == 2 && *m == 1;
  Value read =
      tile::ReadOp::create(builder, loc, stored, tile, transpose, block);
  return stored == target ? read
                          : arith::ExtFOp::create(builder, loc, target, read);
}

Value RegionLowering::fetchIn(sched::LoadOp load, Operation *user) {
  Value value = load.getTile();
  if (fetch && tensorOf(value).getRank() == 0)
    return fetch(load, tensorOf(value));
  if (!fetch || tensorOf(value).getRank() != 2 ||
      orientation.getM(value) != 0 || countTiles(value, 0) != 1) {
    user->emitOpError() << "reads " << value.getType()
                        << " out of memory; the GPU path takes matrices of "
                        << tile::kAccRows
                        << " rows of tokens there, in a role without the split "
                           "dimension; load it into a channel";
    return {};
  }
  RankedTensorType held = getRegisterType(value, 0);
  Type stored = cast<sched::GlobalType>(load.getSource().getType())
                    .getTensor()
                    .getElementType();
  Value tile = fetch(
      load, RankedTensorType::get(held.getShape(), stored, held.getEncoding()));
  return tile.getType() == held
             ? tile
             : arith::ExtFOp::create(builder, user->getLoc(), held, tile);
}

Value RegionLowering::getTile(Value value, int64_t block, Operation *user,
                              std::optional<int64_t> m) {
  if (auto it = registers.find(value); it != registers.end())
    return it->second[block];
  if (Value tile = made.lookup({value, block}))
    return tile;
  if (isSplat(value))
    return makeSplat(value, user, m);
  Operation *op = value.getDefiningOp();
  bool isMatrix =
      isa<RankedTensorType>(value.getType()) && tensorOf(value).getRank() == 2;
  Value tile;
  bool isReadAgain = false;
  if (auto load = dyn_cast_or_null<sched::LoadOp>(op)) {
    tile = fetchIn(load, user);
  } else if (op && !isa<sched::GetOp>(op) && isMatrix &&
             !shared.contains(value) &&
             (fused.contains(op) || isMadeAtUse(value))) {
    if (auto broadcast = dyn_cast<linalg::BroadcastOp>(op))
      tile = makeBroadcast(broadcast, block);
    else if (auto mask = dyn_cast<DecayMaskOp>(op))
      tile = makeMask(mask, m);
    else
      tile = makeElementwise(op, block, m);
  } else {
    tile = readShared(value, block, user, m ? m : orientation.getM(value));
    isReadAgain = !holdsVectors;
  }
  if (tile && (isMatrix || isReadAgain))
    made[{value, block}] = tile;
  else if (tile)
    registers[value] = {tile};
  return tile;
}

LogicalResult RegionLowering::hold(sched::LoadOp load) {
  Value tile = fetchIn(load, load);
  registers[load.getTile()] = {tile};
  return success(tile != nullptr);
}

void RegionLowering::park(Value value) {
  auto it = registers.find(value);
  if (it == registers.end() || it->second.size() != 1 ||
      orientation.getM(value) != 0)
    return;
  RankedTensorType type = tensorOf(value);
  Value place =
      allocate(type.getShape(), type.getElementType(), /*transient=*/false);
  shared[value] = tile::WriteOp::create(
      builder, value.getLoc(), it->second.front(), place, /*transpose=*/false,
      /*block=*/0, builder.getI64IntegerAttr(warps.barrier));
  registers.erase(it);
}

RegionLowering::Tiles RegionLowering::getTiles(Value value, Operation *user,
                                               std::optional<int64_t> m) {
  Tiles tiles;
  for (int64_t block = 0, n = countTiles(value, m); block < n; ++block) {
    tiles.push_back(getTile(value, block, user, m));
    if (!tiles.back())
      return {};
  }
  return tiles;
}

Value RegionLowering::getRegister(Value value, Operation *user,
                                  std::optional<int64_t> m) {
  if (countTiles(value, m) == 1)
    return getTile(value, 0, user, m);
  user->emitOpError() << "needs " << value.getType() << " in one tile of "
                      << tile::kAccRows << " rows";
  return {};
}

LogicalResult RegionLowering::keepTiles(Operation *op,
                                        function_ref<Value(int64_t)> make) {
  Value result = op->getResult(0);
  Tiles tiles;
  for (int64_t block = 0, n = countTiles(result, std::nullopt); block < n;
       ++block) {
    tiles.push_back(make(block));
    if (!tiles.back())
      return failure();
  }
  registers[result] = std::move(tiles);
  return success();
}

//===----------------------------------------------------------------------===//
// Elementwise operations
//===----------------------------------------------------------------------===//

LogicalResult wyvern::refuseWithoutRows(Operation *op) {
  return op->emitOpError()
         << "computes " << op->getResult(0).getType()
         << ", which has no dimension to be the 64 rows of an accumulator: "
            "in a scan, compute it in a map before (delta-stage)";
}

/// Diagnoses an elementwise operation that the GPU path does not take.
static LogicalResult checkElementwise(Operation *op,
                                      const KernelOrientation &orientation) {
  Value result = op->getResult(0);
  if (isa<math::MathDialect>(op->getDialect()) &&
      !isa<math::ExpOp, math::Exp2Op, math::AbsFOp, math::Log1pOp,
           math::RsqrtOp, math::SqrtOp, math::SinOp, math::CosOp>(op))
    return op->emitOpError() << "has no lowering to the GPU so far: of math, "
                                "only exp, exp2, absf, log1p, rsqrt, sqrt, sin "
                                "and cos "
                                "(target \"cpu\" takes it)";
  if (tensorOf(result).getRank() == 2 && !orientation.getM(result))
    return refuseWithoutRows(op);
  return success();
}

Value RegionLowering::makeElementwise(Operation *op, int64_t block,
                                      std::optional<int64_t> m) {
  if (failed(checkElementwise(op, orientation)))
    return {};
  Value result = op->getResult(0);
  // Only a mask has no other dimension to be its rows than its reader wants.
  if (!isMaskOfShared(result) || !m)
    m = orientation.getM(result);
  for (auto [i, operand] : llvm::enumerate(op->getOperands()))
    if (auto product = operand.getDefiningOp<linalg::ContractOp>();
        product && fused.contains(product)) {
      bool isNegated = isa<arith::NegFOp>(op);
      return emitProduct(product, *getProduct(product),
                         isNegated ? Value() : op->getOperand(1 - i), block,
                         isNegated);
    }
  IRMapping mapping;
  for (Value operand : op->getOperands()) {
    Value tile = getTile(operand, block, op, m);
    if (!tile)
      return {};
    mapping.map(operand, tile);
  }
  RankedTensorType type = tensorOf(result);
  Operation *clone = builder.clone(*op, mapping);
  clone->getResult(0).setType(type.getRank() == 0
                                  ? type.getElementType()
                                  : Type(getRegisterType(result, m)));
  return clone->getResult(0);
}

bool RegionLowering::isSumOfTiles(Operation *op) {
  if (tensorOf(op->getResult(0)).getRank() != 2)
    return false;
  bool addsProduct = false;
  int64_t tiles = 0;
  for (Value operand : op->getOperands()) {
    Operation *def = operand.getDefiningOp();
    addsProduct |=
        isa_and_nonnull<linalg::ContractOp>(def) && fused.contains(def);
    tiles += !isMadeAtUse(operand);
  }
  return tiles > 1 && !addsProduct;
}

/// True if ptxas has no cause to make the result of `op` late: it is rounded at
/// once, or where registers do it is of a sum that is held.
bool RegionLowering::isHeldBehind(Operation *op) {
  auto isTerm = [&](Operation *user) {
    return op->getDialect() == user->getDialect() && isSumOfTiles(user);
  };
  return isRemainder(op) || (hasPlenty && llvm::all_of(op->getUsers(), isTerm));
}

LogicalResult RegionLowering::lowerElementwise(Operation *op) {
  Value result = op->getResult(0);
  if (getShared(result))
    return success(); // an in rounded to what it is stored as: still the in
  if (registers.contains(result))
    return success(); // made with its operand
  if (std::optional<ScaledSum> sum = matchScaledSum(op))
    return lowerScaledSum(op, *sum);
  if (failed(checkElementwise(op, orientation)))
    return failure();
  if (tensorOf(result).getRank() == 2 && isMadeAtUse(result))
    return success();
  // A product times a factor that a sum begins with would be made where it is
  // added to, with the factor in registers meanwhile.
  bool isDecayed = llvm::any_of(op->getOperands(), [&](Value operand) {
    return isSharedFactor(operand);
  });
  bool isBegin = isDecayed && result.hasOneUse() &&
                 isa<arith::AddFOp>(*result.user_begin()) &&
                 result.use_begin()->getOperandNumber() == 0;
  // What is chosen of tiles is held for several users: each would choose anew,
  // of tiles that are then held.
  bool isChosen = isa<arith::SelectOp>(op) && tensorOf(result).getRank() == 2 &&
                  !result.hasOneUse();
  bool isHeld = (isChosen || isSumOfTiles(op) || isBegin) &&
                !(isFull && isHeldBehind(op)) &&
                tensorOf(result).getElementType().isF32() &&
                llvm::any_of(op->getUsers(),
                             [](Operation *user) { return !isSink(user); });
  return keepTiles(op, [&](int64_t block) -> Value {
    Value tile = makeElementwise(op, block);
    if (!tile || !isHeld)
      return tile;
    return tile::HoldOp::create(builder, op->getLoc(), tile);
  });
}

LogicalResult RegionLowering::lowerBroadcast(linalg::BroadcastOp op) {
  Value result = op->getResult(0);
  bool isMatrix = tensorOf(result).getRank() == 2;
  if (isMatrix && !orientation.getM(result))
    return refuseWithoutRows(op);
  if (isMatrix)
    return success(); // made at its use
  return keepTiles(op, [&](int64_t block) { return makeBroadcast(op, block); });
}

//===----------------------------------------------------------------------===//
// Halves of columns
//===----------------------------------------------------------------------===//

LogicalResult RegionLowering::lowerSplitColumns(SplitColumnsOp op) {
  Tiles tiles = getTiles(op.getX(), op, std::nullopt);
  if (tiles.empty())
    return failure();
  for (Value half : {op.getA(), op.getB()}) {
    auto m = orientation.getM(half);
    if (m != 0)
      return refuseWithoutRows(op);
    RankedTensorType type = getRegisterType(half, m);
    registers[half] = llvm::map_to_vector<2>(tiles, [&](Value tile) -> Value {
      return tile::HalfColumnsOp::create(builder, op.getLoc(), type, tile,
                                         half == op.getB());
    });
  }
  return success();
}

LogicalResult RegionLowering::lowerJoinColumns(JoinColumnsOp op) {
  auto m = orientation.getM(op.getY());
  if (m != 0)
    return refuseWithoutRows(op);
  return keepTiles(op, [&](int64_t block) -> Value {
    Value a = getTile(op.getA(), block, op), b = getTile(op.getB(), block, op);
    if (!a || !b)
      return {};
    return tile::JoinColumnsOp::create(builder, op.getLoc(),
                                       getRegisterType(op.getY(), m), a, b);
  });
}

LogicalResult RegionLowering::lower(Operation *op) {
  made.clear();
  // Splats are made where they are used.
  if (op->getNumResults() == 1 && isSplat(op->getResult(0)))
    return success();
  LogicalResult lowered =
      llvm::TypeSwitch<Operation *, LogicalResult>(op)
          .Case([&](linalg::ContractOp o) { return lowerContract(o); })
          .Case([&](linalg::BroadcastOp o) { return lowerBroadcast(o); })
          .Case([&](linalg::ReduceOp o) { return lowerReduce(o); })
          .Case([&](DecayDotOp o) { return lowerDecayDot(o); })
          .Case([&](DecayMaskOp o) { return lowerDecayMask(o); })
          .Case([&](EraseFactorOp o) { return lowerEraseFactor(o); })
          .Case([&](EraseApplyOp o) { return lowerEraseApply(o); })
          .Case([&](CumsumOp o) { return lowerCumsum(o); })
          .Case([&](SumToMiddleOp o) { return lowerSumToMiddle(o); })
          .Case([&](LastRowOp o) { return lowerLastRow(o); })
          .Case([&](MaskRowsOp o) { return lowerMaskRows(o); })
          .Case([&](RepeatRowsOp o) { return lowerRepeatRows(o); })
          .Case([&](SumRowsOp o) { return lowerSumRows(o); })
          .Case([&](LevelRowsOp o) { return lowerLevelRows(o); })
          .Case([&](SplitColumnsOp o) { return lowerSplitColumns(o); })
          .Case([&](JoinColumnsOp o) { return lowerJoinColumns(o); })
          .Default([&](Operation *o) -> LogicalResult {
            if (o->hasTrait<OpTrait::Elementwise>() && o->getNumResults() == 1)
              return lowerElementwise(o);
            return o->emitOpError()
                   << "has no lowering to the GPU so far (target \"cpu\" takes "
                      "it)";
          });
  if (failed(lowered))
    return failure();
  return stage(op->getResult(0), op);
}
