//===- Targets.h - One function an architecture -----------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_TILE_TARGETS_TARGETS_H
#define WYVERN_LIB_DIALECT_TILE_TARGETS_TARGETS_H

#include "wyvern/Dialect/Tile/Targets/TargetInfo.h"

namespace mlir::wyvern::tile {

/// Returns Hopper: SM90.cpp.
TargetInfo describeSM90();

} // namespace mlir::wyvern::tile

#endif // WYVERN_LIB_DIALECT_TILE_TARGETS_TARGETS_H
