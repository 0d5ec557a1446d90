//===- ChannelOrder.h - Whose channels need a second place ------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_SCHED_STRATEGIES_CHANNELORDER_H
#define WYVERN_LIB_DIALECT_SCHED_STRATEGIES_CHANNELORDER_H

#include "RolePlan.h"

namespace mlir::wyvern::sched {

/// Returns the numbers of channels in the order in which they are given a
/// second place. Blocks of a cluster wait for each other's roles: first what a
/// role holds longest, whose next tiles would come last.
SmallVector<unsigned> orderByNeed(const RolePlan &plan, bool isCluster);

} // namespace mlir::wyvern::sched

#endif // WYVERN_LIB_DIALECT_SCHED_STRATEGIES_CHANNELORDER_H
