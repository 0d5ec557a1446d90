//===- PooledSums.cpp - Running sums that go on in a pool -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "PooledSums.h"

#include "NewArguments.h"

#include "wyvern/Dialect/Delta/Utils/RunningSum.h"
#include "wyvern/Dialect/Delta/Utils/TileBuilder.h"

using namespace mlir;
using namespace mlir::wyvern::delta;

/// Returns the number of the one result of `func` that `total` is; -1 if it is
/// read otherwise.
static int64_t findResult(Value total) {
  if (!total.hasOneUse())
    return -1;
  OpOperand &use = *total.use_begin();
  return isa<func::ReturnOp>(use.getOwner())
             ? static_cast<int64_t>(use.getOperandNumber())
             : -1;
}

LogicalResult PooledSums::collect(func::FuncOp func, StringRef whose) {
  for (RunningSumOp op : func.getOps<RunningSumOp>()) {
    auto init = dyn_cast_or_null<BlockArgument>(op.getInit());
    int64_t result = findResult(op.getTotal());
    auto name =
        init ? func.getArgAttrOfType<StringAttr>(init.getArgNumber(), kNameAttr)
             : StringAttr();
    if (!name || !init.hasOneUse() || result < 0)
      return op.emitOpError()
             << "expected an init that is an argument with a delta.name, which "
                "nothing else reads, and a total that is returned once: a pool "
                "takes their place; say resume: true in the spec";
    StringRef own = name.getValue();
    if (!own.consume_front("initial_"))
      own = name.getValue();
    sums.push_back({op, init, static_cast<unsigned>(result), own.str(), Value(),
                    0, 0, Value()});
    if (failed(checkNewNames(op, func, {own.str()}, whose, {init})))
      return failure();
  }
  return success();
}

void PooledSums::addPools(func::FuncOp func) {
  for (Sum &sum : sums) {
    sum.pool =
        addLastArgument(func, sum.name, sum.init.getType(), sum.op.getLoc());
    func.setResultAttr(sum.result, kNameAttr,
                       StringAttr::get(func.getContext(), sum.name));
  }
}

SmallVector<Value> PooledSums::getInits() const {
  return llvm::map_to_vector(sums,
                             [](const Sum &sum) -> Value { return sum.init; });
}

//===----------------------------------------------------------------------===//
// Of prompts
//===----------------------------------------------------------------------===//

void PooledSums::bindTo(Value readSlots, Value writeSlots, int64_t firstSlot) {
  for (Sum &sum : sums) {
    sum.op.getInitMutable().assign(sum.pool);
    sum.op.getReadSlotsMutable().assign(readSlots);
    sum.op.getWriteSlotsMutable().assign(writeSlots);
    sum.op.setFirstSlot(firstSlot);
  }
}

void PooledSums::keepEvery(int64_t every, Value keepSlots) {
  for (Sum &sum : sums) {
    sum.op.getKeepSlotsMutable().assign(keepSlots);
    sum.op.setEvery(every);
  }
}

//===----------------------------------------------------------------------===//
// Of steps
//===----------------------------------------------------------------------===//

void PooledSums::addIns(SmallVectorImpl<Value> &ins,
                        SmallVectorImpl<Attribute> &bindings) {
  for (Sum &sum : sums) {
    sum.in = ins.size();
    ins.push_back(sum.op.getX());
    bindings.push_back(bindRunningSum(sum.op, /*ofTokens=*/true));
  }
}

void PooledSums::addCarries(SmallVectorImpl<Value> &inits,
                            SmallVectorImpl<Attribute> &bindings) {
  for (Sum &sum : sums) {
    sum.carry = inits.size();
    inits.push_back(sum.pool);
    bindings.push_back(
        BindingAttr::get(sum.op.getContext(),
                         {{DimKind::slot}, {DimKind::head}, {DimKind::whole}}));
  }
}

void PooledSums::build(ImplicitLocOpBuilder &b, ChunkScanOp step) {
  for (Sum &sum : sums) {
    Value x = step.getInArg(sum.in);
    auto type = cast<RankedTensorType>(x.getType());
    TileBuilder tile(b, cast<FloatType>(type.getElementType()));
    Value before =
        tile.broadcast(step.getCarryArg(sum.carry), type.getShape(), {0});
    sum.angles = tile.add(before, x);
    if (sum.op.getWrapped())
      sum.angles = createWrapped(b, sum.angles);
    next.push_back(tile.sumRows(sum.angles));
  }
}

void PooledSums::replace(ChunkScanOp step) {
  for (Sum &sum : sums) {
    for (unsigned i = step.getIns().size(); i-- > 0;) {
      if (step.getIns()[i] != sum.op.getSums())
        continue;
      step.getInArg(i).replaceAllUsesWith(sum.angles);
      step.getBlock().eraseArgument(step.getInArg(i).getArgNumber());
      step.getInsMutable().erase(i);
      SmallVector<Attribute> bindings(step.getInBindings().getValue());
      bindings.erase(bindings.begin() + i);
      step.setInBindingsAttr(ArrayAttr::get(step.getContext(), bindings));
    }
    sum.op.getTotal().replaceAllUsesWith(step.getFinals()[sum.carry]);
    sum.op.getInitMutable().clear();
  }
}
