//===- ColumnBound.cpp - Columns that a tensor has ----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ColumnBound.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

ColumnBound::ColumnBound(Emitter &e, GlobalType global, Value coord,
                         int64_t columns)
    : e(e) {
  int64_t size = global.getTensor().getShape().back();
  if (size % columns != 0)
    left = e.sub(e.c32(size), e.trunc32(coord));
}

Value ColumnBound::isInside(Value column) const {
  return e.cmp(LLVM::ICmpPredicate::slt, column, left);
}

Value ColumnBound::andInside(Value condition, Value column) const {
  return left ? e.band(condition, isInside(column)) : condition;
}
