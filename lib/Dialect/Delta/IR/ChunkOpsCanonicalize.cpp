//===- ChunkOpsCanonicalize.cpp - Pruning of chunk programs ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A chunk program keeps what something reads: outs with uses, ins with uses,
// carries that reach an out or a used final. Everything else costs memory
// traffic in each chunk, so it goes.
//
//===----------------------------------------------------------------------===//

#include "DropEmptyCuSeqlens.h"
#include "wyvern/Dialect/Delta/IR/Delta.h"

#include "mlir/IR/PatternMatch.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/BitVector.h"

using namespace mlir;
using namespace mlir::wyvern::delta;

//===----------------------------------------------------------------------===//
// Rebuilding an op with some of its operands and results
//===----------------------------------------------------------------------===//

namespace {
/// Which ins, outs and carries stay.
struct Kept {
  llvm::BitVector ins, outs, carries;
};
} // namespace

static unsigned numCarries(ChunkScanOp op) { return op.getInits().size(); }
static unsigned numCarries(ChunkMapOp) { return 0; }

template <typename OpT> static Kept keepAll(OpT op) {
  return {llvm::BitVector(op.getIns().size(), true),
          llvm::BitVector(op.getOuts().size(), true),
          llvm::BitVector(numCarries(op), true)};
}

static SmallVector<Value> pick(ValueRange values, const llvm::BitVector &kept) {
  return llvm::map_to_vector(kept.set_bits(),
                             [&](unsigned i) -> Value { return values[i]; });
}

static SmallVector<Type> pickTypes(ValueRange values,
                                   const llvm::BitVector &kept) {
  return llvm::map_to_vector(kept.set_bits(),
                             [&](unsigned i) { return values[i].getType(); });
}

static ArrayAttr pick(ArrayAttr attrs, const llvm::BitVector &kept) {
  return ArrayAttr::get(attrs.getContext(),
                        llvm::map_to_vector(kept.set_bits(), [&](unsigned i) {
                          return attrs[i];
                        }));
}

static ChunkScanOp createKept(PatternRewriter &rewriter, ChunkScanOp op,
                              const Kept &kept) {
  return ChunkScanOp::create(
      rewriter, op.getLoc(), pickTypes(op.getOuts(), kept.outs),
      pickTypes(op.getFinals(), kept.carries),
      op.getPool() ? op.getPool().getType() : Type(),
      pick(op.getIns(), kept.ins), pick(op.getInits(), kept.carries),
      op.getCuSeqlens(), op.getReadSlots(), op.getWriteSlots(), op.getLengths(),
      op.getKeepSlots(), op.getSeeds(), op.getPool(), op.getDirectionAttr(),
      op.getChunkAttr(), op.getHeadsAttr(), op.getComputeAttr(),
      pick(op.getInBindings(), kept.ins),
      pick(op.getCarryBindings(), kept.carries),
      pick(op.getOutBindings(), kept.outs), op.getFirstSlotAttr(),
      op.getElseZerosAttr());
}

static ChunkMapOp createKept(PatternRewriter &rewriter, ChunkMapOp op,
                             const Kept &kept) {
  return ChunkMapOp::create(
      rewriter, op.getLoc(), pickTypes(op.getOuts(), kept.outs),
      pick(op.getIns(), kept.ins), op.getCuSeqlens(), op.getChunkAttr(),
      op.getHeadsAttr(), op.getComputeAttr(),
      pick(op.getInBindings(), kept.ins), pick(op.getOutBindings(), kept.outs));
}

/// Erases what nothing in the block reads any more.
static void eraseDeadOps(PatternRewriter &rewriter, Block &block) {
  for (Operation &inner : llvm::make_early_inc_range(llvm::reverse(block)))
    if (isOpTriviallyDead(&inner))
      rewriter.eraseOp(&inner);
}

/// Replaces `op` by one with what is kept. Ins that go have no uses left once
/// the yield has forgotten the outs and carries that go.
template <typename OpT>
static void rebuild(PatternRewriter &rewriter, OpT op, const Kept &kept) {
  YieldOp yield = op.getYield();
  rewriter.setInsertionPoint(yield);
  rewriter.replaceOpWithNewOp<YieldOp>(yield, pick(yield.getOuts(), kept.outs),
                                       pick(yield.getCarries(), kept.carries));
  Block &block = op.getBlock();
  eraseDeadOps(rewriter, block);
  unsigned numIns = kept.ins.size();
  block.eraseArguments([&](BlockArgument arg) {
    unsigned i = arg.getArgNumber();
    if (i == 0) // `valid`
      return false;
    return i <= numIns ? !kept.ins[i - 1] : !kept.carries[i - 1 - numIns];
  });

  rewriter.setInsertionPoint(op);
  OpT newOp = createKept(rewriter, op, kept);
  newOp->setDiscardableAttrs(op->getDiscardableAttrDictionary());
  rewriter.inlineRegionBefore(op.getBody(), newOp.getBody(),
                              newOp.getBody().end());
  for (auto [from, to] :
       llvm::zip_equal(pick(op.getOuts(), kept.outs), newOp.getOuts()))
    rewriter.replaceAllUsesWith(from, to);
  if constexpr (std::is_same_v<OpT, ChunkScanOp>) {
    for (auto [from, to] :
         llvm::zip_equal(pick(op.getFinals(), kept.carries), newOp.getFinals()))
      rewriter.replaceAllUsesWith(from, to);
    if (op.getKept())
      rewriter.replaceAllUsesWith(op.getKept(), newOp.getKept());
  }
  rewriter.eraseOp(op);
}

