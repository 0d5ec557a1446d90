//===- CoresRegion.cpp - Chunk operations on the cores ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CoresRegion.h"

#include "../Kernel/KernelOrientation.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

/// Returns `type` with the dimensions `kept`, each spread as it is.
static RankedTensorType keepDims(RankedTensorType type,
                                 ArrayRef<int64_t> kept) {
  SmallVector<int64_t> shape;
  SmallVector<tile::DimSpread> dims;
  for (int64_t dim : kept) {
    shape.push_back(type.getDimSize(dim));
    dims.push_back(tile::getSpread(type).getDims()[dim]);
  }
  return RankedTensorType::get(shape, type.getElementType(),
                               tile::SpreadAttr::get(type.getContext(), dims));
}

Value CoresRegion::get(Value tile, RankedTensorType type) {
  if (TypedAttr splat = getSplatValue(tile))
    return arith::ConstantOp::create(builder, tile.getLoc(),
                                     DenseElementsAttr::get(type, splat));
  if (auto broadcast = tile.getDefiningOp<linalg::BroadcastOp>())
    return makeBroadcast(broadcast, type);
  return values.lookup(tile);
}

bool CoresRegion::isKnown(Value tile) const {
  while (auto broadcast = tile.getDefiningOp<linalg::BroadcastOp>())
    tile = broadcast.getInput();
  return getSplatValue(tile) || values.contains(tile);
}

Value CoresRegion::makeBroadcast(linalg::BroadcastOp op,
                                 RankedTensorType type) {
  SmallVector<int64_t> kept, from(type.getRank(), -1);
  for (int64_t dim = 0; dim < type.getRank(); ++dim)
    if (!llvm::is_contained(op.getDimensions(), dim)) {
      from[dim] = static_cast<int64_t>(kept.size());
      kept.push_back(dim);
    }
  return tile::RearrangeOp::create(builder, op.getLoc(), type,
                                   get(op.getInput(), keepDims(type, kept)),
                                   from);
}

void CoresRegion::rearrange(Value source, Value result,
                            ArrayRef<int64_t> from) {
  set(result, tile::RearrangeOp::create(builder, result.getLoc(),
                                        getType(result), get(source), from));
}

/// Operands that are made where they are used are spread as the loops say that
/// they share with the result and the others.
void CoresRegion::lowerContract(linalg::ContractOp op) {
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  Value operands[] = {op.getInputs()[0], op.getInputs()[1], op.getOutputs()[0]};
  RankedTensorType result = getType(op->getResult(0));
  SmallVector<std::pair<int64_t, tile::DimSpread>> loops(
      maps.front().getNumDims());
  auto note = [&](AffineMap map, RankedTensorType type) {
    for (auto [dim, expr] : llvm::enumerate(map.getResults()))
      loops[cast<AffineDimExpr>(expr).getPosition()] = {
          type.getDimSize(dim), tile::getSpread(type).getDims()[dim]};
  };
  note(maps[2], result);
  for (unsigned i : {0, 1})
    if (!SpreadPlan::isMadeWhereUsed(operands[i]))
      note(maps[i], getType(operands[i]));
  auto makeType = [&](AffineMap map) {
    SmallVector<int64_t> shape;
    SmallVector<tile::DimSpread> dims;
    for (AffineExpr expr : map.getResults()) {
      auto [size, spread] = loops[cast<AffineDimExpr>(expr).getPosition()];
      shape.push_back(size);
      dims.push_back(spread);
    }
    return RankedTensorType::get(
        shape, result.getElementType(),
        tile::SpreadAttr::get(builder.getContext(), dims));
  };
  SmallVector<Value, 3> lowered;
  for (auto [operand, map] : llvm::zip_equal(operands, maps))
    lowered.push_back(get(operand, makeType(map)));
  // What all warps share is summed up in shared memory, and what all blocks of
  // a head share in that of each of them.
  int64_t warps = 1, blocks = 1;
  for (auto [loop, spread] : llvm::enumerate(loops))
    if (!maps[2].isFunctionOfDim(loop))
      warps *= spread.second.warps;
  if (std::optional<int64_t> dim = plan.getSplitDim(operands[0]))
    if (!maps[2].isFunctionOfDim(maps[0].getDimPosition(*dim)))
      blocks = plan.getSplit();
  Value scratch = warps * blocks == 1
                      ? Value()
                      : createScratch(op.getLoc(),
                                      warps * blocks * result.getNumElements());
  set(op->getResult(0),
      tile::ContractOp::create(builder, op.getLoc(), result, lowered[0],
                               lowered[1], lowered[2], scratch,
                               op.getIndexingMaps(), blocks));
}

/// Returns a vector of f32 in shared memory.
Value CoresRegion::createScratch(Location loc, int64_t size) {
  OpBuilder::InsertionGuard guard(builder);
  Operation *op = builder.getInsertionBlock()->getParentOp();
  auto kernel = isa<tile::KernelOp>(op) ? cast<tile::KernelOp>(op)
                                        : op->getParentOfType<tile::KernelOp>();
  builder.setInsertionPointToStart(&kernel.getBody().front());
  auto type =
      tile::SmemType::get(builder.getContext(), {size}, builder.getF32Type());
  return tile::AllocOp::create(builder, loc, type, /*transient=*/false,
                               /*offset=*/IntegerAttr());
}

