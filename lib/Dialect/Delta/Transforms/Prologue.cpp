//===- Prologue.cpp - Norms and gates in front of a layer -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Prologue.h"
#include "NewArguments.h"

#include "wyvern/Dialect/Delta/Utils/PrologueTiles.h"

#include "wyvern/Dialect/Delta/Utils/Prologue.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace mlir::wyvern::delta;

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
      return root->emitError()
             << pass << ": prologue: expected one of "
             << llvm::join(getPrologueParts(), ", ") << ", found " << part;
  return success();
}

Prologue::Prologue(RecurrenceOp op, ArrayRef<std::string> parts) : op(op) {
  SmallVector<StringRef> all(parts.begin(), parts.end());
  if (auto func = op->getParentOfType<func::FuncOp>()) {
    if (auto named = func->getAttrOfType<ArrayAttr>(kPrologueAttr))
      llvm::append_range(all, named.getAsValueRange<StringAttr>());
    if (auto bound = func->getAttrOfType<FloatAttr>(kLowerBoundAttr))
      lowerBound = bound.getValueAsDouble();
  }
  auto has = [&](StringRef part) { return llvm::is_contained(all, part); };
  conv = has("conv");
  norm = has("norm");
  decay = op.getDecay() && (has("gates") || has("decay"));
  rates = has("gates") || has("rates");
  scale = has("scale");
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
    if (rates && step.rate)
      names.push_back(nameRate(number++));
  if (decay)
    llvm::append_range(names, ArrayRef<StringRef>{"a", "A_log", "dt_bias"});
  if (scale)
    names.push_back("scale");
  SmallVector<Value> replaced = {op.getDecay()};
  for (const RecurrenceOp::Step &step : op.getStepList())
    replaced.push_back(step.rate);
  return checkNewNames(op, func, names, "its prologue", replaced);
}

