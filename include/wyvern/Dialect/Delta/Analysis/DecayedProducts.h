//===- DecayedProducts.h - Products that share gates and rows ---*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_ANALYSIS_DECAYEDPRODUCTS_H
#define WYVERN_DIALECT_DELTA_ANALYSIS_DECAYEDPRODUCTS_H

#include "wyvern/Dialect/Delta/IR/Delta.h"

namespace mlir::wyvern::delta {

/// Products of rows of 64 tokens with a decay a channel between them, as
/// delta-halve-decay has divided them, and what is made of the same rows and
/// gates for a state: one loop over channels can make them all.
struct DecayedProducts {
  /// The sum of the products of one pair of operands over all halves; with the
  /// products of each row with itself, or none on the diagonal.
  struct Product {
    Value left, sum;
    bool hasDiagonal;
  };
  /// Rows times the decay from the chunk's begin up to them, or `toEnd` from
  /// behind them to its end.
  struct Scaled {
    Value rows, value;
    bool toEnd;
  };

  Value g, right;
  SmallVector<Product, 2> products;
  SmallVector<Scaled, 4> scaled;
  /// The decay of the chunk; null where nobody makes it.
  Value total;
  /// All operations of these: nobody else reads what they make but the sums,
  /// the scaled rows and the total, and nobody else reads the rows and gates.
  llvm::SmallPtrSet<Operation *, 32> ops;

  /// Returns the rows, each once, the right ones first.
  SmallVector<Value> getRows() const;
  /// True if `op` stores scaled rows or the total, and nothing else.
  bool stores(Operation *op) const;
};

/// Returns the products of `block`; nothing if there are none, if they are more
/// than two, if no rows are scaled, or if others read what they read. `isIn`
/// says whether a value is rows of an in, of gates of f32 if `isGate` holds and
/// else of bf16, and `isOut` whether a value is stored and nothing else.
std::optional<DecayedProducts>
findDecayedProducts(Block &block, function_ref<bool(Value, bool isGate)> isIn,
                    function_ref<bool(Value)> isOut);

} // namespace mlir::wyvern::delta

#endif // WYVERN_DIALECT_DELTA_ANALYSIS_DECAYEDPRODUCTS_H
