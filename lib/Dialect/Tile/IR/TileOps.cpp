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
  int64_t factor, warps, minBlocks;
  StringRef count;
  ArrayAttr operands;
  if (parser.parseSymbolName(properties.sym_name) ||
      parser.parseArgumentList(args, OpAsmParser::Delimiter::Paren,
                               /*allowType=*/true) ||
      parser.parseKeyword("grid") || parser.parseInteger(factor) ||
      parser.parseStar() || parser.parseKeyword(&count) ||
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
  p << ") grid " << getGridFactor() << " * " << getGridCount() << " warps "
    << getWarps() << " min_blocks " << getMinBlocks() << " operands "
    << getOperandsAttr();
  if (getSharedBytes())
    p << " shared_bytes " << *getSharedBytes();
  p << ' ';
  p.printRegion(getBody(), /*printEntryBlockArgs=*/false);
  p.printOptionalAttrDict((*this)->getAttrs(),
                          {"sym_name", "grid_factor", "grid_count", "warps",
                           "min_blocks", "operands", "shared_bytes"});
}

LogicalResult KernelOp::verify() {
  if (getGridCount() != "sequences" && getGridCount() != "slots")
    return emitOpError() << "(C1) expected a grid of sequences or slots, found "
                         << getGridCount();
  if (getOperandsAttr().size() != getBody().getNumArguments())
    return emitOpError() << "(C2) expected one operand name an argument, found "
                         << getOperandsAttr().size() << " for "
                         << getBody().getNumArguments();
  if (getWarps() < 1 || getWarps() > 32)
    return emitOpError() << "(C3) expected 1 to 32 warps, found " << getWarps();
  return success();
}

//===----------------------------------------------------------------------===//
// tile.roles
//===----------------------------------------------------------------------===//

int64_t tile::getStartRegisters(int64_t threads, int64_t minBlocks) {
  constexpr int64_t kRegistersOfSM = 65536, kMost = 248;
  return std::min(kMost, kRegistersOfSM / (threads * minBlocks) / 8 * 8);
}

/// Budgets of whole warpgroups that setmaxnreg takes, and that fit together.
static LogicalResult verifyBudgets(RolesOp op, ArrayRef<int64_t> budgets) {
  ArrayRef<int64_t> warps = op.getWarps();
  if (budgets.size() != warps.size())
    return op.emitOpError()
           << "(C2) expected one register budget a role, found "
           << budgets.size() << " for " << warps.size();
  auto kernel = op->getParentOfType<KernelOp>();
  int64_t threads = 32 * (kernel ? kernel.getWarps() : 0), total = 0;
  int64_t start =
      kernel ? getStartRegisters(threads, kernel.getMinBlocks()) : 0;
  for (auto [count, budget] : llvm::zip_equal(warps, budgets)) {
    if (count % 4 != 0)
      return op.emitOpError()
             << "(C3) setmaxnreg is per warpgroup: expected roles of 4, 8 ... "
                "warps, found "
             << count;
    if (budget != 0 && (budget < 24 || budget > 240 || budget % 8 != 0))
      return op.emitOpError()
             << "(C4) expected a budget of 0, or a multiple of "
                "8 from 24 to 240, found "
             << budget;
    total += 32 * count * (budget ? budget : start);
  }
  // What a role asks for and does not get, it waits for.
  if (kernel && total > start * threads)
    return op.emitOpError()
           << "(C6) expected budgets of at most the block's " << start * threads
           << " registers (" << start << " a thread), found " << total;
  return success();
}

