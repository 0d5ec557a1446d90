//===- CoresStep.cpp - A call of one token on the cores -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Where sequences are few, a call of one token has a way of its own from its
// first load on, which is laid out by what ptxas waits for together. A warp has
// six scoreboards. A load whose value is used behind a branch has the one that
// all such loads have; one that is used in its own block has another. So the
// slot is tested in the block that asks for it, and filters and rows, which are
// asked for behind it, are used later. Windows cross a branch, as filters do,
// which are waited for with them. The state does not: a convolution does not
// wait for it. From its load to the last store there is no branch but around
// stores, so that what waits for nothing fills the time of what does.
//
//===----------------------------------------------------------------------===//

#include "CoresKernel.h"

#include "wyvern/Dialect/Tile/IR/Hints.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

/// Creates a branch and goes into it.
static scf::IfOp enterIf(OpBuilder &builder, Location loc, Value condition) {
  auto ifOp = scf::IfOp::create(builder, loc, condition, /*withElse=*/false);
  builder.setInsertionPointToStart(ifOp.thenBlock());
  return ifOp;
}

/// True where a call of one token gains by it: windows are what else it waits
/// for with the state. Without them the two ways take what one does, or .1 us
/// more.
bool CoresKernel::hasOwnStep() {
  return role.getShareRows() && hasFewElements() && hasConvolutions();
}

/// True if a token's decays are more than a number.
static bool hasDecayVectors(Block &token) {
  return llvm::any_of(token.getOps<math::ExpOp>(), [](math::ExpOp op) {
    return cast<RankedTensorType>(op.getType()).getNumElements() > 1;
  });
}

/// True if divisions are not to branch. ptxas schedules nothing across a
/// branch, and waits in front of it. That costs the most where all wait for
/// convolved rows. Without a convolution it keeps what is loaded in front of
/// what is computed; so it does in a call's own way with a decay a channel,
/// whose state ptxas else loads behind the convolution.
bool CoresKernel::dividesInPlace() {
  return hasConvolutions() &&
         !(hasOwnStep() && hasDecayVectors(role.getEachChunk().getBlock()));
}

/// Translates a call of one token.
LogicalResult CoresKernel::lowerStep() {
  locate(/*isCached=*/true);
  loadShared();
  if (isBlockwise())
    loadFirst();
  Value counts = compare(arith::CmpIPredicate::ne, count, index(0));
  {
    OpBuilder::InsertionGuard inside(builder);
    enterIf(builder, loc, isValid(slot));
    loadWindows();
    for (auto [carry, window] : windows)
      askFirst(window);
    enterIf(builder, loc, counts)
        ->setAttr(tile::kAddressedWithinAttr, builder.getUnitAttr());
    if (failed(lowerCounting()))
      return failure();
  }
  // With loads of its own, and no branch of the one above: what both loaded,
  // LLVM would load in front of both.
  Value isPadding =
      compare(arith::CmpIPredicate::slt, slot, index(kernel.getFirstSlot()));
  Value isEmpty = compare(arith::CmpIPredicate::eq, count, index(0));
  enterIf(builder, loc, arith::OrIOp::create(builder, loc, isPadding, isEmpty));
  zeroRows(index(0));
  enterIf(builder, loc, isValid(slot));
  copyCarries();
  return success();
}

/// Translates the token, which counts.
LogicalResult CoresKernel::lowerCounting() {
  Held loaded = loadState();
  setHint(loaded.front(), tile::kAskedFirstAttr);
  return lowerOnly(loaded);
}

/// Stores what the sequence starts from, where its token does not count.
void CoresKernel::copyCarries() {
  loadWindows();
  Held loaded = widenAll(loadState());
  for (auto [i, carry] : llvm::enumerate(role.getEachChunk().getCarryArgs()))
    if (isBrought(i))
      lastWindows[carry] = widen(windows.lookup(carry));
  arriveAsReader();
  storeFinals(loaded);
  lastWindows.clear();
}

/// Translates the operations that follow from numbers alone, gates and rates,
/// which wait neither for windows nor for rows that are shared.
LogicalResult CoresKernel::lowerNumbers(CoresRegion &region) {
  auto isNumber = [](Value tile) {
    auto type = dyn_cast<RankedTensorType>(tile.getType());
    return type && type.getNumElements() == 1;
  };
  for (auto [tile, value] : fixed)
    if (isNumber(tile))
      region.set(tile, value);
  for (auto [op, held] : llvm::zip_equal(ahead, first))
    if (isNumber(op.getTile()))
      region.set(op.getTile(), widen(held));
  auto isReady = [&](Value tile) {
    return isa_and_nonnull<tensor::EmptyOp>(tile.getDefiningOp()) ||
           (isNumber(tile) && region.isKnown(tile));
  };
  for (Operation &op : role.getEachChunk().getBlock().without_terminator()) {
    if (op.getNumOperands() == 0 || isa<linalg::BroadcastOp>(op) ||
        !llvm::all_of(op.getResults(), isNumber) ||
        !llvm::all_of(op.getOperands(), isReady))
      continue;
    if (failed(region.lower(&op)))
      return failure();
    done.insert(&op);
  }
  return success();
}