void CoresRegion::lowerElementwise(Operation *op) {
  RankedTensorType type = getType(op->getResult(0));
  SmallVector<Value> operands;
  for (Value operand : op->getOperands())
    operands.push_back(
        get(operand, type.clone(getElementTypeOrSelf(operand.getType()))));
  Operation *lowered =
      builder.create(op->getLoc(), op->getName().getIdentifier(), operands,
                     type, op->getAttrs());
  set(op->getResult(0), lowered->getResult(0));
}

/// A sum over a dimension of one element is that element.
LogicalResult CoresRegion::lowerReduce(linalg::ReduceOp op) {
  auto source = cast<RankedTensorType>(op.getInputs().front().getType());
  auto zero = dyn_cast_or_null<FloatAttr>(getSplatValue(op.getInits().front()));
  bool isOne = llvm::all_of(op.getDimensions(), [&](int64_t dim) {
    return source.getDimSize(dim) == 1;
  });
  if (!isOne || !zero || !zero.getValue().isZero())
    return op.emitOpError()
           << "sums over several elements; the path of the CUDA cores takes "
              "such sums as products only (target \"cpu\" takes all)";
  SmallVector<int64_t> from;
  for (int64_t dim = 0; dim < source.getRank(); ++dim)
    if (!llvm::is_contained(op.getDimensions(), dim))
      from.push_back(dim);
  rearrange(op.getInputs().front(), op->getResult(0), from);
  return success();
}

LogicalResult CoresRegion::lowerSolve(EraseSolveOp op) {
  if (!op.getR().use_empty())
    return op.emitOpError() << "has a use of R; the path of the CUDA cores "
                               "makes U alone (target \"cpu\" takes all)";
  auto whole = [&](Value tile) {
    auto type = cast<RankedTensorType>(tile.getType());
    return RankedTensorType::get(
        type.getShape(), type.getElementType(),
        tile::SpreadAttr::get(builder.getContext(),
                              SmallVector<tile::DimSpread>(type.getRank())));
  };
  set(op.getU(), tile::SolveRowsOp::create(
                     builder, op.getLoc(), get(op.getL(), whole(op.getL())),
                     get(op.getRate(), whole(op.getRate())), get(op.getW())));
  return success();
}

/// Splits columns into halves, or joins them: each thread has as much of both,
/// where they are spread as rows are that the state is multiplied by.
LogicalResult CoresRegion::lowerHalves(Operation *op) {
  auto split = dyn_cast<SplitColumnsOp>(op);
  Value whole = split ? split.getX() : cast<JoinColumnsOp>(op).getY();
  Value half = split ? split.getA() : cast<JoinColumnsOp>(op).getA();
  RankedTensorType type = getType(whole), part = getType(half);
  if (plan.getSplitDim(whole) || type.getEncoding() != part.getEncoding())
    return op->emitOpError()
           << "has halves of values, of which a block has a part; the path of "
              "the CUDA cores takes those of keys and queries (target \"cpu\" "
              "takes all)";
  if (auto join = dyn_cast<JoinColumnsOp>(op))
    return set(join.getY(),
               tile::JoinColumnsOp::create(builder, op->getLoc(), type,
                                           get(join.getA()), get(join.getB()))),
           success();
  for (Value result : {split.getA(), split.getB()})
    set(result,
        tile::HalfColumnsOp::create(builder, op->getLoc(), part,
                                    get(split.getX()), result == split.getB()));
  return success();
}

LogicalResult CoresRegion::lower(Operation *op) {
  if (isa<tensor::EmptyOp>(op) ||
      (op->getNumResults() == 1 &&
       SpreadPlan::isMadeWhereUsed(op->getResult(0))))
    return success();
  if (auto contract = dyn_cast<linalg::ContractOp>(op))
    return lowerContract(contract), success();
  if (auto transpose = dyn_cast<linalg::TransposeOp>(op))
    return rearrange(transpose.getInput(), transpose->getResult(0),
                     transpose.getPermutation()),
           success();
  if (auto reduce = dyn_cast<linalg::ReduceOp>(op))
    return lowerReduce(reduce);
  if (auto solve = dyn_cast<EraseSolveOp>(op))
    return lowerSolve(solve);
  if (auto repeat = dyn_cast<RepeatRowsOp>(op)) {
    SmallVector<int64_t> from = {-1};
    for (int64_t dim = 1; dim < getTileRank(repeat.getY()); ++dim)
      from.push_back(dim);
    return rearrange(repeat.getX(), repeat.getY(), from), success();
  }
  if (isa<SplitColumnsOp, JoinColumnsOp>(op))
    return lowerHalves(op);
  // All rows of a chunk of one token are valid.
  if (auto mask = dyn_cast<MaskRowsOp>(op))
    return set(mask.getY(), get(mask.getX())), success();
  if (op->hasTrait<OpTrait::Elementwise>() && op->getNumResults() == 1)
    return lowerElementwise(op), success();
  return op->emitOpError() << "is nothing that the path of the CUDA cores "
                              "takes (target \"cpu\" takes all)";
}
