//===- DividedWork.h - What blocks of a cluster can divide ------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_SCHED_ANALYSIS_DIVIDEDWORK_H
#define WYVERN_DIALECT_SCHED_ANALYSIS_DIVIDEDWORK_H

#include "wyvern/Dialect/Delta/Analysis/DimClasses.h"
#include "wyvern/Dialect/Sched/IR/Sched.h"

namespace mlir::wyvern::sched {

/// True if each of `blocks` blocks can make a part of the columns of `stored`,
/// which some of `ops` makes: none of these mixes them, but for sums over them
/// (PartialSums.h), and of `put`, what they hand to others, nothing has them.
bool canDivideColumns(Value stored, ArrayRef<Operation *> ops, ValueRange put,
                      int64_t blocks, const delta::DimClasses &classes);

/// Returns the dimension that `role` is divided along: the columns of the first
/// matrix which it stores that can be. Nothing where it is not divided, or
/// cannot be. `classes` has the role's blocks.
std::optional<delta::TileDim> findDividedDim(RoleOp role,
                                             const delta::DimClasses &classes);

} // namespace mlir::wyvern::sched

#endif // WYVERN_DIALECT_SCHED_ANALYSIS_DIVIDEDWORK_H
