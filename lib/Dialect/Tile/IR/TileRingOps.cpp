//===- TileRingOps.cpp - Constraints of rings ---------------------------===//
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

template <typename OpT> static LogicalResult verifyStage(OpT op) {
  ArrayRef<Type> tiles = op.getRing().getType().getTiles();
  if (!llvm::equal(tiles, op.getTiles().getTypes()))
    return op.emitOpError()
           << "(C1) expected the tiles of " << op.getRing().getType()
           << ", found " << op.getTiles().getTypes();
  return success();
}

/// True if the rings and barriers of `op` are those of a cluster of `blocks`.
static bool isInCluster(Operation *op, int64_t blocks) {
  auto kernel = op->getParentOfType<KernelOp>();
  return !kernel || static_cast<int64_t>(kernel.getCluster()) == blocks;
}

LogicalResult SendOp::verify() {
  auto ring = getRing().getDefiningOp<AllocRingOp>();
  if (ring && ring.getAcross() == 1)
    return emitOpError() << "(C1) expected a ring across blocks, found one "
                            "whose stages are this block's alone";
  SmemType piece = getPiece().getType();
  bool isVector = piece.getShape().size() == 1 && piece.getShape()[0] % 4 == 0;
  bool isBlock = piece.isSwizzled() && piece.getShape()[1] == kBlockColumns;
  if (!isVector && !isBlock)
    return emitOpError() << "(C2) expected a piece of " << kBlockColumns
                         << " columns of 16 bits, or a vector of a multiple of "
                            "4, which lie side by side, found "
                         << piece;
  return success();
}

/// Checks that `tile` has the place for half of the columns of `value`, which
/// each thread of a warpgroup has in pieces of 16 bytes.
static LogicalResult verifyColumns(Operation *op, Value value, SmemType tile) {
  constexpr int64_t kHalves = 2, kPieceColumns = 16;
  auto type = cast<RankedTensorType>(value.getType());
  auto layout = dyn_cast_or_null<LayoutAttr>(type.getEncoding());
  bool isHalf = tile.getShape().size() == 2 &&
                tile.getElementType() == type.getElementType() &&
                tile.getShape()[0] == type.getDimSize(0) &&
                tile.getShape()[1] * kHalves == type.getDimSize(1);
  if (layout && tile::isHalf(type.getElementType()) && isHalf &&
      type.getDimSize(0) == kAccRows && tile.getShape()[1] % kPieceColumns == 0)
    return success();
  return op->emitOpError()
         << "(C1) expected a tile of " << kAccRows
         << " rows in 16 bits, and a place for half of its columns, a multiple "
            "of "
         << kPieceColumns << ", found " << type << " and " << tile;
}

LogicalResult SendColumnsOp::verify() {
  auto ring = getRing().getDefiningOp<AllocRingOp>();
  if (ring && ring.getAcross() == 1)
    return emitOpError() << "(C2) expected a ring across blocks, found one "
                            "whose stages are this block's alone";
  return verifyColumns(*this, getValue(), getTile().getType());
}

LogicalResult AddColumnsOp::verify() {
  auto sum = cast<RankedTensorType>(getSum().getType());
  auto value = cast<RankedTensorType>(getValue().getType());
  if (sum.getShape() != getTile().getType().getShape() ||
      sum.getElementType() != value.getElementType() ||
      sum.getEncoding() != value.getEncoding())
    return emitOpError() << "(C2) expected a sum of the place's shape, in the "
                            "value's type and layout, found "
                         << sum;
  return verifyColumns(*this, getValue(), getTile().getType());
}

LogicalResult AllocRingOp::verify() {
  // One thread issues the loads of a stage and expects their bytes.
  if (getRing().getType().getFill() == Fill::tma && getProducers() != 1)
    return emitOpError()
           << "(C1) expected one producer warp of a ring that TMA "
              "fills, found "
           << getProducers();
  int64_t across = getAcross();
  if (across != 1 && (across < 1 || !isInCluster(*this, across) ||
                      getRing().getType().getFill() != Fill::warps))
    return emitOpError() << "(C2) expected a ring across the blocks of the "
                            "kernel's cluster, which warps fill, found "
                         << across << " blocks and " << getRing().getType();
  return success();
}

LogicalResult AcquireOp::verify() { return verifyStage(*this); }
LogicalResult WaitOp::verify() { return verifyStage(*this); }

/// Checks the bytes that other blocks send into a stage.
static LogicalResult verifySentBytes(CommitOp op, AllocRingOp ring) {
  int64_t producers = ring.getProducers();
  std::optional<int64_t> bytes = op.getBytes();
  if (bytes && *bytes >= 0 && *bytes % producers == 0)
    return success();
  InFlightDiagnostic diagnostic =
      op.emitOpError() << "(C2) expected the bytes that other blocks send into "
                          "a stage of a ring across blocks, a multiple of its "
                       << producers << " producers, found ";
  if (bytes)
    return diagnostic << *bytes;
  return diagnostic << "none";
}

LogicalResult CommitOp::verify() {
  RingType ring = getRing().getType();
  auto alloc = getRing().getDefiningOp<AllocRingOp>();
  if (alloc && alloc.getAcross() > 1)
    return verifySentBytes(*this, alloc);
  int64_t most = ring.getTransactionBytes();
  if (std::optional<int64_t> bytes = getBytes();
      bytes && (*bytes < 1 || *bytes > most))
    return emitOpError() << "(C1) expected 1 to " << most
                         << " bytes that TMA brings into a stage, found "
                         << *bytes;
  return success();
}

LogicalResult ClearStagesOp::verify() {
  ArrayRef<Type> tiles = getRing().getType().getTiles();
  int64_t number = getTile(), from = getFrom();
  auto tile = number >= 0 && number < static_cast<int64_t>(tiles.size())
                  ? cast<SmemType>(tiles[number])
                  : SmemType();
  if (!tile || !tile.isSwizzled() || from < 0 || from >= tile.getShape()[0])
    return emitOpError()
           << "(C1) expected the number of a matrix of 16 bits of "
              "the ring and a row of it, found tile "
           << number << " and row " << from << " of " << getRing().getType();
  return success();
}
