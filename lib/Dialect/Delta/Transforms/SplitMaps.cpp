//===- SplitMaps.cpp - Maps of wide channels, a part of these each --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ChannelStages.h"
#include "MapPlan.h"
#include "ProgramBuilder.h"
#include "RoundSums.h"

#include "wyvern/Dialect/Delta/Transforms/Passes.h"
#include "wyvern/Dialect/Delta/Utils/ChannelDecay.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/Remarks.h"
#include "llvm/ADT/SetVector.h"

#define DEBUG_TYPE "delta-split-maps"

namespace mlir::wyvern::delta {
#define GEN_PASS_DEF_SPLITMAPSPASS
#include "wyvern/Dialect/Delta/Transforms/Passes.h.inc"
} // namespace mlir::wyvern::delta

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

/// The maps that one becomes, from the last one on.
static constexpr ChannelStage kFromLast[] = {
    ChannelStage::behind, ChannelStage::parts, ChannelStage::before};

namespace {
/// Makes the maps of one.
class MapSplitter {
public:
  MapSplitter(RewriterBase &rewriter, ChunkMapOp map, int64_t columns)
      : rewriter(rewriter), map(map),
        program(cast<ChunkProgramOpInterface>(map.getOperation())),
        channels(map), stages(map, channels), columns(columns),
        parts(llvm::divideCeil(channels.getSize(), columns)) {}

  /// Returns why `map` cannot be split; empty if it can.
  StringRef findReason();
  /// Returns how many parts the channels have.
  int64_t countParts() const { return parts; }
  /// Returns how many sums over the channels are divided.
  int64_t countSums() const { return stages.countPartial(); }
  void split();

private:
  StringRef findReason(unsigned in);
  /// Returns how what one map stores for another lies in memory.
  TileStorage getStorage(Value value) const {
    return delta::getStorage(value, program, timeDims, /*headsApart=*/true);
  }
  /// What one of the maps is made of.
  struct Part {
    SmallVector<unsigned> outs;
    llvm::SetVector<Value> read;     ///< of what earlier maps store
    llvm::SetVector<Value> crossing; ///< that it stores for later ones
    SmallVector<Operation *> ops;
  };
  Part collect(ChannelStage stage, ArrayRef<Part> later);
  /// Returns the parts of all maps, from the last one on: what it reads, others
  /// store.
  SmallVector<Part> collect();
  ChannelStage getStageOfOut(Value out) const;
  void create(const Part &part, ChannelStage stage);
  void narrow(ChunkMapOp made);

  RewriterBase &rewriter;
  ChunkMapOp map;
  ChunkProgramOpInterface program;
  Channels channels;
  ChannelStages stages;
  int64_t columns, parts; ///< the channels of a part, and how many there are
  TimeDims timeDims{program};
  llvm::DenseMap<Value, Value> stored; ///< by earlier maps
};
} // namespace

StringRef MapSplitter::findReason(unsigned in) {
  BindingAttr binding = program.getInBinding(in);
  BlockArgument tile = program.getInArg(in);
  for (BoundDim dim : binding.getDims())
    if (dim.kind == DimKind::head && dim.multiple != 1)
      return "an in is of one of several heads";
  bool isPlain = channels.count(tile) <= 1;
  forEachTileDim(binding, [&](BoundDim dim, size_t, int64_t d) {
    isPlain &= !channels.isOf({tile, d}) ||
               (dim.kind == DimKind::whole && !dim.isPart() &&
                dim.multiple == 1 && dim.parts == 1);
  });
  return isPlain ? StringRef() : "an in has the channels otherwise than whole";
}

StringRef MapSplitter::findReason() {
  for (unsigned i = 0; i < map.getIns().size(); ++i)
    if (StringRef reason = findReason(i); !reason.empty())
      return reason;
  for (Operation &op : map.getBlock())
    if ((isHalved(&op) || stages.dividesPairs(op)) &&
        stages.get(&op) != ChannelStage::parts)
      return "a sum over the channels leads to products with a decay that "
             "others lead to";
  for (const Part &part : collect())
    if (llvm::any_of(part.crossing,
                     [](Value value) { return getTileRank(value) == 0; }))
      return "a number of a chunk, which no map stores, would go from one to "
             "another";
  return {};
}

