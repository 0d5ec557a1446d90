//===- HeadPairs.cpp - Sums over pairs of heads, in a kernel --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Where two value heads share a key head, its gradient is the sum of what both
// make. As a map that is a copy of each head's written and read again, three
// times what the sum takes.
//
//===----------------------------------------------------------------------===//

#include "HeadPairs.h"

#include "wyvern/Dialect/Delta/Utils/HeadSums.h"
#include "wyvern/Dialect/Tile/IR/Tile.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::sched;

/// Heads of a pair, and blocks that sum what is of them.
static constexpr int64_t kPair = 2;

/// Returns the map that alone reads `out`, of `heads` heads, and sums it over
/// pairs of these; null if there is none.
static delta::ChunkMapOp findPairSum(const FusedProgram::Out &out,
                                     int64_t heads) {
  if (out.tensor.use_empty())
    return {};
  auto map = dyn_cast<delta::ChunkMapOp>(*out.tensor.user_begin());
  bool isAlone =
      map && llvm::all_of(out.tensor.getUsers(),
                          [&](Operation *user) { return user == map; });
  if (!isAlone || map.getIns().size() != kPair ||
      static_cast<int64_t>(map.getHeads()) * kPair != heads ||
      cast<delta::BindingAttr>(map.getOutBindings()[0]) != out.binding)
    return {};
  auto program = cast<delta::ChunkProgramOpInterface>(map.getOperation());
  return delta::isHeadSum(program) ? map : delta::ChunkMapOp();
}

/// True for a matrix of one accumulator's rows, of which half of the columns
/// leave registers in whole pieces (tile.send_columns).
static bool hasHalves(const FusedProgram::Out &out) {
  auto tile = cast<RankedTensorType>(out.tile.getType());
  return tile.getRank() == 2 &&
         tile::isHalf(getElementTypeOrSelf(out.tensor)) &&
         out.binding.has(delta::DimKind::time) &&
         tile.getDimSize(0) == tile::kAccRows &&
         tile.getDimSize(1) % (kPair * tile::kBlockColumns) == 0;
}

SmallVector<PairSum> sched::findPairSums(const FusedProgram &program) {
  SmallVector<PairSum> sums;
  auto heads = static_cast<int64_t>(program.getMap().getHeads());
  for (auto [i, out] : llvm::enumerate(program.getOuts())) {
    // The chain's rows are of a value head each.
    if (out.tensor.getOwner() != program.getMap() || !hasHalves(out))
      continue;
    auto tile = cast<RankedTensorType>(out.tile.getType());
    auto element = getElementTypeOrSelf(out.tensor);
    if (delta::ChunkMapOp map = findPairSum(out, heads))
      sums.push_back({static_cast<unsigned>(i), map,
                      tile.getNumElements() / kPair *
                          element.getIntOrFloatBitWidth() / 8});
  }
  return sums;
}

void sched::sumHeadPairs(KernelOp kernel, ArrayRef<PairSum> sums) {
  for (const PairSum &sum : sums) {
    Value out = kernel.getOuts()[sum.out];
    BlockArgument arg = kernel.getOutArgs()[sum.out];
    auto type = cast<RankedTensorType>(sum.map->getResult(0).getType());
    out.setType(type);
    arg.setType(GlobalType::get(kernel.getContext(), type));
    auto store = cast<StoreOp>(*arg.user_begin());
    store.getViaMutable().clear();
    store.setDirect(true);
    sum.map->getResult(0).replaceAllUsesWith(out);
    sum.map->erase();
  }
  kernel.setPairs(!sums.empty());
}
