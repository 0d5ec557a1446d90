//===- ChunkOpsAssembly.cpp - Text form of chunk_scan and chunk_map -------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Both ops are written as groups of bound operands, each of which also names
// its block argument:   ins(%Q = %q[seq, time, head, _] : tensor<...>, ...)
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/IR/Delta.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace mlir::wyvern::delta;

namespace {
/// What the parser has read of one chunk program.
struct ChunkProgramParser {
  OpAsmParser &parser;
  int64_t chunk = 0;
  int64_t heads = 0;
  Type compute = {};
  SmallVector<OpAsmParser::Argument> regionArgs = {};

  /// Operands of one group with their types and bindings.
  struct Group {
    SmallVector<OpAsmParser::UnresolvedOperand> operands;
    SmallVector<Type> types;
    SmallVector<Attribute> bindings;
  };

  /// `chunk = 64 heads = 16 compute = f32`
  ParseResult parseSizes();
  /// `[dims] : type`, checked against each other's rank.
  ParseResult parseBinding(RankedTensorType &type, BindingAttr &binding);
  /// `keyword(%arg = %operand[dims] : type, ...)`, if the keyword is there.
  ParseResult parseOptionalGroup(StringRef keyword, Group &group);
  /// `slots(%read, %write : type, first = 1, else zeros)`, if it is there, the
  /// last part too.
  ParseResult parseOptionalSlots(Group &group, int64_t &first, bool &elseZeros);
  /// `keyword(%vector : type)`, if it is there; with `first = 1` behind the
  /// type where that may be.
  ParseResult parseOptionalVector(StringRef keyword, Group &group,
                                  int64_t *first = nullptr);
  /// `outs([dims] : type, ...)`
  ParseResult parseOuts(Group &group);
  /// `valid(%n)` and the region, whose first argument is %n.
  ParseResult parseBody(OperationState &result);
};
} // namespace

ParseResult ChunkProgramParser::parseSizes() {
  return failure(parser.parseKeyword("chunk") || parser.parseEqual() ||
                 parser.parseInteger(chunk) || parser.parseKeyword("heads") ||
                 parser.parseEqual() || parser.parseInteger(heads) ||
                 parser.parseKeyword("compute") || parser.parseEqual() ||
                 parser.parseType(compute));
}

ParseResult ChunkProgramParser::parseBinding(RankedTensorType &type,
                                             BindingAttr &binding) {
  SMLoc loc = parser.getCurrentLocation();
  FailureOr<BindingAttr> dims = BindingAttr::parseDims(parser);
  if (failed(dims) || parser.parseColonType(type))
    return failure();
  binding = *dims;
  int64_t found = binding.getDims().size();
  if (found != type.getRank())
    return parser.emitError(loc)
           << "expected " << type.getRank() << " dimensions for " << type
           << ", found " << found;
  return success();
}

ParseResult ChunkProgramParser::parseOptionalGroup(StringRef keyword,
                                                   Group &group) {
  if (failed(parser.parseOptionalKeyword(keyword)))
    return success();
  return parser.parseCommaSeparatedList(
      AsmParser::Delimiter::Paren, [&]() -> ParseResult {
        RankedTensorType type;
        BindingAttr binding;
        OpAsmParser::Argument &arg = regionArgs.emplace_back();
        if (parser.parseArgument(arg) || parser.parseEqual() ||
            parser.parseOperand(group.operands.emplace_back()) ||
            parseBinding(type, binding))
          return failure();
        arg.type = binding.getTileType(type, chunk, compute);
        group.types.push_back(type);
        group.bindings.push_back(binding);
        return success();
      });
}

ParseResult ChunkProgramParser::parseOptionalSlots(Group &group, int64_t &first,
                                                   bool &elseZeros) {
  if (failed(parser.parseOptionalKeyword("slots")))
    return success();
  Type type;
  if (parser.parseLParen() ||
      parser.parseOperand(group.operands.emplace_back()) ||
      parser.parseComma() ||
      parser.parseOperand(group.operands.emplace_back()) ||
      parser.parseColonType(type) || parser.parseComma() ||
      parser.parseKeyword("first") || parser.parseEqual() ||
      parser.parseInteger(first))
    return failure();
  elseZeros = succeeded(parser.parseOptionalComma());
  if (elseZeros &&
      (parser.parseKeyword("else") || parser.parseKeyword("zeros")))
    return failure();
  if (parser.parseRParen())
    return failure();
  group.types.assign(2, type);
  return success();
}

