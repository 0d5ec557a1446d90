//===- DecayedProducts.cpp - Products that share gates and rows -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/Analysis/DecayedProducts.h"

#include "wyvern/Dialect/Delta/IR/ChunkRegion.h"
#include "wyvern/Dialect/Delta/IR/Splat.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

/// Tokens of a chunk, and those of a block that is one product.
static constexpr int64_t kTokens = 64, kNear = 8;
/// Halves of the blocks that are joined, the first of near tokens.
static constexpr int64_t kHalves[] = {kNear / 2, 8, 16, 32};
static constexpr int64_t kMostProducts = 2;
/// What makes all of them takes gates for no less (tile.decayed_products).
static constexpr double kLeastGate = -104;

namespace {
/// An operand of a product: rows, times or over the exp of sums; null sums for
/// rows as they are.
struct Operand {
  Value rows;
  SumToMiddleOp sums;
  bool isOver = false;
};

class Finder {
public:
  Finder(Block &block, function_ref<bool(Value, bool)> isIn,
         function_ref<bool(Value)> isOut)
      : block(block), isIn(isIn), isOut(isOut) {}

  std::optional<DecayedProducts> find();

private:
  /// Notes that `op` is one of those found, and returns it; null stays null.
  template <typename OpT> OpT note(OpT op) {
    if (op)
      found.ops.insert(op);
    return op;
  }
  template <typename OpT> OpT noteDef(Value value) {
    return note(value.getDefiningOp<OpT>());
  }
  std::optional<Operand> getOperand(Value value);
  /// Returns the sums that `factor` is the exp of.
  template <typename OpT> OpT getExponent(Value factor);
  bool addTerm(DecayMaskOp mask, DecayedProducts::Product &product,
               SmallVectorImpl<int64_t> &halves);
  bool addProduct(DecayMaskOp near);
  void takeBound();
  void addScaled(arith::MulFOp op);
  void addTotal(linalg::ReduceOp op);
  bool isClosed();

  Block &block;
  function_ref<bool(Value, bool)> isIn;
  function_ref<bool(Value)> isOut;
  Value summed; ///< the gates as sums read them
  DecayedProducts found;
};
} // namespace

SmallVector<Value> DecayedProducts::getRows() const {
  SmallVector<Value> rows = {right};
  for (const Product &product : products)
    if (!llvm::is_contained(rows, product.left))
      rows.push_back(product.left);
  return rows;
}

bool DecayedProducts::stores(Operation *op) const {
  auto isStored = [&](Value value) {
    return value && llvm::is_contained(op->getOperands(), value);
  };
  return isStored(total) || llvm::any_of(scaled, [&](const Scaled &rows) {
           return isStored(rows.value);
         });
}

template <typename OpT> OpT Finder::getExponent(Value factor) {
  auto exp = factor.getDefiningOp<math::ExpOp>();
  auto sums = exp ? exp.getOperand().getDefiningOp<OpT>() : OpT();
  if (sums)
    note(exp);
  return note(sums);
}

std::optional<Operand> Finder::getOperand(Value value) {
  auto rounded = noteDef<arith::TruncFOp>(value);
  if (!rounded || !getElementTypeOrSelf(rounded.getType()).isBF16())
    return std::nullopt;
  Value scaled = rounded.getIn();
  if (isIn(scaled, /*isGate=*/false))
    return Operand{scaled, {}};
  Operation *op = scaled.getDefiningOp();
  if (!isa_and_nonnull<arith::MulFOp, arith::DivFOp>(op) ||
      !isIn(op->getOperand(0), /*isGate=*/false))
    return std::nullopt;
  auto sums = getExponent<SumToMiddleOp>(op->getOperand(1));
  if (!sums || sums.getBeforeDecay())
    return std::nullopt;
  found.ops.insert(op);
  return Operand{op->getOperand(0), sums, isa<arith::DivFOp>(op)};
}

/// True for a product of rows by rows over their columns.
static bool isOfRows(linalg::ContractOp op) {
  AffineExpr i, j, k;
  bindDims(op.getContext(), i, j, k);
  using Exprs = ArrayRef<AffineExpr>;
  auto maps = AffineMap::inferFromExprList(
      {Exprs{i, k}, Exprs{j, k}, Exprs{i, j}}, op.getContext());
  return op.getIndexingMapsArray() == maps && isZero(op.getOutputs().front());
}

