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

/// Returns the map that reads `out` alone, and sums it over pairs of its heads;
/// null if there is none.
static delta::ChunkMapOp findPairSum(KernelOp kernel, Value out,
                                     delta::BindingAttr binding) {
  constexpr unsigned kPair = 2;
  if (out.use_empty())
    return {};
  auto map = dyn_cast<delta::ChunkMapOp>(*out.user_begin());
  bool isAlone =
      map && llvm::all_of(out.getUsers(),
                          [&](Operation *user) { return user == map; });
  if (!isAlone || map.getIns().size() != kPair ||
      map.getHeads() * kPair != kernel.getHeads() ||
      cast<delta::BindingAttr>(map.getOutBindings()[0]) != binding)
    return {};
  auto program = cast<delta::ChunkProgramOpInterface>(map.getOperation());
  return delta::isHeadSum(program) ? map : delta::ChunkMapOp();
}

/// Returns the store to `out` if it can leave from registers, by a role that
/// visits every chunk; null otherwise.
static StoreOp findAddableStore(KernelOp kernel, BlockArgument out) {
  auto store = cast<StoreOp>(*out.user_begin());
  auto role = store->getParentOfType<RoleOp>();
  RankedTensorType tensor = cast<GlobalType>(out.getType()).getTensor();
  bool isMatrix = delta::getTileRank(store.getTile()) == 2 &&
                  tile::isHalf(tensor.getElementType()) &&
                  kernel.getBinding(out).has(delta::DimKind::time);
  return isMatrix && role.getSplit() == 1 && role.getCopies() == 1 ? store
                                                                   : StoreOp();
}

int64_t sched::sumHeadPairs(KernelOp kernel) {
  if (kernel.getSplit() != 1 || kernel.getHeads() % 2 != 0)
    return 0;
  int64_t count = 0;
  for (auto [out, arg] :
       llvm::zip_equal(kernel.getOuts(), kernel.getOutArgs())) {
    StoreOp store = findAddableStore(kernel, arg);
    delta::ChunkMapOp map = findPairSum(kernel, out, kernel.getBinding(arg));
    if (!store || !map)
      continue;
    auto type = cast<RankedTensorType>(map.getOuts()[0].getType());
    out.setType(type);
    arg.setType(GlobalType::get(kernel.getContext(), type));
    store.getViaMutable().clear();
    store.setDirect(true);
    map.getOuts()[0].replaceAllUsesWith(out);
    map->erase();
    ++count;
  }
  if (count > 0)
    kernel.setPairs(true);
  return count;
}
