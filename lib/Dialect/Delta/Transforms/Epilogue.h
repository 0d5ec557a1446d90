//===- Epilogue.h - The norm and the gate behind a layer --------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_EPILOGUE_H
#define WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_EPILOGUE_H

#include "RecurrenceTiles.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace mlir::wyvern::delta {

/// What a step computes of a row o of its output, V numbers of a head, before
/// it is rounded:
///
///   norm     o becomes     norm_weight o / sqrt(mean of o^2 + epsilon)
///   gate     then          o z / (1 + e^-z)
class Epilogue {
public:
  Epilogue(RecurrenceOp op, ArrayRef<std::string> parts, double epsilon);

  /// Diagnoses a part of which there is none, at `root` for the pass `pass`.
  static LogicalResult checkParts(Operation *root, StringRef pass,
                                  ArrayRef<std::string> parts);
  /// Diagnoses operands of the function that have the names of the new ones.
  LogicalResult check(func::FuncOp func);
  /// Gives the function the arguments `z` and `norm_weight`.
  void addArguments(func::FuncOp func);
  /// Adds them to the ins of the chunk program.
  void addIns(SmallVectorImpl<Value> &ins,
              SmallVectorImpl<Attribute> &bindings);
  /// Returns what becomes of `output`, in the region of `scan`, at the
  /// builder's place.
  Value build(ImplicitLocOpBuilder &b, ChunkScanOp scan, Value output);

private:
  RecurrenceOp op;
  bool norm = false, gate = false;
  double epsilon;
  Value weight, logits; ///< arguments; null without the part
  unsigned weightNumber = 0, logitsNumber = 0; ///< of the ins
};

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_EPILOGUE_H