//===----------------------------------------------------------------------===//
// Patterns for both programs
//===----------------------------------------------------------------------===//

namespace {
/// Outs that nothing reads and ins that the region does not read. One in with a
/// time dimension stays: it tells how many tokens there are.
template <typename OpT> struct DropUnused : OpRewritePattern<OpT> {
  using OpRewritePattern<OpT>::OpRewritePattern;

  LogicalResult matchAndRewrite(OpT op,
                                PatternRewriter &rewriter) const override {
    Kept kept = keepAll(op);
    for (auto [i, out] : llvm::enumerate(op.getOuts()))
      kept.outs[i] = !out.use_empty();
    bool lengthKnown = false;
    for (unsigned i = 0; i < kept.ins.size(); ++i) {
      kept.ins[i] = !op.getInArg(i).use_empty();
      lengthKnown |= kept.ins[i] && op.getInBinding(i).has(DimKind::time);
    }
    for (unsigned i = 0; i < kept.ins.size() && !lengthKnown; ++i)
      if (op.getInBinding(i).has(DimKind::time))
        lengthKnown = kept.ins[i] = true;
    if (kept.ins.all() && kept.outs.all())
      return rewriter.notifyMatchFailure(op, "all ins and outs are read");
    rebuild(rewriter, op, kept);
    return success();
  }
};

/// An in that repeats another, bound alike, is that one.
template <typename OpT> struct MergeEqualIns : OpRewritePattern<OpT> {
  using OpRewritePattern<OpT>::OpRewritePattern;

  LogicalResult matchAndRewrite(OpT op,
                                PatternRewriter &rewriter) const override {
    llvm::SmallDenseMap<std::pair<Value, Attribute>, unsigned> first;
    Kept kept = keepAll(op);
    for (auto [i, in] : llvm::enumerate(op.getIns())) {
      auto [it, isNew] = first.try_emplace({in, op.getInBinding(i)}, i);
      kept.ins[i] = isNew;
      if (!isNew)
        rewriter.replaceAllUsesWith(op.getInArg(i), op.getInArg(it->second));
    }
    if (kept.ins.all())
      return rewriter.notifyMatchFailure(op, "no two ins are the same");
    rebuild(rewriter, op, kept);
    return success();
  }
};

//===----------------------------------------------------------------------===//
// Patterns for scans
//===----------------------------------------------------------------------===//

/// Carries whose final state nothing reads, which are kept nowhere and which
/// reach no out and no carry that stays.
struct DropDeadCarries : OpRewritePattern<ChunkScanOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(ChunkScanOp op,
                                PatternRewriter &rewriter) const override {
    Kept kept = keepAll(op);
    findLiveCarries(op, kept.carries);
    if (kept.carries.all())
      return rewriter.notifyMatchFailure(op, "every carry reaches a result");
    rebuild(rewriter, op, kept);
    return success();
  }

private:
  /// Marks values from which the yielded `value` is computed.
  static void markLive(Value value, llvm::SmallDenseSet<Value> &live) {
    SmallVector<Value> worklist = {value};
    while (!worklist.empty()) {
      Value next = worklist.pop_back_val();
      if (!live.insert(next).second)
        continue;
      if (Operation *def = next.getDefiningOp())
        worklist.append(def->operand_begin(), def->operand_end());
    }
  }

  static void findLiveCarries(ChunkScanOp op, llvm::BitVector &live) {
    YieldOp yield = op.getYield();
    llvm::SmallDenseSet<Value> values;
    for (Value out : yield.getOuts())
      markLive(out, values);
    live.reset();
    for (bool changed = true; changed;) {
      changed = false;
      for (unsigned i = 0; i < live.size(); ++i) {
        if (live[i] || (op.getFinals()[i].use_empty() && !op.getPool() &&
                        !values.contains(op.getCarryArg(i))))
          continue;
        changed = live[i] = true;
        markLive(yield.getCarries()[i], values);
      }
    }
  }
};

/// A scan without carries has no order: it is a map.
struct ScanToMap : OpRewritePattern<ChunkScanOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(ChunkScanOp op,
                                PatternRewriter &rewriter) const override {
    if (!op.getInits().empty() || op.getLengths())
      return rewriter.notifyMatchFailure(op, "has a carry or lengths");
    auto map = ChunkMapOp::create(
        rewriter, op.getLoc(), op.getResultTypes(), op.getIns(),
        op.getCuSeqlens(), op.getChunkAttr(), op.getHeadsAttr(),
        op.getComputeAttr(), op.getInBindings(), op.getOutBindings());
    map->setDiscardableAttrs(op->getDiscardableAttrDictionary());
    rewriter.inlineRegionBefore(op.getBody(), map.getBody(),
                                map.getBody().end());
    rewriter.replaceOp(op, map);
    return success();
  }
};
} // namespace

void ChunkScanOp::getCanonicalizationPatterns(RewritePatternSet &results,
                                              MLIRContext *context) {
  results.add<DropUnused<ChunkScanOp>, MergeEqualIns<ChunkScanOp>,
              DropEmptyCuSeqlens<ChunkScanOp>, DropDeadCarries, ScanToMap>(
      context);
}

void ChunkMapOp::getCanonicalizationPatterns(RewritePatternSet &results,
                                             MLIRContext *context) {
  results.add<DropUnused<ChunkMapOp>, MergeEqualIns<ChunkMapOp>,
              DropEmptyCuSeqlens<ChunkMapOp>>(context);
}
