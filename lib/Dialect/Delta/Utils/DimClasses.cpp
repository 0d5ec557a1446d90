//===- DimClasses.cpp - Which dimensions range over the same thing --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/Utils/DimClasses.h"

#include "wyvern/Dialect/Delta/Utils/CarryDependence.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

static int64_t rankOf(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type ? type.getRank() : 0;
}

/// True where a dimension is of no class of its own: each of a constant, and
/// those that a broadcast adds. One such value may meet tiles of several
/// classes (CSE merges broadcasts to equal types).
static bool isUniform(Value value, int64_t dim) {
  Operation *def = value.getDefiningOp();
  if (!def)
    return false;
  if (def->hasTrait<OpTrait::ConstantLike>() ||
      isa<tensor::EmptyOp, linalg::FillOp>(def))
    return true;
  if (auto broadcast = dyn_cast<linalg::BroadcastOp>(def))
    return llvm::is_contained(broadcast.getDimensions(), dim);
  return def->hasTrait<OpTrait::Elementwise>() &&
         llvm::all_of(def->getOperands(), [&](Value operand) {
           return rankOf(operand) == 0 || isUniform(operand, dim);
         });
}

//===----------------------------------------------------------------------===//
// Classes
//===----------------------------------------------------------------------===//

unsigned DimClasses::number(Dim dim) {
  auto [it, isNew] =
      numbers.try_emplace(dim, static_cast<unsigned>(numbers.size()));
  if (isNew)
    classes.insert(it->second);
  return it->second;
}

void DimClasses::join(Dim a, Dim b) {
  if (!isUniform(a.first, a.second) && !isUniform(b.first, b.second))
    classes.unionSets(number(a), number(b));
}

void DimClasses::mix(Operation *op, Dim dim) {
  mixed[op].push_back(number(dim));
}

bool DimClasses::areSame(Dim a, Dim b) const {
  auto first = numbers.find(a), second = numbers.find(b);
  if (first == numbers.end() || second == numbers.end())
    return a == b;
  return classes.isEquivalent(first->second, second->second);
}

bool DimClasses::mixes(Operation *op, Dim dim) const {
  auto it = numbers.find(dim);
  if (it == numbers.end())
    return false;
  return llvm::any_of(mixed.lookup(op), [&](unsigned other) {
    return classes.isEquivalent(it->second, other);
  });
}

//===----------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------===//

/// Dimensions that one loop runs over are of one class; a loop that no result
/// is indexed by is summed over.
void DimClasses::addLinalg(Operation *op) {
  auto linalg = cast<linalg::LinalgOp>(op);
  SmallVector<std::optional<Dim>> loops(linalg.getNumLoops());
  auto add = [&](Value value, AffineMap map) {
    for (auto [dim, expr] : llvm::enumerate(map.getResults())) {
      auto loop = dyn_cast<AffineDimExpr>(expr);
      if (!loop || isUniform(value, dim))
        continue;
      std::optional<Dim> &known = loops[loop.getPosition()];
      if (known)
        join(*known, {value, dim});
      else
        known = Dim{value, dim};
    }
  };
  for (OpOperand &operand : op->getOpOperands())
    add(operand.get(), linalg.getMatchingIndexingMap(&operand));
  for (OpResult result : op->getResults())
    add(result, linalg.getIndexingMapMatchingResult(result));
  for (auto [loop, dim] : llvm::enumerate(loops))
    if (dim &&
        linalg.getIteratorTypesArray()[loop] == utils::IteratorType::reduction)
      mix(op, *dim);
}

/// Rows of a system are one class; a solve runs along them.
void DimClasses::addSolve(Operation *op, Value l, Value rate, Value rhs,
                          ValueRange results) {
  join({l, 0}, {l, 1});
  join({l, 0}, {rate, 0});
  join({l, 0}, {rhs, 0});
  for (Value result : results)
    for (int64_t dim : {0, 1})
      join({rhs, dim}, {result, dim});
  mix(op, {l, 0});
}

