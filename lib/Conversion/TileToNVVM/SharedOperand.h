//===- SharedOperand.h - How wgmma reads a tile -------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_CONVERSION_TILETONVVM_SHAREDOPERAND_H
#define WYVERN_LIB_CONVERSION_TILETONVVM_SHAREDOPERAND_H

#include "Emitter.h"
#include "wyvern/Dialect/Tile/IR/Tile.h"

namespace mlir::wyvern::tile {

/// Contracted elements of one wgmma of 16-bit operands.
constexpr int64_t kStep = 16;

/// Returns what inline PTX has as a list of operands: "{$first, ...}".
inline std::string writeRegisters(size_t first, size_t count) {
  std::string text = "{";
  for (size_t i = 0; i < count; ++i)
    text += (i ? ", $" : "$") + std::to_string(first + i);
  return text + "}";
}

/// How wgmma walks a swizzled tile (PTX ISA 9.7.15.5.1.2): descriptor and the
/// distance, in its 16-byte units, from one contraction step to the next.
class SharedOperand {
public:
  /// `contractedInner`: the contracted dimension is the contiguous one
  /// ("K-major").
  SharedOperand(SmemType tile, bool contractedInner)
      : rows(tile.getBlockRows()), contractedInner(contractedInner) {}

  /// A descriptor less its tile's fixed distance, in units of 16 bytes, from
  /// what the address is otherwise made of: where registers are few, the same
  /// number for many tiles. One for each would be more than there are uniform
  /// ones.
  struct Descriptor {
    Value base;
    int64_t units;
  };

  Descriptor descriptor(Emitter &e, Value address) const {
    auto [rest, distance] = e.hasFewRegisters()
                                ? splitConstant(e, address)
                                : std::pair(address, int64_t(0));
    if (!rest || distance % 16 != 0) {
      rest = address;
      distance = 0;
    }
    return {makeBits(e, rest), distance / 16};
  }

  /// From the tile's start to row `row` of those that are not contracted: a
  /// multiple of 8.
  int64_t rowOffset(int64_t row) const {
    return contractedInner ? row * 128 / 16
                           : row / kBlockColumns * blockUnits() +
                                 row % kBlockColumns * 2 / 16;
  }

  int64_t stepOffset(int64_t step) const {
    if (!contractedInner)
      return step * kStep * 128 / 16;
    int64_t column = step * kStep;
    return column / kBlockColumns * blockUnits() +
           column % kBlockColumns * 2 / 16;
  }

private:
  /// `address` without its constant terms, null if there are no others, and
  /// their sum.
  static std::pair<Value, int64_t> splitConstant(Emitter &e, Value address) {
    if (auto constant = address.getDefiningOp<LLVM::ConstantOp>())
      return {{}, cast<IntegerAttr>(constant.getValue()).getInt()};
    auto sum = address.getDefiningOp<LLVM::AddOp>();
    if (!sum)
      return {address, 0};
    auto [left, a] = splitConstant(e, sum.getLhs());
    auto [right, b] = splitConstant(e, sum.getRhs());
    if (a + b == 0)
      return {address, 0};
    return {left && right ? e.add(left, right) : left ? left : right, a + b};
  }

  Value makeBits(Emitter &e, Value address) const {
    // Bits 0-13 address / 16, 16-29 leading and 32-45 stride byte offset / 16,
    // 62-63 the swizzle (1: 128 bytes). Eight rows of 128 bytes lie 1024 bytes
    // apart; blocks of 64 columns lie rows * 128 bytes apart.
    int64_t leading = contractedInner ? 1 : blockUnits();
    int64_t constant =
        (leading << 16) | (int64_t(1024 / 16) << 32) | (int64_t(1) << 62);
    Value unit = e.udiv(e.band(address, e.c32(0x3FFFF)), 16);
    Value bits = e.ext64(unit);
    return LLVM::OrOp::create(e.builder, e.loc, bits, e.c64(constant));
  }

  int64_t blockUnits() const { return rows * 128 / 16; }

  int64_t rows;
  bool contractedInner;
};

} // namespace mlir::wyvern::tile

#endif // WYVERN_LIB_CONVERSION_TILETONVVM_SHAREDOPERAND_H
