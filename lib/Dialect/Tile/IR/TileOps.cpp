//===- TileOps.cpp - Constraints of the tile operations -----------------===//
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
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

//===----------------------------------------------------------------------===//
// tile.kernel
//===----------------------------------------------------------------------===//

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

//===----------------------------------------------------------------------===//
// Rings
//===----------------------------------------------------------------------===//

template <typename OpT> static LogicalResult verifyStage(OpT op) {
  ArrayRef<Type> tiles = op.getRing().getType().getTiles();
  if (!llvm::equal(tiles, op.getTiles().getTypes()))
    return op.emitOpError()
           << "(C1) expected the tiles of " << op.getRing().getType()
           << ", found " << op.getTiles().getTypes();
  return success();
}

/// True for a view of equally many rows, in all columns, of a 16-bit matrix.
static bool isViewOfRows(SmemType tile, SmemType view) {
  if (!tile.isSwizzled() || tile.getElementType() != view.getElementType())
    return false;
  int64_t rows = view.getShape()[0];
  return rows < tile.getShape()[0] && tile.getShape()[0] % rows == 0 &&
         view.getShape()[1] == tile.getShape()[1] &&
         view.getWholeRows() == tile.getBlockRows();
}

LogicalResult SubviewOp::verify() {
  SmemType tile = getTile().getType(), view = getView().getType();
  if (isViewOfRows(tile, view))
    return success();
  // What lies in one piece: blocks of 64 columns of a 16-bit matrix, else rows.
  size_t dim = tile.isSwizzled() ? 1 : 0;
  bool matches = tile.getElementType() == view.getElementType() &&
                 tile.getShape().size() == view.getShape().size() &&
                 tile.getWholeRows() == view.getWholeRows();
  for (size_t i = 0; matches && i < tile.getShape().size(); ++i) {
    int64_t whole = tile.getShape()[i], piece = view.getShape()[i];
    matches = i == dim ? whole % piece == 0 : whole == piece;
  }
  if (!matches ||
      (tile.isSwizzled() && view.getShape()[1] % kBlockColumns != 0))
    return emitOpError() << "(C1) expected one of several equal pieces of a "
                            "tile: blocks of "
                         << kBlockColumns
                         << " columns of a 16-bit matrix, or rows of it, which "
                            "say of how many, else rows; found "
                         << view << " of " << tile;
  return success();
}

/// True if the rings and barriers of `op` are those of a cluster of `blocks`.
static bool isInCluster(Operation *op, int64_t blocks) {
  auto kernel = op->getParentOfType<KernelOp>();
  return !kernel || static_cast<int64_t>(kernel.getCluster()) == blocks;
}

LogicalResult SyncOp::verify() {
  auto kernel = (*this)->getParentOfType<KernelOp>();
  if (getCluster() && kernel && kernel.getCluster() == 1)
    return emitOpError() << "(C1) expected a kernel of clusters, found one "
                            "whose blocks are launched one by one";
  return success();
}

LogicalResult SendOp::verify() {
  auto ring = getRing().getDefiningOp<AllocRingOp>();
  if (ring && ring.getAcross() == 1)
    return emitOpError() << "(C1) expected a ring across blocks, found one "
                            "whose stages are this block's alone";
  SmemType piece = getPiece().getType();
  bool isVector = piece.getShape().size() == 1 && piece.getShape()[0] % 4 == 0;
  bool isBlock = piece.isSwizzled() && piece.getShape()[1] == kBlockColumns;
  if (!isVector && !isBlock)
    return emitOpError() << "(C2) expected a piece of " << kBlockColumns
                         << " columns of 16 bits, or a vector of a multiple of "
                            "4, which lie side by side, found "
                         << piece;
  return success();
}

/// Checks that `tile` has the place for half of the columns of `value`, which
/// each thread of a warpgroup has in pieces of 16 bytes.
static LogicalResult verifyColumns(Operation *op, Value value, SmemType tile) {
  constexpr int64_t kHalves = 2, kPieceColumns = 16;
  auto type = cast<RankedTensorType>(value.getType());
  auto layout = dyn_cast_or_null<LayoutAttr>(type.getEncoding());
  bool isHalf = tile.getShape().size() == 2 &&
                tile.getElementType() == type.getElementType() &&
                tile.getShape()[0] == type.getDimSize(0) &&
                tile.getShape()[1] * kHalves == type.getDimSize(1);
  if (layout && tile::isHalf(type.getElementType()) && isHalf &&
      type.getDimSize(0) == kAccRows && tile.getShape()[1] % kPieceColumns == 0)
    return success();
  return op->emitOpError()
         << "(C1) expected a tile of " << kAccRows
         << " rows in 16 bits, and a place for half of its columns, a multiple "
            "of "
         << kPieceColumns << ", found " << type << " and " << tile;
}

