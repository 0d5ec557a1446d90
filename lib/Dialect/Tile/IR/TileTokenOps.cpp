//===- TileTokenOps.cpp - Constraints of sums over tokens ---------------===//
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

LogicalResult SumTokensOp::verify() {
  RankedTensorType tensor = getGlobal().getType().getTensor();
  RankedTensorType sums = getResult().getType().getTensor();
  SmemType scratch = getScratch().getType();
  bool isOfHeads = tensor.getRank() == 3 && sums.getRank() == 1 &&
                   tensor.getDimSize(2) == sums.getDimSize(0) &&
                   tensor.getElementType().isF32() &&
                   sums.getElementType().isF32();
  if (!isOfHeads || !getGlobal().getType().getDense())
    return emitOpError() << "(C1) expected a dense tensor [batch, tokens, "
                            "heads] and one of its heads, of f32, found "
                         << getGlobal().getType() << " and " << sums;
  constexpr int64_t mostWarps = 32;
  if (scratch.getShape().size() != 1 || !scratch.getElementType().isF32() ||
      scratch.getShape()[0] < mostWarps)
    return emitOpError() << "(C2) expected scratch for a number of each of the "
                         << mostWarps << " warps that a block may have, found "
                         << scratch;
  return success();
}

LogicalResult SumTokenColumnsOp::verify() {
  RankedTensorType tensor = getGlobal().getType().getTensor();
  RankedTensorType sums = getResult().getType().getTensor();
  SmemType scratch = getScratch().getType();
  bool isOfChannels = tensor.getRank() == 4 && sums.getRank() == 2 &&
                      tensor.getShape().drop_front(2) == sums.getShape() &&
                      tensor.getElementType().isF32() &&
                      sums.getElementType().isF32();
  if (!isOfChannels || !getGlobal().getType().getDense())
    return emitOpError() << "(C1) expected a dense tensor [batch, tokens, "
                            "heads, channels] and one of its heads and "
                            "channels, of f32, found "
                         << getGlobal().getType() << " and " << sums;
  constexpr int64_t mostThreads = 1024;
  if (scratch.getShape().size() != 1 || !scratch.getElementType().isF32() ||
      scratch.getShape()[0] < mostThreads)
    return emitOpError() << "(C2) expected scratch for a number of each of the "
                         << mostThreads
                         << " threads that a block may have, found " << scratch;
  return success();
}

LogicalResult ScanTokenColumnsOp::verify() {
  auto tensorOf = [](Value global) {
    return cast<GlobalType>(global.getType()).getTensor();
  };
  RankedTensorType x = tensorOf(getX()), y = tensorOf(getY());
  bool isDense = getX().getType().getDense() && getY().getType().getDense();
  if (x.getRank() != 4 || x != y || !x.getElementType().isF32() || !isDense)
    return emitOpError() << "(C1) expected two dense tensors [batch, tokens, "
                            "heads, channels] of f32, found "
                         << getX().getType() << " and " << getY().getType();
  for (Value state : {Value(getTotal()), Value(getInit())})
    if (state &&
        tensorOf(state).getShape().drop_front() != x.getShape().drop_front(2))
      return emitOpError() << "(C2) expected a row of heads and channels a "
                              "sequence, found "
                           << state.getType();
  SmemType scratch = getScratch().getType();
  constexpr int64_t mostThreads = 1024;
  if (scratch.getShape().size() != 1 || !scratch.getElementType().isF32() ||
      scratch.getShape()[0] < mostThreads)
    return emitOpError() << "(C3) expected scratch for a number of each of the "
                         << mostThreads
                         << " threads that a block may have, found " << scratch;
  auto run = static_cast<int64_t>(getRun()),
       every = static_cast<int64_t>(getEvery());
  bool hasSlots = static_cast<bool>(getRead()), keeps = getKeep() != nullptr;
  if (run < 1 || (hasSlots && !getInit()) ||
      (keeps && (!hasSlots || every < 1 || every % run != 0)))
    return emitOpError()
           << "(C4) expected runs of a row or more, an init where there are "
              "slots, and slots where rows are kept every few runs; found runs "
              "of "
           << run << ", kept every " << every;
  return success();
}
