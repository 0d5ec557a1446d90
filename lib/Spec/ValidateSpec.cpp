//===- ValidateSpec.cpp - What no single key of a spec can tell -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SpecLimits.h"

#include "wyvern/Spec/SpecReader.h"

#include "llvm/ADT/DenseSet.h"
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
  case OperandRole::RawHead:
    return "a number a head of an expression (inputs: head)";
  case OperandRole::RawChannel:
    return "a row of channels of a decay (inputs: channel)";
  case OperandRole::HeadParameter:
    return "a parameter of a number a head (parameters: head)";
  case OperandRole::KeyParameter:
    return "a parameter of the channels of a key (parameters: key)";
  case OperandRole::ValueParameter:
    return "a parameter of the channels of a value (parameters: value)";
  case OperandRole::ChannelParameter:
    return "a parameter of the channels of a decay (parameters: channel)";
  case OperandRole::Angle:
    return "a row of angles (dims.key / 2 numbers a head)";
  case OperandRole::AngleParameter:
    return "a parameter of angles (parameters: angle)";
  case OperandRole::LevelScales:
    return "the scales of the levels";
  case OperandRole::InitialState:
  case OperandRole::CuSeqlens:
  case OperandRole::Positions:
  case OperandRole::InitialAngles:
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
  /// What is computed is read, and what is declared is an argument.
  void validateDefinitions();
  /// The arguments and shapes of `definition`, which is `made` where the
  /// recurrence reads it.
  void validateDefinition(const Definition &definition,
                          const SpecOperand &made);
  void addUse(const SpecOperand &use);
  /// Notes which definitions `value` reads, for a number a head or a row.
  void markRead(const Expression &value, bool isOfHead);
  void validateUnread();
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
  /// By number, and whether a number a head is made of it.
  llvm::DenseSet<std::pair<int, int>> readDefinitions;
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
  validateDefinitions();
  if (!spec.findDefinition("q"))
    uses["q"] = {"q", OperandRole::Key};
  if (!spec.findDefinition("g"))
    uses["g"] = {"g", OperandRole::HeadDecay};
  if (spec.levels != LevelKind::None)
    validateLevels();
  for (StringRef reserved : {"o", "initial_state", "final_state", "cu_seqlens"})
    uses[reserved] = {reserved.str(), OperandRole::CuSeqlens};
  if (spec.resumes)
    uses["positions"] = {"positions", OperandRole::Positions};
  for (const StepSpec &step : spec.steps)
    validateStep(step);
  validateUnread();
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
    SpecOperand use{name.text, role, repeat, name.loc};
    if (const Definition *definition = spec.findDefinition(name.text))
      validateDefinition(*definition, use);
    else
      addUse(use);
  }
}

