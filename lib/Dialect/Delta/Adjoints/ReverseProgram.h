//===- ReverseProgram.h - The backward of one chunk program -----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_DELTA_ADJOINTS_REVERSEPROGRAM_H
#define WYVERN_LIB_DIALECT_DELTA_ADJOINTS_REVERSEPROGRAM_H

#include "wyvern/Dialect/Delta/Adjoints/Adjoint.h"
#include "wyvern/Dialect/Delta/Analysis/CarryDependence.h"
#include "wyvern/Dialect/Delta/Analysis/TileStorage.h"

namespace mlir::wyvern::delta {

/// Builds the backward of a chunk program: a program in the other direction
/// that carries the gradients of the carries.
///
/// Its region reads the tiles of the forward program's ins and of the gradients
/// of its outs. Of the forward values that a carry enters it reads what a
/// *replay* brings: the forward program once more, with these values as outs.
/// Forward values that no carry enters are computed in the region again.
class ReverseProgram {
public:
  ReverseProgram(ChunkProgramOpInterface program, Adjoint &outer);

  /// Builds at the outer sweep's place and adds to its gradients.
  LogicalResult build();

private:
  /// An in of the new program. `tensor` is null for one that the replay brings
  /// until the replay is built.
  struct In {
    Value tensor;
    BindingAttr binding;
  };

  /// A forward value that the replay brings, and the in that it is.
  struct Replayed {
    Value value;
    TileStorage storage;
    unsigned in;
  };

  /// The gradient of an in or a carry, per head of the program, and what makes
  /// it one of the whole tensor.
  struct Result {
    Value primal;        ///< of the outer block
    BindingAttr binding; ///< of the primal
    TileStorage storage;
    Value tile;            ///< of the new region
    bool addedSeq = false; ///< one a sequence, to be summed
    bool addedHead = false;
    bool isOfTokens = false; ///< one a token, to be summed by sum_tokens
  };

  /// Rows that sum up to a gradient, and how many of them each token has.
  struct TokenRows {
    Value tile; ///< null if there are none
    int64_t perToken = 1;
    explicit operator bool() const { return bool(tile); }
  };

  BlockArgument addIn(Value tensor, BindingAttr binding, Type tile);
  BlockArgument addCarry(Type tile);
  Value getGiven(Value value);
  /// The program's cu_seqlens where the outer sweep is; null if it has none.
  Value getCuSeqlens();
  Value replay(Value value);

  void seedGradients();
  LogicalResult sweep();
  void collectResults();
  Result describeResult(unsigned in, Value tile);
  std::optional<Result> describeRows(unsigned in, Value tile);
  bool isMasked(Value tile, int64_t perToken);
  TokenRows findMasked(Value tile);
  TokenRows findRows(Value sum);
  TokenRows makeRows(Value sum);
  TokenRows scaleRows(TokenRows rows, Value factor);
  TokenRows addRows(TokenRows a, TokenRows b);
  TokenRows addTerms(Value a, Value b);
  TokenRows chooseRows(arith::SelectOp select);
  Value getGradientOrZero(Value value);
  Value getInitialGradient(unsigned carry);
  Value createZeros(RankedTensorType type);

  void addLength();
  void buildReplay();
  Operation *createProgram();
  void addGradients(Operation *op);
  Value sumOverHeads(const Result &result, Value gradient);
  void addSumsOverTokens(ArrayRef<Result> results, ValueRange rows,
                         int64_t perToken);
  Value sumOverAll(const Result &result, Value gradient);
  Value convert(const Result &result, Value gradient);
  Value sumOverShared(const Result &result, Value gradient);

  ChunkProgramOpInterface program;
  Adjoint &outer;
  ImplicitLocOpBuilder &b;
  CarryDependence dependence;
  TimeDims timeDims;
  FloatType compute;

  Region region;
  Block *block;
  ImplicitLocOpBuilder inside;
  Adjoint inner;
  SmallVector<In> ins;
  SmallVector<Replayed> replayed;
  /// What findRows has found, once each: a parameter may be read many times.
  llvm::DenseMap<Value, TokenRows> rowsOf;
  SmallVector<Result> outs, sums; ///< sums: gradients of ins without time
};

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_DIALECT_DELTA_ADJOINTS_REVERSEPROGRAM_H
