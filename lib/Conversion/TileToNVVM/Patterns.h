//===- Patterns.h - The parts of convert-tile-to-nvvm -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_CONVERSION_TILETONVVM_PATTERNS_H
#define WYVERN_LIB_CONVERSION_TILETONVVM_PATTERNS_H

#include "Emitter.h"
#include "wyvern/Dialect/Tile/IR/Tile.h"

#include "mlir/Conversion/LLVMCommon/Pattern.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"

namespace mlir::wyvern::tile {

/// The block's dynamic shared memory, a symbol of the kernel's gpu.module.
constexpr llvm::StringLiteral kSharedName = "wyvern_shared";

/// Teaches `converter` the tile types: see Emitter.
void addTileTypeConversions(LLVMTypeConverter &converter);

/// One function a file of patterns.
void populateKernelPatterns(LLVMTypeConverter &converter,
                            RewritePatternSet &patterns);
void populateRolePatterns(LLVMTypeConverter &converter,
                          RewritePatternSet &patterns);
void populateSequencePatterns(LLVMTypeConverter &converter,
                              RewritePatternSet &patterns);
void populateRingPatterns(LLVMTypeConverter &converter,
                          RewritePatternSet &patterns);
void populateCopyPatterns(LLVMTypeConverter &converter,
                          RewritePatternSet &patterns);
void populateMmaPatterns(LLVMTypeConverter &converter,
                         RewritePatternSet &patterns);
void populateMatrixMemoryPatterns(LLVMTypeConverter &converter,
                                  RewritePatternSet &patterns);
void populateTileRowsPatterns(LLVMTypeConverter &converter,
                              RewritePatternSet &patterns);
void populateDirectRowsPatterns(LLVMTypeConverter &converter,
                                RewritePatternSet &patterns);
void populateColumnsPatterns(LLVMTypeConverter &converter,
                             RewritePatternSet &patterns);
void populateGlobalMatrixPatterns(LLVMTypeConverter &converter,
                                  RewritePatternSet &patterns);
void populateVectorPatterns(LLVMTypeConverter &converter,
                            RewritePatternSet &patterns);
void populateTrianglePatterns(LLVMTypeConverter &converter,
                              RewritePatternSet &patterns);
void populateReducePatterns(LLVMTypeConverter &converter,
                            RewritePatternSet &patterns);
void populateScanRowsPatterns(LLVMTypeConverter &converter,
                              RewritePatternSet &patterns);
void populateDecayedProductsPatterns(LLVMTypeConverter &converter,
                                     RewritePatternSet &patterns);
void populateAddScaledPatterns(LLVMTypeConverter &converter,
                               RewritePatternSet &patterns);
void populateRunningSumPatterns(LLVMTypeConverter &converter,
                                RewritePatternSet &patterns);
void populateSharedByTokensPatterns(LLVMTypeConverter &converter,
                                    RewritePatternSet &patterns);
void populateDotPatterns(LLVMTypeConverter &converter,
                         RewritePatternSet &patterns);
void populateEraseApplyPatterns(LLVMTypeConverter &converter,
                                RewritePatternSet &patterns);
void populateEraseFactorPatterns(LLVMTypeConverter &converter,
                                 RewritePatternSet &patterns);
void populateStochasticTruncPatterns(LLVMTypeConverter &converter,
                                     RewritePatternSet &patterns);
void populateSpreadMemoryPatterns(LLVMTypeConverter &converter,
                                  RewritePatternSet &patterns);
void populateSpreadRowsPatterns(LLVMTypeConverter &converter,
                                RewritePatternSet &patterns);
void populateSpreadPatterns(LLVMTypeConverter &converter,
                            RewritePatternSet &patterns);
void populateElementwisePatterns(LLVMTypeConverter &converter,
                                 RewritePatternSet &patterns);
void populateFunctionPatterns(LLVMTypeConverter &converter,
                              RewritePatternSet &patterns);

/// exp(x) = 2^(x log2 e) by ex2.approx.ftz (PTX ISA 9.7.3.21; 2 ulp): llvm.exp
/// has no NVPTX lowering and libdevice is slower.
Value emitExp(Emitter &e, Value x);
/// 2^x by the same instruction.
Value emitExp2(Emitter &e, Value x);

/// True in the first of the lanes and warps that hold the same elements of a
/// spread tile.
Value isFirstHolder(Emitter &e, SpreadAttr spread);
/// The same in each warp.
Value isFirstLane(Emitter &e, SpreadAttr spread);

/// All threads of the cluster wait for each other (PTX ISA 9.7.13.4). An
/// arrival is a release: a thread waits until its stores are done, those to
/// device memory too.
void emitClusterArrive(Emitter &e);
void emitClusterWait(Emitter &e);

/// Byte address of element (row, col) of a 16-bit swizzled tile; `col` is a
/// multiple of 8, so that 16-byte units stay whole.
Value swizzledAddress(Emitter &e, Value base, SmemType tile, Value row,
                      Value col);

/// The 16 x 16 elements of a swizzled tile from column `j` on, of the 16 rows
/// that the warp has of the 64 from `firstRow` on: as a left operand of
/// mma.sync, or with `byRow` as two right operands of eight rows each.
SmallVector<Value> readFragment(Emitter &e, Value thread, Value base,
                                SmemType tile, int64_t firstRow, int64_t j,
                                bool byRow = false);

/// A tile of 16 bits in registers into a swizzled one.
void writeMatrix(Emitter &e, Value vector, Value base, SmemType tile,
                 bool transposed, int64_t firstRow = 0, bool asRead = false);

/// A tile of f32, which is not swizzled, into registers and back; `firstRow` is
/// where the register tile's 64 rows begin in a matrix of more.
Value readPlain(Emitter &e, Value base, SmemType tile, RankedTensorType type,
                bool transposed, int64_t firstRow);
void writePlain(Emitter &e, WriteOp op, WriteOp::Adaptor adaptor);
/// The same for a matrix in the acc layout of `values`.
void writePlainMatrix(Emitter &e, ArrayRef<Value> values, Value base,
                      SmemType tile, bool transposed, int64_t firstRow);

/// Writes a vector that every warp holds to this warp's place `base`.
void emitCopyToWarp(Emitter &e, ArrayRef<Value> values, Value base);

/// Makes this thread's writes to shared memory visible to wgmma and TMA, for
/// whoever synchronizes with it afterwards.
void emitProxyFence(Emitter &e);

/// All threads of the warpgroup meet at hardware barrier `id`; with `proxy`
/// their writes become visible to wgmma and TMA.
void emitWarpgroupBarrier(Emitter &e, int64_t id, bool proxy);

/// Row and column of element i of this thread's part of an acc tile.
struct AccPosition {
  Value row0; ///< 16 * warp + lane / 4
  Value col0; ///< 2 * (lane % 4)
  static AccPosition get(Emitter &e);
  /// Element i lies at row0 + rowOffset(i), col0 + colOffset(i).
  static int64_t rowOffset(int64_t i) { return i % 4 < 2 ? 0 : 8; }
  static int64_t colOffset(int64_t i) { return 8 * (i / 4) + i % 2; }
};

} // namespace mlir::wyvern::tile

#endif // WYVERN_LIB_CONVERSION_TILETONVVM_PATTERNS_H
