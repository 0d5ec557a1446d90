//===- CutMaps.cpp - Maps too large for a block, in several ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// MapPlan.cpp decides what goes where, ProgramBuilder.cpp makes a program of
// it.
//
//===----------------------------------------------------------------------===//

#include "CutSums.h"
#include "DecayedTerms.h"
#include "MapPlan.h"
#include "ProgramBuilder.h"
#include "RoundSums.h"
#include "TileBytes.h"

#include "wyvern/Dialect/Delta/Analysis/TileStorage.h"
#include "wyvern/Dialect/Delta/IR/ChunkRegion.h"
#include "wyvern/Dialect/Delta/Transforms/Passes.h"
#include "wyvern/Dialect/Delta/Utils/ChannelDecay.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Remarks.h"

#define DEBUG_TYPE "delta-cut-maps"

namespace mlir::wyvern::delta {
#define GEN_PASS_DEF_CUTMAPSPASS
#include "wyvern/Dialect/Delta/Transforms/Passes.h.inc"
} // namespace mlir::wyvern::delta

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

namespace {
/// Writes the maps of a plan.
class MapCutter {
public:
  MapCutter(RewriterBase &rewriter, ChunkMapOp map, const MapPlan &plan)
      : rewriter(rewriter), map(map), plan(plan),
        program(cast<ChunkProgramOpInterface>(map.getOperation())) {}

  /// Writes the maps in the place of the one.
  void cut();
  unsigned getNumCrossing() const { return stored.size(); }

private:
  /// Writes sums anew: first what the first map adds, then what the next does.
  void orderSums();
  void orderSum(const TermSum &sum);
  /// What one of the maps is made of.
  struct Part {
    SmallVector<unsigned> outs;
    SmallVector<Value> crossing; ///< that it stores for later maps
    llvm::SetVector<Value> read; ///< that earlier ones have stored
    SmallVector<Operation *> ops;
  };
  /// Returns map `number`, which stores `crossing` besides its outs.
  Part collect(int number, ArrayRef<Value> crossing);
  void create(const Part &part);
  int getNumber(Value value) const;

  RewriterBase &rewriter;
  ChunkMapOp map;
  const MapPlan &plan;
  ChunkProgramOpInterface program;
  TimeDims timeDims;
  /// Of the operations that sums have in the place of the plan's.
  llvm::DenseMap<Operation *, int> numbers;
  /// What earlier maps have stored.
  llvm::DenseMap<Value, Value> stored;
};
} // namespace

//===----------------------------------------------------------------------===//
// Sums
//===----------------------------------------------------------------------===//

void MapCutter::orderSum(const TermSum &sum) {
  llvm::MapVector<int, SmallVector<SumTerm>> terms;
  for (const SumTerm &term : sum.terms)
    terms[plan.getNumber(sum, term)].push_back(term);
  if (terms.size() < 2)
    return;
  auto parts = terms.takeVector();
  llvm::sort(parts, llvm::less_first());
  rewriter.setInsertionPoint(sum.root);
  Value total;
  for (const auto &[number, part] : parts) {
    Operation *before = sum.root->getPrevNode();
    total = addTerms(rewriter, sum.root->getLoc(), total, part);
    for (Operation *op = sum.root->getPrevNode(); op != before;
         op = op->getPrevNode())
      numbers[op] = number;
  }
  rewriter.replaceOp(sum.root, total);
}

void MapCutter::orderSums() {
  // Numbers of what stays: the plan's roots are erased on the way.
  for (Operation &op : map.getBlock().without_terminator())
    for (Value result : op.getResults())
      numbers[&op] = plan.getNumber(result);
  for (const TermSum &sum : plan.getSums().get())
    orderSum(sum);
  auto ops = llvm::to_vector(
      llvm::make_pointer_range(map.getBlock().without_terminator()));
  for (Operation *op : llvm::reverse(ops))
    if (isOpTriviallyDead(op)) {
      numbers.erase(op);
      rewriter.eraseOp(op);
    }
}

