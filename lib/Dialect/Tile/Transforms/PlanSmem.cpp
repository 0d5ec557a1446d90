//===- PlanSmem.cpp - tile-plan-smem ------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Tile/Transforms/Passes.h"

#include "mlir/IR/Builders.h"
#include "llvm/Support/MathExtras.h"

namespace mlir::wyvern::tile {
#define GEN_PASS_DEF_TILEPLANSMEMPASS
#include "wyvern/Dialect/Tile/Transforms/Passes.h.inc"
} // namespace mlir::wyvern::tile

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

namespace {
/// One thing to place.
struct Placement {
  Operation *op;
  int64_t bytes, alignment;
};

struct PlanSmem : tile::impl::TilePlanSmemPassBase<PlanSmem> {
  using TilePlanSmemPassBase::TilePlanSmemPassBase;

  void runOnOperation() override {
    SmallVector<Placement> placements;
    getOperation().walk([&](Operation *op) {
      if (auto ring = dyn_cast<AllocRingOp>(op))
        placements.push_back({op, ring.getRing().getType().getSizeInBytes(),
                              ring.getRing().getType().getAlignment()});
      else if (auto alloc = dyn_cast<AllocOp>(op))
        placements.push_back({op, alloc.getTile().getType().getSizeInBytes(),
                              alloc.getTile().getType().getAlignment()});
    });
    llvm::stable_sort(placements, [](const Placement &a, const Placement &b) {
      return a.alignment > b.alignment;
    });

    Builder builder(&getContext());
    int64_t end = 0;
    for (const Placement &placement : placements) {
      end = llvm::alignTo(end, placement.alignment);
      placement.op->setAttr("offset", builder.getI64IntegerAttr(end));
      end += placement.bytes;
    }
    getOperation().setSharedBytes(end);
    sharedBytes += end;
    if (end > limit) {
      getOperation().emitError()
          << "kernel " << getOperation().getSymName() << " needs " << end
          << " bytes of shared memory, a block has " << limit
          << "; use smaller head dimensions";
      signalPassFailure();
    }
  }
};
} // namespace
