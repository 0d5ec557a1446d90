//===- RowOps.cpp - Constraints and folders of the chunk ops --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The numbers (C..) are those of docs/spec.md.
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/IR/Delta.h"
#include "wyvern/Support/Counts.h"

#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::wyvern::delta;

static ArrayRef<int64_t> shapeOf(Value value) {
  return cast<RankedTensorType>(value.getType()).getShape();
}

/// The attribute of a tile of zeros, or null.
static OpFoldResult foldZero(Attribute x) {
  auto splat = dyn_cast_or_null<SplatElementsAttr>(x);
  if (splat && splat.getSplatValue<APFloat>().isPosZero())
    return splat;
  return {};
}

//===----------------------------------------------------------------------===//
// decay_dot, decay_apply, decay_mask
//===----------------------------------------------------------------------===//

/// Checks mask and rows a token.
template <typename OpT> static LogicalResult verifyRowMask(OpT op) {
  ArrayRef<int64_t> rows = op.getRows();
  if (rows.size() != 2 || !wyvern::isCount(rows[0]) ||
      !wyvern::isCount(rows[1]))
    return op.emitOpError()
           << "(C2) expected rows = [na, nb] of 1 to " << wyvern::kMaxCount
           << " rows a token, found [" << rows << "]";
  if (op.getMask() == RowMask::before_row && rows[0] != rows[1])
    return op.emitOpError()
           << "(C3) before_row compares rows, so both operands "
              "need as many rows a token; found ["
           << rows << "]";
  if (op.getBeforeDecay() && op.getMask() != RowMask::before_token)
    return op.emitOpError()
           << "(C4) before_decay needs the mask before_token: a later token's "
              "decay would be divided out (a positive exponent)";
  return success();
}

/// Tokens that `aRows` by `bRows` rows are of.
template <typename OpT>
static int64_t countTokens(OpT op, int64_t aRows, int64_t bRows) {
  return std::max<int64_t>(llvm::divideCeil(aRows, op.getRows()[0]),
                           llvm::divideCeil(bRows, op.getRows()[1]));
}

/// Checks mask, rows and decay of a product of `aRows` by `bRows` rows over
/// `depth` channels.
template <typename OpT>
static LogicalResult verifyDecayProduct(OpT op, int64_t aRows, int64_t bRows,
                                        int64_t depth) {
  if (failed(verifyRowMask(op)))
    return failure();
  if (Value g = op.getG()) {
    int64_t tokens = countTokens(op, aRows, bRows);
    ArrayRef<int64_t> shape = shapeOf(g);
    bool head = shape.size() == 1 && shape[0] >= tokens;
    bool channel = shape.size() == 2 && shape[0] >= tokens && shape[1] == depth;
    if (!head && !channel)
      return op.emitOpError() << "(C5) expected a decay of shape [" << tokens
                              << "] or [" << tokens << ", " << depth
                              << "], or of more tokens, found " << g.getType();
  }
  return success();
}

LogicalResult DecayDotOp::verify() {
  ArrayRef<int64_t> a = shapeOf(getA()), b = shapeOf(getB()),
                    m = shapeOf(getM());
  if (a.size() != 2 || b.size() != 2 || m.size() != 2 || a[1] != b[1] ||
      m[0] != a[0] || m[1] != b[0])
    return emitOpError() << "(C1) expected [i, d], [j, d] -> [i, j], found "
                         << getA().getType() << ", " << getB().getType()
                         << " -> " << getM().getType();
  return verifyDecayProduct(*this, a[0], b[0], a[1]);
}

LogicalResult DecayApplyOp::verify() {
  ArrayRef<int64_t> m = shapeOf(getM()), x = shapeOf(getX()),
                    r = shapeOf(getR());
  bool t = getTranspose();
  if (m.size() != 2 || x.size() != 2 || r.size() != 2 || x[0] != m[t ? 0 : 1] ||
      r[0] != m[t ? 1 : 0] || r[1] != x[1])
    return emitOpError() << "(C1) expected "
                         << (t ? "[i, j], [i, d] -> [j, d]"
                               : "[i, j], [j, d] -> [i, d]")
                         << ", found " << getM().getType() << ", "
                         << getX().getType() << " -> " << getR().getType();
  return verifyDecayProduct(*this, m[0], m[1], x[1]);
}

