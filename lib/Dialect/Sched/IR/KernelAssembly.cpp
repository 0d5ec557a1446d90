//===- KernelAssembly.cpp - Text form of kernels and their loops --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A kernel's operands and results are written in groups that also name the
// region's arguments:   ins(%q = %0[seq, time, head, _] : tensor<...>, ...)
//                       outs(%o = [seq, time, head, _] : tensor<...>, ...)
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Sched/IR/Sched.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::sched;
using delta::BindingAttr;

namespace {
/// One group of bound operands or results.
struct Group {
  SmallVector<OpAsmParser::Argument> args = {};
  SmallVector<OpAsmParser::UnresolvedOperand> operands = {};
  SmallVector<Type> types = {};
  SmallVector<Attribute> bindings = {};
};
} // namespace

/// `%arg = %operand[dims] : type`, or `%arg = [dims] : type` for a result.
static ParseResult parseBound(OpAsmParser &parser, Group &group,
                              bool isOperand) {
  RankedTensorType type;
  if (parser.parseArgument(group.args.emplace_back()) || parser.parseEqual() ||
      (isOperand && parser.parseOperand(group.operands.emplace_back())))
    return failure();
  SMLoc loc = parser.getCurrentLocation();
  FailureOr<BindingAttr> binding = BindingAttr::parseDims(parser);
  if (failed(binding) || parser.parseColonType(type))
    return failure();
  if (static_cast<int64_t>(binding->getDims().size()) != type.getRank())
    return parser.emitError(loc)
           << "expected " << type.getRank() << " dimensions for " << type
           << ", found " << binding->getDims().size();
  group.args.back().type = GlobalType::get(parser.getContext(), type);
  group.types.push_back(type);
  group.bindings.push_back(*binding);
  return success();
}

static ParseResult parseOptionalGroup(OpAsmParser &parser, StringRef keyword,
                                      Group &group, bool isOperand) {
  if (failed(parser.parseOptionalKeyword(keyword)))
    return success();
  return parser.parseCommaSeparatedList(AsmParser::Delimiter::Paren, [&] {
    return parseBound(parser, group, isOperand);
  });
}

/// `keyword(%vector, ... : type)`, if it is there: `count` vectors of a type.
static ParseResult parseOptionalVectors(OpAsmParser &parser, StringRef keyword,
                                        unsigned count, Group &group,
                                        function_ref<ParseResult()> parseTail) {
  if (failed(parser.parseOptionalKeyword(keyword)))
    return success();
  Type type;
  if (parser.parseLParen())
    return failure();
  for (unsigned i = 0; i < count; ++i)
    if ((i > 0 && parser.parseComma()) ||
        parser.parseOperand(group.operands.emplace_back()))
      return failure();
  if (parser.parseColonType(type) || parseTail() || parser.parseRParen())
    return failure();
  group.types.assign(count, type);
  return success();
}

/// `keyword = value`
static ParseResult parseNumber(OpAsmParser &parser, StringRef keyword,
                               IntegerAttr &value) {
  int64_t number = 0;
  if (parser.parseKeyword(keyword) || parser.parseEqual() ||
      parser.parseInteger(number))
    return failure();
  value = parser.getBuilder().getI64IntegerAttr(number);
  return success();
}

/// `grid(heads = 16, split = 2, over = sequences)`, or `over = slots of 1`;
/// `split = 2 cluster` where the parts' blocks are one, `heads = 16 in pairs`
/// where those of two heads are.
static ParseResult parseGrid(OpAsmParser &parser,
                             KernelOp::Properties &properties) {
  StringRef over;
  SMLoc loc;
  int64_t run = 1;
  if (parser.parseKeyword("grid") || parser.parseLParen() ||
      parseNumber(parser, "heads", properties.heads))
    return failure();
  if (succeeded(parser.parseOptionalKeyword("in"))) {
    if (parser.parseKeyword("pairs"))
      return failure();
    properties.pairs = parser.getBuilder().getUnitAttr();
  }
  if (parser.parseComma() || parseNumber(parser, "split", properties.split))
    return failure();
  if (succeeded(parser.parseOptionalKeyword("cluster")))
    properties.cluster = parser.getBuilder().getUnitAttr();
  if (parser.parseComma() || parser.parseKeyword("over") ||
      parser.parseEqual() || parser.getCurrentLocation(&loc) ||
      parser.parseKeyword(&over))
    return failure();
  std::optional<GridOver> kind = symbolizeGridOver(over);
  if (!kind)
    return parser.emitError(loc)
           << "expected sequences or slots, found '" << over << "'";
  if (*kind == GridOver::slots &&
      (parser.parseKeyword("of") || parser.parseInteger(run)))
    return failure();
  properties.over = GridOverAttr::get(parser.getContext(), *kind);
  properties.run = parser.getBuilder().getI64IntegerAttr(run);
  return parser.parseRParen();
}