LogicalResult SendColumnsOp::verify() {
  auto ring = getRing().getDefiningOp<AllocRingOp>();
  if (ring && ring.getAcross() == 1)
    return emitOpError() << "(C2) expected a ring across blocks, found one "
                            "whose stages are this block's alone";
  return verifyColumns(*this, getValue(), getTile().getType());
}

LogicalResult AddColumnsOp::verify() {
  auto sum = cast<RankedTensorType>(getSum().getType());
  auto value = cast<RankedTensorType>(getValue().getType());
  if (sum.getShape() != getTile().getType().getShape() ||
      sum.getElementType() != value.getElementType() ||
      sum.getEncoding() != value.getEncoding())
    return emitOpError() << "(C2) expected a sum of the place's shape, in the "
                            "value's type and layout, found "
                         << sum;
  return verifyColumns(*this, getValue(), getTile().getType());
}

LogicalResult AllocRingOp::verify() {
  // One thread issues the loads of a stage and expects their bytes.
  if (getRing().getType().getFill() == Fill::tma && getProducers() != 1)
    return emitOpError()
           << "(C1) expected one producer warp of a ring that TMA "
              "fills, found "
           << getProducers();
  int64_t across = getAcross();
  if (across != 1 && (across < 1 || !isInCluster(*this, across) ||
                      getRing().getType().getFill() != Fill::warps))
    return emitOpError() << "(C2) expected a ring across the blocks of the "
                            "kernel's cluster, which warps fill, found "
                         << across << " blocks and " << getRing().getType();
  return success();
}

LogicalResult AcquireOp::verify() { return verifyStage(*this); }
LogicalResult WaitOp::verify() { return verifyStage(*this); }

//===----------------------------------------------------------------------===//
// Device memory
//===----------------------------------------------------------------------===//

/// What every access to a tensor of device memory keeps: a coordinate a
/// dimension, dimensions that there are, and elements of one type, since none
/// is converted on the way.
static LogicalResult verifyAccess(Operation *op, RankedTensorType tensor,
                                  size_t coords, ArrayRef<int64_t> dims,
                                  Type element) {
  if (static_cast<int64_t>(coords) != tensor.getRank())
    return op->emitOpError()
           << "(C1) expected a coordinate for each dimension of " << tensor
           << ", found " << coords;
  for (int64_t dim : dims)
    if (dim < 0 || dim >= tensor.getRank())
      return op->emitOpError()
             << "(C2) expected a dimension of " << tensor << ", found " << dim;
  if (element && element != tensor.getElementType())
    return op->emitOpError()
           << "(C3) expected elements of " << tensor.getElementType()
           << ", found " << element;
  return success();
}

/// Checks that `op` loads into a ring whose stages are full when loads end.
template <typename OpT> static LogicalResult verifyLoadedRing(OpT op) {
  if (op.getRing().getType().getFill() == Fill::tma)
    return success();
  return op.emitOpError() << "(C4) expected a ring that TMA fills, found "
                          << op.getRing().getType();
}

/// Checks the bytes that other blocks send into a stage.
static LogicalResult verifySentBytes(CommitOp op, AllocRingOp ring) {
  int64_t producers = ring.getProducers();
  std::optional<int64_t> bytes = op.getBytes();
  if (bytes && *bytes >= 0 && *bytes % producers == 0)
    return success();
  InFlightDiagnostic diagnostic =
      op.emitOpError() << "(C2) expected the bytes that other blocks send into "
                          "a stage of a ring across blocks, a multiple of its "
                       << producers << " producers, found ";
  if (bytes)
    return diagnostic << *bytes;
  return diagnostic << "none";
}

LogicalResult CommitOp::verify() {
  RingType ring = getRing().getType();
  auto alloc = getRing().getDefiningOp<AllocRingOp>();
  if (alloc && alloc.getAcross() > 1)
    return verifySentBytes(*this, alloc);
  int64_t most = ring.getTransactionBytes();
  if (std::optional<int64_t> bytes = getBytes();
      bytes && (*bytes < 1 || *bytes > most))
    return emitOpError() << "(C1) expected 1 to " << most
                         << " bytes that TMA brings into a stage, found "
                         << *bytes;
  return success();
}

