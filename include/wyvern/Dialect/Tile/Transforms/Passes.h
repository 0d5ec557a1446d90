//===- Passes.h - Passes on the tile dialect --------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_TILE_TRANSFORMS_PASSES_H
#define WYVERN_DIALECT_TILE_TRANSFORMS_PASSES_H

#include "wyvern/Dialect/Tile/IR/Tile.h"

#include "mlir/Pass/Pass.h"

namespace mlir::wyvern::tile {

#define GEN_PASS_DECL
#include "wyvern/Dialect/Tile/Transforms/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "wyvern/Dialect/Tile/Transforms/Passes.h.inc"

} // namespace mlir::wyvern::tile

#endif // WYVERN_DIALECT_TILE_TRANSFORMS_PASSES_H
