//===- DividedMap.h - What blocks of a cluster do of a map ------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The roles of a map that sum over the split dimension do the same in each
// block of a cluster, unless there is a dimension of what they store that they
// neither sum over nor hand to others: then each block does a part of it, and
// loads no more.
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_SCHED_STRATEGIES_DIVIDEDMAP_H
#define WYVERN_LIB_DIALECT_SCHED_STRATEGIES_DIVIDEDMAP_H

#include "RolePlan.h"

#include "wyvern/Dialect/Sched/Analysis/PartialSums.h"

#include "wyvern/Dialect/Delta/Analysis/DimClasses.h"

namespace mlir::wyvern::sched {

class DividedMap {
public:
  /// The roles of `plan` are those of a chain, the first, and of a map.
  DividedMap(const RolePlan &plan, int64_t blocks);

  /// Says in `plan` what the blocks hand each other, and which roles they
  /// divide: those that store a matrix. Returns why they cannot; empty if they
  /// can.
  std::string divide(RolePlan &plan) const;
  /// Returns how many parts of in `in` blocks load, of `channel`.
  int64_t countParts(const PlannedChannel &channel, unsigned in) const;

private:
  /// Returns the first role that stores a matrix and that blocks cannot divide;
  /// null if there is none.
  const PlannedRole *findUndivided() const;
  /// Returns what makes something of a sum over what blocks have parts of, and
  /// is no sum; null if nothing does.
  Operation *findMisusedSum() const;
  /// Returns the dimension that `role` can be divided along.
  std::optional<delta::TileDim> findDim(unsigned role) const;
  bool storesMatrix(unsigned role) const;
  /// The dimension that role `role` has a part of, of what it reads of `in`.
  std::optional<int64_t> getReadDim(unsigned role, unsigned in) const;

  const RolePlan &plan;
  int64_t blocks;
  delta::DimClasses classes;
  SmallVector<std::optional<delta::TileDim>> dims;
};

} // namespace mlir::wyvern::sched

#endif // WYVERN_LIB_DIALECT_SCHED_STRATEGIES_DIVIDEDMAP_H
