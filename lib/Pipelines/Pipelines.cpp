//===- Pipelines.cpp - The named phases of a compilation ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Pipelines/Pipelines.h"

#include "wyvern/Conversion/SchedToTile/SchedToTile.h"
#include "wyvern/Conversion/TileToNVVM/TileToNVVM.h"
#include "wyvern/Dialect/Delta/Adjoints/Adjoint.h"
#include "wyvern/Dialect/Delta/IR/ChunkRegion.h"
#include "wyvern/Dialect/Delta/IR/Delta.h"
#include "wyvern/Dialect/Delta/Transforms/Passes.h"
#include "wyvern/Dialect/Sched/Strategies/Passes.h"
#include "wyvern/Dialect/Tile/IR/Tile.h"
#include "wyvern/Dialect/Tile/Transforms/Passes.h"

#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace mlir::wyvern;

void PipelineOptions::set(const ProgramOptions &program) {
  training = program.training;
  save = program.save;
  saveBytes = program.saveBytes;
  serving = program.serving;
  stateLayout = program.stateLayout;
  stateType = program.stateType;
  slotType = program.slotType;
  firstSlot = program.firstSlot;
  stateRounding = program.stateRounding;
  prologue = program.prologue;
  epilogue = program.epilogue;
  normEpsilon = program.normEpsilon;
}

static void addInput(OpPassManager &, const PipelineOptions &) {}

static void addDelta(OpPassManager &pm, const PipelineOptions &) {
  pm.addPass(createCanonicalizerPass());
}

/// A step of decoding has the form of one token in the place of a chunk's.
static void addStep(OpPassManager &pm, const PipelineOptions &options) {
  delta::FormStepPassOptions formStep;
  formStep.layout = options.stateLayout;
  formStep.stateType = options.stateType;
  formStep.slotType = options.slotType;
  formStep.firstSlot = options.firstSlot;
  formStep.stateRounding = options.stateRounding;
  formStep.prologue.assign(options.prologue.begin(), options.prologue.end());
  formStep.epilogue.assign(options.epilogue.begin(), options.epilogue.end());
  formStep.normEpsilon = options.normEpsilon;
  pm.addPass(delta::createFormStepPass(formStep));
  pm.addPass(delta::createFuseProloguePass());
}

static void addWY(OpPassManager &pm, const PipelineOptions &options) {
  if (options.isStep())
    return addStep(pm, options);
  delta::FormLevelsPassOptions formLevels;
  formLevels.rows = options.rows;
  pm.addPass(delta::createFormLevelsPass(formLevels));
  delta::FormWYPassOptions formWY;
  formWY.rows = options.rows;
  formWY.prologue.assign(options.prologue.begin(), options.prologue.end());
  pm.addPass(delta::createFormWYPass(formWY));
  pm.addPass(delta::createFuseProloguePass());
  if (options.serving.empty())
    return;
  delta::PoolStatesPassOptions pool;
  pool.stateType = options.stateType;
  pool.slotType = options.slotType;
  pool.firstSlot = options.firstSlot;
  pool.stateRounding = options.stateRounding;
  pool.keep = options.serving.getValue() == "prefill-keep";
  pm.addPass(delta::createPoolStatesPass(pool));
}

static void addDifferentiated(OpPassManager &pm,
                              const PipelineOptions &options) {
  if (!options.training)
    return;
  pm.addPass(delta::createDifferentiatePass());
  pm.addPass(delta::createSimplifyPass());
  delta::PlanResidualsPassOptions plan;
  delta::SaveLimits limits = options.getSaveLimits();
  plan.save = options.save;
  plan.mostBytes = limits.bytes;
  plan.bytesPerCycle = limits.bytesPerCycle;
  plan.flopsPerCycle = limits.flopsPerCycle;
  pm.addPass(delta::createPlanResidualsPass(plan));
}

static void addStaged(OpPassManager &pm, const PipelineOptions &options) {
  // The step is one kernel: nothing of it is worth a trip through memory. The
  // scales of norms leave rows, which then are in registers once, and no
  // product waits for a sum of squares.
  if (options.isStep()) {
    pm.addPass(delta::createSimplifyPass());
    pm.addPass(createCanonicalizerPass());
    pm.addPass(createCSEPass());
    return;
  }
  pm.addPass(delta::createSimplifyPass());
  pm.addPass(delta::createStagePass());
  // What one program computes is an in of the next.
  pm.addPass(delta::createSimplifyPass());
  pm.addPass(delta::createSumProductsPass());
  pm.addPass(delta::createSumRowsPass());
  if (options.segmentTokens > 0) {
    delta::SegmentPassOptions segment;
    segment.tokens = options.segmentTokens;
    segment.atLaunch = options.segmentsAtLaunch;
    pm.addPass(delta::createSegmentPass(segment));
  }
  pm.addPass(delta::createShareSumsPass());
  // Drops what a transition, or a chain without its sums, does not read.
  pm.addPass(delta::createSimplifyPass());
}

