//===- Sched.h - The sched dialect ------------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_SCHED_IR_SCHED_H
#define WYVERN_DIALECT_SCHED_IR_SCHED_H

#include "wyvern/Dialect/Delta/IR/Delta.h"

#include "wyvern/Dialect/Sched/IR/SchedDialect.h.inc"
#include "wyvern/Dialect/Sched/IR/SchedEnums.h.inc"

namespace mlir::wyvern::sched {
class ChannelOp;
class EachChunkOp;
class RoleOp;
class YieldOp;
} // namespace mlir::wyvern::sched

#define GET_ATTRDEF_CLASSES
#include "wyvern/Dialect/Sched/IR/SchedAttrs.h.inc"

#define GET_TYPEDEF_CLASSES
#include "wyvern/Dialect/Sched/IR/SchedTypes.h.inc"

#define GET_OP_CLASSES
#include "wyvern/Dialect/Sched/IR/Sched.h.inc"

#endif // WYVERN_DIALECT_SCHED_IR_SCHED_H
