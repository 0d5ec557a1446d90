//===- SplitMaps.cpp - Maps of wide channels, a part of these each --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ProgramBuilder.h"
#include "SizeClasses.h"
#include "SumParts.h"

#include "wyvern/Dialect/Delta/Transforms/Passes.h"

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

/// Returns the tile whose columns are the channels of a product with a decay a
/// channel; null for other operations.
static Value findChannels(Operation &op) {
  auto apply = dyn_cast<DecayApplyOp>(op);
  return apply && apply.getG() && getTileRank(apply.getG()) == 2 ? apply.getR()
                                                                 : Value();
}

/// Returns the channels of the first such product of `map`; null without one.
static Value findChannels(ChunkMapOp map) {
  for (Operation &op : map.getBlock())
    if (Value channels = findChannels(op))
      return channels;
  return {};
}

//===----------------------------------------------------------------------===//
// What has the channels
//===----------------------------------------------------------------------===//

namespace {
/// The dimensions of a map's tiles that are its channels.
class Channels {
public:
  explicit Channels(ChunkMapOp map)
      : classes(cast<ChunkProgramOpInterface>(map.getOperation())),
        tile(findChannels(map)), inParts(!tile) {
    if (inParts)
      tile = findSummedChannels(map);
    number = classes.get({tile, 1});
  }

  int64_t getSize() const {
    return cast<RankedTensorType>(tile.getType()).getDimSize(1);
  }
  bool isOf(TileDim dim) const { return classes.find(dim) == number; }
  /// Returns how many dimensions of `value` are channels.
  int64_t count(Value value) const {
    int64_t found = 0;
    for (int64_t dim = 0; dim < getTileRank(value); ++dim)
      found += isOf({value, dim});
    return found;
  }
  bool has(Value value) const { return count(value) > 0; }
  /// True for a sum over the channels that maps of parts have a part of.
  bool isInParts(Operation &op) const {
    return inParts && isSumOverChannels(&op);
  }
  /// True if `op` makes of some channels what depends on others, or on which
  /// they are.
  bool mixes(Operation &op) const {
    auto isOne = [&](TileDim dim) { return isOf(dim); };
    return llvm::any_of(op.getResults(),
                        [&](Value result) { return count(result) > 1; }) ||
           llvm::any_of(cast<ChunkRegionOpInterface>(op).getLoops(),
                        [&](const TileLoop &loop) {
                          return (loop.isMixed || loop.isTime ||
                                  loop.isPlaced) &&
                                 llvm::any_of(loop.dims, isOne);
                        });
  }

private:
  SizeClasses classes;
  Value tile;
  bool inParts; ///< sums over the channels are
  unsigned number;
};
} // namespace

/// True for what takes long, and is not made twice.
static bool isUnit(Operation &op) {
  return cast<ChunkRegionOpInterface>(op).getMatmulFlops() > 0 ||
         isa<linalg::ReduceOp>(op);
}

//===----------------------------------------------------------------------===//
// Who makes what
//===----------------------------------------------------------------------===//

namespace {
/// The map that makes an operation: one of all channels, one of parts of them,
/// or one of all channels behind that. What no product leads to, and
/// elementwise work on the channels of what the first map makes, is made where
/// it is read.
enum class Stage { anywhere, before, parts, behind };

/// The stages of a map's operations.
class Stages {
public:
  Stages(ChunkMapOp map, const Channels &channels);

  Stage get(Value value) const { return stages.lookup(value.getDefiningOp()); }
  Stage get(Operation *op) const { return stages.lookup(op); }

private:
  bool reads(Operation &op, Stage stage) const {
    return llvm::any_of(op.getOperands(),
                        [&](Value operand) { return get(operand) == stage; });
  }
  void moveBehind(Operation &op);

  llvm::DenseMap<Operation *, Stage> stages;
};
} // namespace

Stages::Stages(ChunkMapOp map, const Channels &channels) {
  llvm::SmallPtrSet<Operation *, 32> made; // of products and sums
  for (Operation &op : map.getBlock().without_terminator()) {
    bool isMade =
        isUnit(op) || llvm::any_of(op.getOperands(), [&](Value operand) {
          return made.contains(operand.getDefiningOp());
        });
    bool hasChannels = llvm::any_of(
        op.getResults(), [&](Value result) { return channels.has(result); });
    if (isMade)
      made.insert(&op);
    bool readsParts = reads(op, Stage::parts);
    if (reads(op, Stage::behind))
      stages[&op] = Stage::behind;
    else if (channels.isInParts(op))
      stages[&op] = Stage::parts;
    else if (channels.mixes(op) || (isMade && !hasChannels))
      stages[&op] = readsParts ? Stage::behind : Stage::before;
    else if (readsParts || isUnit(op))
      stages[&op] = Stage::parts;
  }
  for (Operation &op : llvm::reverse(map.getBlock().without_terminator()))
    moveBehind(op);
}

