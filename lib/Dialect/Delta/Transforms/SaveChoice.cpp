//===- SaveChoice.cpp - Whether states are saved --------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every chunk program takes the longer of the times of its memory traffic, that
// between the two kernels which a scan becomes with it, and of its products: a
// roofline. How kernels are divided further is much the same for both ways. A
// replay reads its ins, computes, and writes what is saved otherwise, so the
// estimates say for most layers that states are faster, as all measurements do;
// their memory decides.
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/Transforms/SaveChoice.h"

#include "ResidualPlan.h"

#include "wyvern/Dialect/Delta/Analysis/Cut.h"
#include "wyvern/Dialect/Delta/Utils/Training.h"

#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace mlir::wyvern::delta;

/// Returns the bytes that a tensor has of each chunk: of matrices in 16 bits,
/// which is how they are stored, and of vectors as they are. Nothing of what a
/// sequence has once.
static double countBytes(Type type, BindingAttr binding, int64_t chunk) {
  auto tensor = cast<RankedTensorType>(type);
  double count = 1;
  bool hasChunks = false;
  unsigned tileDims = 0;
  for (auto [i, dim] : llvm::enumerate(binding.getDims())) {
    int64_t size = tensor.getDimSize(static_cast<unsigned>(i));
    if (dim.kind == DimKind::time)
      count *= static_cast<double>(dim.getRows(chunk));
    else if (dim.kind == DimKind::chunk)
      count /= static_cast<double>(dim.multiple);
    else if (!ShapedType::isDynamic(size))
      count *= static_cast<double>(size);
    hasChunks |= dim.kind == DimKind::time || dim.kind == DimKind::chunk;
    tileDims += dim.kind == DimKind::time || dim.kind == DimKind::whole;
  }
  if (!hasChunks)
    return 0;
  return count * (tileDims > 1 ? 2 : tensor.getElementTypeBitWidth() / 8);
}

/// Returns the bytes that pass from the map to the chain that delta-stage will
/// make of `scan`: written, but for what is an out anyway, and read.
static double countCutBytes(ChunkScanOp scan) {
  auto program = cast<ChunkProgramOpInterface>(scan.getOperation());
  Cut cut(scan);
  double bytes = 0;
  for (Value value : cut.crossing) {
    TileStorage storage = cut.getStorage(value);
    bool isOut = llvm::is_contained(program.getYield().getOuts(), value);
    bytes += (isOut ? 1 : 2) *
             countBytes(storage.type, storage.binding, program.getChunk());
  }
  return bytes;
}

/// Returns the cycles of all heads of a chunk.
static double countCycles(ChunkProgramOpInterface program,
                          const SaveLimits &limits) {
  double bytes = 0;
  for (auto [i, in] : llvm::enumerate(program.getIns()))
    bytes +=
        countBytes(in.getType(), program.getInBinding(i), program.getChunk());
  for (auto [i, out] : llvm::enumerate(program.getOuts()))
    bytes +=
        countBytes(out.getType(), program.getOutBinding(i), program.getChunk());
  if (auto scan = dyn_cast<ChunkScanOp>(program.getOperation()))
    bytes += countCutBytes(scan);
  auto flops =
      static_cast<double>(program.countMatmulFlops() * program.getHeads());
  return std::max(bytes / static_cast<double>(limits.bytesPerCycle),
                  flops / static_cast<double>(limits.flopsPerCycle));
}

/// Returns the heads of what `forward` returns a row a token of: with levels
/// the programs run over more.
static double countHeads(func::FuncOp forward) {
  int64_t heads = 0;
  Operation *terminator = forward.getBody().front().getTerminator();
  for (OpOperand &use : terminator->getOpOperands()) {
    auto result = dyn_cast<OpResult>(use.get());
    auto program = result ? dyn_cast<ChunkProgramOpInterface>(result.getOwner())
                          : ChunkProgramOpInterface();
    if (!program || isSavedBy(use) ||
        result.getResultNumber() >= program.getOuts().size())
      continue;
    BindingAttr binding = program.getOutBinding(result.getResultNumber());
    for (auto [i, dim] : llvm::enumerate(binding.getDims()))
      if (dim.kind == DimKind::head) {
        int64_t size = cast<RankedTensorType>(result.getType()).getDimSize(i);
        heads = heads ? std::min(heads, size) : size;
      }
  }
  return static_cast<double>(std::max<int64_t>(heads, 1));
}

/// Returns the most rows that a chunk of a layer has.
static double countRows(func::FuncOp forward) {
  int64_t rows = 1;
  forward.walk([&](ChunkProgramOpInterface program) {
    for (unsigned i = 0, e = program.getIns().size(); i < e; ++i)
      for (BoundDim dim : program.getInBinding(i).getDims())
        if (dim.kind == DimKind::time)
          rows = std::max(rows, program.getChunk() * dim.getRowsOfToken());
  });
  return static_cast<double>(rows);
}

/// Returns the bytes of a chunk that `forward` saves, all heads together.
static double countSavedBytes(func::FuncOp forward) {
  double bytes = 0;
  Operation *terminator = forward.getBody().front().getTerminator();
  for (OpOperand &use : terminator->getOpOperands()) {
    auto result = dyn_cast<OpResult>(use.get());
    if (!result || !isSavedBy(use))
      continue;
    auto program = cast<ChunkProgramOpInterface>(result.getOwner());
    bytes += countBytes(result.getType(),
                        program.getOutBinding(result.getResultNumber()),
                        program.getChunk());
  }
  return bytes;
}

/// Returns what it takes to save so.
static SaveCost estimate(func::FuncOp forward, func::FuncOp backward,
                         StringRef save, const SaveLimits &limits) {
  OwningOpRef<func::FuncOp> first(forward.clone()), second(backward.clone());
  IRRewriter rewriter(forward.getContext());
  ResidualPlan plan(*first, *second, rewriter, /*isTrial=*/true);
  plan.save(save, /*interval=*/0);
  SaveCost cost;
  double heads = countHeads(*first);
  cost.bytes = countSavedBytes(*first) / (countRows(*first) * heads);
  if (limits.bytesPerCycle == 0 || limits.flopsPerCycle == 0)
    return cost;
  for (func::FuncOp func : {*first, *second})
    func.walk([&](ChunkProgramOpInterface program) {
      cost.cycles += countCycles(program, limits) / heads;
    });
  return cost;
}

SaveChoice wyvern::delta::chooseSave(func::FuncOp forward,
                                     func::FuncOp backward,
                                     const SaveLimits &limits) {
  return {limits, estimate(forward, backward, "states", limits),
          estimate(forward, backward, "factor", limits)};
}

llvm::raw_ostream &wyvern::delta::operator<<(llvm::raw_ostream &os,
                                             const SaveChoice &choice) {
  os << llvm::formatv("saves {0}: states take {1:F0} bytes of a row and head",
                      choice.getSave(), choice.states.bytes);
  if (choice.limits.bytes != 0)
    os << llvm::formatv(" (at most {0})", choice.limits.bytes);
  os << llvm::formatv(", the factor {0:F0}", choice.factor.bytes);
  if (choice.limits.bytesPerCycle != 0)
    os << llvm::formatv("; by estimate {0:F0} and {1:F0} cycles of a GPU "
                        "for a chunk and head",
                        choice.states.cycles, choice.factor.cycles);
  return os;
}
