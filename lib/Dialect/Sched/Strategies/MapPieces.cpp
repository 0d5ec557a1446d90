//===- MapPieces.cpp - Parts of a map that roles can share ----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "MapPieces.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "llvm/ADT/EquivalenceClasses.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::sched;

static int64_t countFlops(Operation *op) {
  auto chunkOp = dyn_cast<delta::ChunkRegionOpInterface>(op);
  return chunkOp ? chunkOp.getMatmulFlops() : 0;
}

namespace {
/// One piece, in the map's order.
struct Piece {
  SmallVector<Operation *> ops;
  int64_t flops = 0;
};

/// Finds the pieces of a map.
class PieceFinder {
public:
  explicit PieceFinder(const FusedProgram &program) : program(program) {
    for (Operation &op : program.getMap().getBlock().without_terminator())
      if (!program.isFree(&op))
        add(&op);
  }

  SmallVector<Piece> getPieces() const;
  /// The operations on loaded vectors that `ops` need, and `ops`, in the map's
  /// order.
  SmallVector<Operation *> withVectors(ArrayRef<Operation *> ops) const;

private:
  void add(Operation *op);
  bool isMadeOfLoadedVectors(Operation *op) const;

  const FusedProgram &program;
  llvm::EquivalenceClasses<Operation *> classes;
  llvm::SmallSetVector<Operation *, 32> ops;
  llvm::SmallPtrSet<Operation *, 16> ofVectors;
};
} // namespace

/// True for what makes vectors, or spreads one over a matrix, out of vectors
/// that are loaded: every role makes it again.
bool PieceFinder::isMadeOfLoadedVectors(Operation *op) const {
  auto isVector = [](Value value) { return delta::getTileRank(value) < 2; };
  bool isSpread = isa<linalg::BroadcastOp>(op);
  if (countFlops(op) > 0 ||
      !(isSpread || llvm::all_of(op->getResults(), isVector)))
    return false;
  return llvm::all_of(op->getOperands(), [&](Value operand) {
    FusedProgram::Source source = program.resolve(operand);
    if (source.in)
      return isVector(operand);
    Operation *def = source.value ? source.value.getDefiningOp() : nullptr;
    return def && (program.isFree(def) ||
                   (ofVectors.contains(def) && isVector(operand)));
  });
}

/// True for an operand in 16 bits of a product.
static bool isRoundedFactor(Operation *user, Value operand) {
  return operand.getDefiningOp<arith::TruncFOp>() && countFlops(user) > 0;
}

void PieceFinder::add(Operation *op) {
  if (isMadeOfLoadedVectors(op)) {
    ofVectors.insert(op);
    return;
  }
  ops.insert(op);
  classes.insert(op);
  for (Value operand : op->getOperands())
    if (Operation *def = operand.getDefiningOp();
        def && ops.contains(def) && delta::getTileRank(operand) == 2 &&
        !isRoundedFactor(op, operand))
      classes.unionSets(op, def);
}

SmallVector<Piece> PieceFinder::getPieces() const {
  SmallVector<Piece> pieces;
  llvm::DenseMap<Operation *, unsigned> numbers;
  for (Operation *op : ops) {
    auto [it, isNew] = numbers.try_emplace(
        classes.getLeaderValue(op), static_cast<unsigned>(pieces.size()));
    if (isNew)
      pieces.emplace_back();
    pieces[it->second].ops.push_back(op);
    pieces[it->second].flops += countFlops(op);
  }
  return pieces;
}

SmallVector<Operation *>
PieceFinder::withVectors(ArrayRef<Operation *> part) const {
  llvm::SmallPtrSet<Operation *, 32> all(part.begin(), part.end());
  SmallVector<Operation *> worklist(part);
  while (!worklist.empty())
    for (Value operand : worklist.pop_back_val()->getOperands())
      if (Operation *def = operand.getDefiningOp();
          def && ofVectors.contains(def) && all.insert(def).second)
        worklist.push_back(def);
  SmallVector<Operation *> ordered;
  for (Operation &op : program.getMap().getBlock().without_terminator())
    if (all.contains(&op))
      ordered.push_back(&op);
  return ordered;
}

SmallVector<SmallVector<Operation *>>
sched::divideMap(const FusedProgram &program, unsigned count) {
  PieceFinder finder(program);
  SmallVector<Piece> pieces = finder.getPieces();
  llvm::stable_sort(
      pieces, [](const Piece &a, const Piece &b) { return a.flops > b.flops; });
  SmallVector<Piece> parts(std::min<size_t>(count, pieces.size()));
  for (const Piece &piece : pieces) {
    Piece *least = llvm::min_element(parts, [](const Piece &a, const Piece &b) {
      return a.flops < b.flops;
    });
    least->ops.append(piece.ops);
    least->flops += piece.flops;
  }
  llvm::stable_sort(
      parts, [](const Piece &a, const Piece &b) { return a.flops > b.flops; });
  return llvm::map_to_vector(
      parts, [&](const Piece &part) { return finder.withVectors(part.ops); });
}
