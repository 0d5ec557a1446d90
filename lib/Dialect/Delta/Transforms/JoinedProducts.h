//===- JoinedProducts.h - Products with one factor of rows ------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_JOINEDPRODUCTS_H
#define WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_JOINEDPRODUCTS_H

#include "DecayHalves.h"
#include "GateTerms.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

namespace mlir::wyvern::delta {

/// What gradients of gates have of the products, to which type operands of
/// these are rounded, and from how many tokens on a half is far.
struct HalvedGates {
  GateTerms &terms;
  FloatType type;
  int64_t far;
};

/// Moves what `value` is made of in front of the last of `group`. Returns false
/// if it is made of one of them.
bool moveBefore(Value value, ArrayRef<Operation *> group);

/// Products that are terms of one sum and have one factor for their rows, which
/// their sum is multiplied by; or one product.
class JoinedProducts {
public:
  JoinedProducts(DecayHalves &first, GateTerm term)
      : products{&first}, term(term) {}

  DecayHalves &getFirst() const { return *products.front(); }
  void join(DecayHalves &product) { products.push_back(&product); }

  /// Says that the sum is a part of what `other` adds up.
  void addTo(JoinedProducts &other) { owner = &other; }
  bool isPart() const { return owner; }
  /// Returns what this is a part of, or itself.
  JoinedProducts &getWhole() { return owner ? *owner : *this; }

  /// Returns what gradients of gates have of them all.
  const GateTerm &getTerm() const { return term; }

  /// Begins with what their sum is added to, if that is made of none of the
  /// `group`, in front of whose last it is moved: one tile is held, not two. An
  /// in is in memory until it is added; but where a gradient of gates begins
  /// with it too, beside three products and more, registers have no room for
  /// both times.
  void begin(ArrayRef<Operation *> group);
  /// Lets far pairs be added to what `all` begins with, if gates have that as
  /// they have these.
  void takeStart(JoinedProducts &all, HalvedGates &gates);
  /// Adds the products of far pairs, which are prepared, to a sum of their own
  /// where gates have them. It begins with what is at hand.
  void addFar(TokenPairs pairs, HalvedGates &gates);
  /// Adds the far pairs to the others, and to the gates.
  void endFar(HalvedGates &gates);
  /// Adds the products of some pairs, which it `prepares` where they are not.
  void add(TokenPairs pairs, bool prepares, HalvedGates &gates);
  /// Replaces the first product, or what it is added to, by the sum of all; the
  /// others have no use.
  void replace(RewriterBase &rewriter);

private:
  void addToGates(Value product, TokenPairs pairs, HalvedGates &gates);
  void addPart(Value part);

  SmallVector<DecayHalves *> products;
  GateTerm term;
  JoinedProducts *owner = nullptr; ///< what this is a part of; null for none
  Value total;
  Value far; ///< the sum of far pairs, until it is added; null for none
  arith::AddFOp addition; ///< that `total` is in the place of; null for none
};

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_JOINEDPRODUCTS_H
