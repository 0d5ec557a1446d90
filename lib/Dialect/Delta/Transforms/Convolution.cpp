//===- Convolution.cpp - The short convolution of a step ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Convolution.h"
#include "NewArguments.h"

using namespace mlir;
using namespace mlir::wyvern::delta;

/// Rows that a sum is over: those of the window, and the token's own.
static constexpr int64_t kWidth = 4;

/// Returns the distinct rows of q, keys, values and what is written.
static SmallVector<Value> collectRows(RecurrenceOp op) {
  llvm::SetVector<Value> found;
  found.insert(op.getQuery());
  for (const RecurrenceOp::Step &step : op.getStepList())
    for (Value value : {step.write, step.erase, step.value, step.written})
      if (value)
        found.insert(value);
  return found.takeVector();
}

Convolution::Convolution(RecurrenceOp op, bool isAsked)
    : op(op), isAsked(isAsked) {}

LogicalResult Convolution::check(func::FuncOp func) {
  if (!isAsked)
    return success();
  for (const RecurrenceOp::Step &step : op.getStepList())
    if (step.repeat != 1)
      return op.emitOpError()
             << "expected one row a token for the prologue 'conv', found a "
                "step "
                "that repeats "
             << step.repeat
             << " times, of which each has a convolution of its own; leave out "
                "conv";
  SmallVector<std::string> names;
  for (Value value : collectRows(op)) {
    auto arg = dyn_cast<BlockArgument>(value);
    bool isArgument = arg && arg.getOwner() == &func.getBody().front();
    auto name =
        isArgument
            ? func.getArgAttrOfType<StringAttr>(arg.getArgNumber(), kNameAttr)
            : StringAttr();
    if (!name)
      return op.emitOpError()
             << "expected q, the keys and the values for the prologue 'conv' "
                "to be arguments of the function with a delta.name, after "
                "which their filters and windows are named; found one that is "
                "computed or has none";
    Rows &row = rows.emplace_back();
    row.argument = arg;
    row.filter = (name.getValue() + "_filter").str();
    row.window = (name.getValue() + "_window").str();
    names.append({row.filter, row.window});
  }
  return checkNewNames(op, func, names, "the prologue 'conv'");
}

void Convolution::addFilters(func::FuncOp func) {
  for (Rows &row : rows) {
    RankedTensorType type = getType(row);
    row.filters = addLastArgument(
        func, row.filter,
        RankedTensorType::get({type.getDimSize(2), type.getDimSize(3), kWidth},
                              type.getElementType()),
        op.getLoc());
  }
}

void Convolution::addIns(SmallVectorImpl<Value> &ins,
                         SmallVectorImpl<Attribute> &bindings) {
  for (Rows &row : rows) {
    row.filterNumber = ins.size();
    ins.push_back(row.filters);
    bindings.push_back(BindingAttr::get(
        op.getContext(),
        {{DimKind::head}, {DimKind::whole}, {DimKind::whole}}));
  }
}

void Convolution::addWindows(func::FuncOp func, SmallVectorImpl<Value> &inits,
                             SmallVectorImpl<Attribute> &bindings) {
  for (Rows &row : rows) {
    RankedTensorType type = getType(row);
    row.windowNumber = inits.size();
    inits.push_back(addLastArgument(
        func, row.window,
        RankedTensorType::get({ShapedType::kDynamic, kWidth - 1,
                               type.getDimSize(2), type.getDimSize(3)},
                              type.getElementType()),
        op.getLoc()));
    bindings.push_back(BindingAttr::get(op.getContext(), {{DimKind::slot},
                                                          {DimKind::whole},
                                                          {DimKind::head},
                                                          {DimKind::whole}}));
  }
}

void Convolution::build(ImplicitLocOpBuilder &b, ChunkScanOp scan,
                        TileRecurrence &chunk) {
  llvm::SmallDenseMap<Value, Value> convolved;
  for (const Rows &row : rows) {
    auto number =
        llvm::find(scan.getIns(), row.argument) - scan.getIns().begin();
    Value x = scan.getInArg(number);
    auto conv = ConvRowOp::create(b, x, scan.getCarryArg(row.windowNumber),
                                  scan.getInArg(row.filterNumber));
    convolved[x] = conv.getY();
    next.push_back(conv.getNext());
  }
  auto replace = [&](Value &tile) {
    if (Value made = convolved.lookup(tile))
      tile = made;
  };
  replace(chunk.query);
  for (TileStep &step : chunk.steps)
    for (Value *tile : {&step.write, &step.erase, &step.value, &step.written})
      replace(*tile);
}
