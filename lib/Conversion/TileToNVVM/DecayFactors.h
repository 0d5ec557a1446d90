//===- DecayFactors.h - What gates make of blocks of rows -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_CONVERSION_TILETONVVM_DECAYFACTORS_H
#define WYVERN_LIB_CONVERSION_TILETONVVM_DECAYFACTORS_H

#include "Emitter.h"
#include "wyvern/Dialect/Tile/IR/Tile.h"

namespace mlir::wyvern::tile {

/// Rows of a block whose factors are products of those of its rows and one of
/// the block; blocks of a chunk.
constexpr int64_t kDecayRows = 8, kDecayBlocks = kAccRows / kDecayRows;
/// Gates count as no less: its exp is zero in f32, and sums stay numbers.
constexpr double kLeastGate = -104;
/// Gates between tokens of one block count as no less: products of their
/// factors stay numbers (delta.sum_to_middle).
constexpr double kLeastNear = -16;
/// Exponents of two that rows are scaled by from the middle of their half reach
/// no further in either direction: 16 gates of -5 do. So rows below 2^11 stay
/// numbers.
constexpr double kMostExponent = 116;

/// What a row's own factor, to the begin or the end of its block of 8, is
/// multiplied by, for each block: so it reaches the begin or the end of the
/// chunk, or the middle of 32 and of 64 rows.
enum class DecayReach { begin, end, middle32, middle64 };

/// Returns the address of the first element of tensor `i`: the gates, then the
/// rows, the outs and the total.
Value getTensorAddress(Emitter &e, DecayedProductsOp op,
                       DecayedProductsOp::Adaptor adaptor, unsigned i,
                       Value tensor, Type element);
/// `count` elements of 32 bits at `pointer` in device memory; zeros, which are
/// not read, where `condition` does not hold.
SmallVector<Value> loadGlobalIf(Emitter &e, Value condition, Value pointer,
                                Type element, unsigned count);
/// Returns the blocks of 8 rows that warp `warp` of four has: the first ones in
/// turn, and the last ones in the opposite order, so that all warps' rows have
/// as many rows in front of them.
std::array<Value, 2> getDecayBlocks(Emitter &e, Value warp);
/// The scratch tile, part by part: sums of gates, tables of factors, and what
/// warps hand each other.
constexpr int64_t getFactorsByte(int64_t columns) {
  return kAccRows * columns * 4;
}
constexpr int64_t getExchangeByte(int64_t columns) {
  return getFactorsByte(columns) + 4 * kDecayBlocks * columns * 4;
}
/// Returns the address of the sums of the gates of a block of 8 rows up to row
/// `row`, of four channels from `column` on, a multiple of four: bounded and
/// times log2 e. Rows of odd number have the halves of 8 channels in turn, so
/// that 8 lanes find a half of 32 channels of two rows in banks of their own.
Value getSumAddress(Emitter &e, Value scratch, Value row, Value column,
                    int64_t columns);
/// Returns the byte in the scratch tile of element 0 of the factors of block 0;
/// a row of the table has a block, and a table `kDecayBlocks` of them.
int64_t getFactorByte(DecayReach reach, int64_t columns);

/// Makes the sums of a chunk's gates and the tables of factors, in the scratch
/// tile, and the total.
class DecayFactors {
public:
  DecayFactors(Emitter &e, DecayedProductsOp op,
               DecayedProductsOp::Adaptor adaptor);

  /// Loads the gates.
  void load();
  /// Returns whether those of each quarter of the rows add up to exponents of
  /// no more than `kMostExponent`, the same in all threads. These have read
  /// what lay in the scratch tile.
  Value areBounded();
  /// Writes sums by halves of 32 rows: those of the gates between each row and
  /// the middle of its half, times log2 e and negative in front of it. Tables
  /// have halves in the place of the first two blocks: `middle64` reaches from
  /// the middle of a half to that of the chunk; where a row goes on to the
  /// chunk's begin or end, what these tables have reaches from there, else from
  /// the middle of its half.
  void writeByHalves();
  /// Writes sums up to each row of its block of 8. Returns whether a gate is
  /// less than `kLeastNear`, the same in all threads.
  Value writeByBlocks();

private:
  /// Four channels of a lane: the gates of its rows, and their sums in
  /// exponents of two.
  struct Part {
    Value channel;
    SmallVector<SmallVector<Value>> gates;
    SmallVector<Value> total;
  };

  void sync();
  Value syncAll(StringRef how, Value own);
  /// Returns the channel of lane or thread `of`, from `first` on. Where there
  /// are fewer, several do the same: a branch would take registers.
  Value getChannel(int64_t first, Value of);
  Value address(Value channel, int64_t byte);
  Part loadPart(Value channel);
  /// Adds up the gates; returns whether they are bounded.
  Value addPart(Part &part);
  void sumFromMiddle(const Part &part);
  void sumBlocks(const Part &part);
  void addRow(ArrayRef<Value> gates);
  /// Returns the `count` sums of `channel` that lanes have left.
  SmallVector<Value> loadSums(Value channel, int64_t count);
  void writeReach(Value channel, DecayReach reach, ArrayRef<Value> exponents);
  void storeTotal(Value channel, Value exponent);
  void writeHalvesOf(Value channel);
  void writeBlocksOf(Value channel);

  Emitter &e;
  DecayedProductsOp op;
  DecayedProductsOp::Adaptor adaptor;
  int64_t columns, sumsByte;
  Value quarter; ///< of the rows, of the lane
  SmallVector<Part> parts;
  SmallVector<Value> blockSums; ///< of the block, up to a row
  Value least;                  ///< of the gates that the lane has summed
};

} // namespace mlir::wyvern::tile

#endif // WYVERN_LIB_CONVERSION_TILETONVVM_DECAYFACTORS_H
