//===- ResidualPlan.cpp - Values from a forward to its backward -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ResidualPlan.h"

#include "Remarks.h"
#include "ResidualRemarks.h"
#include "SplitSolve.h"

#include "wyvern/Dialect/Delta/Analysis/CarryDependence.h"
#include "wyvern/Dialect/Delta/Analysis/Cut.h"
#include "wyvern/Dialect/Delta/Utils/ExtendProgram.h"
#include "wyvern/Dialect/Delta/Utils/Training.h"

#define DEBUG_TYPE "delta-plan-residuals"

using namespace mlir;
using namespace mlir::wyvern::delta;

void ResidualPlan::remarkMissed(Operation *op, StringRef why) {
  if (!isTrial)
    emitMissedRemark(op, DEBUG_TYPE, why);
}

unsigned ResidualPlan::save(StringRef what, int64_t interval) {
  unsigned number = 0;
  for (EraseSolveOp solve : findSystems()) {
    if (what == "none") {
      remarkOnFactor(solve);
      continue;
    }
    saveFactor(solve);
    ++number;
  }
  if (what == "states") {
    number += saveReplays();
    number += saveMapped();
  } else {
    number += saveStates(what == "checkpoints" ? interval : 0);
  }
  dropUnusedArguments();
  return number;
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
void ResidualPlan::useFactor(IntegerAttr system, Value factor, Type tile,
                             BindingAttr binding) {
  for (Operation *op : findSolves(system)) {
    auto program = cast<ChunkProgramOpInterface>(op->getParentOp());
    Value arg = addIn(rewriter, program, factor, binding, tile);
    if (auto solve = dyn_cast<EraseSolveOp>(op))
      replaceSolve(rewriter, solve, arg);
    else
      replaceSolve(rewriter, cast<EraseSolveAdjointOp>(op), arg);
  }
}

/// The name of a system's factor among the residuals.
static std::string nameFactor(EraseSolveOp solve) {
  return numberName("factor",
                    solve->getAttrOfType<IntegerAttr>(kSystemAttr).getInt());
}

void ResidualPlan::remarkOnFactor(EraseSolveOp solve) {
  Value factor = createFactor(rewriter, solve);
  if (!isTrial)
    emitFactorRemark(solve, nameFactor(solve), factor, "recomputed");
  rewriter.eraseOp(factor.getDefiningOp());
}

void ResidualPlan::saveFactor(EraseSolveOp solve) {
  auto program = cast<ChunkProgramOpInterface>(solve->getParentOp());
  auto system = solve->getAttrOfType<IntegerAttr>(kSystemAttr);
  std::string name = nameFactor(solve);
  Value factor = createFactor(rewriter, solve);
  if (!isTrial)
    emitFactorRemark(solve, name, factor, "saved");
  replaceSolve(rewriter, solve, factor);
  TileStorage storage = getStorage(factor, program, TimeDims(program));
  Value saved = addOut(rewriter, program, factor, storage);
  BlockArgument argument = addResidual(saved, name);
  shared.addResidual(argument, factor);
  useFactor(system, argument, factor.getType(), storage.binding);
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
      remarkMissed(solve,
                   "its system depends on a carry: the factor would have "
                   "to be formed in the chain");
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
  std::string name = numberName(
      "state", scan->getAttrOfType<IntegerAttr>(kReplayAttr).getInt());
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
    BlockArgument argument = addResidual(saved, numberName(name, i));
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
      remarkMissed(scan, "the backward reads none of its states");
      continue;
    }
    if (!isTrial)
      emitStateRemarks(replay, interval);
    if (interval == 0)
      continue;
    if (replay.getInits().size() != scan.getInits().size()) {
      remarkMissed(
          scan, "its replay has other carries: it starts from the first chunk");
      continue;
    }
    number += replay.getInits().size();
    saveCarries(scan, replay, interval);
  }
  return number;
}

//===----------------------------------------------------------------------===//
// What the backward would make again
//===----------------------------------------------------------------------===//

BlockArgument ResidualPlan::saveShared(Value value, Value found,
                                       TileStorage storage, StringRef name) {
  if (!isTrial)
    emitSavedRemark(value, found, name);
  auto program =
      cast<ChunkProgramOpInterface>(value.getParentBlock()->getParentOp());
  Value saved = addOut(rewriter, program, value, storage);
  BlockArgument argument = addResidual(saved, name);
  shared.addResidual(argument, value);
  return argument;
}

unsigned ResidualPlan::saveReplay(ChunkScanOp replay) {
  unsigned numStates = 0, numRows = 0;
  auto program = cast<ChunkProgramOpInterface>(replay.getOperation());
  for (auto [i, out] : llvm::enumerate(replay.getOuts())) {
    if (out.use_empty())
      continue;
    Value made = replay.getYield().getOuts()[i];
    Value value = shared.find(made);
    if (!value) {
      remarkMissed(replay, ("the forward has no equal of out #" + Twine(i) +
                            " of its replay: the chain runs again for it")
                               .str());
      continue;
    }
    bool isState = isa<BlockArgument>(made);
    std::string name = isState ? numberName("state", numStates++)
                               : numberName("rows", numRows++);
    auto storedType = cast<RankedTensorType>(out.getType());
    BlockArgument argument =
        saveShared(value, made, {storedType, program.getOutBinding(i)}, name);
    rewriter.replaceAllUsesWith(out, argument);
  }
  if (replay->use_empty())
    rewriter.eraseOp(replay);
  return numStates + numRows;
}

unsigned ResidualPlan::saveReplays() {
  SmallVector<ChunkScanOp> replays;
  backward.walk([&](ChunkScanOp scan) {
    if (scan->hasAttr(kReplayAttr))
      replays.push_back(scan);
  });
  unsigned number = 0;
  for (ChunkScanOp replay : replays)
    number += saveReplay(replay);
  return number;
}

unsigned ResidualPlan::saveMapped() {
  SmallVector<ChunkScanOp> scans;
  backward.walk([&](ChunkScanOp scan) {
    if (!scan->hasAttr(kReplayAttr))
      scans.push_back(scan);
  });
  unsigned number = 0;
  for (ChunkScanOp scan : scans) {
    auto program = cast<ChunkProgramOpInterface>(scan.getOperation());
    TimeDims timeDims(program);
    Cut cut(scan);
    for (Value made : cut.crossing) {
      // What has channels is as large as the ins that it is made of.
      Value value = timeDims.get(made).all() ? shared.find(made) : Value();
      if (!value)
        continue;
      TileStorage storage = cut.getStorage(made);
      BlockArgument argument =
          saveShared(value, made, storage, numberName("mapped", number++));
      Value tile =
          addIn(rewriter, program, argument, storage.binding, made.getType());
      rewriter.replaceAllUsesWith(made, tile);
    }
  }
  return number;
}

void ResidualPlan::dropUnusedArguments() {
  llvm::BitVector unused(backward.getNumArguments());
  for (BlockArgument argument : backward.getArguments())
    unused[argument.getArgNumber()] = argument.use_empty();
  (void)backward.eraseArguments(unused);
}
