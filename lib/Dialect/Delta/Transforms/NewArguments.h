//===- NewArguments.h - Arguments that a pass gives a function --*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_NEWARGUMENTS_H
#define WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_NEWARGUMENTS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace mlir::wyvern::delta {

/// Returns a new last argument of `func`, of that delta.name.
Value addLastArgument(func::FuncOp func, StringRef name, Type type,
                      Location loc);

/// Diagnoses at `op` an argument of `func` with one of `names`, which are those
/// of arguments that `whose` pass will make; `replaced` make room for them.
LogicalResult checkNewNames(Operation *op, func::FuncOp func,
                            ArrayRef<std::string> names, StringRef whose,
                            ArrayRef<Value> replaced = {});

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_NEWARGUMENTS_H
