//===- Stage.cpp - Cut a scan by its dependence on the carry --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TimeDims.h"

#include "wyvern/Dialect/Delta/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Dominance.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Transforms/CSE.h"

namespace mlir::wyvern::delta {
#define GEN_PASS_DEF_STAGEPASS
#include "wyvern/Dialect/Delta/Transforms/Passes.h.inc"
} // namespace mlir::wyvern::delta

using namespace mlir;
using namespace mlir::wyvern::delta;

static int64_t rankOf(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type ? type.getRank() : 0;
}

//===----------------------------------------------------------------------===//
// Dependence
//===----------------------------------------------------------------------===//

namespace {
/// The values of a scan's region that some carry enters.
class CarryDependence {
public:
  explicit CarryDependence(ChunkScanOp scan) {
    for (unsigned i = 0; i < scan.getInits().size(); ++i)
      values.insert(scan.getCarryArg(i));
    for (Operation &op : scan.getBlock().without_terminator())
      if (llvm::any_of(op.getOperands(),
                       [&](Value operand) { return reaches(operand); }))
        values.insert(op.result_begin(), op.result_end());
  }

  bool reaches(Value value) const { return values.contains(value); }
  bool reaches(Operation *op) const { return reaches(op->getResult(0)); }

private:
  llvm::DenseSet<Value> values;
};
} // namespace

/// The row vector `rate`, spread over `type`. A constant rate needs no
/// broadcast, and a rate of 1 then folds away.
static Value spreadRate(OpBuilder &builder, Location loc, Value rate,
                        RankedTensorType type) {
  DenseElementsAttr constant;
  if (matchPattern(rate, m_Constant(&constant)) && constant.isSplat())
    return arith::ConstantOp::create(builder, loc, constant.resizeSplat(type));
  Value empty = tensor::EmptyOp::create(builder, loc, type.getShape(),
                                        type.getElementType());
  return linalg::BroadcastOp::create(builder, loc, rate, empty,
                                     ArrayRef<int64_t>{1})
      ->getResult(0);
}

/// Turns (R, U) = solve(L, c, W) into Z = factor(L, c), R = W - Z (c * W) and
/// U = c * R: the triangular work then depends on L and c alone.
static void splitSolve(RewriterBase &rewriter, EraseSolveOp op) {
  Location loc = op.getLoc();
  rewriter.setInsertionPoint(op);
  auto type = cast<RankedTensorType>(op.getW().getType());
  Value factor = EraseFactorOp::create(rewriter, loc, op.getL().getType(),
                                       op.getL(), op.getRate());
  Value rate = spreadRate(rewriter, loc, op.getRate(), type);
  Value scaled = rewriter.createOrFold<arith::MulFOp>(loc, rate, op.getW());
  Value negated = rewriter.createOrFold<arith::NegFOp>(loc, scaled);
  AffineExpr m, n, k;
  bindDims(op.getContext(), m, n, k);
  auto map = [&](AffineExpr row, AffineExpr column) {
    return AffineMap::get(3, 0, {row, column}, op.getContext());
  };
  auto maps = rewriter.getAffineMapArrayAttr({map(m, k), map(k, n), map(m, n)});
  Value r = linalg::ContractOp::create(rewriter, loc, TypeRange{type},
                                       ValueRange{factor, negated},
                                       ValueRange{op.getW()}, maps)
                ->getResult(0);
  Value u = rewriter.createOrFold<arith::MulFOp>(loc, rate, r);
  rewriter.replaceOp(op, {r, u});
}

//===----------------------------------------------------------------------===//
// What crosses
//===----------------------------------------------------------------------===//

namespace {
/// Decides, for one scan, what the chain takes from the map that runs before it
/// and what it computes again.
class Cut {
public:
  Cut(ChunkScanOp scan) : scan(scan), dependence(scan), timeDims(scan) {
    YieldOp yield = scan.getYield();
    for (Operation &op : scan.getBlock().without_terminator())
      if (dependence.reaches(&op)) {
        chainOps.insert(&op);
        for (Value operand : op.getOperands())
          need(operand);
      }
    for (Value carry : yield.getCarries())
      need(carry);
    for (auto [i, out] : llvm::enumerate(yield.getOuts()))
      (dependence.reaches(out) ? chainOuts : beforeOuts).push_back(i);
    llvm::sort(crossing, [](Value a, Value b) {
      return a.getDefiningOp()->isBeforeInBlock(b.getDefiningOp());
    });
  }

