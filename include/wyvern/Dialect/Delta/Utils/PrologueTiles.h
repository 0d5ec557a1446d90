//===- PrologueTiles.h - Norms and gates of a chunk -------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_UTILS_PROLOGUETILES_H
#define WYVERN_DIALECT_DELTA_UTILS_PROLOGUETILES_H

#include "wyvern/Dialect/Delta/Utils/TileBuilder.h"

#include <optional>

namespace mlir::wyvern::delta {

/// Writes what a prologue computes of the rows of a chunk.
class PrologueTiles {
public:
  /// With `isOneToken` in a step of decoding, whose roles are CUDA cores.
  PrologueTiles(ImplicitLocOpBuilder &b, FloatType compute, bool isOneToken)
      : b(b), compute(compute), isOneToken(isOneToken), tile(b, compute) {}

  /// Returns rows divided by their L2 norm.
  Value normalize(Value rows);
  /// Returns the square of the L2 norm of each row, and what keeps that from 0.
  Value squares(Value rows);
  /// Returns one over the square root of each of `squares`.
  Value factors(Value squares);
  /// Returns the square root of each of `squares`.
  Value lengths(Value squares);
  /// Returns `tile` with each row times its entry of `vector`.
  Value timesRows(Value tile, Value vector);
  /// Returns `most` times the sigmoid of `logits`.
  Value rate(Value logits, double most);
  /// Returns the log decay of `raw`, of a number or a row of channels a token:
  /// -e^A softplus(raw + bias), or with a bound below 0
  /// bound * sigmoid(e^A (raw + bias)).
  Value decay(Value raw, Value logA, Value bias, std::optional<double> bound);
  /// Returns log decays that sums over a chunk have digits for.
  Value boundDecay(Value gates);
  /// Returns log(1 + e^x).
  Value softplus(Value x);

private:
  Value splat(double value, Value like) {
    return tile.splat(value, shapeOf(like));
  }
  Value sumOfSquares(Value rows);
  Value along(Value x, Value like);

  ImplicitLocOpBuilder &b;
  FloatType compute;
  bool isOneToken;
  TileBuilder tile;
};

} // namespace mlir::wyvern::delta

#endif // WYVERN_DIALECT_DELTA_UTILS_PROLOGUETILES_H