LogicalResult RolesOp::verify() {
  ArrayRef<int64_t> warps = getWarps();
  if (warps.size() != getRoles().size())
    return emitOpError() << "(C1) expected one number of warps a role, found "
                         << warps.size() << " for " << getRoles().size();
  int64_t total = 0;
  for (int64_t count : warps)
    total += count;
  auto kernel = (*this)->getParentOfType<KernelOp>();
  if (kernel && total > static_cast<int64_t>(kernel.getWarps()))
    return emitOpError() << "(C5) expected roles of at most the kernel's "
                         << kernel.getWarps() << " warps, found " << total;
  if (getRegisters())
    return verifyBudgets(*this, *getRegisters());
  return success();
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

LogicalResult LoadOp::verify() {
  return verifyAccess(*this, getMap().getType().getTensor(), getCoords().size(),
                      {}, getTile().getType().getElementType());
}

LogicalResult LoadVectorOp::verify() {
  int64_t dim = getDim();
  return verifyAccess(*this, getGlobal().getType().getTensor(),
                      getCoords().size(), dim, /*element=*/Type());
}

LogicalResult StoreRowsOp::verify() {
  int64_t dim = getDim();
  auto value = cast<RankedTensorType>(getValue().getType());
  if (failed(verifyAccess(*this, getGlobal().getType().getTensor(),
                          getCoords().size(), dim, value.getElementType())))
    return failure();
  SmemType staging = getStaging().getType();
  SmallVector<int64_t> shape(value.getShape());
  if (getTranspose())
    std::reverse(shape.begin(), shape.end());
  if (staging.getShape() != ArrayRef(shape) ||
      staging.getElementType() != value.getElementType())
    return emitOpError() << "(C4) expected a staging tile of the shape and "
                            "element type of "
                         << value << (getTranspose() ? ", transposed" : "")
                         << ", found " << staging;
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

//===----------------------------------------------------------------------===//
// Reads and register tiles
//===----------------------------------------------------------------------===//

LogicalResult ReadOp::verify() {
  SmemType smem = getTile().getType();
  auto value = cast<RankedTensorType>(getValue().getType());
  SmallVector<int64_t> shape(smem.getShape());
  if (getTranspose())
    std::reverse(shape.begin(), shape.end());
  if (ArrayRef(shape) != value.getShape() ||
      smem.getElementType() != value.getElementType())
    return emitOpError() << "(C1) expected the shape and element type of "
                         << smem << (getTranspose() ? ", transposed" : "")
                         << ", found " << value;
  std::optional<LayoutKind> layout = getLayout(value);
  bool matrix = shape.size() == 2;
  if (!layout || matrix != (*layout == LayoutKind::acc))
    return emitOpError()
           << "(C2) expected the acc layout for a matrix and row, "
              "col or warp for a vector, found "
           << value;
  return success();
}

/// Shape of an mma operand in registers or shared memory.
static ArrayRef<int64_t> operandShape(Type type) {
  if (auto smem = dyn_cast<SmemType>(type))
    return smem.getShape();
  return cast<RankedTensorType>(type).getShape();
}

LogicalResult MmaOp::verify() {
  RankedTensorType d = getD().getType().getTile();
  ArrayRef<int64_t> a = operandShape(getA().getType());
  ArrayRef<int64_t> b = operandShape(getB().getType());
  if (a.size() != 2 || b.size() != 2 || d.getRank() != 2)
    return emitOpError() << "(C1) expected matrices";
  int64_t m = a[getTransposeA() ? 1 : 0], ka = a[getTransposeA() ? 0 : 1];
  int64_t n = b[getTransposeB() ? 0 : 1], kb = b[getTransposeB() ? 1 : 0];
  if (ka != kb || d.getDimSize(0) != m || d.getDimSize(1) != n)
    return emitOpError() << "(C2) expected [m, k] x [k, n] -> [m, n], found ["
                         << m << ", " << ka << "] x [" << kb << ", " << n
                         << "] -> " << d;
  if (m != kAccRows || ka % 16 != 0 || n % 8 != 0 || n > 256)
    return emitOpError()
           << "(C3) wgmma needs m = 64, k a multiple of 16 and n a "
              "multiple of 8 up to 256, found m = "
           << m << ", k = " << ka << ", n = " << n;
  if (isa<RankedTensorType>(getA().getType()) && getTransposeA())
    return emitOpError() << "(C4) wgmma cannot transpose A in registers";
  for (Type type : {getA().getType(), Type(d)})
    if (isa<RankedTensorType>(type) && getLayout(type) != LayoutKind::acc)
      return emitOpError() << "(C5) expected the acc layout, found " << type;
  if (getC() && getC().getType() != d)
    return emitOpError() << "(C6) expected C of type " << d << ", found "
                         << getC().getType();
  return success();
}

LogicalResult BroadcastOp::verify() {
  Type source = getSource().getType();
  auto result = cast<RankedTensorType>(getResult().getType());
  if (!isa<RankedTensorType>(source)) {
    if (source != result.getElementType())
      return emitOpError() << "(C1) expected a scalar of type "
                           << result.getElementType() << ", found " << source;
    return success();
  }
  std::optional<LayoutKind> layout = getLayout(source);
  bool row = layout == LayoutKind::row, col = layout == LayoutKind::col;
  int64_t size = cast<RankedTensorType>(source).getDimSize(0);
  if (getLayout(result) != LayoutKind::acc || !(row || col) ||
      result.getDimSize(row ? 0 : 1) != size)
    return emitOpError() << "(C2) expected a row or col vector as long as that "
                            "dimension of an acc tile, found "
                         << source << " for " << result;
  return success();
}

LogicalResult RelayoutOp::verify() {
  auto source = cast<RankedTensorType>(getSource().getType());
  auto result = cast<RankedTensorType>(getResult().getType());
  std::optional<LayoutKind> to = getLayout(result);
  if (getLayout(source) != LayoutKind::warp || !to || *to == LayoutKind::acc)
    return emitOpError() << "(C1) expected a warp-held vector, and row, col or "
                            "warp of it, found "
                         << source << " and " << result;
  if (result.getDimSize(0) !=
      source.getDimSize(0) * static_cast<int64_t>(getRepeat()))
    return emitOpError() << "(C2) expected " << getRepeat()
                         << " result elements for each of the source's, found "
                         << source << " and " << result;
  return success();
}

LogicalResult EraseFactorOp::verify() {
  auto l = cast<RankedTensorType>(getL().getType());
  auto rate = cast<RankedTensorType>(getRate().getType());
  auto expected =
      getTileType({kAccRows, kAccRows}, l.getElementType(), LayoutKind::acc);
  if (l != expected || !l.getElementType().isF32())
    return emitOpError() << "(C1) expected L of 64 x 64 f32 in the acc layout, "
                            "found "
                         << l;
  if (rate != getTileType({kAccRows}, l.getElementType(), LayoutKind::warp))
    return emitOpError() << "(C2) expected 64 rates held by every warp, found "
                         << rate;
  SmemType scratch = getScratch().getType();
  if (scratch.isSwizzled() || scratch.getShape().size() != 2 ||
      scratch.getShape()[0] != kAccRows + 1 ||
      scratch.getShape()[1] != kAccRows)
    return emitOpError()
           << "(C3) expected a scratch tile of 65 x 64 f32, found " << scratch;
  return success();
}