void SpecValidator::addUse(const SpecOperand &use) {
  auto [it, isNew] = uses.try_emplace(use.name, use);
  const SpecOperand &first = it->second;
  auto isEither = [&](OperandRole role) {
    return first.role == role || use.role == role;
  };
  bool isDecayedKey =
      isEither(OperandRole::Key) && isEither(OperandRole::RawChannel);
  if (first.role != use.role)
    error(use.loc,
          "'" + use.name + "' is used here as " + describe(use.role) +
              ", but it is also " + describe(first.role) +
              (isDecayedKey ? "; declare it, `inputs: {" + use.name +
                                  ": channel}`, for keys may read that too, "
                                  "or use another name"
                            : "; use another name"));
  else if (first.repeat != use.repeat)
    error(use.loc, "'" + use.name + "' has " + Twine(use.repeat) +
                       " rows a token here (repeat), but " +
                       Twine(first.repeat) + " elsewhere; use another name");
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

//===----------------------------------------------------------------------===//
// What is computed
//===----------------------------------------------------------------------===//

void SpecValidator::validateDefinitions() {
  SpecOperand query{"q", OperandRole::Query, 1, spec.loc};
  if (const Definition *definition = spec.findDefinition("q"))
    validateDefinition(*definition, query);
  SpecOperand decay{"g",
                    spec.decay == DecayKind::Channel ? OperandRole::ChannelDecay
                                                     : OperandRole::HeadDecay,
                    1, spec.loc};
  const Definition *gate = spec.findDefinition("g");
  if (gate && spec.decay == DecayKind::None)
    error(gate->loc, "g is the decay, and this layer has none; add `decay: "
                     "head` or `decay: channel`, or use another name");
  else if (gate)
    validateDefinition(*gate, decay);
}

/// True for what every token has of its own.
static bool isOfTokens(OperandRole role) {
  return llvm::is_contained({OperandRole::Key, OperandRole::Value,
                             OperandRole::RawHead, OperandRole::RawChannel,
                             OperandRole::Angle},
                            role);
}

void SpecValidator::markRead(const Expression &value, bool isOfHead) {
  bool isOfRow = value.kind == Expression::Call &&
                 (value.text == "normalize" || value.text == "rotate");
  if (isOfRow && isOfHead)
    error(value.loc, value.text + " is of a row of channels, and this is a "
                                  "number a head");
  if (isOfRow && value.text == "rotate" && spec.keyDim % 2 != 0)
    error(value.loc, "rotate turns pairs of channels, of which there are " +
                         Twine(spec.keyDim) + "; make dims.key even");
  if (value.kind == Expression::Name && value.definition >= 0 &&
      readDefinitions.insert({value.definition, int(isOfHead)}).second)
    markRead(spec.definitions[value.definition].value, isOfHead);
  for (const Expression &operand : value.operands)
    markRead(operand, isOfHead);
}

void SpecValidator::validateDefinition(const Definition &definition,
                                       const SpecOperand &made) {
  RowKind kind = getRowKind(made.role);
  int number = &definition - spec.definitions.data();
  readDefinitions.insert({number, int(kind == RowKind::Head)});
  markRead(definition.value, kind == RowKind::Head);
  bool hasTokens = false;
  auto read = [&](const Expression &name, RowKind kind) {
    SpecOperand argument = getArgument(spec, name, kind, made.repeat);
    RowKind of = getRowKind(argument.role);
    hasTokens |= isOfTokens(argument.role);
    auto isKey = [](RowKind kind) {
      return kind == RowKind::Key || kind == RowKind::Channel;
    };
    if (name.definition >= 0 && made.repeat > 1)
      return error(name.loc, "'" + name.text +
                                 "' is a running sum, which has one row a "
                                 "token, but '" +
                                 definition.name + "' has " +
                                 Twine(made.repeat) +
                                 " (repeat); rotate it by an argument, which "
                                 "has as many rows, and sum its angles in "
                                 "front of the layer");
    bool fits = of == RowKind::Head || of == kind || (isKey(of) && isKey(kind));
    if (!fits)
      return error(name.loc, "'" + name.text + "' is " +
                                 describe(argument.role) +
                                 ", which does not fit where it is read in '" +
                                 definition.name + "', " + describe(made.role));
    addUse(name.definition < 0 ? argument : getSummed(spec, name.definition));
  };
  forEachName(spec, definition.value, kind, read);
  if (!hasTokens)
    error(definition.loc, "'" + definition.name +
                              "' has nothing of a token in it; it is read as " +
                              describe(made.role) +
                              ". Read an argument that each token has, or "
                              "leave it out of compute, and let calls bring "
                              "it: a tensor that is expanded over tokens will "
                              "do");
}

/// Whoever declares or computes what nobody reads has misspelled a name.
void SpecValidator::validateUnread() {
  for (auto [i, definition] : llvm::enumerate(spec.definitions)) {
    int number = static_cast<int>(i);
    if (!readDefinitions.contains({number, 0}) &&
        !readDefinitions.contains({number, 1}))
      error(definition.loc, "nothing reads '" + definition.name +
                                "'; remove it, or name it in a step");
    if (llvm::is_contained({"o", "initial_state", "final_state", "cu_seqlens",
                            "level_scales", "positions"},
                           definition.name))
      error(definition.loc, "'" + definition.name +
                                "' is an operand that is not computed; use "
                                "another name");
  }
  for (const DeclaredName &name : spec.declared)
    if (!uses.contains(name.name))
      error(name.loc,
            "nothing in compute reads '" + name.name + "'; remove it");
}

LogicalResult mlir::wyvern::validateSpec(const LayerSpec &spec,
                                         const llvm::SourceMgr &sources) {
  return SpecValidator(spec, sources).validate();
}
