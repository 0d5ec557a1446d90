//===- PartialSums.h - Summands of what blocks sum together -----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_SCHED_ANALYSIS_PARTIALSUMS_H
#define WYVERN_DIALECT_SCHED_ANALYSIS_PARTIALSUMS_H

#include "wyvern/Dialect/Sched/IR/Sched.h"

#include "llvm/ADT/DenseSet.h"

namespace mlir::wyvern::sched {

/// True for a sum, from zero, over one dimension of a tile.
bool isSum(Operation *op);

/// The values of which each block of a cluster has a *summand*: what a divided
/// role sums over the dimension that it has a part of, and what is made of such
/// values by operations that keep sums, as the gradient of a gate is. The sum
/// of all blocks' summands is the value: a vector that is stored, or got out of
/// a channel across the blocks, is that.
class PartialSums {
public:
  /// Follows `op`, whose operands have been followed; `isOverParts` if it sums
  /// over what its role has a part of. Returns false for an operation that
  /// would make something of a summand which is no summand.
  bool follow(Operation *op, bool isOverParts);
  /// The same for all roles of `kernel`, through its channels. Returns the
  /// operation where they cannot be followed; null if there is none.
  Operation *follow(KernelOp kernel,
                    llvm::function_ref<bool(Operation *)> isOverParts);

  bool contains(Value value) const { return summands.contains(value); }
  bool isEmpty() const { return summands.empty(); }

private:
  bool followPut(PutOp put);

  llvm::DenseSet<Value> summands;
};

} // namespace mlir::wyvern::sched

#endif // WYVERN_DIALECT_SCHED_ANALYSIS_PARTIALSUMS_H
