//===- OptionGroups.h - The command line, by subject -----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Options.cpp reads the command line; what belongs to one subject has a file of
// its own, and what several of these need is here.
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DRIVER_OPTIONGROUPS_H
#define WYVERN_LIB_DRIVER_OPTIONGROUPS_H

#include "Options.h"

#include "llvm/Support/CommandLine.h"

namespace mlir::wyvern {

/// Returns the category of all options, which --help lists.
llvm::cl::OptionCategory &getOptionCategory();

/// Prints what is wrong with the command line.
ExitCode usageError(const Twine &message);

/// Diagnoses a value of a flag that there is not.
std::optional<ExitCode> checkChoice(StringRef flag, StringRef value,
                                    ArrayRef<StringRef> choices);

/// Reads a list of parts, of which there are `choices`.
std::optional<ExitCode> setParts(StringRef flag, StringRef list,
                                 ArrayRef<StringRef> choices,
                                 std::vector<std::string> &parts);

/// Reads what a forward saves (TrainingOptions.cpp).
std::optional<ExitCode> setTraining(DriverOptions &options);

/// Reads what is made for an inference engine, once training is known
/// (ServingOptions.cpp).
std::optional<ExitCode> setServing(DriverOptions &options);

/// Reads what a step computes of its output, once serving is known
/// (ServingOptions.cpp).
std::optional<ExitCode> setEpilogue(DriverOptions &options);

/// Reads how the work is divided into kernels, once all else is known
/// (VariantOptions.cpp).
std::optional<ExitCode> setVariants(DriverOptions &options);

} // namespace mlir::wyvern

#endif // WYVERN_LIB_DRIVER_OPTIONGROUPS_H
