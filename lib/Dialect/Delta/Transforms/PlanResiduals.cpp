//===- PlanResiduals.cpp - What a forward saves for its backward ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// delta-differentiate leaves a backward that makes every forward value again.
// Here some of them become results of the forward and arguments of the
// backward, and remarks say what either choice costs.
//
//===----------------------------------------------------------------------===//

#include "SplitSolve.h"

#include "wyvern/Dialect/Delta/Transforms/Passes.h"
#include "wyvern/Dialect/Delta/Utils/CarryDependence.h"
#include "wyvern/Dialect/Delta/Utils/ExtendProgram.h"
#include "wyvern/Dialect/Delta/Utils/Training.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Remarks.h"

namespace mlir::wyvern::delta {
#define GEN_PASS_DEF_PLANRESIDUALSPASS
#include "wyvern/Dialect/Delta/Transforms/Passes.h.inc"
} // namespace mlir::wyvern::delta

#define DEBUG_TYPE "delta-plan-residuals"

using namespace mlir;
using namespace mlir::wyvern::delta;

namespace {
/// A forward, its backward, and the values that pass from one to the other.
class ResidualPlan {
public:
  ResidualPlan(func::FuncOp forward, func::FuncOp backward,
               RewriterBase &rewriter)
      : forward(forward), backward(backward), rewriter(rewriter),
        position(forward.getNumArguments()) {}

  /// The triangular systems that no carry enters and the backward solves.
  SmallVector<EraseSolveOp> findSystems();
  /// Saves the factor of a system.
  void saveFactor(EraseSolveOp solve);
  /// Says what it would take to do so.
  void remarkOnFactor(EraseSolveOp solve);
  /// Saves the carries of each scan that is replayed every `interval` chunks;
  /// with 0 none.
  unsigned saveStates(int64_t interval);
  /// Drops arguments of the backward that nothing reads any more.
  void dropUnusedArguments();

private:
  /// The solves of the backward that are of this system.
  SmallVector<Operation *> findSolves(Attribute system);
  void saveCarries(ChunkScanOp scan, ChunkScanOp replay, int64_t interval);
  ChunkScanOp findReplay(ChunkScanOp scan);
  /// A new result of the forward and argument of the backward.
  BlockArgument addResidual(Value value, StringRef name);
  void useFactor(IntegerAttr system, Value factor, BindingAttr binding);

  func::FuncOp forward, backward;
  RewriterBase &rewriter;
  unsigned position; ///< of the next residual among the backward's arguments
};
} // namespace

//===----------------------------------------------------------------------===//
// Remarks
//===----------------------------------------------------------------------===//

/// Bytes a token and head of a tensor that holds a tile a (token, head) or a
/// (chunk, head).
static double bytesPerTokenHead(RankedTensorType tile, int64_t chunk,
                                int64_t elementBytes) {
  return static_cast<double>(tile.getNumElements()) * elementBytes / chunk;
}

/// Floating-point operations that `value` takes to be computed from the tiles
/// of a program's ins.
static int64_t flopsOf(Value value) {
  llvm::SmallPtrSet<Operation *, 8> seen;
  SmallVector<Value> worklist = {value};
  int64_t sum = 0;
  while (!worklist.empty()) {
    Operation *def = worklist.pop_back_val().getDefiningOp();
    if (!def || !seen.insert(def).second)
      continue;
    if (auto work = dyn_cast<MatmulWorkOpInterface>(def))
      sum += work.getMatmulFlops();
    worklist.append(def->operand_begin(), def->operand_end());
  }
  return sum;
}

static void remarkOn(Location loc, StringRef value, StringRef choice,
                     double bytes, int64_t flops, int64_t chunk) {
  remark::analysis(loc, remark::RemarkOpts::name(value).category(DEBUG_TYPE))
      << choice
      << remark::metric("BytesPerTokenHead", static_cast<int64_t>(bytes))
      << remark::metric("FlopsPerTokenHead", flops / chunk);
}

/// States are replayed from the initial one, or from the nearest one saved,
/// with the factors that are saved.
static void remarkOnStates(ChunkScanOp replay, int64_t interval) {
  int64_t chunk = replay.getChunk();
  for (auto [i, carry] : llvm::enumerate(replay.getYield().getCarries())) {
    auto tile = cast<RankedTensorType>(carry.getType());
    int64_t bytes = tile.getElementTypeBitWidth() / 8;
    remarkOn(
        replay.getLoc(), i == 0 ? "state" : "state_" + std::to_string(i),
        interval ? "saved at intervals" : "replayed",
        bytesPerTokenHead(tile, chunk * std::max<int64_t>(interval, 1), bytes),
        flopsOf(carry), chunk);
  }
}

