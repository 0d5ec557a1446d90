//===- Hints.h - What passes say of operations beside their values -*- C++ -*-//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_TILE_IR_HINTS_H
#define WYVERN_DIALECT_TILE_IR_HINTS_H

#include "llvm/ADT/StringRef.h"

namespace mlir::wyvern::tile {

/// On a load in a loop that is seldom come by: its address is made where it
/// stands, of nothing that would be in registers in the rest of the loop.
constexpr llvm::StringLiteral kAddressedAgainAttr = "tile.addressed_again";

} // namespace mlir::wyvern::tile

#endif // WYVERN_DIALECT_TILE_IR_HINTS_H
