//===- Convolution.h - The short convolution of a step ----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_CONVOLUTION_H
#define WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_CONVOLUTION_H

#include "RecurrenceTiles.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace mlir::wyvern::delta {

/// The part `conv` of a step's prologue: rows of q, of keys and of values pass
/// through a causal convolution and a SiLU (delta.conv_row) in front of all
/// else. The rows in front of a token are a window, which a scan carries from a
/// pool beside that of states, at the same slots.
class Convolution {
public:
  /// Of no rows at all unless `isAsked`.
  Convolution(RecurrenceOp op, bool isAsked);

  /// Diagnoses rows that are no arguments of the function, that come several a
  /// token, or whose new arguments would have another one's name.
  LogicalResult check(func::FuncOp func);
  /// Gives the function a filter for each of its rows.
  void addFilters(func::FuncOp func);
  /// Adds the filters to the ins of the scan.
  void addIns(SmallVectorImpl<Value> &ins,
              SmallVectorImpl<Attribute> &bindings);
  /// Gives the function a pool of windows for each of its rows, and adds these
  /// to the carries of the scan.
  void addWindows(func::FuncOp func, SmallVectorImpl<Value> &inits,
                  SmallVectorImpl<Attribute> &bindings);
  /// Convolves the rows of `chunk` at the builder's place.
  void build(ImplicitLocOpBuilder &b, ChunkScanOp scan, TileRecurrence &chunk);
  /// The windows behind the token, in the order of the carries.
  ArrayRef<Value> getNext() const { return next; }
  /// The name of window `i`'s pool.
  StringRef getWindowName(unsigned i) const { return rows[i].window; }

private:
  struct Rows {
    Value argument; ///< [B, T, H, D]
    std::string filter, window;
    Value filters;         ///< [H, D, w]
    unsigned filterNumber; ///< among the scan's ins
    unsigned windowNumber; ///< among its carries
  };
  RankedTensorType getType(const Rows &row) const {
    return cast<RankedTensorType>(row.argument.getType());
  }

  RecurrenceOp op;
  bool isAsked;
  SmallVector<Rows> rows;
  SmallVector<Value> next;
};

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_CONVOLUTION_H