  bool isEmpty() const { return crossing.empty() && beforeOuts.empty(); }
  /// How `value` lies in memory, one slice a (sequence, head, chunk).
  std::pair<RankedTensorType, BindingAttr> getStorage(Value value);

  ChunkScanOp scan;
  CarryDependence dependence;
  TimeDims timeDims;
  llvm::SmallPtrSet<Operation *, 32> chainOps; ///< dependent or recomputed
  SmallVector<Value> crossing;
  SmallVector<unsigned> beforeOuts, chainOuts;
  unsigned numRecomputed = 0;

private:
  /// `value` is read in the chain: see to it that it is there.
  void need(Value value);
  bool isRecomputed(Operation *op);
  bool isCheapVector(Value value) const;
};
} // namespace

void Cut::need(Value value) {
  Operation *def = value.getDefiningOp();
  if (!def || dependence.reaches(value) || chainOps.contains(def) ||
      llvm::is_contained(crossing, value))
    return;
  if (!isRecomputed(def)) {
    crossing.push_back(value);
    return;
  }
  chainOps.insert(def);
  ++numRecomputed;
  for (Value operand : def->getOperands())
    need(operand);
}

/// Constants and broadcasts hold nothing that is worth a load, and a scalar or
/// a cheap vector is less work than its traffic. Only the compute type crosses:
/// a comparison or a rounded tile is made again of what does.
bool Cut::isRecomputed(Operation *op) {
  if (op->hasTrait<OpTrait::ConstantLike>() ||
      isa<tensor::EmptyOp, linalg::FillOp, linalg::BroadcastOp>(op))
    return true;
  if (op->getNumResults() != 1)
    return false;
  Value result = op->getResult(0);
  return rankOf(result) == 0 || isCheapVector(result) ||
         getElementTypeOrSelf(result) != scan.getCompute();
}

/// A vector that elementwise ops and reductions make of the scan's ins. One
/// that is indexed by rows must come from vectors alone: the chain should not
/// load a matrix for it.
bool Cut::isCheapVector(Value value) const {
  Operation *def = value.getDefiningOp();
  if (!def)
    return rankOf(value) <= 1;
  if (def->hasTrait<OpTrait::ConstantLike>() || isa<tensor::EmptyOp>(def))
    return true;
  if (rankOf(value) > 1)
    return false;
  bool perChunk = timeDims.get(value).none();
  if (auto reduce = dyn_cast<linalg::ReduceOp>(def); reduce && perChunk)
    return llvm::all_of(reduce.getInputs(), [&](Value in) {
      return isa<BlockArgument>(in) || isCheapVector(in);
    });
  if (!def->hasTrait<OpTrait::Elementwise>() &&
      !isa<linalg::ElementwiseOp, linalg::ReduceOp, linalg::FillOp, MaskRowsOp,
           RepeatRowsOp>(def))
    return false;
  return llvm::all_of(def->getOperands(),
                      [&](Value operand) { return isCheapVector(operand); });
}

std::pair<RankedTensorType, BindingAttr> Cut::getStorage(Value value) {
  auto tile = cast<RankedTensorType>(value.getType());
  llvm::SmallBitVector rows = timeDims.get(value);
  int time = rows.find_first();
  SmallVector<BoundDim> dims;
  SmallVector<int64_t> shape;
  auto add = [&](DimKind kind, int64_t size, int64_t multiple = 1) {
    dims.push_back({kind, multiple});
    shape.push_back(size);
  };
  // Without rows there is one slot a chunk.
  add(time < 0 ? DimKind::chunk : DimKind::seq, ShapedType::kDynamic);
  for (auto [i, size] : llvm::enumerate(tile.getShape())) {
    bool isTime = static_cast<int>(i) == time;
    if (i == 0 && !isTime)
      add(DimKind::head, scan.getHeads());
    if (isTime)
      add(DimKind::time, ShapedType::kDynamic, size / scan.getChunk());
    else
      add(DimKind::whole, size);
    if (i == 0 && isTime)
      add(DimKind::head, scan.getHeads());
  }
  return {RankedTensorType::get(shape, tile.getElementType()),
          BindingAttr::get(value.getContext(), dims)};
}

//===----------------------------------------------------------------------===//
// The two programs
//===----------------------------------------------------------------------===//

