//===- SumsOfParts.cpp - Sums over channels that blocks divide ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SumsOfParts.h"

#include "wyvern/Dialect/Delta/IR/ChunkRegion.h"
#include "wyvern/Dialect/Delta/IR/Splat.h"
#include "wyvern/Dialect/Delta/Utils/ChannelDecay.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

bool delta::isSumOfColumns(Operation &op) {
  auto reduce = dyn_cast<linalg::ReduceOp>(op);
  return reduce && reduce->getNumResults() == 1 &&
         isa<arith::AddFOp>(reduce.getBlock()->front()) &&
         getTileRank(reduce.getInputs().front()) == 2 &&
         reduce.getDimensions() == ArrayRef<int64_t>(1) &&
         isZero(reduce.getInits().front()) &&
         llvm::none_of(reduce->getUsers(), llvm::IsaPred<YieldOp>);
}

bool delta::isSumOverPairs(Operation &op) {
  return isa<DecayDotOp>(op) && getChannelDecay(&op);
}

/// Returns how many matrices among the ins `tiles` are made of.
static unsigned countRows(llvm::SetVector<Value> tiles) {
  unsigned rows = 0;
  for (size_t i = 0; i < tiles.size(); ++i) {
    Operation *def = tiles[i].getDefiningOp();
    if (def)
      tiles.insert_range(def->getOperands());
    rows += !def && getTileRank(tiles[i]) == 2;
  }
  return rows;
}

Value delta::findSummedChannels(ChunkMapOp map) {
  constexpr unsigned kPlainRows = 2; // queries and keys
  llvm::SetVector<Value> operands;
  for (Operation &op : map.getBlock())
    if (isSumOverPairs(op)) {
      auto dot = cast<DecayDotOp>(op);
      operands.insert(dot.getA());
      operands.insert(dot.getB());
    }
  return countRows(operands) > kPlainRows ? operands.front() : Value();
}

TileStorage delta::storeParts(TileStorage storage, int64_t parts) {
  SmallVector<int64_t> shape(storage.type.getShape());
  for (auto [size, dim] : llvm::zip_equal(shape, storage.binding.getDims()))
    if (dim.kind == DimKind::head)
      size *= parts;
  return {storage.type.clone(shape), storage.binding};
}

BindingAttr delta::bindMember(BindingAttr binding, int64_t parts,
                              int64_t part) {
  SmallVector<BoundDim> dims(binding.getDims());
  for (BoundDim &dim : dims)
    if (dim.kind == DimKind::head) {
      dim.multiple = parts;
      dim.offset = part;
    }
  return BindingAttr::get(binding.getContext(), dims);
}

void delta::addMembers(RewriterBase &rewriter, ChunkMapOp map, unsigned number,
                       int64_t parts) {
  OpBuilder::InsertionGuard guard(rewriter);
  rewriter.setInsertionPointToStart(&map.getBlock());
  BlockArgument first = map.getInArg(number);
  Location loc = map.getLoc();
  SmallVector<Value> ins(map.getIns());
  SmallVector<Attribute> bindings(map.getInBindings().getValue());
  auto binding = cast<BindingAttr>(bindings[number]);
  Value sum = first;
  llvm::SmallPtrSet<Operation *, 4> added;
  for (int64_t part = 1; part < parts; ++part) {
    ins.push_back(ins[number]);
    bindings.push_back(bindMember(binding, parts, part));
    Value other = map.getBlock().addArgument(first.getType(), loc);
    sum = arith::AddFOp::create(rewriter, loc, sum, other);
    added.insert(sum.getDefiningOp());
  }
  first.replaceAllUsesExcept(sum, added);
  map.getInsMutable().assign(ins);
  map.setInBindingsAttr(rewriter.getArrayAttr(bindings));
  if (getTileRank(first) > 1) // vectors are stored in f32 anyway
    map->setAttr(kSumOfPartsAttr, rewriter.getUnitAttr());
}
