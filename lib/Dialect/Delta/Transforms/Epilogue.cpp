//===- Epilogue.cpp - The norm and the gate behind a layer ----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Epilogue.h"
#include "NewArguments.h"
#include "RecurrenceTiles.h"

#include "wyvern/Dialect/Delta/Utils/Prologue.h"
#include "wyvern/Dialect/Delta/Utils/TileBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::wyvern::delta;

static constexpr StringLiteral kWeightName = "norm_weight", kLogitsName = "z";

Epilogue::Epilogue(RecurrenceOp op, ArrayRef<std::string> parts, double epsilon)
    : op(op), norm(llvm::is_contained(parts, "norm")),
      gate(llvm::is_contained(parts, "gate")), epsilon(epsilon) {}

LogicalResult Epilogue::checkParts(Operation *root, StringRef pass,
                                   ArrayRef<std::string> parts) {
  for (StringRef part : parts)
    if (!llvm::is_contained(getEpilogueParts(), part))
      return root->emitError() << pass << ": epilogue: expected norm or gate, "
                               << "found " << part;
  return success();
}

LogicalResult Epilogue::check(func::FuncOp func) {
  SmallVector<std::string> names;
  if (norm)
    names.push_back(kWeightName.str());
  if (gate)
    names.push_back(kLogitsName.str());
  return checkNewNames(op, func, names, "the epilogue");
}

void Epilogue::addArguments(func::FuncOp func) {
  if (norm)
    weight = addLastArgument(
        func, kWeightName,
        RankedTensorType::get({op.getValueDim()}, getComputeType(op)),
        op.getLoc());
  if (gate)
    logits = addLastArgument(func, kLogitsName, op.getOutput().getType(),
                             op.getLoc());
}

void Epilogue::addIns(SmallVectorImpl<Value> &ins,
                      SmallVectorImpl<Attribute> &bindings) {
  MLIRContext *context = op.getContext();
  if (weight) {
    weightNumber = ins.size();
    ins.push_back(weight);
    bindings.push_back(BindingAttr::get(context, {{DimKind::whole}}));
  }
  if (logits) {
    logitsNumber = ins.size();
    ins.push_back(logits);
    bindings.push_back(rowBinding(context, 1, 4, /*tileRows=*/0));
  }
}

/// The mean of the squares of each row, as a product: roles on the CUDA cores
/// have sums in no other form.
static Value meanOfSquares(ImplicitLocOpBuilder &b, TileBuilder &tile,
                           Value rows) {
  AffineExpr m, v;
  bindDims(b.getContext(), m, v);
  auto map = [&](ArrayRef<AffineExpr> results) {
    return AffineMap::get(2, 0, results, b.getContext());
  };
  ArrayRef<int64_t> shape = shapeOf(rows);
  Value sums = tile.contract(rows, rows, tile.splat(0.0, {shape[0]}),
                             {map({m, v}), map({m, v}), map({m})});
  return tile.mul(sums, tile.splat(1.0 / shape[1], {shape[0]}));
}

/// 1 / (1 + e^-z) by the square of a root, which is one instruction where a
/// division is a dozen, and registers for its odd cases.
static Value sigmoid(ImplicitLocOpBuilder &b, TileBuilder &tile, Value z) {
  Value sum = tile.add(tile.splat(1.0, shapeOf(z)), tile.exp(tile.neg(z)));
  Value root = math::RsqrtOp::create(b, sum);
  return tile.mul(root, root);
}

/// What does not depend on the row comes first, as one factor: less is held
/// over the sum.
Value Epilogue::build(ImplicitLocOpBuilder &b, ChunkScanOp scan, Value output) {
  TileBuilder tile(b, cast<FloatType>(scan.getCompute()));
  Value factor;
  if (logits) {
    Value z = scan.getInArg(logitsNumber);
    factor = tile.mul(z, sigmoid(b, tile, z));
  }
  if (!weight)
    return factor ? tile.mul(output, factor) : output;
  Value weights =
      tile.broadcast(scan.getInArg(weightNumber), shapeOf(output), {0});
  factor = factor ? tile.mul(factor, weights) : weights;
  Value mean = meanOfSquares(b, tile, output);
  Value norms = math::RsqrtOp::create(
      b, tile.add(mean, tile.splat(epsilon, shapeOf(mean))));
  return tile.mul(tile.mul(output, tile.alongRows(norms, output)), factor);
}
