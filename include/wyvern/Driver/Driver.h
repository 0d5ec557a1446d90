//===- Driver.h - The compiler's command line -------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DRIVER_DRIVER_H
#define WYVERN_DRIVER_DRIVER_H

namespace mlir::wyvern {

/// What a run of wyvernc tells its caller.
enum class ExitCode {
  Success = 0,
  Diagnostics = 1, ///< The input is wrong, or cannot be compiled.
  Usage = 2,       ///< The command line is wrong.
  MissingTool = 3  ///< A program that is needed, such as ptxas, is not there.
};

/// All of wyvernc.
int runDriver(int argc, char **argv);

} // namespace mlir::wyvern

#endif // WYVERN_DRIVER_DRIVER_H