/// Moves what only the last map reads there, where one tile crosses as before.
void Stages::moveBehind(Operation &op) {
  auto isParts = [&](Value operand) { return get(operand) == Stage::parts; };
  auto isBehind = [&](Operation *user) { return get(user) == Stage::behind; };
  if (get(&op) == Stage::parts && op.hasTrait<OpTrait::Elementwise>() &&
      llvm::count_if(op.getOperands(), isParts) == 1 &&
      llvm::all_of(op.getUsers(), isBehind))
    stages[&op] = Stage::behind;
}

//===----------------------------------------------------------------------===//
// Two or three maps
//===----------------------------------------------------------------------===//

namespace {
/// Makes the maps of one.
class MapSplitter {
public:
  /// `members` are parts of sums.
  MapSplitter(RewriterBase &rewriter, ChunkMapOp map, int64_t parts,
              const llvm::DenseMap<Value, PartOfSum> &members)
      : rewriter(rewriter), map(map),
        program(cast<ChunkProgramOpInterface>(map.getOperation())),
        channels(map), stages(map, channels), parts(parts), members(members) {}

  /// Returns why `map` cannot be split; empty if it can.
  StringRef findReason();
  void split();

private:
  StringRef findReason(unsigned in);
  /// What one of the maps is made of.
  struct Part {
    SmallVector<unsigned> outs;
    llvm::SetVector<Value> read;     ///< of what earlier maps store
    llvm::SetVector<Value> crossing; ///< that it stores for later ones
    SmallVector<Operation *> ops;
  };
  Part collect(Stage stage, ArrayRef<Part> later);
  Stage getStageOfOut(Value out) const;
  void create(const Part &part, Stage stage);
  TileStorage getStorage(Value value);
  void narrow(ChunkMapOp made);

