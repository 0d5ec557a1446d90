//===- RegionLowering.h - The region of a chunk program, op by op -------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_CONVERSION_DELTATOTILE_REGIONLOWERING_H
#define WYVERN_LIB_CONVERSION_DELTATOTILE_REGIONLOWERING_H

#include "TileOrientation.h"
#include "wyvern/Dialect/Tile/IR/Tile.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/Builders.h"

namespace mlir::wyvern {

/// Lowers the operations of a chunk program's region into the consumer's loop.
///
/// A value is in one of three places, by its rank and orientation:
/// * a matrix with an M dimension: a register tile, M first (so a value whose
///   second dimension is M is held transposed);
/// * a matrix without: only as the shared tile it came in as, for a B operand;
/// * a vector: in a scan along the rows or columns of the tiles it meets, in a
/// map
///   held by every warp until it is broadcast; a scalar: in every thread.
class RegionLowering {
public:
  RegionLowering(OpBuilder &builder, const TileOrientation &orientation,
                 bool isMap)
      : builder(builder), orientation(orientation), isMap(isMap) {}

  /// The block argument `arg` lies in shared memory at `tile`.
  void setShared(Value arg, Value tile) { shared[arg] = tile; }
  /// `value` is the register tile, vector or scalar `lowered`.
  void setRegister(Value value, Value lowered) { registers[value] = lowered; }
  /// The scratch tile for `tile.erase_factor`.
  void setScratch(Value tile) { scratch = tile; }

  /// Lowers one operation; diagnoses what the GPU path does not take.
  LogicalResult lower(Operation *op);

  /// The register tile, vector or scalar of `value`; for a splat, of M
  /// dimension `m`. Null, after an error at `user`, where it has none.
  Value getRegister(Value value, Operation *user,
                    std::optional<int64_t> m = std::nullopt);

  /// The type a register tile of `value` has, with M dimension `m`.
  RankedTensorType getRegisterType(Value value, std::optional<int64_t> m);

  int64_t getNumProducts() const { return numProducts; }

private:
  LogicalResult lowerElementwise(Operation *op);
  LogicalResult lowerContract(linalg::ContractOp op);
  LogicalResult lowerDecayDot(delta::DecayDotOp op);
  LogicalResult lowerBroadcast(linalg::BroadcastOp op);
  LogicalResult lowerReduce(linalg::ReduceOp op);
  LogicalResult lowerEraseFactor(delta::EraseFactorOp op);
  LogicalResult lowerCumsum(delta::CumsumOp op);
  LogicalResult lowerRepeatRows(delta::RepeatRowsOp op);

  /// The shared tile that `value` is, or null: an in, or an in rounded to the
  /// element type it is stored in.
  Value getShared(Value value);
  /// `D = A B (+ C)`, awaited. An operand in shared memory is transposed where
  /// its contracted dimension comes first (A) or second (B).
  Value emitMma(Location loc, Value a, bool transposeA, Value b,
                bool transposeB, Value c, RankedTensorType type);
  /// `vector` along the rows or columns of a tile; `repeat` elements for each.
  Value alongTile(Location loc, Value vector, tile::LayoutKind layout,
                  int64_t repeat);
  /// `source` spread over a tile of `type`.
  Value spread(Location loc, Value source, RankedTensorType type);
  /// Mask of a decay product, and its factor where there is a decay.
  Value maskDecayProduct(delta::DecayDotOp op, Value product, int64_t m);
  Value decayExponent(delta::DecayDotOp op, RankedTensorType type, int64_t m);
  Value tokenIndex(Location loc, RankedTensorType type, int64_t dim,
                   int64_t rows);
  Value constant(Location loc, Type type, double value);

  OpBuilder &builder;
  const TileOrientation &orientation;
  bool isMap;
  DenseMap<Value, Value> shared, registers;
  Value scratch;
  int64_t numProducts = 0;
};

} // namespace mlir::wyvern

#endif // WYVERN_LIB_CONVERSION_DELTATOTILE_REGIONLOWERING_H
