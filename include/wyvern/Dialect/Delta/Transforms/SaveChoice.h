//===- SaveChoice.h - Whether states are saved ------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// `delta-plan-residuals` with `save=auto`, and who has to know before what it
// will choose.
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_TRANSFORMS_SAVECHOICE_H
#define WYVERN_DIALECT_DELTA_TRANSFORMS_SAVECHOICE_H

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace mlir::wyvern::delta {

/// What is to be kept to, and what work takes.
struct SaveLimits {
  int64_t bytes = 0; ///< saved of a row and head, at most; 0: any number
  /// Of a GPU, all SMs together; 0: times are not compared.
  int64_t bytesPerCycle = 0, flopsPerCycle = 0;
};

/// What one way to save takes.
struct SaveCost {
  double bytes = 0;  ///< saved, of a row and head of the layer's output
  double cycles = 0; ///< of forward and backward, of a chunk of such a head
};

/// What is saved, `states` or `factor`, and why.
struct SaveChoice {
  SaveLimits limits;
  SaveCost states, factor;

  bool fits() const {
    return limits.bytes == 0 || states.bytes <= double(limits.bytes);
  }
  bool takesStates() const { return fits() && states.cycles <= factor.cycles; }
  llvm::StringRef getSave() const {
    return takesStates() ? "states" : "factor";
  }
};

/// Chooses what `forward` saves for `backward`, which computes all of it again
/// so far: plans both ways on copies and compares them.
SaveChoice chooseSave(func::FuncOp forward, func::FuncOp backward,
                      const SaveLimits &limits);

/// Writes what was chosen and the figures of both ways.
llvm::raw_ostream &operator<<(llvm::raw_ostream &os, const SaveChoice &choice);

} // namespace mlir::wyvern::delta

#endif // WYVERN_DIALECT_DELTA_TRANSFORMS_SAVECHOICE_H
