//===- Training.cpp - Which modules get a backward ------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/IR/Delta.h"
#include "wyvern/Dialect/Delta/Transforms/Passes.h"
#include "wyvern/Dialect/Delta/Utils/TrainingPair.h"
#include "wyvern/Dialect/Tile/Targets/TargetInfo.h"
#include "wyvern/Pipelines/Pipelines.h"

using namespace mlir;
using namespace mlir::wyvern;

LogicalResult mlir::wyvern::checkTrainable(ModuleOp module) {
  FailureOr<delta::TrainingPair> pair = delta::findTrainingPair(module);
  if (failed(pair))
    return failure();
  if (*pair)
    return pair->forward.emitError()
           << "has a backward already, @" << pair->backward.getSymName()
           << "; compile it as it is, without asking for training";
  const Phase &reached = getReachedPhase(module);
  if (&reached != findPhase("input"))
    return module.emitError()
           << "expected an input that is not rounded yet, found one at phase '"
           << reached.name
           << "': a backward is derived before rounding; start from the spec, "
              "or an earlier phase";
  WalkResult found = module.walk([](Operation *op) {
    return isa<delta::RecurrenceOp, delta::ChunkScanOp, delta::ChunkMapOp>(op)
               ? WalkResult::interrupt()
               : WalkResult::advance();
  });
  if (!found.wasInterrupted())
    return module.emitError() << "expected a recurrence or a chunk program to "
                                 "differentiate, found none in the module";
  return success();
}

delta::SaveLimits PipelineOptions::getSaveLimits() const {
  // What is saved is decided before there is a target.
  const tile::TargetInfo &target = tile::getTargets().front();
  return {saveBytes, target.memoryBytesPerCycle,
          target.mmaFlopsPerCycle * target.sms};
}

FailureOr<delta::SaveChoice>
mlir::wyvern::chooseSave(ModuleOp module, const PipelineOptions &options) {
  OwningOpRef<ModuleOp> copy = module.clone();
  PassManager pm(module.getContext());
  for (const Phase &phase : getPhases()) {
    if (phase.name == "differentiated")
      break;
    phase.addPasses(pm, options);
  }
  pm.addPass(delta::createDifferentiatePass());
  pm.addPass(delta::createSimplifyPass());
  if (failed(pm.run(*copy)))
    return failure();
  FailureOr<delta::TrainingPair> pair = delta::findTrainingPair(*copy);
  if (failed(pair))
    return failure();
  if (!*pair)
    return module.emitError()
           << "expected a function that gets a backward, found none";
  return delta::chooseSave(pair->forward, pair->backward,
                           options.getSaveLimits());
}
