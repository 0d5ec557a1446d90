//===- RoundSums.cpp - Sums that go on in registers -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RoundSums.h"

#include "wyvern/Dialect/Delta/IR/Splat.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

/// Makes a product from zero that `sum` alone reads start from its other term,
/// which is there by then.
static void startFromSum(RewriterBase &rewriter, arith::AddFOp sum) {
  Value so = sum.getLhs();
  auto product = sum.getRhs().getDefiningOp<linalg::ContractOp>();
  Operation *def = so.getDefiningOp();
  if (!product || !product->hasOneUse() ||
      !isZero(product.getOutputs().front()) ||
      (def && !def->isBeforeInBlock(product)))
    return;
  product.getOutputsMutable().assign(so);
  rewriter.replaceOp(sum, product->getResult(0));
}

void delta::addInRounds(RewriterBase &rewriter, ChunkMapOp map) {
  SmallVector<arith::AddFOp> sums(map.getBlock().getOps<arith::AddFOp>());
  for (arith::AddFOp sum : sums)
    startFromSum(rewriter, sum);
}
