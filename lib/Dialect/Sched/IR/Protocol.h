//===- Protocol.h - What makes a kernel's channels safe ---------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_SCHED_IR_PROTOCOL_H
#define WYVERN_LIB_DIALECT_SCHED_IR_PROTOCOL_H

#include "wyvern/Dialect/Sched/IR/Sched.h"

namespace mlir::wyvern::sched {

/// Checks what would be a hang or a race on a GPU: that every channel is put
/// into by one role and gotten from by others, once a chunk and in one
/// direction, and that the roles never all wait for each other.
LogicalResult verifyProtocol(KernelOp kernel);

} // namespace mlir::wyvern::sched

#endif // WYVERN_LIB_DIALECT_SCHED_IR_PROTOCOL_H
