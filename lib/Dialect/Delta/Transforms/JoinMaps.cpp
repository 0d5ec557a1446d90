//===- JoinMaps.cpp - Maps that make the same, as one ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ProgramBuilder.h"

#include "wyvern/Dialect/Delta/IR/ChunkRegion.h"
#include "wyvern/Dialect/Delta/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Dominance.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Transforms/CSE.h"

namespace mlir::wyvern::delta {
#define GEN_PASS_DEF_JOINMAPSPASS
#include "wyvern/Dialect/Delta/Transforms/Passes.h.inc"
} // namespace mlir::wyvern::delta

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

namespace {
/// Two maps, the second of which can be made where the first one is.
class Pair {
public:
  Pair(RewriterBase &rewriter, ChunkMapOp first, ChunkMapOp second)
      : rewriter(rewriter), first(first), second(second) {}

  bool isPossible();
  /// Replaces both by one, if that makes a matrix once that they both make.
  /// Returns false if there is none.
  bool join();

private:
  /// Returns the outs of both, those of the first in front.
  SmallVector<Value> getOuts();
  /// Returns a map, before the first, with the outs of both.
  ChunkMapOp makeAll();
  /// Returns for each of these outs the first that can take its place.
  SmallVector<unsigned> findSame(ChunkMapOp all);
  /// True if some out of the second, a matrix, is one of the first in `same`.
  bool sharesMatrix(ArrayRef<unsigned> same);

  RewriterBase &rewriter;
  ChunkMapOp first, second;
};
} // namespace

bool Pair::isPossible() {
  return first->getBlock() == second->getBlock() &&
         first->isBeforeInBlock(second) &&
         first.getChunk() == second.getChunk() &&
         first.getHeads() == second.getHeads() &&
         first.getCompute() == second.getCompute() &&
         first.getCuSeqlens() == second.getCuSeqlens() &&
         llvm::all_of(second.getIns(), [&](Value in) {
           Operation *def = in.getDefiningOp();
           return !def || def->isBeforeInBlock(first);
         });
}

SmallVector<Value> Pair::getOuts() {
  SmallVector<Value> outs(first.getOuts());
  llvm::append_range(outs, second.getOuts());
  return outs;
}

ChunkMapOp Pair::makeAll() {
  llvm::MapVector<std::pair<Value, Attribute>, SmallVector<BlockArgument>> ins;
  SmallVector<Type> types;
  SmallVector<Attribute> bindings;
  for (ChunkMapOp map : {first, second}) {
    auto program = cast<ChunkProgramOpInterface>(map.getOperation());
    for (auto [i, in] : llvm::enumerate(map.getIns()))
      ins[{in, program.getInBinding(i)}].push_back(program.getInArg(i));
    llvm::append_range(types, map.getOuts().getTypes());
    llvm::append_range(bindings, map.getOutBindings());
  }
  SmallVector<Value> tensors;
  SmallVector<Attribute> inBindings;
  for (const auto &[in, args] : ins) {
    tensors.push_back(in.first);
    inBindings.push_back(in.second);
  }
  rewriter.setInsertionPoint(first);
  auto all = ChunkMapOp::create(
      rewriter, first.getLoc(), types, tensors, first.getCuSeqlens(),
      first.getChunkAttr(), first.getHeadsAttr(), first.getComputeAttr(),
      rewriter.getArrayAttr(inBindings), rewriter.getArrayAttr(bindings));
  all->setDiscardableAttrs(first->getDiscardableAttrDictionary());
  Block *block = rewriter.createBlock(&all.getBody());
  IRMapping mapping;
  Value valid = block->addArgument(rewriter.getIndexType(), first.getLoc());
  for (const auto &[in, args] : ins) {
    Value tile = block->addArgument(args.front().getType(), first.getLoc());
    for (BlockArgument arg : args)
      mapping.map(arg, tile);
  }
  SmallVector<Value> outs;
  for (ChunkMapOp map : {first, second}) {
    auto program = cast<ChunkProgramOpInterface>(map.getOperation());
    mapping.map(program.getValid(), valid);
    for (Operation &op : map.getBlock().without_terminator())
      rewriter.clone(op, mapping);
    for (Value out : map.getYield().getOuts())
      outs.push_back(mapping.lookup(out));
  }
  YieldOp::create(rewriter, first.getYield().getLoc(), outs, ValueRange());
  return all;
}

