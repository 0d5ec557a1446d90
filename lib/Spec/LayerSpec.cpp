//===- LayerSpec.cpp - What a layer computes ------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Spec/LayerSpec.h"

#include "FormatNumber.h"

#include "mlir/Support/LLVM.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"

using namespace mlir;
using namespace mlir::wyvern;

StringRef mlir::wyvern::stringify(ElementKind kind) {
  static constexpr StringLiteral names[] = {"bf16", "f16", "f32", "f64"};
  return names[static_cast<unsigned>(kind)];
}

StringRef mlir::wyvern::stringify(DecayKind kind) {
  static constexpr StringLiteral names[] = {"none", "head", "channel"};
  return names[static_cast<unsigned>(kind)];
}

StringRef mlir::wyvern::stringify(LevelKind kind) {
  return kind == LevelKind::None ? "none" : "log";
}

std::string SpecProduct::str() const {
  if (isAbsent())
    return "none";
  return llvm::join(
      llvm::map_range(factors, [](const SpecName &name) { return name.text; }),
      " * ");
}

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

const Definition *LayerSpec::findDefinition(StringRef name) const {
  for (const Definition &definition : llvm::reverse(definitions))
    if (definition.name == name)
      return &definition;
  return nullptr;
}

const DeclaredName *LayerSpec::findDeclared(StringRef name) const {
  auto found = llvm::find_if(
      declared, [&](const DeclaredName &other) { return other.name == name; });
  return found == declared.end() ? nullptr : &*found;
}

RowKind mlir::wyvern::getRowKind(OperandRole role) {
  switch (role) {
  case OperandRole::HeadDecay:
  case OperandRole::Rate:
  case OperandRole::RawHead:
  case OperandRole::HeadParameter:
    return RowKind::Head;
  case OperandRole::ChannelDecay:
  case OperandRole::RawChannel:
  case OperandRole::ChannelParameter:
    return RowKind::Channel;
  case OperandRole::Value:
  case OperandRole::ValueParameter:
    return RowKind::Value;
  case OperandRole::Angle:
  case OperandRole::AngleParameter:
    return RowKind::Angle;
  default:
    return RowKind::Key;
  }
}

/// The role of an argument in an expression that makes rows of `kind`.
static OperandRole getRole(RowKind kind, bool isParameter) {
  switch (kind) {
  case RowKind::Head:
    return isParameter ? OperandRole::HeadParameter : OperandRole::RawHead;
  case RowKind::Key:
    return isParameter ? OperandRole::KeyParameter : OperandRole::Key;
  case RowKind::Value:
    return isParameter ? OperandRole::ValueParameter : OperandRole::Value;
  case RowKind::Channel:
    return isParameter ? OperandRole::ChannelParameter
                       : OperandRole::RawChannel;
  case RowKind::Angle:
    return isParameter ? OperandRole::AngleParameter : OperandRole::Angle;
  }
  llvm_unreachable("unknown kind of row");
}

SpecOperand mlir::wyvern::getArgument(const LayerSpec &spec,
                                      const Expression &name, RowKind kind,
                                      int64_t repeat) {
  if (name.definition >= 0)
    return {"@" + std::to_string(name.definition), OperandRole::Angle, repeat,
            name.loc};
  const DeclaredName *declared = spec.findDeclared(name.text);
  bool isParameter = declared && declared->isParameter;
  return {name.text, getRole(declared ? declared->kind : kind, isParameter),
          isParameter ? 1 : repeat, name.loc};
}

SpecOperand mlir::wyvern::getSummed(const LayerSpec &spec, int number) {
  return getArgument(spec, spec.definitions[number].value.operands.front(),
                     RowKind::Angle, /*repeat=*/1);
}

SmallVector<int> LayerSpec::getRunningSums() const {
  SmallVector<int> numbers;
  for (auto [i, definition] : llvm::enumerate(definitions))
    if (isRunningSum(definition.value))
      numbers.push_back(static_cast<int>(i));
  return numbers;
}

void mlir::wyvern::forEachName(
    const LayerSpec &spec, const Expression &value, RowKind kind,
    llvm::function_ref<void(const Expression &, RowKind)> handle) {
  llvm::DenseSet<std::pair<int, int>> seen;
  auto visit = [&](auto &&self, const Expression &expression,
                   RowKind kind) -> void {
    bool isName = expression.kind == Expression::Name;
    const Definition *read = isName && expression.definition >= 0
                                 ? &spec.definitions[expression.definition]
                                 : nullptr;
    if (isName && (!read || isRunningSum(read->value)))
      handle(expression, kind);
    else if (read && seen.insert({expression.definition, int(kind)}).second)
      self(self, read->value, kind);
    bool rotates =
        expression.kind == Expression::Call && expression.text == "rotate";
    for (auto [i, operand] : llvm::enumerate(expression.operands))
      self(self, operand, rotates && i == 1 ? RowKind::Angle : kind);
  };
  visit(visit, value, kind);
}

