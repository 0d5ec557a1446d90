//===- HalveDecay.cpp - A decay a channel in plain matrix products --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "JoinedProducts.h"
#include "OperandType.h"
#include "TermSums.h"

#include "wyvern/Dialect/Delta/Transforms/Passes.h"
#include "wyvern/Dialect/Delta/Utils/ChannelDecay.h"

#include "mlir/Analysis/TopologicalSortUtils.h"
#include "mlir/IR/Dominance.h"
#include "mlir/Transforms/CSE.h"

namespace mlir::wyvern::delta {
#define GEN_PASS_DEF_HALVEDECAYPASS
#include "wyvern/Dialect/Delta/Transforms/Passes.h.inc"
} // namespace mlir::wyvern::delta

using namespace mlir;
using namespace mlir::wyvern::delta;

/// Matrices of a map whose registers hold the gradient of a gate from the
/// first product on; a half of no chunk.
static constexpr int64_t kFewSums = 3,
                         kNever = std::numeric_limits<int32_t>::max();

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
static std::vector<JoinedProducts>
joinTerms(RewriterBase &rewriter, MutableArrayRef<DecayHalves> products,
          const TermSums &sums, const GateTerms &gates) {
  // They know each other: none moves.
  std::vector<JoinedProducts> joined;
  joined.reserve(products.size());
  SmallVector<TermOf> terms;
  for (DecayHalves &product : products) {
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
                       MutableArrayRef<DecayHalves> products,
                       MutableArrayRef<JoinedProducts> joined,
                       HalvedGates &gates) {
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
    for (DecayHalves &product : products)
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
                     HalvedGates &gates, int64_t near) {
  rewriter.setInsertionPoint(group.back());
  ImplicitLocOpBuilder b(group.back()->getLoc(), rewriter);
  SmallVector<DecayHalves, 4> products;
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
    for (DecayHalves &product : products)
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
      HalvedGates gates = {terms, type,
                           holdsFew ? kNever : std::max(+near, +far)};
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
