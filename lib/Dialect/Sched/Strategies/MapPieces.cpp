//===- MapPieces.cpp - Parts of a map that roles can share ----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "MapPieces.h"

#include "wyvern/Dialect/Sched/Analysis/DividedWork.h"

#include "wyvern/Dialect/Delta/Analysis/DimClasses.h"

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

  /// Returns the pieces, with the products that each of `blocks` blocks makes.
  SmallVector<Piece> getPieces(int64_t blocks) const;
  /// The operations on loaded vectors that `ops` need, and `ops`, in the map's
  /// order.
  SmallVector<Operation *> withVectors(ArrayRef<Operation *> ops) const;
  /// Returns `ops` with the sums of matrices as early as what they sum is
  /// there: what is added to a product has to wait for its row dot.
  SmallVector<Operation *> sumEarly(ArrayRef<Operation *> ops) const;

private:
  void add(Operation *op);
  bool isMadeOfLoadedVectors(Operation *op) const;
  bool canDivide(const Piece &piece, int64_t blocks,
                 const delta::DimClasses &classes) const;

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
    if (operand.getType().isIndex()) // how many tokens the chunk has
      return true;
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

/// True if each of `blocks` blocks can do a part of `piece`.
bool PieceFinder::canDivide(const Piece &piece, int64_t blocks,
                            const delta::DimClasses &classes) const {
  SmallVector<Operation *> part = withVectors(piece.ops);
  SmallVector<Value> handed;
  for (Operation *op : piece.ops)
    for (Value result : op->getResults())
      if (llvm::any_of(result.getUsers(), [&](Operation *user) {
            return ops.contains(user) && !llvm::is_contained(part, user);
          }))
        handed.push_back(result);
  return llvm::any_of(program.getOuts(), [&](const FusedProgram::Out &out) {
    return llvm::is_contained(piece.ops, out.tile.getDefiningOp()) &&
           canDivideColumns(out.tile, part, handed, blocks, classes);
  });
}

