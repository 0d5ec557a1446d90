//===- GateTerms.h - What gradients of gates take of products ---*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The gradient of a gate a channel is a reverse running sum of rows,
//
//     q * dq - k * dk,    dq_i = sum_j m_ij d_ij k_j,  dk_j = sum_i m_ij d_ij
//     q_i,
//
// in which a pair of tokens that both come later stands twice, with both signs.
// Rounded operands of the products of dq and dk are not the q and k that it is
// multiplied by: what is left of such a pair is as large as what pairs across
// the token add up to, and all later ones leave something. Multiplied by the
// rounded operand of the other product a pair leaves nothing:
//
//     (q d_i) * (m (k / d)) - (k / d) * (m^T (q d_i)).
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_GATETERMS_H
#define WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_GATETERMS_H

#include "wyvern/Dialect/Delta/IR/Delta.h"

#include "mlir/IR/PatternMatch.h"

namespace mlir::wyvern::delta {

/// A product that a sum of a gate's gradient has `weight` times.
struct GateTerm {
  Value weight; ///< null for a product that no such sum has
  bool isSubtracted = false;
  bool isPaired = false;      ///< the other side is a term of the sum too
  Operation *place = nullptr; ///< what stands for the terms in that sum

  bool operator==(const GateTerm &other) const {
    return weight == other.weight && isSubtracted == other.isSubtracted &&
           isPaired == other.isPaired && place == other.place;
  }
};

/// What else a sum adds, or takes away: `value`, times `weight` if there is
/// one.
struct GateAddend {
  Value value, weight;
  bool isSubtracted;
};

/// Returns how many matrices `block` makes, each of them a sum that is held.
int64_t countMatrices(Block &block);

/// The products with a decay a channel that gradients of gates have, and the
/// sums of what they become.
class GateTerms {
public:
  /// Takes the terms of such products out of the reverse running sums of
  /// `block`, if that makes at most `mostSums` matrices. Returns how many
  /// running sums it leaves.
  int64_t take(RewriterBase &rewriter, Block &block, int64_t mostSums);

  /// Returns what the gradient of a gate has of `product`; nothing if it has
  /// none of it.
  GateTerm lookup(Operation *product) const { return terms.lookup(product); }
  /// Returns the sum so far that `term` is added to; null for none.
  Value getSum(const GateTerm &term) const { return sums.lookup(term.place); }
  /// Returns what that sum begins with.
  ArrayRef<GateAddend> getOthers(const GateTerm &term) const;
  /// Takes `value` out of what the sum of `term` begins with, if it is there as
  /// `term` is, times its weight. Returns false if it is not.
  bool takeOther(const GateTerm &term, Value value);
  /// Lets the sum of `term` begin with `value` as well, times the weight.
  void addOther(const GateTerm &term, Value value);
  /// Makes what sums begin with anew, in front of `b`. Nothing was added yet.
  void begin(OpBuilder &b, Location loc);
  /// Adds a part of the terms that `term` stands for, in front of `b`.
  void add(OpBuilder &b, const GateTerm &term, Value part);
  /// Puts what was added where the terms have been. Returns how many products
  /// were terms.
  int64_t finish(RewriterBase &rewriter);

private:
  llvm::DenseMap<Operation *, GateTerm> terms;
  llvm::SmallMapVector<Operation *, Value, 2> sums; ///< by their place
  llvm::DenseMap<Operation *, SmallVector<GateAddend>> others; ///< the same
};

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_GATETERMS_H