ParseResult KernelOp::parse(OpAsmParser &parser, OperationState &result) {
  auto &properties = result.getOrAddProperties<Properties>();
  Type compute;
  int64_t blocks = 1;
  if (parser.parseAttribute(properties.kernel_name) ||
      parseGrid(parser, properties) ||
      parseNumber(parser, "chunk", properties.chunk) ||
      parser.parseKeyword("compute") || parser.parseEqual() ||
      parser.parseType(compute) || parser.parseKeyword("min_blocks") ||
      parser.parseInteger(blocks))
    return failure();
  Builder &builder = parser.getBuilder();
  properties.compute = TypeAttr::get(compute);
  properties.min_blocks = builder.getI64IntegerAttr(blocks);
  if (succeeded(parser.parseOptionalKeyword("overlaps")))
    properties.overlaps = builder.getUnitAttr();

  properties.first_slot = builder.getI64IntegerAttr(0);

  Group ins, inits, outs, finals, slots, keep, seeds, cu, lengths;
  auto none = [] { return success(); };
  auto parseFirst = [&]() -> ParseResult {
    if (parser.parseComma() ||
        parseNumber(parser, "first", properties.first_slot))
      return failure();
    if (failed(parser.parseOptionalComma()))
      return success();
    properties.else_zeros = builder.getUnitAttr();
    return failure(parser.parseKeyword("else") || parser.parseKeyword("zeros"));
  };
  auto parseKeepFirst = [&]() -> ParseResult {
    return failure(succeeded(parser.parseOptionalComma()) &&
                   failed(parseNumber(parser, "first", properties.first_slot)));
  };
  SMLoc loc = parser.getCurrentLocation();
  if (parseOptionalGroup(parser, "ins", ins, /*isOperand=*/true) ||
      parseOptionalGroup(parser, "inits", inits, /*isOperand=*/true))
    return failure();
  if (parseOptionalVectors(parser, "slots", 2, slots, parseFirst) ||
      parseOptionalVectors(parser, "keep", 1, keep, parseKeepFirst) ||
      parseOptionalVectors(parser, "round", 1, seeds, none) ||
      parseOptionalVectors(parser, "cu_seqlens", 1, cu, none) ||
      parseOptionalVectors(parser, "lengths", 1, lengths, none))
    return failure();
  if (parseOptionalGroup(parser, "outs", outs, /*isOperand=*/false) ||
      parseOptionalGroup(parser, "finals", finals, /*isOperand=*/false))
    return failure();

  SmallVector<OpAsmParser::Argument> args;
  for (Group *group : {&ins, &outs, &inits, &finals})
    args.append(group->args);
  if (parser.parseRegion(*result.addRegion(), args) ||
      parser.parseOptionalAttrDict(result.attributes))
    return failure();
  properties.in_bindings = builder.getArrayAttr(ins.bindings);
  properties.init_bindings = builder.getArrayAttr(inits.bindings);
  properties.out_bindings = builder.getArrayAttr(outs.bindings);
  auto count = [](const Group &group) {
    return static_cast<int32_t>(group.types.size());
  };
  int32_t each = count(slots) / 2;
  properties.operandSegmentSizes = {count(ins),  count(inits), count(cu),
                                    each,        each,         count(lengths),
                                    count(keep), count(seeds)};
  properties.resultSegmentSizes = {static_cast<int32_t>(outs.types.size()),
                                   static_cast<int32_t>(finals.types.size())};
  result.addTypes(outs.types);
  result.addTypes(finals.types);
  return failure(
      parser.resolveOperands(ins.operands, ins.types, loc, result.operands) ||
      parser.resolveOperands(inits.operands, inits.types, loc,
                             result.operands) ||
      parser.resolveOperands(cu.operands, cu.types, loc, result.operands) ||
      parser.resolveOperands(slots.operands, slots.types, loc,
                             result.operands) ||
      parser.resolveOperands(lengths.operands, lengths.types, loc,
                             result.operands) ||
      parser.resolveOperands(keep.operands, keep.types, loc, result.operands) ||
      parser.resolveOperands(seeds.operands, seeds.types, loc,
                             result.operands));
}

/// Prints ` keyword(%arg = %operand[dims] : type, ...)` if there are any;
/// results have no operand.
static void printGroup(OpAsmPrinter &p, KernelOp kernel, StringRef keyword,
                       Block::BlockArgListType args, ValueRange operands) {
  if (args.empty())
    return;
  p << ' ' << keyword << '(';
  llvm::interleaveComma(llvm::enumerate(args), p, [&](auto entry) {
    BlockArgument arg = entry.value();
    p << arg << " = ";
    if (!operands.empty())
      p << operands[entry.index()];
    kernel.getBinding(arg).printDims(p.getStream());
    p << " : " << cast<GlobalType>(arg.getType()).getTensor();
  });
  p << ')';
}

