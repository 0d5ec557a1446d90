//===- Evaluate.h - The parts of the interpreter ----------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_REFERENCE_EVALUATE_H
#define WYVERN_LIB_REFERENCE_EVALUATE_H

#include "wyvern/Dialect/Delta/IR/Delta.h"
#include "wyvern/Reference/NDArray.h"

namespace mlir::wyvern::reference {

/// The array of each SSA value so far.
using Environment = DenseMap<Value, NDArray>;

/// Tokens [begin, end) of a batch row.
struct Sequence {
  int64_t batch, begin, end;
};

/// The sequences of a batch: its rows, or what `cuSeqlens` says, if it is not
/// null or empty. Fails with a diagnostic for offsets that are none.
FailureOr<SmallVector<Sequence>> getSequences(Operation *op, int64_t batch,
                                              int64_t time,
                                              const NDArray *cuSeqlens);

/// Evaluates an elementwise op, cast or constant. Fails with a diagnostic.
FailureOr<NDArray> evaluateElementwise(Operation *op, const Environment &env);

/// Runs a recurrence; results are output and final state.
FailureOr<std::pair<NDArray, NDArray>>
evaluateRecurrence(delta::RecurrenceOp op, const Environment &env);

/// Returns the running sums and the total of each sequence.
FailureOr<std::pair<NDArray, NDArray>>
evaluateRunningSum(delta::RunningSumOp op, const Environment &env);

/// Adds the results of a map of single tokens, which is what a spec computes.
LogicalResult evaluateTokenMap(delta::ChunkMapOp op, Environment &env);

/// Fails with a diagnostic unless `array` has the rank and the static sizes of
/// `type`, a ranked tensor.
LogicalResult verifyShape(Operation *op, const Twine &what,
                          const NDArray &array, Type type);

/// `[2, 3, 4]`, for messages.
std::string shapeString(const NDArray &array);

} // namespace mlir::wyvern::reference

#endif // WYVERN_LIB_REFERENCE_EVALUATE_H
