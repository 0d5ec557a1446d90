//===- PtxasLog.h - What ptxas -v says --------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_TARGET_PTXASLOG_H
#define WYVERN_TARGET_PTXASLOG_H

#include "wyvern/Target/ProgramInfo.h"

#include "llvm/ADT/StringRef.h"

namespace mlir::wyvern {

/// The log of one ptxas run with -v, read.
struct PtxasLog {
  struct Kernel {
    std::string symbol;
    KernelResources resources;
  };
  struct Advisory {
    std::string code; ///< C7510
    std::string text;
  };

  std::vector<Kernel> kernels;
  /// Messages with a C75xx code: wgmma made synchronous (C7510 to C7519), a
  /// wait put in, a setmaxnreg ignored. Each costs most of a kernel's speed.
  std::vector<Advisory> advisories;
  std::vector<std::string> errors;

  const KernelResources *find(llvm::StringRef symbol) const;

  static PtxasLog parse(llvm::StringRef text);
};

} // namespace mlir::wyvern

#endif // WYVERN_TARGET_PTXASLOG_H
