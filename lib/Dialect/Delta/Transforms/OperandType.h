//===- OperandType.h - What operands of products are rounded to -*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_OPERANDTYPE_H
#define WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_OPERANDTYPE_H

#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/StringSwitch.h"

namespace mlir::wyvern::delta {

/// Returns the type that an option `operand-type` names, bf16 or f16; null for
/// another text.
inline FloatType readOperandType(MLIRContext *context, StringRef text) {
  return llvm::StringSwitch<FloatType>(text)
      .Case("bf16", BFloat16Type::get(context))
      .Case("f16", Float16Type::get(context))
      .Default(nullptr);
}

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_OPERANDTYPE_H
