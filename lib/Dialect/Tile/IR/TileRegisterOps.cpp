//===- TileRegisterOps.cpp - Constraints of what is in registers --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The numbers (C..) are those of docs/spec.md.
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Tile/IR/Tile.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

//===----------------------------------------------------------------------===//
// Between shared memory and registers
//===----------------------------------------------------------------------===//

/// The blocks of 64 rows of a matrix.
static int64_t countBlocks(int64_t rows) {
  return llvm::divideCeil(rows, kAccRows);
}

/// A register tile is a shared tile, or one block of 64 of its rows; of its
/// columns with `transpose`.
static LogicalResult verifyBlock(Operation *op, RankedTensorType value,
                                 SmemType smem, bool transpose, int64_t block) {
  SmallVector<int64_t> shape(smem.getShape());
  if (transpose)
    std::reverse(shape.begin(), shape.end());
  int64_t blocks = 1;
  if (shape.size() == 2) {
    blocks = countBlocks(shape[0]);
    shape[0] = std::min(shape[0], kAccRows);
  }
  if (ArrayRef(shape) != value.getShape() ||
      smem.getElementType() != value.getElementType())
    return op->emitOpError()
           << "(C1) expected the shape and element type of "
           << (blocks > 1 ? "64 rows of " : "") << smem
           << (transpose ? ", transposed" : "") << ", found " << value;
  if (block < 0 || block >= blocks)
    return op->emitOpError() << "(C3) expected a block of the tile's " << blocks
                             << ", counted from 0, found " << block;
  return success();
}

static LogicalResult verifyLayout(Operation *op, RankedTensorType value) {
  std::optional<LayoutKind> layout = getLayout(value);
  bool matrix = value.getRank() == 2;
  if (!layout || matrix != (*layout == LayoutKind::acc))
    return op->emitOpError()
           << "(C2) expected the acc layout for a matrix and row, "
              "col or warp for a vector, found "
           << value;
  return success();
}

LogicalResult ReadOp::verify() {
  auto value = cast<RankedTensorType>(getValue().getType());
  if (failed(verifyBlock(*this, value, getTile().getType(), getTranspose(),
                         getBlock())))
    return failure();
  return verifyLayout(*this, value);
}

LogicalResult ReadElementOp::verify() {
  SmemType tile = getTile().getType();
  if (tile.getShape().size() != 1 || !tile.getElementType().isF32())
    return emitOpError() << "(C1) expected a vector of f32, found " << tile;
  return success();
}

/// The operation that made a tile which is seen through views and writes.
static Operation *getOrigin(Value tile) {
  while (Operation *op = tile.getDefiningOp()) {
    if (auto view = dyn_cast<SubviewOp>(op))
      tile = view.getTile();
    else if (auto write = dyn_cast<WriteOp>(op))
      tile = write.getTile();
    else
      return op;
  }
  return nullptr;
}

LogicalResult WriteOp::verify() {
  auto value = cast<RankedTensorType>(getValue().getType());
  SmemType smem = getTile().getType();
  if (failed(verifyBlock(*this, value, smem, getTranspose(), getBlock())) ||
      failed(verifyLayout(*this, value)))
    return failure();
  Operation *origin = getOrigin(getTile());
  if (!getBarrierId() && isa_and_nonnull<AllocOp>(origin))
    return emitOpError() << "(C4) expected a barrier, or a tile of a ring's "
                            "stage, which the ring hands over; found one of "
                         << origin->getName();
  auto acquire = dyn_cast_or_null<AcquireOp>(origin);
  if (acquire && smem.isSwizzled() &&
      acquire.getRing().getType().getFill() == Fill::tma)
    return emitOpError() << "(C5) expected a ring that warps fill, found "
                         << acquire.getRing().getType();
  return success();
}

