//===- RegionProducts.cpp - Products on the tensor cores ----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RegionLowering.h"

#include "wyvern/Dialect/Delta/Utils/TileBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

//===----------------------------------------------------------------------===//
// Which operand is which
//===----------------------------------------------------------------------===//

/// Position of iteration dimension `dim` among the results of `map`.
static std::optional<int64_t> findDim(AffineMap map, unsigned dim) {
  for (auto [i, expr] : llvm::enumerate(map.getResults()))
    if (cast<AffineDimExpr>(expr).getPosition() == dim)
      return i;
  return std::nullopt;
}

std::optional<RegionLowering::Product>
RegionLowering::getProduct(Operation *op) {
  if (auto dot = dyn_cast<DecayDotOp>(op)) {
    std::optional<int64_t> m = orientation.getM(dot.getM());
    if (!m)
      return std::nullopt;
    // Of result^T = b a^T the same holds with the operands swapped.
    Value a = *m == 0 ? dot.getA() : dot.getB();
    Value b = *m == 0 ? dot.getB() : dot.getA();
    return Product{a, b, dot.getM(), /*aM=*/0, /*bN=*/0, *m};
  }
  auto contract = dyn_cast<linalg::ContractOp>(op);
  if (!contract)
    return std::nullopt;
  Value result = contract.getResult(0);
  std::optional<int64_t> m = orientation.getM(result);
  SmallVector<AffineMap> maps = contract.getIndexingMapsArray();
  if (!m || maps[0].getNumDims() != 3 || tensorOf(result).getRank() != 2)
    return std::nullopt;
  unsigned mDim = cast<AffineDimExpr>(maps[2].getResult(*m)).getPosition();
  unsigned nDim = cast<AffineDimExpr>(maps[2].getResult(1 - *m)).getPosition();
  int64_t first = findDim(maps[0], mDim) ? 0 : 1;
  return Product{
      contract.getInputs()[first], contract.getInputs()[1 - first], result,
      *findDim(maps[first], mDim), *findDim(maps[1 - first], nDim), *m};
}

//===----------------------------------------------------------------------===//
// Computed operands in shared memory
//===----------------------------------------------------------------------===//

