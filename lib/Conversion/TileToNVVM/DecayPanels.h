//===- DecayPanels.h - Rows of a chunk, some channels at a time -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_CONVERSION_TILETONVVM_DECAYPANELS_H
#define WYVERN_LIB_CONVERSION_TILETONVVM_DECAYPANELS_H

#include "DecayFactors.h"
#include "Fragments.h"
#include "Patterns.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

namespace mlir::wyvern::tile {

/// Channels of a panel: what one mma.sync sums over.
constexpr int64_t kPanelColumns = 16;
/// Registers of a left operand of it, and those of one of a lane's two rows:
/// register 2 j + half has pair j, two of 16 bits, of row `half`.
constexpr int64_t kPanelRegisters = 4, kRowRegisters = 2;

/// What a lane has of one of its rows of a panel: lists of four f32, or of two
/// registers of an operand.
struct DecayRow {
  /// A left operand: scaled to the middle of its block of 8, and to the begin
  /// of that.
  struct Left {
    SmallVector<Value> near, toBegin, begins;
  };

  Value panel;                          ///< its number
  int64_t half;                         ///< the row's
  SmallVector<SmallVector<Value>> rows; ///< as they were loaded
  /// The rows times their factors to the begin and the end of their blocks.
  SmallVector<SmallVector<Value>> begins, ends;
  SmallVector<Left, 2> lefts;
  /// The right operand, to the middle of its block and to the end of that.
  SmallVector<Value> nearRight, toEnd;
};

/// Loads the panels of an operation, scales and stores them.
class DecayPanels {
public:
  DecayPanels(Emitter &e, DecayedProductsOp op,
              DecayedProductsOp::Adaptor adaptor);

  int64_t count() const { return columns / kPanelColumns; }
  /// Loads the first panel, and asks for the others' rows in the L2 cache.
  void loadFirst();
  /// Bounds gates between near tokens where `condition` holds.
  void boundNearIf(Value condition) { isSteep = condition; }
  /// Takes what was loaded.
  void take() { taken = loaded; }
  /// Loads what comes behind panel `number`; zeros behind the last one.
  void loadNext(Value number);
  ArrayRef<Value> getLoaded() const { return loaded; }
  void setLoaded(ValueRange values) { loaded = llvm::to_vector(values); }

  /// Scales row `half` of what was taken, panel `number`.
  DecayRow make(Value number, int64_t half);
  /// Returns the factors of `row` that reach so far.
  SmallVector<Value> loadFactors(const DecayRow &row, DecayReach reach);
  /// Returns `values` times `factors` as registers of an operand.
  SmallVector<Value> scale(ArrayRef<Value> values, ArrayRef<Value> factors);
  void storeOuts(const DecayRow &row);

  // Where a lane finds and leaves right operands of other warps, of two panels
  // in turn: those of warps of even number for the next one, and those of the
  // first two for the others.
  Value getPartPlace(Value number);
  Value getFarPlace(Value number);
  Value ofPair(Value place) {
    return e.add(place, e.mul(e.udiv(warp, 2), 512));
  }
  Value ofWarp(Value place) { return e.add(place, e.mul(warp, 512)); }
  /// Rows 8 `i` and on from there.
  Value getPlace(Value place, int64_t i) { return e.add(place, i * 256); }

  Value isOdd();
  Value isUpper();
  Value isWarp(int64_t number);

private:
  /// Conditions for a lane's two rows.
  using Conditions = std::array<Value, 2>;
  /// A lane's first row of a tensor, and the bytes to its second one. Where the
  /// type tells the strides, the pointer is the warp's, which takes no
  /// registers of lanes, and each has an offset of 32 bits, the same for all
  /// such tensors.
  struct Rows {
    Value pointer, offset, step;
  };

  Rows locate(unsigned tensor, Value global, GlobalType type);
  void load(Value number, const Conditions &conditions);
  /// Returns the address of row `half` of panel `number`.
  Value getAddress(const Rows &rows, int64_t half, Value number);
  /// The exponents of factors within a block.
  struct Exponents {
    SmallVector<Value> toBegin, toEnd, near;
  };
  Exponents readExponents(Value number, int64_t half);
  SmallVector<Value> boundNear(ArrayRef<Value> sums);
  SmallVector<Value> pack(ArrayRef<Value> values);

  Emitter &e;
  DecayedProductsOp op;
  DecayedProductsOp::Adaptor adaptor;
  int64_t columns;
  Value scratch, lane, warp;
  Conditions isThere;
  SmallVector<Rows> rows, outs;
  Value isSteep; ///< whether gates of the warp are to be bounded
  SmallVector<Value> loaded, taken;
};

/// Adds A B to `acc` by one mma.sync m16n8k16 of bf16.
void multiplyBF16(Emitter &e, MutableArrayRef<Value> acc, ArrayRef<Value> a,
                  ArrayRef<Value> b);

} // namespace mlir::wyvern::tile

#endif // WYVERN_LIB_CONVERSION_TILETONVVM_DECAYPANELS_H