//===----------------------------------------------------------------------===//
// Register tiles
//===----------------------------------------------------------------------===//

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
  // 64 of the rows of A in shared memory.
  if (isa<SmemType>(getA().getType())) {
    int64_t block = getBlock(), blocks = countBlocks(m);
    if (block < 0 || block >= blocks)
      return emitOpError() << "(C7) expected a block of A's " << blocks
                           << ", counted from 0, found " << block;
    m = std::min(m, kAccRows);
  }
  if (ka != kb || d.getDimSize(0) != m || d.getDimSize(1) != n)
    return emitOpError() << "(C2) expected [m, k] x [k, n] -> [m, n], found ["
                         << m << ", " << ka << "] x [" << kb << ", " << n
                         << "] -> " << d;
  TargetInfo target = getTarget(*this);
  if (m != kAccRows || !target.hasProduct(ka, n))
    return emitOpError() << "(C3) expected m = " << kAccRows
                         << ", k a multiple of " << target.mmaDepth
                         << " and n a multiple of " << target.mmaColumns
                         << " up to " << target.mostMmaColumns
                         << " (what the tensor cores take), found m = " << m
                         << ", k = " << ka << ", n = " << n;
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

LogicalResult IndexOp::verify() {
  auto result = cast<RankedTensorType>(getResult().getType());
  int64_t dim = getDim();
  if (!getLayout(result) || dim < 0 || dim >= result.getRank())
    return emitOpError() << "(C1) expected a register tile and one of its "
                         << result.getRank() << " dimensions, found " << result
                         << " and dimension " << dim;
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
  if (result.getDimSize(0) >
      source.getDimSize(0) * static_cast<int64_t>(getRepeat()))
    return emitOpError() << "(C2) expected at most " << getRepeat()
                         << " result elements for each of the source's, found "
                         << source << " and " << result;
  return success();
}

LogicalResult SumGroupsOp::verify() {
  auto source = cast<RankedTensorType>(getSource().getType());
  auto result = cast<RankedTensorType>(getResult().getType());
  int64_t n = getN();
  if (n < 1 || getLayout(source) != LayoutKind::warp ||
      getLayout(result) != LayoutKind::warp ||
      result.getElementType() != source.getElementType() ||
      source.getDimSize(0) > result.getDimSize(0) * n)
    return emitOpError() << "(C1) expected a warp-held vector, and one with an "
                            "element for each "
                         << n << " of it, found " << source << " and "
                         << result;
  return success();
}

/// True for spread tiles of whole rows, where each thread has half of the
/// columns of `x` that it has in `a`.
static bool isSpreadHalf(RankedTensorType a, RankedTensorType x) {
  if (!isa_and_nonnull<SpreadAttr>(a.getEncoding()) ||
      a.getEncoding() != x.getEncoding())
    return false;
  DimSpread rows = getSpread(x).getDims()[0];
  return rows.isWhole() && 2 * a.getDimSize(1) == x.getDimSize(1) &&
         2 * getSpread(a).getThreadShape(a.getShape())[1] ==
             getSpread(x).getThreadShape(x.getShape())[1];
}

/// Verifies that `half` is one of two halves of the columns of `whole`, of
/// which every thread has some, and behind which there may be others.
static LogicalResult verifyHalf(Operation *op, Value half, Value whole) {
  auto a = cast<RankedTensorType>(half.getType());
  auto x = cast<RankedTensorType>(whole.getType());
  bool isHalf = x.getRank() == 2 && a.getRank() == 2 &&
                a.getDimSize(0) == x.getDimSize(0) &&
                2 * a.getDimSize(1) <= x.getDimSize(1) &&
                a.getElementType() == x.getElementType();
  constexpr int64_t columns = 8;
  if (isHalf && isSpreadHalf(a, x))
    return success();
  if (isHalf && a.getDimSize(1) % columns == 0 &&
      getLayout(a) == LayoutKind::acc && getLayout(x) == LayoutKind::acc)
    return success();
  return op->emitOpError() << "(C1) expected a tile in the acc layout and "
                              "halves of its columns, multiples of "
                           << columns
                           << ", or both spread alike, with whole rows, found "
                           << x << " and " << a;
}

LogicalResult HalfColumnsOp::verify() {
  return verifyHalf(*this, getResult(), getSource());
}

LogicalResult JoinColumnsOp::verify() {
  return verifyHalf(*this, getA(), getResult());
}

LogicalResult LastOp::verify() {
  constexpr int64_t kLanes = 32;
  auto type = cast<RankedTensorType>(getX().getType());
  if (getLayout(type) != LayoutKind::warp || type.getDimSize(0) % kLanes != 0)
    return emitOpError() << "(C1) expected a warp-held vector of a multiple of "
                         << kLanes << " elements, found " << type;
  return success();
}

