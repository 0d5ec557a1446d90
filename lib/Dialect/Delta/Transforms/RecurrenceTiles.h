//===- RecurrenceTiles.h - What a chunk sees of a recurrence ----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What delta-form-wy and delta-form-step do alike: the ins of a chunk program,
// their bindings, and a recurrence on their tiles.
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_RECURRENCETILES_H
#define WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_RECURRENCETILES_H

#include "FormWY.h"

namespace mlir::wyvern::delta {

/// The ins of the scan: each distinct operand once.
class ScanIns {
public:
  void add(Value operand, int64_t repeat = 1) {
    if (operand && !llvm::is_contained(keys, std::pair(operand, repeat)))
      keys.emplace_back(operand, repeat);
  }
  SmallVector<Value> getOperands() const {
    return llvm::to_vector(llvm::make_first_range(keys));
  }
  /// [seq, time * repeat, head] or [seq, time * repeat, head, _] for each, with
  /// the rows that tiles of `repeat` rows a token have; 0 for a chunk's.
  SmallVector<Attribute>
  getBindings(function_ref<int64_t(int64_t)> getTileRows) const;
  /// The block argument of an operand; null for null.
  Value lookup(ChunkScanOp scan, Value operand, int64_t repeat = 1) const {
    if (!operand)
      return {};
    auto *it = llvm::find(keys, std::pair(operand, repeat));
    return scan.getInArg(it - keys.begin());
  }

private:
  SmallVector<std::pair<Value, int64_t>> keys;
};

/// Returns the distinct operands of `op` but its state. Queries and decays have
/// `rows` rows a token.
ScanIns collectIns(RecurrenceOp op, int64_t rows = 1);

/// Returns [seq, time * repeat, head], and `_` up to `rank`. Tiles have
/// `tileRows` rows; with 0 those of a chunk.
BindingAttr rowBinding(MLIRContext *context, int64_t repeat, int64_t rank,
                       int64_t tileRows);

/// Adds the region's arguments to a scan that has none yet: the number of valid
/// tokens, then a tile for each in and each carry.
void addTileArguments(OpBuilder &builder, ChunkScanOp scan);

/// Returns the recurrence with every operand replaced by its tile, and `state`
/// for the state that enters the chunk. With several `rows` a token of queries
/// and decays each row is a token of the recurrence.
TileRecurrence onTiles(RecurrenceOp op, ChunkScanOp scan, const ScanIns &ins,
                       Value state, int64_t rows = 1);

/// Diagnoses a recurrence of several steps that erase.
LogicalResult checkErasingSteps(RecurrenceOp op);

/// Returns the tokens of a chunk, so that no step has more than `rows` rows in
/// it; diagnoses a step that repeats more often.
FailureOr<int64_t> chooseChunk(RecurrenceOp op, int64_t rows);

/// Returns the type that a chunk of `op` is computed in.
FloatType getComputeType(RecurrenceOp op);

/// What a scan over the chunks of a recurrence makes.
struct ScanShape {
  RankedTensorType output; ///< the type of its out
  int64_t rowsOfToken;     ///< in that
  int64_t tileRows;        ///< of a tile of that; 0 for a chunk's
  int64_t chunk, heads;
};

/// Returns a scan over the chunks of `op`, whose states start at `init` and
/// whose region has arguments, for `ins` bound to `bindings` and the states,
/// and no operation yet.
ChunkScanOp createScan(ImplicitLocOpBuilder &b, RecurrenceOp op, ValueRange ins,
                       ArrayRef<Attribute> bindings, Value init,
                       const ScanShape &shape);

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_RECURRENCETILES_H
