//===- Adjoint.h - The reverse sweep over a block ---------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Reverse-mode differentiation (Griewank and Walther, "Evaluating Derivatives",
// chapter 3) of a block without control flow. Rules say what one operation adds
// to the gradients of its operands; the sweep calls them from the last to the
// first and keeps the sums. Forward values are made again only where a rule
// asks for them, so nothing is computed that no gradient needs.
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_ADJOINTS_ADJOINT_H
#define WYVERN_DIALECT_DELTA_ADJOINTS_ADJOINT_H

#include "wyvern/Dialect/Delta/Utils/TileBuilder.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/DenseSet.h"

namespace mlir::wyvern::delta {

class Adjoint {
public:
  /// Returns what the sweep reads for a forward value that must not be computed
  /// again; null for all others.
  using GivenFn = std::function<Value(Value)>;

  /// Builds at `b`.
  Adjoint(ImplicitLocOpBuilder &b, GivenFn getGiven)
      : b(b), getGiven(std::move(getGiven)) {}

  ImplicitLocOpBuilder &getBuilder() { return b; }
  /// Builds tiles of the type of `like`'s elements.
  TileBuilder tiles(Value like) {
    return TileBuilder(b, cast<FloatType>(getElementTypeOrSelf(like)));
  }

  /// Marks a value whose gradient is wanted.
  void setActive(Value value) { active.insert(value); }
  /// True if a value whose gradient is wanted enters `value`.
  bool isActive(Value value) const { return active.contains(value); }

  /// The sum so far; null while it is zero.
  Value getGradient(Value value) const { return gradients.lookup(value); }
  /// Adds to the gradient of `value`, if that is active.
  void addGradient(Value value, Value gradient);
  /// Adds the contraction of `lhs` and `rhs`, whose maps and that of the result
  /// are `maps`. One product then accumulates on the other.
  void addProduct(Value value, Value lhs, Value rhs, ArrayRef<AffineMap> maps);

  /// The forward value, where the sweep is.
  Value getPrimal(Value value);
  /// Makes `getPrimal(value)` be `primal`.
  void setPrimal(Value value, Value primal) { primals.map(value, primal); }

  /// Sweeps over `block` from its terminator back: finds what is active, then
  /// lets every operation that has a gradient add to those of its operands.
  LogicalResult sweep(Block &block);

private:
  ImplicitLocOpBuilder &b;
  GivenFn getGiven;
  llvm::DenseSet<Value> active;
  llvm::DenseMap<Value, Value> gradients;
  IRMapping primals;
};

} // namespace mlir::wyvern::delta

#include "wyvern/Dialect/Delta/Adjoints/AdjointOpInterface.h.inc"

namespace mlir::wyvern::delta {

/// Attaches the rules of every operation that has one.
void registerAdjoints(DialectRegistry &registry);

} // namespace mlir::wyvern::delta

#endif // WYVERN_DIALECT_DELTA_ADJOINTS_ADJOINT_H
