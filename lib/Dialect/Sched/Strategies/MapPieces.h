//===- MapPieces.h - Parts of a map that roles can share --------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A map is made of pieces: products that are added to one tile, and what is
// done with it by elements. Between pieces go vectors, and operands of products
// in 16 bits, which shared memory holds in any case. So where a map is divided
// among roles, these are what costs least to hand over.
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_SCHED_STRATEGIES_MAPPIECES_H
#define WYVERN_LIB_DIALECT_SCHED_STRATEGIES_MAPPIECES_H

#include "FusedProgram.h"

namespace mlir::wyvern::sched {

/// Divides the operations of the map of `program` into at most `count` parts so
/// that the one with most products has few of them; the first has most. What is
/// made of vectors that are loaded is in each part that reads it. Of `blocks`
/// blocks of a cluster each does its share of a piece that can be divided among
/// them, and all of any other.
SmallVector<SmallVector<Operation *>> divideMap(const FusedProgram &program,
                                                unsigned count, int64_t blocks);

} // namespace mlir::wyvern::sched

#endif // WYVERN_LIB_DIALECT_SCHED_STRATEGIES_MAPPIECES_H
