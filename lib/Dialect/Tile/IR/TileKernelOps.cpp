//===- TileKernelOps.cpp - Constraints of kernels -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The numbers (C..) are those of docs/spec.md.
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Tile/IR/Tile.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

ParseResult KernelOp::parse(OpAsmParser &parser, OperationState &result) {
  Builder &builder = parser.getBuilder();
  auto &properties = result.getOrAddProperties<Properties>();
  SmallVector<OpAsmParser::Argument> args;
  int64_t factor, chunks = 1, cluster = 1, warps, minBlocks;
  StringRef count;
  ArrayAttr operands;
  if (parser.parseSymbolName(properties.sym_name) ||
      parser.parseArgumentList(args, OpAsmParser::Delimiter::Paren,
                               /*allowType=*/true) ||
      parser.parseKeyword("grid") || parser.parseInteger(factor) ||
      parser.parseStar() || parser.parseKeyword(&count) ||
      (succeeded(parser.parseOptionalKeyword("of")) &&
       parser.parseInteger(chunks)) ||
      (succeeded(parser.parseOptionalKeyword("cluster")) &&
       parser.parseInteger(cluster)) ||
      parser.parseKeyword("warps") || parser.parseInteger(warps) ||
      parser.parseKeyword("min_blocks") || parser.parseInteger(minBlocks) ||
      parser.parseKeyword("operands") || parser.parseAttribute(operands))
    return failure();
  if (succeeded(parser.parseOptionalKeyword("shared_bytes"))) {
    int64_t bytes;
    if (parser.parseInteger(bytes))
      return failure();
    properties.shared_bytes = builder.getI64IntegerAttr(bytes);
  }
  properties.grid_factor = builder.getI64IntegerAttr(factor);
  properties.grid_count = builder.getStringAttr(count);
  properties.grid_chunks = builder.getI64IntegerAttr(chunks);
  properties.cluster = builder.getI64IntegerAttr(cluster);
  properties.warps = builder.getI64IntegerAttr(warps);
  properties.min_blocks = builder.getI64IntegerAttr(minBlocks);
  properties.operands = operands;
  Region *body = result.addRegion();
  if (parser.parseRegion(*body, args) ||
      parser.parseOptionalAttrDict(result.attributes))
    return failure();
  if (body->empty())
    body->emplaceBlock();
  return success();
}

void KernelOp::print(OpAsmPrinter &p) {
  p << ' ';
  p.printSymbolName(getSymName());
  p << '(';
  llvm::interleaveComma(getBody().getArguments(), p,
                        [&](BlockArgument arg) { p.printRegionArgument(arg); });
  p << ") grid " << getGridFactor() << " * " << getGridCount();
  if (getGridChunks() != 1)
    p << " of " << getGridChunks();
  if (getCluster() != 1)
    p << " cluster " << getCluster();
  p << " warps " << getWarps() << " min_blocks " << getMinBlocks()
    << " operands " << getOperandsAttr();
  if (getSharedBytes())
    p << " shared_bytes " << *getSharedBytes();
  p << ' ';
  p.printRegion(getBody(), /*printEntryBlockArgs=*/false);
  p.printOptionalAttrDict((*this)->getAttrs(),
                          {"sym_name", "grid_factor", "grid_count",
                           "grid_chunks", "warps", "min_blocks", "operands",
                           "shared_bytes", "cluster"});
}

/// Checks that TMA can bring the boxes of the kernel's descriptors.
static LogicalResult verifyBoxes(KernelOp kernel, const TargetInfo &target) {
  for (Type type : kernel.getBody().getArgumentTypes()) {
    auto map = dyn_cast<TensorMapType>(type);
    if (!map)
      continue;
    int64_t dims = map.getBox().size(), rank = map.getTensor().getRank();
    bool fits = dims == rank && dims <= target.boxDims &&
                llvm::all_of(map.getBox(), [&](int64_t size) {
                  return size >= 1 && size <= target.boxSize;
                });
    if (!fits)
      return kernel.emitOpError()
             << "(C7) expected boxes of 1 to " << target.boxSize
             << " elements in each of a tensor's up to " << target.boxDims
             << " dimensions, found " << map;
  }
  return success();
}

LogicalResult KernelOp::verify() {
  TargetInfo target = getTarget(*this);
  if (getGridCount() != "sequences" && getGridCount() != "slots" &&
      getGridCount() != "segments")
    return emitOpError()
           << "(C1) expected a grid of sequences, slots or segments, found "
           << getGridCount();
  if (getOperandsAttr().size() != getBody().getNumArguments())
    return emitOpError() << "(C2) expected one operand name an argument, found "
                         << getOperandsAttr().size() << " for "
                         << getBody().getNumArguments();
  auto isWithin = [](int64_t value, int64_t most) {
    return 1 <= value && value <= most;
  };
  if (!isWithin(getWarps(), target.blockWarps))
    return emitOpError() << "(C3) expected 1 to " << target.blockWarps
                         << " warps, found "
                         << static_cast<int64_t>(getWarps());
  if (getGridChunks() < 1 || (getGridChunks() > 1 && getGridCount() != "slots"))
    return emitOpError() << "(C4) expected one or more chunks a slot, and one "
                            "in another grid, found "
                         << getGridChunks() << " for a grid of "
                         << getGridCount();
  if (!isWithin(getMinBlocks(), target.smBlocks))
    return emitOpError() << "(C5) expected 1 to " << target.smBlocks
                         << " blocks on an SM, found "
                         << static_cast<int64_t>(getMinBlocks());
  if (static_cast<int64_t>(getGridFactor()) < 1)
    return emitOpError() << "(C6) expected a grid of one or more blocks for "
                            "each of its "
                         << getGridCount() << ", found "
                         << static_cast<int64_t>(getGridFactor());
  if (!isWithin(getCluster(), target.clusterBlocks) ||
      getGridFactor() % getCluster() != 0)
    return emitOpError() << "(C8) expected clusters of 1 to "
                         << target.clusterBlocks
                         << " blocks that divide the grid's "
                         << static_cast<int64_t>(getGridFactor())
                         << " blocks for each of its " << getGridCount()
                         << ", found " << static_cast<int64_t>(getCluster());
  return verifyBoxes(*this, target);
}

LogicalResult SyncOp::verify() {
  auto kernel = (*this)->getParentOfType<KernelOp>();
  if (getCluster() && kernel && kernel.getCluster() == 1)
    return emitOpError() << "(C1) expected a kernel of clusters, found one "
                            "whose blocks are launched one by one";
  return success();
}