/// What an out is made by: the first map that can.
ChannelStage MapSplitter::getStageOfOut(Value out) const {
  if (stages.isPartial(out))
    return ChannelStage::behind;
  ChannelStage stage = stages.get(out);
  if (stage != ChannelStage::anywhere)
    return stage;
  return channels.has(out) ? ChannelStage::parts : ChannelStage::before;
}

/// Returns what the map of `stage` is made of: its outs, and what later ones
/// read.
MapSplitter::Part MapSplitter::collect(ChannelStage stage,
                                       ArrayRef<Part> later) {
  Part part;
  SmallVector<Value> worklist;
  for (auto [i, out] : llvm::enumerate(map.getYield().getOuts()))
    if (getStageOfOut(out) == stage) {
      part.outs.push_back(i);
      worklist.push_back(out);
    }
  for (const Part &other : later)
    for (Value value : other.read)
      if (stages.get(value) == stage)
        part.crossing.insert(value);
  worklist.append(part.crossing.begin(), part.crossing.end());
  llvm::SmallPtrSet<Operation *, 32> ops;
  while (!worklist.empty()) {
    Value value = worklist.pop_back_val();
    Operation *def = value.getDefiningOp();
    if (!def)
      continue;
    // What a vector is spread over is made where it is read.
    ChannelStage of = stages.get(def);
    bool isEarlier = of != ChannelStage::anywhere && of != stage &&
                     !isa<linalg::BroadcastOp>(def);
    if (isEarlier)
      part.read.insert(value);
    else if (ops.insert(def).second)
      worklist.append(def->operand_begin(), def->operand_end());
  }
  part.ops = inOrder(program, ops);
  return part;
}

void MapSplitter::create(const Part &part, ChannelStage stage) {
  if (part.outs.empty() && part.crossing.empty())
    return;
  ProgramBuilder builder(program, part.ops);
  for (Value value : part.read) {
    BindingAttr binding = getStorage(value).binding;
    builder.addIn(value, stored.lookup(value),
                  stages.isPartial(value) ? bindMember(binding, parts, 0)
                                          : binding);
  }
  for (unsigned out : part.outs)
    builder.addProgramOut(out);
  for (Value value : part.crossing) {
    TileStorage storage = getStorage(value);
    builder.addOut(value, stages.isPartial(value) ? storeParts(storage, parts)
                                                  : storage);
  }
  ChunkMapOp made = builder.createMap(rewriter);
  if (stage == ChannelStage::parts)
    narrow(made);
  // What is read of earlier maps comes behind the ins of the whole map.
  size_t first = made.getIns().size() - part.read.size();
  for (auto [i, value] : llvm::enumerate(part.read))
    if (stages.isPartial(value))
      addMembers(rewriter, made, first + i, parts);
  for (auto [out, value] : llvm::zip(part.outs, made.getOuts()))
    rewriter.replaceAllUsesWith(map.getOuts()[out], value);
  for (auto [value, tensor] : llvm::zip_equal(
           part.crossing, made.getOuts().drop_front(part.outs.size())))
    stored[value] = tensor;
}

/// Returns `binding` with the channels of `tile` in parts of `columns`: behind
/// those that the last one has are zeros.
static Attribute bindParts(BindingAttr binding, Value tile,
                           const Channels &channels, int64_t columns) {
  SmallVector<BoundDim> dims(binding.getDims());
  forEachTileDim(binding, [&](BoundDim, size_t place, int64_t d) {
    if (!channels.isOf({tile, d}))
      return;
    dims[place].parts = llvm::divideCeil(channels.getSize(), columns);
    if (channels.getSize() % columns != 0)
      dims[place].multiple = columns;
  });
  return BindingAttr::get(binding.getContext(), dims);
}

