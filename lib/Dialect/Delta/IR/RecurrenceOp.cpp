//===- RecurrenceOp.cpp - delta.recurrence --------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/IR/Delta.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace mlir::wyvern::delta;

SmallVector<RecurrenceOp::Step> RecurrenceOp::getStepList() {
  SmallVector<Step> list;
  auto next = getStepOperands().begin();
  for (StepAttr attr : getSteps().getAsRange<StepAttr>()) {
    Step step;
    step.write = *next++;
    step.erase = attr.getHasErase() ? *next++ : Value();
    step.value = attr.getHasValue() ? *next++ : Value();
    step.written = attr.getHasWritten() ? *next++ : Value();
    step.rate = attr.getHasRate() ? *next++ : Value();
    step.constantRate = attr.getRate().getValueAsDouble();
    if (attr.getMaxRate())
      step.maxRate = attr.getMaxRate().getValueAsDouble();
    step.repeat = attr.getRepeat();
    step.beforeDecay = attr.getBeforeDecay();
    list.push_back(step);
  }
  return list;
}

StepAttr RecurrenceOp::Step::getAttr(MLIRContext *context) const {
  Builder builder(context);
  FloatAttr most;
  if (maxRate)
    most = builder.getF64FloatAttr(*maxRate);
  return StepAttr::get(context, !!erase, !!value, !!written, !!rate,
                       beforeDecay, repeat,
                       builder.getF64FloatAttr(constantRate), most);
}

//===----------------------------------------------------------------------===//
// Assembly
//===----------------------------------------------------------------------===//

using Unresolved = OpAsmParser::UnresolvedOperand;

/// `write %x (erase %e)? (value %v | written %y)? (rate (%b | float))?
///  (max_rate float)? (repeat n)? before_decay?`, after the opening
/// parenthesis.
static ParseResult parseStep(OpAsmParser &parser,
                             SmallVectorImpl<Unresolved> &operands,
                             StepAttr &attr) {
  Builder &builder = parser.getBuilder();
  if (parser.parseKeyword("write") ||
      parser.parseOperand(operands.emplace_back()))
    return failure();
  auto optionalOperand = [&](StringRef keyword, bool &present) -> ParseResult {
    present = succeeded(parser.parseOptionalKeyword(keyword));
    return present ? parser.parseOperand(operands.emplace_back()) : success();
  };
  bool hasErase = false, hasValue = false, hasWritten = false, hasRate = false;
  if (optionalOperand("erase", hasErase) ||
      optionalOperand("value", hasValue) ||
      optionalOperand("written", hasWritten))
    return failure();
  double rate = 1.0;
  if (succeeded(parser.parseOptionalKeyword("rate"))) {
    Unresolved operand;
    OptionalParseResult parsed = parser.parseOptionalOperand(operand);
    hasRate = parsed.has_value();
    if (hasRate ? failed(*parsed) : failed(parser.parseFloat(rate)))
      return failure();
    if (hasRate)
      operands.push_back(operand);
  }
  FloatAttr maxRate;
  if (succeeded(parser.parseOptionalKeyword("max_rate"))) {
    double most = 1.0;
    if (parser.parseFloat(most))
      return failure();
    maxRate = builder.getF64FloatAttr(most);
  }
  int64_t repeat = 1;
  if (succeeded(parser.parseOptionalKeyword("repeat")) &&
      parser.parseInteger(repeat))
    return failure();
  bool beforeDecay = succeeded(parser.parseOptionalKeyword("before_decay"));
  attr = StepAttr::get(builder.getContext(), hasErase, hasValue, hasWritten,
                       hasRate, beforeDecay, repeat,
                       builder.getF64FloatAttr(rate), maxRate);
  return success();
}

/// `keyword(%operand)`, if the keyword is there.
static ParseResult parseOptionalGroup(OpAsmParser &parser, StringRef keyword,
                                      SmallVectorImpl<Unresolved> &operands) {
  if (failed(parser.parseOptionalKeyword(keyword)))
    return success();
  return failure(parser.parseLParen() ||
                 parser.parseOperand(operands.emplace_back()) ||
                 parser.parseRParen());
}

