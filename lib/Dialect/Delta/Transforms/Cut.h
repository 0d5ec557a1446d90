//===- Cut.h - What a scan does before, in and after its chain --*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_CUT_H
#define WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_CUT_H

#include "wyvern/Dialect/Delta/Utils/CarryDependence.h"
#include "wyvern/Dialect/Delta/Utils/DimClasses.h"
#include "wyvern/Dialect/Delta/Utils/TileStorage.h"

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
  /// True if `value` needs something that has to wait until after the chain.
  bool isAfter(Value value) const;
  /// `value` is read in the chain: see to it that it is there.
  void needInChain(Value value);
  /// `value` is read after the chain: see to it that it is there.
  void needAfter(Value value);
  bool isRecomputed(Operation *op);
  bool isCheapVector(Value value) const;
  bool hasLane(Value value) const;

  ChunkProgramOpInterface program;
  YieldOp yield;
  CarryDependence dependence;
  TimeDims timeDims;
  DimClasses classes;
  std::optional<DimClasses::Dim> lane;
  /// What follows from an operation that mixes lanes outside of the recurrence.
  llvm::DenseSet<Value> afterValues;
};

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_CUT_H
