//===- PoolStates.cpp - Prompts on a pool of states -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The chunk program stays as it is: what its carry is bound to changes, and
// with that the function's arguments and results.
//
//===----------------------------------------------------------------------===//

#include "NewArguments.h"
#include "PooledSums.h"

#include "wyvern/Dialect/Delta/Transforms/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"

namespace mlir::wyvern::delta {
#define GEN_PASS_DEF_POOLSTATESPASS
#include "wyvern/Dialect/Delta/Transforms/Passes.h.inc"
} // namespace mlir::wyvern::delta

using namespace mlir;
using namespace mlir::wyvern::delta;

/// Checks that `scan` carries one state a sequence, which is an argument that
/// nothing else reads and a result that is returned once.
static LogicalResult checkState(func::FuncOp func, ChunkScanOp scan) {
  auto isOwnState = [&] {
    if (scan.getInits().size() != 1 || scan.hasSlots() ||
        !scan.getCarryBinding(0).has(DimKind::seq))
      return false;
    auto arg = dyn_cast<BlockArgument>(scan.getInits()[0]);
    Value final = scan.getFinals()[0];
    return arg && arg.getOwner() == &func.getBody().front() &&
           arg.hasOneUse() && final.hasOneUse() &&
           isa<func::ReturnOp>(*final.user_begin());
  };
  if (!scan.getBlock().getOps<LevelRowsOp>().empty())
    return scan.emitOpError()
           << "has states a level, which depend on a token's position, and a "
              "pool has one state a head; leave out --serving";
  if (isOwnState())
    return success();
  return scan.emitOpError()
         << "expected one carried state, an argument of the function that "
            "nothing else reads, which is returned once and read by nothing "
            "else: a pool of states takes its place";
}

namespace {
struct PoolStatesPass
    : wyvern::delta::impl::PoolStatesPassBase<PoolStatesPass> {
  using Base::Base;

  void runOnOperation() override {
    if (failed(checkOptions()))
      return signalPassFailure();
    SmallVector<ChunkScanOp> scans;
    getOperation()->walk([&](ChunkScanOp scan) { scans.push_back(scan); });
    for (ChunkScanOp scan : scans)
      if (failed(pool(scan)))
        return signalPassFailure();
  }

private:
  LogicalResult checkOptions();
  LogicalResult pool(ChunkScanOp scan);
  RankedTensorType getPoolType(RankedTensorType states);
};
} // namespace

LogicalResult PoolStatesPass::checkOptions() {
  auto expect = [&](bool holds, StringRef option, StringRef what,
                    const Twine &found) -> LogicalResult {
    if (holds)
      return success();
    return getOperation()->emitError()
           << "delta-pool-states: " << option << ": expected " << what
           << ", found " << found;
  };
  return success(
      succeeded(expect(stateType == "f32" || stateType == "bf16", "state-type",
                       "f32 or bf16", stateType)) &&
      succeeded(
          expect(stateRounding == "nearest" ||
                     (stateRounding == "stochastic" && stateType == "bf16"),
                 "state-rounding", "nearest, or stochastic of state-type bf16",
                 stateRounding)) &&
      succeeded(expect(slotType == "i32" || slotType == "i64", "slot-type",
                       "i32 or i64", slotType)) &&
      succeeded(expect(firstSlot >= 0, "first-slot", "at least 0",
                       Twine(firstSlot))));
}

/// Returns the type of a pool of `states`, which are one a sequence.
RankedTensorType PoolStatesPass::getPoolType(RankedTensorType states) {
  Type element = states.getElementType();
  if (element.isF32() && stateType == "bf16")
    element = BFloat16Type::get(&getContext());
  return states.clone(element);
}

LogicalResult PoolStatesPass::pool(ChunkScanOp scan) {
  auto func = scan->getParentOfType<func::FuncOp>();
  if (!func)
    return scan.emitOpError() << "expected to be in a function, whose states "
                                 "a pool can hold";
  PooledSums sums;
  if (failed(sums.collect(func, "a prefill")) || failed(checkState(func, scan)))
    return failure();
  auto init = cast<BlockArgument>(scan.getInits()[0]);
  Builder b(&getContext());
  RankedTensorType type = getPoolType(cast<RankedTensorType>(init.getType()));
  bool isStochastic =
      stateRounding == "stochastic" && type.getElementType().isBF16();
  std::vector<std::string> names = {"state", "read_slots", "write_slots"};
  if (keep)
    names.push_back("keep_slots");
  if (isStochastic)
    names.push_back("seeds");
  // Callers give these by name, whichever a pool has.
  if (failed(checkNewNames(
          scan, func,
          {"state", "read_slots", "write_slots", "keep_slots", "seeds"},
          "a prefill", {init})))
    return failure();
  auto slots = RankedTensorType::get(
      {ShapedType::kDynamic}, b.getIntegerType(slotType == "i64" ? 64 : 32));
  SmallVector<Value> added;
  for (const std::string &name : names) {
    added.push_back(addLastArgument(
        func, name, added.empty() ? Type(type) : Type(slots), scan.getLoc()));
    if (added.size() == 1)
      sums.addPools(func);
  }
  sums.bindTo(added[1], added[2], firstSlot);
  if (keep)
    sums.keepEvery(scan.getChunk(), added[3]);
  SmallVector<BoundDim> dims(scan.getCarryBinding(0).getDims());
  for (BoundDim &dim : dims)
    if (dim.kind == DimKind::seq)
      dim = {DimKind::slot};
  scan.setCarryBindingsAttr(
      b.getArrayAttr({BindingAttr::get(&getContext(), dims)}));
  scan.getInitsMutable()[0].set(added[0]);
  scan.getReadSlotsMutable().assign(added[1]);
  scan.getWriteSlotsMutable().assign(added[2]);
  if (keep)
    scan.getKeepSlotsMutable().assign(added[3]);
  if (isStochastic)
    scan.getSeedsMutable().assign(added.back());
  scan.setFirstSlot(firstSlot);
  scan.setElseZeros(true);
  Value final = scan.getFinals()[0];
  final.setType(type);

  OpOperand &returned = *final.use_begin();
  func.setResultAttr(returned.getOperandNumber(), kNameAttr,
                     b.getStringAttr("state"));
  llvm::BitVector dropped(func.getNumArguments());
  dropped.set(init.getArgNumber());
  for (Value own : sums.getInits())
    dropped.set(cast<BlockArgument>(own).getArgNumber());
  LogicalResult erased = func.eraseArguments(dropped);
  assert(succeeded(erased) && "nothing reads what sequences started from");
  (void)erased;
  func.setFunctionType(b.getFunctionType(
      func.getArgumentTypes(), returned.getOwner()->getOperandTypes()));
  func.setName((func.getName() + (keep ? "_prefill_keep" : "_prefill")).str());
  ++numPooled;
  numSums += sums.size();
  return success();
}
