//===- SpecToModule.cpp - From a spec to the delta dialect ----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Spec/SpecToModule.h"

#include "TokenMapBuilder.h"

#include "wyvern/Dialect/Delta/IR/Delta.h"
#include "wyvern/Dialect/Delta/Utils/Prologue.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/SourceMgr.h"

using namespace mlir;
using namespace mlir::wyvern;

namespace {
/// Builds the entry function of one spec.
class EntryBuilder {
public:
  EntryBuilder(OpBuilder &builder, const LayerSpec &spec,
               const llvm::SourceMgr *sources)
      : builder(builder), spec(spec), sources(sources) {}

  void build();

private:
  Location getLoc(SMLoc loc);
  Type getElementType();
  /// f32, or f64 if the spec computes in f64.
  Type getStateType();
  Type getType(const SpecOperand &operand);
  func::FuncOp createFunction(ArrayRef<SpecOperand> operands);
  /// Returns `results` from `function`, by name.
  void createReturn(func::FuncOp function,
                    ArrayRef<std::pair<std::string, Value>> results);
  /// The product of its factors, built once; null if absent.
  Value createProduct(const SpecProduct &product);
  delta::StepAttr createStep(const StepSpec &step,
                             SmallVectorImpl<Value> &operands);

  OpBuilder &builder;
  const LayerSpec &spec;
  const llvm::SourceMgr *sources;
  llvm::StringMap<Value> values;
  llvm::StringMap<Value> products;
};
} // namespace

Location EntryBuilder::getLoc(SMLoc loc) {
  unsigned id =
      sources && loc.isValid() ? sources->FindBufferContainingLoc(loc) : 0;
  if (!id)
    return NameLoc::get(builder.getStringAttr(spec.name));
  auto [line, column] = sources->getLineAndColumn(loc, id);
  StringRef file = sources->getMemoryBuffer(id)->getBufferIdentifier();
  return FileLineColLoc::get(builder.getContext(), file, line, column);
}

Type EntryBuilder::getElementType() {
  switch (spec.dtype) {
  case ElementKind::BF16:
    return builder.getBF16Type();
  case ElementKind::F16:
    return builder.getF16Type();
  case ElementKind::F32:
    return builder.getF32Type();
  case ElementKind::F64:
    return builder.getF64Type();
  }
  llvm_unreachable("unknown element kind");
}

Type EntryBuilder::getStateType() {
  return spec.dtype == ElementKind::F64 ? builder.getF64Type()
                                        : builder.getF32Type();
}

Type EntryBuilder::getType(const SpecOperand &operand) {
  constexpr int64_t any = ShapedType::kDynamic;
  int64_t keyHeads = spec.keyHeads, heads = spec.valueHeads;
  Type element = getElementType(), wide = getStateType();
  auto tensor = [](ArrayRef<int64_t> shape, Type type) {
    return RankedTensorType::get(shape, type);
  };
  switch (operand.role) {
  case OperandRole::Query:
  case OperandRole::Key:
    return tensor({any, any, keyHeads, spec.keyDim}, element);
  case OperandRole::Value:
    return tensor({any, any, heads, spec.valueDim}, element);
  case OperandRole::RawHead:
    return tensor({any, any, heads}, element);
  case OperandRole::RawChannel:
    return tensor({any, any, heads, spec.keyDim}, element);
  case OperandRole::HeadDecay:
  case OperandRole::Rate:
    return tensor({any, any, heads}, wide);
  case OperandRole::ChannelDecay:
    return tensor({any, any, heads, spec.keyDim}, wide);
  case OperandRole::HeadParameter:
    return tensor({heads}, wide);
  case OperandRole::KeyParameter:
    return tensor({keyHeads, spec.keyDim}, wide);
  case OperandRole::ValueParameter:
    return tensor({heads, spec.valueDim}, wide);
  case OperandRole::ChannelParameter:
    return tensor({heads, spec.keyDim}, wide);
  case OperandRole::AngleParameter:
    return tensor({keyHeads, spec.keyDim / 2}, wide);
  case OperandRole::Angle:
    return tensor({any, any, keyHeads, spec.keyDim / 2}, wide);
  case OperandRole::InitialAngles:
    return tensor({any, keyHeads, spec.keyDim / 2}, wide);
  case OperandRole::Positions:
    return tensor({any}, wide);
  case OperandRole::LevelScales:
    return tensor({any, any, heads * spec.getNumStates()}, wide);
  case OperandRole::InitialState:
    return tensor(
        {any, heads * spec.getNumStates(), spec.keyDim, spec.valueDim}, wide);
  case OperandRole::CuSeqlens:
    return tensor({any}, builder.getI64Type());
  }
  llvm_unreachable("unknown operand role");
}

