//===- Fragments.h - Products of one warp -------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_CONVERSION_TILETONVVM_FRAGMENTS_H
#define WYVERN_LIB_CONVERSION_TILETONVVM_FRAGMENTS_H

#include "Emitter.h"

namespace mlir::wyvern::tile {

/// Rounds two f32 to `half`, f16 or bf16, as mma operands hold them: one
/// register, `low` in its lower half.
Value packHalves(Emitter &e, Value low, Value high, Type half);

/// Returns the two f32 of a register that packHalves has made, exactly.
std::pair<Value, Value> extendHalves(Emitter &e, Value packed, Type half);

/// Returns what `packed`, the result of packHalves, lost of the two, rounded in
/// its turn.
Value packRemainders(Emitter &e, Value low, Value high, Value packed,
                     Type half);

/// Loads four 8 x 8 matrices of 16 bits by one ldmatrix; lane l says where row
/// l % 8 of matrix l / 8 lies. So memory with columns of B becomes a B operand.
SmallVector<Value> loadMatrices(Emitter &e, Value address);

/// Adds A B to `acc` by one mma.sync m16n8k16 (PTX ISA 9.7.14.5.8): A is 16 x
/// 16 in four registers of two f16, B 16 x 8 in two, `acc` 16 x 8 in four f32.
void multiplyHalves(Emitter &e, MutableArrayRef<Value> acc, ArrayRef<Value> a,
                    ArrayRef<Value> b);

/// Stores four 8 x 8 matrices by one stmatrix, lane l says where row l % 8 of
/// matrix l / 8 goes; with `condition`, which is the same in all lanes, where
/// it holds.
void storeMatrices(Emitter &e, ArrayRef<Value> matrices, Value address,
                   Value condition = {});

/// Stores four registers of 32 bits, 16 bytes, to shared memory in the lanes
/// where `condition` holds; no branch, which would end the block of
/// instructions that ptxas orders.
void storeVectorIf(Emitter &e, Value condition, ArrayRef<Value> values,
                   Value address);

/// Stores an f32 to shared memory in the lanes where `condition` holds; no
/// branch either.
void storeIf(Emitter &e, Value condition, Value value, Value address);

/// Makes what the warp's lanes wrote to shared memory visible to all of them.
void syncWarp(Emitter &e);

} // namespace mlir::wyvern::tile

#endif // WYVERN_LIB_CONVERSION_TILETONVVM_FRAGMENTS_H
