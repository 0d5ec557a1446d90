//===- Patterns.h - The parts of convert-delta-to-scf ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_CONVERSION_DELTATOSCF_PATTERNS_H
#define WYVERN_LIB_CONVERSION_DELTATOSCF_PATTERNS_H

#include "mlir/IR/PatternMatch.h"

namespace mlir::wyvern::delta {

/// chunk_scan, chunk_map.
void populateChunkLoopPatterns(RewritePatternSet &patterns);
/// linalg.contract.
void populateContractPatterns(RewritePatternSet &patterns);
/// decay_dot, decay_apply, decay_mask.
void populateDecayPatterns(RewritePatternSet &patterns);
/// erase_solve, erase_solve_adjoint, erase_factor, erase_apply.
void populateErasePatterns(RewritePatternSet &patterns);
/// cumsum, join_columns, last_row, mask_rows, repeat_rows, split_columns,
/// sum_rows.
void populateRowPatterns(RewritePatternSet &patterns);
/// running_sum.
void populateRunningSumPatterns(RewritePatternSet &patterns);
/// sum_tokens.
void populateSumTokensPatterns(RewritePatternSet &patterns);

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_CONVERSION_DELTATOSCF_PATTERNS_H
