//===- Options.cpp - The command line -------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "OptionGroups.h"

#include "Lists.h"
#include "Products.h"

#include "wyvern/Dialect/Delta/Utils/Prologue.h"
#include "wyvern/Dialect/Tile/Targets/TargetInfo.h"
#include "wyvern/Support/Spelling.h"

#include "mlir/IR/AsmState.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace mlir::wyvern;
namespace cl = llvm::cl;

static cl::opt<std::string> inputFlag(cl::Positional, cl::desc("<input>"),
                                      cl::cat(getOptionCategory()));
static cl::opt<std::string>
    formatFlag("input-format",
               cl::desc("What the input is: yaml, json or mlir; needed if its "
                        "name does not end so"),
               cl::value_desc("format"), cl::cat(getOptionCategory()));
static cl::opt<std::string> archFlag("arch",
                                     cl::desc("The GPU to compile for "
                                              "(default: what an .mlir input "
                                              "says, or the first of "
                                              "--list-archs)"),
                                     cl::value_desc("arch"),
                                     cl::cat(getOptionCategory()));
static cl::opt<std::string>
    emitFlag("emit",
             cl::desc("What to write: a phase or a product of --list-phases "
                      "(default bundle)"),
             cl::value_desc("phase"), cl::init("bundle"),
             cl::cat(getOptionCategory()));
static cl::opt<std::string>
    outputFlag("o",
               cl::desc("Where to write it; - is standard output, the default "
                        "for text"),
               cl::value_desc("path"), cl::cat(getOptionCategory()));
static cl::opt<std::string>
    saveTempsFlag("save-temps",
                  cl::desc("Write the IR after every phase into this folder"),
                  cl::value_desc("folder"), cl::cat(getOptionCategory()));
static cl::opt<std::string>
    reportFlag("report",
               cl::desc("Write a page about what became of the layer: its "
                        "recurrence, the IR after every phase, its kernels"),
               cl::value_desc("file.html"), cl::cat(getOptionCategory()));
static cl::opt<std::string>
    ptxasFlag("ptxas",
              cl::desc("The ptxas to run (else WYVERN_PTXAS, a CUDA toolkit, "
                       "PATH, or a wheel)"),
              cl::value_desc("path"), cl::cat(getOptionCategory()));
static cl::opt<std::string>
    compilerFlag("cc",
                 cl::desc("The C compiler that links --emit=tvm-ffi (else CC, "
                          "or cc, gcc or clang in PATH)"),
                 cl::value_desc("path"), cl::cat(getOptionCategory()));
static cl::opt<bool>
    strictFlag("strict",
               cl::desc("Refuse kernels that spill registers or whose wgmma "
                        "ptxas serializes (default true)"),
               cl::init(true), cl::cat(getOptionCategory()));
static cl::opt<std::string>
    prologueFlag("prologue",
                 cl::desc("What the program computes of its operands, a list "
                          "of norm (q and keys come without their L2 norm), "
                          "decay (it is made of a, A_log and dt_bias), rates "
                          "(of logits b), gates (decay and rates) and scale "
                          "(o is multiplied by scale, a number a head)"),
                 cl::value_desc("list"), cl::cat(getOptionCategory()));
static cl::opt<bool> printSpecFlag("print-spec",
                                   cl::desc("Print the spec with all its "
                                            "defaults, and stop"),
                                   cl::cat(getOptionCategory()));
static cl::opt<bool> listPhasesFlag("list-phases",
                                    cl::desc("List what --emit takes, and "
                                             "stop"),
                                    cl::cat(getOptionCategory()));
static cl::opt<bool> listArchsFlag("list-archs",
                                   cl::desc("List what --arch takes, and stop"),
                                   cl::cat(getOptionCategory()));
static cl::opt<bool>
    verboseFlag("v",
                cl::desc("Print times, and what ptxas says of each kernel, on "
                         "standard error"),
                cl::cat(getOptionCategory()));

static cl::extrahelp examples(R"(
EXAMPLES:

  wyvernc specs/delta_net-1.3B.yaml
      compiles a layer to the folder delta_net-1.3B.wyvern: cubins,
      manifest.json and a C header
  wyvernc config.json -o qwen.wyvern
      the same for the delta layers of a Hugging Face model
  wyvernc layer.yaml --training
      forward and backward: what wyvern.torch trains with
  wyvernc layer.yaml --print-spec
      the spec with every default written out
  wyvernc layer.yaml --emit=rounded
      the program that the GPU kernels compute, as MLIR
  wyvernc layer.yaml --emit=cubin --save-temps=ir -v
      every step on the way in ir/, and registers, spills and times
  wyvernc layer.yaml --training --emit=tvm-ffi -o layer.so
      one shared object with the cubins inside, for apache-tvm-ffi
  wyvernc chunk_scan.mlir -o scan.wyvern
      a program written in the delta dialect itself
)");

cl::OptionCategory &mlir::wyvern::getOptionCategory() {
  // Options of other files may be made before those of this one.
  static cl::OptionCategory category("wyvernc options");
  return category;
}

ExitCode mlir::wyvern::usageError(const Twine &message) {
  printError(message + "\nType wyvernc --help for the options.");
  return ExitCode::Usage;
}

std::optional<ExitCode> mlir::wyvern::checkChoice(StringRef flag,
                                                  StringRef value,
                                                  ArrayRef<StringRef> choices) {
  if (llvm::is_contained(choices, value))
    return std::nullopt;
  return usageError("unknown --" + flag + " '" + value + "'" +
                    didYouMean(value, choices) + "; expected one of " +
                    llvm::join(choices, ", "));
}

