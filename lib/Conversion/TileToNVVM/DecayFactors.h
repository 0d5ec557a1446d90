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

/// Writes the sums of gates and the tables of factors of a chunk to the scratch
/// tile, and the total. All warps have written them, and read what lay there,
/// when it is done. Returns whether a gate of the warp's rows is less than
/// `kLeastNear`.
Value writeDecayFactors(Emitter &e, DecayedProductsOp op,
                        DecayedProductsOp::Adaptor adaptor);

} // namespace mlir::wyvern::tile

#endif // WYVERN_LIB_CONVERSION_TILETONVVM_DECAYFACTORS_H
