//===- GateTerms.cpp - What gradients of gates take of products -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "GateTerms.h"

#include "Remarks.h"

#include "wyvern/Dialect/Delta/IR/ChunkRegion.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

namespace {
/// A sum as a list of terms. Factors of sums that have a product with a decay
/// are factors of their terms.
class Terms {
public:
  explicit Terms(Value sum) { collect(sum, {}, /*isSubtracted=*/false); }

  SmallVector<GateAddend> products, others;

private:
  void collect(Value value, Value weight, bool isSubtracted);
  bool collectFactors(Value value, bool isSubtracted);
};
} // namespace

/// Returns the product with a decay a channel that makes `value`; null for
/// other values.
static DecayApplyOp getProduct(Value value) {
  auto apply = value.getDefiningOp<DecayApplyOp>();
  bool isOfChannels =
      apply && apply.getG() &&
      cast<RankedTensorType>(apply.getG().getType()).getRank() == 2;
  return isOfChannels ? apply : DecayApplyOp();
}

/// True if `value` is a sum that has such a product.
static bool hasProduct(Value value) {
  Operation *def = value.getDefiningOp();
  if (isa_and_nonnull<arith::AddFOp, arith::SubFOp>(def))
    return llvm::any_of(def->getOperands(), hasProduct);
  return getProduct(value) != nullptr;
}

/// Takes `value`, if it is a sum with such products times something, apart.
bool Terms::collectFactors(Value value, bool isSubtracted) {
  auto product = value.getDefiningOp<arith::MulFOp>();
  if (!product)
    return false;
  for (auto [sum, weight] : {std::pair(product.getLhs(), product.getRhs()),
                             std::pair(product.getRhs(), product.getLhs())})
    if (hasProduct(sum) && !hasProduct(weight)) {
      collect(sum, weight, isSubtracted);
      return true;
    }
  return false;
}

void Terms::collect(Value value, Value weight, bool isSubtracted) {
  Operation *def = value.getDefiningOp();
  if (isa_and_nonnull<arith::AddFOp, arith::SubFOp>(def)) {
    collect(def->getOperand(0), weight, isSubtracted);
    bool isTaken = isSubtracted != isa<arith::SubFOp>(def);
    return collect(def->getOperand(1), weight, isTaken);
  }
  if (!weight && collectFactors(value, isSubtracted))
    return;
  bool isProduct = weight && getProduct(value);
  (isProduct ? products : others).push_back({value, weight, isSubtracted});
}

/// Adds `term` to `sum`, which is null for none.
static Value addTerm(OpBuilder &b, Location loc, Value sum,
                     const GateAddend &term) {
  Value value = term.value;
  if (term.weight)
    value = arith::MulFOp::create(b, loc, term.weight, value);
  if (sum && term.isSubtracted)
    return arith::SubFOp::create(b, loc, sum, value);
  if (sum)
    return arith::AddFOp::create(b, loc, sum, value);
  return term.isSubtracted ? arith::NegFOp::create(b, loc, value) : value;
}

/// Adds `terms` up; those of one weight first, which is a factor of their sum.
/// Returns null if there are none.
static Value addTerms(OpBuilder &b, Location loc, ArrayRef<GateAddend> terms) {
  llvm::SmallMapVector<Value, Value, 2> sums;
  Value total;
  for (const GateAddend &term : terms) {
    if (!term.weight) {
      total = addTerm(b, loc, total, term);
      continue;
    }
    Value &sum = sums[term.weight];
    sum = addTerm(b, loc, sum, {term.value, {}, term.isSubtracted});
  }
  for (auto [weight, sum] : sums)
    total = addTerm(b, loc, total, {sum, weight, /*isSubtracted=*/false});
  return total;
}

/// True if `a` and `b` are the two sides of one product with a decay: what they
/// have of a pair of rows is the same, with opposite signs.
static bool areSides(const GateAddend &a, const GateAddend &b) {
  DecayApplyOp first = getProduct(a.value), second = getProduct(b.value);
  return first.getTranspose() != second.getTranspose() &&
         a.isSubtracted != b.isSubtracted && a.weight == second.getX() &&
         b.weight == first.getX() && first.getM() == second.getM() &&
         first.getG() == second.getG() && first.getMask() == second.getMask() &&
         first.getRows() == second.getRows() &&
         first.getBeforeDecay() == second.getBeforeDecay();
}