/// True if the function returns `value`. Its results are tensors of their own,
/// equal ones too: the gradients of two operands that are added up, say.
static bool isReturned(Value value) {
  return llvm::any_of(value.getUsers(), llvm::IsaPred<func::ReturnOp>);
}

SmallVector<unsigned> Pair::findSame(ChunkMapOp all) {
  auto program = cast<ChunkProgramOpInterface>(all.getOperation());
  ValueRange tiles = all.getYield().getOuts();
  SmallVector<Value> outs = getOuts();
  auto takesPlace = [&](unsigned j, unsigned i) {
    return j == i ||
           (tiles[j] == tiles[i] && outs[j].getType() == outs[i].getType() &&
            program.getOutBinding(j) == program.getOutBinding(i) &&
            !(isReturned(outs[j]) && isReturned(outs[i])));
  };
  SmallVector<unsigned> same;
  for (unsigned i = 0; i < outs.size(); ++i) {
    unsigned j = 0;
    while (!takesPlace(j, i) || (j < i && same[j] != j))
      ++j;
    same.push_back(j);
  }
  return same;
}

bool Pair::sharesMatrix(ArrayRef<unsigned> same) {
  unsigned numFirst = first.getOuts().size();
  return llvm::any_of(llvm::enumerate(second.getYield().getOuts()),
                      [&](auto out) {
                        return same[numFirst + out.index()] < numFirst &&
                               getTileRank(out.value()) == 2;
                      });
}

/// Moves products that leave behind what they are made of: of two maps one
/// after the other, the second's come late, and decays that both have would be
/// held for them.
static void makeOutsEarly(RewriterBase &rewriter, ChunkMapOp map) {
  for (Value out : map.getYield().getOuts()) {
    auto product = out.getDefiningOp<arith::MulFOp>();
    if (!product || !product->hasOneUse())
      continue;
    Operation *last = nullptr;
    for (Value operand : product->getOperands())
      if (Operation *def = operand.getDefiningOp();
          def && (!last || last->isBeforeInBlock(def)))
        last = def;
    if (last)
      rewriter.moveOpAfter(product, last);
  }
}

bool Pair::join() {
  ChunkMapOp all = makeAll();
  DominanceInfo dominance(all->getParentOp());
  eliminateCommonSubExpressions(rewriter, dominance, all);
  SmallVector<unsigned> same = findSame(all);
  if (!sharesMatrix(same)) {
    rewriter.eraseOp(all);
    return false;
  }
  makeOutsEarly(rewriter, all);
  auto program = cast<ChunkProgramOpInterface>(all.getOperation());
  auto ops = llvm::to_vector(
      llvm::make_pointer_range(all.getBlock().without_terminator()));
  ProgramBuilder builder(program, ops);
  llvm::DenseMap<unsigned, unsigned> places;
  for (auto [i, of] : llvm::enumerate(same))
    if (i == of) {
      unsigned place = places.size();
      places[i] = place;
      builder.addProgramOut(i);
    }
  rewriter.setInsertionPoint(all);
  ChunkMapOp joined = builder.createMap(rewriter);
  for (auto [old, of] : llvm::zip_equal(getOuts(), same))
    rewriter.replaceAllUsesWith(old, joined.getOuts()[places.lookup(of)]);
  for (ChunkMapOp map : {all, second, first})
    rewriter.eraseOp(map);
  return true;
}

namespace {
struct JoinMapsPass : wyvern::delta::impl::JoinMapsPassBase<JoinMapsPass> {
  using Base::Base;

  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    while (joinOne(rewriter))
      ++numJoined;
  }

private:
  bool joinOne(RewriterBase &rewriter) {
    SmallVector<ChunkMapOp> maps;
    getOperation()->walk([&](ChunkMapOp map) { maps.push_back(map); });
    for (ChunkMapOp first : maps)
      for (ChunkMapOp second : maps) {
        Pair pair(rewriter, first, second);
        if (pair.isPossible() && pair.join())
          return true;
      }
    return false;
  }
};
} // namespace