/// The product of one name, which no file has said.
static SpecProduct productOf(StringRef name) {
  SpecProduct product;
  product.factors.push_back({name.str(), {}});
  return product;
}

SmallVector<SpecOperand> mlir::wyvern::getOperands(const LayerSpec &spec) {
  SmallVector<SpecOperand> operands;
  auto addName = [&](const SpecOperand &added) {
    if (llvm::none_of(operands, [&](const SpecOperand &operand) {
          return operand.name == added.name;
        }))
      operands.push_back(added);
  };
  auto add = [&](const SpecProduct &product, OperandRole role, int64_t repeat) {
    for (const SpecName &name : product.factors) {
      SpecOperand read = {name.text, role, repeat, name.loc};
      if (const Definition *definition = spec.findDefinition(name.text))
        forEachName(spec, definition->value, getRowKind(role),
                    [&](const Expression &argument, RowKind kind) {
                      addName(argument.definition < 0
                                  ? getArgument(spec, argument, kind, repeat)
                                  : getSummed(spec, argument.definition));
                    });
      else
        addName(read);
    }
  };
  add(productOf("q"), OperandRole::Query, 1);
  if (spec.decay != DecayKind::None)
    add(productOf("g"),
        spec.decay == DecayKind::Head ? OperandRole::HeadDecay
                                      : OperandRole::ChannelDecay,
        1);
  for (const StepSpec &step : spec.steps) {
    add(step.write, OperandRole::Key, step.repeat);
    add(step.erase, OperandRole::Key, step.repeat);
    add(step.value, OperandRole::Value, step.repeat);
    add(step.written, OperandRole::Value, step.repeat);
    add(step.rate, OperandRole::Rate, step.repeat);
  }
  if (spec.levels != LevelKind::None)
    operands.push_back(
        {"level_scales", OperandRole::LevelScales, 1, spec.levelsLoc});
  if (spec.hasStates())
    operands.push_back({"initial_state", OperandRole::InitialState});
  if (spec.resumes && spec.levels != LevelKind::None)
    operands.push_back({"positions", OperandRole::Positions});
  if (spec.resumes)
    for (int number : spec.getRunningSums())
      operands.push_back({"initial_" + spec.definitions[number].name,
                          OperandRole::InitialAngles, 1,
                          spec.definitions[number].loc});
  operands.push_back({"cu_seqlens", OperandRole::CuSeqlens});
  for (SpecOperand &operand : operands)
    if (!operand.loc.isValid())
      operand.loc = spec.loc;
  return operands;
}

std::string mlir::wyvern::formatNumber(double value) {
  std::string text;
  for (int precision : {6, 15, 16, 17}) {
    text.clear();
    llvm::raw_string_ostream(text) << llvm::format("%.*g", precision, value);
    double back = 0;
    if (!StringRef(text).getAsDouble(back) && back == value)
      break;
  }
  return text;
}

static std::string formatRate(const StepSpec &step) {
  return step.rate.isAbsent() ? formatNumber(step.constantRate)
                              : step.rate.str();
}

static StringRef formatReads(const StepSpec &step) {
  return step.readsBeforeDecay ? "before_decay" : "after_decay";
}

static void printStep(const StepSpec &step, llvm::raw_ostream &os) {
  os << "  - {write: " << step.write.str() << ", erase: " << step.erase.str();
  if (!step.value.isAbsent())
    os << ", value: " << step.value.str();
  if (!step.written.isAbsent())
    os << ", written: " << step.written.str();
  os << ", rate: " << formatRate(step);
  if (step.maxRate)
    os << ", max_rate: " << formatNumber(*step.maxRate);
  os << ", repeat: " << step.repeat << ", reads: " << formatReads(step)
     << "}\n";
}

static void printComputed(const LayerSpec &spec, llvm::raw_ostream &os);