LogicalResult ClearStagesOp::verify() {
  ArrayRef<Type> tiles = getRing().getType().getTiles();
  int64_t number = getTile(), from = getFrom();
  auto tile = number >= 0 && number < static_cast<int64_t>(tiles.size())
                  ? cast<SmemType>(tiles[number])
                  : SmemType();
  if (!tile || !tile.isSwizzled() || from < 0 || from >= tile.getShape()[0])
    return emitOpError()
           << "(C1) expected the number of a matrix of 16 bits of "
              "the ring and a row of it, found tile "
           << number << " and row " << from << " of " << getRing().getType();
  return success();
}

LogicalResult LoadOp::verify() {
  if (failed(verifyLoadedRing(*this)))
    return failure();
  return verifyAccess(*this, getMap().getType().getTensor(), getCoords().size(),
                      {}, getTile().getType().getElementType());
}

LogicalResult LoadVectorOp::verify() {
  if (failed(verifyLoadedRing(*this)))
    return failure();
  int64_t dim = getDim();
  return verifyAccess(*this, getGlobal().getType().getTensor(),
                      getCoords().size(), dim, /*element=*/Type());
}

LogicalResult LoadScalarOp::verify() {
  return verifyAccess(*this, getGlobal().getType().getTensor(),
                      getCoords().size(), {}, /*element=*/Type());
}

LogicalResult SumTokensOp::verify() {
  RankedTensorType tensor = getGlobal().getType().getTensor();
  RankedTensorType sums = getResult().getType().getTensor();
  SmemType scratch = getScratch().getType();
  bool isOfHeads = tensor.getRank() == 3 && sums.getRank() == 1 &&
                   tensor.getDimSize(2) == sums.getDimSize(0) &&
                   tensor.getElementType().isF32() &&
                   sums.getElementType().isF32();
  if (!isOfHeads || !getGlobal().getType().getDense())
    return emitOpError() << "(C1) expected a dense tensor [batch, tokens, "
                            "heads] and one of its heads, of f32, found "
                         << getGlobal().getType() << " and " << sums;
  constexpr int64_t mostWarps = 32;
  if (scratch.getShape().size() != 1 || !scratch.getElementType().isF32() ||
      scratch.getShape()[0] < mostWarps)
    return emitOpError() << "(C2) expected scratch for a number of each of the "
                         << mostWarps << " warps that a block may have, found "
                         << scratch;
  return success();
}

LogicalResult SumTokenColumnsOp::verify() {
  RankedTensorType tensor = getGlobal().getType().getTensor();
  RankedTensorType sums = getResult().getType().getTensor();
  SmemType scratch = getScratch().getType();
  bool isOfChannels = tensor.getRank() == 4 && sums.getRank() == 2 &&
                      tensor.getShape().drop_front(2) == sums.getShape() &&
                      tensor.getElementType().isF32() &&
                      sums.getElementType().isF32();
  if (!isOfChannels || !getGlobal().getType().getDense())
    return emitOpError() << "(C1) expected a dense tensor [batch, tokens, "
                            "heads, channels] and one of its heads and "
                            "channels, of f32, found "
                         << getGlobal().getType() << " and " << sums;
  constexpr int64_t mostThreads = 1024;
  if (scratch.getShape().size() != 1 || !scratch.getElementType().isF32() ||
      scratch.getShape()[0] < mostThreads)
    return emitOpError() << "(C2) expected scratch for a number of each of the "
                         << mostThreads
                         << " threads that a block may have, found " << scratch;
  return success();
}

LogicalResult ScanTokenColumnsOp::verify() {
  auto tensorOf = [](Value global) {
    return cast<GlobalType>(global.getType()).getTensor();
  };
  RankedTensorType x = tensorOf(getX()), y = tensorOf(getY());
  bool isDense = getX().getType().getDense() && getY().getType().getDense();
  if (x.getRank() != 4 || x != y || !x.getElementType().isF32() || !isDense)
    return emitOpError() << "(C1) expected two dense tensors [batch, tokens, "
                            "heads, channels] of f32, found "
                         << getX().getType() << " and " << getY().getType();
  for (Value state : {Value(getTotal()), Value(getInit())})
    if (state &&
        tensorOf(state).getShape().drop_front() != x.getShape().drop_front(2))
      return emitOpError() << "(C2) expected a row of heads and channels a "
                              "sequence, found "
                           << state.getType();
  SmemType scratch = getScratch().getType();
  constexpr int64_t mostThreads = 1024;
  if (scratch.getShape().size() != 1 || !scratch.getElementType().isF32() ||
      scratch.getShape()[0] < mostThreads)
    return emitOpError() << "(C3) expected scratch for a number of each of the "
                         << mostThreads
                         << " threads that a block may have, found " << scratch;
  auto run = static_cast<int64_t>(getRun()),
       every = static_cast<int64_t>(getEvery());
  bool hasSlots = static_cast<bool>(getRead()), keeps = getKeep() != nullptr;
  if (run < 1 || (hasSlots && !getInit()) ||
      (keeps && (!hasSlots || every < 1 || every % run != 0)))
    return emitOpError()
           << "(C4) expected runs of a row or more, an init where there are "
              "slots, and slots where rows are kept every few runs; found runs "
              "of "
           << run << ", kept every " << every;
  return success();
}