LogicalResult RegionLowering::stage(Value value, Operation *op) {
  if (!staged.contains(value) || getShared(value))
    return success();
  RankedTensorType type = tensorOf(value);
  if (!tile::isHalf(type.getElementType()) ||
      type.getDimSize(1) % tile::kBlockColumns != 0)
    return op->emitOpError()
           << "computes " << type
           << ", which a product reads from shared memory; the GPU path takes "
              "bf16 or f16 with a multiple of "
           << tile::kBlockColumns << " columns there (delta-assign-precision)";
  std::optional<int64_t> m = orientation.getM(value);
  Tiles tiles = getTiles(value, op);
  if (tiles.empty())
    return failure();
  // In a role with the split dimension it has its part of that.
  SmallVector<int64_t> shape(type.getShape());
  shape[*m] = tile::kAccRows * static_cast<int64_t>(tiles.size());
  Value tile = allocate(shape, type.getElementType(), /*transient=*/false);
  for (auto [i, part] : llvm::enumerate(tiles))
    tile = tile::WriteOp::create(builder, op->getLoc(), part, tile,
                                 /*transpose=*/*m == 1, i,
                                 builder.getI64IntegerAttr(warps.barrier));
  shared[value] = tile;
  for (Operation *user : value.getUsers())
    if (isReadBack(user))
      shared[user->getResult(0)] = tile;
  ++numStaged;
  return success();
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

Value RegionLowering::emitMma(Location loc, Value a, int64_t block,
                              bool transposeA, Value b, bool transposeB,
                              Value c, bool isNegated, RankedTensorType type) {
  ++numProducts;
  auto inflight = tile::InflightType::get(builder.getContext(), type);
  Value d = tile::MmaOp::create(builder, loc, inflight, a, b, c, transposeA,
                                transposeB, block, isNegated);
  return tile::AwaitOp::create(builder, loc, type, d);
}

/// What a wgmma takes besides its 64 rows.
static LogicalResult checkProduct(Operation *op, int64_t k, int64_t n) {
  tile::TargetInfo target = tile::getTarget(op);
  if (target.hasProduct(k, n))
    return success();
  return op->emitOpError()
         << "sums over " << k << " elements into " << n
         << " columns; the tensor cores take a multiple of " << target.mmaDepth
         << " and a multiple of " << target.mmaColumns << " up to "
         << target.mostMmaColumns
         << ": use other head dimensions or fewer rows a token";
}

/// True for pairs of tokens, one row each, that come out of a channel: a lower
/// triangle.
static bool isLowerTriangle(Value tile) {
  if (auto rounded = tile.getDefiningOp<arith::TruncFOp>())
    tile = rounded.getIn();
  auto get = tile.getDefiningOp<sched::GetOp>();
  if (!get)
    return false;
  unsigned position = cast<OpResult>(tile).getResultNumber();
  for (Operation *user : get.getChannel().getUsers())
    if (auto put = dyn_cast<sched::PutOp>(user)) {
      auto dot = put.getTiles()[position].getDefiningOp<DecayDotOp>();
      return dot && dot.getRows() == ArrayRef<int64_t>{1, 1};
    }
  return false;
}

/// True if a product of 64 x 64 that adds to `c` can be in two pieces of
/// columns: accumulators of a whole product would be copied for that (ptxas
/// C7511).
static bool takesPieces(Value c) {
  return c && !c.getDefiningOp<tile::AwaitOp>() &&
         cast<RankedTensorType>(c.getType()).getShape() ==
             ArrayRef<int64_t>{tile::kAccRows, tile::kAccRows};
}

Value RegionLowering::emitProduct(Operation *op, const Product &product,
                                  Value init, int64_t block, bool isNegated) {
  const auto &[a, b, result, aM, bN, m] = product;
  for (Value operand : {a, b})
    if (!tile::isHalf(tensorOf(operand).getElementType())) {
      op->emitError() << "expected bf16 or f16 operands, found "
                      << operand.getType()
                      << "; choose dtype bf16 or f16 (delta-assign-precision)";
      return {};
    }
  Value sharedA = getShared(a), sharedB = getShared(b);
  if (!sharedB) {
    op->emitOpError()
        << "multiplies by " << b.getType()
        << " computed in the kernel; in a scan the GPU path takes only plain "
           "ins as the operand without the state's value dimension (compute it "
           "in a map before, or scale the other side: delta-simplify)";
    return {};
  }
  if (failed(checkProduct(op, tensorOf(a).getDimSize(1 - aM),
                          tensorOf(result).getDimSize(1 - m))))
    return {};
  Value tileA = sharedA ? sharedA : getTile(a, block, op, aM);
  Value tileC = init ? getTile(init, block, op, m) : Value();
  if (!tileA || (init && !tileC))
    return {};
  Value made = emitMma(op->getLoc(), tileA, sharedA ? block : 0,
                       /*transposeA=*/sharedA && aM == 1, sharedB,
                       /*transposeB=*/bN == 0, tileC, isNegated,
                       getRegisterType(result, m));
  if (bN == 0 && !sharedA && takesPieces(tileC) && isLowerTriangle(b))
    made.getDefiningOp<tile::AwaitOp>().getValue().getDefiningOp()->setAttr(
        tile::kLowerTriangleAttr, builder.getUnitAttr());
  return made;
}

LogicalResult RegionLowering::lowerContract(linalg::ContractOp op) {
  std::optional<Product> product = getProduct(op);
  if (!product)
    return op.emitError()
           << "expected a product of two matrices whose result "
              "has a dimension to be the rows of an accumulator, "
              "found "
           << op.getResult(0).getType();
  Value init = op.getOutputs().front();
  if (isZero(init))
    init = {};
  return keepTiles(op, [&](int64_t block) {
    return emitProduct(op, *product, init, block);
  });
}

std::optional<RegionLowering::ScaledSum>
RegionLowering::matchScaledSum(Operation *op) {
  if (!isMap || !isa<arith::AddFOp>(op) ||
      tensorOf(op->getResult(0)).getRank() != 2 ||
      countTiles(op->getResult(0), std::nullopt) != 1)
    return std::nullopt;
  constexpr int64_t kPartColumns = 32;
  for (unsigned i : {1u, 0u}) {
    auto scaled = op->getOperand(i).getDefiningOp<arith::MulFOp>();
    if (!scaled || !scaled->hasOneUse() || isMadeAtUse(op->getOperand(1 - i)))
      continue;
    for (unsigned j : {0u, 1u}) {
      auto scale = scaled->getOperand(j).getDefiningOp<linalg::BroadcastOp>();
      auto product =
          scaled->getOperand(1 - j).getDefiningOp<linalg::ContractOp>();
      std::optional<Product> operands =
          product ? getProduct(product) : std::nullopt;
      if (!scale || !operands || !product->hasOneUse() ||
          !isZero(product.getOutputs().front()) || !isShared(operands->a) ||
          !isShared(operands->b) ||
          scale.getDimensions() != ArrayRef<int64_t>(1 - operands->m) ||
          tensorOf(operands->result).getDimSize(1 - operands->m) %
                  kPartColumns !=
              0)
        continue;
      return ScaledSum{op->getOperand(1 - i), scale, product};
    }
  }
  return std::nullopt;
}

LogicalResult RegionLowering::lowerScaledSum(Operation *op, ScaledSum sum) {
  Location loc = op->getLoc();
  Product product = *getProduct(sum.product);
  Value term = getTile(sum.term, 0, op);
  Value vector = sum.scale.getInput();
  Value scale = makeAlong(loc, vector, tile::LayoutKind::row);
  if (!scale) {
    Value held = getRegister(vector, op);
    scale = held ? alongTile(loc, held, tile::LayoutKind::row, 1) : Value();
  }
  if (!term || !scale)
    return failure();
  ++numProducts;
  registers[op->getResult(0)] = {tile::AddScaledOp::create(
      builder, loc, term, scale, getShared(product.a), getShared(product.b),
      /*transpose_a=*/product.aM == 1, /*transpose_b=*/product.bN == 0)};
  return success();
}

LogicalResult RegionLowering::lowerEraseApply(EraseApplyOp op) {
  if (failed(checkFactorBlock(op, op.getBlock())))
    return failure();
  Value z = getShared(op.getZ());
  if (!z || isMap || orientation.getM(op.getR()) != 1)
    return op.emitOpError()
           << "solves by a factor that is computed in the kernel, or in a map; "
              "the GPU path takes one that is a plain in of a scan "
              "(delta-stage)";
  Value rate = getRegister(op.getRate(), op);
  if (!rate)
    return failure();
  rate = alongTile(op.getLoc(), rate, tile::LayoutKind::col, 1);
  return keepTiles(op, [&](int64_t block) -> Value {
    Value w = getTile(op.getW(), block, op, 1);
    if (!w)
      return {};
    // Its products add to halves of W's registers, which those of a product
    // that W is the accumulator of cannot be (ptxas C7511): these are copied.
    if (w.getDefiningOp<tile::AwaitOp>())
      w = arith::AddFOp::create(builder, op.getLoc(), w,
                                constant(op.getLoc(), w.getType(), 0));
    numProducts += 3;
    return tile::EraseApplyOp::create(builder, op.getLoc(), w, z, rate,
                                      op.getAdjoint());
  });
}
