//===- TokenSums.h - From delta.sum_tokens to tile.kernel -------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_CONVERSION_SCHEDTOTILE_KERNEL_TOKENSUMS_H
#define WYVERN_LIB_CONVERSION_SCHEDTOTILE_KERNEL_TOKENSUMS_H

#include "Operands.h"

namespace mlir::wyvern {

/// Translates `op` into a tile.kernel of this name at the builder's place;
/// diagnoses what the GPU path does not take.
LogicalResult lowerTokenSums(OpBuilder &builder, delta::SumTokensOp op,
                             StringRef name, const TensorNames &names);

/// Replaces `op` by the launch of its kernel, in a program of chunks of `chunk`
/// tokens.
void replaceByLaunch(delta::SumTokensOp op, StringRef name, int64_t chunk);

} // namespace mlir::wyvern

#endif // WYVERN_LIB_CONVERSION_SCHEDTOTILE_KERNEL_TOKENSUMS_H