int64_t delta::countMatrices(Block &block) {
  return llvm::count_if(block.getTerminator()->getOperands(),
                        [](Value value) { return getTileRank(value) == 2; });
}

/// Erases what makes `value` and has no use, but for what makes a weight of
/// `products`, which will have one.
static void eraseDead(RewriterBase &rewriter, Value value,
                      ArrayRef<GateAddend> products) {
  Operation *def = value.getDefiningOp();
  bool isWeight = llvm::any_of(
      products, [&](const GateAddend &term) { return term.weight == value; });
  if (!def || isWeight || !isOpTriviallyDead(def))
    return;
  SmallVector<Value> operands(def->getOperands());
  rewriter.eraseOp(def);
  for (Value operand : operands)
    eraseDead(rewriter, operand, products);
}

int64_t GateTerms::take(RewriterBase &rewriter, Block &block,
                        int64_t mostSums) {
  int64_t numLeft = 0;
  for (CumsumOp scan : llvm::to_vector(block.getOps<CumsumOp>())) {
    if (!scan.getReverse() || scan.getExclusive())
      continue;
    Value before = scan.getX();
    Terms found(before);
    // A pair leaves nothing where both of its sides are here.
    if (found.products.size() < 2)
      continue;
    if (countMatrices(block) > mostSums) {
      emitMissedRemark(scan, "delta-halve-decay",
                       "the gradient of a gate is made beside more sums than "
                       "registers hold: pairs of later tokens leave what "
                       "rounding makes of them");
      ++numLeft;
      continue;
    }
    OpBuilder::InsertionGuard guard(rewriter);
    rewriter.setInsertionPoint(scan);
    Location loc = scan.getLoc();
    auto place = arith::ConstantOp::create(
        rewriter, loc, rewriter.getZeroAttr(before.getType()));
    for (const GateAddend &term : found.products) {
      bool isPaired =
          llvm::any_of(found.products, [&](const GateAddend &other) {
            return areSides(term, other);
          });
      terms[term.value.getDefiningOp()] = {term.weight, term.isSubtracted,
                                           isPaired, place};
    }
    // What is added first makes room for what it is made of.
    sums[place] = addTerms(rewriter, loc, found.others);
    others[place] = std::move(found.others);
    rewriter.modifyOpInPlace(scan, [&] { scan.getXMutable().assign(place); });
    eraseDead(rewriter, before, found.products);
  }
  return numLeft;
}

ArrayRef<GateAddend> GateTerms::getOthers(const GateTerm &term) const {
  auto found = others.find(term.place);
  return found == others.end() ? ArrayRef<GateAddend>() : found->second;
}

bool GateTerms::takeOther(const GateTerm &term, Value value) {
  SmallVector<GateAddend> &addends = others[term.place];
  auto found = llvm::find_if(addends, [&](const GateAddend &other) {
    return other.value == value && other.weight == term.weight &&
           other.isSubtracted == term.isSubtracted;
  });
  if (found == addends.end())
    return false;
  addends.erase(found);
  return true;
}

void GateTerms::addOther(const GateTerm &term, Value value) {
  SmallVector<GateAddend> &addends = others[term.place];
  GateAddend addend = {value, term.weight, term.isSubtracted};
  // A difference needs no negation where what it is of comes first.
  addends.insert(term.isSubtracted ? addends.end() : addends.begin(), addend);
}

void GateTerms::begin(OpBuilder &b, Location loc) {
  for (auto &[place, sum] : sums)
    sum = addTerms(b, loc, others[place]);
}

void GateTerms::add(OpBuilder &b, const GateTerm &term, Value part) {
  Value &sum = sums[term.place];
  sum = addTerm(b, part.getLoc(), sum, {part, {}, term.isSubtracted});
}

int64_t GateTerms::finish(RewriterBase &rewriter) {
  for (auto [place, sum] : sums)
    if (sum)
      rewriter.replaceOp(place, sum);
  return static_cast<int64_t>(terms.size());
}