void KernelOp::print(OpAsmPrinter &p) {
  p << ' ' << getKernelNameAttr() << " grid(heads = " << getHeads()
    << (getPairs() ? " in pairs" : "") << ", split = " << getSplit()
    << (getCluster() ? " cluster" : "")
    << ", over = " << stringifyGridOver(getOver());
  if (getOver() == GridOver::slots)
    p << " of " << getRun();
  p << ") chunk = " << getChunk() << " compute = " << getCompute()
    << " min_blocks " << getMinBlocks() << (getOverlaps() ? " overlaps" : "");
  printGroup(p, *this, "ins", getInArgs(), getIns());
  printGroup(p, *this, "inits", getInitArgs(), getInits());
  if (Value read = getReadSlots())
    p << " slots(" << read << ", " << getWriteSlots() << " : " << read.getType()
      << ", first = " << getFirstSlot()
      << (getElseZeros() ? ", else zeros)" : ")");
  if (Value keep = getKeepSlots()) {
    p << " keep(" << keep << " : " << keep.getType();
    if (keepsIntoPool())
      p << ", first = " << getFirstSlot();
    p << ')';
  }
  if (Value seeds = getSeeds())
    p << " round(" << seeds << " : " << seeds.getType() << ')';
  if (Value cu = getCuSeqlens())
    p << " cu_seqlens(" << cu << " : " << cu.getType() << ')';
  if (Value lengths = getLengths())
    p << " lengths(" << lengths << " : " << lengths.getType() << ')';
  printGroup(p, *this, "outs", getOutArgs(), {});
  printGroup(p, *this, "finals", getFinalArgs(), {});
  p << ' ';
  p.printRegion(getBody(), /*printEntryBlockArgs=*/false);
  p.printOptionalAttrDict((*this)->getAttrs(),
                          {"kernel_name", "heads", "split", "over", "run",
                           "chunk", "compute", "min_blocks", "in_bindings",
                           "init_bindings", "out_bindings", "first_slot",
                           "else_zeros", "cluster", "pairs", "overlaps",
                           "operandSegmentSizes", "resultSegmentSizes"});
}

void KernelOp::getAsmBlockArgumentNames(Region &region,
                                        OpAsmSetValueNameFn setName) {
  auto name = [&](Block::BlockArgListType args, StringRef prefix) {
    for (BlockArgument arg : args)
      setName(arg, prefix);
  };
  name(getInArgs(), "in");
  name(getOutArgs(), "out");
  name(getInitArgs(), "init");
  name(getFinalArgs(), "final");
}

//===----------------------------------------------------------------------===//
// sched.each_chunk
//===----------------------------------------------------------------------===//

ParseResult EachChunkOp::parse(OpAsmParser &parser, OperationState &result) {
  StringRef keyword;
  SMLoc loc = parser.getCurrentLocation();
  SmallVector<OpAsmParser::Argument> args(1);
  if (parser.parseKeyword(&keyword))
    return failure();
  bool overlap = succeeded(parser.parseOptionalKeyword("overlap"));
  if (parser.parseKeyword("valid") || parser.parseLParen() ||
      parser.parseArgument(args.front()) || parser.parseRParen())
    return failure();
  std::optional<delta::Direction> direction =
      delta::symbolizeDirection(keyword);
  if (!direction)
    return parser.emitError(loc)
           << "expected forward or reverse, found '" << keyword << "'";
  args.front().type = parser.getBuilder().getIndexType();
  SmallVector<OpAsmParser::UnresolvedOperand> inits;
  auto parseCarry = [&]() -> ParseResult {
    OpAsmParser::Argument &arg = args.emplace_back();
    return failure(parser.parseArgument(arg) || parser.parseEqual() ||
                   parser.parseOperand(inits.emplace_back()) ||
                   parser.parseColonType(arg.type));
  };
  if (succeeded(parser.parseOptionalKeyword("carries")) &&
      parser.parseCommaSeparatedList(AsmParser::Delimiter::Paren, parseCarry))
    return failure();
  Region *body = result.addRegion();
  if (parser.parseRegion(*body, args) ||
      parser.parseOptionalAttrDict(result.attributes))
    return failure();
  ensureTerminator(*body, parser.getBuilder(), result.location);
  result.getOrAddProperties<Properties>().direction =
      delta::DirectionAttr::get(parser.getContext(), *direction);
  if (overlap)
    result.getOrAddProperties<Properties>().overlap =
        parser.getBuilder().getUnitAttr();
  for (OpAsmParser::Argument &arg : llvm::drop_begin(args))
    result.addTypes(arg.type);
  return parser.resolveOperands(inits, result.types, loc, result.operands);
}

void EachChunkOp::print(OpAsmPrinter &p) {
  p << ' ' << delta::stringifyDirection(getDirection());
  if (getOverlap())
    p << " overlap";
  p << " valid(" << getValid() << ')';
  if (!getInits().empty()) {
    p << " carries(";
    llvm::interleaveComma(llvm::zip_equal(getCarryArgs(), getInits()), p,
                          [&](auto entry) {
                            auto [arg, init] = entry;
                            p << arg << " = " << init << " : " << arg.getType();
                          });
    p << ')';
  }
  p << ' ';
  p.printRegion(getBody(), /*printEntryBlockArgs=*/false);
  p.printOptionalAttrDict((*this)->getAttrs(), {"direction", "overlap"});
}