LogicalResult TriangleOp::verify() {
  auto type = cast<RankedTensorType>(getM().getType());
  Type element = Float32Type::get(getContext());
  if (type != getTileType({kAccRows, kAccRows}, element, LayoutKind::acc))
    return emitOpError()
           << "(C1) expected 64 x 64 f32 in the acc layout, found " << type;
  if (!getH())
    return success();
  if (getH().getType() != getTileType({kAccRows}, element, LayoutKind::row) ||
      getP().getType() != getTileType({kAccRows}, element, LayoutKind::col))
    return emitOpError() << "(C2) expected 64 sums along the rows and 64 along "
                            "the columns, found "
                         << getH().getType() << " and " << getP().getType();
  return success();
}

LogicalResult MaskVectorOp::verify() {
  auto type = cast<RankedTensorType>(getX().getType());
  if (getLayout(type) == LayoutKind::warp)
    return success();
  return emitOpError() << "(C1) expected a warp-held vector, found " << type;
}

LogicalResult HoldOp::verify() {
  auto type = cast<RankedTensorType>(getValue().getType());
  if (getLayout(type) != LayoutKind::acc || !type.getElementType().isF32())
    return emitOpError()
           << "(C1) expected a tile of f32 in the acc layout, found " << type;
  return success();
}

LogicalResult DotOp::verify() {
  SmemType a = getA().getType(), scratch = getScratch().getType();
  ArrayRef<int64_t> shape = a.getShape();
  if (!a.isSwizzled() || shape[0] % kAccRows != 0)
    return emitOpError() << "(C1) expected matrices of 16 bits with a multiple "
                            "of "
                         << kAccRows << " rows, found " << a;
  SmemType room = SmemType::get(getContext(), {kWarpgroupWarps},
                                Float32Type::get(getContext()));
  if (scratch != room)
    return emitOpError() << "(C2) expected a scratch tile of " << room
                         << ", found " << scratch;
  SmemType b = getB().getType();
  if (a.getShape() != b.getShape() || a.getElementType() != b.getElementType())
    return emitOpError() << "(C3) expected matrices of one shape and element "
                            "type, found "
                         << a << " and " << b;
  return success();
}

LogicalResult ReduceOp::verify() {
  int64_t blocks = getTiles().size();
  auto first = blocks ? cast<RankedTensorType>(getTiles().front().getType())
                      : RankedTensorType();
  if (!first || !llvm::all_equal(getTiles().getTypes()) ||
      getLayout(first) != LayoutKind::acc || !first.getElementType().isF32())
    return emitOpError() << "(C1) expected blocks of one f32 type in the acc "
                            "layout, found "
                         << getTiles().getTypes();
  if (getDim() != 0 && getDim() != 1)
    return emitOpError() << "(C2) expected dimension 0 or 1, found "
                         << getDim();
  bool alongRows = getDim() == 1;
  int64_t size = alongRows ? kAccRows * blocks : first.getDimSize(1);
  if (getSums().getType() !=
      getTileType({size}, first.getElementType(), LayoutKind::warp))
    return emitOpError() << "(C3) expected " << size
                         << " sums held by every warp, found "
                         << getSums().getType();
  SmemType scratch = getScratch().getType();
  int64_t room = alongRows ? size : 4 * size;
  if (scratch.getShape().size() != 1 || scratch.getShape()[0] != room)
    return emitOpError() << "(C4) expected a scratch tile of " << room
                         << " f32, found " << scratch;
  return success();
}

LogicalResult DiagonalOp::verify() {
  Type element = Float32Type::get(getContext());
  RankedTensorType square =
      getTileType({kAccRows, kAccRows}, element, LayoutKind::acc);
  RankedTensorType vector = getTileType({kAccRows}, element, LayoutKind::warp);
  if (getX().getType() != square || getDiagonal().getType() != vector)
    return emitOpError() << "(C1) expected " << vector << " of " << square
                         << ", found " << getDiagonal().getType() << " of "
                         << getX().getType();
  SmemType room = SmemType::get(getContext(), {kAccRows}, element);
  if (getScratch().getType() != room)
    return emitOpError() << "(C2) expected a scratch tile of " << room
                         << ", found " << getScratch().getType();
  return success();
}

