//===- Stopwatch.h - How long a step takes ----------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DRIVER_STOPWATCH_H
#define WYVERN_LIB_DRIVER_STOPWATCH_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

#include <chrono>

namespace mlir::wyvern {

/// Says on standard error, under -v, how long its scope took.
class Stopwatch {
public:
  Stopwatch(bool verbose, llvm::StringRef what)
      : verbose(verbose), what(what) {}
  ~Stopwatch() {
    std::chrono::duration<double, std::milli> elapsed = Clock::now() - start;
    if (verbose)
      llvm::errs() << llvm::formatv("{0,-10}{1,8:F1} ms\n", what,
                                    elapsed.count());
  }

private:
  using Clock = std::chrono::steady_clock;
  bool verbose;
  llvm::StringRef what;
  Clock::time_point start = Clock::now();
};

} // namespace mlir::wyvern

#endif // WYVERN_LIB_DRIVER_STOPWATCH_H
