//===- HeadSums.cpp - Sums over the heads of a group ----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/Utils/HeadSums.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

/// Heads that one map sums: of larger groups no program holds all.
static constexpr int64_t kMembers = 8;

/// How many heads a map sums on the way to one for each `group`: the most of
/// `kMembers` that divide it, or all.
static int64_t getMembers(int64_t group) {
  for (int64_t members = std::min(group, kMembers); members > 1; --members)
    if (group % members == 0)
      return members;
  return group;
}

/// The position of the head dimension; behind the last one if there is none.
static unsigned findHead(BindingAttr binding) {
  ArrayRef<BoundDim> dims = binding.getDims();
  const BoundDim *head = llvm::find_if(
      dims, [](BoundDim dim) { return dim.kind == DimKind::head; });
  return head - dims.begin();
}

/// `binding` with head i of each `group` in the place of every head.
static BindingAttr bindMember(BindingAttr binding, int64_t group, int64_t i) {
  SmallVector<BoundDim> dims(binding.getDims());
  dims[findHead(binding)] = {DimKind::head, group, i};
  return BindingAttr::get(binding.getContext(), dims);
}

/// A map over `heads` heads that reads `members` of the tensor for each, the
/// first one first, and stores their sum as `storage`.
static Value sumMembers(ImplicitLocOpBuilder &b, const PerHead &summands,
                        int64_t members, int64_t heads, TileStorage storage) {
  SmallVector<Attribute> bindings;
  for (int64_t i = 0; i < members; ++i)
    bindings.push_back(bindMember(summands.binding, members, i));
  SmallVector<Value> ins(members, summands.tensor);
  auto sum = ChunkMapOp::create(
      b, storage.type, ins, summands.cuSeqlens,
      b.getI64IntegerAttr(summands.chunk), b.getI64IntegerAttr(heads),
      TypeAttr::get(summands.tile.getElementType()), b.getArrayAttr(bindings),
      b.getArrayAttr(storage.binding));

  Location loc = sum.getLoc();
  Block &body = sum.getBody().emplaceBlock();
  body.addArgument(b.getIndexType(), loc);
  SmallVector<Type> types(members, summands.tile);
  auto tiles = body.addArguments(types, SmallVector<Location>(members, loc));
  auto inside = ImplicitLocOpBuilder::atBlockEnd(loc, &body);
  Value total = body.getArgument(1);
  for (Value tile : llvm::drop_begin(tiles))
    total = arith::AddFOp::create(inside, total, tile);
  YieldOp::create(inside, total, ValueRange());
  return sum.getResult(0);
}

Value delta::createHeadSum(ImplicitLocOpBuilder &b, const PerHead &summands,
                           TileStorage result) {
  int64_t heads = result.binding.has(DimKind::head)
                      ? result.type.getDimSize(findHead(result.binding))
                      : 1;
  PerHead current = summands;
  do {
    int64_t members = getMembers(current.heads / heads);
    current.heads /= members;
    TileStorage storage = result;
    // What is summed again is not rounded before.
    if (current.heads != heads) {
      auto type = cast<RankedTensorType>(summands.tensor.getType());
      SmallVector<int64_t> shape(type.getShape());
      shape[findHead(summands.binding)] = current.heads;
      storage = {type.clone(shape, summands.tile.getElementType()),
                 summands.binding};
    }
    current.tensor = sumMembers(b, current, members, current.heads, storage);
  } while (current.heads != heads);
  return current.tensor;
}

bool delta::isHeadSum(ChunkProgramOpInterface program) {
  unsigned members = program.getIns().size();
  if (!program.getInits().empty() || program.getOuts().size() != 1 ||
      members < 2)
    return false;
  for (unsigned i = 0; i < members; ++i) {
    BindingAttr binding = program.getInBinding(i);
    BoundDim member = {DimKind::head, members, i};
    if (program.getIns()[i] != program.getIns()[0] ||
        !binding.has(DimKind::head) ||
        !(binding.getDims()[findHead(binding)] == member) ||
        !program.getInArg(i).hasOneUse())
      return false;
  }
  return llvm::all_of(
      program.getBlock().without_terminator(),
      [](Operation &op) { return isa<arith::AddFOp>(op) && op.hasOneUse(); });
}
