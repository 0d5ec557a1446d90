//===- Sequences.cpp - Tensors with one entry a sequence ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/Utils/Sequences.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::wyvern;

Value delta::countSequences(ImplicitLocOpBuilder &b, Value batch,
                            Value cuSeqlens) {
  if (!cuSeqlens)
    return batch;
  Value entries = tensor::DimOp::create(b, cuSeqlens, 0);
  Value zero = arith::ConstantIndexOp::create(b, 0);
  Value one = arith::ConstantIndexOp::create(b, 1);
  Value packed =
      arith::CmpIOp::create(b, arith::CmpIPredicate::ne, entries, zero);
  Value sequences = arith::SubIOp::create(b, entries, one);
  return arith::SelectOp::create(b, packed, sequences, batch);
}

Value delta::createZeroStates(ImplicitLocOpBuilder &b, RankedTensorType type,
                              function_ref<Value()> sequences) {
  SmallVector<Value> sizes;
  if (!type.hasStaticShape())
    sizes.push_back(sequences());
  Value empty = tensor::EmptyOp::create(b, type, sizes);
  Value zero =
      arith::ConstantOp::create(b, b.getFloatAttr(type.getElementType(), 0.0));
  return linalg::FillOp::create(b, zero, empty).getResult(0);
}