/// Tokens of a block that is one product with a decay a channel: of twice as
/// many, decays would be right to 3.4e-4 only (delta-halve-decay).
static constexpr int64_t kNearTokens = 8;

static void addRounded(OpPassManager &pm, const PipelineOptions &options) {
  // What the CUDA cores multiply is not rounded.
  if (options.operandType.getValue() == "none" || options.isStep())
    return;
  // What a block has is the same on all architectures so far.
  const tile::TargetInfo &target = tile::getTargets().front();
  delta::CutMapsPassOptions cut;
  // A block of half the room is divided where one has just room for all.
  cut.sharedBytes = target.sharedBytes / (options.smaller > 2 ? 2 : 1);
  cut.registerBytes = target.tileRegisters * tile::kWarpgroupThreads * 4;
  delta::SplitMapsPassOptions split;
  split.sharedBytes = cut.sharedBytes;
  split.registerBytes = cut.registerBytes;
  pm.addPass(delta::createJoinMapsPass());
  pm.addPass(delta::createSplitMapsPass(split));
  pm.addPass(delta::createGroupTermsPass());
  pm.addPass(delta::createCutMapsPass(cut));
  // Operands of its products are rounded with the others.
  delta::HalveDecayPassOptions halve;
  halve.operandType = options.operandType;
  if (options.operandType.getValue() == "bf16")
    halve.near = kNearTokens;
  pm.addPass(delta::createHalveDecayPass(halve));
  delta::AssignPrecisionPassOptions precision;
  precision.operandType = options.operandType;
  pm.addPass(delta::createAssignPrecisionPass(precision));
  pm.addPass(delta::createTakeDiagonalsPass());
}

ArrayRef<StringRef> mlir::wyvern::getServed() {
  static constexpr StringRef served[] = {"step", "prefill", "prefill-keep"};
  return served;
}

ArrayRef<StringRef> mlir::wyvern::getSchedules() {
  static constexpr StringRef schedules[] = {"separate", "fused-blocks",
                                            "fused-warps", "fused-backward",
                                            "clustered-backward"};
  return schedules;
}

static void addScheduled(OpPassManager &pm, const PipelineOptions &options) {
  pm.addPass(tile::createTileAttachTargetPass());
  if (options.isStep()) {
    sched::DecodePassOptions decode;
    decode.few = options.schedule == "decode-few";
    pm.addNestedPass<func::FuncOp>(sched::createDecodePass(decode));
    return;
  }
  delta::PadDimsPassOptions pad;
  pad.columns = tile::kBlockColumns;
  pm.addPass(delta::createPadDimsPass(pad));
  if (options.schedule == "fused-backward" ||
      options.schedule == "clustered-backward") {
    sched::FuseBackwardPassOptions fuse;
    fuse.cluster = options.schedule == "clustered-backward";
    pm.addNestedPass<func::FuncOp>(sched::createFuseBackwardPass(fuse));
  } else if (options.schedule != "separate") {
    sched::FuseForwardPassOptions fuse;
    if (options.schedule == "fused-warps") {
      fuse.splitWarps = 2;
      fuse.splitMap = true;
      fuse.copies = 1;
    }
    pm.addNestedPass<func::FuncOp>(sched::createFuseForwardPass(fuse));
  }
  sched::SeparatePassOptions separate;
  separate.shareRuns = options.segmentTokens > 0;
  separate.runs = options.smaller < 2;
  pm.addNestedPass<func::FuncOp>(sched::createSeparatePass(separate));
}

static void addTile(OpPassManager &pm, const PipelineOptions &options) {
  pm.addPass(createConvertSchedToTilePass());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  OpPassManager &kernels = pm.nest<tile::KernelOp>();
  tile::TileStripColumnsPassOptions strip;
  // Some kernels that hold as much as others that spill do not.
  constexpr int64_t kFewRegisters = 160;
  if (options.smaller > 0)
    strip.registers = kFewRegisters;
  kernels.addPass(tile::createTileStripColumnsPass(strip));
  kernels.addPass(tile::createTileScaleSolvePass());
  kernels.addPass(tile::createTileRematerializePass());
  kernels.addPass(tile::createTileSchedulePass());
  kernels.addPass(tile::createTileReleaseEarlyPass());
  kernels.addPass(tile::createTileRotatePass());
  kernels.addPass(tile::createTilePlanSmemPass());
}

