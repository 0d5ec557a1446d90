//===- Cut.h - What a scan does before, in and after its chain --*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_ANALYSIS_CUT_H
#define WYVERN_DIALECT_DELTA_ANALYSIS_CUT_H

#include "wyvern/Dialect/Delta/Analysis/CarryDependence.h"
#include "wyvern/Dialect/Delta/Analysis/SplitDim.h"
#include "wyvern/Dialect/Delta/Analysis/TileStorage.h"

#include "llvm/ADT/SetVector.h"

namespace mlir::wyvern::delta {

/// The operations of one scan in three parts, and the values that go from one
/// to the next through memory.
class Cut {
public:
  explicit Cut(ChunkScanOp scan);

  /// True if the whole scan is its chain.
  bool isEmpty() const {
    return crossing.empty() && beforeOuts.empty() && afterOuts.empty();
  }
  TileStorage getStorage(Value value) {
    return delta::getStorage(value, program, timeDims);
  }

  /// Operations that depend on a carry, and what the chain computes itself of
  /// the others.
  llvm::SmallPtrSet<Operation *, 32> chainOps;
  /// Operations after the chain, with what they compute again.
  llvm::SmallPtrSet<Operation *, 32> afterOps;
  /// What the map before hands to the chain, and to the map after.
  SmallVector<Value> crossing;
  /// What the chain hands to the map after.
  llvm::SetVector<Value> chainCrossing;
  /// The outs of the scan, by the part that computes them.
  SmallVector<unsigned> beforeOuts, chainOuts, afterOuts;
  unsigned numRecomputed = 0;

private:
  void findAfterValues();
  void findChain();
  void findAfter();
  /// Marks `value` as needed in the chain and decides how it gets there: stored
  /// or recomputed.
  void needInChain(Value value);
  /// Marks `value` as needed after the chain and decides how it gets there.
  void needAfter(Value value);
  bool isRecomputed(Operation *op);
  bool isCheapVector(Value value) const;
  bool isFunctionOfSums(Value value) const;
  bool hasSplitDim(Value value) const;

  ChunkProgramOpInterface program;
  YieldOp yield;
  CarryDependence dependence;
  TimeDims timeDims;
  DimClasses classes;
  std::optional<TileDim> splitDim;
  /// What follows from an operation that mixes the split dimension outside of
  /// the recurrence.
  llvm::DenseSet<Value> afterValues;
};

} // namespace mlir::wyvern::delta

#endif // WYVERN_DIALECT_DELTA_ANALYSIS_CUT_H
