//===- Passes.h - Passes that choose a schedule -----------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_SCHED_STRATEGIES_PASSES_H
#define WYVERN_DIALECT_SCHED_STRATEGIES_PASSES_H

#include "wyvern/Dialect/Sched/IR/Sched.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"

namespace mlir::wyvern::sched {

#define GEN_PASS_DECL
#include "wyvern/Dialect/Sched/Strategies/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "wyvern/Dialect/Sched/Strategies/Passes.h.inc"

} // namespace mlir::wyvern::sched

#endif // WYVERN_DIALECT_SCHED_STRATEGIES_PASSES_H
