//===- Sequences.h - Tensors with one entry a sequence ----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_UTILS_SEQUENCES_H
#define WYVERN_DIALECT_DELTA_UTILS_SEQUENCES_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace mlir::wyvern::delta {

/// The number of sequences: entries of `cuSeqlens` less one, or `batch` where
/// that is null or empty.
Value countSequences(ImplicitLocOpBuilder &b, Value batch, Value cuSeqlens);

/// Zeros of `type`, a state for each of `sequences`: no other dimension of a
/// state is dynamic.
Value createZeroStates(ImplicitLocOpBuilder &b, RankedTensorType type,
                       function_ref<Value()> sequences);

} // namespace mlir::wyvern::delta

#endif // WYVERN_DIALECT_DELTA_UTILS_SEQUENCES_H
