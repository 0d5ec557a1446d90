//===- Cut.cpp - What a scan does before, in and after its chain ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/Analysis/Cut.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

Cut::Cut(ChunkScanOp scan)
    : program(cast<ChunkProgramOpInterface>(scan.getOperation())),
      yield(scan.getYield()), dependence(program), timeDims(program),
      classes(program), splitDim(findSplitDim(scan, classes)) {
  findAfterValues();
  bool hasAfter = llvm::any_of(
      yield.getOuts(), [&](Value out) { return afterValues.contains(out); });
  for (auto [i, out] : llvm::enumerate(yield.getOuts())) {
    if (afterValues.contains(out))
      afterOuts.push_back(i);
    else if (dependence.reaches(out))
      chainOuts.push_back(i);
    else
      (hasAfter ? afterOuts : beforeOuts).push_back(i);
  }
  findChain();
  findAfter();
}

/// Finds what follows from an operation that a carry enters and that mixes the
/// split dimension. Such an operation leads to no carry: nothing on the way to
/// a carry mixes the split dimension.
void Cut::findAfterValues() {
  if (!splitDim)
    return;
  for (Operation &op : program.getBlock().without_terminator()) {
    bool follows = llvm::any_of(op.getOperands(), [&](Value operand) {
      return afterValues.contains(operand);
    });
    if (follows || (dependence.reaches(&op) && classes.mixes(&op, *splitDim)))
      afterValues.insert(op.result_begin(), op.result_end());
  }
}

bool Cut::hasSplitDim(Value value) const {
  for (int64_t dim = 0; splitDim && dim < getTileRank(value); ++dim)
    if (classes.areSame({value, dim}, *splitDim))
      return true;
  return false;
}

//===----------------------------------------------------------------------===//
// The chain
//===----------------------------------------------------------------------===//

void Cut::findChain() {
  for (Value carry : yield.getCarries())
    needInChain(carry);
  for (unsigned out : chainOuts)
    needInChain(yield.getOuts()[out]);
  // Stable: two results of one operation keep the order they were found in.
  llvm::stable_sort(crossing, [](Value a, Value b) {
    return a.getDefiningOp()->isBeforeInBlock(b.getDefiningOp());
  });
}

void Cut::needInChain(Value value) {
  Operation *def = value.getDefiningOp();
  if (!def || chainOps.contains(def) || llvm::is_contained(crossing, value))
    return;
  if (!dependence.reaches(value)) {
    if (!isRecomputed(def)) {
      crossing.push_back(value);
      return;
    }
    ++numRecomputed;
  }
  chainOps.insert(def);
  for (Value operand : def->getOperands())
    needInChain(operand);
}

/// Constants and broadcasts hold nothing that is worth a load, and a scalar or
/// a cheap vector is less work than its traffic. Only the compute type crosses:
/// a comparison or a rounded tile is made again of what does. A value with the
/// split dimension is as large as what it is made of, and is no more than one
/// product that waits for nothing.
bool Cut::isRecomputed(Operation *op) {
  if (op->hasTrait<OpTrait::ConstantLike>() ||
      isa<tensor::EmptyOp, linalg::FillOp, linalg::BroadcastOp>(op))
    return true;
  if (op->getNumResults() != 1)
    return false;
  Value result = op->getResult(0);
  return getTileRank(result) == 0 || isCheapVector(result) ||
         hasSplitDim(result) ||
         getElementTypeOrSelf(result) != program.getCompute();
}

/// A vector that elementwise ops and reductions make of the scan's vectors: the
/// chain should not load a matrix for it.
bool Cut::isCheapVector(Value value) const {
  Operation *def = value.getDefiningOp();
  if (!def)
    return getTileRank(value) <= 1;
  if (def->hasTrait<OpTrait::ConstantLike>() || isa<tensor::EmptyOp>(def))
    return true;
  // What the chain would compute again in each of its warps is worth a load.
  if (getTileRank(value) > 1 || isa<math::MathDialect>(def->getDialect()) ||
      isa<arith::DivFOp>(def))
    return false;
  bool perChunk = timeDims.get(value).none();
  if (auto reduce = dyn_cast<linalg::ReduceOp>(def); reduce && perChunk)
    return llvm::all_of(reduce.getInputs(),
                        [&](Value in) { return isCheapVector(in); });
  if (!isa<linalg::ReduceOp>(def) &&
      !cast<ChunkRegionOpInterface>(def).isCheap())
    return false;
  return llvm::all_of(def->getOperands(),
                      [&](Value operand) { return isCheapVector(operand); });
}

//===----------------------------------------------------------------------===//
// After the chain
//===----------------------------------------------------------------------===//

void Cut::findAfter() {
  for (unsigned out : afterOuts)
    needAfter(yield.getOuts()[out]);
}

/// A vector that is a function of sums, such as the norms of rows: more work
/// than to read it.
bool Cut::isFunctionOfSums(Value value) const {
  Operation *def = value.getDefiningOp();
  if (!def || getTileRank(value) != 1 ||
      !isa<math::MathDialect>(def->getDialect()))
    return false;
  SmallVector<Operation *> worklist = {def};
  llvm::SmallDenseSet<Operation *> seen;
  while (!worklist.empty()) {
    Operation *op = worklist.pop_back_val();
    if (!seen.insert(op).second)
      continue;
    if (!cast<ChunkRegionOpInterface>(op).isCheap())
      return true;
    for (Value operand : op->getOperands())
      if (Operation *made = operand.getDefiningOp())
        worklist.push_back(made);
  }
  return false;
}

/// What the chain has done is loaded where it is worth a load; what no carry
/// enters is computed here, unless the map before has it for the chain anyway.
void Cut::needAfter(Value value) {
  Operation *def = value.getDefiningOp();
  if (llvm::is_contained(crossing, value) || (def && afterOps.contains(def)))
    return;
  bool fromChain = dependence.reaches(value) && !afterValues.contains(value);
  if (fromChain && (!def || !cast<ChunkRegionOpInterface>(def).isCheap())) {
    chainCrossing.insert(value);
    if (def)
      needInChain(value);
    return;
  }
  if (!def)
    return;
  // The map before makes it on the way to what the chain reads.
  if (!crossing.empty() && isFunctionOfSums(value) &&
      !dependence.reaches(value)) {
    crossing.push_back(value);
    return;
  }
  afterOps.insert(def);
  for (Value operand : def->getOperands())
    needAfter(operand);
}
