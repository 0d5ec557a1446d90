//===- ExtendProgram.h - One more in or out of a chunk program --*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_UTILS_EXTENDPROGRAM_H
#define WYVERN_DIALECT_DELTA_UTILS_EXTENDPROGRAM_H

#include "wyvern/Dialect/Delta/Analysis/TileStorage.h"

#include "mlir/IR/PatternMatch.h"

namespace mlir::wyvern::delta {

/// Adds `tensor` to the ins of `program`; the region's tile of it.
BlockArgument addIn(RewriterBase &rewriter, ChunkProgramOpInterface program,
                    Value tensor, BindingAttr binding, Type tile);

/// Returns the region's tile of `tensor` by `binding`: of an in that is there,
/// or of a new one.
Value findOrAddIn(RewriterBase &rewriter, ChunkProgramOpInterface program,
                  Value tensor, BindingAttr binding, Type tile);

/// Adds an out that yields `tile`; the new result. The program is replaced by
/// one with the same region.
Value addOut(RewriterBase &rewriter, ChunkProgramOpInterface program,
             Value tile, TileStorage storage);

} // namespace mlir::wyvern::delta

#endif // WYVERN_DIALECT_DELTA_UTILS_EXTENDPROGRAM_H