ParseResult RecurrenceOp::parse(OpAsmParser &parser, OperationState &result) {
  Builder &builder = parser.getBuilder();
  SmallVector<Unresolved> query, decay, stepOperands, init, cu, levels,
      positions;
  SmallVector<Attribute> steps;
  if (parser.parseKeyword("query") || parser.parseLParen() ||
      parser.parseOperand(query.emplace_back()) || parser.parseRParen() ||
      parseOptionalGroup(parser, "decay", decay))
    return failure();
  while (succeeded(parser.parseOptionalKeyword("step"))) {
    StepAttr step;
    if (parser.parseLParen() || parseStep(parser, stepOperands, step) ||
        parser.parseRParen())
      return failure();
    steps.push_back(step);
  }
  double scale = 1.0;
  if (parseOptionalGroup(parser, "initial_state", init) ||
      parseOptionalGroup(parser, "cu_seqlens", cu) ||
      parseOptionalGroup(parser, "level_scales", levels) ||
      parseOptionalGroup(parser, "positions", positions) ||
      parser.parseKeyword("scale") || parser.parseFloat(scale) ||
      parser.parseOptionalAttrDict(result.attributes))
    return failure();

  SmallVector<Type> operandTypes;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseColonTypeList(operandTypes) ||
      parser.parseArrowTypeList(result.types))
    return failure();
  SmallVector<Unresolved> operands;
  for (auto *group :
       {&query, &decay, &stepOperands, &init, &cu, &levels, &positions})
    operands.append(*group);

  auto &properties = result.getOrAddProperties<RecurrenceOp::Properties>();
  properties.steps = builder.getArrayAttr(steps);
  properties.scale = builder.getF64FloatAttr(scale);
  properties.operandSegmentSizes = {1,
                                    static_cast<int32_t>(decay.size()),
                                    static_cast<int32_t>(stepOperands.size()),
                                    static_cast<int32_t>(init.size()),
                                    static_cast<int32_t>(cu.size()),
                                    static_cast<int32_t>(levels.size()),
                                    static_cast<int32_t>(positions.size())};
  return parser.resolveOperands(operands, operandTypes, loc, result.operands);
}

static void printStep(OpAsmPrinter &p, const RecurrenceOp::Step &step) {
  p << " step(write " << step.write;
  auto optional = [&](StringRef keyword, Value value) {
    if (value)
      p << ' ' << keyword << ' ' << value;
  };
  optional("erase", step.erase);
  optional("value", step.value);
  optional("written", step.written);
  optional("rate", step.rate);
  if (!step.rate && step.constantRate != 1.0)
    p << " rate " << step.constantRate;
  if (step.maxRate)
    p << " max_rate " << *step.maxRate;
  if (step.repeat != 1)
    p << " repeat " << step.repeat;
  if (step.beforeDecay)
    p << " before_decay";
  p << ')';
}

void RecurrenceOp::print(OpAsmPrinter &p) {
  p << " query(" << getQuery() << ')';
  auto optional = [&](StringRef keyword, Value value) {
    if (value)
      p << ' ' << keyword << '(' << value << ')';
  };
  optional("decay", getDecay());
  for (const Step &step : getStepList())
    printStep(p, step);
  optional("initial_state", getInitialState());
  optional("cu_seqlens", getCuSeqlens());
  optional("level_scales", getLevelScales());
  optional("positions", getPositions());
  p << " scale ";
  p.printAttributeWithoutType(getScaleAttr());
  p.printOptionalAttrDict((*this)->getAttrs(),
                          {"steps", "scale", "operandSegmentSizes"});
  p << " : " << getOperandTypes();
  p.printArrowTypeList(getResultTypes());
}

//===----------------------------------------------------------------------===//
// Verification: constraints (C1) ... of docs/spec.md
//===----------------------------------------------------------------------===//

namespace {
/// Checks the operands of one recurrence against the sizes of its query and
/// output.
class RecurrenceVerifier {
public:
  explicit RecurrenceVerifier(RecurrenceOp op) : op(op) {}

  LogicalResult verify() {
    if (failed(verifyQueryAndOutput()) || failed(verifyDecay()) ||
        failed(verifyStepCount()) || failed(verifyLevels()) ||
        failed(verifyStates()) || failed(verifyCuSeqlens()))
      return failure();
    for (auto [i, step] : llvm::enumerate(op.getStepList()))
      if (failed(verifyStep(i, step)))
        return failure();
    return success();
  }

private:
  LogicalResult verifyQueryAndOutput();
  LogicalResult verifyDecay();
  LogicalResult verifyStepCount();
  LogicalResult verifyStep(unsigned index, const RecurrenceOp::Step &step);
  /// The number of sequences, as far as types tell it.
  int64_t getNumSequences();
  LogicalResult verifyStates();
  LogicalResult verifyCuSeqlens();
  LogicalResult verifyPositions();
  LogicalResult verifyLevels();
  /// Batch and time agree with the query's, the head dimension divides HV, and
  /// the last dimension (if `last`) is as given.
  LogicalResult verifyRows(const Twine &what, Value value, int64_t repeat,
                           std::optional<int64_t> last);

