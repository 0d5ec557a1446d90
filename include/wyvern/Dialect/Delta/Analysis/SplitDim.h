//===- SplitDim.h - The dimension that a recurrence splits along *- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_ANALYSIS_SPLITDIM_H
#define WYVERN_DIALECT_DELTA_ANALYSIS_SPLITDIM_H

#include "wyvern/Dialect/Delta/Analysis/DimClasses.h"

namespace mlir::wyvern::delta {

/// Returns the last dimension of `tile` that none of `ops` mixes.
std::optional<TileDim> findUnmixedDim(Value tile, ArrayRef<Operation *> ops,
                                      const DimClasses &classes);

/// Returns the *split dimension* of a scan, as one of its first carry that is a
/// matrix: the last dimension that the recurrence does not mix. Prefers one
/// that no operation of the region mixes. Along it the recurrence is
/// independent, so blocks that each take a part of it exchange nothing.
///
/// The recurrence is what lies between a carry and the next one. An operation
/// beside it may mix the split dimension (a sum that only an out reads):
/// delta-stage moves that to a map after the chain.
std::optional<TileDim> findSplitDim(ChunkScanOp scan,
                                    const DimClasses &classes);

} // namespace mlir::wyvern::delta

#endif // WYVERN_DIALECT_DELTA_ANALYSIS_SPLITDIM_H
