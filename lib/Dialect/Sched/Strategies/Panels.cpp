//===- Panels.cpp - Maps that go through their channels -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Panels.h"

#include "wyvern/Dialect/Delta/IR/ChunkRegion.h"
#include "wyvern/Dialect/Tile/IR/Tile.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::sched;
using delta::ChunkProgramOpInterface;

/// Returns the number of the in of `map` that `tile` is.
static std::optional<unsigned> findIn(delta::ChunkMapOp map, Value tile) {
  for (unsigned i = 0; i < map.getIns().size(); ++i)
    if (map.getInArg(i) == tile)
      return i;
  return std::nullopt;
}

/// True for rows of tokens, one a token, that are as wide as their tile.
static bool isWholeRows(delta::ChunkMapOp map, unsigned in) {
  auto program = cast<ChunkProgramOpInterface>(map.getOperation());
  auto tensor = cast<RankedTensorType>(map.getIns()[in].getType());
  auto tile = cast<RankedTensorType>(map.getInArg(in).getType());
  bool isMatrix = tile.getRank() == 2 && tile.getDimSize(0) == tile::kAccRows;
  if (!isMatrix || tile.getDimSize(1) != tensor.getShape().back() ||
      tile.getDimSize(1) % tile::kBlockColumns != 0)
    return false;
  return llvm::any_of(program.getInBinding(in).getDims(),
                      [](delta::BoundDim dim) {
                        return dim.kind == delta::DimKind::time &&
                               dim.multiple == 1 && dim.rows == 0;
                      });
}

bool Panels::isScaled(Value tile) const {
  return llvm::any_of(products.scaled,
                      [&](const delta::DecayedProducts::Scaled &rows) {
                        return rows.value == tile;
                      });
}

/// True if the outs of scaled rows have the type of operands, and no gaps: they
/// go to other kernels alone.
static bool areOperands(delta::ChunkMapOp map, const Panels &panels) {
  auto isOperand = [](Value out) {
    return getElementTypeOrSelf(out).isBF16() &&
           llvm::none_of(out.getUsers(), llvm::IsaPred<func::ReturnOp>);
  };
  for (auto [tile, out] :
       llvm::zip_equal(map.getYield().getOuts(), map.getOuts()))
    if (panels.isScaled(tile) && !isOperand(out))
      return false;
  return true;
}

std::optional<Panels> sched::findPanels(delta::ChunkMapOp map) {
  auto isIn = [&](Value value, bool isGate) {
    std::optional<unsigned> in = findIn(map, value);
    if (!in)
      return false;
    Type element = getElementTypeOrSelf(map.getIns()[*in]);
    return (isGate ? element.isF32() : element.isBF16()) &&
           isWholeRows(map, *in);
  };
  auto isOut = [](Value value) {
    return value.hasOneUse() && isa<delta::YieldOp>(*value.user_begin());
  };
  auto products = delta::findDecayedProducts(map.getBlock(), isIn, isOut);
  if (!products)
    return std::nullopt;
  Panels panels{std::move(*products), {}};
  for (unsigned i = 0; i < map.getIns().size(); ++i)
    if (map.getInArg(i) == panels.products.g ||
        llvm::is_contained(panels.products.getRows(), map.getInArg(i)))
      panels.ins.push_back(i);
  // A channel holds something.
  size_t read = llvm::count_if(
      llvm::seq<unsigned>(0, static_cast<unsigned>(map.getIns().size())),
      [&](unsigned i) { return !map.getInArg(i).use_empty(); });
  if (read == panels.ins.size() || !areOperands(map, panels))
    return std::nullopt;
  return panels;
}
