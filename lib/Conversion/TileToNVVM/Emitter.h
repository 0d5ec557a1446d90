//===- Emitter.h - Builds what a tile operation becomes -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_CONVERSION_TILETONVVM_EMITTER_H
#define WYVERN_LIB_CONVERSION_TILETONVVM_EMITTER_H

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/IR/Builders.h"

namespace mlir::wyvern::tile {

/// Emits LLVM and NVVM operations at the builder's place. Shared addresses are
/// i32 (PTX shared-state-space addresses), sizes and coordinates i64, a
/// thread's part of a register tile is one LLVM vector.
class Emitter {
public:
  Emitter(OpBuilder &builder, Location loc) : builder(builder), loc(loc) {}

  OpBuilder &builder;
  Location loc;

  // Types.
  Type i1() { return builder.getI1Type(); }
  Type i32() { return builder.getI32Type(); }
  Type i64() { return builder.getI64Type(); }
  Type f16() { return builder.getF16Type(); }
  Type f32() { return builder.getF32Type(); }

  // Constants.
  Value c32(int64_t value);
  Value c64(int64_t value);
  Value cf32(double value);
  Value zero(Type type);

  // Integer arithmetic on i32 or i64 alike.
  Value add(Value a, Value b);
  Value sub(Value a, Value b);
  Value mul(Value a, Value b);
  Value udiv(Value a, Value b);
  Value urem(Value a, Value b);
  Value band(Value a, Value b);
  Value bxor(Value a, Value b);
  Value add(Value a, int64_t b);
  Value mul(Value a, int64_t b);
  Value udiv(Value a, int64_t b);
  Value urem(Value a, int64_t b);
  Value cmp(LLVM::ICmpPredicate predicate, Value a, Value b);
  Value select(Value cond, Value a, Value b);
  Value trunc32(Value value);
  Value ext64(Value value);

  // Threads.
  Value threadId();
  /// The same out of a register that is read once a kernel: what follows from
  /// it is not hoisted or shared, where it would take registers meanwhile, and
  /// ptxas does not read the special register for each use, which takes 100
  /// cycles behind loads.
  Value threadIdAgain();
  /// The warp's number in the block, read once a kernel: the same register in
  /// all lanes, which ptxas keeps as a uniform one.
  Value warpNumber();
  /// True in a kernel that is marked so (kFewRegistersAttr, kFewAddressesAttr).
  bool hasFewRegisters();
  /// True where it holds what its arguments are, and has few instructions.
  bool hasFewAddresses();
  /// `value`, of 32 bits, of which LLVM knows no bit where registers are few:
  /// so constants added to an address stay apart from it, where an instruction
  /// can take them.
  Value opaque(Value value);
  Value laneId();
  /// 0..127 within a warpgroup.
  Value warpgroupThread();
  /// 0..3 within a warpgroup.
  Value warpInGroup();

  // Vectors: a thread's elements of a register tile.
  Value element(Value vector, int64_t index);
  Value vectorOf(ArrayRef<Value> elements);
  SmallVector<Value> elements(Value vector);
  /// Two 16-bit floats as the i32 that mma operands are made of.
  Value pack(Value low, Value high);
  std::pair<Value, Value> unpack(Value packed, Type element);

  // Memory.
  Value loadShared(Type type, Value address);
  void storeShared(Value value, Value address);
  /// Vectors of 2 or 4 f32 (or i32) at once. `offset` is the instruction's: of
  /// an address that is aligned LLVM would make another one.
  SmallVector<Value> loadSharedVector(Type element, unsigned count,
                                      Value address, int64_t offset = 0);
  void storeSharedVector(ArrayRef<Value> values, Value address,
                         int64_t offset = 0);
  Value loadGlobal(Type type, Value pointer);
  void storeGlobal(Value value, Value pointer);

  /// Lane `lane` of `value`, all lanes taking part.
  Value shuffle(Value value, Value lane);
  Value shuffleXor(Value value, int64_t mask);
  /// The value `distance` lanes below (`up`) or above, unchanged at the edge.
  Value shuffleShift(Value value, int64_t distance, bool up);

  /// Inline PTX with side effects; `results` may be empty, one or many types.
  SmallVector<Value> ptx(StringRef text, StringRef constraints,
                         ValueRange operands, TypeRange results);

  /// Runs `body` only where `condition` holds.
  void ifThen(Value condition, function_ref<void()> body);
  /// `condition ? then() : otherwise()`, both of `type`.
  Value ifElse(Value condition, Type type, function_ref<Value()> then,
               function_ref<Value()> otherwise);
};

/// The fields of a lowered `!tile.global`: pointer, then a stride a dimension.
Value globalPointer(Emitter &e, Value global);
Value globalStride(Emitter &e, Value global, int64_t dim);
/// Address of `global[coords]`.
Value globalAddress(Emitter &e, Value global, ValueRange coords, Type element);
/// The field of a lowered `!tile.global`, 0 its pointer and i + 1 the stride of
/// dimension i; where registers are few, read anew from the kernel's
/// parameters. `varying` is a number from 0 on that ptxas does not know.
Value globalFieldAgain(Emitter &e, Value global, int64_t field, Value varying);
/// The address of `global[coords]`, made of such fields; a pointer that is
/// moved on from chunk to chunk would hold four registers for each vector of a
/// role.
Value globalAddressAgain(Emitter &e, Value global, ValueRange coords,
                         Type element, Value varying);
/// `pointer` moved by `elements` of `element`.
Value offsetPointer(Emitter &e, Value pointer, Value elements, Type element);
/// True where the pointer is not null.
Value isPresent(Emitter &e, Value pointer);

} // namespace mlir::wyvern::tile

#endif // WYVERN_LIB_CONVERSION_TILETONVVM_EMITTER_H
