//===- Prologue.h - Norms and gates in front of a layer ---------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_PROLOGUE_H
#define WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_PROLOGUE_H

#include "RecurrenceTiles.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace mlir::wyvern::delta {

/// What a chunk program computes of its operands, which come as they leave a
/// model's projections:
///
///   norm     q and the keys x are          x / sqrt(sum of x^2 + 1e-6)
///   decay    the log decay g is            -e^A_log softplus(a + dt_bias)
///            with a lower bound            bound sigmoid(e^A_log (a +
///            dt_bias))
///   rates    a rate is                     max_rate / (1 + e^-b)
///   gates    decay and rates
///   conv     rows pass through a convolution first (Convolution.h): a step's
///   scale    o has a factor that a call brings, one a head
///
/// As operations of the region, it is differentiated, staged and scheduled with
/// all else there. A decay a channel is as large as all keys, and read many
/// times in f32: a map in front of the scan makes it.
class Prologue {
public:
  /// With `parts`, and those that the function around `op` names
  /// (kPrologueAttr).
  Prologue(RecurrenceOp op, ArrayRef<std::string> parts);

  bool isEmpty() const { return !norm && !decay && !rates && !scale; }
  /// True if the rows come raw of a convolution too.
  bool hasConvolution() const { return conv; }

  /// Diagnoses a part of which there is none, at `root` for the pass `pass`.
  static LogicalResult checkParts(Operation *root, StringRef pass,
                                  ArrayRef<std::string> parts);

  /// Diagnoses operands that are no arguments of the function alone.
  LogicalResult check(func::FuncOp func);
  /// Gives the function arguments that come raw in the place of a decay and
  /// rates, under names of their own, and adds A_log, dt_bias and scale.
  void replaceArguments(func::FuncOp func);
  /// Makes a decay a channel in a map in front of `op`, by chunks of `chunk`
  /// tokens in tiles of `tileRows` rows, 0 for a chunk's.
  void makeChannelDecay(ImplicitLocOpBuilder &b, int64_t chunk,
                        int64_t tileRows);
  /// Adds what is an in of the chunk program besides the recurrence's operands.
  void addIns(SmallVectorImpl<Value> &ins,
              SmallVectorImpl<Attribute> &bindings);
  /// Computes operands of `chunk`, whose tiles are raw, in the region of
  /// `scan`, at the builder's place.
  void build(ImplicitLocOpBuilder &b, ChunkScanOp scan, TileRecurrence &chunk);

private:
  void scaleRates(ImplicitLocOpBuilder &b, TileRecurrence &chunk);
  LogicalResult checkNames(func::FuncOp func);
  Value addArgument(func::FuncOp func, StringRef name, ArrayRef<int64_t> shape);
  Value replaceArgument(func::FuncOp func, Value value, StringRef name);

  RecurrenceOp op;
  bool conv = false, norm = false, decay = false, rates = false, scale = false;
  std::optional<double> lowerBound;
  /// Arguments; null where the scan does not read them.
  Value logA, bias, factor;
  /// The number of the first in that addIns has added.
  unsigned firstIn = 0;
};

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_PROLOGUE_H