  RewriterBase &rewriter;
  ChunkMapOp map;
  ChunkProgramOpInterface program;
  Channels channels;
  Stages stages;
  int64_t parts;
  const llvm::DenseMap<Value, PartOfSum> &members;
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
    if ((findChannels(op) || channels.isInParts(op)) &&
        stages.get(&op) != Stage::parts)
      return "a sum over the channels leads to products with a decay that "
             "others lead to";
  return {};
}

/// What an out is made by: the first map that can.
Stage MapSplitter::getStageOfOut(Value out) const {
  Stage stage = stages.get(out);
  if (stage != Stage::anywhere)
    return stage;
  return channels.has(out) ? Stage::parts : Stage::before;
}

/// Returns what the map of `stage` is made of: its outs, and what later ones
/// read.
MapSplitter::Part MapSplitter::collect(Stage stage, ArrayRef<Part> later) {
  Part part;
  SmallVector<Value> worklist;
  for (auto [i, out] : llvm::enumerate(map.getYield().getOuts()))
    if (getStageOfOut(out) == stage) {
      part.outs.push_back(i);
      worklist.push_back(out);
    }
  for (const Part &other : later)
    for (Value value : other.read)
      if (stages.get(value) == stage) {
        Value whole = members.lookup(value).whole;
        part.crossing.insert(whole ? whole : value);
      }
  worklist.append(part.crossing.begin(), part.crossing.end());
  llvm::SmallPtrSet<Operation *, 32> ops;
  while (!worklist.empty()) {
    Value value = worklist.pop_back_val();
    Operation *def = value.getDefiningOp();
    if (!def)
      continue;
    // What a vector is spread over is made where it is read.
    Stage of = stages.get(def);
    bool isEarlier =
        of != Stage::anywhere && of != stage && !isa<linalg::BroadcastOp>(def);
    if (isEarlier)
      part.read.insert(value);
    else if (ops.insert(def).second)
      worklist.append(def->operand_begin(), def->operand_end());
  }
  part.ops = inOrder(program, ops);
  return part;
}

/// Returns how `value` is stored for later maps: of a sum over the channels
/// each part has a head of its own.
TileStorage MapSplitter::getStorage(Value value) {
  TileStorage storage = delta::getStorage(value, program, timeDims);
  if (!channels.isInParts(*value.getDefiningOp()))
    return storage;
  SmallVector<int64_t> shape(storage.type.getShape());
  for (auto [dim, size] : llvm::zip_equal(storage.binding.getDims(), shape))
    if (dim.kind == DimKind::head)
      size *= parts;
  return {storage.type.clone(shape), storage.binding};
}

/// Returns `binding` with part `number` of the sum of each head.
static BindingAttr bindPartOfSum(BindingAttr binding, int64_t parts,
                                 int64_t number) {
  SmallVector<BoundDim> dims(binding.getDims());
  for (BoundDim &dim : dims)
    if (dim.kind == DimKind::head)
      dim = {DimKind::head, parts, number};
  return BindingAttr::get(binding.getContext(), dims);
}

void MapSplitter::create(const Part &part, Stage stage) {
  if (part.outs.empty() && part.crossing.empty())
    return;
  ProgramBuilder builder(program, part.ops);
  bool sumsParts = false;
  for (Value value : part.read) {
    auto [whole, number] = members.lookup(value);
    BindingAttr binding = getStorage(value).binding;
    sumsParts |= whole != nullptr;
    if (whole)
      binding = bindPartOfSum(binding, parts, number);
    builder.addIn(value, stored.lookup(whole ? whole : value), binding);
  }
  for (unsigned out : part.outs)
    builder.addProgramOut(out);
  for (Value value : part.crossing)
    builder.addOut(value, getStorage(value));
  ChunkMapOp made = builder.createMap(rewriter);
  if (sumsParts)
    made->setAttr(kSumOfPartsAttr, rewriter.getUnitAttr());
  if (stage == Stage::parts)
    narrow(made);
  for (auto [out, value] : llvm::zip(part.outs, made.getOuts()))
    rewriter.replaceAllUsesWith(map.getOuts()[out], value);
  for (auto [value, tensor] : llvm::zip_equal(
           part.crossing, made.getOuts().drop_front(part.outs.size())))
    stored[value] = tensor;
}

/// Returns `binding` with the channels of `tile` in parts.
static Attribute bindParts(BindingAttr binding, Value tile,
                           const Channels &channels, int64_t parts) {
  SmallVector<BoundDim> dims(binding.getDims());
  forEachTileDim(binding, [&](BoundDim, size_t place, int64_t d) {
    if (channels.isOf({tile, d}))
      dims[place].parts = parts;
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
        bindParts(ofMade.getInBinding(i), ofMade.getInArg(i), own, parts));
  for (auto [i, out] : llvm::enumerate(made.getYield().getOuts()))
    outs.push_back(bindParts(ofMade.getOutBinding(i), out, own, parts));
  auto retype = [&](Value value) {
    auto type = dyn_cast<RankedTensorType>(value.getType());
    if (!type || !own.has(value))
      return;
    SmallVector<int64_t> shape(type.getShape());
    for (auto [d, size] : llvm::enumerate(shape))
      if (own.isOf({value, static_cast<int64_t>(d)}))
        size /= parts;
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

void MapSplitter::split() {
  SmallVector<Part> made; // from the last one on: what it reads, others store
  constexpr Stage order[] = {Stage::behind, Stage::parts, Stage::before};
  for (Stage stage : order)
    made.push_back(collect(stage, made));
  rewriter.setInsertionPoint(map);
  for (size_t i = made.size(); i-- > 0;)
    create(made[i], order[i]);
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
  /// Returns the tile with the channels that `map` is split over; null if it is
  /// not.
  Value findSplit(ChunkMapOp map) {
    Value tile = findChannels(map);
    int64_t most = tile ? columns : mostSummed;
    if (!tile)
      tile = findSummedChannels(map);
    bool isWide =
        tile && cast<RankedTensorType>(tile.getType()).getDimSize(1) > most;
    return isWide ? tile : Value();
  }

  /// Splits `map`. Returns why it stays whole; empty if it does not.
  StringRef trySplit(RewriterBase &rewriter, ChunkMapOp map, int64_t parts) {
    rewriter.setInsertionPoint(map);
    auto copy = cast<ChunkMapOp>(rewriter.clone(*map));
    llvm::DenseMap<Value, PartOfSum> members;
    if (!findChannels(copy))
      addUpParts(rewriter, copy, parts, members);
    MapSplitter splitter(rewriter, copy, parts, members);
    StringRef reason = splitter.findReason();
    if (!reason.empty()) {
      rewriter.eraseOp(copy);
      return reason;
    }
    rewriter.replaceOp(map, copy);
    splitter.split();
    numSums += static_cast<int64_t>(members.size()) / parts;
    return {};
  }

  void split(RewriterBase &rewriter, ChunkMapOp map) {
    Value tile = findSplit(map);
    if (!tile)
      return;
    Location loc = map.getLoc();
    int64_t size = cast<RankedTensorType>(tile.getType()).getDimSize(1);
    StringRef reason = size % columns
                           ? "its channels are no multiple of those of a part"
                           : trySplit(rewriter, map, size / columns);
    if (!reason.empty()) {
      remark::missed(loc,
                     remark::RemarkOpts::name("Whole").category(DEBUG_TYPE))
          << remark::reason("{0}", reason);
      return;
    }
    remark::passed(loc, remark::RemarkOpts::name("Split").category(DEBUG_TYPE))
        << remark::add("a map whose blocks have some of the channels each")
        << remark::metric("Parts", size / columns);
    ++numSplit;
  }
};
} // namespace
