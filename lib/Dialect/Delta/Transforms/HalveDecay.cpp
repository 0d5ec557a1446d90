//===- HalveDecay.cpp - A decay a channel in plain matrix products --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "GateTerms.h"
#include "OperandType.h"
#include "TermSums.h"

#include "wyvern/Dialect/Delta/Transforms/Passes.h"
#include "wyvern/Dialect/Delta/Utils/TileBuilder.h"

#include "mlir/Analysis/TopologicalSortUtils.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Dominance.h"
#include "mlir/Transforms/CSE.h"
#include "llvm/ADT/SetVector.h"

namespace mlir::wyvern::delta {
#define GEN_PASS_DEF_HALVEDECAYPASS
#include "wyvern/Dialect/Delta/Transforms/Passes.h.inc"
} // namespace mlir::wyvern::delta

using namespace mlir;
using namespace mlir::wyvern::delta;

/// Returns the gates of a decay product with one a channel; null for others.
static Value getChannelDecay(Operation *op) {
  Value g;
  if (auto dot = dyn_cast<DecayDotOp>(op))
    g = dot.getG();
  else if (auto apply = dyn_cast<DecayApplyOp>(op))
    g = apply.getG();
  return g && shapeOf(g).size() == 2 ? g : Value();
}

namespace {
/// Some of the pairs of a chunk: those of one token (near 1), of different ones
/// of one block of `near` tokens, or across the middle of a block of twice
/// `half`.
struct Pairs {
  int64_t near, half;
};

/// What a decay product, decay_dot or decay_apply, becomes.
class Halves {
public:
  template <typename OpT>
  Halves(ImplicitLocOpBuilder &b, OpT op)
      : b(b), op(op), g(op.getG()), mask(op.getMask()), rows(op.getRows()),
        beforeDecay(op.getBeforeDecay()),
        tile(b, cast<FloatType>(getElementTypeOrSelf(op->getResult(0)))) {}

  /// Makes what the product of some pairs multiplies.
  void prepare(Pairs pairs) {
    if (!hasPairs(pairs))
      return;
    b.setLoc(op->getLoc());
    if (auto dot = dyn_cast<DecayDotOp>(op)) {
      lhs = decayed(dot.getA(), pairs, /*isLeft=*/true);
      rhs = decayed(dot.getB(), pairs, /*isLeft=*/false);
      return;
    }
    auto apply = cast<DecayApplyOp>(op);
    lhs = masked(apply.getM(), pairs);
    rhs = decayed(apply.getX(), pairs, /*isLeft=*/apply.getTranspose());
    if (pairs.near == 1)
      takeScaleOfRows();
  }

  bool hasPairs(Pairs pairs) {
    int64_t tokens = shapeOf(g)[0];
    if (pairs.half)
      return pairs.half < tokens;
    if (pairs.near > 1)
      return tokens > 1;
    return mask == RowMask::upto_token ||
           (mask == RowMask::before_row && (rows[0] > 1 || rows[1] > 1));
  }

  /// True where the product of some pairs, once it is prepared, has factors
  /// that are its own: others cannot be added to it before these.
  bool isAlone(Pairs pairs) const {
    return isa<DecayDotOp>(op) || (pairs.near == 1 && rowScale);
  }

  /// Returns that product, with its factors.
  Value multiply(Pairs pairs) {
    b.setLoc(op->getLoc());
    if (isa<DecayDotOp>(op))
      return masked(timesTransposed(lhs, rhs), pairs);
    return tile.mul(contract(/*start=*/{}), rowScale);
  }

  /// Returns the product without the factor of its rows, added to `start` if
  /// there is one.
  Value contract(Value start) {
    b.setLoc(op->getLoc());
    return cast<DecayApplyOp>(op).getTranspose()
               ? tile.transposedMatmul(lhs, rhs, start)
               : tile.matmul(lhs, rhs, start);
  }

  /// Returns such products times the factor of their rows.
  Value scaled(Value product, Pairs pairs) {
    bool isLeft = !cast<DecayApplyOp>(op).getTranspose();
    return decayed(product, pairs, isLeft);
  }

  /// Returns such products times `weight` and the factor of their rows, of
  /// which the latter two are the other side's operand, rounded to `type`.
  Value weighed(Value product, Value weight, Pairs pairs, FloatType type) {
    if (pairs.near == 1)
      return tile.mul(weight, product);
    Value operand = scaled(weight, pairs);
    auto whole = cast<RankedTensorType>(operand.getType());
    Value rounded = arith::TruncFOp::create(b, whole.clone(type), operand);
    Value read = arith::ExtFOp::create(b, whole, rounded);
    return tile.mul(read, product);
  }