namespace {
/// Collects the ins of a new chunk program and fills its region with clones.
class ProgramBuilder {
public:
  ProgramBuilder(ChunkScanOp scan, ArrayRef<Operation *> ops,
                 ValueRange results)
      : scan(scan), ops(ops), results(results) {
    llvm::SmallDenseSet<Value> read(results.begin(), results.end());
    for (Operation *op : ops)
      read.insert(op->operand_begin(), op->operand_end());
    for (unsigned i = 0; i < scan.getIns().size(); ++i)
      if (read.contains(scan.getInArg(i)))
        addScanIn(i);
    // The tokens are counted on an in, so there is one even if nothing reads
    // it.
    for (unsigned i = 0; i < scan.getIns().size() && !lengthKnown; ++i)
      if (scan.getInBinding(i).has(DimKind::time))
        addScanIn(i);
  }

  /// An in that holds what `tile` is in the old region.
  void addIn(Value tile, Value in, BindingAttr binding) {
    tiles.push_back(tile);
    ins.push_back(in);
    bindings.push_back(binding);
  }

  /// Clones the ops; `carries` are carried tiles, `numOuts` of the results
  /// outs.
  void buildBody(RewriterBase &rewriter, Region &body, ValueRange carries,
                 unsigned numOuts) {
    OpBuilder::InsertionGuard guard(rewriter);
    Block *block = rewriter.createBlock(&body);
    IRMapping mapping;
    auto addArg = [&](Value old) {
      mapping.map(old, block->addArgument(old.getType(), old.getLoc()));
    };
    addArg(scan.getValid());
    llvm::for_each(tiles, addArg);
    llvm::for_each(carries, addArg);
    for (Operation *op : ops)
      rewriter.clone(*op, mapping);
    auto mapped = llvm::map_to_vector(
        results, [&](Value result) { return mapping.lookup(result); });
    YieldOp::create(rewriter, scan.getYield().getLoc(),
                    ValueRange(mapped).take_front(numOuts),
                    ValueRange(mapped).drop_front(numOuts));
  }

  ArrayAttr getBindings(Builder &builder) const {
    return builder.getArrayAttr(bindings);
  }
  SmallVector<Value> ins;

private:
  void addScanIn(unsigned i) {
    addIn(scan.getInArg(i), scan.getIns()[i], scan.getInBinding(i));
    lengthKnown |= scan.getInBinding(i).has(DimKind::time);
  }

  ChunkScanOp scan;
  ArrayRef<Operation *> ops;
  SmallVector<Value> results;
  SmallVector<Value> tiles;
  SmallVector<Attribute> bindings;
  bool lengthKnown = false;
};
} // namespace

/// The ops of the region from which `values` are computed, in order.
static SmallVector<Operation *> sliceOf(ChunkScanOp scan, ValueRange values) {
  llvm::SmallPtrSet<Operation *, 32> slice;
  SmallVector<Value> worklist(values);
  while (!worklist.empty())
    if (Operation *def = worklist.pop_back_val().getDefiningOp();
        def && slice.insert(def).second)
      worklist.append(def->operand_begin(), def->operand_end());
  SmallVector<Operation *> ops;
  for (Operation &op : scan.getBlock().without_terminator())
    if (slice.contains(&op))
      ops.push_back(&op);
  return ops;
}

/// The map: outs of the scan that no carry enters, then what crosses.
static ChunkMapOp createBefore(RewriterBase &rewriter, Cut &cut) {
  ChunkScanOp scan = cut.scan;
  SmallVector<Value> results;
  SmallVector<Type> types;
  SmallVector<Attribute> bindings;
  for (unsigned i : cut.beforeOuts) {
    results.push_back(scan.getYield().getOuts()[i]);
    types.push_back(scan.getOuts()[i].getType());
    bindings.push_back(scan.getOutBinding(i));
  }
  for (Value value : cut.crossing) {
    auto [type, binding] = cut.getStorage(value);
    results.push_back(value);
    types.push_back(type);
    bindings.push_back(binding);
  }
  SmallVector<Operation *> ops = sliceOf(scan, results);
  ProgramBuilder program(scan, ops, results);
  auto map = ChunkMapOp::create(
      rewriter, scan.getLoc(), types, program.ins, scan.getCuSeqlens(),
      scan.getChunkAttr(), scan.getHeadsAttr(), scan.getComputeAttr(),
      program.getBindings(rewriter), rewriter.getArrayAttr(bindings));
  program.buildBody(rewriter, map.getBody(), {}, results.size());
  return map;
}