ParseResult ChunkProgramParser::parseOptionalVector(StringRef keyword,
                                                    Group &group,
                                                    int64_t *first) {
  if (failed(parser.parseOptionalKeyword(keyword)))
    return success();
  if (parser.parseLParen() ||
      parser.parseOperand(group.operands.emplace_back()) ||
      parser.parseColonType(group.types.emplace_back()))
    return failure();
  if (first && succeeded(parser.parseOptionalComma()) &&
      (parser.parseKeyword("first") || parser.parseEqual() ||
       parser.parseInteger(*first)))
    return failure();
  return parser.parseRParen();
}

ParseResult ChunkProgramParser::parseOuts(Group &group) {
  if (parser.parseKeyword("outs"))
    return failure();
  return parser.parseCommaSeparatedList(AsmParser::Delimiter::Paren,
                                        [&]() -> ParseResult {
                                          RankedTensorType type;
                                          BindingAttr binding;
                                          if (parseBinding(type, binding))
                                            return failure();
                                          group.types.push_back(type);
                                          group.bindings.push_back(binding);
                                          return success();
                                        });
}

ParseResult ChunkProgramParser::parseBody(OperationState &result) {
  OpAsmParser::Argument valid;
  if (parser.parseKeyword("valid") || parser.parseLParen() ||
      parser.parseArgument(valid) || parser.parseRParen())
    return failure();
  valid.type = parser.getBuilder().getIndexType();
  regionArgs.insert(regionArgs.begin(), valid);
  return failure(parser.parseRegion(*result.addRegion(), regionArgs) ||
                 parser.parseOptionalAttrDict(result.attributes));
}

ParseResult ChunkScanOp::parse(OpAsmParser &parser, OperationState &result) {
  Builder &builder = parser.getBuilder();
  ChunkProgramParser program{parser};
  ChunkProgramParser::Group ins, carries, slots, keep, pool, seeds, cu, lengths,
      outs;
  int64_t firstSlot = 0;
  bool elseZeros = false;
  SMLoc loc = parser.getCurrentLocation();
  StringRef keyword;
  if (parser.parseKeyword(&keyword))
    return failure();
  std::optional<Direction> direction = symbolizeDirection(keyword);
  if (!direction)
    return parser.emitError(loc)
           << "expected forward or reverse, found '" << keyword << "'";
  if (program.parseSizes() || program.parseOptionalGroup("ins", ins) ||
      program.parseOptionalGroup("carry", carries) ||
      program.parseOptionalSlots(slots, firstSlot, elseZeros) ||
      program.parseOptionalVector("keep", keep, &firstSlot) ||
      program.parseOptionalVector("into", pool) ||
      program.parseOptionalVector("round", seeds) ||
      program.parseOptionalVector("cu_seqlens", cu) ||
      program.parseOptionalVector("lengths", lengths) ||
      program.parseOuts(outs) || program.parseBody(result))
    return failure();

  auto &properties = result.getOrAddProperties<Properties>();
  properties.direction = DirectionAttr::get(builder.getContext(), *direction);
  properties.chunk = builder.getI64IntegerAttr(program.chunk);
  properties.heads = builder.getI64IntegerAttr(program.heads);
  properties.compute = TypeAttr::get(program.compute);
  properties.in_bindings = builder.getArrayAttr(ins.bindings);
  properties.carry_bindings = builder.getArrayAttr(carries.bindings);
  properties.out_bindings = builder.getArrayAttr(outs.bindings);
  properties.first_slot = builder.getI64IntegerAttr(firstSlot);
  if (elseZeros)
    properties.else_zeros = builder.getUnitAttr();
  auto count = [](const ChunkProgramParser::Group &group) {
    return static_cast<int32_t>(group.types.size());
  };
  int32_t each = count(slots) / 2;
  properties.operandSegmentSizes = {count(ins),  count(carries), count(cu),
                                    each,        each,           count(lengths),
                                    count(keep), count(seeds),   count(pool)};
  properties.resultSegmentSizes = {count(outs), count(carries), count(pool)};
  result.addTypes(outs.types);
  result.addTypes(carries.types);
  result.addTypes(pool.types);
  return failure(
      parser.resolveOperands(ins.operands, ins.types, loc, result.operands) ||
      parser.resolveOperands(carries.operands, carries.types, loc,
                             result.operands) ||
      parser.resolveOperands(cu.operands, cu.types, loc, result.operands) ||
      parser.resolveOperands(slots.operands, slots.types, loc,
                             result.operands) ||
      parser.resolveOperands(lengths.operands, lengths.types, loc,
                             result.operands) ||
      parser.resolveOperands(keep.operands, keep.types, loc, result.operands) ||
      parser.resolveOperands(seeds.operands, seeds.types, loc,
                             result.operands) ||
      parser.resolveOperands(pool.operands, pool.types, loc, result.operands));
}