  /// True for a product with the same factor as `other` for its rows.
  bool canJoin(const Halves &other) const {
    auto mine = dyn_cast<DecayApplyOp>(op);
    auto its = dyn_cast<DecayApplyOp>(other.op);
    return mine && its && mine.getTranspose() == its.getTranspose() &&
           g == other.g && beforeDecay == other.beforeDecay &&
           rows == other.rows && mine.getR().getType() == its.getR().getType();
  }

  Operation *getOp() const { return op; }
  ImplicitLocOpBuilder &getBuilder() const { return b; }

private:
  /// Takes a scale of rows off what the diagonal matrix of a token with itself
  /// multiplies: it goes to the rows of the result. An in is exact then, where
  /// its scaled rows would be rounded: the gradients of both sides have this
  /// term, which is the largest under a strong decay, and that of a gate is the
  /// difference.
  void takeScaleOfRows() {
    rowScale = {};
    auto scaled = rhs.getDefiningOp<arith::MulFOp>();
    if (!scaled || rows[0] > 1 || rows[1] > 1)
      return;
    for (auto [x, scale] : {std::pair(scaled.getLhs(), scaled.getRhs()),
                            std::pair(scaled.getRhs(), scaled.getLhs())}) {
      auto spread = scale.getDefiningOp<linalg::BroadcastOp>();
      if (!spread || spread.getDimensions() != ArrayRef<int64_t>(1) ||
          !ChunkProgramOpInterface::getInOfTile(x))
        continue;
      rhs = x;
      rowScale = scale;
      return;
    }
  }

  /// `x` times the decay between each row's token and the middle of its block;
  /// `isLeft` says that its rows are the i of the formulas.
  Value decayed(Value x, Pairs pairs, bool isLeft) {
    if (pairs.near == 1)
      return x;
    bool isNear = pairs.near > 0;
    Value sums =
        SumToMiddleOp::create(b, g, isNear ? pairs.near / 2 : pairs.half,
                              isLeft && beforeDecay, isNear);
    Value factor = tile.exp(sums);
    if (int64_t repeat = rows[isLeft ? 0 : 1]; repeat > 1)
      factor = RepeatRowsOp::create(b, tile.type(shapeOf(x)), factor, repeat);
    if (isNear && !isLeft)
      return arith::DivFOp::create(b, x, factor);
    return tile.mul(x, factor);
  }

  /// The entries of `m` for such pairs.
  Value masked(Value m, Pairs pairs) {
    auto get = [&](int64_t size) {
      return size ? b.getI64IntegerAttr(size) : IntegerAttr();
    };
    return DecayMaskOp::create(b, m.getType(), m, /*g=*/Value(),
                               pairs.near > 1 ? RowMask::before_token : mask,
                               rows, /*before_decay=*/false, get(pairs.half),
                               get(pairs.near));
  }

  /// x y^T.
  Value timesTransposed(Value x, Value y) {
    AffineExpr m, n, k;
    bindDims(b.getContext(), m, n, k);
    auto map = [&](AffineExpr row, AffineExpr column) {
      return AffineMap::get(3, 0, {row, column}, b.getContext());
    };
    Value zero = tile.splat(0.0, {shapeOf(x)[0], shapeOf(y)[0]});
    return tile.contract(x, y, zero, {map(m, k), map(n, k), map(m, n)});
  }