LogicalResult DecayMaskOp::verify() {
  ArrayRef<int64_t> m = shapeOf(getM());
  if (m.size() != 2)
    return emitOpError() << "(C1) expected a matrix [i, j], found "
                         << getM().getType();
  if (failed(verifyRowMask(*this)))
    return failure();
  int64_t tokens = countTokens(*this, m[0], m[1]);
  if (getG() && (shapeOf(getG()).size() != 1 || shapeOf(getG())[0] < tokens))
    return emitOpError() << "(C5) expected a decay of shape [" << tokens
                         << "] or of more tokens, one gate a head, found "
                         << getG().getType();
  for (auto [name, size] :
       {std::pair<StringRef, std::optional<int64_t>>("half", getHalf()),
        {"near", getNear()}})
    if (size && (getG() || *size < 1))
      return emitOpError() << "(C6) expected a " << name
                           << " of 1 or more tokens and no decay, found "
                           << name << " " << *size
                           << (getG() ? " with a decay" : "");
  if (getHalf() && getNear())
    return emitOpError() << "(C7) expected half or near, found both";
  return success();
}

namespace {
/// exp(0) = 1: a decay of zeros is none, and then nothing is read before it.
template <typename OpT> struct DropZeroDecay : OpRewritePattern<OpT> {
  using OpRewritePattern<OpT>::OpRewritePattern;

  LogicalResult matchAndRewrite(OpT op,
                                PatternRewriter &rewriter) const override {
    bool isZero = op.getG() && matchPattern(op.getG(), m_AnyZeroFloat());
    if (!isZero && (op.getG() || !op.getBeforeDecay()))
      return rewriter.notifyMatchFailure(op, "the decay may matter");
    rewriter.modifyOpInPlace(op, [&] {
      op.getGMutable().clear();
      op.setBeforeDecay(false);
    });
    return success();
  }
};
} // namespace

void DecayDotOp::getCanonicalizationPatterns(RewritePatternSet &results,
                                             MLIRContext *context) {
  results.add<DropZeroDecay<DecayDotOp>>(context);
}

void DecayApplyOp::getCanonicalizationPatterns(RewritePatternSet &results,
                                               MLIRContext *context) {
  results.add<DropZeroDecay<DecayApplyOp>>(context);
}

OpFoldResult DecayMaskOp::fold(FoldAdaptor adaptor) {
  // What is masked twice is masked.
  auto inner = getM().getDefiningOp<DecayMaskOp>();
  if (inner && inner.getMask() == getMask() && inner.getRows() == getRows() &&
      inner.getHalf() == getHalf() && inner.getNear() == getNear()) {
    if (!getG())
      return getM();
    if (!inner.getG()) {
      getMMutable().assign(inner.getM());
      return getR();
    }
  }
  return foldZero(adaptor.getM());
}

void DecayMaskOp::getCanonicalizationPatterns(RewritePatternSet &results,
                                              MLIRContext *context) {
  results.add<DropZeroDecay<DecayMaskOp>>(context);
}

//===----------------------------------------------------------------------===//
// erase_solve and its kin
//===----------------------------------------------------------------------===//

/// L is square, but for the factor of one in two parts (`isSplit`), the rate
/// has one entry a row, and every tile of `rows` has as many rows and one type.
static LogicalResult verifySystem(Operation *op, Value l, Value rate,
                                  ValueRange rows, bool isSplit = false) {
  ArrayRef<int64_t> shape = shapeOf(l);
  if (!isSplit && (shape.size() != 2 || shape[0] != shape[1]))
    return op->emitOpError()
           << "(C1) expected a square matrix"
           << (isa<EraseApplyOp>(op) ? ", or one of twice as many columns" : "")
           << ", found " << l.getType();
  if (shapeOf(rate).size() != 1 || shapeOf(rate)[0] != shape[0])
    return op->emitOpError() << "(C2) expected a rate of shape [" << shape[0]
                             << "], one a row of L, found " << rate.getType();
  for (Value tile : rows)
    if (shapeOf(tile).size() != 2 || shapeOf(tile)[0] != shape[0] ||
        tile.getType() != rows.front().getType())
      return op->emitOpError()
             << "(C3) expected right-hand side and results of one type with "
             << shape[0] << " rows, found " << tile.getType();
  return success();
}

LogicalResult EraseSolveOp::verify() {
  return verifySystem(*this, getL(), getRate(), {getW(), getR(), getU()});
}

LogicalResult EraseSolveAdjointOp::verify() {
  return verifySystem(*this, getL(), getRate(), {getDu(), getX()});
}

/// Blocks have the same number of rows.
static LogicalResult verifyBlocks(Operation *op, Value matrix,
                                  std::optional<int64_t> block) {
  int64_t rows = shapeOf(matrix)[0];
  if (block && (*block <= 0 || rows % *block != 0))
    return op->emitOpError() << "(C4) expected blocks of a number of rows that "
                                "divides "
                             << rows << ", found " << *block;
  return success();
}

/// True for a factor in two parts.
static bool hasTwoParts(Value z) {
  ArrayRef<int64_t> shape = shapeOf(z);
  return shape.size() == 2 && shape[1] == 2 * shape[0];
}

