//===- Fragments.cpp - Products of one warp -----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Fragments.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

Value tile::packHalves(Emitter &e, Value low, Value high, Type half) {
  // Not two truncations: of these, where one half is used too, LLVM makes two
  // conversions and a permutation.
  Type pair = VectorType::get({2}, half);
  auto convert = [&](auto op) -> Value {
    return decltype(op)::create(e.builder, e.loc, pair, high, low,
                                /*random_bits=*/Value(),
                                NVVM::FPRoundingMode::RN);
  };
  Value halves = half.isF16() ? convert(NVVM::ConvertF32x2ToF16x2Op())
                              : convert(NVVM::ConvertF32x2ToBF16x2Op());
  return LLVM::BitcastOp::create(e.builder, e.loc, e.i32(), halves);
}

std::pair<Value, Value> tile::extendHalves(Emitter &e, Value packed,
                                           Type half) {
  if (!half.isBF16()) {
    auto [low, high] = e.unpack(packed, half);
    return {LLVM::FPExtOp::create(e.builder, e.loc, e.f32(), low),
            LLVM::FPExtOp::create(e.builder, e.loc, e.f32(), high)};
  }
  // A bf16 is the upper half of an f32: an instruction each, where LLVM would
  // take the upper one out of the register first.
  auto asFloat = [&](Value bits) -> Value {
    return LLVM::BitcastOp::create(e.builder, e.loc, e.f32(), bits);
  };
  Value low = LLVM::ShlOp::create(e.builder, e.loc, packed, e.c32(16));
  return {asFloat(low), asFloat(e.band(packed, e.c32(~0xffff)))};
}

Value tile::packRemainders(Emitter &e, Value low, Value high, Value packed,
                           Type half) {
  auto [lowRounded, highRounded] = extendHalves(e, packed, half);
  Value lowLost = LLVM::FSubOp::create(e.builder, e.loc, low, lowRounded);
  Value highLost = LLVM::FSubOp::create(e.builder, e.loc, high, highRounded);
  return packHalves(e, lowLost, highLost, half);
}

SmallVector<Value> tile::loadMatrices(Emitter &e, Value address) {
  return e.ptx("ldmatrix.sync.aligned.m8n8.x4.shared.b16 "
               "{$0, $1, $2, $3}, [$4];",
               "=r,=r,=r,=r,r,~{memory}", address,
               SmallVector<Type>(4, e.i32()));
}

void tile::multiplyHalves(Emitter &e, MutableArrayRef<Value> acc,
                          ArrayRef<Value> a, ArrayRef<Value> b) {
  Type pair = VectorType::get({2}, e.builder.getF16Type());
  auto asPairs = [&](ArrayRef<Value> registers) {
    return llvm::map_to_vector(registers, [&](Value value) -> Value {
      return LLVM::BitcastOp::create(e.builder, e.loc, pair, value);
    });
  };
  Type result = LLVM::LLVMStructType::getLiteral(e.builder.getContext(),
                                                 SmallVector<Type>(4, e.f32()));
  SmallVector<int64_t> shape = {16, 8, 16};
  std::array<NVVM::MMALayout, 2> layouts = {NVVM::MMALayout::row,
                                            NVVM::MMALayout::col};
  Value product = NVVM::MmaOp::create(
      e.builder, e.loc, result, asPairs(a), asPairs(b), ValueRange(acc), shape,
      /*b1Op=*/std::nullopt, /*intOverflow=*/std::nullopt,
      /*multiplicandPtxTypes=*/std::nullopt, layouts);
  for (auto [i, value] : llvm::enumerate(acc))
    value = LLVM::ExtractValueOp::create(e.builder, e.loc, product, i);
}

void tile::storeMatrices(Emitter &e, ArrayRef<Value> matrices, Value address,
                         Value condition) {
  SmallVector<Value> operands = {address};
  operands.append(matrices.begin(), matrices.end());
  std::string store =
      "stmatrix.sync.aligned.m8n8.x4.shared.b16 [$0], {$1, $2, $3, $4};";
  if (!condition)
    return (void)e.ptx(store, "r,r,r,r,r,~{memory}", operands, {});
  operands.push_back(
      LLVM::ZExtOp::create(e.builder, e.loc, e.i32(), condition));
  e.ptx("{\n.reg .pred stored;\nsetp.ne.b32 stored, $5, 0;\n@stored " + store +
            "\n}",
        "r,r,r,r,r,r,~{memory}", operands, {});
}

void tile::storeVectorIf(Emitter &e, Value condition, ArrayRef<Value> values,
                         Value address) {
  Value flag = LLVM::ZExtOp::create(e.builder, e.loc, e.i32(), condition);
  SmallVector<Value> operands = {address, flag};
  operands.append(values.begin(), values.end());
  e.ptx("{\n"
        ".reg .pred stored;\n"
        "setp.ne.b32 stored, $1, 0;\n"
        "@stored st.shared.v4.b32 [$0], {$2, $3, $4, $5};\n}",
        "r,r,r,r,r,r,~{memory}", operands, {});
}

void tile::storeIf(Emitter &e, Value condition, Value value, Value address) {
  Value flag = LLVM::ZExtOp::create(e.builder, e.loc, e.i32(), condition);
  e.ptx("{\n"
        ".reg .pred stored;\n"
        "setp.ne.b32 stored, $1, 0;\n"
        "@stored st.shared.f32 [$0], $2;\n}",
        "r,r,f,~{memory}", {address, flag, value}, {});
}

void tile::syncWarp(Emitter &e) {
  NVVM::SyncWarpOp::create(e.builder, e.loc, e.c32(-1));
}
