//===- DimClasses.h - Which dimensions range over the same thing *- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_UTILS_DIMCLASSES_H
#define WYVERN_DIALECT_DELTA_UTILS_DIMCLASSES_H

#include "wyvern/Dialect/Delta/IR/Delta.h"

#include "llvm/ADT/EquivalenceClasses.h"

namespace mlir::wyvern::delta {

/// The dimensions of a chunk program's values, in classes: two are in one class
/// if some operation runs over both with one index. So a class is one of the
/// program's letters: its tokens, its key channels, its value channels.
///
/// Constants, and what a broadcast adds, take the class of whatever they meet
/// and join nothing.
class DimClasses {
public:
  explicit DimClasses(ChunkProgramOpInterface program);

  /// A dimension of a value.
  using Dim = std::pair<Value, int64_t>;

  /// True if both are of one class.
  bool areSame(Dim a, Dim b) const;
  /// True if `op` combines elements that differ in the class of `dim`: it sums
  /// over it, or solves along it.
  bool mixes(Operation *op, Dim dim) const;

private:
  void addOp(Operation &op);
  void addLinalg(Operation *op);
  void addSolve(Operation *op, Value l, Value rate, Value rhs,
                ValueRange results);
  void join(Dim a, Dim b);
  void mix(Operation *op, Dim dim);
  unsigned number(Dim dim);

  llvm::EquivalenceClasses<unsigned> classes;
  llvm::DenseMap<Dim, unsigned> numbers;
  llvm::DenseMap<Operation *, SmallVector<unsigned>> mixed;
};

/// The lane dimension of a scan's first carry that is a matrix: the last one
/// that no operation mixes on the way from carry to carry, and rather one that
/// no operation at all does. Along it the recurrence is independent, so nothing
/// between chunks ever crosses it.
std::optional<DimClasses::Dim> findLane(ChunkScanOp scan,
                                        const DimClasses &classes);

} // namespace mlir::wyvern::delta

#endif // WYVERN_DIALECT_DELTA_UTILS_DIMCLASSES_H
