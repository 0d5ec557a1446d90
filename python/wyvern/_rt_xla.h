//===- _rt_xla.h - GPU programs, called by XLA ------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_PYTHON_RT_XLA_H
#define WYVERN_PYTHON_RT_XLA_H

#include "wyvern-rt/wyvern_rt.h"

#include <string>

namespace wyvern {

/// Makes a program known to the handler by this name. It and its descriptor
/// must outlive every executable of XLA that calls it.
void addForXla(const std::string &name, wyvern_program *program,
               const wyvern_program_desc *desc);

/// Returns the handler (an XLA_FFI_Handler) of all GPU programs, for the stages
/// initialize and execute.
void *getXlaHandler();

} // namespace wyvern

#endif // WYVERN_PYTHON_RT_XLA_H