//===----------------------------------------------------------------------===//
// Maps
//===----------------------------------------------------------------------===//

int MapCutter::getNumber(Value value) const {
  Operation *def = value.getDefiningOp();
  return def ? numbers.lookup(def) : MapPlan::kAnywhere;
}

MapCutter::Part MapCutter::collect(int number, ArrayRef<Value> crossing) {
  Part part;
  for (auto [i, out] : llvm::enumerate(map.getYield().getOuts()))
    if (std::max(getNumber(out), 0) == number)
      part.outs.push_back(i);
  part.crossing.assign(crossing.begin(), crossing.end());
  SmallVector<Value> worklist(crossing);
  for (unsigned out : part.outs)
    worklist.push_back(map.getYield().getOuts()[out]);
  llvm::SmallPtrSet<Operation *, 32> ops;
  while (!worklist.empty()) {
    Value value = worklist.pop_back_val();
    Operation *def = value.getDefiningOp();
    if (!def)
      continue;
    bool isEarlier = getNumber(value) != MapPlan::kAnywhere &&
                     getNumber(value) < number && !MapPlan::isSpread(value);
    if (isEarlier)
      part.read.insert(value);
    else if (ops.insert(def).second)
      worklist.append(def->operand_begin(), def->operand_end());
  }
  part.ops = inOrder(program, ops);
  return part;
}

void MapCutter::create(const Part &part) {
  ProgramBuilder builder(program, part.ops);
  auto getStorage = [&](Value value) {
    return delta::getStorage(value, program, timeDims, /*headsApart=*/true);
  };
  for (Value value : part.read)
    builder.addIn(value, stored.lookup(value), getStorage(value).binding);
  for (unsigned out : part.outs)
    builder.addProgramOut(out);
  for (Value value : part.crossing)
    builder.addOut(value, getStorage(value));
  rewriter.setInsertionPoint(map);
  ValueRange made = builder.createMap(rewriter).getOuts();
  for (auto [out, value] : llvm::zip(part.outs, made))
    rewriter.replaceAllUsesWith(map.getOuts()[out], value);
  for (auto [value, tensor] :
       llvm::zip_equal(part.crossing, made.drop_front(part.outs.size())))
    stored[value] = tensor;
}

