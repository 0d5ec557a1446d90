//===- SplitMaps.cpp - Maps of wide channels, a part of these each --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ProgramBuilder.h"
#include "SizeClasses.h"

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
  explicit Channels(ChunkMapOp map) : classes(cast<ChunkProgramOpInterface>(
                                          map.getOperation())) {
    tile = findChannels(map);
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
  unsigned number;
};
} // namespace

/// True for what takes long, and is not made twice.
static bool isUnit(Operation &op) {
  return cast<ChunkRegionOpInterface>(op).getMatmulFlops() > 0 ||
         isa<linalg::ReduceOp>(op);
}

//===----------------------------------------------------------------------===//
// Two maps
//===----------------------------------------------------------------------===//

namespace {
/// Makes two maps of one.
class MapSplitter {
public:
  MapSplitter(RewriterBase &rewriter, ChunkMapOp map, int64_t columns)
      : rewriter(rewriter), map(map),
        program(cast<ChunkProgramOpInterface>(map.getOperation())),
        channels(map), parts(channels.getSize() / columns) {}

  /// Returns why `map` cannot be split; empty if it can.
  StringRef findReason();
  void split();

private:
  void findWhole();
  bool isWhole(Value value) const {
    return whole.contains(value.getDefiningOp());
  }
  /// Returns the operations of the map of parts, and adds what they read of the
  /// other map to `crossing`.
  SmallVector<Operation *> collectParts(llvm::SetVector<Value> &crossing);
  SmallVector<unsigned> getOuts(bool ofWhole);
  ChunkMapOp createWhole(ArrayRef<Value> crossing);
  ChunkMapOp createParts(ArrayRef<Operation *> ops, ValueRange tensors,
                         ArrayRef<Value> crossing);
  void replaceOuts(ArrayRef<unsigned> numbers, ValueRange made);
  void narrow(ChunkMapOp made);

  RewriterBase &rewriter;
  ChunkMapOp map;
  ChunkProgramOpInterface program;
  Channels channels;
  int64_t parts;
  TimeDims timeDims{program};
  /// What products lead to, and of that what the first map makes.
  llvm::SmallPtrSet<Operation *, 32> made, whole;
};
} // namespace

/// Finds what is made once for all parts: products without channels, what mixes
/// these, and what either is made of.
void MapSplitter::findWhole() {
  SmallVector<Operation *> worklist;
  for (Operation &op : map.getBlock().without_terminator()) {
    bool isOfMade = llvm::any_of(op.getOperands(), [&](Value operand) {
      return made.contains(operand.getDefiningOp());
    });
    if (isUnit(op) || isOfMade)
      made.insert(&op);
    bool hasChannels = llvm::any_of(
        op.getResults(), [&](Value result) { return channels.has(result); });
    if (channels.mixes(op) || (made.contains(&op) && !hasChannels))
      worklist.push_back(&op);
  }
  while (!worklist.empty()) {
    Operation *op = worklist.pop_back_val();
    if (!whole.insert(op).second)
      continue;
    for (Value operand : op->getOperands())
      if (Operation *def = operand.getDefiningOp(); def && made.contains(def))
        worklist.push_back(def);
  }
}

SmallVector<unsigned> MapSplitter::getOuts(bool ofWhole) {
  SmallVector<unsigned> outs;
  for (auto [i, out] : llvm::enumerate(map.getYield().getOuts()))
    if ((isWhole(out) || !channels.has(out)) == ofWhole)
      outs.push_back(i);
  return outs;
}

StringRef MapSplitter::findReason() {
  for (unsigned i = 0; i < map.getIns().size(); ++i) {
    StringRef reason;
    forEachTileDim(program.getInBinding(i),
                   [&](BoundDim dim, size_t, int64_t d) {
                     if (channels.isOf({program.getInArg(i), d}) &&
                         (dim.isPart() || dim.multiple != 1 ||
                          dim.kind != DimKind::whole))
                       reason = "an in has some of the channels only";
                   });
    for (BoundDim dim : program.getInBinding(i).getDims())
      if (dim.kind == DimKind::head && dim.multiple != 1)
        reason = "an in is of one of several heads";
    if (channels.count(program.getInArg(i)) > 1)
      reason = "an in has the channels twice";
    if (!reason.empty())
      return reason;
  }
  findWhole();
  for (Operation &op : map.getBlock())
    if (findChannels(op) && whole.contains(&op))
      return "a sum over the channels reads products with a decay";
  return {};
}

