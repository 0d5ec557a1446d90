//===- StepPrologue.cpp - Norms and gates in front of a step --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "StepPrologue.h"

#include "wyvern/Dialect/Delta/Utils/TileBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::wyvern::delta;

/// Added to the sum of squares of a norm.
static constexpr double kNormEpsilon = 1e-6;

//===----------------------------------------------------------------------===//
// Arguments
//===----------------------------------------------------------------------===//

static bool isArgument(func::FuncOp func, Value value) {
  auto arg = dyn_cast_or_null<BlockArgument>(value);
  return !value || (arg && arg.getOwner() == &func.getBody().front());
}

LogicalResult StepPrologue::check(func::FuncOp func) {
  bool fits = true;
  for (const RecurrenceOp::Step &step : op.getStepList()) {
    if (norm)
      fits &= isArgument(func, step.write) && isArgument(func, step.erase);
    if (gates)
      fits &=
          isArgument(func, step.rate) && (!step.rate || step.rate.hasOneUse());
  }
  if (norm)
    fits &= isArgument(func, op.getQuery());
  if (gates && op.getDecay())
    fits &= isArgument(func, op.getDecay()) && op.getDecay().hasOneUse();
  if (fits)
    return success();
  return op.emitOpError()
         << "expected q and the keys for the prologue 'norm', the decay and "
            "the "
            "rates for 'gates', to be arguments of the function, of which the "
            "last two are read once; found one that is computed, so that it "
            "is not clear what comes raw";
}

/// Returns an argument in the place of `value`, of the query's element type.
Value StepPrologue::replaceArgument(func::FuncOp func, Value value,
                                    StringRef name) {
  auto arg = cast<BlockArgument>(value);
  unsigned number = arg.getArgNumber();
  auto type = cast<RankedTensorType>(arg.getType())
                  .clone(op.getQuery().getType().getElementType());
  func.setArgAttr(number, kNameAttr, StringAttr::get(func.getContext(), name));
  arg.setType(type);
  func.setFunctionType(FunctionType::get(
      func.getContext(), func.getBody().front().getArgumentTypes(),
      func.getResultTypes()));
  return arg;
}

void StepPrologue::replaceArguments(func::FuncOp func) {
  if (!gates)
    return;
  unsigned number = 0;
  for (const RecurrenceOp::Step &step : op.getStepList()) {
    if (!step.rate)
      continue;
    std::string name = "b";
    if (number > 0)
      name += std::to_string(number);
    ++number;
    replaceArgument(func, step.rate, name);
  }
  if (!op.getDecay())
    return;
  replaceArgument(func, op.getDecay(), "a");
  MLIRContext *context = func.getContext();
  auto add = [&](StringRef name, ArrayRef<int64_t> shape) -> Value {
    auto type = RankedTensorType::get(shape, Float32Type::get(context));
    auto attrs = DictionaryAttr::get(
        context, NamedAttribute(StringAttr::get(context, kNameAttr),
                                StringAttr::get(context, name)));
    LogicalResult inserted =
        func.insertArgument(func.getNumArguments(), type, attrs, op.getLoc());
    assert(succeeded(inserted) && "a function can take another argument");
    (void)inserted;
    return func.getArguments().back();
  };
  ArrayRef<int64_t> shape =
      cast<RankedTensorType>(op.getDecay().getType()).getShape().drop_front(2);
  logA = add("A_log", shape.take_front(1));
  bias = add("dt_bias", shape);
}

void StepPrologue::addIns(SmallVectorImpl<Value> &ins,
                          SmallVectorImpl<Attribute> &bindings) {
  for (Value value : {logA, bias}) {
    if (!value)
      continue;
    SmallVector<BoundDim> dims = {{DimKind::head}};
    dims.resize(cast<RankedTensorType>(value.getType()).getRank(),
                {DimKind::whole});
    ins.push_back(value);
    bindings.push_back(BindingAttr::get(op.getContext(), dims));
  }
}

//===----------------------------------------------------------------------===//
// Tiles
//===----------------------------------------------------------------------===//

namespace {
class PrologueBuilder {
public:
  PrologueBuilder(ImplicitLocOpBuilder &b, FloatType compute)
      : b(b), tile(b, compute) {}

  Value normalize(Value rows);
  Value sigmoid(Value x);
  Value decay(Value raw, Value logA, Value bias);

private:
  Value splat(double value, Value like) {
    return tile.splat(value, shapeOf(like));
  }
  /// log(1 + e^x), without overflow and exact for every x.
  Value softplus(Value x);
  /// The trailing dimensions of `x`, along those in front of it in `like`.
  Value along(Value x, Value like);

  ImplicitLocOpBuilder &b;
  TileBuilder tile;
};
} // namespace

Value PrologueBuilder::normalize(Value rows) {
  AffineExpr m, k;
  bindDims(b.getContext(), m, k);
  auto map = [&](ArrayRef<AffineExpr> results) {
    return AffineMap::get(2, 0, results, b.getContext());
  };
  Value squares =
      tile.contract(rows, rows, tile.splat(kNormEpsilon, {shapeOf(rows)[0]}),
                    {map({m, k}), map({m, k}), map({m})});
  Value norms = math::SqrtOp::create(b, squares);
  Value factors = arith::DivFOp::create(b, splat(1.0, norms), norms);
  return tile.mul(rows, tile.alongRows(factors, rows));
}

Value PrologueBuilder::sigmoid(Value x) {
  Value one = splat(1.0, x);
  return arith::DivFOp::create(b, one, tile.add(one, tile.exp(tile.neg(x))));
}

Value PrologueBuilder::softplus(Value x) {
  Value positive = arith::MaximumFOp::create(b, x, splat(0.0, x));
  Value tail = tile.exp(tile.neg(math::AbsFOp::create(b, x)));
  return tile.add(positive, math::Log1pOp::create(b, tail));
}

Value PrologueBuilder::along(Value x, Value like) {
  int64_t rank = static_cast<int64_t>(shapeOf(like).size());
  int64_t added = rank - static_cast<int64_t>(shapeOf(x).size());
  return tile.broadcast(x, shapeOf(like),
                        llvm::to_vector(llvm::seq<int64_t>(0, added)));
}

Value PrologueBuilder::decay(Value raw, Value logA, Value bias) {
  Value rate = tile.neg(tile.exp(logA));
  Value step = softplus(tile.add(raw, along(bias, raw)));
  return tile.mul(along(rate, raw), step);
}

void StepPrologue::build(ImplicitLocOpBuilder &b, ChunkScanOp scan,
                         TileRecurrence &chunk) {
  PrologueBuilder prologue(b, cast<FloatType>(scan.getCompute()));
  if (norm) {
    llvm::SmallDenseMap<Value, Value> done;
    auto normalize = [&](Value &rows) {
      if (!rows)
        return;
      Value &made = done[rows];
      if (!made)
        made = prologue.normalize(rows);
      rows = made;
    };
    normalize(chunk.query);
    for (TileStep &step : chunk.steps) {
      normalize(step.write);
      normalize(step.erase);
    }
  }
  if (!gates)
    return;
  for (TileStep &step : chunk.steps)
    if (step.rate)
      step.rate = prologue.sigmoid(step.rate);
  if (!chunk.decay)
    return;
  unsigned last = scan.getIns().size();
  chunk.decay = prologue.decay(chunk.decay, scan.getInArg(last - 2),
                               scan.getInArg(last - 1));
}