//===----------------------------------------------------------------------===//
// Factors
//===----------------------------------------------------------------------===//

BlockArgument ResidualPlan::addResidual(Value value, StringRef name) {
  auto attrs = rewriter.getDictionaryAttr(
      {rewriter.getNamedAttr(kNameAttr, rewriter.getStringAttr(name)),
       rewriter.getNamedAttr(kResidualAttr, rewriter.getUnitAttr())});
  (void)forward.insertResult(forward.getNumResults(), value.getType(), attrs);
  Operation *terminator = forward.getBody().front().getTerminator();
  terminator->insertOperands(terminator->getNumOperands(), value);
  (void)backward.insertArgument(position, value.getType(), attrs,
                                value.getLoc());
  return backward.getArgument(position++);
}

SmallVector<Operation *> ResidualPlan::findSolves(Attribute system) {
  SmallVector<Operation *> solves;
  backward.walk([&](Operation *op) {
    if (isa<EraseSolveOp, EraseSolveAdjointOp>(op) &&
        op->getAttr(kSystemAttr) == system)
      solves.push_back(op);
  });
  return solves;
}

/// In the backward the system of this number is solved by its factor.
void ResidualPlan::useFactor(IntegerAttr system, Value factor,
                             BindingAttr binding) {
  for (Operation *op : findSolves(system)) {
    auto program = cast<ChunkProgramOpInterface>(op->getParentOp());
    Type tile;
    if (auto solve = dyn_cast<EraseSolveOp>(op))
      tile = solve.getL().getType();
    else
      tile = cast<EraseSolveAdjointOp>(op).getL().getType();
    Value arg = addIn(rewriter, program, factor, binding, tile);
    if (auto solve = dyn_cast<EraseSolveOp>(op))
      replaceSolve(rewriter, solve, arg);
    else
      replaceSolve(rewriter, cast<EraseSolveAdjointOp>(op), arg);
  }
}

/// The name of a system's factor among the residuals.
static std::string nameFactor(EraseSolveOp solve) {
  int64_t number = solve->getAttrOfType<IntegerAttr>(kSystemAttr).getInt();
  return number == 0 ? "factor" : "factor_" + std::to_string(number);
}

static void remarkOn(EraseSolveOp solve, Value factor, StringRef choice) {
  int64_t chunk =
      cast<ChunkProgramOpInterface>(solve->getParentOp()).getChunk();
  auto tile = cast<RankedTensorType>(factor.getType());
  remarkOn(solve.getLoc(), nameFactor(solve), choice,
           bytesPerTokenHead(tile, chunk, 2), flopsOf(factor), chunk);
}

void ResidualPlan::remarkOnFactor(EraseSolveOp solve) {
  Value factor = createFactor(rewriter, solve);
  remarkOn(solve, factor, "recomputed");
  rewriter.eraseOp(factor.getDefiningOp());
}

void ResidualPlan::saveFactor(EraseSolveOp solve) {
  auto program = cast<ChunkProgramOpInterface>(solve->getParentOp());
  auto system = solve->getAttrOfType<IntegerAttr>(kSystemAttr);
  std::string name = nameFactor(solve);
  Value factor = createFactor(rewriter, solve);
  remarkOn(solve, factor, "saved");
  replaceSolve(rewriter, solve, factor);
  TileStorage storage = getStorage(factor, program, TimeDims(program));
  Value saved = addOut(rewriter, program, factor, storage);
  useFactor(system, addResidual(saved, name), storage.binding);
}

SmallVector<EraseSolveOp> ResidualPlan::findSystems() {
  SmallVector<EraseSolveOp> solves;
  forward.walk([&](EraseSolveOp solve) {
    if (!solve->hasAttr(kSystemAttr) ||
        findSolves(solve->getAttr(kSystemAttr)).empty())
      return;
    CarryDependence dependence(
        cast<ChunkProgramOpInterface>(solve->getParentOp()));
    if (dependence.reaches(solve.getL()) || dependence.reaches(solve.getRate()))
      (void)rewriter.notifyMatchFailure(
          solve, "its system depends on a carry: the factor would have to be "
                 "formed in the chain");
    else
      solves.push_back(solve);
  });
  return solves;
}

//===----------------------------------------------------------------------===//
// States
//===----------------------------------------------------------------------===//

