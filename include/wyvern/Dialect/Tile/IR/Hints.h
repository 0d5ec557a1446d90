//===- Hints.h - What passes say of operations beside their values -*- C++ -*-//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_TILE_IR_HINTS_H
#define WYVERN_DIALECT_TILE_IR_HINTS_H

#include "llvm/ADT/StringRef.h"

namespace mlir::wyvern::tile {

/// On a load or a store in a loop that is seldom come by: its address is made
/// where it stands, of nothing that would be in registers in the rest of the
/// loop.
constexpr llvm::StringLiteral kAddressedAgainAttr = "tile.addressed_again";

/// On a load whose value is read behind a branch: it is asked for where it
/// stands. LLVM and ptxas move a load into the branch that reads it, behind the
/// wait for what decides the branch; an atomic or a volatile one they leave.
constexpr llvm::StringLiteral kAskedFirstAttr = "tile.asked_first";

/// Beside that: the first level of caches may answer, which volatile loads pass
/// by. It takes a register in kernels that have none to spare.
constexpr llvm::StringLiteral kAskedCachedAttr = "tile.asked_cached";

/// On a load or a store in a branch whose outermost coordinate comes late: what
/// else its address is made of is made in front of the branch, so that one
/// product stands between the coordinate and the access.
constexpr llvm::StringLiteral kAddressedFirstAttr = "tile.addressed_first";

/// On a branch: addresses of stores in it that have `kAddressedFirstAttr` are
/// made behind what is asked for first there, and not in front of it.
constexpr llvm::StringLiteral kAddressedWithinAttr = "tile.addressed_within";

/// On what is not to branch. On rows that are put in shared memory: a thread
/// that holds none of an operand stores nothing, where it would else branch
/// around the stores; LLVM moves what only that branch reads into it, one
/// operand behind the other. On a division: one of numbers that are far from
/// the ends of the range needs no branch for them.
constexpr llvm::StringLiteral kWithoutBranchAttr = "tile.without_branch";

} // namespace mlir::wyvern::tile

#endif // WYVERN_DIALECT_TILE_IR_HINTS_H
