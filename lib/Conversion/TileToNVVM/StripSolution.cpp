//===- StripSolution.cpp - Substitution in a strip of L -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "StripSolution.h"

#include "Fragments.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

StripSolution tile::solveStrip(FactorScratch &scratch, StripOfL l,
                               bool isSplit) {
  Emitter &e = scratch.e;
  Value column = e.add(l.origin, e.mul(scratch.lane, 4));
  // L_ss is right of L_21 in a second strip.
  Value diagonal = e.add(
      l.origin, e.select(scratch.isSecond(), e.c32(kStrip * 4), e.c32(0)));
  StripSolution result;
  SmallVector<Value> &p = result.p, y;
  for (int64_t i = 0; i < kStrip; ++i)
    p.push_back(e.loadShared(e.f32(), e.add(column, i * l.rowBytes)));
  for (int64_t first = 0; first < kStrip; first += kPanel) {
    if (isSplit && first >= kStrip / 2)
      syncWarp(e);
    SmallVector<Value> c =
        e.loadSharedVector(e.f32(), kPanel, scratch.rate(first));
    for (int64_t i = first; i < kStrip; ++i) {
      SmallVector<Value> row;
      if (i > first)
        row = e.loadSharedVector(e.f32(), kPanel,
                                 e.add(diagonal, i * l.rowBytes + first * 4));
      for (int64_t k = first; k < std::min(i, first + kPanel); ++k)
        p[i] =
            LLVM::FMAOp::create(e.builder, e.loc, row[k - first], y[k], p[i]);
      if (i >= first + kPanel)
        continue;
      Value scaled = LLVM::FMulOp::create(e.builder, e.loc, c[i - first], p[i]);
      result.scaled.push_back(scaled);
      y.push_back(LLVM::FNegOp::create(e.builder, e.loc, scaled));
      // At once: half the registers.
      if (i % 2 == 1)
        result.halves.push_back(packHalves(e, y[i - 1], y[i], e.f16()));
    }
  }
  return result;
}

SmallVector<Value> tile::findLost(FactorScratch &scratch,
                                  const StripSolution &column) {
  Emitter &e = scratch.e;
  SmallVector<Value> lost;
  for (int64_t first = 0; first < kStrip; first += kPanel) {
    SmallVector<Value> c =
        e.loadSharedVector(e.f32(), kPanel, scratch.rate(first));
    auto findOf = [&](int64_t i, Value rounded) -> Value {
      Value sum = LLVM::FMAOp::create(e.builder, e.loc, c[i],
                                      column.p[first + i], rounded);
      return LLVM::FNegOp::create(e.builder, e.loc, sum);
    };
    for (int64_t i = 0; i < kPanel; i += 2) {
      auto [low, high] =
          extendHalves(e, column.halves[(first + i) / 2], e.f16());
      lost.push_back(
          packHalves(e, findOf(i, low), findOf(i + 1, high), e.f16()));
    }
  }
  return lost;
}
