//===- TrainingOptions.cpp - What a forward saves -------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "OptionGroups.h"

using namespace mlir;
using namespace mlir::wyvern;
namespace cl = llvm::cl;

static cl::opt<bool>
    trainingFlag("training",
                 cl::desc("Derive the backward, for a bundle that trains"),
                 cl::cat(getOptionCategory()));
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
             cl::cat(getOptionCategory()));
static cl::opt<int64_t> saveBytesFlag(
    "save-bytes",
    cl::desc("With --save=auto: what states may take of memory, in bytes of a "
             "row (a token has repeat of them) and value head; 0 for any "
             "(default 1331)"),
    cl::value_desc("bytes"), cl::init(ProgramOptions().saveBytes),
    cl::cat(getOptionCategory()));

std::optional<ExitCode> mlir::wyvern::setTraining(DriverOptions &options) {
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
  return checkChoice("save", options.save,
                     {"auto", "factor", "checkpoints", "states", "none"});
}
