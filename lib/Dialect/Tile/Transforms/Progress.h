//===- Progress.h - Roles that do not wait for ever -------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_TILE_TRANSFORMS_PROGRESS_H
#define WYVERN_LIB_DIALECT_TILE_TRANSFORMS_PROGRESS_H

#include "wyvern/Dialect/Tile/IR/Tile.h"

namespace mlir::wyvern::tile {

/// Returns true if the roles of `kernel`, run through a few rounds of their
/// loops, all end: none waits for a stage that another one hands over behind
/// where it waits for the first. False as well where that is not known, since a
/// stage is not the loop's round and a constant.
bool mayProgress(KernelOp kernel);

} // namespace mlir::wyvern::tile

#endif // WYVERN_LIB_DIALECT_TILE_TRANSFORMS_PROGRESS_H
