//===- PooledSums.h - Running sums that go on in a pool ---------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_POOLEDSUMS_H
#define WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_POOLEDSUMS_H

#include "wyvern/Dialect/Delta/IR/Delta.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace mlir::wyvern::delta {

/// The running sums of a function whose init and total a pool takes the place
/// of: a row for each slot, at the slots of the states.
class PooledSums {
public:
  /// Diagnoses a sum whose init is no argument of its own, whose total is not
  /// returned once, or whose pool would have the name of another argument.
  LogicalResult collect(func::FuncOp func, StringRef whose);

  size_t size() const { return sums.size(); }
  /// Gives the function a pool for each sum, behind its other arguments, and
  /// names the totals after these.
  void addPools(func::FuncOp func);
  /// The arguments that pools have taken the place of.
  SmallVector<Value> getInits() const;

  /// Has sums go on from their pools, at these slots.
  void bindTo(Value readSlots, Value writeSlots, int64_t firstSlot);
  /// And keep those behind runs of `every` tokens.
  void keepEvery(int64_t every, Value keepSlots);

  /// Adds what is summed to the ins of a step, and the pools to its carries.
  void addIns(SmallVectorImpl<Value> &ins,
              SmallVectorImpl<Attribute> &bindings);
  void addCarries(SmallVectorImpl<Value> &inits,
                  SmallVectorImpl<Attribute> &bindings);
  /// Adds the token's angles to what `step` carries, at the builder's place.
  void build(ImplicitLocOpBuilder &b, ChunkScanOp step);
  /// The carries behind the token.
  ArrayRef<Value> getNext() const { return next; }
  /// Has the region of `step` read its own sums, and readers of totals its
  /// pools.
  void replace(ChunkScanOp step);

private:
  struct Sum {
    RunningSumOp op;
    BlockArgument init;
    unsigned result; ///< of the function
    std::string name;
    Value pool;
    unsigned in, carry; ///< numbers of the step's
    Value angles;       ///< of the token
  };
  SmallVector<Sum> sums;
  SmallVector<Value> next;
};

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_POOLEDSUMS_H
