//===- TokenMapBuilder.cpp - What a spec computes, as programs ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TokenMapBuilder.h"

#include "wyvern/Dialect/Delta/Utils/Prologue.h"
#include "wyvern/Dialect/Delta/Utils/PrologueTiles.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

//===----------------------------------------------------------------------===//
// What is made in which map
//===----------------------------------------------------------------------===//

static bool isParameter(OperandRole role) {
  return llvm::is_contained(
      {OperandRole::HeadParameter, OperandRole::KeyParameter,
       OperandRole::ValueParameter, OperandRole::ChannelParameter,
       OperandRole::AngleParameter},
      role);
}

static bool isDecay(OperandRole role) {
  return role == OperandRole::HeadDecay || role == OperandRole::ChannelDecay;
}

bool TokenMapBuilder::hasValueHeads(const SpecOperand &operand) {
  RowKind kind = getRowKind(operand.role);
  return kind != RowKind::Key && kind != RowKind::Angle;
}

void TokenMapBuilder::addMade(const SpecOperand &operand) {
  const Definition *definition = spec.findDefinition(operand.name);
  if (!definition)
    return;
  SmallVector<SpecOperand> read;
  bool ofValueHeads = hasValueHeads(operand);
  auto addRead = [&](const Expression &name, RowKind kind) {
    read.push_back(getArgument(spec, name, kind, operand.repeat));
    ofValueHeads |= hasValueHeads(read.back());
  };
  forEachName(spec, definition->value, getRowKind(operand.role), addRead);
  int64_t heads = ofValueHeads ? spec.valueHeads : spec.keyHeads;
  bool isOwn = operand.role == OperandRole::ChannelDecay ||
               llvm::any_of(read, [](const SpecOperand &argument) {
                 return getRowKind(argument.role) == RowKind::Angle;
               });
  std::string name = isOwn ? operand.name : std::string();
  auto *map = llvm::find_if(maps, [&](const Map &other) {
    return other.heads == heads && other.repeat == operand.repeat &&
           other.name == name;
  });
  if (map == maps.end()) {
    maps.push_back({heads, operand.repeat, name, {}, {}});
    map = &maps.back();
  }
  auto addTo = [](SmallVectorImpl<SpecOperand> &operands,
                  const SpecOperand &added) {
    if (llvm::none_of(operands, [&](const SpecOperand &other) {
          return other.name == added.name;
        }))
      operands.push_back(added);
  };
  addTo(map->made, operand);
  for (const SpecOperand &argument : read)
    addTo(map->read, argument);
}

void TokenMapBuilder::addProduct(const SpecProduct &product, OperandRole role,
                                 int64_t repeat) {
  for (const SpecName &name : product.factors)
    addMade({name.text, role, repeat, name.loc});
}

void TokenMapBuilder::collect() {
  addMade({"q", OperandRole::Query, 1, spec.loc});
  if (spec.decay != DecayKind::None)
    addMade({"g",
             spec.decay == DecayKind::Head ? OperandRole::HeadDecay
                                           : OperandRole::ChannelDecay,
             1, spec.loc});
  for (const StepSpec &step : spec.steps) {
    addProduct(step.write, OperandRole::Key, step.repeat);
    addProduct(step.erase, OperandRole::Key, step.repeat);
    addProduct(step.value, OperandRole::Value, step.repeat);
    addProduct(step.written, OperandRole::Value, step.repeat);
    addProduct(step.rate, OperandRole::Rate, step.repeat);
  }
}

//===----------------------------------------------------------------------===//
// A map
//===----------------------------------------------------------------------===//

BindingAttr TokenMapBuilder::getBinding(const SpecOperand &operand) {
  SmallVector<BoundDim> dims;
  if (!isParameter(operand.role))
    dims = {{DimKind::seq}, {DimKind::time, operand.repeat}};
  dims.push_back({DimKind::head});
  if (getRowKind(operand.role) != RowKind::Head)
    dims.push_back({DimKind::whole});
  return BindingAttr::get(builder.getContext(), dims);
}

/// Rows of the layer are of its type, decays and rates of that of states.
RankedTensorType TokenMapBuilder::getOutType(const Map &map,
                                             const SpecOperand &made) {
  constexpr int64_t any = ShapedType::kDynamic;
  SmallVector<int64_t> shape = {any, any, map.heads};
  RowKind kind = getRowKind(made.role);
  if (kind != RowKind::Head)
    shape.push_back(kind == RowKind::Value ? spec.valueDim : spec.keyDim);
  bool isWide = isDecay(made.role) || made.role == OperandRole::Rate;
  return RankedTensorType::get(shape, isWide ? Type(compute) : element);
}

