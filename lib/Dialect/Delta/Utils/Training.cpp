//===- Training.cpp - A forward and its backward --------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/Utils/Training.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/SymbolTable.h"

using namespace mlir;
using namespace mlir::wyvern;

func::FuncOp delta::getBackward(func::FuncOp forward) {
  auto symbol = forward->getAttrOfType<FlatSymbolRefAttr>(kBackwardAttr);
  if (!symbol)
    return {};
  return SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(forward, symbol);
}

bool delta::isSavedBy(OpOperand &use) {
  auto func = dyn_cast<func::FuncOp>(use.getOwner()->getParentOp());
  return isa<func::ReturnOp>(use.getOwner()) && func &&
         func.getResultAttr(use.getOperandNumber(), kResidualAttr);
}

bool delta::isTrainingFunction(func::FuncOp func) {
  if (func->hasAttr(kBackwardAttr))
    return true;
  auto module = func->getParentOfType<ModuleOp>();
  return llvm::any_of(module.getOps<func::FuncOp>(), [&](func::FuncOp other) {
    return getBackward(other) == func;
  });
}
