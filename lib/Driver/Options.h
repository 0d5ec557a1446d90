//===- Options.h - What the command line asks for ---------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DRIVER_OPTIONS_H
#define WYVERN_LIB_DRIVER_OPTIONS_H

#include "Errors.h"

#include "wyvern/Driver/Driver.h"

#include "wyvern/Pipelines/ProgramOptions.h"
#include "wyvern/Pipelines/Variants.h"

#include "mlir/Support/LLVM.h"

#include <optional>
#include <string>

namespace mlir::wyvern {

enum class InputFormat { YAML, JSON, MLIR };

struct DriverOptions : ProgramOptions {
  std::string input;
  InputFormat format = InputFormat::YAML;
  std::string arch; ///< Empty: what the input says, or the default.
  std::string emit;
  std::string output;    ///< Empty: the default of what is emitted.
  std::string saveTemps; ///< A folder, or empty.
  std::string report;    ///< A file for the page of --report, or empty.
  std::string ptxas;     ///< A path, or empty: look for it.
  std::string compiler;  ///< A C compiler; empty: look for it.
  std::string executable;
  bool printSpec = false;
  bool verbose = false;
  bool strict = true;
  /// What to compile, at least one; with `autoVariants`, what to choose from.
  std::vector<Variant> variants;
  bool autoVariants = false;
  /// True where nobody has named a variant.
  bool anyVariant = false;
  /// True where `save` is what the compiler has chosen, and why states that
  /// it had chosen first do not compile.
  bool choosesSave = false;
  std::string refusedStates = {};
  /// How much smaller than it could be what a block computes is made: of
  /// kernels that do not fit otherwise.
  int64_t smaller = 0;
  /// True where the command line leaves the variants to the spec.
  bool specVariants = false;

  /// Sets what is saved, where that was left to the compiler, and the variants
  /// that there can be then.
  void setSave(StringRef what);
};

/// Reads the command line. Gives the exit code if there is nothing left to do:
/// it was wrong, or asked only for a list or a version.
std::optional<ExitCode> parseCommandLine(int argc, char **argv,
                                         DriverOptions &options);

} // namespace mlir::wyvern

#endif // WYVERN_LIB_DRIVER_OPTIONS_H