ParseResult ChunkMapOp::parse(OpAsmParser &parser, OperationState &result) {
  Builder &builder = parser.getBuilder();
  ChunkProgramParser program{parser};
  ChunkProgramParser::Group ins, cu, outs;
  SMLoc loc = parser.getCurrentLocation();
  if (program.parseSizes() || program.parseOptionalGroup("ins", ins) ||
      program.parseOptionalVector("cu_seqlens", cu) ||
      program.parseOuts(outs) || program.parseBody(result))
    return failure();

  auto &properties = result.getOrAddProperties<Properties>();
  properties.chunk = builder.getI64IntegerAttr(program.chunk);
  properties.heads = builder.getI64IntegerAttr(program.heads);
  properties.compute = TypeAttr::get(program.compute);
  properties.in_bindings = builder.getArrayAttr(ins.bindings);
  properties.out_bindings = builder.getArrayAttr(outs.bindings);
  properties.operandSegmentSizes = {static_cast<int32_t>(ins.types.size()),
                                    static_cast<int32_t>(cu.types.size())};
  result.addTypes(outs.types);
  return failure(
      parser.resolveOperands(ins.operands, ins.types, loc, result.operands) ||
      parser.resolveOperands(cu.operands, cu.types, loc, result.operands));
}

/// Prints ` keyword(%arg = %operand[dims] : type, ...)` if there are operands.
static void printGroup(OpAsmPrinter &p, StringRef keyword, ValueRange args,
                       ValueRange operands, ArrayAttr bindings) {
  if (operands.empty())
    return;
  p << ' ' << keyword << '(';
  llvm::interleaveComma(
      llvm::zip_equal(args, operands, bindings.getAsRange<BindingAttr>()), p,
      [&](auto entry) {
        auto [arg, operand, binding] = entry;
        p << arg << " = " << operand;
        binding.printDims(p.getStream());
        p << " : " << operand.getType();
      });
  p << ')';
}

/// Prints ` keyword(%vector : type)` if it is there.
static void printVector(OpAsmPrinter &p, StringRef keyword, Value vector) {
  if (vector)
    p << ' ' << keyword << '(' << vector << " : " << vector.getType() << ')';
}

template <typename OpT> static void printTail(OpAsmPrinter &p, OpT op) {
  p << " outs(";
  llvm::interleaveComma(
      llvm::zip_equal(op.getOuts(),
                      op.getOutBindings().template getAsRange<BindingAttr>()),
      p, [&](auto entry) {
        auto [out, binding] = entry;
        binding.printDims(p.getStream());
        p << " : " << out.getType();
      });
  p << ") valid(" << op.getValid() << ") ";
  p.printRegion(op.getBody(), /*printEntryBlockArgs=*/false);
  p.printOptionalAttrDict(op->getAttrs(),
                          {"direction", "chunk", "heads", "compute",
                           "in_bindings", "carry_bindings", "out_bindings",
                           "first_slot", "else_zeros", "operandSegmentSizes",
                           "resultSegmentSizes"});
}

template <typename OpT> static void printSizes(OpAsmPrinter &p, OpT op) {
  p << " chunk = " << op.getChunk() << " heads = " << op.getHeads()
    << " compute = " << op.getCompute();
}

void ChunkScanOp::print(OpAsmPrinter &p) {
  p << ' ' << stringifyDirection(getDirection());
  printSizes(p, *this);
  ValueRange args = getBlock().getArguments();
  printGroup(p, "ins", args.slice(1, getIns().size()), getIns(),
             getInBindings());
  printGroup(p, "carry", args.drop_front(1 + getIns().size()), getInits(),
             getCarryBindings());
  if (hasSlots())
    p << " slots(" << getReadSlots() << ", " << getWriteSlots() << " : "
      << getReadSlots().getType() << ", first = " << getFirstSlot()
      << (getElseZeros() ? ", else zeros)" : ")");
  if (Value keep = getKeepSlots()) {
    p << " keep(" << keep << " : " << keep.getType();
    if (!hasSlots())
      p << ", first = " << getFirstSlot();
    p << ')';
  }
  printVector(p, "into", getPool());
  printVector(p, "round", getSeeds());
  printVector(p, "cu_seqlens", getCuSeqlens());
  printVector(p, "lengths", getLengths());
  printTail(p, *this);
}

void ChunkMapOp::print(OpAsmPrinter &p) {
  printSizes(p, *this);
  printGroup(p, "ins", getBlock().getArguments().drop_front(1), getIns(),
             getInBindings());
  printVector(p, "cu_seqlens", getCuSeqlens());
  printTail(p, *this);
}
