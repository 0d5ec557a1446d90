//===- Options.cpp - The command line -------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Options.h"
#include "Lists.h"
#include "Products.h"

#include "wyvern/Dialect/Delta/Utils/Prologue.h"
#include "wyvern/Dialect/Tile/Targets/TargetInfo.h"
#include "wyvern/Pipelines/Pipelines.h"
#include "wyvern/Support/Spelling.h"

#include "mlir/IR/AsmState.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/WithColor.h"

#include <limits>

using namespace mlir;
using namespace mlir::wyvern;
namespace cl = llvm::cl;

static cl::OptionCategory category("wyvernc options");

static cl::opt<std::string> inputFlag(cl::Positional, cl::desc("<input>"),
                                      cl::cat(category));
static cl::opt<std::string>
    formatFlag("input-format",
               cl::desc("What the input is: yaml, json or mlir; needed if its "
                        "name does not end so"),
               cl::value_desc("format"), cl::cat(category));
static cl::opt<std::string> archFlag("arch",
                                     cl::desc("The GPU to compile for "
                                              "(default: what an .mlir input "
                                              "says, or the first of "
                                              "--list-archs)"),
                                     cl::value_desc("arch"), cl::cat(category));
static cl::opt<std::string>
    emitFlag("emit",
             cl::desc("What to write: a phase or a product of --list-phases "
                      "(default bundle)"),
             cl::value_desc("phase"), cl::init("bundle"), cl::cat(category));
static cl::opt<std::string>
    outputFlag("o",
               cl::desc("Where to write it; - is standard output, the default "
                        "for text"),
               cl::value_desc("path"), cl::cat(category));
static cl::opt<std::string>
    saveTempsFlag("save-temps",
                  cl::desc("Write the IR after every phase into this folder"),
                  cl::value_desc("folder"), cl::cat(category));
static cl::opt<std::string>
    reportFlag("report",
               cl::desc("Write a page about what became of the layer: its "
                        "recurrence, the IR after every phase, its kernels"),
               cl::value_desc("file.html"), cl::cat(category));
static cl::opt<std::string>
    ptxasFlag("ptxas",
              cl::desc("The ptxas to run (else WYVERN_PTXAS, a CUDA toolkit, "
                       "PATH, or a wheel)"),
              cl::value_desc("path"), cl::cat(category));
static cl::opt<std::string>
    compilerFlag("cc",
                 cl::desc("The C compiler that links --emit=tvm-ffi (else CC, "
                          "or cc, gcc or clang in PATH)"),
                 cl::value_desc("path"), cl::cat(category));
static cl::opt<bool>
    strictFlag("strict",
               cl::desc("Refuse kernels that spill registers or whose wgmma "
                        "ptxas serializes (default true)"),
               cl::init(true), cl::cat(category));
static cl::opt<bool>
    trainingFlag("training",
                 cl::desc("Derive the backward, for a bundle that trains"),
                 cl::cat(category));
static cl::opt<std::string>
    saveFlag("save",
             cl::desc("With --training: what the forward saves for the "
                      "backward: factor (the triangular factor of each "
                      "chunk), checkpoints (that, and the state every 8 "
                      "chunks), states (that, and what the backward would "
                      "run the chain again for: the state and the rows that "
                      "it takes, every chunk), none, or auto: states where "
                      "they take little memory and are estimated to be "
                      "faster, else factor (default auto)"),
             cl::value_desc("what"), cl::init(ProgramOptions().save),
             cl::cat(category));
static cl::opt<int64_t> saveBytesFlag(
    "save-bytes",
    cl::desc("With --save=auto: what states may take of memory, in bytes of a "
             "row (a token has repeat of them) and value head; 0 for any "
             "(default 1331)"),
    cl::value_desc("bytes"), cl::init(ProgramOptions().saveBytes),
    cl::cat(category));
static cl::opt<std::string> servingFlag(
    "serving",
    cl::desc("Make what serves a layer in an inference engine, on a pool of "
             "states: step (of decoding, the default), prefill (of prompts) or "
             "prefill-keep (that also keeps states on the way)"),
    cl::value_desc("entry"), cl::ValueOptional, cl::cat(category));
static cl::opt<std::string>
    stateLayoutFlag("state-layout",
                    cl::desc("With --serving: order of the pool's dimensions, "
                             "vk ([slots, heads, V, K], the default) or kv"),
                    cl::value_desc("order"), cl::init("vk"), cl::cat(category));