void DimClasses::addOp(Operation &op) {
  llvm::TypeSwitch<Operation *>(&op)
      .Case([&](linalg::FillOp) {})
      .Case([&](linalg::LinalgOp linalg) { addLinalg(linalg); })
      .Case([&](DecayDotOp dot) {
        join({dot.getA(), 0}, {dot.getM(), 0});
        join({dot.getB(), 0}, {dot.getM(), 1});
        join({dot.getA(), 1}, {dot.getB(), 1});
        mix(dot, {dot.getA(), 1});
      })
      .Case([&](DecayApplyOp apply) {
        int64_t kept = apply.getTranspose() ? 1 : 0;
        join({apply.getM(), kept}, {apply.getR(), 0});
        join({apply.getM(), 1 - kept}, {apply.getX(), 0});
        join({apply.getX(), 1}, {apply.getR(), 1});
        mix(apply, {apply.getX(), 0});
      })
      .Case([&](EraseSolveOp solve) {
        addSolve(solve, solve.getL(), solve.getRate(), solve.getW(),
                 solve->getResults());
      })
      .Case([&](EraseSolveAdjointOp solve) {
        addSolve(solve, solve.getL(), solve.getRate(), solve.getDu(),
                 solve->getResults());
      })
      .Case([&](EraseFactorOp factor) {
        addSolve(factor, factor.getL(), factor.getRate(), factor.getL(),
                 factor->getResults());
      })
      .Default([&](Operation *other) {
        // Whatever else there is keeps dimensions in place.
        for (Value result : other->getResults())
          for (Value operand : other->getOperands())
            if (rankOf(operand) == rankOf(result))
              for (int64_t dim = 0; dim < rankOf(result); ++dim)
                join({operand, dim}, {result, dim});
        if (auto cumsum = dyn_cast<CumsumOp>(other))
          mix(cumsum, {cumsum.getX(), 0});
      });
}

DimClasses::DimClasses(ChunkProgramOpInterface program) {
  for (Operation &op : program.getBlock().without_terminator())
    addOp(op);
  ValueRange carried = program.getYield().getCarries();
  for (auto [i, tile] : llvm::enumerate(carried))
    for (int64_t dim = 0; dim < rankOf(tile); ++dim)
      join({program.getCarryArg(i), dim}, {tile, dim});
}

//===----------------------------------------------------------------------===//
// The lane
//===----------------------------------------------------------------------===//

/// The operations that lie between a carry and the next one.
static llvm::SmallPtrSet<Operation *, 32> findRecurrence(ChunkScanOp scan) {
  auto program = cast<ChunkProgramOpInterface>(scan.getOperation());
  CarryDependence dependence(program);
  llvm::SmallPtrSet<Operation *, 32> recurrence;
  SmallVector<Value> worklist(scan.getYield().getCarries());
  while (!worklist.empty()) {
    Operation *def = worklist.pop_back_val().getDefiningOp();
    if (def && dependence.reaches(def) && recurrence.insert(def).second)
      worklist.append(def->operand_begin(), def->operand_end());
  }
  return recurrence;
}

std::optional<DimClasses::Dim> delta::findLane(ChunkScanOp scan,
                                               const DimClasses &classes) {
  Value carry;
  for (unsigned i = 0; i < scan.getInits().size() && !carry; ++i)
    if (rankOf(scan.getCarryArg(i)) == 2)
      carry = scan.getCarryArg(i);
  if (!carry)
    return std::nullopt;
  llvm::SmallPtrSet<Operation *, 32> recurrence = findRecurrence(scan);
  std::optional<DimClasses::Dim> mixedByOuts;
  for (int64_t dim : {1, 0}) {
    DimClasses::Dim candidate{carry, dim};
    auto mixes = [&](Operation *op) { return classes.mixes(op, candidate); };
    if (llvm::any_of(recurrence, mixes))
      continue;
    if (llvm::none_of(llvm::make_pointer_range(scan.getBlock()), mixes))
      return candidate;
    if (!mixedByOuts)
      mixedByOuts = candidate;
  }
  return mixedByOuts;
}
