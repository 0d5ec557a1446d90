//===- TensorAdjoints.cpp - Derivatives of operations on whole tensors ----===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Rules.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

namespace {
/// A cast of the static shape: the gradient is cast back.
struct CastRule : AdjointRule<CastRule, tensor::CastOp> {
  static LogicalResult derive(tensor::CastOp op, Adjoint &adjoint) {
    Value dy = adjoint.getGradient(op.getResult());
    adjoint.addGradient(op.getSource(),
                        tensor::CastOp::create(adjoint.getBuilder(),
                                               op.getSource().getType(), dy));
    return success();
  }
};
} // namespace

void delta::registerTensorAdjoints(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, tensor::TensorDialect *) {
    tensor::CastOp::attachInterface<CastRule>(*context);
  });
}