static cl::opt<std::string>
    stateTypeFlag("state-type",
                  cl::desc("With --serving: element type of the pool, f32 (the "
                           "default) or bf16"),
                  cl::value_desc("type"), cl::init("f32"), cl::cat(category));
static cl::opt<std::string>
    slotTypeFlag("slot-type",
                 cl::desc("With --serving: element type of slot numbers and "
                          "lengths, i32 (the default) or i64"),
                 cl::value_desc("type"), cl::init("i32"), cl::cat(category));
static cl::opt<std::string> stateRoundingFlag(
    "state-rounding",
    cl::desc("With --state-type=bf16: how a state is rounded, nearest (the "
             "default) or stochastic (by seeds, a number a sequence)"),
    cl::value_desc("how"), cl::init("nearest"), cl::cat(category));
static cl::opt<int64_t>
    firstSlotFlag("first-slot",
                  cl::desc("With --serving: the first slot that is one; a "
                           "sequence with a lower number is padding (default "
                           "0; vLLM has 1)"),
                  cl::value_desc("slot"), cl::init(0), cl::cat(category));
static cl::opt<std::string>
    prologueFlag("prologue",
                 cl::desc("What the program computes of its operands, a list "
                          "of norm (q and keys come without their L2 norm), "
                          "decay (it is made of a, A_log and dt_bias), rates "
                          "(of logits b), gates (decay and rates) and scale "
                          "(o is multiplied by scale, a number a head)"),
                 cl::value_desc("list"), cl::cat(category));
static cl::opt<std::string>
    epilogueFlag("epilogue",
                 cl::desc("With --serving: what the step computes of its "
                          "output, a list of norm (an RMS norm of each head's "
                          "row, with norm_weight) and gate (times z and its "
                          "sigmoid)"),
                 cl::value_desc("list"), cl::cat(category));
static cl::opt<double> normEpsilonFlag(
    "norm-epsilon",
    cl::desc("With --epilogue=norm: what is added to the mean of squares "
             "(default 1e-6)"),
    cl::value_desc("number"), cl::init(1e-6), cl::cat(category));
static cl::opt<std::string>
    scheduleFlag("schedule",
                 cl::desc("Compile one variant: how the work is divided into "
                          "kernels, separate, fused-blocks, fused-warps, "
                          "fused-backward or clustered-backward"),
                 cl::value_desc("strategy"), cl::init("separate"),
                 cl::cat(category));
static cl::opt<std::string> variantsFlag(
    "variants",
    cl::desc(
        "Which variants a bundle holds, of which a launch "
        "takes one by its shapes: auto (what is estimated to "
        "be worth it, of the forward and of the backward "
        "with --training --save=states; the default where "
        "there may be several), or a list of separate, "
        "fused-blocks, fused-warps, fused-backward, "
        "clustered-backward, segments (of a length that the launch chooses), "
        "segments-<tokens>"),
    cl::value_desc("list"), cl::cat(category));
static cl::opt<int64_t>
    segmentTokensFlag("segment-tokens",
                      cl::desc("Compile one variant, with sequences cut into "
                               "segments of so many tokens that run at once, "
                               "exactly: for few long sequences with few heads "
                               "(0: none)"),
                      cl::value_desc("tokens"), cl::init(0), cl::cat(category));
static cl::opt<bool> printSpecFlag("print-spec",
                                   cl::desc("Print the spec with all its "
                                            "defaults, and stop"),
                                   cl::cat(category));
static cl::opt<bool> listPhasesFlag("list-phases",
                                    cl::desc("List what --emit takes, and "
                                             "stop"),
                                    cl::cat(category));
static cl::opt<bool> listArchsFlag("list-archs",
                                   cl::desc("List what --arch takes, and stop"),
                                   cl::cat(category));
static cl::opt<bool>
    verboseFlag("v",
                cl::desc("Print times, and what ptxas says of each kernel, on "
                         "standard error"),
                cl::cat(category));

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