static void addNVVM(OpPassManager &pm, const PipelineOptions &) {
  pm.addPass(createConvertTileToNVVMPass());
}

static void addLLVM(OpPassManager &pm, const PipelineOptions &) {
  pm.addPass(createSCFToControlFlowPass());
  pm.addPass(createArithToLLVMConversionPass());
  pm.addPass(createConvertControlFlowToLLVMPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
}

static constexpr Phase phases[] = {
    {"input", "the module as the spec says it", addInput},
    {"delta", "sequence level: one delta.recurrence a layer", addDelta},
    {"wy", "chunk program: one delta.chunk_scan a layer, in WY form", addWY},
    {"differentiated",
     "with training: a forward, what it saves, and its backward; else as wy",
     addDifferentiated},
    {"staged", "a map over all chunks, then the chain over their order",
     addStaged},
    {"rounded", "16-bit operands of matmuls; what the CPU runs too",
     addRounded},
    {"scheduled", "who computes what: kernels, their roles and channels",
     addScheduled},
    {"tile", "how it runs on a GPU: tiles, rings, products", addTile},
    {"nvvm", "LLVM and NVVM dialects with structured control flow", addNVVM},
    {"llvm", "what is translated to PTX", addLLVM},
};

ArrayRef<Phase> mlir::wyvern::getPhases() { return phases; }

const Phase *mlir::wyvern::findPhase(StringRef name) {
  const Phase *phase = llvm::find_if(
      phases, [&](const Phase &candidate) { return candidate.name == name; });
  return phase == std::end(phases) ? nullptr : phase;
}

void mlir::wyvern::buildPipeline(OpPassManager &pm, const Phase &last,
                                 const PipelineOptions &options,
                                 const Phase &reached) {
  for (const Phase &phase : phases) {
    if (&phase > &reached)
      phase.addPasses(pm, options);
    if (&phase == &last)
      break;
  }
}

StringRef mlir::wyvern::getOperandType(ModuleOp module) {
  for (auto func : module.getOps<func::FuncOp>())
    for (Type type : func.getArgumentTypes()) {
      Type element = getElementTypeOrSelf(type);
      if (element.isBF16())
        return "bf16";
      if (element.isF16())
        return "f16";
    }
  return "none";
}

/// True if an operation inside a chunk program rounds.
static bool isRounded(ModuleOp module) {
  WalkResult result = module.walk([](arith::TruncFOp op) {
    return isa<delta::ChunkScanOp, delta::ChunkMapOp>(op->getParentOp())
               ? WalkResult::interrupt()
               : WalkResult::advance();
  });
  return result.wasInterrupted();
}

/// True if a function holds a kernel.
static bool isScheduled(ModuleOp module) {
  return module.walk([](sched::KernelOp) { return WalkResult::interrupt(); })
      .wasInterrupted();
}

const Phase &mlir::wyvern::getReachedPhase(ModuleOp module) {
  StringRef name = "input";
  if (!module.getOps<gpu::GPUModuleOp>().empty())
    name = "nvvm";
  else if (!module.getOps<tile::KernelOp>().empty())
    name = "tile";
  else if (isScheduled(module))
    name = "scheduled";
  else if (isRounded(module))
    name = "rounded";
  return *findPhase(name);
}

void mlir::wyvern::registerPipelines() {
  for (const Phase &phase : llvm::drop_begin(getPhases())) {
    PassPipelineRegistration<PipelineOptions>(
        ("wyvern-to-" + phase.name).str(), phase.description,
        [&phase](OpPassManager &pm, const PipelineOptions &options) {
          buildPipeline(pm, phase, options);
        });
  }
}

void mlir::wyvern::registerDialects(DialectRegistry &registry) {
  registry.insert<arith::ArithDialect, cf::ControlFlowDialect,
                  delta::DeltaDialect, func::FuncDialect, gpu::GPUDialect,
                  linalg::LinalgDialect, LLVM::LLVMDialect, math::MathDialect,
                  NVVM::NVVMDialect, scf::SCFDialect, sched::SchedDialect,
                  tensor::TensorDialect, tile::TileDialect>();
  delta::registerAdjoints(registry);
  delta::registerChunkRegionModels(registry);
}