/// The chain: everything that a carry enters, fed by the results of `before`.
static ChunkScanOp createChain(RewriterBase &rewriter, Cut &cut,
                               ChunkMapOp before) {
  ChunkScanOp scan = cut.scan;
  SmallVector<Value> results;
  SmallVector<Type> types;
  SmallVector<Attribute> outBindings;
  for (unsigned i : cut.chainOuts) {
    results.push_back(scan.getYield().getOuts()[i]);
    types.push_back(scan.getOuts()[i].getType());
    outBindings.push_back(scan.getOutBinding(i));
  }
  llvm::append_range(results, scan.getYield().getCarries());
  SmallVector<Operation *> ops;
  for (Operation &op : scan.getBlock().without_terminator())
    if (cut.chainOps.contains(&op))
      ops.push_back(&op);
  ProgramBuilder program(scan, ops, results);
  ValueRange crossed = before.getOuts().drop_front(cut.beforeOuts.size());
  for (auto [tile, in] : llvm::zip_equal(cut.crossing, crossed))
    program.addIn(tile, in, cut.getStorage(tile).second);
  auto chain = ChunkScanOp::create(
      rewriter, scan.getLoc(), types, scan.getFinals().getTypes(), program.ins,
      scan.getInits(), scan.getCuSeqlens(), scan.getDirectionAttr(),
      scan.getChunkAttr(), scan.getHeadsAttr(), scan.getComputeAttr(),
      program.getBindings(rewriter), scan.getCarryBindings(),
      rewriter.getArrayAttr(outBindings));
  ValueRange carries =
      scan.getBlock().getArguments().drop_front(1 + scan.getIns().size());
  program.buildBody(rewriter, chain.getBody(), carries, types.size());
  chain->setDiscardableAttrs(scan->getDiscardableAttrDictionary());
  return chain;
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {
struct StagePass : wyvern::delta::impl::StagePassBase<StagePass> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<ChunkScanOp> scans;
    getOperation()->walk<WalkOrder::PreOrder>([&](ChunkScanOp scan) {
      scans.push_back(scan);
      return WalkResult::skip(); // one nested in a chunk is part of that chunk
    });
    IRRewriter rewriter(&getContext());
    for (ChunkScanOp scan : scans)
      if (succeeded(stage(rewriter, scan)))
        ++numStaged;
    // Splitting a solve spreads its rate once more.
    DominanceInfo dominance(getOperation());
    eliminateCommonSubExpressions(rewriter, dominance, getOperation());
  }

private:
  void splitSolves(RewriterBase &rewriter, ChunkScanOp scan);
  LogicalResult stage(RewriterBase &rewriter, ChunkScanOp scan);
};
} // namespace

void StagePass::splitSolves(RewriterBase &rewriter, ChunkScanOp scan) {
  CarryDependence dependence(scan);
  for (Operation &op :
       llvm::make_early_inc_range(scan.getBlock().without_terminator())) {
    auto solve = dyn_cast<EraseSolveOp>(op);
    if (!solve || !dependence.reaches(solve.getW()))
      continue;
    if (dependence.reaches(solve.getL()) ||
        dependence.reaches(solve.getRate())) {
      (void)rewriter.notifyMatchFailure(
          solve, "the system itself depends on a carry: it is solved in the "
                 "chain");
      continue;
    }
    splitSolve(rewriter, solve);
    ++numSolvesSplit;
  }
}

LogicalResult StagePass::stage(RewriterBase &rewriter, ChunkScanOp scan) {
  if (scan.getInits().empty())
    return rewriter.notifyMatchFailure(scan, "no carry: it is a chunk_map");
  splitSolves(rewriter, scan);
  Cut cut(scan);
  if (cut.isEmpty())
    return rewriter.notifyMatchFailure(
        scan, "everything worth storing depends on a carry");
  numCrossing += cut.crossing.size();
  numRecomputed += cut.numRecomputed;

  rewriter.setInsertionPoint(scan);
  ChunkMapOp before = createBefore(rewriter, cut);
  ChunkScanOp chain = createChain(rewriter, cut, before);
  for (auto [i, out] : llvm::enumerate(cut.beforeOuts))
    rewriter.replaceAllUsesWith(scan.getOuts()[out], before.getOuts()[i]);
  for (auto [i, out] : llvm::enumerate(cut.chainOuts))
    rewriter.replaceAllUsesWith(scan.getOuts()[out], chain.getOuts()[i]);
  rewriter.replaceAllUsesWith(scan.getFinals(), chain.getFinals());
  rewriter.eraseOp(scan);
  return success();
}
