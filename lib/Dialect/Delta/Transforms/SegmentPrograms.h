//===- SegmentPrograms.h - The programs of a scan in segments ---*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_SEGMENTPROGRAMS_H
#define WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_SEGMENTPROGRAMS_H

#include "LinearPart.h"

namespace mlir::wyvern::delta {

/// Makes runs of `chunks` chunks of `scan`, each from the state in which the
/// run before it ends, and in front of it the programs that find these states.
void createSegments(RewriterBase &rewriter, ChunkScanOp scan,
                    LinearPart &linear, TileDim splitDim, int64_t chunks);

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_SEGMENTPROGRAMS_H
