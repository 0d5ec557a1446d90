//===- ValidateSpec.cpp - What no single key of a spec can tell -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SpecLimits.h"

#include "wyvern/Spec/SpecReader.h"

#include "llvm/ADT/SmallPtrSet.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Format.h"

#include <cmath>

using namespace mlir;
using namespace mlir::wyvern;

static StringRef describe(OperandRole role) {
  switch (role) {
  case OperandRole::Query:
  case OperandRole::Key:
    return "a key (write, erase: dims.key numbers a head)";
  case OperandRole::Value:
    return "a value (value, written: dims.value numbers a head)";
  case OperandRole::Rate:
    return "a rate (one number a head)";
  case OperandRole::HeadDecay:
  case OperandRole::ChannelDecay:
    return "the decay";
  case OperandRole::LevelScales:
    return "the scales of the levels";
  case OperandRole::InitialState:
  case OperandRole::CuSeqlens:
    return "an operand that every entry function has";
  }
  llvm_unreachable("unknown operand role");
}

static std::string format(double value) {
  std::string text;
  llvm::raw_string_ostream(text) << llvm::format("%g", value);
  return text;
}

namespace {
class SpecValidator {
public:
  SpecValidator(const LayerSpec &spec, const llvm::SourceMgr &sources)
      : spec(spec), sources(sources) {}

  LogicalResult validate();

private:
  void validateStep(const StepSpec &step);
  void validateLevels();
  /// Every name of `product` is used in this role only, with one repeat.
  void validateNames(const SpecProduct &product, OperandRole role,
                     int64_t repeat);
  /// Neither a gradient nor a keyword argument of a call has this name. Without
  /// training too: a spec does not know whether it will be trained.
  void validateCallName(const SpecOperand &operand);
  void error(SMLoc loc, const Twine &message) {
    // An erase key that defaults to the write key stands at the same place.
    if (!errorLocs.insert(loc.getPointer()).second)
      return;
    ok = false;
    sources.PrintMessage(loc, llvm::SourceMgr::DK_Error, message, {}, {},
                         false);
  }

  const LayerSpec &spec;
  const llvm::SourceMgr &sources;
  llvm::StringMap<SpecOperand> uses;
  llvm::SmallPtrSet<const char *, 4> errorLocs;
  bool ok = true;
};
} // namespace

LogicalResult SpecValidator::validate() {
  if (spec.valueHeads % spec.keyHeads != 0)
    error(spec.loc,
          "value heads must be a multiple of key heads, so that every key head "
          "serves equally many: found " +
              Twine(spec.valueHeads) + " value heads and " +
              Twine(spec.keyHeads) + " key heads");
  uses["q"] = {"q", OperandRole::Key};
  uses["g"] = {"g", OperandRole::HeadDecay};
  if (spec.levels != LevelKind::None)
    validateLevels();
  for (StringRef reserved : {"o", "initial_state", "final_state", "cu_seqlens"})
    uses[reserved] = {reserved.str(), OperandRole::CuSeqlens};
  for (const StepSpec &step : spec.steps)
    validateStep(step);
  for (const SpecOperand &operand : getOperands(spec))
    validateCallName(operand);
  return success(ok);
}

void SpecValidator::validateLevels() {
  uses["level_scales"] = {"level_scales", OperandRole::LevelScales};
  constexpr int64_t most = limits::maxHeads;
  int64_t heads = spec.valueHeads * spec.getNumStates();
  if (heads > most)
    error(spec.levelsLoc, "expected at most " + Twine(most) +
                              " states, one for each level of a value head, "
                              "found " +
                              Twine(spec.getNumStates()) + " levels of " +
                              Twine(spec.valueHeads) + " heads");
  for (const StepSpec &step : spec.steps)
    if (step.readsBeforeDecay)
      error(step.loc,
            "reads: before_decay is not taken with levels: log, for the state "
            "before a token may be another level's; remove one of them");
}

void SpecValidator::validateStep(const StepSpec &step) {
  if (!step.value.isAbsent() && !step.written.isAbsent())
    error(step.loc, "a step has a value (y = rate * value) or a written row "
                    "(y = written), found both; remove one");
  if (step.erase.isAbsent() && step.value.isAbsent() && step.written.isAbsent())
    error(step.loc, "this step neither erases nor writes; give it a value, a "
                    "written row or an erase key");
  if (step.readsBeforeDecay && spec.decay == DecayKind::None)
    error(step.loc, "reads: before_decay needs a decay; found decay: none. "
                    "Remove `reads` or set decay to head or channel");
  if (step.readsBeforeDecay && step.erase.isAbsent())
    error(step.loc,
          "reads: before_decay needs an erase key, for only the erase "
          "term reads the state; found erase: none");
  if (step.maxRate && *step.maxRate <= 0)
    error(step.loc,
          "expected a max_rate above 0, found " + format(*step.maxRate));
  if (step.maxRate && step.erase.isAbsent())
    error(step.loc, "max_rate is of what a step erases, and this one erases "
                    "nothing; remove it");
  if (step.maxRate && step.rate.isAbsent() &&
      std::abs(step.constantRate) > *step.maxRate)
    error(step.loc,
          "expected a rate of at most max_rate: " + format(*step.maxRate) +
              ", found rate: " + format(step.constantRate));
  validateNames(step.write, OperandRole::Key, step.repeat);
  validateNames(step.erase, OperandRole::Key, step.repeat);
  validateNames(step.value, OperandRole::Value, step.repeat);
  validateNames(step.written, OperandRole::Value, step.repeat);
  validateNames(step.rate, OperandRole::Rate, step.repeat);
}

void SpecValidator::validateNames(const SpecProduct &product, OperandRole role,
                                  int64_t repeat) {
  for (const SpecName &name : product.factors) {
    auto [it, isNew] =
        uses.try_emplace(name.text, SpecOperand{name.text, role, repeat});
    const SpecOperand &first = it->second;
    if (first.role != role)
      error(name.loc, "'" + name.text + "' is used here as " + describe(role) +
                          ", but it is also " + describe(first.role) +
                          "; use another name");
    else if (first.repeat != repeat)
      error(name.loc, "'" + name.text + "' has " + Twine(repeat) +
                          " rows a token here (repeat), but " +
                          Twine(first.repeat) + " elsewhere; use another name");
  }
}

void SpecValidator::validateCallName(const SpecOperand &operand) {
  StringRef name = operand.name;
  if (name == "out" || name == "layer")
    error(operand.loc, "'" + name +
                           "' is an argument of its own where programs are "
                           "called from Python; use another name");
  StringRef of = name;
  if (of.consume_front("d_") && uses.contains(of))
    error(operand.loc, "'" + name + "' is the name of the gradient of '" + of +
                           "'; use another name");
}

LogicalResult mlir::wyvern::validateSpec(const LayerSpec &spec,
                                         const llvm::SourceMgr &sources) {
  return SpecValidator(spec, sources).validate();
}