LogicalResult Prologue::check(func::FuncOp func) {
  bool fits = true;
  for (const RecurrenceOp::Step &step : op.getStepList()) {
    if (norm)
      fits &= isArgument(func, step.write) && isArgument(func, step.erase);
    if (rates)
      fits &=
          isArgument(func, step.rate) && (!step.rate || step.rate.hasOneUse());
  }
  if (norm)
    fits &= isArgument(func, op.getQuery());
  if (decay)
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

/// Returns a new last argument, of the type that the region computes in.
Value Prologue::addArgument(func::FuncOp func, StringRef name,
                            ArrayRef<int64_t> shape) {
  return addLastArgument(func, name,
                         RankedTensorType::get(shape, getComputeType(op)),
                         op.getLoc());
}

void Prologue::replaceArguments(func::FuncOp func) {
  unsigned number = 0;
  for (const RecurrenceOp::Step &step : op.getStepList())
    if (rates && step.rate)
      replaceArgument(func, step.rate, nameRate(number++));
  if (decay) {
    replaceArgument(func, op.getDecay(), "a");
    ArrayRef<int64_t> shape = cast<RankedTensorType>(op.getDecay().getType())
                                  .getShape()
                                  .drop_front(2);
    logA = addArgument(func, "A_log", shape.take_front(1));
    bias = addArgument(func, "dt_bias", shape);
  }
  if (scale) {
    factor = addArgument(func, "scale", {op.getValueHeads()});
    func.setArgAttr(func.getNumArguments() - 1, kConstantAttr,
                    UnitAttr::get(func.getContext()));
  }
}

/// The binding of what all tokens of a head share.
static BindingAttr bindShared(Value tensor) {
  SmallVector<BoundDim> dims = {{DimKind::head}};
  dims.resize(cast<RankedTensorType>(tensor.getType()).getRank(),
              {DimKind::whole});
  return BindingAttr::get(tensor.getContext(), dims);
}

void Prologue::addIns(SmallVectorImpl<Value> &ins,
                      SmallVectorImpl<Attribute> &bindings) {
  firstIn = ins.size();
  for (Value value : {logA, bias, factor}) {
    if (!value)
      continue;
    ins.push_back(value);
    bindings.push_back(bindShared(value));
  }
}

//===----------------------------------------------------------------------===//
// Tiles
//===----------------------------------------------------------------------===//

void Prologue::makeChannelDecay(ImplicitLocOpBuilder &b, int64_t chunk,
                                int64_t tileRows) {
  if (!decay || !op.hasChannelDecay())
    return;
  FloatType compute = getComputeType(op);
  Value raw = op.getDecay();
  auto type = cast<RankedTensorType>(raw.getType());
  BindingAttr rows = rowBinding(b.getContext(), 1, type.getRank(), tileRows);
  SmallVector<BindingAttr> bindings = {rows, bindShared(logA),
                                       bindShared(bias)};
  SmallVector<Attribute> inBindings(bindings.begin(), bindings.end());
  SmallVector<Value> ins = {raw, logA, bias};
  auto map = ChunkMapOp::create(
      b, TypeRange(type.clone(compute)), ins, op.getCuSeqlens(),
      b.getI64IntegerAttr(chunk), b.getI64IntegerAttr(op.getValueHeads()),
      TypeAttr::get(compute), b.getArrayAttr(inBindings),
      b.getArrayAttr({rows}));
  map->setAttr(kExactAttr, b.getUnitAttr());
  Block &body = map.getBody().emplaceBlock();
  body.addArgument(b.getIndexType(), b.getLoc());
  SmallVector<Value> tiles;
  for (auto [in, binding] : llvm::zip_equal(ins, bindings))
    tiles.push_back(body.addArgument(
        binding.getTileType(cast<RankedTensorType>(in.getType()), chunk,
                            compute),
        b.getLoc()));
  auto inside = ImplicitLocOpBuilder::atBlockEnd(b.getLoc(), &body);
  PrologueTiles prologue(inside, compute, /*isOneToken=*/false);
  YieldOp::create(inside,
                  prologue.decay(tiles[0], tiles[1], tiles[2], lowerBound),
                  ValueRange());
  op.getDecayMutable().assign(map.getOuts().front());
  logA = bias = {};
  decay = false;
}

/// Past a sequence's end there is no decay, though the gate of a zero is one.
static Value maskDecay(ImplicitLocOpBuilder &b, ChunkScanOp scan, Value gates) {
  return MaskRowsOp::create(b, gates.getType(), gates, scan.getValid(),
                            /*rows=*/1);
}

/// Divides q and keys by their norms.
static void normalizeRows(PrologueTiles &prologue, TileRecurrence &chunk) {
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

namespace {
/// Rows and the squares of their norms, which they are divided by; without
/// squares they are what they are.
struct NormedRows {
  Value rows, squares;
};
} // namespace

/// Returns rows that the layer itself has divided by their norm.
static NormedRows matchNormed(Value rows) {
  auto product = rows ? rows.getDefiningOp<arith::MulFOp>() : arith::MulFOp();
  if (!product)
    return {rows, {}};
  auto spread = product.getRhs().getDefiningOp<linalg::BroadcastOp>();
  auto root = spread ? spread.getInput().getDefiningOp<math::RsqrtOp>()
                     : math::RsqrtOp();
  if (!root || spread.getDimensions() != ArrayRef<int64_t>(1))
    return {rows, {}};
  return {product.getLhs(), root.getOperand()};
}

/// True if a key of a step is divided by its norm.
static bool hasNormedKeys(const TileRecurrence &chunk) {
  return llvm::any_of(chunk.steps, [](const TileStep &step) {
    return matchNormed(step.write).squares || matchNormed(step.erase).squares;
  });
}

/// The same where scales of rows cannot leave what products read, which is keys
/// times a decay a channel. The norms |x| and |e| of keys go into rates and
/// values:
///
///   x/|x| (y - b (e/|e|)^T S)  is  x (y/|x| - b/(|x| |e|) e^T S)
///   and with y = b v               x b/(|x| |e|) (|e| v - e^T S)
///
/// so products read what they do without a norm. The query's is a scale of its
/// rows: of the output's the gradient would take the output without it, which a
/// backward does not have.
void Prologue::scaleRates(ImplicitLocOpBuilder &b, TileRecurrence &chunk) {
  FloatType compute = getComputeType(op);
  PrologueTiles prologue(b, compute, /*isOneToken=*/false);
  TileBuilder tile(b, compute);
  llvm::SmallDenseMap<Value, Value> squares, factors;
  auto getNormed = [&](Value rows) -> NormedRows {
    if (!norm)
      return matchNormed(rows);
    Value &made = squares[rows];
    if (rows && !made)
      made = prologue.squares(rows);
    return {rows, made};
  };
  auto getFactors = [&](const NormedRows &normed) {
    Value &made = factors[normed.squares];
    return made ? made : made = prologue.factors(normed.squares);
  };
  if (norm)
    chunk.query =
        prologue.timesRows(chunk.query, getFactors(getNormed(chunk.query)));
  for (TileStep &step : chunk.steps) {
    NormedRows write = getNormed(step.write), erase = getNormed(step.erase);
    step.write = write.rows;
    step.erase = erase.rows;
    if (step.written && write.squares)
      step.written = prologue.timesRows(step.written, getFactors(write));
    if (!step.erase && step.written)
      continue; // without a rate
    Value scale = write.squares ? getFactors(write) : Value();
    if (erase.squares) {
      Value other = getFactors(erase);
      scale = scale ? tile.mul(scale, other) : other;
    }
    if (erase.squares && step.value)
      step.value =
          prologue.timesRows(step.value, prologue.lengths(erase.squares));
    if (!scale)
      continue;
    if (!step.rate) {
      step.maxRate =
          std::max(step.maxRate.value_or(1.0), std::abs(step.constantRate));
      step.rate = tile.splat(step.constantRate, shapeOf(scale));
    }
    step.rate = tile.mul(step.rate, scale);
  }
}

void Prologue::build(ImplicitLocOpBuilder &b, ChunkScanOp scan,
                     TileRecurrence &chunk) {
  bool isOneToken = scan.getChunk() == 1;
  PrologueTiles prologue(b, cast<FloatType>(scan.getCompute()), isOneToken);
  // Products of raw keys may leave the range of f16.
  bool isInRates = (norm || hasNormedKeys(chunk)) && !isOneToken &&
                   op.hasChannelDecay() &&
                   !op.getQuery().getType().getElementType().isF16();
  if (norm && !isInRates)
    normalizeRows(prologue, chunk);
  for (TileStep &step : chunk.steps)
    if (rates && step.rate)
      step.rate = prologue.rate(step.rate, step.maxRate.value_or(1.0));
  if (isInRates)
    scaleRates(b, chunk);
  // A decay a channel is made elsewhere, of what would be the first two.
  if (scale) {
    chunk.outputScale = scan.getInArg(firstIn + (logA ? 2 : 0));
    chunk.scale = 1.0;
  }
  if (!decay)
    return;
  chunk.decay = prologue.decay(chunk.decay, scan.getInArg(firstIn),
                               scan.getInArg(firstIn + 1), lowerBound);
  if (!isOneToken)
    chunk.decay = maskDecay(b, scan, chunk.decay);
}