void MapCutter::cut() {
  orderSums();
  TimeDims dims(program);
  timeDims = std::move(dims);
  // From the last map on: what it reads, earlier ones store.
  SmallVector<Part> parts;
  llvm::SetVector<Value> read;
  for (int number = plan.getNumMaps() - 1; number >= 0; --number) {
    SmallVector<Value> crossing = llvm::filter_to_vector(
        read, [&](Value value) { return getNumber(value) == number; });
    parts.push_back(collect(number, crossing));
    read.insert_range(parts.back().read);
  }
  for (const Part &part : llvm::reverse(parts))
    if (!part.outs.empty() || !part.crossing.empty())
      create(part);
  rewriter.eraseOp(map);
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

/// Makes a product that is added to something and read otherwise too once for
/// each, where registers cannot hold two such tiles: then it starts from what
/// it is added to.
static void repeatWideProducts(RewriterBase &rewriter, ChunkMapOp map,
                               int64_t registerBytes) {
  SmallVector<linalg::ContractOp> products(
      map.getBlock().getOps<linalg::ContractOp>());
  for (linalg::ContractOp product : products) {
    Value tile = product.getResult(0);
    int64_t bytes =
        kHeldBytes * cast<RankedTensorType>(tile.getType()).getNumElements();
    if (2 * bytes <= registerBytes || tile.hasOneUse())
      continue;
    for (OpOperand &use : llvm::make_early_inc_range(tile.getUses()))
      if (isa<arith::AddFOp, arith::SubFOp>(use.getOwner())) {
        rewriter.setInsertionPoint(use.getOwner());
        use.set(rewriter.clone(*product)->getResult(0));
      }
    if (tile.use_empty())
      rewriter.eraseOp(product);
  }
}

namespace {
struct CutMapsPass : wyvern::delta::impl::CutMapsPassBase<CutMapsPass> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<ChunkMapOp> maps;
    getOperation()->walk([&](ChunkMapOp map) { maps.push_back(map); });
    IRRewriter rewriter(&getContext());
    for (ChunkMapOp map : maps)
      cut(rewriter, map);
  }

private:
  /// Cuts the sums of `map` where a product alone needs more memory than a
  /// block has, into as few parts as there is room for. Returns the map in its
  /// place.
  ChunkMapOp cutSumsToFit(RewriterBase &rewriter, ChunkMapOp map) {
    MapRoom room{sharedBytes, registerBytes};
    if (!MapPlan(map, room).exceedsShared())
      return map;
    int64_t size = findCuttableSum(map);
    for (int64_t parts = 2, columns = size; columns > kRoundColumns; ++parts) {
      columns = llvm::alignTo(llvm::divideCeil(size, parts), kRoundColumns);
      ChunkMapOp cut = cutSums(rewriter, map, columns);
      if (!MapPlan(cut, room).exceedsShared()) {
        ++numCutSums;
        rewriter.replaceOp(map, cut.getOuts());
        return cut;
      }
      rewriter.eraseOp(cut);
    }
    return map;
  }

  /// Returns how many bytes of shared memory rounds of `map` may take: all that
  /// a block has, where there is no room for the map otherwise, or half, so
  /// that one block loads while another computes; 0 where rounds would gain
  /// nothing. Of two rounds none is left to be loaded while another is added.
  int64_t countRoundBytes(ChunkMapOp map) const {
    auto hasRoom = [&](int64_t bytes) {
      return MapPlan(map, {bytes, registerBytes}).hasRoom();
    };
    if (!hasRoom(sharedBytes))
      return sharedBytes;
    bool isWide = findCuttableSum(map) > 2 * kRoundColumns;
    return isWide && !hasRoom(sharedBytes / 2) ? sharedBytes / 2 : 0;
  }

  /// Replaces `map` by one that adds its sums in rounds, if that gains
  /// something and there is room for it. Returns false if it does not.
  bool addInRounds(RewriterBase &rewriter, ChunkMapOp map) {
    int64_t bytes = countRoundBytes(map);
    ChunkMapOp cut = bytes ? cutInRounds(rewriter, map, {bytes, registerBytes})
                           : ChunkMapOp();
    if (!cut)
      return false;
    remark::passed(map.getLoc(),
                   remark::RemarkOpts::name("Rounds").category(DEBUG_TYPE))
        << remark::add("a map whose blocks add some columns at a time, since "
                       "they have no room for all")
        << remark::metric("Columns", kRoundColumns);
    rewriter.replaceOp(map, cut.getOuts());
    ++numInRounds;
    return true;
  }

  void cut(RewriterBase &rewriter, ChunkMapOp map) {
    numReused += reuseDecayedTerms(rewriter, map);
    if (addInRounds(rewriter, map))
      return;
    repeatWideProducts(rewriter, map, registerBytes);
    map = cutSumsToFit(rewriter, map);
    MapPlan plan(map, {sharedBytes, registerBytes});
    if (plan.isWhole())
      return;
    Location loc = map.getLoc();
    MapCutter cutter(rewriter, map, plan);
    cutter.cut();
    numCut += 1;
    numCrossing += cutter.getNumCrossing();
    remark::passed(loc, remark::RemarkOpts::name("Cut").category(DEBUG_TYPE))
        << remark::add("a map in several, since a block has no room for all "
                       "that it holds")
        << remark::metric("Maps", plan.getNumMaps())
        << remark::metric("Crossing", cutter.getNumCrossing());
    if (plan.exceedsRoom())
      remark::missed(loc,
                     remark::RemarkOpts::name("TooLarge").category(DEBUG_TYPE))
          << remark::reason("a product alone needs more than a block has");
  }
};
} // namespace
