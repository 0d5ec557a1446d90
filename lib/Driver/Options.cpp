//===- Options.cpp - The command line -------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Options.h"

#include "wyvern/Pipelines/Pipelines.h"
#include "wyvern/Support/Spelling.h"

#include "mlir/IR/AsmState.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/WithColor.h"

using namespace mlir;
using namespace mlir::wyvern;
namespace cl = llvm::cl;

static cl::OptionCategory category("wyvernc options");

static cl::opt<std::string> inputFlag(cl::Positional, cl::desc("<input>"),
                                      cl::cat(category));
static cl::opt<std::string>
    formatFlag("input-format",
               cl::desc("what the input is, if its name does not end in .yaml, "
                        ".json or .mlir: yaml, json or mlir"),
               cl::value_desc("format"), cl::cat(category));
static cl::opt<std::string>
    emitFlag("emit",
             cl::desc("what to write: a phase (see --list-phases), default "
                      "delta"),
             cl::value_desc("phase"), cl::init("delta"), cl::cat(category));
static cl::opt<std::string> outputFlag("o",
                                       cl::desc("where to write it; - is "
                                                "standard output"),
                                       cl::value_desc("path"),
                                       cl::cat(category));
static cl::opt<bool> printSpecFlag("print-spec",
                                   cl::desc("print the spec with all its "
                                            "defaults, and stop"),
                                   cl::cat(category));
static cl::opt<bool> listPhasesFlag("list-phases",
                                    cl::desc("list the phases, and stop"),
                                    cl::cat(category));

static ExitCode usageError(const Twine &message) {
  llvm::WithColor::error(llvm::errs(), "wyvernc")
      << message << "\nwyvernc --help lists the options.\n";
  return ExitCode::Usage;
}

static ExitCode listPhases() {
  for (const Phase &phase : getPhases())
    llvm::outs() << llvm::formatv("{0,-10}", phase.name) << phase.description
                 << '\n';
  return ExitCode::Success;
}

static std::optional<InputFormat> findFormat(StringRef name) {
  return llvm::StringSwitch<std::optional<InputFormat>>(name)
      .Cases("yaml", "yml", InputFormat::YAML)
      .Case("json", InputFormat::JSON)
      .Case("mlir", InputFormat::MLIR)
      .Default(std::nullopt);
}

static std::optional<ExitCode> setFormat(DriverOptions &options) {
  StringRef extension = llvm::sys::path::extension(options.input);
  extension.consume_front(".");
  StringRef name = formatFlag.empty() ? extension : StringRef(formatFlag);
  std::optional<InputFormat> format = findFormat(name);
  if (format) {
    options.format = *format;
    return std::nullopt;
  }
  if (formatFlag.empty())
    return usageError("cannot tell what '" + options.input +
                      "' is: expected a name ending in .yaml, .json or .mlir; "
                      "say --input-format=yaml, json or mlir");
  return usageError("unknown --input-format '" + formatFlag +
                    "'; expected yaml, json or mlir");
}

static std::optional<ExitCode> setEmit(DriverOptions &options) {
  SmallVector<StringRef> names = llvm::map_to_vector(
      getPhases(), [](const Phase &phase) -> StringRef { return phase.name; });
  if (!llvm::is_contained(names, StringRef(emitFlag)))
    return usageError("unknown phase '" + emitFlag + "' in --emit" +
                      didYouMean(emitFlag, names) + "; expected one of " +
                      llvm::join(names, ", "));
  options.emit = emitFlag;
  return std::nullopt;
}

std::optional<ExitCode> mlir::wyvern::parseCommandLine(int argc, char **argv,
                                                       DriverOptions &options) {
  // MLIR's own options work too; --help-hidden would list LLVM's as well.
  registerAsmPrinterCLOptions();
  registerPassManagerCLOptions();
  cl::HideUnrelatedOptions(category);
  std::string errors;
  llvm::raw_string_ostream errorStream(errors);
  if (!cl::ParseCommandLineOptions(
          argc, argv, "Wyvern: compiles delta-rule layers\n", &errorStream)) {
    llvm::errs() << errors;
    return ExitCode::Usage;
  }
  if (listPhasesFlag)
    return listPhases();
  if (inputFlag.empty())
    return usageError("no input; give a layer spec (.yaml), a model's "
                      "config.json, or delta IR (.mlir)");
  options.input = inputFlag;
  options.output = outputFlag;
  options.printSpec = printSpecFlag;
  if (auto code = setFormat(options))
    return code;
  if (!options.printSpec)
    return setEmit(options);
  if (options.format == InputFormat::MLIR)
    return usageError("--print-spec needs a spec (.yaml) or a config.json; '" +
                      options.input + "' is IR");
  return std::nullopt;
}
