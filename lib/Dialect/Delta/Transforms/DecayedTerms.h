//===- DecayedTerms.h - Products with a decay, taken twice -----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_DECAYEDTERMS_H
#define WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_DECAYEDTERMS_H

#include "wyvern/Dialect/Delta/IR/Delta.h"

namespace mlir {
class RewriterBase;
} // namespace mlir

namespace mlir::wyvern::delta {

/// Multiplies by decays once what is multiplied by them twice: with a F at
/// hand, (a x + b y) F becomes (a F) x + (b F) y. Neither a nor F is then held
/// for the second product. Returns how often.
unsigned reuseDecayedTerms(RewriterBase &rewriter, ChunkMapOp map);

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_DECAYEDTERMS_H
