//===- RowsPart.h - What follows from a token's rows alone ------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_CONVERSION_SCHEDTOTILE_CORES_ROWSPART_H
#define WYVERN_LIB_CONVERSION_SCHEDTOTILE_CORES_ROWSPART_H

#include "wyvern/Dialect/Sched/IR/Sched.h"

#include "llvm/ADT/SetVector.h"

namespace mlir::wyvern {

class SpreadPlan;

/// The operations of a token that follow from its rows and numbers alone:
/// norms, gates, rotations, products of rows. They read no state and nothing
/// that a block has a part of, so a warp can make what they give for the whole
/// block. A vector that is carried, as a running sum is, is one of them if it
/// is made and read by them only.
class RowsPart {
public:
  /// Finds them in a role that has `share_rows`; there are none in others.
  static RowsPart find(sched::RoleOp role, const SpreadPlan &plan);

  bool isEmpty() const { return ops.empty(); }
  ArrayRef<Operation *> getOps() const { return ops.getArrayRef(); }
  bool contains(Operation *op) const { return ops.contains(op); }
  /// True for what the next carried vectors are made of, token after token.
  bool isCarried(Operation *op) const { return chain.contains(op); }
  /// True if one of them reads `tile`, or a broadcast of it.
  bool reads(Value tile) const;
  /// What the other operations of a token read, in the order of the region.
  ArrayRef<Value> getRead() const { return read.getArrayRef(); }
  /// The numbers of the carried vectors that are made here.
  ArrayRef<unsigned> getCarries() const { return carries; }
  bool hasCarry(unsigned number) const {
    return llvm::is_contained(carries, number);
  }

private:
  friend class RowsFinder;

  llvm::SetVector<Operation *> ops;
  llvm::SmallDenseSet<Operation *> chain;
  llvm::SetVector<Value> read;
  SmallVector<unsigned> carries;
};

} // namespace mlir::wyvern

#endif // WYVERN_LIB_CONVERSION_SCHEDTOTILE_CORES_ROWSPART_H
