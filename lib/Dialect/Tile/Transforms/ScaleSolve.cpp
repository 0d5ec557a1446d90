//===- ScaleSolve.cpp - tile-scale-solve --------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Tile/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Remarks.h"

namespace mlir::wyvern::tile {
#define GEN_PASS_DEF_TILESCALESOLVEPASS
#include "wyvern/Dialect/Tile/Transforms/Passes.h.inc"
} // namespace mlir::wyvern::tile

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

namespace {
/// A tile of a ring's stages.
struct RingTile {
  Value ring;
  unsigned number = 0;

  bool operator==(const RingTile &other) const {
    return ring && ring == other.ring && number == other.number;
  }
};

/// A solve, and what multiplies its result by the rates.
struct Solve {
  EraseApplyOp apply;
  arith::MulFOp scaling;
};
} // namespace

/// Returns the tile of a ring that was waited for or acquired as `tile`; of no
/// ring where it was not.
static RingTile getRingTile(Value tile) {
  auto result = dyn_cast<OpResult>(tile);
  if (auto wait = tile.getDefiningOp<WaitOp>())
    return {wait.getRing(), result.getResultNumber()};
  if (auto acquire = tile.getDefiningOp<AcquireOp>())
    return {acquire.getRing(), result.getResultNumber()};
  return {};
}

/// Returns the tile of a ring that the vector `rates` was read from.
static RingTile getSource(Value rates) {
  auto read = rates.getDefiningOp<ReadOp>();
  return read ? getRingTile(read.getTile()) : RingTile();
}

/// Returns the multiplication of the result of `apply` by its rates; null if
/// something else is done with it.
static arith::MulFOp findScaling(EraseApplyOp apply) {
  if (!apply.getR().hasOneUse())
    return {};
  auto mul = dyn_cast<arith::MulFOp>(*apply.getR().user_begin());
  if (!mul)
    return {};
  Value other = mul.getLhs() == apply.getR() ? mul.getRhs() : mul.getLhs();
  auto broadcast = other.getDefiningOp<BroadcastOp>();
  return broadcast && broadcast->getOperand(0) == apply.getRate()
             ? mul
             : arith::MulFOp();
}

/// Finds what is solved with the factor that `strips` begins; says in `why`
/// what is in the way of solving for scaled rows.
static SmallVector<Solve> findSolves(EraseStripsOp strips, StringRef &why) {
  RingTile place = getRingTile(strips.getZ());
  if (!strips.getForApply() || !place.ring) {
    why = "it is not for a solve in another role alone";
    return {};
  }
  // Of an L in registers rows are scaled as they are shared, and that costs the
  // role that makes the factor more than the other one saves.
  RingTile rates = getRingTile(strips.getRate());
  if (!isa<SmemType>(strips.getL().getType()) || !rates.ring) {
    why = "it is made of what is in registers";
    return {};
  }
  SmallVector<Solve> solves;
  for (Operation *user : place.ring.getUsers()) {
    auto wait = dyn_cast<WaitOp>(user);
    if (!wait)
      continue;
    for (Operation *reader : wait.getTiles()[place.number].getUsers()) {
      auto apply = dyn_cast<EraseApplyOp>(reader);
      bool isSame = apply && !apply.getAdjoint() && apply.getRate() &&
                    getSource(apply.getRate()) == rates;
      arith::MulFOp scaling = isSame ? findScaling(apply) : arith::MulFOp();
      if (!scaling) {
        why =
            "its result is not multiplied by the rates, and by nothing before";
        return {};
      }
      solves.push_back({apply, scaling});
    }
  }
  return solves;
}

/// Moves the wait for the factor down to the solve `op`, if all that stands
/// between them can be done while it is made.
static void waitLate(Value z, Operation *op) {
  auto wait = z.getDefiningOp<WaitOp>();
  if (!wait || wait->getBlock() != op->getBlock())
    return;
  for (Operation *other = wait->getNextNode(); other != op;
       other = other->getNextNode())
    if (!isPure(other) && !isa<ReadOp>(other))
      return;
  wait->moveBefore(op);
}

/// Solves for scaled rows of scaled ones.
/// (`tile-rematerialize` makes spread rates again where they are read.)
static void scale(Solve solve) {
  EraseApplyOp apply = solve.apply;
  OpBuilder builder(apply);
  Location loc = apply.getLoc();
  Value spread = BroadcastOp::create(builder, loc, apply.getW().getType(),
                                     apply.getRate());
  Value w = arith::MulFOp::create(builder, loc, spread, apply.getW());
  Value scaled = EraseApplyOp::create(builder, loc, w, apply.getZ(),
                                      /*rate=*/Value(), /*adjoint=*/false);
  waitLate(apply.getZ(), scaled.getDefiningOp());
  solve.scaling.getResult().replaceAllUsesWith(scaled);
  solve.scaling.erase();
  apply.erase();
}

namespace {
struct ScaleSolve : tile::impl::TileScaleSolvePassBase<ScaleSolve> {
  void runOnOperation() override {
    SmallVector<EraseStripsOp> factors;
    getOperation().walk([&](EraseStripsOp op) { factors.push_back(op); });
    for (EraseStripsOp strips : factors) {
      StringRef why;
      SmallVector<Solve> solves = findSolves(strips, why);
      if (solves.empty()) {
        remark::missed(
            strips.getLoc(),
            remark::RemarkOpts::name("NotScaled").category(getArgument()))
            << ("the rows of this factor are not scaled: " + why).str();
        continue;
      }
      for (Solve solve : solves)
        scale(solve);
      strips.setScaled(true);
      ++numScaled;
    }
  }
};
} // namespace
