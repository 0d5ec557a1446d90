//===- DecayHalves.h - A product with a decay, half by half -----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_DECAYHALVES_H
#define WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_DECAYHALVES_H

#include "wyvern/Dialect/Delta/IR/Delta.h"
#include "wyvern/Dialect/Delta/Utils/TileBuilder.h"

namespace mlir::wyvern::delta {

/// Some of the pairs of a chunk: those of one token (near 1), of different ones
/// of one block of `near` tokens, or across the middle of a block of twice
/// `half`.
struct TokenPairs {
  int64_t near, half;
};

/// What a decay product, decay_dot or decay_apply, becomes: a plain product of
/// scaled operands for each kind of pairs.
class DecayHalves {
public:
  template <typename OpT>
  DecayHalves(ImplicitLocOpBuilder &b, OpT op)
      : b(b), op(op), g(op.getG()), mask(op.getMask()), rows(op.getRows()),
        beforeDecay(op.getBeforeDecay()),
        tile(b, cast<FloatType>(getElementTypeOrSelf(op->getResult(0)))) {}

  /// Makes what the product of some pairs multiplies.
  void prepare(TokenPairs pairs);
  bool hasPairs(TokenPairs pairs) const;
  /// True where the product of some pairs, once it is prepared, has factors
  /// that are its own: others cannot be added to it before these.
  bool isAlone(TokenPairs pairs) const;
  /// Returns that product, with its factors.
  Value multiply(TokenPairs pairs);
  /// Returns the product without the factor of its rows, added to `start` if
  /// there is one.
  Value contract(Value start);
  /// Returns such products times the factor of their rows.
  Value scaled(Value product, TokenPairs pairs);
  /// Returns such products times `weight` and the factor of their rows, of
  /// which the latter two are the other side's operand, rounded to `type`.
  Value weighed(Value product, Value weight, TokenPairs pairs, FloatType type);
  /// True for a product with the same factor as `other` for its rows.
  bool canJoin(const DecayHalves &other) const;

  Operation *getOp() const { return op; }
  ImplicitLocOpBuilder &getBuilder() const { return b; }

private:
  /// Takes a scale of rows off what the diagonal matrix of a token with itself
  /// multiplies: it goes to the rows of the result. An in is exact then, where
  /// its scaled rows would be rounded: the gradients of both sides have this
  /// term, which is the largest under a strong decay, and that of a gate is the
  /// difference.
  void takeScaleOfRows();
  /// Returns `x` times the decay between each row's token and the middle of its
  /// block; `isLeft` says that its rows are the i of the formulas.
  Value decayed(Value x, TokenPairs pairs, bool isLeft);
  /// Returns the entries of `m` for such pairs.
  Value masked(Value m, TokenPairs pairs);

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

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_DECAYHALVES_H