/// Angles count from 0, or from where the sequence goes on.
void TokenMapBuilder::buildRunningSums() {
  for (int number : spec.getRunningSums()) {
    const Definition &definition = spec.definitions[number];
    Value x = arguments.lookup(getSummed(spec, number).name);
    Value init = arguments.lookup("initial_" + definition.name);
    auto type = cast<RankedTensorType>(x.getType());
    auto total = RankedTensorType::get(
        {ShapedType::kDynamic, type.getDimSize(2), type.getDimSize(3)},
        type.getElementType());
    auto sum = RunningSumOp::create(
        builder, getLoc(definition.loc), TypeRange{type, total}, x,
        spec.resumes ? init : Value(), arguments.lookup("cu_seqlens"),
        /*read_slots=*/Value(), /*write_slots=*/Value(), /*keep_slots=*/Value(),
        /*reverse=*/false, /*wrapped=*/true);
    runningSums["@" + std::to_string(number)] = sum.getSums();
    totals.push_back(sum.getTotal());
  }
}

SmallVector<std::pair<std::string, Value>> TokenMapBuilder::build() {
  buildRunningSums();
  collect();
  SmallVector<std::pair<std::string, Value>> results;
  for (const Map &map : maps)
    for (auto [made, out] : llvm::zip_equal(map.made, buildMap(map).getOuts()))
      results.emplace_back(made.name, out);
  return results;
}

ChunkMapOp TokenMapBuilder::buildMap(const Map &map) {
  SmallVector<Value> ins;
  SmallVector<Attribute> inBindings, outBindings;
  SmallVector<Type> outTypes;
  for (const SpecOperand &read : map.read) {
    Value sum = runningSums.lookup(read.name);
    ins.push_back(sum ? sum : arguments.lookup(read.name));
    inBindings.push_back(getBinding(read));
  }
  for (const SpecOperand &made : map.made) {
    outTypes.push_back(getOutType(map, made));
    outBindings.push_back(getBinding(made));
  }
  OpBuilder::InsertionGuard guard(builder);
  Location loc = getLoc(spec.findDefinition(map.made.front().name)->loc);
  auto op = ChunkMapOp::create(
      builder, loc, outTypes, ins, arguments.lookup("cu_seqlens"),
      builder.getI64IntegerAttr(1), builder.getI64IntegerAttr(map.heads),
      TypeAttr::get(compute), builder.getArrayAttr(inBindings),
      builder.getArrayAttr(outBindings));
  op->setAttr(kExactAttr, builder.getUnitAttr());
  addTiles(map, op);
  auto body = ImplicitLocOpBuilder::atBlockEnd(loc, &op.getBlock());
  inside = &body;
  SmallVector<Value> outs = llvm::map_to_vector(
      map.made, [&](const SpecOperand &made) { return buildOut(made); });
  YieldOp::create(body, outs, ValueRange());
  return op;
}

void TokenMapBuilder::addTiles(const Map &map, ChunkMapOp op) {
  Block &body = op.getBody().emplaceBlock();
  body.addArgument(builder.getIndexType(), op.getLoc());
  tiles.clear();
  defined.clear();
  rows = map.repeat;
  for (auto [i, read] : llvm::enumerate(map.read)) {
    auto type = cast<RankedTensorType>(op.getIns()[i].getType());
    Value tile = body.addArgument(
        op.getInBinding(i).getTileType(type, /*chunk=*/1, compute),
        op.getIns()[i].getLoc());
    tiles[read.name] = {tile, 0, !isParameter(read.role),
                        getRowKind(read.role) != RowKind::Head};
  }
}

//===----------------------------------------------------------------------===//
// Expressions
//===----------------------------------------------------------------------===//

Value TokenMapBuilder::fit(const Term &term, const Term &like) {
  TileBuilder tile(*inside, compute);
  SmallVector<int64_t> shape, added;
  for (auto [wanted, has, size] :
       {std::tuple(like.hasRows, term.hasRows, rows),
        std::tuple(like.hasChannels, term.hasChannels, channels)}) {
    if (!wanted)
      continue;
    if (!has)
      added.push_back(static_cast<int64_t>(shape.size()));
    shape.push_back(size);
  }
  if (!term.tile)
    return tile.splat(term.number, shape);
  return added.empty() ? term.tile : tile.broadcast(term.tile, shape, added);
}

Value TokenMapBuilder::buildOut(const SpecOperand &made) {
  RowKind kind = getRowKind(made.role);
  channels = kind == RowKind::Value ? spec.valueDim : spec.keyDim;
  Term whole = {{}, 0, /*hasRows=*/true, kind != RowKind::Head};
  const Definition *definition = spec.findDefinition(made.name);
  Value out = fit(emitDefinition(definition - spec.definitions.data()), whole);
  if (!isDecay(made.role))
    return out;
  PrologueTiles prologue(*inside, compute, /*isOneToken=*/false);
  return prologue.boundDecay(out);
}

TokenMapBuilder::Term TokenMapBuilder::emitDefinition(int number) {
  std::pair<int, int64_t> key(number, channels);
  if (auto known = defined.find(key); known != defined.end())
    return known->second;
  Term made = emit(spec.definitions[number].value);
  defined[key] = made;
  return made;
}

