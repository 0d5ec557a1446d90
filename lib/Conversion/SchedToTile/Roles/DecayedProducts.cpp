//===- DecayedProducts.cpp - Products that go through their channels ----===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RoleLowering.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

/// Returns the store of `tile`, which nothing else reads; null otherwise.
static sched::StoreOp getStore(Value tile) {
  return tile.hasOneUse() ? dyn_cast<sched::StoreOp>(*tile.user_begin())
                          : sched::StoreOp();
}

/// True for rows of an in, of f32 or bf16, that the role takes from memory.
static bool isRowsOfIn(Value tile, bool isGate) {
  auto load = tile.getDefiningOp<sched::LoadOp>();
  if (!load || tensorOf(tile).getRank() != 2)
    return false;
  Type element = cast<sched::GlobalType>(load.getSource().getType())
                     .getTensor()
                     .getElementType();
  return isGate ? element.isF32() : element.isBF16();
}

std::optional<DecayedProducts> wyvern::findDecayedProducts(Block &block) {
  auto products = delta::findDecayedProducts(
      block, isRowsOfIn, [](Value tile) { return getStore(tile) != nullptr; });
  if (!products)
    return std::nullopt;
  for (const DecayedProducts::Scaled &rows : products->scaled)
    if (!getStore(rows.value).getDirect())
      return std::nullopt;
  return products;
}

namespace {
/// The tensors of a tile.decayed_products, and where in them a chunk is.
struct Places {
  SmallVector<Value> globals, coords;

  void add(Value global, ArrayRef<Value> at) {
    globals.push_back(global);
    llvm::append_range(coords, at);
  }
};
} // namespace

void RoleLowering::lowerDecayedProducts(const DecayedProducts &products,
                                        RegionLowering &lowering,
                                        const Visit &visit) {
  Places rows, outs;
  auto add = [&](Places &places, Value of) {
    auto arg = cast<BlockArgument>(of);
    places.add(context.arguments.lookup(arg),
               getCoordinates(arg, visit.chunk, std::nullopt));
    return arg;
  };
  auto getSource = [](Value tile) {
    return tile.getDefiningOp<sched::LoadOp>().getSource();
  };
  BlockArgument gates = add(rows, getSource(products.g));
  SmallVector<Value> operands = products.getRows();
  for (Value tile : operands)
    add(rows, getSource(tile));
  auto numberOf = [&](Value tile) -> int64_t {
    return llvm::find(operands, tile) - operands.begin();
  };
  SmallVector<int64_t> left, source;
  SmallVector<bool> diagonal, toEnd;
  SmallVector<Type> types;
  for (const DecayedProducts::Product &product : products.products) {
    left.push_back(numberOf(product.left));
    diagonal.push_back(product.hasDiagonal);
    types.push_back(lowering.getRegisterType(product.sum, /*m=*/0));
  }
  for (const DecayedProducts::Scaled &scaled : products.scaled) {
    source.push_back(numberOf(scaled.rows));
    toEnd.push_back(scaled.toEnd);
    add(outs, getStore(scaled.value).getTarget());
  }
  Value total;
  if (products.total) {
    add(outs, getStore(products.total).getTarget());
    total = outs.globals.pop_back_val();
  }
  SmallVector<Value> coords = rows.coords;
  llvm::append_range(coords, outs.coords);
  int64_t columns = tensorOf(products.g).getDimSize(1);
  auto scratch = tile::SmemType::get(
      builder.getContext(), tile::DecayedProductsOp::getScratchSize(columns),
      builder.getF32Type());
  Value place;
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPoint(context.roles);
    place = tile::AllocOp::create(builder, loc, scratch, /*transient=*/true,
                                  IntegerAttr());
  }
  auto op = tile::DecayedProductsOp::create(
      builder, loc, types, rows.globals.front(),
      ArrayRef(rows.globals).drop_front(), outs.globals, total, coords,
      tensorDim(context.kernel.getBinding(gates), 0),
      validRows(gates, visit.chunk), place, barrier, left,
      /*right=*/numberOf(products.right), diagonal, source, toEnd);
  for (auto [product, lowered] :
       llvm::zip_equal(products.products, op.getProducts()))
    lowering.setRegister(product.sum, lowered);
}