/// Makes a map of parts of the channels of one of all.
void MapSplitter::narrow(ChunkMapOp made) {
  Channels own(made);
  auto ofMade = cast<ChunkProgramOpInterface>(made.getOperation());
  SmallVector<Attribute> ins, outs;
  for (unsigned i = 0; i < made.getIns().size(); ++i)
    ins.push_back(
        bindParts(ofMade.getInBinding(i), ofMade.getInArg(i), own, columns));
  for (auto [i, out] : llvm::enumerate(made.getYield().getOuts()))
    outs.push_back(bindParts(ofMade.getOutBinding(i), out, own, columns));
  auto retype = [&](Value value) {
    auto type = dyn_cast<RankedTensorType>(value.getType());
    if (!type || !own.has(value))
      return;
    SmallVector<int64_t> shape(type.getShape());
    for (auto [d, size] : llvm::enumerate(shape))
      if (own.isOf({value, static_cast<int64_t>(d)}))
        size = columns;
    value.setType(type.clone(shape));
    if (auto constant = value.getDefiningOp<arith::ConstantOp>())
      constant.setValueAttr(cast<DenseElementsAttr>(constant.getValue())
                                .resizeSplat(type.clone(shape)));
  };
  llvm::for_each(made.getBlock().getArguments(), retype);
  for (Operation &op : made.getBlock())
    llvm::for_each(op.getResults(), retype);
  made.setInBindingsAttr(rewriter.getArrayAttr(ins));
  made.setOutBindingsAttr(rewriter.getArrayAttr(outs));
  made.setHeads(made.getHeads() * parts);
}

SmallVector<MapSplitter::Part> MapSplitter::collect() {
  SmallVector<Part> made;
  for (ChannelStage stage : kFromLast)
    made.push_back(collect(stage, made));
  return made;
}

void MapSplitter::split() {
  SmallVector<Part> made = collect();
  rewriter.setInsertionPoint(map);
  for (size_t i = made.size(); i-- > 0;)
    create(made[i], kFromLast[i]);
  rewriter.eraseOp(map);
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {
struct SplitMapsPass : wyvern::delta::impl::SplitMapsPassBase<SplitMapsPass> {
  using Base::Base;

  void runOnOperation() override {
    if (columns < 1) {
      getOperation()->emitError()
          << "expected columns to be at least 1, found " << columns.getValue();
      return signalPassFailure();
    }
    SmallVector<ChunkMapOp> maps;
    getOperation()->walk([&](ChunkMapOp map) { maps.push_back(map); });
    IRRewriter rewriter(&getContext());
    for (ChunkMapOp map : maps)
      split(rewriter, map);
  }

private:
  /// True if blocks divide the channels of `map`, of which there are `size`:
  /// those of products that keep them and have a decay, of wide sums over pairs
  /// of tokens with one, or where a block has no room for all of one row a
  /// token: for a product alone, or for the map, be it in rounds. Other maps
  /// would read the same states and rows, and hand each other sums in f32.
  bool dividesChannels(RewriterBase &rewriter, ChunkMapOp map, int64_t size) {
    if (hasHalvedProducts(map))
      return size > columns;
    if (llvm::any_of(map.getBlock(), isSumOverPairs))
      return findSummedChannels(map) && size > mostSummed;
    if (size <= columns || hasProductsOfOtherRows(map))
      return false;
    MapRoom room{sharedBytes, registerBytes};
    MapPlan plan(map, room);
    if (plan.hasRoom() || plan.exceedsShared())
      return !plan.hasRoom();
    ChunkMapOp inRounds = cutInRounds(rewriter, map, room);
    if (inRounds)
      rewriter.eraseOp(inRounds);
    return !inRounds;
  }

  void split(RewriterBase &rewriter, ChunkMapOp map) {
    Value tile = findChannels(map);
    if (!tile)
      return;
    int64_t size = cast<RankedTensorType>(tile.getType()).getDimSize(1);
    if (!dividesChannels(rewriter, map, size))
      return;
    MapSplitter splitter(rewriter, map, columns);
    StringRef reason = splitter.findReason();
    if (reason.empty()) {
      remark::passed(map.getLoc(),
                     remark::RemarkOpts::name("Split").category(DEBUG_TYPE))
          << remark::add("a map whose blocks have some of the channels each")
          << remark::metric("Parts", splitter.countParts());
      numSums += splitter.countSums();
      splitter.split();
      ++numSplit;
      return;
    }
    remark::missed(map.getLoc(),
                   remark::RemarkOpts::name("Whole").category(DEBUG_TYPE))
        << remark::reason("{0}", reason);
  }
};
} // namespace