SmallVector<Operation *>
MapSplitter::collectParts(llvm::SetVector<Value> &crossing) {
  SmallVector<Value> worklist;
  for (unsigned i : getOuts(/*ofWhole=*/false))
    worklist.push_back(map.getYield().getOuts()[i]);
  llvm::SmallPtrSet<Operation *, 32> ops;
  while (!worklist.empty()) {
    Value value = worklist.pop_back_val();
    Operation *def = value.getDefiningOp();
    if (!def)
      continue;
    // What a vector is spread over is made where it is read.
    if (isWhole(value) && !isa<linalg::BroadcastOp>(def))
      crossing.insert(value);
    else if (ops.insert(def).second)
      worklist.append(def->operand_begin(), def->operand_end());
  }
  return inOrder(program, ops);
}

void MapSplitter::replaceOuts(ArrayRef<unsigned> numbers, ValueRange made) {
  for (auto [number, value] : llvm::zip(numbers, made))
    rewriter.replaceAllUsesWith(map.getOuts()[number], value);
}

ChunkMapOp MapSplitter::createWhole(ArrayRef<Value> crossing) {
  SmallVector<unsigned> outs = getOuts(/*ofWhole=*/true);
  SmallVector<Value> results(crossing);
  for (unsigned out : outs)
    results.push_back(map.getYield().getOuts()[out]);
  SmallVector<Operation *> ops = sliceOf(program, results);
  ProgramBuilder builder(program, ops);
  for (unsigned out : outs)
    builder.addProgramOut(out);
  for (Value value : crossing)
    builder.addOut(value, getStorage(value, program, timeDims));
  ChunkMapOp made = builder.createMap(rewriter);
  replaceOuts(outs, made.getOuts());
  return made;
}

ChunkMapOp MapSplitter::createParts(ArrayRef<Operation *> ops,
                                    ValueRange tensors,
                                    ArrayRef<Value> crossing) {
  ProgramBuilder builder(program, ops);
  for (auto [value, tensor] : llvm::zip_equal(crossing, tensors))
    builder.addIn(value, tensor,
                  getStorage(value, program, timeDims).binding);
  SmallVector<unsigned> outs = getOuts(/*ofWhole=*/false);
  for (unsigned out : outs)
    builder.addProgramOut(out);
  ChunkMapOp made = builder.createMap(rewriter);
  narrow(made);
  replaceOuts(outs, made.getOuts());
  return made;
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
    ins.push_back(bindParts(ofMade.getInBinding(i), ofMade.getInArg(i), own,
                            parts));
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
  llvm::SetVector<Value> crossing;
  SmallVector<Operation *> ops = collectParts(crossing);
  rewriter.setInsertionPoint(map);
  ValueRange tensors;
  SmallVector<unsigned> outs = getOuts(/*ofWhole=*/true);
  if (!crossing.empty() || !outs.empty())
    tensors = createWhole(crossing.getArrayRef()).getOuts();
  createParts(ops, tensors.drop_front(outs.size()), crossing.getArrayRef());
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
  void split(RewriterBase &rewriter, ChunkMapOp map) {
    Value tile = findChannels(map);
    if (!tile)
      return;
    int64_t size = cast<RankedTensorType>(tile.getType()).getDimSize(1);
    if (size <= columns)
      return;
    StringRef reason = "its channels are no multiple of those of a part";
    if (size % columns == 0) {
      MapSplitter splitter(rewriter, map, columns);
      reason = splitter.findReason();
      if (reason.empty()) {
        remark::passed(map.getLoc(),
                       remark::RemarkOpts::name("Split").category(DEBUG_TYPE))
            << remark::add("a map whose blocks have some of the channels each")
            << remark::metric("Parts", size / columns);
        splitter.split();
        ++numSplit;
        return;
      }
    }
    remark::missed(map.getLoc(),
                   remark::RemarkOpts::name("Whole").category(DEBUG_TYPE))
        << remark::reason("{0}", reason);
  }
};
} // namespace
