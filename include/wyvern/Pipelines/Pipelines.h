//===- Pipelines.h - The named phases of a compilation ----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One list of phases, for wyvernc (--emit, --save-temps, --list-phases) and for
// wyvern-opt (--wyvern-to-<phase>). A phase is the IR after its passes.
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_PIPELINES_PIPELINES_H
#define WYVERN_PIPELINES_PIPELINES_H

#include "wyvern/Dialect/Delta/Transforms/SaveChoice.h"
#include "wyvern/Pipelines/ProgramOptions.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassOptions.h"

namespace mlir::wyvern {

/// What the phases can be told. wyvernc fills it from the spec and its flags.
struct PipelineOptions : PassPipelineOptions<PipelineOptions> {
  Option<int64_t> rows{*this, "rows",
                       llvm::cl::desc("most rows (tokens times repeat) of a "
                                      "chunk"),
                       llvm::cl::init(64)};
  Option<std::string> operandType{
      *this, "operand-type",
      llvm::cl::desc("element type of matmul operands: bf16, f16, or none for "
                     "no rounding"),
      llvm::cl::init("bf16")};
  Option<bool> training{*this, "training",
                        llvm::cl::desc("derive the backward of each function"),
                        llvm::cl::init(false)};
  Option<std::string> save{
      *this, "save",
      llvm::cl::desc("what the forward saves for its backward: factor (the "
                     "triangular factor of each chunk), checkpoints (that, and "
                     "the state every 8 chunks), states (that, the state "
                     "and the rows that it takes, every chunk), none, or auto "
                     "for states or factor"),
      llvm::cl::init(ProgramOptions().save)};
  Option<int64_t> saveBytes{
      *this, "save-bytes",
      llvm::cl::desc("with save=auto: what states may take of a row and value "
                     "head, in bytes; 0 for any"),
      llvm::cl::init(ProgramOptions().saveBytes)};
  Option<int64_t> segmentTokens{
      *this, "segment-tokens",
      llvm::cl::desc("tokens of the segments that long sequences are cut into, "
                     "to run at once; 0 to leave them whole"),
      llvm::cl::init(0)};
  Option<bool> segmentsAtLaunch{
      *this, "segments-at-launch",
      llvm::cl::desc("let each launch choose the segments' length, of which "
                     "segment-tokens is one"),
      llvm::cl::init(false)};
  Option<std::string> schedule{
      *this, "schedule",
      llvm::cl::desc("how chunk programs are divided into kernels and roles: "
                     "separate (one kernel each), fused-blocks, fused-warps "
                     "(a map and its scan in one kernel; blocks, or the "
                     "warpgroups of one, share the state's value dimension) "
                     "or fused-backward (a scan and the map behind it in one "
                     "kernel; with clustered-backward of two blocks a head, "
                     "which are a cluster)"),
      llvm::cl::init("separate")};
  Option<std::string> serving{
      *this, "serving",
      llvm::cl::desc("make what serves a layer, on a pool of states: step (of "
                     "its decoding), prefill or prefill-keep (of its prompts)"),
      llvm::cl::init("")};
  Option<std::string> stateLayout{
      *this, "state-layout",
      llvm::cl::desc("of the pool: vk, [slots, HV, V, K], or kv"),
      llvm::cl::init("vk")};
  Option<std::string> stateType{*this, "state-type",
                                llvm::cl::desc("of the pool: f32 or bf16"),
                                llvm::cl::init("f32")};
  Option<std::string> stateRounding{
      *this, "state-rounding",
      llvm::cl::desc("of a pool of bf16: nearest or stochastic"),
      llvm::cl::init("nearest")};
  Option<std::string> slotType{*this, "slot-type",
                               llvm::cl::desc("of slot numbers: i32 or i64"),
                               llvm::cl::init("i32")};
  ListOption<std::string> prologue{
      *this, "prologue",
      llvm::cl::desc("what is computed of operands: norm, gates")};
  ListOption<std::string> epilogue{
      *this, "epilogue",
      llvm::cl::desc("what a step computes of its output: norm, gate")};
  Option<double> normEpsilon{
      *this, "norm-epsilon",
      llvm::cl::desc("added to the mean of squares in the epilogue's norm"),
      llvm::cl::init(1e-6)};
  Option<int64_t> firstSlot{
      *this, "first-slot",
      llvm::cl::desc("the first slot that is one: below it is padding"),
      llvm::cl::init(0)};

  Option<int64_t> smaller{
      *this, "smaller",
      llvm::cl::desc("how much smaller than it could be what a thread or block "
                     "computes is made, where kernels do not fit otherwise: 0 "
                     "not at all, 1 rows in strips of columns, 2 also maps one "
                     "chunk a block, 3 also some channels or columns at a time "
                     "wherever these can be divided"),
      llvm::cl::init(0)};

  bool isStep() const { return serving.getValue() == "step"; }
  /// What states are judged by with `save=auto`.
  delta::SaveLimits getSaveLimits() const;
  /// Sets what `program` says; the others stay as they are.
  void set(const ProgramOptions &program);
};

/// What `serving` can name.
ArrayRef<StringRef> getServed();

/// The strategies that `schedule` can name.
ArrayRef<StringRef> getSchedules();

/// One named state of the IR and the passes that lead to it from the one
/// before.
struct Phase {
  StringLiteral name;
  StringLiteral description;
  void (*addPasses)(OpPassManager &pm, const PipelineOptions &options);
};

/// All phases that are MLIR, in order; the first one is the input as it is.
ArrayRef<Phase> getPhases();

/// The phase of this name, or null.
const Phase *findPhase(StringRef name);

/// Adds the passes of the phases behind `reached`, which a module has behind it
/// (`getReachedPhase`), up to and with `last`.
void buildPipeline(OpPassManager &pm, const Phase &last,
                   const PipelineOptions &options,
                   const Phase &reached = getPhases().front());

/// The `operand-type` of a module: that of its first 16-bit argument, or none.
StringRef getOperandType(ModuleOp module);

/// The phase that a module is at, as far as later phases may not be run before
/// it again: rounding is final, and so is each step towards the machine.
/// Sequence level and unrounded chunk programs count as `input`.
const Phase &getReachedPhase(ModuleOp module);

/// Diagnoses a module that `training` cannot derive a backward for: it is past
/// that phase, has one already, or holds nothing to differentiate.
LogicalResult checkTrainable(ModuleOp module);

/// Diagnoses names of functions and tensors that could not be names in PTX, C
/// and Python, two tensors of a function that have one name, and with
/// `training` arguments that are named like a gradient that is still to be
/// derived.
LogicalResult checkNames(ModuleOp module, bool training);

/// Returns what `save=auto` will choose for a module that `checkTrainable`
/// takes, with its figures. Fails, and says why, where there is no backward.
FailureOr<delta::SaveChoice> chooseSave(ModuleOp module,
                                        const PipelineOptions &options);

/// Registers --wyvern-to-<phase> for every phase.
void registerPipelines();

/// Every dialect that a phase, or a hand-written input, may hold.
void registerDialects(DialectRegistry &registry);

} // namespace mlir::wyvern

#endif // WYVERN_PIPELINES_PIPELINES_H