/// Adds what `mask` lets pass to `product`: the diagonal, or the half whose
/// number `halves` gets.
bool Finder::addTerm(DecayMaskOp mask, DecayedProducts::Product &product,
                     SmallVectorImpl<int64_t> &halves) {
  auto contract = noteDef<linalg::ContractOp>(mask.getM());
  bool isPlain = !mask.getG() && !mask.getBeforeDecay() &&
                 mask.getRows() == ArrayRef<int64_t>{1, 1} && contract &&
                 contract->hasOneUse() && isOfRows(contract);
  if (!isPlain)
    return false;
  std::optional<Operand> a = getOperand(contract.getInputs()[0]);
  std::optional<Operand> b = getOperand(contract.getInputs()[1]);
  if (!a || !b || a->sums != b->sums || a->isOver)
    return false;
  if ((product.left && product.left != a->rows) ||
      (found.right && found.right != b->rows))
    return false;
  product.left = a->rows;
  found.right = b->rows;
  if (!a->sums) {
    bool isFirst = !std::exchange(product.hasDiagonal, true);
    return isFirst && mask.getNear() == 1 &&
           mask.getMask() == RowMask::upto_token;
  }
  if (summed && summed != a->sums.getG())
    return false;
  summed = a->sums.getG();
  int64_t half = a->sums.getHalf();
  halves.push_back(half);
  if (half == kHalves[0])
    return a->sums.getIsSigned() && b->isOver && mask.getNear() == kNear &&
           mask.getMask() == RowMask::before_token;
  return !a->sums.getIsSigned() && !b->isOver && mask.getHalf() == half;
}

/// Adds the product that the one of near tokens `near` is a term of.
bool Finder::addProduct(DecayMaskOp near) {
  DecayedProducts::Product product = {{}, near.getR(), false};
  while (product.sum.hasOneUse() &&
         isa<arith::AddFOp>(*product.sum.user_begin()))
    product.sum = product.sum.user_begin()->getResult(0);
  SmallVector<int64_t> halves;
  SmallVector<Value> worklist = {product.sum};
  while (!worklist.empty()) {
    Value value = worklist.pop_back_val();
    if (auto sum = noteDef<arith::AddFOp>(value))
      worklist.append({sum.getLhs(), sum.getRhs()});
    else if (auto mask = noteDef<DecayMaskOp>(value);
             !mask || !addTerm(mask, product, halves))
      return false;
  }
  llvm::sort(halves);
  found.products.push_back(product);
  return ArrayRef(halves) == ArrayRef(kHalves);
}

void Finder::addScaled(arith::MulFOp op) {
  if (!isOut(op.getResult()) ||
      !llvm::is_contained(found.getRows(), op.getLhs()))
    return;
  auto exp = op.getRhs().getDefiningOp<math::ExpOp>();
  auto sums = exp ? exp.getOperand().getDefiningOp<CumsumOp>() : CumsumOp();
  if (!sums || sums.getX() != summed ||
      sums.getReverse() != sums.getExclusive())
    return;
  found.ops.insert({op, exp, sums});
  found.scaled.push_back({op.getLhs(), op.getResult(), sums.getReverse()});
}

void Finder::addTotal(linalg::ReduceOp op) {
  if (found.total || op.getInputs().front() != summed ||
      op.getDimensions() != ArrayRef<int64_t>(0) || !op->hasOneUse() ||
      !isa<arith::AddFOp>(op.getBody()->front()) ||
      !isZero(op.getInits().front()))
    return;
  auto exp = dyn_cast<math::ExpOp>(*op->user_begin());
  if (!exp || !isOut(exp.getResult()))
    return;
  found.ops.insert({op, exp});
  found.total = exp.getResult();
}

/// Finds the gates of an in: those that are summed, or bounded for that.
void Finder::takeBound() {
  found.g = summed;
  auto bound = summed.getDefiningOp<arith::MaximumFOp>();
  Value gates = getBounded(summed);
  if (!gates || getSplat(bound.getRhs()) != kLeastGate)
    return;
  note(bound);
  found.g = gates;
}

/// True if nobody else reads what the operations read and make.
bool Finder::isClosed() {
  auto isKnown = [&](Operation *user) { return found.ops.contains(user); };
  SmallVector<Value> ins = found.getRows();
  ins.append({found.g, summed});
  for (Value in : ins)
    if (!llvm::all_of(in.getUsers(), isKnown))
      return false;
  llvm::SmallPtrSet<Value, 8> results = {found.total};
  for (const DecayedProducts::Product &product : found.products)
    results.insert(product.sum);
  for (const DecayedProducts::Scaled &scaled : found.scaled)
    results.insert(scaled.value);
  return llvm::all_of(found.ops, [&](Operation *op) {
    return results.contains(op->getResult(0)) ||
           llvm::all_of(op->getUsers(), isKnown);
  });
}

std::optional<DecayedProducts> Finder::find() {
  for (auto mask : block.getOps<DecayMaskOp>())
    if (mask.getNear() == kNear && !addProduct(mask))
      return std::nullopt;
  size_t products = found.products.size();
  if (products == 0 || products > kMostProducts)
    return std::nullopt;
  takeBound();
  if (!isIn(found.g, /*isGate=*/true) ||
      cast<RankedTensorType>(found.g.getType()).getDimSize(0) != kTokens)
    return std::nullopt;
  for (auto op : block.getOps<arith::MulFOp>())
    addScaled(op);
  for (auto op : block.getOps<linalg::ReduceOp>())
    addTotal(op);
  if (found.scaled.empty() || !isClosed())
    return std::nullopt;
  return std::move(found);
}

std::optional<DecayedProducts>
delta::findDecayedProducts(Block &block, function_ref<bool(Value, bool)> isIn,
                           function_ref<bool(Value)> isOut) {
  return Finder(block, isIn, isOut).find();
}