ChunkScanOp ResidualPlan::findReplay(ChunkScanOp scan) {
  ChunkScanOp found;
  backward.walk([&](ChunkScanOp replay) {
    if (replay->hasAttr(kReplayAttr) &&
        replay->getAttr(kReplayAttr) == scan->getAttr(kReplayAttr))
      found = replay;
  });
  return found;
}

/// The forward stores its carries as they enter every `interval`-th chunk; the
/// replay starts from there, all segments at once.
void ResidualPlan::saveCarries(ChunkScanOp scan, ChunkScanOp replay,
                               int64_t interval) {
  std::string suffix;
  int64_t number = scan->getAttrOfType<IntegerAttr>(kReplayAttr).getInt();
  if (number > 0)
    suffix = "_" + std::to_string(number);
  SmallVector<Attribute> bindings;
  auto program = cast<ChunkProgramOpInterface>(scan.getOperation());
  for (unsigned i = 0, e = replay.getInits().size(); i < e; ++i) {
    Value carry = program.getCarryArg(i);
    TileStorage storage = getStorage(carry, program, TimeDims(program));
    SmallVector<BoundDim> dims(storage.binding.getDims());
    dims.front().multiple = interval;
    storage.binding = BindingAttr::get(rewriter.getContext(), dims);
    bindings.push_back(storage.binding);
    Value saved = addOut(rewriter, program, carry, storage);
    program = saved.getDefiningOp<ChunkProgramOpInterface>();
    std::string name = "state" + suffix;
    if (i > 0)
      name += "_" + std::to_string(i);
    BlockArgument argument = addResidual(saved, name);
    rewriter.modifyOpInPlace(replay, [&] {
      replay.getInitsMutable()[i].set(argument);
      replay.getFinals()[i].setType(storage.type);
    });
  }
  replay.setCarryBindingsAttr(rewriter.getArrayAttr(bindings));
}

unsigned ResidualPlan::saveStates(int64_t interval) {
  SmallVector<ChunkScanOp> scans;
  forward.walk([&](ChunkScanOp scan) { scans.push_back(scan); });
  unsigned number = 0;
  for (ChunkScanOp scan : scans) {
    ChunkScanOp replay = findReplay(scan);
    if (!replay) {
      (void)rewriter.notifyMatchFailure(scan, "the backward reads none of its "
                                              "states");
      continue;
    }
    remarkOnStates(replay, interval);
    if (interval == 0)
      continue;
    if (replay.getInits().size() != scan.getInits().size()) {
      (void)rewriter.notifyMatchFailure(
          scan, "its replay has other carries: it starts from the first chunk");
      continue;
    }
    number += replay.getInits().size();
    saveCarries(scan, replay, interval);
  }
  return number;
}

void ResidualPlan::dropUnusedArguments() {
  llvm::BitVector unused(backward.getNumArguments());
  for (BlockArgument argument : backward.getArguments())
    unused[argument.getArgNumber()] = argument.use_empty();
  (void)backward.eraseArguments(unused);
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {
struct PlanResidualsPass
    : wyvern::delta::impl::PlanResidualsPassBase<PlanResidualsPass> {
  using Base::Base;

  void runOnOperation() override {
    if (!llvm::is_contained({"none", "factor", "checkpoints"},
                            StringRef(save))) {
      getOperation()->emitError()
          << "expected save none, factor or checkpoints, found '" << save
          << "': factor saves what solves the triangular systems, checkpoints "
             "that and states";
      return signalPassFailure();
    }
    if (interval < 1) {
      getOperation()->emitError()
          << "expected an interval of at least one chunk, found "
          << interval.getValue();
      return signalPassFailure();
    }
    IRRewriter rewriter(&getContext());
    for (auto forward :
         llvm::to_vector(getOperation().getOps<func::FuncOp>())) {
      func::FuncOp backward = getBackward(forward);
      if (!backward)
        continue;
      ResidualPlan plan(forward, backward, rewriter);
      for (EraseSolveOp solve : plan.findSystems()) {
        if (save == "none") {
          plan.remarkOnFactor(solve);
          continue;
        }
        plan.saveFactor(solve);
        ++numSaved;
      }
      numSaved += plan.saveStates(save == "checkpoints" ? interval : 0);
      plan.dropUnusedArguments();
    }
    getOperation()->walk([](Operation *op) {
      if (isa<EraseSolveOp, EraseSolveAdjointOp>(op))
        op->removeAttr(kSystemAttr);
      if (isa<ChunkScanOp>(op))
        op->removeAttr(kReplayAttr);
    });
  }
};
} // namespace