LogicalResult LoadRowsOp::verify() {
  if (failed(verifyLoadedRing(*this)))
    return failure();
  int64_t dim = getDim();
  SmemType tile = getTile().getType();
  if (tile.getShape().size() != 2 || !tile.getElementType().isF32())
    return emitOpError() << "(C5) expected a matrix of f32, found " << tile;
  return verifyAccess(*this, getGlobal().getType().getTensor(),
                      getCoords().size(), dim, tile.getElementType());
}

LogicalResult StoreRowsOp::verify() {
  int64_t dim = getDim();
  auto value = cast<RankedTensorType>(getValue().getType());
  if (failed(verifyAccess(*this, getGlobal().getType().getTensor(),
                          getCoords().size(), dim, value.getElementType())))
    return failure();
  if (getEvery() < 1 || (getEvery() > 1 && !getStaging()))
    return emitOpError() << "(C7) expected rows that are at least one apart, "
                            "and through a staging tile where they are more, "
                            "found every "
                         << getEvery();
  if (!getStaging()) {
    if (isHalf(value.getElementType()) &&
        value.getDimSize(getTranspose() ? 0 : 1) % 16 == 0)
      return success();
    return emitOpError() << "(C5) expected a staging tile, or bf16 or f16 and "
                            "rows of a multiple of 16 elements, found "
                         << value;
  }
  SmemType staging = getStaging().getType();
  SmallVector<int64_t> shape(value.getShape());
  if (getTranspose())
    std::reverse(shape.begin(), shape.end());
  // Columns of the value can go in pieces, one after the other.
  bool isPiece = getTranspose() && staging.isSwizzled() &&
                 staging.getShape()[1] == shape[1] &&
                 staging.getShape()[0] != shape[0] &&
                 shape[0] % staging.getShape()[0] == 0;
  if ((staging.getShape() != ArrayRef(shape) && !isPiece) ||
      staging.getElementType() != value.getElementType())
    return emitOpError() << "(C4) expected a staging tile of the shape and "
                            "element type of "
                         << value << (getTranspose() ? ", transposed" : "")
                         << ", found " << staging;
  if (getOwn() && (!staging.isSwizzled() || isPiece))
    return emitOpError() << "(C6) expected a staging tile of 16 bits for the "
                            "whole of "
                         << value << ", found " << staging;
  return success();
}

LogicalResult CopyRowsOp::verify() {
  SmemType tile = getTile().getType();
  int64_t dim = getDim();
  if (failed(verifyAccess(*this, getGlobal().getType().getTensor(),
                          getCoords().size(), dim, tile.getElementType())))
    return failure();
  if (!tile.isSwizzled())
    return emitOpError() << "(C4) expected a matrix of 16 bits, found " << tile;
  return success();
}

LogicalResult StoreVectorOp::verify() {
  int64_t dim = getDim();
  return verifyAccess(*this, getGlobal().getType().getTensor(),
                      getCoords().size(), dim,
                      getElementTypeOrSelf(getValue().getType()));
}

LogicalResult LoadMatrixOp::verify() {
  return verifyAccess(*this, getGlobal().getType().getTensor(),
                      getCoords().size(), getDims(),
                      getElementTypeOrSelf(getValue().getType()));
}

LogicalResult FetchRowsOp::verify() {
  if (getEvery() < 1)
    return emitOpError() << "(C4) expected rows that are at least one apart, "
                            "found every "
                         << getEvery();
  RankedTensorType tensor = getGlobal().getType().getTensor();
  int64_t dims[] = {static_cast<int64_t>(getDim()), tensor.getRank() - 1};
  return verifyAccess(*this, tensor, getCoords().size(), dims,
                      getElementTypeOrSelf(getValue().getType()));
}

LogicalResult StoreMatrixOp::verify() {
  return verifyAccess(*this, getGlobal().getType().getTensor(),
                      getCoords().size(), getDims(),
                      getElementTypeOrSelf(getValue().getType()));
}

LogicalResult ZeroFillOp::verify() {
  int64_t dim = getDim();
  return verifyAccess(*this, getGlobal().getType().getTensor(),
                      getCoords().size(), dim, /*element=*/Type());
}
