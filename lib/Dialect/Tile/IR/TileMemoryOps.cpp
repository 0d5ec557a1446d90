//===- TileMemoryOps.cpp - Constraints of accesses to memory ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The numbers (C..) are those of docs/spec.md.
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Tile/IR/Tile.h"

#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

/// True for a view of equally many rows, in all columns, of a 16-bit matrix.
static bool isViewOfRows(SmemType tile, SmemType view) {
  if (!tile.isSwizzled() || tile.getElementType() != view.getElementType())
    return false;
  int64_t rows = view.getShape()[0];
  return rows < tile.getShape()[0] && tile.getShape()[0] % rows == 0 &&
         view.getShape()[1] == tile.getShape()[1] &&
         view.getWholeRows() == tile.getBlockRows();
}

LogicalResult SubviewOp::verify() {
  SmemType tile = getTile().getType(), view = getView().getType();
  if (isViewOfRows(tile, view))
    return success();
  // What lies in one piece: blocks of 64 columns of a 16-bit matrix, else rows.
  size_t dim = tile.isSwizzled() ? 1 : 0;
  bool matches = tile.getElementType() == view.getElementType() &&
                 tile.getShape().size() == view.getShape().size() &&
                 tile.getWholeRows() == view.getWholeRows();
  for (size_t i = 0; matches && i < tile.getShape().size(); ++i) {
    int64_t whole = tile.getShape()[i], piece = view.getShape()[i];
    matches = i == dim ? whole % piece == 0 : whole == piece;
  }
  if (!matches ||
      (tile.isSwizzled() && view.getShape()[1] % kBlockColumns != 0))
    return emitOpError() << "(C1) expected one of several equal pieces of a "
                            "tile: blocks of "
                         << kBlockColumns
                         << " columns of a 16-bit matrix, or rows of it, which "
                            "say of how many, else rows; found "
                         << view << " of " << tile;
  return success();
}

/// What every access to a tensor of device memory keeps: a coordinate a
/// dimension, dimensions that there are, and elements of one type, since none
/// is converted on the way.
static LogicalResult verifyAccess(Operation *op, RankedTensorType tensor,
                                  size_t coords, ArrayRef<int64_t> dims,
                                  Type element) {
  if (static_cast<int64_t>(coords) != tensor.getRank())
    return op->emitOpError()
           << "(C1) expected a coordinate for each dimension of " << tensor
           << ", found " << coords;
  for (int64_t dim : dims)
    if (dim < 0 || dim >= tensor.getRank())
      return op->emitOpError()
             << "(C2) expected a dimension of " << tensor << ", found " << dim;
  if (element && element != tensor.getElementType())
    return op->emitOpError()
           << "(C3) expected elements of " << tensor.getElementType()
           << ", found " << element;
  return success();
}

/// Checks that `op` loads into a ring whose stages are full when loads end.
template <typename OpT> static LogicalResult verifyLoadedRing(OpT op) {
  if (op.getRing().getType().getFill() == Fill::tma)
    return success();
  return op.emitOpError() << "(C4) expected a ring that TMA fills, found "
                          << op.getRing().getType();
}

LogicalResult LoadOp::verify() {
  if (failed(verifyLoadedRing(*this)))
    return failure();
  return verifyAccess(*this, getMap().getType().getTensor(), getCoords().size(),
                      {}, getTile().getType().getElementType());
}

LogicalResult LoadVectorOp::verify() {
  if (failed(verifyLoadedRing(*this)))
    return failure();
  int64_t dim = getDim();
  return verifyAccess(*this, getGlobal().getType().getTensor(),
                      getCoords().size(), dim, /*element=*/Type());
}

LogicalResult LoadScalarOp::verify() {
  return verifyAccess(*this, getGlobal().getType().getTensor(),
                      getCoords().size(), {}, /*element=*/Type());
}