void mlir::wyvern::printSpec(const LayerSpec &spec, llvm::raw_ostream &os) {
  if (!spec.modelLayers.empty()) {
    os << "# model layers (from 0): ";
    llvm::interleaveComma(spec.modelLayers, os);
    os << '\n';
  }
  os << "name: " << spec.name << "\nheads: {key: " << spec.keyHeads
     << ", value: " << spec.valueHeads << "}\ndims: {key: " << spec.keyDim
     << ", value: " << spec.valueDim << "}\ndtype: " << stringify(spec.dtype)
     << "\ndecay: " << stringify(spec.decay)
     << "\nscale: " << formatNumber(spec.scale) << "\nsteps:";
  os << (spec.steps.empty() ? " []\n" : "\n");
  for (const StepSpec &step : spec.steps)
    printStep(step, os);
  printComputed(spec, os);
  if (spec.levels != LevelKind::None)
    os << "levels: " << stringify(spec.levels)
       << "\nmax_tokens: " << spec.maxTokens << '\n';
  if (spec.resumes)
    os << "resume: true\n";
  if (!spec.prologue.empty())
    os << "prologue: [" << llvm::join(spec.prologue, ", ") << "]\n";
  if (spec.lowerBound)
    os << "lower_bound: " << formatNumber(*spec.lowerBound) << '\n';
  if (!spec.variants.empty())
    os << "variants: [" << llvm::join(spec.variants, ", ") << "]\n";
}

static StringRef stringify(RowKind kind) {
  static constexpr StringLiteral names[] = {"head", "key", "value", "channel",
                                            "angle"};
  return names[static_cast<unsigned>(kind)];
}

/// The declared names as specs have them: inputs, or parameters.
static llvm::json::Object declaredToJSON(const LayerSpec &spec,
                                         bool isParameter) {
  llvm::json::Object object;
  for (const DeclaredName &name : spec.declared)
    if (name.isParameter == isParameter)
      object[name.name] = stringify(name.kind);
  return object;
}

static void printDeclared(const LayerSpec &spec, bool isParameter,
                          llvm::raw_ostream &os) {
  StringRef separator = isParameter ? "parameters: {" : "inputs: {";
  for (const DeclaredName &name : spec.declared)
    if (name.isParameter == isParameter) {
      os << separator << name.name << ": " << stringify(name.kind);
      separator = ", ";
    }
  if (separator == ", ")
    os << "}\n";
}

static void printComputed(const LayerSpec &spec, llvm::raw_ostream &os) {
  if (spec.definitions.empty())
    return;
  os << "compute:\n";
  for (const Definition &definition : spec.definitions)
    os << "  - " << definition.name << ": " << definition.value.str() << '\n';
  printDeclared(spec, /*isParameter=*/false, os);
  printDeclared(spec, /*isParameter=*/true, os);
}

static llvm::json::Object toJSON(const StepSpec &step) {
  llvm::json::Object object{{"write", step.write.str()},
                            {"erase", step.erase.str()},
                            {"repeat", step.repeat},
                            {"reads", formatReads(step)}};
  if (!step.value.isAbsent())
    object["value"] = step.value.str();
  if (!step.written.isAbsent())
    object["written"] = step.written.str();
  if (step.rate.isAbsent())
    object["rate"] = step.constantRate;
  else
    object["rate"] = step.rate.str();
  if (step.maxRate)
    object["max_rate"] = *step.maxRate;
  return object;
}

llvm::json::Object mlir::wyvern::toJSON(const LayerSpec &spec) {
  llvm::json::Array steps;
  for (const StepSpec &step : spec.steps)
    steps.push_back(::toJSON(step));
  using llvm::json::Object;
  Object object{
      {"name", spec.name},
      {"heads", Object{{"key", spec.keyHeads}, {"value", spec.valueHeads}}},
      {"dims", Object{{"key", spec.keyDim}, {"value", spec.valueDim}}},
      {"dtype", stringify(spec.dtype)},
      {"decay", stringify(spec.decay)},
      {"scale", spec.scale},
      {"steps", std::move(steps)}};
  if (spec.levels != LevelKind::None) {
    object["levels"] = stringify(spec.levels);
    object["max_tokens"] = spec.maxTokens;
  }
  if (spec.resumes)
    object["resume"] = true;
  if (!spec.prologue.empty())
    object["prologue"] = llvm::json::Array(spec.prologue);
  if (!spec.definitions.empty()) {
    llvm::json::Array computed;
    for (const Definition &definition : spec.definitions)
      computed.push_back(Object{{definition.name, definition.value.str()}});
    object["compute"] = std::move(computed);
  }
  for (bool isParameter : {false, true})
    if (Object names = declaredToJSON(spec, isParameter); !names.empty())
      object[isParameter ? "parameters" : "inputs"] = std::move(names);
  if (spec.lowerBound)
    object["lower_bound"] = *spec.lowerBound;
  if (!spec.variants.empty())
    object["variants"] = llvm::json::Array(spec.variants);
  return object;
}
