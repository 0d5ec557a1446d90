//===- ChannelOrder.cpp - Whose channels need a second place --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ChannelOrder.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::sched;

/// True if `operand` of an operation of `role` comes out of channel `number`,
/// or is made there of what does.
static bool isOutOf(const RolePlan &plan, Value operand, unsigned role,
                    unsigned number) {
  FusedProgram::Source source = plan.getSource(operand, role);
  Operation *def = source.value ? source.value.getDefiningOp() : nullptr;
  if (def && plan.getProgram().isFree(def))
    return llvm::any_of(def->getOperands(), [&](Value from) {
      return isOutOf(plan, from, role, number);
    });
  auto place = plan.findChannel(source, role);
  return place && place->first == number;
}

/// Returns over how many operations some role holds the tiles of channel
/// `number`, from its first to its last that reads them.
static int64_t countHeld(const RolePlan &plan, unsigned number) {
  int64_t most = 0;
  for (unsigned role : plan.getChannels()[number].readers) {
    std::optional<int64_t> first;
    for (auto [i, op] : llvm::enumerate(plan.getRoles()[role].ops))
      for (Value operand : op->getOperands())
        if (isOutOf(plan, operand, role, number)) {
          first = first.value_or(i);
          most = std::max<int64_t>(most, i - *first);
        }
  }
  return most;
}

SmallVector<unsigned> sched::orderByNeed(const RolePlan &plan, bool isCluster) {
  auto order = llvm::to_vector(llvm::seq<unsigned>(plan.getChannels().size()));
  if (isCluster)
    llvm::stable_sort(order, [&](unsigned a, unsigned b) {
      return countHeld(plan, a) > countHeld(plan, b);
    });
  return order;
}