  RecurrenceOp op;
  int64_t heads = 0;
};
} // namespace

static bool compatible(int64_t a, int64_t b) {
  return ShapedType::isDynamic(a) || ShapedType::isDynamic(b) || a == b;
}

LogicalResult RecurrenceVerifier::verifyQueryAndOutput() {
  auto query = op.getQuery().getType(), output = op.getOutput().getType();
  for (auto [what, type] : {std::pair("query", query), {"output", output}}) {
    if (type.getRank() != 4)
      return op.emitOpError()
             << "(C1) expected " << what
             << " of shape [batch, time, heads, channels], found " << type;
    for (int64_t size : type.getShape().drop_front(2))
      if (ShapedType::isDynamic(size) || size == 0)
        return op.emitOpError()
               << "(C2) expected static heads and channels of " << what
               << ", at least one of each, found " << type;
  }
  heads = output.getDimSize(2);
  if (!compatible(query.getDimSize(0), output.getDimSize(0)) ||
      !compatible(query.getDimSize(1), output.getDimSize(1)))
    return op.emitOpError() << "(C3) expected query and output of one batch "
                               "size and length, found "
                            << query << " and " << output;
  return verifyRows("query", op.getQuery(), 1, op.getKeyDim());
}

LogicalResult RecurrenceVerifier::verifyRows(const Twine &what, Value value,
                                             int64_t repeat,
                                             std::optional<int64_t> last) {
  auto type = cast<RankedTensorType>(value.getType());
  auto query = op.getQuery().getType();
  int64_t rank = last ? 4 : 3;
  int64_t time = query.getDimSize(1);
  int64_t rows = ShapedType::isDynamic(time) ? time : time * repeat;
  if (type.getRank() != rank ||
      !compatible(type.getDimSize(0), query.getDimSize(0)) ||
      !compatible(type.getDimSize(1), rows))
    return op.emitOpError()
           << "(C4) expected " << what << " of shape [batch, time"
           << (repeat == 1 ? "" : " * " + std::to_string(repeat)) << ", heads"
           << (last ? ", channels]" : "]") << " with the query's batch and time"
           << ", found " << type << " beside " << query;
  if (type.isDynamicDim(2) || type.getDimSize(2) == 0 ||
      heads % type.getDimSize(2) != 0)
    return op.emitOpError()
           << "(C5) expected the heads of " << what << " to divide the "
           << heads << " value heads of the output, found " << type;
  if (last && type.getDimSize(3) != *last)
    return op.emitOpError() << "(C6) expected " << what << " of " << *last
                            << " channels, found " << type;
  return success();
}

LogicalResult RecurrenceVerifier::verifyDecay() {
  if (!op.getDecay())
    return success();
  std::optional<int64_t> last;
  if (op.hasChannelDecay())
    last = op.getKeyDim();
  return verifyRows("decay", op.getDecay(), 1, last);
}

LogicalResult RecurrenceVerifier::verifyStepCount() {
  unsigned owned = 0;
  for (StepAttr step : op.getSteps().getAsRange<StepAttr>())
    owned += step.getNumOperands();
  if (owned != op.getStepOperands().size())
    return op.emitOpError() << "(C7) expected " << owned
                            << " step operands as listed in steps, found "
                            << op.getStepOperands().size();
  return success();
}

LogicalResult RecurrenceVerifier::verifyStep(unsigned index,
                                             const RecurrenceOp::Step &step) {
  std::string name = "step #" + std::to_string(index) + " ";
  if (step.repeat < 1)
    return op.emitOpError() << "(C8) expected " << name
                            << "to repeat at least once, found " << step.repeat;
  if (step.value && step.written)
    return op.emitOpError() << "(C9) " << name
                            << "has both a value (y = rate * value) and a "
                               "written row (y = written); give one";
  if (!step.erase && !step.value && !step.written)
    return op.emitOpError() << "(C10) " << name
                            << "neither erases nor writes; give an erase key, "
                               "a value or a written row";
  if (step.beforeDecay && !(step.erase && op.getDecay()))
    return op.emitOpError() << "(C11) " << name
                            << "reads before the decay, so it needs an erase "
                               "key and the recurrence a decay";
  if (step.maxRate && !(*step.maxRate > 0 && std::isfinite(*step.maxRate)))
    return op.emitOpError()
           << "(C15) expected a finite number above 0 that " << name
           << "has rates up to, found " << *step.maxRate;
  if (failed(verifyRows(name + "write key", step.write, step.repeat,
                        op.getKeyDim())))
    return failure();
  if (step.erase && failed(verifyRows(name + "erase key", step.erase,
                                      step.repeat, op.getKeyDim())))
    return failure();
  for (Value value : {step.value, step.written})
    if (value && failed(verifyRows(name + "value", value, step.repeat,
                                   op.getValueDim())))
      return failure();
  if (step.rate &&
      failed(verifyRows(name + "rate", step.rate, step.repeat, std::nullopt)))
    return failure();
  return success();
}

