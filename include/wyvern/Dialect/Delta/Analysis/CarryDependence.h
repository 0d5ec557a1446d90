//===- CarryDependence.h - What a carry enters ------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_ANALYSIS_CARRYDEPENDENCE_H
#define WYVERN_DIALECT_DELTA_ANALYSIS_CARRYDEPENDENCE_H

#include "wyvern/Dialect/Delta/IR/Delta.h"

#include "llvm/ADT/DenseSet.h"

namespace mlir::wyvern::delta {

/// The values of a chunk program's region that some carry enters. All others
/// can be computed for every chunk at once.
class CarryDependence {
public:
  explicit CarryDependence(ChunkProgramOpInterface program);

  bool reaches(Value value) const { return values.contains(value); }
  bool reaches(Operation *op) const { return reaches(op->getResult(0)); }

private:
  llvm::DenseSet<Value> values;
};

} // namespace mlir::wyvern::delta

#endif // WYVERN_DIALECT_DELTA_ANALYSIS_CARRYDEPENDENCE_H
