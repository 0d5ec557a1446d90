//===- Delta.h - The delta dialect ------------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_IR_DELTA_H
#define WYVERN_DIALECT_DELTA_IR_DELTA_H

#include "wyvern/Dialect/Delta/IR/ChunkRegion.h"

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/Hashing.h"
#include "llvm/Support/MathExtras.h"

#include "wyvern/Dialect/Delta/IR/DeltaDialect.h.inc"
#include "wyvern/Dialect/Delta/IR/DeltaEnums.h.inc"

namespace mlir::wyvern::delta {

/// On an argument or result of a function: what callers name the tensor.
inline constexpr llvm::StringLiteral kNameAttr = "delta.name";

/// On a function: the most tokens that its tensors may have.
inline constexpr llvm::StringLiteral kMaxTokensAttr = "delta.max_tokens";

/// On a function: the tokens of the segments that its sequences are cut into,
/// where each launch may choose another number of chunks.
inline constexpr llvm::StringLiteral kSegmentAttr = "delta.segment_tokens";

/// On a function with that: what it computes of a sequence is what it computes
/// of two parts of it, one from the state in which the other ends, wherever a
/// chunk begins. The direction says which one comes first.
inline constexpr llvm::StringLiteral kPartsAttr = "delta.in_parts";

/// Levels that a value head has at most: positions are numbers of 32 bits.
inline constexpr int64_t kMaxLevels = 31;

/// One dimension of a bound operand; `multiple` is the rows a token of a `time`
/// dimension, the chunks a slot of a `chunk` dimension, of which `offset` says
/// which is stored, the tensor's heads for each of the program's in a `head`
/// dimension, of which `offset` says which is read, what the tile has a
/// multiple of elements of in one that is kept whole, and 1 for every other
/// kind.
struct BoundDim {
  DimKind kind;
  int64_t multiple = 1;
  int64_t offset = 0;
  int64_t end = 0; ///< of a part of what is kept whole, behind it; 0: no part
  /// Equal parts of a dimension that is kept whole, of which the heads of the
  /// program have one each in turn.
  int64_t parts = 1;
  /// Rows of the tile of a `time` dimension, where these are more than a
  /// chunk's: zeros are behind the chunk's in an in. 0 where it has these only.
  int64_t rows = 0;
  /// True for a `time` dimension of which a tile has row `offset` alone of each
  /// token's `multiple` rows: an out is zero in the others.
  bool isRow = false;

  /// Rows of a token in the tile of a `time` dimension.
  int64_t getRowsOfToken() const { return isRow ? 1 : multiple; }
  /// Rows of a `time` dimension that the tile of `chunk` tokens has.
  int64_t getRows(int64_t chunk) const {
    return rows ? rows : chunk * getRowsOfToken();
  }
  /// Elements of a dimension of `size` elements, kept whole, that a tile has:
  /// of several parts, with the zeros behind what the last one has.
  int64_t getExtent(int64_t size) const {
    int64_t own = end ? end - offset : size;
    return parts > 1 ? llvm::alignTo(own, multiple * parts) / parts : own;
  }
  /// True if the last part has as many elements as the others.
  bool hasEqualParts(int64_t size) const {
    return parts == 1 || getExtent(size) * parts == size;
  }
  /// True if `size` elements are equal parts, or such that the zeros behind
  /// them are of the last one, which has others.
  bool canDivide(int64_t size) const {
    return multiple == 1 ? size % parts == 0
                         : size > (parts - 1) * getExtent(size);
  }
  bool isPart() const { return end != 0; }

  bool operator==(const BoundDim &other) const {
    return kind == other.kind && multiple == other.multiple &&
           offset == other.offset && end == other.end && parts == other.parts &&
           rows == other.rows && isRow == other.isRow;
  }
};

inline llvm::hash_code hash_value(const BoundDim &dim) {
  return llvm::hash_combine(static_cast<uint32_t>(dim.kind), dim.multiple,
                            dim.offset, dim.end, dim.parts, dim.rows,
                            dim.isRow);
}

} // namespace mlir::wyvern::delta

#define GET_ATTRDEF_CLASSES
#include "wyvern/Dialect/Delta/IR/DeltaAttrs.h.inc"

namespace mlir::wyvern::delta {
class YieldOp;
} // namespace mlir::wyvern::delta

#include "wyvern/Dialect/Delta/IR/DeltaInterfaces.h.inc"
#include "wyvern/Dialect/Delta/IR/DeltaRegionInterface.h.inc"

#define GET_OP_CLASSES
#include "wyvern/Dialect/Delta/IR/Delta.h.inc"

#endif // WYVERN_DIALECT_DELTA_IR_DELTA_H