int64_t RecurrenceVerifier::getNumSequences() {
  int64_t batch = op.getQuery().getType().getDimSize(0);
  if (!op.getCuSeqlens())
    return batch;
  auto cu = cast<RankedTensorType>(op.getCuSeqlens().getType());
  if (cu.isDynamicDim(0)) // empty or not is known at run time
    return ShapedType::kDynamic;
  return cu.getDimSize(0) == 0 ? batch : cu.getDimSize(0) - 1;
}

LogicalResult RecurrenceVerifier::verifyStates() {
  int64_t states = heads * (op.getPositions() ? op.getNumLevels() : 1);
  SmallVector<int64_t> expected = {getNumSequences(), states, op.getKeyDim(),
                                   op.getValueDim()};
  auto check = [&](StringRef what, Type type) -> LogicalResult {
    auto tensor = cast<RankedTensorType>(type);
    if (tensor.getRank() != 4 ||
        tensor.getShape().drop_front() != ArrayRef(expected).drop_front())
      return op.emitOpError()
             << "(C12) expected " << what << " of shape [sequences, " << states
             << ", " << op.getKeyDim() << ", " << op.getValueDim()
             << "], found " << type;
    if (!compatible(tensor.getDimSize(0), expected[0]))
      return op.emitOpError() << "(C14) expected " << what << " for "
                              << expected[0] << " sequences, found " << type;
    return success();
  };
  if (op.getInitialState() &&
      failed(check("initial state", op.getInitialState().getType())))
    return failure();
  return check("final state", op.getFinalState().getType());
}

LogicalResult RecurrenceVerifier::verifyCuSeqlens() {
  if (!op.getCuSeqlens())
    return success();
  auto type = cast<RankedTensorType>(op.getCuSeqlens().getType());
  int64_t batch = op.getQuery().getType().getDimSize(0);
  bool packed = !type.isDynamicDim(0) && type.getDimSize(0) > 0;
  if (packed && !compatible(batch, 1))
    return op.emitOpError() << "(C13) packed sequences share batch row 0: "
                               "expected batch size 1, found "
                            << batch;
  return success();
}

LogicalResult RecurrenceVerifier::verifyPositions() {
  if (!op.getPositions())
    return success();
  RankedTensorType type = op.getPositions().getType();
  if (!op.getLevelScales() || type.getRank() != 1 ||
      !compatible(type.getDimSize(0), getNumSequences()))
    return op.emitOpError() << "(C19) expected positions beside level scales, "
                               "a number for each sequence, found "
                            << type;
  return success();
}

LogicalResult RecurrenceVerifier::verifyLevels() {
  if (failed(verifyPositions()))
    return failure();
  if (!op.getLevelScales())
    return success();
  RankedTensorType type = op.getLevelScales().getType();
  ArrayRef<int64_t> query = op.getQuery().getType().getShape();
  bool isPerToken = type.getRank() == 3 &&
                    compatible(type.getDimSize(0), query[0]) &&
                    compatible(type.getDimSize(1), query[1]);
  if (!isPerToken || type.isDynamicDim(2) || type.getDimSize(2) == 0 ||
      type.getDimSize(2) % heads != 0)
    return op.emitOpError()
           << "(C16) expected level scales of shape [batch, time, " << heads
           << " * levels] with the query's batch and time, found " << type;
  if (op.getInitialState() && !op.getPositions())
    return op.emitOpError()
           << "(C17) expected no initial state beside level scales without "
              "positions, for it is not known of which levels it is; found "
           << op.getInitialState().getType();
  for (auto [i, step] : llvm::enumerate(op.getStepList()))
    if (step.beforeDecay)
      return op.emitOpError()
             << "(C18) expected no step that reads before the decay beside "
                "level scales, found step #"
             << i << ": what it reads would be another level's";
  return success();
}

LogicalResult RecurrenceOp::verify() {
  return RecurrenceVerifier(*this).verify();
}