static ExitCode usageError(const Twine &message) {
  printError(message + "\nType wyvernc --help for the options.");
  return ExitCode::Usage;
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

static std::optional<ExitCode> setTraining(DriverOptions &options) {
  static constexpr StringLiteral choices[] = {"auto", "factor", "checkpoints",
                                              "states", "none"};
  options.training = trainingFlag;
  options.save = saveFlag;
  options.saveBytes = saveBytesFlag;
  if (!options.training && saveFlag.getNumOccurrences() > 0)
    return usageError("--save says what training saves; add --training, or "
                      "leave it out");
  if (saveBytesFlag.getNumOccurrences() > 0 && options.save != "auto")
    return usageError("--save-bytes says when --save=auto saves states; leave "
                      "one of them out");
  if (saveBytesFlag.getNumOccurrences() > 0 && !options.training)
    return usageError("--save-bytes says what training saves; add --training, "
                      "or leave it out");
  if (options.saveBytes < 0)
    return usageError("expected --save-bytes of at least 0, found " +
                      Twine(options.saveBytes));
  if (llvm::is_contained(choices, StringRef(options.save)))
    return std::nullopt;
  SmallVector<StringRef> names(std::begin(choices), std::end(choices));
  return usageError("unknown --save '" + options.save + "'" +
                    didYouMean(options.save, names) + "; expected one of " +
                    llvm::join(names, ", "));
}

/// Diagnoses a value of a flag that there is not.
static std::optional<ExitCode> checkChoice(StringRef flag, StringRef value,
                                           ArrayRef<StringRef> choices) {
  if (llvm::is_contained(choices, value))
    return std::nullopt;
  return usageError("unknown --" + flag + " '" + value + "'" +
                    didYouMean(value, choices) + "; expected one of " +
                    llvm::join(choices, ", "));
}

/// Reads a list of parts, of which there are `choices`.
static std::optional<ExitCode> setParts(StringRef flag, StringRef list,
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

/// Reads --epilogue, of steps alone.
static std::optional<ExitCode> setEpilogue(DriverOptions &options) {
  if (auto code = setParts("epilogue", epilogueFlag.getValue(),
                           delta::getEpilogueParts(), options.epilogue))
    return code;
  options.normEpsilon = normEpsilonFlag;
  if (!options.epilogue.empty() && !options.isStep())
    return usageError("--epilogue is computed by the step of --serving; add "
                      "--serving, or leave it out");
  bool hasNorm = llvm::is_contained(options.epilogue, "norm");
  if (normEpsilonFlag.getNumOccurrences() > 0 && !hasNorm)
    return usageError("--norm-epsilon is of --epilogue=norm; add that, or "
                      "leave it out");
  // In the negative, which takes what is no number; kernels have it in f32.
  if (!(options.normEpsilon >= 0 &&
        options.normEpsilon <= std::numeric_limits<float>::max()))
    return usageError("expected --norm-epsilon as a finite f32 of at least 0, "
                      "found " +
                      llvm::formatv("{0}", options.normEpsilon).str());
  return std::nullopt;
}

static std::optional<ExitCode> setServing(DriverOptions &options) {
  if (servingFlag.getNumOccurrences() > 0)
    options.serving = servingFlag.empty() ? "step" : servingFlag.getValue();
  options.stateLayout = stateLayoutFlag;
  options.stateType = stateTypeFlag;
  options.slotType = slotTypeFlag;
  options.firstSlot = firstSlotFlag;
  options.stateRounding = stateRoundingFlag;
  bool isToldMore = stateLayoutFlag.getNumOccurrences() > 0 ||
                    stateTypeFlag.getNumOccurrences() > 0 ||
                    slotTypeFlag.getNumOccurrences() > 0 ||
                    stateRoundingFlag.getNumOccurrences() > 0 ||
                    firstSlotFlag.getNumOccurrences() > 0;
  if (options.serving.empty() && isToldMore)
    return usageError(
        "--state-layout, --state-type, --state-rounding, "
        "--slot-type and --first-slot say what the pool of --serving is; add "
        "--serving, or leave them out");
  if (options.serving.empty())
    return std::nullopt;
  if (auto code = checkChoice("serving", options.serving, getServed()))
    return code;
  if (options.training)
    return usageError("--serving makes what has no backward; leave --training "
                      "or --serving out");
  if (options.emit == "tvm-ffi")
    return usageError("--emit=tvm-ffi makes no module of what --serving makes "
                      "yet; leave --emit or --serving out");
  if (auto code =
          checkChoice("state-layout", options.stateLayout, {"vk", "kv"}))
    return code;
  if (auto code = checkChoice("state-type", options.stateType, {"f32", "bf16"}))
    return code;
  if (auto code = checkChoice("state-rounding", options.stateRounding,
                              {"nearest", "stochastic"}))
    return code;
  if (options.stateRounding == "stochastic" && options.stateType != "bf16")
    return usageError("--state-rounding=stochastic is of pools of bf16; add "
                      "--state-type=bf16, or leave it out");
  if (auto code = checkChoice("slot-type", options.slotType, {"i32", "i64"}))
    return code;
  int64_t mostSlot = options.slotType == "i32"
                         ? std::numeric_limits<int32_t>::max()
                         : std::numeric_limits<int64_t>::max();
  if (options.firstSlot < 0 || options.firstSlot > mostSlot)
    return usageError("expected --first-slot from 0 to " + Twine(mostSlot) +
                      ", which are slots of " + options.slotType + ", found " +
                      Twine(options.firstSlot));
  return std::nullopt;
}

/// Reads --schedule and --segment-tokens: one variant.
static std::optional<ExitCode> setVariant(DriverOptions &options) {
  Variant variant;
  variant.schedule = scheduleFlag;
  variant.segmentTokens = segmentTokensFlag;
  options.variants = {variant};
  if (!llvm::is_contained(getSchedules(), StringRef(variant.schedule)))
    return usageError("unknown --schedule '" + variant.schedule + "'" +
                      didYouMean(variant.schedule, getSchedules()) +
                      "; expected one of " + llvm::join(getSchedules(), ", "));
  if (variant.segmentTokens < 0)
    return usageError("expected --segment-tokens of at least 0, found " +
                      Twine(variant.segmentTokens));
  return std::nullopt;
}

/// Reads a list of variants.
static std::optional<ExitCode> setVariantList(DriverOptions &options,
                                              StringRef list) {
  SmallVector<StringRef> names;
  list.split(names, ',');
  std::string problem;
  auto variants = parseVariants(names, problem);
  if (!variants)
    return usageError("--variants: " + problem);
  options.variants = std::move(*variants);
  return std::nullopt;
}

/// True for what can hold several variants. Those for training are measured
/// where the backward runs nothing of the forward again; whether that is so
/// with --save=auto, `setSave` will say.
static bool holdsVariants(const DriverOptions &options) {
  return llvm::is_contained({"bundle", "manifest", "tvm-ffi"}, options.emit) &&
         (!options.training || options.save == "states" ||
          options.save == "auto");
}

void DriverOptions::setSave(StringRef what) {
  save = what.str();
  if (!training || !autoVariants || holdsVariants(*this))
    return;
  variants = {Variant()};
  autoVariants = false;
}

static std::optional<ExitCode> setVariants(DriverOptions &options) {
  bool isOne = scheduleFlag.getNumOccurrences() > 0 ||
               segmentTokensFlag.getNumOccurrences() > 0;
  if (options.isStep()) {
    if (isOne || variantsFlag.getNumOccurrences() > 0)
      return usageError("a step has variants of its own, for few sequences and "
                        "for many; leave --schedule, --segment-tokens and "
                        "--variants out");
    options.variants = getStepVariants();
    options.autoVariants = holdsVariants(options);
    if (!options.autoVariants)
      options.variants.resize(1);
    return std::nullopt;
  }
  if (isOne && variantsFlag.getNumOccurrences() > 0)
    return usageError("--schedule and --segment-tokens are one variant, and "
                      "--variants says which there are; leave one of them out");
  if (isOne)
    return setVariant(options);
  options.anyVariant = variantsFlag.empty() || variantsFlag == "auto";
  options.autoVariants = holdsVariants(options) && options.anyVariant;
  // A spec names those of a forward.
  options.specVariants =
      options.autoVariants && variantsFlag.empty() && !options.training;
  if (options.autoVariants)
    options.variants = getCandidateVariants(options.training);
  else if (options.anyVariant)
    options.variants = {Variant()};
  else if (auto code = setVariantList(options, variantsFlag))
    return code;
  if (options.variants.size() > 1 && !options.autoVariants && options.training)
    return usageError(
        "a bundle for training holds one variant, or those of its forward "
        "and of its backward that auto finds; give --variants one, or leave "
        "--training out");
  if (options.variants.size() > 1 && !holdsVariants(options))
    return usageError(
        "only a bundle, a manifest or a module of tvm-ffi holds several "
        "variants; give --variants one, or leave --emit out");
  return std::nullopt;
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
  cl::HideUnrelatedOptions(category);
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
