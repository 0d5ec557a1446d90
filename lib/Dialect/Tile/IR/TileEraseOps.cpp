//===- TileEraseOps.cpp - Constraints of a chunk's factor ---------------===//
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

/// True for the tile of a factor, in one part or in two.
static bool isFactor(SmemType z) {
  return (z.getShape() == ArrayRef<int64_t>{kAccRows, kAccRows} ||
          hasTwoParts(z)) &&
         isHalf(z.getElementType());
}

/// Diagnoses the tiles that both halves of a factor write.
static LogicalResult verifyFactorTiles(Operation *op, SmemType z,
                                       SmemType scratch) {
  if (!isFactor(z))
    return op->emitOpError() << "(C4) expected Z of 64 x 64, or in two parts "
                                "64 x 128, bf16 or f16, found "
                             << z;
  auto expected = SmemType::get(op->getContext(), {kFactorScratch},
                                Float32Type::get(op->getContext()));
  if (scratch != expected)
    return op->emitOpError() << "(C3) expected a scratch tile of " << expected
                             << ", found " << scratch;
  return success();
}

LogicalResult EraseStripsOp::verify() {
  Type element = Float32Type::get(getContext());
  Type held = getTileType({kAccRows, kAccRows}, element, LayoutKind::acc);
  Type shared = SmemType::get(getContext(), {kAccRows, kAccRows}, element);
  if (getL().getType() != held && getL().getType() != shared)
    return emitOpError() << "(C1) expected L of 64 x 64 f32 in the acc layout "
                            "or in shared memory, found "
                         << getL().getType();
  Type rate = getRate().getType();
  bool mayBeShared = getL().getType() == shared;
  if (rate != getTileType({kAccRows}, element, LayoutKind::warp) &&
      !(mayBeShared &&
        rate == SmemType::get(getContext(), {kAccRows}, element)))
    return emitOpError()
           << "(C2) expected 64 rates held by every warp or, as L, "
              "in shared memory, found "
           << rate;
  if (getScaled() && !isa<SmemType>(rate))
    return emitOpError() << "(C6) expected rates in shared memory to scale the "
                            "rows of other warps with, found "
                         << rate;
  return verifyFactorTiles(*this, getZ().getType(), getScratch().getType());
}

LogicalResult EraseJoinOp::verify() {
  if (failed(
          verifyFactorTiles(*this, getZ().getType(), getScratch().getType())))
    return failure();
  auto begun = getZ().getDefiningOp<EraseStripsOp>();
  if (!begun || begun.getScratch() != getScratch())
    return emitOpError() << "(C5) expected the result of the tile.erase_strips "
                            "that has the same scratch tile";
  return success();
}

LogicalResult EraseApplyOp::verify() {
  Type element = Float32Type::get(getContext());
  if (getW().getType() !=
      getTileType({kAccRows, kAccRows}, element, LayoutKind::acc))
    return emitOpError() << "(C1) expected W of 64 x 64 f32 in the acc layout, "
                            "found "
                         << getW().getType();
  SmemType z = getZ().getType();
  if (!isFactor(z))
    return emitOpError() << "(C2) expected Z of 64 x 64, or in two parts "
                            "64 x 128, bf16 or f16, found "
                         << z;
  if (getRate() &&
      getRate().getType() != getTileType({kAccRows}, element, LayoutKind::col))
    return emitOpError() << "(C3) expected 64 rates along the columns, found "
                         << getRate().getType();
  return success();
}