LogicalResult EraseFactorOp::verify() {
  auto l = cast<RankedTensorType>(getL().getType());
  auto z = cast<RankedTensorType>(getZ().getType());
  bool isSplit = hasTwoParts(getZ()) && l.getRank() == 2 &&
                 z.getDimSize(0) == l.getDimSize(0) &&
                 z.getElementType() == l.getElementType();
  if (z != l && !isSplit)
    return emitOpError() << "(C3) expected Z of L's type " << l
                         << ", or with twice its columns, found " << z;
  if (getTo() && !isa<FloatType>(*getTo()))
    return emitOpError() << "(C5) expected a float type that Z is rounded to, "
                            "found "
                         << *getTo();
  if (failed(verifySystem(*this, getL(), getRate(), {})))
    return failure();
  return verifyBlocks(*this, getL(), getBlock());
}

LogicalResult EraseApplyOp::verify() {
  if (failed(verifySystem(*this, getZ(), getRate(), {getW(), getR()},
                          /*isSplit=*/hasTwoParts(getZ()))))
    return failure();
  return verifyBlocks(*this, getZ(), getBlock());
}

OpFoldResult EraseFactorOp::fold(FoldAdaptor adaptor) {
  // Nothing is erased twice: the system is the identity.
  if (!foldZero(adaptor.getL()))
    return {};
  return cast<SplatElementsAttr>(adaptor.getL())
      .resizeSplat(cast<ShapedType>(getZ().getType()));
}

//===----------------------------------------------------------------------===//
// cumsum, sum_to_middle, mask_rows, last_row, repeat_rows, sum_rows
//===----------------------------------------------------------------------===//

static LogicalResult verifyVectorOrMatrix(Operation *op, Value x) {
  int64_t rank = shapeOf(x).size();
  if (rank != 1 && rank != 2)
    return op->emitOpError()
           << "(C1) expected [rows] or [rows, channels], found " << x.getType();
  return success();
}

LogicalResult CumsumOp::verify() { return verifyVectorOrMatrix(*this, getX()); }

OpFoldResult CumsumOp::fold(FoldAdaptor adaptor) {
  if (shapeOf(getX())[0] == 1 && !getExclusive())
    return getX();
  return foldZero(adaptor.getX());
}

LogicalResult SumToMiddleOp::verify() {
  if (failed(verifyVectorOrMatrix(*this, getG())))
    return failure();
  if (static_cast<int64_t>(getHalf()) < 1)
    return emitOpError() << "(C2) expected a half of 1 or more tokens, found "
                         << static_cast<int64_t>(getHalf());
  return success();
}

/// Verifies an operation that counts the valid rows of `x` by tokens.
template <typename OpT> static LogicalResult verifyValidRows(OpT op) {
  if (failed(verifyVectorOrMatrix(op, op.getX())))
    return failure();
  int64_t rows = shapeOf(op.getX())[0];
  if (!wyvern::isCount(op.getRows()) ||
      rows < static_cast<int64_t>(op.getRows()))
    return op.emitOpError()
           << "(C2) expected 1 to " << rows << " rows a token, found "
           << static_cast<int64_t>(op.getRows());
  return success();
}

LogicalResult MaskRowsOp::verify() { return verifyValidRows(*this); }

LogicalResult LastRowOp::verify() {
  if (failed(verifyValidRows(*this)))
    return failure();
  if (shapeOf(getY()) != shapeOf(getX()).drop_front())
    return emitOpError() << "(C3) expected a row of " << getX().getType()
                         << ", found " << getY().getType();
  return success();
}

OpFoldResult MaskRowsOp::fold(FoldAdaptor adaptor) {
  auto inner = getX().getDefiningOp<MaskRowsOp>();
  if (inner && inner.getValid() == getValid() && inner.getRows() == getRows())
    return getX();
  return foldZero(adaptor.getX());
}

LogicalResult ConvRowOp::verify() {
  ArrayRef<int64_t> x = shapeOf(getX()), window = shapeOf(getWindow()),
                    filter = shapeOf(getFilter());
  bool fits = x.size() == 2 && window.size() == 2 && filter.size() == 2 &&
              x[0] == 1 && window[1] == x[1] && filter[0] == x[1] &&
              filter[1] == window[0] + 1;
  if (fits)
    return success();
  return emitOpError() << "(C1) expected one row of d channels, a window of "
                          "w - 1 rows of as many and a filter of d x w, found "
                       << getX().getType() << ", " << getWindow().getType()
                       << " and " << getFilter().getType();
}