  ImplicitLocOpBuilder &b;
  Operation *op;
  Value g;
  RowMask mask;
  ArrayRef<int64_t> rows;
  bool beforeDecay;
  TileBuilder tile;
  Value lhs, rhs;
  Value rowScale; ///< of the rows of a token with itself; null for none
};

/// Matrices of a map whose registers hold the gradient of a gate from the
/// first product on; a half of no chunk.
static constexpr int64_t kFewSums = 3,
                         kNever = std::numeric_limits<int32_t>::max();

namespace {
/// What gradients of gates have of the products, to which type operands of
/// these are rounded, and from how many tokens on a half is far.
struct Gates {
  GateTerms &terms;
  FloatType type;
  int64_t far;
};
} // namespace

/// Moves what `value` is made of in front of the last of `group`. Returns false
/// if it is made of one of them.
static bool moveBefore(Value value, ArrayRef<Operation *> group) {
  Operation *made = value.getDefiningOp();
  if (!made)
    return true; // an in is there from the beginning
  llvm::SetVector<Operation *> needed;
  needed.insert(made);
  for (size_t i = 0; i < needed.size(); ++i)
    for (Value operand : needed[i]->getOperands())
      if (Operation *def = operand.getDefiningOp())
        needed.insert(def);
  if (llvm::any_of(group, [&](Operation *op) { return needed.contains(op); }))
    return false;
  SmallVector<Operation *> ops = needed.takeVector();
  llvm::sort(ops,
             [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  for (Operation *op : ops)
    if (group.back()->isBeforeInBlock(op))
      op->moveBefore(group.back());
  return true;
}

/// Products that are terms of one sum and have one factor for their rows, which
/// their sum is multiplied by; or one product.
class JoinedProducts {
public:
  JoinedProducts(Halves &first, GateTerm term) : products{&first}, term(term) {}

  Halves &getFirst() const { return *products.front(); }
  size_t size() const { return products.size(); }
  void join(Halves &product) { products.push_back(&product); }

  /// Says that the sum is a part of what `other` adds up.
  void addTo(JoinedProducts &other) { owner = &other; }
  bool isPart() const { return owner; }

  /// Returns what gradients of gates have of them all.
  const GateTerm &getTerm() const { return term; }

  /// Adds the products of far pairs, which are prepared, to a sum of their own
  /// where gates have them. It begins with what is at hand.
  void addFar(Pairs pairs, Gates &gates) {
    if (!term.weight)
      return add(pairs, /*prepares=*/false, gates);
    Value sum; // without the factor
    for (Halves *product : products)
      if (product->hasPairs(pairs))
        sum = product->contract(sum);
    if (!sum)
      return;
    Value part = getFirst().scaled(sum, pairs);
    far =
        far ? arith::AddFOp::create(getFirst().getBuilder(), far, part) : part;
  }

  /// Lets far pairs be added to `start`, what all are added to, if gates have
  /// that as they have these. Returns false if not.
  bool takeStart(JoinedProducts &all, Gates &gates) {
    if (!all.total || !term.weight || !gates.terms.takeOther(term, all.total))
      return false;
    far = std::exchange(all.total, {});
    return true;
  }

  /// Adds the far pairs to the others, and to the gates.
  void endFar(Gates &gates) {
    if (!far)
      return;
    gates.terms.addOther(term, far);
    addPart(far);
  }

  /// Returns what this is a part of, or itself.
  JoinedProducts &getWhole() { return owner ? *owner : *this; }

  /// Adds the products of some pairs, which it `prepares` where they are not.
  void add(Pairs pairs, bool prepares, Gates &gates) {
    Value sum; // without the factor
    for (Halves *product : products) {
      if (!product->hasPairs(pairs))
        continue;
      if (prepares)
        product->prepare(pairs);
      if (!product->isAlone(pairs)) {
        sum = product->contract(sum);
        continue;
      }
      Value part = product->multiply(pairs);
      addPart(part);
      addToGates(part, pairs, gates);
    }
    if (!sum)
      return;
    addPart(getFirst().scaled(sum, pairs));
    addToGates(sum, pairs, gates);
  }

  /// Begins with what their sum is added to, if that is made of none of the
  /// `group`, in front of whose last it is moved: one tile is held, not two. An
  /// in is in memory until it is added; but where a gradient of gates begins
  /// with it too, beside three products and more, registers have no room for
  /// both times.
  void begin(ArrayRef<Operation *> group) {
    if (owner)
      return;
    Operation *op = getFirst().getOp();
    auto user = op->hasOneUse()
                    ? dyn_cast<arith::AddFOp>(*op->getUsers().begin())
                    : arith::AddFOp();
    if (!user || user.getLhs() == user.getRhs())
      return;
    Value rest = user.getOperand(user.getLhs() == op->getResult(0));
    bool isFirst =
        rest.getDefiningOp() || (group.size() > 2 && !rest.hasOneUse());
    if (!isFirst || !moveBefore(rest, group))
      return;
    total = rest;
    addition = user;
  }

  /// Replaces the first product, or what it is added to, by the sum of all; the
  /// others have no use.
  void replace(RewriterBase &rewriter) {
    if (addition || owner) {
      if (addition)
        rewriter.replaceOp(addition, total);
      for (Halves *product : products)
        rewriter.eraseOp(product->getOp());
      return;
    }
    if (!total) {
      Operation *op = getFirst().getOp();
      ImplicitLocOpBuilder b(op->getLoc(), rewriter);
      TileBuilder tile(b,
                       cast<FloatType>(getElementTypeOrSelf(op->getResult(0))));
      total = tile.splat(0.0, shapeOf(op->getResult(0)));
    }
    rewriter.replaceOp(getFirst().getOp(), total);
    for (Halves *product : llvm::drop_begin(products))
      rewriter.eraseOp(product->getOp());
  }

private:
  void addToGates(Value product, Pairs pairs, Gates &gates) {
    // A token with itself leaves nothing.
    if (!term.weight || (pairs.near == 1 && term.isPaired))
      return;
    Halves &first = getFirst();
    gates.terms.add(first.getBuilder(), term,
                    first.weighed(product, term.weight, pairs, gates.type));
  }

  void addPart(Value part) {
    if (owner)
      return owner->addPart(part);
    total = total ? arith::AddFOp::create(getFirst().getBuilder(), total, part)
                  : part;
  }

  SmallVector<Halves *> products;
  GateTerm term;
  JoinedProducts *owner = nullptr; ///< what this is a part of; null for none
  Value total;
  Value far; ///< the sum of far pairs, until it is added; null for none
  arith::AddFOp addition; ///< that `total` is in the place of; null for none
};
} // namespace

/// Returns the decay products of `block` in groups: those of one do not lead to
/// each other, so that they can be made together.
static SmallVector<SmallVector<Operation *>> findGroups(Block &block) {
  SmallVector<SmallVector<Operation *>> groups;
  llvm::SmallPtrSet<Operation *, 32> following; // what the last group leads to
  for (Operation &op : block) {
    bool follows = llvm::any_of(op.getOperands(), [&](Value operand) {
      return following.contains(operand.getDefiningOp());
    });
    bool isProduct = getChannelDecay(&op) != nullptr;
    if (isProduct && (groups.empty() || follows)) {
      groups.emplace_back();
      following.clear();
    }
    if (isProduct)
      groups.back().push_back(&op);
    if (isProduct || follows)
      following.insert(&op);
  }
  return groups;
}

/// Takes `op`, a term of a sum that another one is in too, out of it. Returns
/// false where the sum is not written so that it can.
static bool takeOut(RewriterBase &rewriter, Operation *op) {
  Operation *user = *op->getUsers().begin();
  Value rest = user->getOperand(user->getOperand(0) == op->getResult(0));
  if (user->getOperand(0) == user->getOperand(1) ||
      (isa<arith::SubFOp>(user) && rest == user->getOperand(1)))
    return false;
  rewriter.replaceOp(user, rest);
  return true;
}

/// A sum, by its root, that something is a term of, and if it is taken off
/// there; null for none.
using TermOf = std::pair<Operation *, bool>;

static TermOf findTerm(Operation *op, const TermSums &sums) {
  for (const TermSum &sum : sums.get())
    for (const SumTerm &term : sum.terms)
      if (term.value.getDefiningOp() == op && !term.scan && op->hasOneUse())
        return {sum.root, term.isSubtracted};
  return {nullptr, false};
}

/// Joins the decay products of a group that are terms of one sum.
static std::vector<JoinedProducts> joinTerms(RewriterBase &rewriter,
                                             MutableArrayRef<Halves> products,
                                             const TermSums &sums,
                                             const GateTerms &gates) {
  // They know each other: none moves.
  std::vector<JoinedProducts> joined;
  joined.reserve(products.size());
  SmallVector<TermOf> terms;
  for (Halves &product : products) {
    TermOf term = findTerm(product.getOp(), sums);
    GateTerm ofGate = gates.lookup(product.getOp());
    auto isWith = [&](size_t other) {
      return term.first && terms[other] == term &&
             ofGate == joined[other].getTerm() &&
             product.canJoin(joined[other].getFirst());
    };
    auto numbers = llvm::seq<size_t>(0, joined.size());
    auto found = llvm::find_if(numbers, isWith);
    if (found != numbers.end() && takeOut(rewriter, product.getOp())) {
      joined[*found].join(product);
      continue;
    }
    // One with other factors is added behind them: one tile is held, not two.
    auto isOfSum = [&](size_t other) {
      return term.first && terms[other] == term && !joined[other].isPart();
    };
    found = llvm::find_if(numbers, isOfSum);
    bool isPart = found != numbers.end() && takeOut(rewriter, product.getOp());
    joined.emplace_back(product, ofGate);
    terms.push_back(term);
    if (isPart)
      joined.back().addTo(joined[*found]);
  }
  return joined;
}

/// Makes the products across far halves. What gates have of them is made of
/// their sums, once. Returns the least half that is made.
static int64_t makeFar(ImplicitLocOpBuilder &b, ArrayRef<Operation *> group,
                       MutableArrayRef<Halves> products,
                       MutableArrayRef<JoinedProducts> joined, Gates &gates) {
  int64_t end = 1;
  for (Operation *op : group)
    end = std::max(end, shapeOf(getChannelDecay(op))[0]);
  end = llvm::PowerOf2Ceil(end);
  if (gates.far >= end)
    return end;
  for (JoinedProducts &all : joined)
    all.takeStart(all.getWhole(), gates);
  for (; end > gates.far; end /= 2) {
    int64_t half = end / 2;
    for (Halves &product : products)
      product.prepare({0, half});
    for (JoinedProducts &all : joined)
      all.addFar({0, half}, gates);
  }
  for (JoinedProducts &all : joined) {
    for (const GateAddend &other : gates.terms.getOthers(all.getTerm()))
      if (other.value.getDefiningOp())
        moveBefore(other.value, group);
    all.endFar(gates);
  }
  gates.terms.begin(b, b.getLoc());
  return end;
}

/// Makes the decay products of a group half by half, behind the pairs of one
/// token and of `near` ones: what they share is then in use for the time of
/// one. Returns how many are added to another one.
static int64_t halve(RewriterBase &rewriter, ArrayRef<Operation *> group,
                     Gates &gates, int64_t near) {
  rewriter.setInsertionPoint(group.back());
  ImplicitLocOpBuilder b(group.back()->getLoc(), rewriter);
  SmallVector<Halves, 4> products;
  int64_t tokens = 0;
  for (Operation *op : group) {
    tokens = std::max(tokens, shapeOf(getChannelDecay(op))[0]);
    if (auto dot = dyn_cast<DecayDotOp>(op))
      products.emplace_back(b, dot);
    else
      products.emplace_back(b, cast<DecayApplyOp>(op));
  }
  TermSums sums(*group.front()->getBlock());
  std::vector<JoinedProducts> joined =
      joinTerms(rewriter, products, sums, gates.terms);
  for (JoinedProducts &all : joined)
    all.begin(group);
  bool isOfGates = llvm::any_of(joined, [](const JoinedProducts &all) {
    return all.getTerm().weight != nullptr;
  });
  int64_t end = isOfGates ? makeFar(b, group, products, joined, gates)
                          : tokens; // halves from here on are made
  for (JoinedProducts &all : joined)
    if (Value start = gates.terms.getSum(all.getTerm()))
      moveBefore(start, group);
  // An operand of near tokens on both sides is two: one product at a time.
  SmallVector<int64_t> blocks = {1};
  if (near > 1)
    blocks.push_back(near);
  for (int64_t block : blocks)
    for (JoinedProducts &all : joined)
      all.add({block, 0}, /*prepares=*/true, gates);
  for (int64_t half = near; half < end; half *= 2) {
    for (Halves &product : products)
      product.prepare({0, half});
    for (JoinedProducts &all : joined)
      all.add({0, half}, /*prepares=*/false, gates);
  }
  for (JoinedProducts &all : joined)
    all.replace(rewriter);
  return static_cast<int64_t>(products.size() - joined.size());
}

namespace {
struct HalveDecayPass
    : wyvern::delta::impl::HalveDecayPassBase<HalveDecayPass> {
  using Base::Base;

  void runOnOperation() override {
    if (near < 1 || !llvm::isPowerOf2_64(near)) {
      getOperation()->emitError()
          << "expected near to be a power of two, found " << near.getValue();
      return signalPassFailure();
    }
    FloatType type = readOperandType(&getContext(), operandType);
    if (!type && !operandType.empty()) {
      getOperation()->emitError()
          << "expected operand-type bf16, f16 or nothing, found '"
          << operandType << "': matmul operands have 16 bits";
      return signalPassFailure();
    }
    IRRewriter rewriter(&getContext());
    bool changed = false;
    getOperation()->walk([&](ChunkProgramOpInterface program) {
      GateTerms terms;
      if (type)
        numGateSumsLeft += terms.take(rewriter, program.getBlock(), mostSums);
      bool holdsFew = countMatrices(program.getBlock()) <= kFewSums;
      Gates gates = {terms, type, holdsFew ? kNever : std::max(+near, +far)};
      for (ArrayRef<Operation *> group : findGroups(program.getBlock())) {
        numHalved += group.size();
        numJoined += halve(rewriter, group, gates, near);
        changed = true;
      }
      numGateTerms += terms.finish(rewriter);
      // A group stands where its last product did.
      sortTopologically(&program.getBlock());
    });
    if (!changed)
      return markAllAnalysesPreserved();
    // Decay products of one chunk have the same factors.
    DominanceInfo dominance(getOperation());
    eliminateCommonSubExpressions(rewriter, dominance, getOperation());
  }
};
} // namespace
