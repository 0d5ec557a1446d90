//===- GlobalAgain.h - Tensors whose addresses are made anew ----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_CONVERSION_TILETONVVM_GLOBALAGAIN_H
#define WYVERN_LIB_CONVERSION_TILETONVVM_GLOBALAGAIN_H

#include "Emitter.h"

namespace mlir::wyvern::tile {

/// Returns the same tensor in memory, of which LLVM does not know that: an
/// address in it shares nothing with others that are made elsewhere, which
/// would be in registers in between.
Value globalAgain(Emitter &e, Value global);

} // namespace mlir::wyvern::tile

#endif // WYVERN_LIB_CONVERSION_TILETONVVM_GLOBALAGAIN_H
