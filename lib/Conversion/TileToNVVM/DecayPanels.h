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

/// Channels of a panel, what one mma.sync sums over, and of a pair of panels:
/// of these a lane has 8 side by side, half of them in each panel.
constexpr int64_t kPanelColumns = 16, kPairColumns = 2 * kPanelColumns;
/// Registers of a row of an operand, pairs of 16 bits, and of a row of a pair
/// of panels as it is loaded and stored.
constexpr int64_t kRowRegisters = 2, kPairRegisters = 2 * kRowRegisters;

/// How far two blocks of 8 rows are apart: side by side in 16 rows, in 32, or
/// in 64.
enum class DecayLevel { next, middle32, middle64 };

/// What a lane has of one of its rows of a panel: lists of four f32, or of two
/// registers of an operand.
struct DecayRow {
  Value pair;                           ///< the number of the pair of panels
  int64_t half;                         ///< the row's
  SmallVector<SmallVector<Value>> rows; ///< as they were loaded
  /// The rows times their factors to the begin and the end of their block; by
  /// halves, from and to the middle of their half, and then of the chunk, where
  /// this lies on the way.
  SmallVector<SmallVector<Value>> begins, ends;
  /// Operands that are scaled to the middle of the block or half: the left ones
  /// of each product, and the right one.
  SmallVector<SmallVector<Value>> near;
  SmallVector<Value> nearRight;
};

/// Loads the panels of an operation, scales and stores them.
class DecayPanels {
public:
  DecayPanels(Emitter &e, DecayedProductsOp op,
              DecayedProductsOp::Adaptor adaptor);

  /// Returns how many pairs of panels there are.
  int64_t count() const { return columns / kPairColumns; }
  /// Loads the first pair.
  void loadFirst();
  /// Asks for the other pairs' rows in the L2 cache.
  void askForOthers();
  /// Goes on with panel `number` of a pair.
  void begin(int64_t number) { panel = number; }
  /// Goes by halves of 32 rows, or by blocks of 8.
  void goByHalves(bool doesSo) { byHalves = doesSo; }
  /// Bounds gates between near tokens where `condition` holds.
  void boundNearIf(Value condition) { isSteep = condition; }
  /// Takes what was loaded.
  void take() { taken = loaded; }
  /// Loads what comes behind pair `number`; zeros behind the last one.
  void loadNext(Value number);
  ArrayRef<Value> getLoaded() const { return loaded; }
  void setLoaded(ValueRange values) { loaded = llvm::to_vector(values); }

  /// Scales row `half` of what was taken, of pair `number`.
  DecayRow make(Value number, int64_t half);
  /// By halves, scales what of `row` goes on to the middle of the chunk.
  void reachMiddle(DecayRow &row);
  /// Returns the factors of `row` that reach so far.
  SmallVector<Value> loadFactors(const DecayRow &row, DecayReach reach);
  /// Returns `values` times `factors`, if there are some, as registers of an
  /// operand.
  SmallVector<Value> scale(ArrayRef<Value> values, ArrayRef<Value> factors);
  /// Stores scaled rows, of both panels with those of the second one.
  void storeOuts(const DecayRow &row);

  /// Stores a lane's part of the right operand of the panel that warp `of`
  /// makes for a level, and loads it. By halves the operands of blocks and
  /// their halves are in the place of `next` and `middle32`, `of` is the block.
  void storeRight(ArrayRef<Value> operand, DecayLevel level, Value of);
  SmallVector<Value> loadRight(DecayLevel level, Value of);
  /// The same of a warp or block that all know.
  SmallVector<Value> loadKnownRight(DecayLevel level, int64_t of);
  Value getWarp() const { return warp; }
  Value getScratch() const { return scratch; }
  /// True where block `half` of the warp comes behind another one at a level:
  /// of both it is one.
  Value isLater(DecayLevel level, int64_t half) const;
  /// Returns the warp that makes right operand `i` of a level, not the last,
  /// for this one.
  Value getMaker(DecayLevel level, int64_t i);
  /// Returns block `half` of the warp.
  Value getBlock(int64_t half) const { return blocks[half]; }

private:
  Value getPlace(Value of);
  int64_t getPlaceByte(DecayLevel level);
  /// Conditions for a lane's two rows.
  using Conditions = std::array<Value, 2>;
  /// A lane's two rows of a tensor. Where the type tells the strides, the
  /// pointer and the blocks' offsets are the warp's, which takes no registers
  /// of lanes, and what a lane adds is the same for all such tensors. Else the
  /// pointer is the first row's, and `step` bytes lie between the two.
  struct Rows {
    Value pointer;
    std::array<Value, 2> offsets;
    Value ofLane;
    Value step;
  };

  Rows locate(unsigned tensor, Value global, GlobalType type);
  void load(Value number, const Conditions &conditions);
  /// Returns the address of row `half` of pair `number`.
  Value getAddress(const Rows &rows, int64_t half, Value number);
  /// Returns the lane's row of block `half` of the warp.
  Value getRow(int64_t half);
  /// Returns the lane's first channel of pair `number`.
  Value getColumn(Value number);
  /// The exponents of factors within a block.
  struct Exponents {
    SmallVector<Value> toBegin, toEnd, near;
  };
  Exponents readExponents(Value number, int64_t half);
  /// Returns the lane's part of the sums up to `row`.
  SmallVector<Value> readSums(Value number, Value row);
  void scaleByBlock(DecayRow &row);
  void scaleByHalf(DecayRow &row);
  SmallVector<Value> boundNear(ArrayRef<Value> sums);
  SmallVector<Value> pack(ArrayRef<Value> values);

  Emitter &e;
  DecayedProductsOp op;
  DecayedProductsOp::Adaptor adaptor;
  int64_t columns;
  Value scratch, lane, warp;
  std::array<Value, 2> blocks; ///< of 8 rows, of the warp
  Conditions isThere;
  SmallVector<Rows> rows, outs;
  Value isSteep; ///< whether gates of the warp are to be bounded
  bool byHalves = false;
  SmallVector<Value> loaded, taken;
  int64_t panel = 0; ///< of the pair
  /// What is to be stored of a lane's two rows of the first panel.
  std::array<SmallVector<SmallVector<Value>>, 2> kept;
};

/// Adds A B to `acc` by one mma.sync m16n8k16 of bf16.
void multiplyBF16(Emitter &e, MutableArrayRef<Value> acc, ArrayRef<Value> a,
                  ArrayRef<Value> b);

} // namespace mlir::wyvern::tile

#endif // WYVERN_LIB_CONVERSION_TILETONVVM_DECAYPANELS_H