SmallVector<Piece> PieceFinder::getPieces(int64_t blocks) const {
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
  if (blocks == 1)
    return pieces;
  delta::DimClasses dims(
      cast<delta::ChunkProgramOpInterface>(program.getMap().getOperation()));
  for (Piece &piece : pieces)
    if (canDivide(piece, blocks, dims))
      piece.flops /= blocks;
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

/// Returns `sum` and what `part` makes for it alone out of tiles, in their
/// order.
static SmallVector<Operation *> getSummed(Operation *sum,
                                          ArrayRef<Operation *> part) {
  SmallVector<Operation *> made = {sum};
  for (size_t i = 0; i < made.size(); ++i)
    for (Value operand : made[i]->getOperands()) {
      Operation *def = operand.getDefiningOp();
      if (def && def->hasOneUse() && countFlops(def) == 0 &&
          !isa<linalg::BroadcastOp>(def) && llvm::is_contained(part, def) &&
          delta::getTileRank(operand) == 2)
        made.push_back(def);
    }
  std::reverse(made.begin(), made.end());
  return made;
}

/// Moves what is rounded ahead of sums behind them, to where it is read: its
/// place in shared memory is that of a tile which is put behind the sums.
static void roundLate(SmallVectorImpl<Operation *> &ops) {
  for (Operation *rounded : llvm::to_vector(ops)) {
    if (!isa<arith::TruncFOp>(rounded))
      continue;
    auto *from = llvm::find(ops, rounded);
    auto *reader = std::find_if(from, ops.end(), [&](Operation *op) {
      return llvm::is_contained(op->getOperands(), rounded->getResult(0));
    });
    if (reader == ops.end() ||
        std::none_of(from, reader, llvm::IsaPred<linalg::ReduceOp>))
      continue;
    std::rotate(from, from + 1, reader);
  }
}

SmallVector<Operation *>
PieceFinder::sumEarly(ArrayRef<Operation *> part) const {
  SmallVector<Operation *> ordered(part);
  auto readsTileOf = [&](Operation *product, Operation *op) {
    return llvm::any_of(op->getOperands(), [&](Value operand) {
      FusedProgram::Source source = program.resolve(operand);
      return delta::getTileRank(operand) == 2 &&
             llvm::any_of(product->getOperands(), [&](Value factor) {
               auto rounded = factor.getDefiningOp<arith::TruncFOp>();
               FusedProgram::Source other =
                   program.resolve(rounded ? rounded.getIn() : factor);
               return other.in ? other.in == source.in
                               : other.value == source.value && !source.in;
             });
    });
  };
  for (Operation *sum : llvm::reverse(part)) {
    if (!isa<linalg::ReduceOp>(sum) ||
        delta::getTileRank(sum->getOperand(0)) != 2)
      continue;
    SmallVector<Operation *> made = getSummed(sum, part);
    // Behind the last that it reads; of tiles that come from elsewhere, ahead
    // of the product that waits for one of them first: nothing is held then.
    Operation *last = nullptr, *firstReader = nullptr;
    for (Operation *op : ordered) {
      if (llvm::is_contained(made, op))
        continue;
      auto isReadBy = [&](Operation *reader) {
        return llvm::any_of(reader->getOperands(), [&](Value operand) {
          return operand.getDefiningOp() == op;
        });
      };
      if (llvm::any_of(made, isReadBy))
        last = op;
      if (!firstReader && countFlops(op) > 0 &&
          llvm::any_of(
              made, [&](Operation *reader) { return readsTileOf(op, reader); }))
        firstReader = op;
    }
    Operation *anchor = last ? last : firstReader;
    if (!anchor || llvm::find(ordered, sum) < llvm::find(ordered, anchor))
      continue;
    llvm::erase_if(ordered,
                   [&](Operation *op) { return llvm::is_contained(made, op); });
    ordered.insert(llvm::find(ordered, anchor) + (last ? 1 : 0), made.begin(),
                   made.end());
  }
  roundLate(ordered);
  return ordered;
}

/// True if the map sums rows and columns of tiles, for the gradient of a gate:
/// other sums are few, and can wait for what others wait for.
static bool sumsPairs(const FusedProgram &program) {
  return llvm::any_of(program.getMap().getBlock().getOps<linalg::ReduceOp>(),
                      [](linalg::ReduceOp sum) {
                        return delta::getTileRank(sum.getInputs()[0]) == 2 &&
                               sum.getDimensions() == ArrayRef<int64_t>(0);
                      });
}

/// True for an operation on vectors and numbers.
static bool isOfVectors(Operation *op) {
  auto isVector = [](Type type) {
    auto tile = dyn_cast<RankedTensorType>(type);
    return !tile || tile.getRank() < 2;
  };
  return llvm::all_of(op->getOperandTypes(), isVector) &&
         llvm::all_of(op->getResultTypes(), isVector);
}

/// Gives each of `vectors`, in the map's order, to the part that makes all of
/// its operands that are made; what several make goes to part `shared`.
static void addVectors(MutableArrayRef<Piece> parts,
                       ArrayRef<Operation *> vectors, unsigned shared) {
  llvm::DenseMap<Operation *, unsigned> partOf;
  for (auto [i, part] : llvm::enumerate(parts))
    for (Operation *op : part.ops)
      partOf[op] = i;
  for (Operation *op : vectors) {
    std::optional<unsigned> number;
    for (Value operand : op->getOperands())
      if (auto it = partOf.find(operand.getDefiningOp()); it != partOf.end())
        number =
            number.value_or(it->second) == it->second ? it->second : shared;
    partOf[op] = number.value_or(shared);
    parts[partOf[op]].ops.push_back(op);
  }
}

/// Moves sums over the rows before one ahead of what reads them: until then,
/// what is summed is read by others, and held once.
static void sumVectorsLate(SmallVectorImpl<Operation *> &ops) {
  for (Operation *sum : llvm::to_vector(llvm::reverse(ops))) {
    if (!isa<delta::CumsumOp>(sum))
      continue;
    auto *from = llvm::find(ops, sum);
    auto *reader = std::find_if(from, ops.end(), [&](Operation *op) {
      return llvm::is_contained(op->getOperands(), sum->getResult(0));
    });
    if (reader != ops.end())
      std::rotate(from, from + 1, reader);
  }
}

/// Returns the matrices that `ops` read and do not make, rounded or not.
static SmallVector<Value> getMatricesRead(ArrayRef<Operation *> ops) {
  SmallVector<Value> read;
  for (Operation *op : ops)
    for (Value operand : op->getOperands()) {
      auto rounded = operand.getDefiningOp<arith::TruncFOp>();
      Value made = rounded ? rounded.getIn() : operand;
      if (delta::getTileRank(made) == 2 &&
          !llvm::is_contained(ops, made.getDefiningOp()))
        read.push_back(made);
    }
  return read;
}

namespace {
/// Some operations of a part, and what of the part they are made of.
class MadeOf {
public:
  explicit MadeOf(ArrayRef<Operation *> part)
      : part(part.begin(), part.end()) {}

  void add(Value value) {
    if (Operation *def = value.getDefiningOp(); def && part.contains(def))
      ops.insert(def);
    for (; next < ops.size(); ++next)
      for (Value operand : ops[next]->getOperands())
        if (Operation *def = operand.getDefiningOp(); def && part.contains(def))
          ops.insert(def);
  }
  bool contains(Operation *op) const { return ops.contains(op); }

private:
  llvm::SmallPtrSet<Operation *, 32> part;
  llvm::SetVector<Operation *> ops;
  size_t next = 0;
};
} // namespace

/// Moves the matrices that `others` read of `part`, with their sums, and what
/// these are made of, ahead of the rest: nobody waits for that.
static void makeEarly(SmallVectorImpl<Operation *> &part,
                      ArrayRef<Operation *> others) {
  MadeOf early(part);
  for (Value matrix : getMatricesRead(others))
    early.add(matrix);
  // They would be held for sums of them.
  llvm::SmallPtrSet<Operation *, 32> ofEarly;
  for (Operation *op : part) {
    bool readsEarly = llvm::any_of(op->getOperands(), [&](Value operand) {
      Operation *def = operand.getDefiningOp();
      return delta::getTileRank(operand) == 2 &&
             (early.contains(def) || ofEarly.contains(def));
    });
    if (!readsEarly || countFlops(op) > 0 || isa<arith::TruncFOp>(op))
      continue;
    ofEarly.insert(op);
    if (isa<linalg::ReduceOp>(op))
      early.add(op->getResult(0));
  }
  llvm::stable_sort(part, [&](Operation *a, Operation *b) {
    return early.contains(a) > early.contains(b);
  });
}

SmallVector<SmallVector<Operation *>>
sched::divideMap(const FusedProgram &program, unsigned count, int64_t blocks) {
  PieceFinder finder(program);
  SmallVector<Piece> pieces;
  SmallVector<Operation *> vectors, others;
  for (const Piece &piece : finder.getPieces(blocks))
    if (llvm::all_of(piece.ops, isOfVectors))
      vectors.append(piece.ops);
    else if (piece.flops == 0)
      others.append(piece.ops);
    else
      pieces.push_back(piece);
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
  // Where most vectors end.
  parts.front().ops.append(others);
  // The first part has most to do and so ends last, but where blocks of a
  // cluster divide it: then pairs, which each of them sums, take less.
  bool endsWithPairs = blocks > 1 && sumsPairs(program);
  addVectors(parts, vectors, endsWithPairs ? parts.size() - 1 : 0);
  SmallVector<SmallVector<Operation *>> divided =
      llvm::map_to_vector(parts, [&](const Piece &part) {
        SmallVector<Operation *> ops = finder.withVectors(part.ops);
        return sumsPairs(program) ? finder.sumEarly(ops) : ops;
      });
  if (!sumsPairs(program))
    return divided;
  // The chain is ahead of a map that sums pairs.
  for (auto [i, part] : llvm::enumerate(divided)) {
    sumVectorsLate(part);
    SmallVector<Operation *> others;
    for (auto [k, other] : llvm::enumerate(divided))
      if (k != i)
        others.append(other);
    makeEarly(part, others);
  }
  return divided;
}