LogicalResult ScanRowsOp::verify() {
  Type element = Float32Type::get(getContext());
  SmemType scratch = getScratch().getType();
  auto tile = dyn_cast<RankedTensorType>(getSums().getType());
  int64_t columns = tile && tile.getRank() == 2 ? tile.getDimSize(1)
                                                : scratch.getShape().back();
  auto shared = SmemType::get(getContext(), {kAccRows, columns}, element);
  auto sums = getTileType({kAccRows, columns}, element, LayoutKind::acc);
  auto isEither = [&](Type type) { return type == sums || type == shared; };
  if (!isEither(getSums().getType()) || !isEither(getX().getType()))
    return emitOpError() << "(C1) expected 64 rows of f32 in the acc layout, "
                            "and as many in it or in shared memory, found "
                         << getSums().getType() << " of " << getX().getType();
  if (scratch != shared)
    return emitOpError() << "(C2) expected a scratch tile of " << shared
                         << ", found " << scratch;
  if (std::optional<int64_t> half = getHalf();
      half && (getReverse() || *half < 1 || kAccRows % (2 * *half) != 0))
    return emitOpError() << "(C3) expected a half of whole blocks of the "
                         << kAccRows << " rows, and a forward scan, found half "
                         << *half << (getReverse() ? ", reverse" : "");
  if (getIsSigned() && !getHalf())
    return emitOpError() << "(C4) expected a half beside signed, found none";
  return success();
}

LogicalResult CopyToWarpsOp::verify() {
  auto type = cast<RankedTensorType>(getX().getType());
  if (type.getRank() != 1 || getLayout(type) != LayoutKind::warp ||
      !type.getElementType().isF32())
    return emitOpError() << "(C1) expected a vector of f32 held by every warp, "
                            "found "
                         << type;
  int64_t size = type.getDimSize(0);
  Type copy = SmemType::get(getContext(), {size}, type.getElementType());
  if (getCopy().getType() != copy)
    return emitOpError() << "(C2) expected a copy of " << copy << ", found "
                         << getCopy().getType();
  Type scratch = SmemType::get(getContext(), {kWarpgroupWarps * size},
                               type.getElementType());
  if (getScratch().getType() != scratch && getScratch().getType() != copy)
    return emitOpError() << "(C3) expected a scratch tile of " << scratch
                         << ", a part a warp, or of " << copy
                         << ", one for all, found " << getScratch().getType();
  return success();
}

LogicalResult AddScaledOp::verify() {
  auto c = cast<RankedTensorType>(getC().getType());
  SmemType a = getA().getType(), b = getB().getType();
  if (a.getShape().size() != 2 || b.getShape().size() != 2 || c.getRank() != 2)
    return emitOpError() << "(C1) expected matrices";
  auto at = [](SmemType tile, bool isSecond) {
    return tile.getShape()[isSecond ? 1 : 0];
  };
  int64_t m = at(a, getTransposeA()), ka = at(a, !getTransposeA());
  int64_t n = at(b, !getTransposeB()), kb = at(b, getTransposeB());
  if (ka != kb || c.getDimSize(0) != m || c.getDimSize(1) != n)
    return emitOpError() << "(C2) expected [m, k] x [k, n] -> [m, n], found ["
                         << m << ", " << ka << "] x [" << kb << ", " << n
                         << "] -> " << c;
  constexpr int64_t kPartColumns = 32;
  TargetInfo target = getTarget(*this);
  if (m != kAccRows || n % kPartColumns != 0 ||
      !target.hasProduct(ka, kPartColumns))
    return emitOpError() << "(C3) expected m = " << kAccRows
                         << ", k a multiple of " << target.mmaDepth
                         << " and n a multiple of " << kPartColumns
                         << ", found m = " << m << ", k = " << ka
                         << ", n = " << n;
  if (getLayout(c) != LayoutKind::acc)
    return emitOpError() << "(C4) expected the acc layout, found " << c;
  if (getScale().getType() !=
      getTileType({m}, c.getElementType(), LayoutKind::row))
    return emitOpError() << "(C5) expected " << m
                         << " numbers along the rows, found "
                         << getScale().getType();
  return success();
}
