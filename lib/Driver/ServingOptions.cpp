//===- ServingOptions.cpp - What an inference engine asks for -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "OptionGroups.h"

#include "wyvern/Dialect/Delta/Utils/Prologue.h"
#include "wyvern/Pipelines/Pipelines.h"

#include "llvm/Support/FormatVariadic.h"

#include <limits>

using namespace mlir;
using namespace mlir::wyvern;
namespace cl = llvm::cl;

static cl::opt<std::string> servingFlag(
    "serving",
    cl::desc("Make what serves a layer in an inference engine, on a pool of "
             "states: step (of decoding, the default), prefill (of prompts) or "
             "prefill-keep (that also keeps states on the way)"),
    cl::value_desc("entry"), cl::ValueOptional, cl::cat(getOptionCategory()));
static cl::opt<std::string>
    stateLayoutFlag("state-layout",
                    cl::desc("With --serving: order of the pool's dimensions, "
                             "vk ([slots, heads, V, K], the default) or kv"),
                    cl::value_desc("order"), cl::init("vk"),
                    cl::cat(getOptionCategory()));
static cl::opt<std::string>
    stateTypeFlag("state-type",
                  cl::desc("With --serving: element type of the pool, f32 (the "
                           "default) or bf16"),
                  cl::value_desc("type"), cl::init("f32"),
                  cl::cat(getOptionCategory()));
static cl::opt<std::string>
    slotTypeFlag("slot-type",
                 cl::desc("With --serving: element type of slot numbers and "
                          "lengths, i32 (the default) or i64"),
                 cl::value_desc("type"), cl::init("i32"),
                 cl::cat(getOptionCategory()));
static cl::opt<std::string> stateRoundingFlag(
    "state-rounding",
    cl::desc("With --state-type=bf16: how a state is rounded, nearest (the "
             "default) or stochastic (by seeds, a number a sequence)"),
    cl::value_desc("how"), cl::init("nearest"), cl::cat(getOptionCategory()));
static cl::opt<int64_t>
    firstSlotFlag("first-slot",
                  cl::desc("With --serving: the first slot that is one; a "
                           "sequence with a lower number is padding (default "
                           "0; vLLM has 1)"),
                  cl::value_desc("slot"), cl::init(0),
                  cl::cat(getOptionCategory()));
static cl::opt<std::string>
    epilogueFlag("epilogue",
                 cl::desc("With --serving: what the step computes of its "
                          "output, a list of norm (an RMS norm of each head's "
                          "row, with norm_weight) and gate (times z and its "
                          "sigmoid)"),
                 cl::value_desc("list"), cl::cat(getOptionCategory()));
static cl::opt<double> normEpsilonFlag(
    "norm-epsilon",
    cl::desc("With --epilogue=norm: what is added to the mean of squares "
             "(default 1e-6)"),
    cl::value_desc("number"), cl::init(1e-6), cl::cat(getOptionCategory()));

std::optional<ExitCode> mlir::wyvern::setServing(DriverOptions &options) {
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

std::optional<ExitCode> mlir::wyvern::setEpilogue(DriverOptions &options) {
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