func::FuncOp EntryBuilder::createFunction(ArrayRef<SpecOperand> operands) {
  SmallVector<Type> inputs = llvm::map_to_vector(
      operands, [&](const SpecOperand &operand) { return getType(operand); });
  auto function = func::FuncOp::create(builder, getLoc(spec.loc), spec.name,
                                       builder.getFunctionType(inputs, {}));
  for (auto [i, operand] : llvm::enumerate(operands)) {
    function.setArgAttr(i, delta::kNameAttr,
                        builder.getStringAttr(operand.name));
    if (operand.role == OperandRole::Positions)
      function.setArgAttr(i, delta::kConstantAttr, builder.getUnitAttr());
  }
  if (!spec.prologue.empty())
    function->setAttr(
        delta::kPrologueAttr,
        builder.getStrArrayAttr(llvm::to_vector_of<StringRef>(spec.prologue)));
  if (spec.lowerBound)
    function->setAttr(delta::kLowerBoundAttr,
                      builder.getF64FloatAttr(*spec.lowerBound));
  Block *entry = function.addEntryBlock();
  for (auto [operand, argument] : llvm::zip(operands, entry->getArguments())) {
    argument.setLoc(getLoc(operand.loc));
    values[operand.name] = argument;
  }
  builder.setInsertionPointToStart(entry);
  return function;
}

void EntryBuilder::createReturn(
    func::FuncOp function, ArrayRef<std::pair<std::string, Value>> results) {
  SmallVector<Value> values(llvm::make_second_range(results));
  func::ReturnOp::create(builder, getLoc(spec.loc), values);
  function.setFunctionType(builder.getFunctionType(
      function.getArgumentTypes(), ValueRange(values).getTypes()));
  for (auto [i, result] : llvm::enumerate(results))
    function.setResultAttr(i, delta::kNameAttr,
                           builder.getStringAttr(result.first));
}

Value EntryBuilder::createProduct(const SpecProduct &product) {
  if (product.isAbsent())
    return Value();
  auto [known, isNew] = products.try_emplace(product.str());
  if (!isNew)
    return known->second;
  Value result = values.lookup(product.factors.front().text);
  for (const SpecName &name : llvm::drop_begin(product.factors))
    result = arith::MulFOp::create(builder, getLoc(name.loc), result,
                                   values.lookup(name.text));
  return known->second = result;
}

delta::StepAttr EntryBuilder::createStep(const StepSpec &step,
                                         SmallVectorImpl<Value> &operands) {
  Value write = createProduct(step.write), erase = createProduct(step.erase),
        value = createProduct(step.value),
        written = createProduct(step.written), rate = createProduct(step.rate);
  for (Value operand : {write, erase, value, written, rate})
    if (operand)
      operands.push_back(operand);
  delta::RecurrenceOp::Step made;
  made.write = write, made.erase = erase, made.value = value;
  made.written = written, made.rate = rate;
  made.constantRate = step.constantRate;
  made.maxRate = step.maxRate;
  made.repeat = step.repeat;
  made.beforeDecay = step.readsBeforeDecay;
  return made.getAttr(builder.getContext());
}

void EntryBuilder::build() {
  OpBuilder::InsertionGuard guard(builder);
  func::FuncOp function = createFunction(getOperands(spec));
  auto locate = [&](SMLoc loc) { return getLoc(loc); };
  TokenMapBuilder maps(builder, spec, getElementType(), getStateType(), values,
                       locate);
  for (auto &[name, value] : maps.build())
    values[name] = value;
  SmallVector<Attribute> steps;
  SmallVector<Value> stepOperands;
  for (const StepSpec &step : spec.steps)
    steps.push_back(createStep(step, stepOperands));
  // Without levels these are names as any other.
  bool hasLevels = spec.levels != LevelKind::None;
  Value scales = hasLevels ? values.lookup("level_scales") : Value();
  Value positions =
      hasLevels && spec.resumes ? values.lookup("positions") : Value();
  constexpr int64_t any = ShapedType::kDynamic;
  // Levels without positions end in one state, which is no use to a caller.
  int64_t states =
      spec.valueHeads * (spec.hasStates() ? spec.getNumStates() : 1);
  SmallVector<Type> types = {
      RankedTensorType::get({any, any, spec.valueHeads, spec.valueDim},
                            getElementType()),
      RankedTensorType::get({any, states, spec.keyDim, spec.valueDim},
                            getStateType())};
  auto recurrence = delta::RecurrenceOp::create(
      builder, getLoc(spec.loc), types, values.lookup("q"), values.lookup("g"),
      stepOperands, values.lookup("initial_state"), values.lookup("cu_seqlens"),
      scales, positions, builder.getArrayAttr(steps),
      builder.getF64FloatAttr(spec.scale));
  SmallVector<std::pair<std::string, Value>> results = {
      {"o", recurrence.getOutput()}};
  if (spec.hasStates())
    results.emplace_back("final_state", recurrence.getFinalState());
  if (spec.resumes)
    for (auto [number, total] :
         llvm::zip_equal(spec.getRunningSums(), maps.getTotals()))
      results.emplace_back("final_" + spec.definitions[number].name, total);
  createReturn(function, results);
}

OwningOpRef<ModuleOp>
mlir::wyvern::buildModule(MLIRContext *context, ArrayRef<LayerSpec> specs,
                          const llvm::SourceMgr *sources) {
  context->loadDialect<arith::ArithDialect, func::FuncDialect,
                       delta::DeltaDialect>();
  OpBuilder builder(context);
  OwningOpRef<ModuleOp> module = ModuleOp::create(builder.getUnknownLoc());
  builder.setInsertionPointToStart(module->getBody());
  for (const LayerSpec &spec : specs)
    EntryBuilder(builder, spec, sources).build();
  return module;
}
