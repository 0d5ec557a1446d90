//===- Splat.cpp - Tensors that hold one number everywhere ----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/IR/Splat.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::wyvern;

std::optional<double> delta::getSplat(Value value) {
  while (auto cast = value.getDefiningOp<tensor::CastOp>())
    value = cast.getSource();
  if (auto fill = value.getDefiningOp<linalg::FillOp>())
    value = fill.getInputs()[0];
  APFloat number(0.0);
  if (!matchPattern(value, m_ConstantFloat(&number)))
    return std::nullopt;
  bool losesInfo;
  number.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven,
                 &losesInfo);
  return number.convertToDouble();
}

Value delta::getBounded(Value value) {
  auto largest = value.getDefiningOp<arith::MaximumFOp>();
  return largest && getSplat(largest.getRhs()) ? largest.getLhs() : Value();
}

Operation *delta::getOnlyReader(Value value) {
  if (!value.hasOneUse())
    return nullptr;
  Operation *reader = *value.user_begin();
  bool isBound =
      reader->getNumResults() == 1 && getBounded(reader->getResult(0)) == value;
  return isBound ? getOnlyReader(reader->getResult(0)) : reader;
}
