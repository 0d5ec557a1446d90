//===- Tile.h - The tile dialect --------------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_TILE_IR_TILE_H
#define WYVERN_DIALECT_TILE_IR_TILE_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "wyvern/Dialect/Tile/Targets/TargetInfo.h"

#include "wyvern/Dialect/Tile/IR/TileDialect.h.inc"
#include "wyvern/Dialect/Tile/IR/TileEnums.h.inc"

namespace mlir::wyvern::tile {

/// How one dimension of a tile is spread over lanes and warps; see SpreadAttr.
struct DimSpread {
  int64_t piece = 1, lanes = 1, step = 1, warps = 1;

  /// True if every thread has all of the dimension.
  bool isWhole() const { return lanes * warps == 1; }
  bool operator==(const DimSpread &other) const {
    return piece == other.piece && lanes == other.lanes && step == other.step &&
           warps == other.warps;
  }
  bool operator!=(const DimSpread &other) const { return !(*this == other); }
};

inline llvm::hash_code hash_value(const DimSpread &dim) {
  return llvm::hash_combine(dim.piece, dim.lanes, dim.step, dim.warps);
}

} // namespace mlir::wyvern::tile

#define GET_ATTRDEF_CLASSES
#include "wyvern/Dialect/Tile/IR/TileAttrs.h.inc"

#define GET_TYPEDEF_CLASSES
#include "wyvern/Dialect/Tile/IR/TileTypes.h.inc"

#define GET_OP_CLASSES
#include "wyvern/Dialect/Tile/IR/Tile.h.inc"

namespace mlir::wyvern::tile {

/// The layout of a register tile, or nothing for a tensor without one.
std::optional<LayoutKind> getLayout(Type type);

/// `tensor<shape x element, #tile.layout<kind>>`.
RankedTensorType getTileType(ArrayRef<int64_t> shape, Type element,
                             LayoutKind kind);

/// The spread of a register tile of the CUDA cores; null for anything else.
SpreadAttr getSpread(Type type);

/// True if a launch tells the kernel which part of its sequences it has.
bool takesPart(KernelOp kernel);

/// Returns an earlier argument of the kernel that is the same tensor: what is
/// read and written in place, of which a launch is told once. Null for others,
/// and where a launch may give parts of sequences two tensors.
BlockArgument findSameArgument(KernelOp kernel, BlockArgument argument);

/// Elements that a tile in an entry of rows begins at a multiple of: an access
/// of 16 bytes.
constexpr int64_t kRowsAlignment = 4;

/// Returns the elements of an entry of rows that these tiles take.
int64_t getRowsElements(TypeRange tiles);

/// The attribute of a module that says what it is compiled for.
constexpr StringLiteral kTargetAttr = "tile.target";

/// Returns what the architecture has that `op` is compiled for: the target of
/// its module, or the default one.
TargetInfo getTarget(Operation *op);

/// Returns the registers that each of a block's threads starts with where an SM
/// may hold `minBlocks` blocks: all that are there, in whole granules (PTX ISA
/// 9.7.19.5).
int64_t getStartRegisters(const TargetInfo &target, int64_t threads,
                          int64_t minBlocks);

/// Returns the registers of a thread whose warpgroup has `part` of `whole`
/// equal parts of an SM's registers, rounded down to a budget that it may set.
int64_t getBudget(const TargetInfo &target, int64_t part, int64_t whole);

/// Threads of a warpgroup: what issues a wgmma, and what the layouts of tiles
/// in registers are defined for.
constexpr int64_t kWarpgroupThreads = 128;
/// Its warps.
constexpr int64_t kWarpgroupWarps = 4;
/// Rows of an accumulator of one warpgroup.
constexpr int64_t kAccRows = 64;
/// 16-bit elements of a 128-byte swizzled column block.
constexpr int64_t kBlockColumns = 64;

/// True for what the tensor cores multiply.
inline bool isHalf(Type type) { return type.isBF16() || type.isF16(); }

/// Rows of a block of a factor: what erase_strips solves and erase_apply
/// multiplies by.
constexpr int64_t kFactorBlock = 32;

/// True for the tile of a factor in two parts (delta.erase_factor): what
/// rounding takes away of its blocks is as many columns to their right.
inline bool hasTwoParts(SmemType factor) {
  return factor.getShape() == llvm::ArrayRef<int64_t>{kAccRows, 2 * kAccRows};
}

/// Elements of the scratch tile of a factor.
constexpr int64_t kFactorScratch = 2624;

/// Marks a loop of which a round begins before the last one has ended
/// (`tile-rotate`).
constexpr llvm::StringLiteral kOverlapRoundsAttr = "tile.overlap_rounds";

/// On a branch that stores what a carry has become: a round of a loop that
/// `tile-rotate` cuts has it before what no carry needs.
constexpr llvm::StringLiteral kSettlesAttr = "tile.settles";

/// On what stands behind a tile.release and goes with it where that is moved:
/// it waits for the stage that is released.
constexpr llvm::StringLiteral kBehindReleaseAttr = "tile.behind_release";
/// On a product of 64 x 64 whose B is transposed and a lower triangle: its
/// first 32 columns take the first half of the steps alone.
constexpr llvm::StringLiteral kLowerTriangleAttr = "tile.lower_triangle";
/// On a kernel whose roles have no registers to spare: what an address or a
/// descriptor is made of is made again where it is used, and not held.
constexpr llvm::StringLiteral kFewRegistersAttr = "tile.few_registers";
/// On one that has registers for its arguments, but none for addresses: what
/// few registers are is so, but instructions count more than registers.
constexpr llvm::StringLiteral kFewAddressesAttr = "tile.few_addresses";

} // namespace mlir::wyvern::tile

#endif // WYVERN_DIALECT_TILE_IR_TILE_H
