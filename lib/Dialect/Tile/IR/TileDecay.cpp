//===- TileDecay.cpp - Constraints of products with a decay a channel -----===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// The numbers (C..) are those of docs/spec.md.
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Tile/IR/Tile.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

static RankedTensorType tensorOf(Value global) {
  return cast<GlobalType>(global.getType()).getTensor();
}

/// Returns the tensors in the order of their coordinates.
static SmallVector<Value> getTensors(DecayedProductsOp op) {
  SmallVector<Value> tensors = {op.getG()};
  llvm::append_range(tensors, op.getRows());
  llvm::append_range(tensors, op.getOuts());
  if (op.getTotal())
    tensors.push_back(op.getTotal());
  return tensors;
}

OperandRange DecayedProductsOp::getCoordsOf(unsigned i) {
  unsigned first = 0;
  SmallVector<Value> tensors = getTensors(*this);
  for (Value tensor : ArrayRef(tensors).take_front(i))
    first += tensorOf(tensor).getRank();
  return getCoords().slice(first, tensorOf(tensors[i]).getRank());
}

int64_t DecayedProductsOp::getColumns() {
  return tensorOf(getG()).getShape().back();
}

/// Sums of gates; four factors for each channel and block of 8 rows; and what
/// warps hand each other: first the sums of these blocks, then rows of 16 bits
/// for two panels of 16 channels. In the end two products.
int64_t DecayedProductsOp::getScratchSize(int64_t columns) {
  constexpr int64_t blocks = 8, panels = 1536;
  int64_t size =
      (kAccRows + 4 * blocks) * columns + std::max(blocks * columns, panels);
  return std::max(size, 2 * kAccRows * kProductPitch);
}

/// True for a tensor of rows of `columns` elements, and of none behind them,
/// that lie side by side.
static bool hasWholeRows(Value global, int64_t columns, int64_t dim,
                         bool isHalf) {
  auto type = cast<GlobalType>(global.getType());
  RankedTensorType tensor = type.getTensor();
  Type element = tensor.getElementType();
  bool isElement = isHalf ? element.isBF16() : element.isF32();
  return dim < tensor.getRank() - 1 && isElement &&
         tensor.getShape().back() == columns &&
         (type.getDense() || type.getContiguous());
}

/// Checks that each number is that of one of the rows.
static LogicalResult verifyNumbers(DecayedProductsOp op) {
  auto isRow = [&](int64_t i) {
    return i >= 0 && i < static_cast<int64_t>(op.getRows().size());
  };
  size_t outs = op.getOuts().size(), products = op.getProducts().size();
  bool areRows = isRow(op.getRight()) && llvm::all_of(op.getLeft(), isRow) &&
                 llvm::all_of(op.getSource(), isRow);
  if (areRows && op.getLeft().size() == products &&
      op.getDiagonal().size() == products && op.getSource().size() == outs &&
      op.getToEnd().size() == outs)
    return success();
  return op.emitOpError()
         << "(C3) expected left and diagonal for each product, source and "
            "to_end for each out, and numbers below the "
         << op.getRows().size() << " rows";
}

LogicalResult DecayedProductsOp::verify() {
  int64_t coords = 0, dim = getDim();
  for (Value tensor : getTensors(*this))
    coords += tensorOf(tensor).getRank();
  if (static_cast<int64_t>(getCoords().size()) != coords)
    return emitOpError() << "(C1) expected a coordinate for each dimension of "
                            "the tensors, "
                         << coords << " in all, found " << getCoords().size();
  int64_t columns = getColumns();
  auto isHalf = [&](Value rows) {
    return hasWholeRows(rows, columns, dim, /*isHalf=*/true);
  };
  if (columns % kBlockColumns != 0 || dim < 0 ||
      !hasWholeRows(getG(), columns, dim, /*isHalf=*/false) ||
      !llvm::all_of(getRows(), isHalf) || !llvm::all_of(getOuts(), isHalf))
    return emitOpError() << "(C2) expected gates of f32 and rows of bf16 along "
                            "dimension "
                         << dim << ", without gaps, of the same multiple of "
                         << kBlockColumns << " channels";
  if (failed(verifyNumbers(*this)))
    return failure();
  Type product = getTileType({kAccRows, kAccRows},
                             Float32Type::get(getContext()), LayoutKind::acc);
  bool areProducts = llvm::all_of(
      getProducts(), [&](Value value) { return value.getType() == product; });
  if (!areProducts || getProducts().empty() || getProducts().size() > 2)
    return emitOpError() << "(C4) expected one or two products " << product;
  SmemType scratch = getScratch().getType();
  if (scratch.getShape() != ArrayRef<int64_t>(getScratchSize(columns)))
    return emitOpError() << "(C5) expected a scratch tile of "
                         << getScratchSize(columns) << " f32, found "
                         << scratch;
  return success();
}
