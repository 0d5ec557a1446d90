//===- LayerSpec.cpp - What a layer computes ------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Spec/LayerSpec.h"

#include "mlir/Support/LLVM.h"
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

SmallVector<SpecOperand> mlir::wyvern::getOperands(const LayerSpec &spec) {
  SmallVector<SpecOperand> operands = {{"q", OperandRole::Query}};
  if (spec.decay != DecayKind::None)
    operands.push_back({"g", spec.decay == DecayKind::Head
                                 ? OperandRole::HeadDecay
                                 : OperandRole::ChannelDecay});
  auto add = [&](const SpecProduct &product, OperandRole role, int64_t repeat) {
    for (const SpecName &name : product.factors)
      if (llvm::none_of(operands, [&](const SpecOperand &operand) {
            return operand.name == name.text;
          }))
        operands.push_back({name.text, role, repeat, name.loc});
  };
  for (const StepSpec &step : spec.steps) {
    add(step.write, OperandRole::Key, step.repeat);
    add(step.erase, OperandRole::Key, step.repeat);
    add(step.value, OperandRole::Value, step.repeat);
    add(step.written, OperandRole::Value, step.repeat);
    add(step.rate, OperandRole::Rate, step.repeat);
  }
  if (spec.levels == LevelKind::None)
    operands.push_back({"initial_state", OperandRole::InitialState});
  else
    operands.push_back(
        {"level_scales", OperandRole::LevelScales, 1, spec.levelsLoc});
  operands.push_back({"cu_seqlens", OperandRole::CuSeqlens});
  for (SpecOperand &operand : operands)
    if (!operand.loc.isValid())
      operand.loc = spec.loc;
  return operands;
}

/// The shortest decimal that reads back as `value`.
static std::string formatNumber(double value) {
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
  if (spec.levels != LevelKind::None)
    os << "levels: " << stringify(spec.levels)
       << "\nmax_tokens: " << spec.maxTokens << '\n';
  if (!spec.prologue.empty())
    os << "prologue: [" << llvm::join(spec.prologue, ", ") << "]\n";
  if (spec.lowerBound)
    os << "lower_bound: " << formatNumber(*spec.lowerBound) << '\n';
  if (!spec.variants.empty())
    os << "variants: [" << llvm::join(spec.variants, ", ") << "]\n";
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
  if (!spec.prologue.empty())
    object["prologue"] = llvm::json::Array(spec.prologue);
  if (spec.lowerBound)
    object["lower_bound"] = *spec.lowerBound;
  if (!spec.variants.empty())
    object["variants"] = llvm::json::Array(spec.variants);
  return object;
}
