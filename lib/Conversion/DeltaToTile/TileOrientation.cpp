//===- TileOrientation.cpp - Which dimension of a value is M ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TileOrientation.h"

#include "wyvern/Dialect/Tile/IR/Tile.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

bool wyvern::isSplat(Value value) {
  Operation *op = value.getDefiningOp();
  if (auto fill = dyn_cast_or_null<linalg::FillOp>(op))
    return matchPattern(fill.getInputs().front(), m_Constant());
  return isa_and_nonnull<arith::ConstantOp, tensor::EmptyOp>(op);
}

TypedAttr wyvern::getSplatValue(Value value) {
  if (auto fill = value.getDefiningOp<linalg::FillOp>())
    value = fill.getInputs().front();
  auto constant = value.getDefiningOp<arith::ConstantOp>();
  if (!constant)
    return {};
  if (auto splat = dyn_cast<SplatElementsAttr>(constant.getValue()))
    return splat.getSplatValue<TypedAttr>();
  return dyn_cast<FloatAttr>(constant.getValue());
}

//===----------------------------------------------------------------------===//
// Dimensions that range over the same thing
//===----------------------------------------------------------------------===//

unsigned TileOrientation::number(Value value, int64_t dim) {
  auto [it, inserted] =
      numbers.try_emplace({value, dim}, static_cast<unsigned>(numbers.size()));
  if (inserted)
    classes.insert(it->second);
  return it->second;
}

void TileOrientation::join(Value a, int64_t aDim, Value b, int64_t bDim) {
  if (!isSplat(a) && !isSplat(b))
    classes.unionSets(number(a, aDim), number(b, bDim));
}

static int64_t rankOf(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type ? type.getRank() : 0;
}

void TileOrientation::addContraction(ArrayRef<AffineMap> maps,
                                     ValueRange values, AffineMap outMap) {
  // The first (value, dim) seen for each iteration dimension.
  DenseMap<unsigned, Dim> first;
  for (auto [map, value] : llvm::zip_equal(maps, values)) {
    if (isSplat(value))
      continue;
    for (auto [dim, expr] : llvm::enumerate(map.getResults())) {
      unsigned iteration = cast<AffineDimExpr>(expr).getPosition();
      auto [it, inserted] = first.try_emplace(iteration, Dim{value, dim});
      if (!inserted)
        join(it->second.first, it->second.second, value, dim);
      if (!outMap.isFunctionOfDim(iteration))
        contracted.push_back(number(value, dim));
    }
  }
}

void TileOrientation::addOp(Operation *op) {
  if (auto contract = dyn_cast<linalg::ContractOp>(op)) {
    SmallVector<AffineMap> maps = contract.getIndexingMapsArray();
    SmallVector<Value> values(contract.getInputs());
    values.append({contract.getOutputs().front(), contract.getResult(0)});
    AffineMap out = maps.back();
    maps.push_back(out);
    return addContraction(maps, values, out);
  }
  if (auto dot = dyn_cast<DecayDotOp>(op)) {
    join(dot.getA(), 0, dot.getM(), 0);
    join(dot.getB(), 0, dot.getM(), 1);
    contracted.push_back(number(dot.getA(), 1));
    return join(dot.getA(), 1, dot.getB(), 1);
  }
  if (auto broadcast = dyn_cast<linalg::BroadcastOp>(op)) {
    int64_t from = 0;
    for (int64_t dim = 0; dim < rankOf(broadcast->getResult(0)); ++dim)
      if (!llvm::is_contained(broadcast.getDimensions(), dim))
        join(broadcast.getInput(), from++, broadcast->getResult(0), dim);
    return;
  }
  if (isa<linalg::ReduceOp, YieldOp>(op) || op->getNumResults() != 1)
    return;
  // Whatever else there is keeps dimensions in place.
  Value result = op->getResult(0);
  for (Value operand : op->getOperands())
    if (rankOf(operand) == rankOf(result))
      for (int64_t dim = 0; dim < rankOf(result); ++dim)
        join(operand, dim, result, dim);
}

bool TileOrientation::isContracted(Dim dim) const {
  auto it = numbers.find(dim);
  if (it == numbers.end())
    return false;
  return llvm::any_of(contracted, [&](unsigned other) {
    return classes.isEquivalent(it->second, other);
  });
}

//===----------------------------------------------------------------------===//
// Scans
//===----------------------------------------------------------------------===//

LogicalResult TileOrientation::findLane(ChunkScanOp scan) {
  BlockArgument carry = scan.getCarryArg(0);
  for (int64_t dim = rankOf(carry) - 1; dim >= 0; --dim) {
    if (isContracted({carry, dim}))
      continue;
    lane = number(carry, dim);
    laneSize = cast<RankedTensorType>(carry.getType()).getDimSize(dim);
    break;
  }
  if (!lane)
    return scan.emitError()
           << "every dimension of the carried state is summed over by some "
              "product of the chunk, so no dimension can be split over blocks; "
              "the GPU lowering needs one that is not";
  if (laneSize % tile::kAccRows != 0)
    return scan.emitError()
           << "expected the state's value dimension to be a multiple of "
           << tile::kAccRows << " (the rows of a wgmma accumulator), found "
           << laneSize << "; use 64 or 128";
  return success();
}

FailureOr<TileOrientation> TileOrientation::analyze(ChunkScanOp scan) {
  TileOrientation orientation;
  if (scan.getInits().empty())
    return scan.emitError() << "expected a carried state; use delta.chunk_map "
                               "for what is independent of the order of chunks";
  for (auto [i, yielded] : llvm::enumerate(scan.getYield().getCarries()))
    for (int64_t dim = 0; dim < rankOf(yielded); ++dim)
      orientation.join(scan.getCarryArg(i), dim, yielded, dim);
  scan.getBlock().walk([&](Operation *op) { orientation.addOp(op); });
  if (failed(orientation.findLane(scan)))
    return failure();
  return orientation;
}

FailureOr<TileOrientation> TileOrientation::analyze(ChunkMapOp map) {
  TileOrientation orientation;
  orientation.laneSize = tile::kAccRows;
  return orientation;
}

/// The M dimension of a map's value: see TileOrientation.
static std::optional<int64_t> getMapM(RankedTensorType type) {
  if (type.getRank() != 2)
    return std::nullopt;
  ArrayRef<int64_t> shape = type.getShape();
  auto isBlock = [](int64_t size) { return size == tile::kAccRows; };
  auto isBlocks = [](int64_t size) { return size % tile::kAccRows == 0; };
  const int64_t *found = llvm::find_if(shape, isBlock);
  if (found == shape.end())
    found = llvm::find_if(shape, isBlocks);
  if (found == shape.end())
    return std::nullopt;
  return found - shape.begin();
}

std::optional<int64_t> TileOrientation::getM(Value value) const {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type)
    return std::nullopt;
  if (!lane)
    return getMapM(type);
  for (int64_t dim = 0; dim < type.getRank(); ++dim) {
    auto it = numbers.find({value, dim});
    if (it != numbers.end() && classes.isEquivalent(it->second, *lane))
      return dim;
  }
  return std::nullopt;
}

int64_t TileOrientation::getBlocks(Value value, int64_t m) const {
  return lane ? 1 : tensorOf(value).getDimSize(m) / tile::kAccRows;
}
