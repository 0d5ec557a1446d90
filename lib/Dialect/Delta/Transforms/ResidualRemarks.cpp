//===- ResidualRemarks.cpp - What saving a value costs --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ResidualRemarks.h"

#include "mlir/IR/Remarks.h"

#define DEBUG_TYPE "delta-plan-residuals"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

std::string delta::numberName(StringRef name, int64_t number) {
  return number == 0 ? name.str() : (name + "_" + Twine(number)).str();
}

/// Bytes a token and head of a tensor that holds a tile a (token, head) or a
/// (chunk, head).
static double bytesPerTokenHead(RankedTensorType tile, int64_t chunk,
                                int64_t elementBytes) {
  return static_cast<double>(tile.getNumElements()) * elementBytes / chunk;
}

/// Floating-point operations that `value` takes to be computed from the tiles
/// of a program's ins.
static int64_t flopsOf(Value value) {
  llvm::SmallPtrSet<Operation *, 8> seen;
  SmallVector<Value> worklist = {value};
  int64_t sum = 0;
  while (!worklist.empty()) {
    Operation *def = worklist.pop_back_val().getDefiningOp();
    if (!def || !seen.insert(def).second)
      continue;
    sum += cast<ChunkRegionOpInterface>(def).getMatmulFlops();
    worklist.append(def->operand_begin(), def->operand_end());
  }
  return sum;
}

static void remarkOn(Location loc, StringRef value, StringRef choice,
                     double bytes, int64_t flops, int64_t chunk) {
  remark::analysis(loc, remark::RemarkOpts::name(value).category(DEBUG_TYPE))
      << choice
      << remark::metric("BytesPerTokenHead", static_cast<int64_t>(bytes))
      << remark::metric("FlopsPerTokenHead", flops / chunk);
}

void delta::emitFactorRemark(EraseSolveOp solve, StringRef name, Value factor,
                             StringRef choice) {
  int64_t chunk =
      cast<ChunkProgramOpInterface>(solve->getParentOp()).getChunk();
  auto tile = cast<RankedTensorType>(factor.getType());
  remarkOn(solve.getLoc(), name, choice, bytesPerTokenHead(tile, chunk, 2),
           flopsOf(factor), chunk);
}

void delta::emitStateRemarks(ChunkScanOp replay, int64_t interval) {
  int64_t chunk = replay.getChunk();
  for (auto [i, carry] : llvm::enumerate(replay.getYield().getCarries())) {
    auto tile = cast<RankedTensorType>(carry.getType());
    int64_t bytes = tile.getElementTypeBitWidth() / 8;
    remarkOn(
        replay.getLoc(), numberName("state", i),
        interval ? "saved at intervals" : "replayed",
        bytesPerTokenHead(tile, chunk * std::max<int64_t>(interval, 1), bytes),
        flopsOf(carry), chunk);
  }
}

/// Returns the value that replaces carry `made` in the next chunk; `made`
/// itself if it is no carry.
static Value getWork(Value made) {
  auto program =
      cast<ChunkProgramOpInterface>(made.getParentBlock()->getParentOp());
  for (unsigned i = 0, e = program.getInits().size(); i < e; ++i)
    if (made == program.getCarryArg(i))
      return program.getYield().getCarries()[i];
  return made;
}

void delta::emitSavedRemark(Value value, Value made, StringRef name) {
  auto program =
      cast<ChunkProgramOpInterface>(made.getParentBlock()->getParentOp());
  auto tile = cast<RankedTensorType>(made.getType());
  int64_t bytes = tile.getRank() == 2 ? 2 : tile.getElementTypeBitWidth() / 8;
  remarkOn(value.getLoc(), name, "saved",
           bytesPerTokenHead(tile, program.getChunk(), bytes),
           flopsOf(getWork(made)), program.getChunk());
}
