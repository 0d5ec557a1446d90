//===- ResidualRemarks.h - What saving a value costs ------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_RESIDUALREMARKS_H
#define WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_RESIDUALREMARKS_H

#include "wyvern/Dialect/Delta/IR/Delta.h"

namespace mlir::wyvern::delta {

/// Returns `name` for the first of several, `name_1` and so on for the others.
std::string numberName(StringRef name, int64_t number);

/// Emits a remark that the factor of `solve` was saved or recomputed
/// (`choice`), with the bytes that it takes and the operations that it saves
/// for each token and head.
void emitFactorRemark(EraseSolveOp solve, StringRef name, Value factor,
                      StringRef choice);

/// Emits the same of the states of a replay. They are replayed from the initial
/// one, or from the nearest one of those saved every `interval` chunks (0:
/// none), with the factors that are saved.
void emitStateRemarks(ChunkScanOp replay, int64_t interval);

/// Emits the same of `value`, which is saved so that a backward has `made`, its
/// equal there.
void emitSavedRemark(Value value, Value made, StringRef name);

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_RESIDUALREMARKS_H
