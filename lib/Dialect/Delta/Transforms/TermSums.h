//===- TermSums.h - Sums of matrices as lists of terms ----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_TERMSUMS_H
#define WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_TERMSUMS_H

#include "wyvern/Dialect/Delta/IR/Delta.h"

#include "mlir/IR/PatternMatch.h"

namespace mlir::wyvern::delta {

/// What a sum adds or takes away: `value`, or its running sum of rows, as the
/// cumsum that it stands in makes it.
struct SumTerm {
  Value value;
  bool isSubtracted = false;
  CumsumOp scan = {};
};

/// A sum of matrices: the additions and running sums that end in `root`, which
/// nothing else reads.
struct TermSum {
  Operation *root;
  SmallVector<SumTerm> terms;
};

/// The sums of a block, with what they are made of. A running sum of a sum is a
/// sum of running sums.
class TermSums {
public:
  explicit TermSums(Block &block);

  ArrayRef<TermSum> get() const { return sums; }
  /// Returns the sum that ends in `op`; null if none does.
  const TermSum *find(Operation *op) const;
  /// True for what a sum is made of, but for its root.
  bool isInner(Operation *op) const { return inner.contains(op); }

private:
  void collect(Value value, SumTerm outer, SmallVectorImpl<SumTerm> &terms);

  SmallVector<TermSum> sums;
  llvm::SmallPtrSet<Operation *, 32> inner;
};

/// Returns `start`, unless it is null, and the terms, added in front of the
/// insertion point. Terms of one kind of running sum have it made once.
Value addTerms(RewriterBase &rewriter, Location loc, Value start,
               ArrayRef<SumTerm> terms);

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_TERMSUMS_H