std::optional<ExitCode>
mlir::wyvern::setParts(StringRef flag, StringRef list,
                       ArrayRef<StringRef> choices,
                       std::vector<std::string> &parts) {
  SmallVector<StringRef> words;
  list.split(words, ',', /*MaxSplit=*/-1, /*KeepEmpty=*/false);
  for (StringRef part : words) {
    if (auto code = checkChoice(flag, part, choices))
      return code;
    parts.push_back(part.str());
  }
  return std::nullopt;
}

static std::string getExecutable(const char *argv0) {
  // The address of any function of the executable.
  return llvm::sys::fs::getMainExecutable(
      argv0, reinterpret_cast<void *>(&getExecutable));
}

static std::optional<ExitCode> setFormat(DriverOptions &options) {
  StringRef extension = llvm::sys::path::extension(options.input);
  extension.consume_front(".");
  StringRef name = formatFlag.empty() ? extension : StringRef(formatFlag);
  std::optional<InputFormat> format =
      llvm::StringSwitch<std::optional<InputFormat>>(name)
          .Cases("yaml", "yml", InputFormat::YAML)
          .Case("json", InputFormat::JSON)
          .Case("mlir", InputFormat::MLIR)
          .Default(std::nullopt);
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
      listEmittable(), [](const auto &entry) { return entry.first; });
  if (!llvm::is_contained(names, StringRef(emitFlag)))
    return usageError("unknown phase '" + emitFlag + "' in --emit" +
                      didYouMean(emitFlag, names) + "; expected one of " +
                      llvm::join(names, ", "));
  options.emit = emitFlag;
  return std::nullopt;
}

static std::optional<ExitCode> setArch(DriverOptions &options) {
  options.arch = archFlag;
  if (options.arch.empty() || tile::findTarget(options.arch))
    return std::nullopt;
  SmallVector<StringRef> names = llvm::map_to_vector(
      tile::getTargets(), [](const tile::TargetInfo &it) { return it.arch; });
  return usageError("unsupported --arch '" + archFlag + "'" +
                    didYouMean(archFlag, names) + "; expected one of " +
                    tile::listTargets() +
                    ". Kernels use instructions that other GPUs do not have");
}

/// Refuses to write over the input, of which there may be no other copy.
static std::optional<ExitCode> checkOutputs(const DriverOptions &options) {
  for (auto [flag, path] :
       {std::pair<StringRef, StringRef>("-o", options.output),
        {"--report", options.report}})
    if (!path.empty() && llvm::sys::fs::equivalent(options.input, path))
      return usageError(flag + " names the input, '" + path +
                        "', which would be replaced; choose another place");
  return std::nullopt;
}

/// Checks each flag against the others.
static std::optional<ExitCode> setOptions(DriverOptions &options) {
  if (inputFlag.empty())
    return usageError("no input; give a layer spec (.yaml), a model's "
                      "config.json, or delta IR (.mlir)");
  options.input = inputFlag;
  options.output = outputFlag;
  options.saveTemps = saveTempsFlag;
  options.report = reportFlag;
  options.ptxas = ptxasFlag;
  options.compiler = compilerFlag;
  options.printSpec = printSpecFlag;
  options.verbose = verboseFlag;
  options.strict = strictFlag;
  if (auto code = setFormat(options))
    return code;
  if (auto code = setEmit(options))
    return code;
  const Product *product = findProduct(options.emit);
  if (!options.report.empty() && (!product || !product->needsPtxas))
    return usageError("--report shows what ptxas says of the kernels, and "
                      "--emit=" +
                      options.emit + " ends before; leave one of them out");
  if (auto code = setArch(options))
    return code;
  if (auto code = setTraining(options))
    return code;
  if (auto code = setServing(options))
    return code;
  if (auto code = setParts("prologue", prologueFlag.getValue(),
                           delta::getPrologueParts(), options.prologue))
    return code;
  if (auto code = setEpilogue(options))
    return code;
  if (auto code = setVariants(options))
    return code;
  if (options.printSpec && options.format == InputFormat::MLIR)
    return usageError("--print-spec needs a spec (.yaml) or a config.json; '" +
                      options.input + "' is IR");
  return checkOutputs(options);
}

std::optional<ExitCode> mlir::wyvern::parseCommandLine(int argc, char **argv,
                                                       DriverOptions &options) {
  // MLIR's own options work too; --help-hidden lists them with LLVM's.
  registerAsmPrinterCLOptions();
  registerPassManagerCLOptions();
  cl::HideUnrelatedOptions(getOptionCategory());
  options.executable = getExecutable(argv[0]);
  bool wantsVersion = false;
  cl::SetVersionPrinter([&](llvm::raw_ostream &) {
    printVersions(ptxasFlag, options.executable);
    wantsVersion = true;
  });
  std::string errors;
  llvm::raw_string_ostream errorStream(errors);
  if (!cl::ParseCommandLineOptions(
          argc, argv,
          "Wyvern compiles delta-rule sequence layers to GPU kernels.\n",
          &errorStream)) {
    llvm::errs() << errors;
    return ExitCode::Usage;
  }
  if (listPhasesFlag) {
    printEmittable();
    return ExitCode::Success;
  }
  if (listArchsFlag) {
    printArchs();
    return ExitCode::Success;
  }
  return setOptions(options);
}
