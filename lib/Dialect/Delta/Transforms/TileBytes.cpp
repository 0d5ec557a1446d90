//===- TileBytes.cpp - What tiles of a map take of memory -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TileBytes.h"

#include "wyvern/Dialect/Delta/Analysis/TileStorage.h"
#include "wyvern/Dialect/Delta/IR/ChunkRegion.h"
#include "wyvern/Dialect/Delta/IR/Splat.h"
#include "wyvern/Dialect/Delta/Utils/Training.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace mlir::wyvern::delta;

bool mlir::wyvern::delta::readsRounded(Operation *op, Value tile) {
  SmallVector<OpOperand *> rounded =
      cast<ChunkRegionOpInterface>(op).getRoundedOperands();
  return llvm::all_of(op->getOpOperands(), [&](OpOperand &operand) {
    return operand.get() != tile || llvm::is_contained(rounded, &operand);
  });
}

/// True for what a forward has saved, which is stored as what programs hand
/// each other.
static bool isSaved(Value tensor) {
  auto argument = dyn_cast<BlockArgument>(tensor);
  auto func = argument
                  ? dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp())
                  : func::FuncOp();
  return func && func.getArgAttr(argument.getArgNumber(), kResidualAttr);
}

int64_t mlir::wyvern::delta::getLoadedBytes(ChunkMapOp map, Value tile,
                                            bool isRounded, bool knowsSaved) {
  Value in = ChunkProgramOpInterface::getInOfTile(tile);
  int64_t bytes =
      getElementTypeOrSelf(in ? in : tile).getIntOrFloatBitWidth() / 8;
  bool isState = false;
  if (in) {
    unsigned number = cast<BlockArgument>(tile).getArgNumber() - 1;
    isState = !cast<ChunkProgramOpInterface>(map.getOperation())
                   .getInBinding(number)
                   .has(DimKind::time);
  }
  bool isBetween = !in || in.getDefiningOp<ChunkProgramOpInterface>() ||
                   (knowsSaved && isSaved(in));
  return isBetween && getTileRank(tile) == 2 && (isRounded || isState)
             ? std::min(bytes, kOperandBytes)
             : bytes;
}

int64_t mlir::wyvern::delta::countInBytes(ChunkMapOp map, unsigned in) {
  BlockArgument tile = map.getInArg(in);
  bool isRounded = llvm::all_of(tile.getUsers(), [&](Operation *user) {
    return readsRounded(user, tile);
  });
  return kTileGap +
         countFilledElements(tile) * getLoadedBytes(map, tile, isRounded,
                                                    /*knowsSaved=*/true);
}

int64_t mlir::wyvern::delta::countComputedBytes(Value operand) {
  int64_t elements = countFilledElements(operand);
  return operand.getDefiningOp() && elements > kTileRows * kTileRows
             ? kTileGap + kOperandBytes * elements
             : 0;
}
