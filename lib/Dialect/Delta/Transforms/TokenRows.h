//===- TokenRows.h - Gates of each row of a token ---------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// n rows a token are a recurrence of n times as many tokens, of which the first
// of each n has the token's decay, the others none, and the last one its query.
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_TOKENROWS_H
#define WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_TOKENROWS_H

#include "wyvern/Dialect/Delta/IR/Delta.h"

#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace mlir::wyvern::delta {

/// True for a recurrence with a decay a channel whose only step has several
/// rows a token. A chunk sums such decays over its rows, so each row has its
/// own. What is read before a decay is read before that of all rows: such steps
/// stay as they are.
bool hasGatesOfRows(RecurrenceOp op);

/// Gives `op` its decays in the first row of each token and its queries in the
/// last one, with zeros in the others, by maps of chunks of `chunk` tokens.
/// Returns the type of its output with as many rows.
RankedTensorType spreadOverRows(ImplicitLocOpBuilder &b, RecurrenceOp op,
                                int64_t chunk);

/// Returns the last of each token's `rows` rows of `output`, as `op` has it.
Value takeLastRows(ImplicitLocOpBuilder &b, RecurrenceOp op, Value output,
                   int64_t rows, int64_t chunk);

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_TOKENROWS_H
