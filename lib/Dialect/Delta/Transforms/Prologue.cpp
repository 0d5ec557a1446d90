//===- Prologue.cpp - Norms and gates in front of a layer -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Prologue.h"

#include "wyvern/Dialect/Delta/Utils/Prologue.h"
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

LogicalResult Prologue::checkParts(Operation *root, StringRef pass,
                                   ArrayRef<std::string> parts) {
  for (StringRef part : parts)
    if (!llvm::is_contained(getPrologueParts(), part))
      return root->emitError() << pass << ": prologue: expected norm or gates, "
                               << "found " << part;
  return success();
}

Prologue::Prologue(RecurrenceOp op, ArrayRef<std::string> parts) : op(op) {
  SmallVector<StringRef> all(parts.begin(), parts.end());
  if (auto func = op->getParentOfType<func::FuncOp>())
    if (auto named = func->getAttrOfType<ArrayAttr>(kPrologueAttr))
      llvm::append_range(all, named.getAsValueRange<StringAttr>());
  norm = llvm::is_contained(all, "norm");
  gates = llvm::is_contained(all, "gates");
}

/// The name of the logits of rate `number` of a layer.
static std::string nameRate(unsigned number) {
  return number > 0 ? "b" + std::to_string(number) : "b";
}

/// Diagnoses a new argument's name that another one has.
LogicalResult Prologue::checkNames(func::FuncOp func) {
  SmallVector<std::string> names;
  unsigned number = 0;
  for (const RecurrenceOp::Step &step : op.getStepList())
    if (gates && step.rate)
      names.push_back(nameRate(number++));
  if (gates && op.getDecay())
    llvm::append_range(names, ArrayRef<StringRef>{"a", "A_log", "dt_bias"});
  SmallVector<Value> replaced = {op.getDecay()};
  for (const RecurrenceOp::Step &step : op.getStepList())
    replaced.push_back(step.rate);
  for (unsigned i = 0; i < func.getNumArguments(); ++i) {
    auto name = func.getArgAttrOfType<StringAttr>(i, kNameAttr);
    if (name && !llvm::is_contained(replaced, func.getArgument(i)) &&
        llvm::is_contained(names, name.getValue()))
      return op.emitOpError()
             << "has an operand '" << name.getValue()
             << "', which is what the prologue 'gates' calls one of its own; "
                "use another name";
  }
  return success();
}

LogicalResult Prologue::check(func::FuncOp func) {
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
    return checkNames(func);
  return op.emitOpError()
         << "expected q and the keys for the prologue 'norm', the decay and "
            "the "
            "rates for 'gates', to be arguments of the function, of which the "
            "last two are read once; found one that is computed, so that it "
            "is not clear what comes raw";
}

/// Returns an argument in the place of `value`, of the query's element type.
Value Prologue::replaceArgument(func::FuncOp func, Value value,
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

void Prologue::replaceArguments(func::FuncOp func) {
  if (!gates)
    return;
  unsigned number = 0;
  for (const RecurrenceOp::Step &step : op.getStepList()) {
    if (!step.rate)
      continue;
    replaceArgument(func, step.rate, nameRate(number++));
  }
  if (!op.getDecay())
    return;
  replaceArgument(func, op.getDecay(), "a");
  MLIRContext *context = func.getContext();
  Type element = op.getQuery().getType().getElementType();
  if (!element.isF64())
    element = Float32Type::get(context);
  auto add = [&](StringRef name, ArrayRef<int64_t> shape) -> Value {
    auto type = RankedTensorType::get(shape, element);
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

void Prologue::addIns(SmallVectorImpl<Value> &ins,
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
  PrologueBuilder(ImplicitLocOpBuilder &b, ChunkScanOp scan)
      : b(b), scan(scan), tile(b, cast<FloatType>(scan.getCompute())) {}

  Value normalize(Value rows);
  Value rate(Value logits, double most);
  Value decay(Value raw, Value logA, Value bias);

private:
  bool isOneToken() { return scan.getChunk() == 1; }
  Value splat(double value, Value like) {
    return tile.splat(value, shapeOf(like));
  }
  Value sumOfSquares(Value rows);
  /// log(1 + e^x), without overflow and exact for every x.
  Value softplus(Value x);
  /// The trailing dimensions of `x`, along those in front of it in `like`.
  Value along(Value x, Value like);

  ImplicitLocOpBuilder &b;
  ChunkScanOp scan;
  TileBuilder tile;
};
} // namespace

/// The sums of the squares of rows: for a step as the product that roles on the
/// CUDA cores have sums in, else as a sum, which has a derivative.
Value PrologueBuilder::sumOfSquares(Value rows) {
  if (!isOneToken())
    return tile.sum(tile.mul(rows, rows), /*dim=*/1);
  AffineExpr m, k;
  bindDims(b.getContext(), m, k);
  auto map = [&](ArrayRef<AffineExpr> results) {
    return AffineMap::get(2, 0, results, b.getContext());
  };
  return tile.contract(rows, rows, tile.splat(0.0, {shapeOf(rows)[0]}),
                       {map({m, k}), map({m, k}), map({m})});
}

/// Rows past a sequence's end are zero, and stay so.
Value PrologueBuilder::normalize(Value rows) {
  Value squares = sumOfSquares(rows);
  Value factors =
      math::RsqrtOp::create(b, tile.add(squares, splat(kNormEpsilon, squares)));
  return tile.mul(rows, tile.alongRows(factors, rows));
}

/// Past a sequence's end keys are zero, whatever the rate is there. Below the
/// bound the rate is 0 to any digit; what is infinite would have no gradient.
Value PrologueBuilder::rate(Value logits, double most) {
  constexpr double kBound = -80;
  Value one = splat(1.0, logits);
  Value bounded = arith::MaximumFOp::create(b, logits, splat(kBound, logits));
  return arith::DivFOp::create(b, splat(most, logits),
                               tile.add(one, tile.exp(tile.neg(bounded))));
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

/// Past a sequence's end there is no decay, though the gate of a zero is one.
/// Chunks add up their decays: below the bound e^g is 0, and the sums would
/// lose digits, or be no numbers.
Value PrologueBuilder::decay(Value raw, Value logA, Value bias) {
  Value rate = tile.neg(tile.exp(logA));
  Value step = softplus(tile.add(raw, along(bias, raw)));
  Value gates = tile.mul(along(rate, raw), step);
  if (isOneToken())
    return gates;
  double bound = scan.getCompute().isF64() ? -746 : -104;
  gates = arith::MaximumFOp::create(b, gates, splat(bound, gates));
  return MaskRowsOp::create(b, gates.getType(), gates, scan.getValid(),
                            /*rows=*/1);
}

void Prologue::build(ImplicitLocOpBuilder &b, ChunkScanOp scan,
                     TileRecurrence &chunk) {
  PrologueBuilder prologue(b, scan);
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
      step.rate = prologue.rate(step.rate, step.maxRate.value_or(1.0));
  if (!chunk.decay)
    return;
  unsigned last = scan.getIns().size();
  chunk.decay = prologue.decay(chunk.decay, scan.getInArg(last - 2),
                               scan.getInArg(last - 1));
}
