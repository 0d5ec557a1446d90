//===- Remarks.h - Why a pass leaves something as it is ---------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_REMARKS_H
#define WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_REMARKS_H

#include "mlir/IR/Operation.h"
#include "mlir/IR/Remarks.h"

namespace mlir::wyvern::delta {

/// Emits a remark of the category `pass` that it did not transform `op`. A pass
/// that is no pattern has no listener for a match failure.
inline void emitMissedRemark(Operation *op, StringRef pass, StringRef reason) {
  remark::missed(
      op->getLoc(),
      remark::RemarkOpts::name(op->getName().getStringRef()).category(pass))
      << remark::reason("{0}", reason);
}

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_REMARKS_H