/// Verifies that `half` is one of two halves of the columns of `whole`, behind
/// which it may have others.
static LogicalResult verifyHalf(Operation *op, Value half, Value whole) {
  ArrayRef<int64_t> a = shapeOf(half), x = shapeOf(whole);
  if (x.size() == 2 && a.size() == 2 && a[0] == x[0] && 2 * a[1] <= x[1])
    return success();
  return op->emitOpError() << "(C1) expected a matrix and halves of its "
                              "columns, found "
                           << whole.getType() << " and " << half.getType();
}

LogicalResult SplitColumnsOp::verify() {
  return verifyHalf(*this, getA(), getX());
}

LogicalResult JoinColumnsOp::verify() {
  return verifyHalf(*this, getA(), getY());
}

LogicalResult RepeatRowsOp::verify() {
  if (failed(verifyVectorOrMatrix(*this, getX())))
    return failure();
  ArrayRef<int64_t> x = shapeOf(getX()), y = shapeOf(getY());
  if (!wyvern::isCount(getN()) || x.size() != y.size() ||
      y[0] > x[0] * static_cast<int64_t>(getN()) ||
      y.drop_front() != x.drop_front())
    return emitOpError() << "(C2) expected at most "
                         << static_cast<int64_t>(getN())
                         << " result rows for each operand row, found "
                         << getX().getType() << " -> " << getY().getType();
  return success();
}

OpFoldResult RepeatRowsOp::fold(FoldAdaptor adaptor) {
  if (getN() == 1 && getX().getType() == getType())
    return getX();
  if (auto splat = dyn_cast_or_null<SplatElementsAttr>(adaptor.getX()))
    return splat.resizeSplat(cast<ShapedType>(getType()));
  return {};
}

LogicalResult SumRowsOp::verify() {
  if (failed(verifyVectorOrMatrix(*this, getX())))
    return failure();
  ArrayRef<int64_t> x = shapeOf(getX()), y = shapeOf(getY());
  if (!wyvern::isCount(getN()) || x.size() != y.size() ||
      x[0] > y[0] * static_cast<int64_t>(getN()) ||
      y.drop_front() != x.drop_front())
    return emitOpError() << "(C2) expected at most "
                         << static_cast<int64_t>(getN())
                         << " operand rows for each result row, found "
                         << getX().getType() << " -> " << getY().getType();
  return success();
}

OpFoldResult SumRowsOp::fold(FoldAdaptor adaptor) {
  return getN() == 1 && getX().getType() == getType() ? getX() : Value();
}

//===----------------------------------------------------------------------===//
// identity
//===----------------------------------------------------------------------===//

LogicalResult IdentityOp::verify() {
  ArrayRef<int64_t> shape = shapeOf(getY());
  if (shape.size() != 2 || shape[0] != shape[1])
    return emitOpError() << "(C1) expected a square matrix, found "
                         << getY().getType();
  return success();
}

//===----------------------------------------------------------------------===//
// level_rows
//===----------------------------------------------------------------------===//

LogicalResult LevelRowsOp::verify() {
  ArrayRef<int64_t> shape = shapeOf(getY());
  int64_t levels = getLevels(), rows = getRows();
  if (shape.size() != 1)
    return emitOpError() << "(C1) expected a vector, one entry a row, found "
                         << getY().getType();
  if (rows < 1 || shape[0] % rows != 0)
    return emitOpError() << "(C2) expected rows a token that divide the "
                         << shape[0] << " rows, found " << rows;
  if (levels < 1 || levels > kMaxLevels)
    return emitOpError() << "(C3) expected 1 to " << kMaxLevels
                         << " levels, found " << levels;
  if (getStart() && !shapeOf(getStart()).empty())
    return emitOpError() << "(C5) expected one number to start from, found "
                         << getStart().getType();
  auto program = dyn_cast<ChunkProgramOpInterface>((*this)->getParentOp());
  if (program && static_cast<int64_t>(program.getHeads()) % levels != 0)
    return emitOpError() << "(C4) expected a program with a head for each of "
                         << levels << " levels of each value head, found "
                         << static_cast<int64_t>(program.getHeads())
                         << " heads";
  return success();
}

namespace {
struct MergeRepeats : OpRewritePattern<RepeatRowsOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(RepeatRowsOp op,
                                PatternRewriter &rewriter) const override {
    auto inner = op.getX().getDefiningOp<RepeatRowsOp>();
    if (!inner)
      return rewriter.notifyMatchFailure(op, "repeats no repeated rows");
    rewriter.modifyOpInPlace(op, [&] {
      op.getXMutable().set(inner.getX());
      op.setN(inner.getN() * op.getN());
    });
    return success();
  }
};
} // namespace

void RepeatRowsOp::getCanonicalizationPatterns(RewritePatternSet &results,
                                               MLIRContext *context) {
  results.add<MergeRepeats>(context);
}
