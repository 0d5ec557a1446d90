//===- Separate.cpp - A kernel for each chunk program ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "FetchedIns.h"
#include "KernelFrame.h"
#include "MapOfRuns.h"
#include "Panels.h"
#include "SeparateGrid.h"
#include "SeparateKernel.h"
#include "Starts.h"

#include "wyvern/Dialect/Sched/Strategies/Passes.h"

#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace mlir::wyvern::sched {
#define GEN_PASS_DEF_SEPARATEPASS
#include "wyvern/Dialect/Sched/Strategies/Passes.h.inc"
} // namespace mlir::wyvern::sched

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::sched;
using delta::ChunkProgramOpInterface;

/// Returns the panels of `program`, if it is a map that has some.
static std::optional<Panels> findPanels(ChunkProgramOpInterface program) {
  auto map = dyn_cast<delta::ChunkMapOp>(program.getOperation());
  return map && !visitsRuns(map) ? sched::findPanels(map) : std::nullopt;
}

namespace {
struct Separate : sched::impl::SeparatePassBase<Separate> {
  using SeparatePassBase::SeparatePassBase;

  void runOnOperation() override {
    SmallVector<ChunkProgramOpInterface> programs(
        getOperation().getOps<ChunkProgramOpInterface>());
    unsigned scans = 0, maps = 0;
    SmallVector<delta::ChunkMapOp> starts;
    for (ChunkProgramOpInterface program : programs) {
      auto map = dyn_cast<delta::ChunkMapOp>(program.getOperation());
      if (map && makesStartsAlone(map)) {
        starts.push_back(map);
        continue;
      }
      bool isMap = isa<delta::ChunkMapOp>(program);
      std::string name =
          nameKernel(isMap ? "map" : "scan", isMap ? maps++ : scans++);
      if (failed(schedule(program, name)))
        return signalPassFailure();
    }
    for (delta::ChunkMapOp map : starts)
      map.erase();
    dropUnread();
  }

private:
  /// Drops the tensors in whose place roles make what carries start from.
  void dropUnread() {
    Block &block = getOperation().getBody().front();
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
      if (isOpTriviallyDead(&op))
        op.erase();
  }

  std::string nameKernel(StringRef kind, unsigned number) {
    std::string name = (getOperation().getSymName() + "_" + kind).str();
    return number ? name + std::to_string(number) : name;
  }

  LogicalResult schedule(ChunkProgramOpInterface program, StringRef name) {
    std::optional<Panels> found;
    if (panels)
      found = ::findPanels(program);
    numPanelled += found.has_value();
    auto map = dyn_cast<delta::ChunkMapOp>(program.getOperation());
    std::optional<delta::MapRounds> rounds;
    if (map)
      rounds = findGainfulRounds(map);
    numInRounds += rounds.has_value();
    bool ofRuns = runs && map && visitsRuns(map);
    FailureOr<Grid> grid = chooseGrid(program, found.has_value(), ofRuns);
    if (failed(grid))
      return failure();
    if (rounds)
      grid->minBlocks = kStagingMapBlocks;
    OpBuilder builder(program);
    // Blocks of runs are as many as the runs: they need not be more by parts.
    int64_t groups = 1;
    if (shareRuns && isa<delta::ChunkScanOp>(program) && grid->run > 1 &&
        grid->split % kSharingGroups == 0) {
      groups = kSharingGroups;
      grid->split /= groups;
    }
    KernelTensors tensors = getOwnTensors(program);
    KernelOp kernel = createKernel(builder, program, tensors, name, *grid);
    if (ofRuns)
      writeMapOfRuns(builder, map, kernel);
    else
      SeparateKernel(builder, program, kernel, std::move(found),
                     std::move(rounds))
          .addRoles(map ? 1 : fitDepth(program, kernel, stages), groups);
    replaceByKernel(tensors, kernel);
    program->erase();
    ++numKernels;
    return success();
  }
};
} // namespace
