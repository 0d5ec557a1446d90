//===- Simplify.h - The patterns of delta-simplify --------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_SIMPLIFY_H
#define WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_SIMPLIFY_H

#include "mlir/IR/PatternMatch.h"
#include "mlir/Pass/Pass.h"

namespace mlir::wyvern::delta {

/// Scales of rows that go into a sum of products.
void populatePushScalePatterns(RewritePatternSet &patterns,
                               Pass::Statistic &numPushed);
/// Scales that go to another factor, which has them too: once all are in place.
void populateShareScalePatterns(RewritePatternSet &patterns);
/// Scales that leave an in which a contraction reads.
void populateMoveScalePatterns(RewritePatternSet &patterns,
                               Pass::Statistic &numMoved);
/// decay_apply without a channel decay, as a mask and a contraction.
void populateExpandDecayPatterns(RewritePatternSet &patterns,
                                 Pass::Statistic &numExpanded);

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_SIMPLIFY_H
