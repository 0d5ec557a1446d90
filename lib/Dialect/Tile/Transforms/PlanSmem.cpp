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
/// What shares one place: a ring, a tile, or all transient tiles.
struct Placement {
  SmallVector<Operation *> ops;
  int64_t bytes = 0, alignment = 1;

  void add(Operation *op, int64_t size, int64_t align) {
    ops.push_back(op);
    bytes = std::max(bytes, size);
    alignment = std::max(alignment, align);
  }
};

struct PlanSmem : tile::impl::TilePlanSmemPassBase<PlanSmem> {
  using TilePlanSmemPassBase::TilePlanSmemPassBase;

  void runOnOperation() override {
    SmallVector<Placement> placements = collect();
    llvm::stable_sort(placements, [](const Placement &a, const Placement &b) {
      return a.alignment > b.alignment;
    });

    Builder builder(&getContext());
    int64_t end = 0;
    for (const Placement &placement : placements) {
      end = llvm::alignTo(end, placement.alignment);
      for (Operation *op : placement.ops)
        op->setAttr("offset", builder.getI64IntegerAttr(end));
      end += placement.bytes;
    }
    getOperation().setSharedBytes(end);
    sharedBytes += end;
    if (end > limit) {
      getOperation().emitError()
          << "kernel " << getOperation().getSymName() << " needs " << end
          << " bytes of shared memory, a block has " << limit.getValue()
          << "; use smaller head dimensions";
      signalPassFailure();
    }
  }

private:
  SmallVector<Placement> collect() {
    SmallVector<Placement> placements;
    Placement transients;
    getOperation().walk([&](Operation *op) {
      if (auto ring = dyn_cast<AllocRingOp>(op)) {
        RingType type = ring.getRing().getType();
        placements.emplace_back().add(op, type.getSizeInBytes(),
                                      type.getAlignment());
      } else if (auto alloc = dyn_cast<AllocOp>(op)) {
        SmemType type = alloc.getTile().getType();
        Placement &placement =
            alloc.getTransient() ? transients : placements.emplace_back();
        placement.add(op, type.getSizeInBytes(), type.getAlignment());
      }
    });
    if (!transients.ops.empty())
      placements.push_back(transients);
    return placements;
  }
};
} // namespace