LogicalResult LoadRowsOp::verify() {
  if (failed(verifyLoadedRing(*this)))
    return failure();
  int64_t dim = getDim();
  SmemType tile = getTile().getType();
  if (tile.getShape().size() != 2 || !tile.getElementType().isF32())
    return emitOpError() << "(C5) expected a matrix of f32, found " << tile;
  return verifyAccess(*this, getGlobal().getType().getTensor(),
                      getCoords().size(), dim, tile.getElementType());
}

LogicalResult StoreRowsOp::verify() {
  int64_t dim = getDim();
  auto value = cast<RankedTensorType>(getValue().getType());
  if (failed(verifyAccess(*this, getGlobal().getType().getTensor(),
                          getCoords().size(), dim, value.getElementType())))
    return failure();
  if (getEvery() < 1 || (getEvery() > 1 && !getStaging()))
    return emitOpError() << "(C7) expected rows that are at least one apart, "
                            "and through a staging tile where they are more, "
                            "found every "
                         << getEvery();
  if (!getStaging()) {
    if (isHalf(value.getElementType()) &&
        value.getDimSize(getTranspose() ? 0 : 1) % 16 == 0)
      return success();
    return emitOpError() << "(C5) expected a staging tile, or bf16 or f16 and "
                            "rows of a multiple of 16 elements, found "
                         << value;
  }
  SmemType staging = getStaging().getType();
  SmallVector<int64_t> shape(value.getShape());
  if (getTranspose())
    std::reverse(shape.begin(), shape.end());
  // Columns of the value can go in pieces, one after the other.
  bool isPiece = getTranspose() && staging.isSwizzled() &&
                 staging.getShape()[1] == shape[1] &&
                 staging.getShape()[0] != shape[0] &&
                 shape[0] % staging.getShape()[0] == 0;
  if ((staging.getShape() != ArrayRef(shape) && !isPiece) ||
      staging.getElementType() != value.getElementType())
    return emitOpError() << "(C4) expected a staging tile of the shape and "
                            "element type of "
                         << value << (getTranspose() ? ", transposed" : "")
                         << ", found " << staging;
  if (getOwn() && (!staging.isSwizzled() || isPiece))
    return emitOpError() << "(C6) expected a staging tile of 16 bits for the "
                            "whole of "
                         << value << ", found " << staging;
  return success();
}

LogicalResult CopyRowsOp::verify() {
  SmemType tile = getTile().getType();
  int64_t dim = getDim();
  if (failed(verifyAccess(*this, getGlobal().getType().getTensor(),
                          getCoords().size(), dim, tile.getElementType())))
    return failure();
  if (!tile.isSwizzled())
    return emitOpError() << "(C4) expected a matrix of 16 bits, found " << tile;
  return success();
}

LogicalResult StoreVectorOp::verify() {
  int64_t dim = getDim();
  return verifyAccess(*this, getGlobal().getType().getTensor(),
                      getCoords().size(), dim,
                      getElementTypeOrSelf(getValue().getType()));
}

LogicalResult LoadMatrixOp::verify() {
  return verifyAccess(*this, getGlobal().getType().getTensor(),
                      getCoords().size(), getDims(),
                      getElementTypeOrSelf(getValue().getType()));
}

LogicalResult FetchRowsOp::verify() {
  if (getEvery() < 1)
    return emitOpError() << "(C4) expected rows that are at least one apart, "
                            "found every "
                         << getEvery();
  RankedTensorType tensor = getGlobal().getType().getTensor();
  int64_t dims[] = {static_cast<int64_t>(getDim()), tensor.getRank() - 1};
  return verifyAccess(*this, tensor, getCoords().size(), dims,
                      getElementTypeOrSelf(getValue().getType()));
}

LogicalResult StoreMatrixOp::verify() {
  return verifyAccess(*this, getGlobal().getType().getTensor(),
                      getCoords().size(), getDims(),
                      getElementTypeOrSelf(getValue().getType()));
}

LogicalResult ZeroFillOp::verify() {
  int64_t dim = getDim();
  return verifyAccess(*this, getGlobal().getType().getTensor(),
                      getCoords().size(), dim, /*element=*/Type());
}
