//===- ResidualPlan.h - Values from a forward to its backward ---*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_RESIDUALPLAN_H
#define WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_RESIDUALPLAN_H

#include "SharedValues.h"

#include "wyvern/Dialect/Delta/Analysis/TileStorage.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/PatternMatch.h"

namespace mlir::wyvern::delta {

/// A forward, its backward, and the values that pass from one to the other.
class ResidualPlan {
public:
  ResidualPlan(func::FuncOp forward, func::FuncOp backward,
               RewriterBase &rewriter, bool isTrial = false)
      : forward(forward), backward(backward), rewriter(rewriter),
        isTrial(isTrial), shared(forward), position(forward.getNumArguments()) {
  }

  /// Saves what `what` names, none, factor, checkpoints (every `interval`
  /// chunks) or states; returns how many values are saved.
  unsigned save(StringRef what, int64_t interval);

private:
  /// The triangular systems that no carry enters and the backward solves.
  SmallVector<EraseSolveOp> findSystems();
  /// Saves the factor of a system.
  void saveFactor(EraseSolveOp solve);
  /// Says what it would take to do so.
  void remarkOnFactor(EraseSolveOp solve);
  /// Saves the carries of each scan that is replayed every `interval` chunks;
  /// with 0 none.
  unsigned saveStates(int64_t interval);
  /// Saves what each replay makes, of each chunk; a replay of which nothing is
  /// read any more goes.
  unsigned saveReplays();
  /// Saves what the scans of the backward would take from a map before them, of
  /// what the forward computes too: vectors and products of rows by rows.
  unsigned saveMapped();
  /// Drops arguments of the backward that nothing reads any more.
  void dropUnusedArguments();
  /// The solves of the backward that are of this system.
  SmallVector<Operation *> findSolves(Attribute system);
  void saveCarries(ChunkScanOp scan, ChunkScanOp replay, int64_t interval);
  ChunkScanOp findReplay(ChunkScanOp scan);
  unsigned saveReplay(ChunkScanOp replay);
  /// Saves `value` of the forward for `found`, its equal in the backward.
  BlockArgument saveShared(Value value, Value found, TileStorage storage,
                           StringRef name);
  /// Says why something is not saved.
  void remarkMissed(Operation *op, StringRef why);
  /// A new result of the forward and argument of the backward.
  BlockArgument addResidual(Value value, StringRef name);
  void useFactor(IntegerAttr system, Value factor, Type tile,
                 BindingAttr binding);

  func::FuncOp forward, backward;
  RewriterBase &rewriter;
  bool isTrial; ///< Nothing is said then.
  SharedValues shared;
  unsigned position; ///< of the next residual among the backward's arguments
};

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_RESIDUALPLAN_H
