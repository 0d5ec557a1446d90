//===- _compiler_xla.h - CPU programs, called by XLA ------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_PYTHON_COMPILER_XLA_H
#define WYVERN_PYTHON_COMPILER_XLA_H

#include "wyvern/Execution/CpuProgram.h"

namespace wyvern {

/// Makes a program known to the handler by this name. It must outlive every
/// executable of XLA that calls it.
void addForXla(const std::string &name,
               const mlir::wyvern::CpuProgram &program);

/// Returns the handler (an XLA_FFI_Handler) of all CPU programs.
void *getXlaHandler();

} // namespace wyvern

#endif // WYVERN_PYTHON_COMPILER_XLA_H