TokenMapBuilder::Term TokenMapBuilder::emitBinary(Expression::Kind kind, Term a,
                                                  Term b) {
  Term made = {{}, 0, a.hasRows || b.hasRows, a.hasChannels || b.hasChannels};
  if (!a.tile && !b.tile) {
    made.number = kind == Expression::Multiply ? a.number * b.number
                  : kind == Expression::Add    ? a.number + b.number
                                               : a.number - b.number;
    return made;
  }
  TileBuilder tile(*inside, compute);
  Value x = fit(a, made), y = fit(b, made);
  made.tile = kind == Expression::Multiply ? tile.mul(x, y)
              : kind == Expression::Add    ? tile.add(x, y)
                                           : tile.sub(x, y);
  return made;
}

/// Columns of `x` in halves.
static std::pair<Value, Value> splitColumns(ImplicitLocOpBuilder &b, Value x) {
  auto type = cast<RankedTensorType>(x.getType());
  auto half = type.clone({type.getDimSize(0), type.getDimSize(1) / 2});
  auto made = SplitColumnsOp::create(b, half, half, x);
  return {made.getA(), made.getB()};
}

static Value joinColumns(ImplicitLocOpBuilder &b, Value first, Value second) {
  auto half = cast<RankedTensorType>(first.getType());
  auto type = half.clone({half.getDimSize(0), 2 * half.getDimSize(1)});
  return JoinColumnsOp::create(b, type, first, second);
}

/// Returns columns of `a` and of `b`, each pair turned by its angle. Of many
/// columns some go after others: on a GPU a thread holds all that it works on.
static std::pair<Value, Value> rotate(ImplicitLocOpBuilder &builder,
                                      FloatType compute, Value a, Value b,
                                      Value angles) {
  constexpr int64_t most = 64, step = 16;
  int64_t columns = cast<RankedTensorType>(angles.getType()).getDimSize(1);
  if (columns > most && columns % step == 0) {
    auto [a1, a2] = splitColumns(builder, a);
    auto [b1, b2] = splitColumns(builder, b);
    auto [angles1, angles2] = splitColumns(builder, angles);
    auto [first1, second1] = rotate(builder, compute, a1, b1, angles1);
    auto [first2, second2] = rotate(builder, compute, a2, b2, angles2);
    Value first = joinColumns(builder, first1, first2);
    return {first, joinColumns(builder, second1, second2)};
  }
  TileBuilder tile(builder, compute);
  Value cos = math::CosOp::create(builder, angles);
  Value sin = math::SinOp::create(builder, angles);
  Value first = tile.sub(tile.mul(a, cos), tile.mul(b, sin));
  return {first, tile.add(tile.mul(a, sin), tile.mul(b, cos))};
}

/// Channels d and d + K / 2 are a pair, which angle d turns.
TokenMapBuilder::Term TokenMapBuilder::emitRotation(const Expression &value) {
  Term row = {{}, 0, /*hasRows=*/true, /*hasChannels=*/true};
  Value x = fit(emit(value.operands[0]), row);
  channels /= 2;
  Value angles = fit(emit(value.operands[1]), row);
  channels *= 2;
  auto [a, b] = splitColumns(*inside, x);
  auto [first, second] = rotate(*inside, compute, a, b, angles);
  row.tile = joinColumns(*inside, first, second);
  return row;
}

TokenMapBuilder::Term TokenMapBuilder::emitCall(const Expression &value) {
  if (value.text == "rotate")
    return emitRotation(value);
  PrologueTiles prologue(*inside, compute, /*isOneToken=*/false);
  TileBuilder tile(*inside, compute);
  Term made = emit(value.operands.front());
  // The norm is of the row of a token, whatever it is made of.
  if (value.text == "normalize") {
    Term row = {{}, 0, /*hasRows=*/true, /*hasChannels=*/true};
    row.tile = prologue.normalize(fit(made, row));
    return row;
  }
  Value x = made.tile = fit(made, made);
  if (value.text == "exp")
    made.tile = tile.exp(x);
  else if (value.text == "softplus")
    made.tile = prologue.softplus(x);
  else
    made.tile = prologue.rate(x, 1.0);
  if (value.text == "silu")
    made.tile = tile.mul(x, made.tile);
  return made;
}

TokenMapBuilder::Term TokenMapBuilder::emit(const Expression &value) {
  TileBuilder tile(*inside, compute);
  switch (value.kind) {
  case Expression::Number: {
    Term number;
    number.number = value.number;
    return number;
  }
  case Expression::Name:
    if (value.definition < 0)
      return tiles.lookup(value.text);
    if (isRunningSum(spec.definitions[value.definition].value))
      return tiles.lookup("@" + std::to_string(value.definition));
    return emitDefinition(value.definition);
  case Expression::Negate: {
    Term made = emit(value.operands.front());
    made.number = -made.number;
    if (made.tile)
      made.tile = tile.neg(made.tile);
    return made;
  }
  case Expression::Call:
    return emitCall(value);
  default:
    return emitBinary(value.kind, emit(value.operands[0]),
                      emit(value.operands[1]));
  }
}
