//===- RingToNVVM.cpp - Rings of tiles between warps --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Fragments.h"
#include "Patterns.h"
#include "Stage.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

namespace {
/// Shared address of the byte at `offset` of the block's dynamic shared memory.
Value sharedAddress(Emitter &e, int64_t offset) {
  auto pointer = LLVM::LLVMPointerType::get(e.builder.getContext(), 3);
  Value base =
      LLVM::AddressOfOp::create(e.builder, e.loc, pointer, kSharedName);
  Value address = LLVM::PtrToIntOp::create(e.builder, e.loc, e.i32(), base);
  return e.add(address, offset);
}

struct AllocPattern : OpConversionPattern<AllocOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(AllocOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    if (!op.getOffset())
      return rewriter.notifyMatchFailure(op, "run tile-plan-smem first");
    Emitter e(rewriter, op.getLoc());
    rewriter.replaceOp(op, sharedAddress(e, *op.getOffset()));
    return success();
  }
};

/// Spins until the barrier's phase of this parity is over (PTX
/// ISA 9.7.13.15.16).
void waitBarrier(Emitter &e, Value barrier, Value parity) {
  e.ptx("{\n"
        ".reg .pred done;\n"
        "again:\n"
        "mbarrier.try_wait.parity.shared::cta.b64 done, [$0], $1;\n"
        "@!done bra again;\n"
        "}",
        "r,r,~{memory}", {barrier, parity}, {});
}

/// Arrives at `barrier` once a warp, behind what all its lanes have done;
/// `bytes`, if given, are what TMA will bring. The lane is elected: its number
/// would be read or held for that.
void arriveByWarp(Emitter &e, Value barrier, Value bytes) {
  std::string arrive = bytes ? "mbarrier.arrive.expect_tx.shared::cta.b64 _, "
                               "[$0], $1;\n"
                             : "mbarrier.arrive.shared::cta.b64 _, [$0];\n";
  SmallVector<Value> operands = {barrier};
  if (bytes)
    operands.push_back(bytes);
  e.ptx("{\n"
        ".reg .pred elected;\n"
        "bar.warp.sync 0xffffffff;\n"
        "elect.sync _|elected, 0xffffffff;\n"
        "@elected " +
            arrive + "}",
        bytes ? "r,r,~{memory}" : "r,~{memory}", operands, {});
}

/// True in one thread of a converged warp. ptxas knows that it is one, and
/// issues a copy there without a loop over the threads.
Value isElected(Emitter &e) {
  return NVVM::ElectSyncOp::create(e.builder, e.loc, e.builder.getI1Type(),
                                   /*membermask=*/Value());
}

/// Address of the byte at `address`, of this block, in block `block` of the
/// cluster.
Value mapToBlock(Emitter &e, Value address, Value block) {
  return e
      .ptx("mapa.shared::cluster.u32 $0, $1, $2;", "=r,r,r", {address, block},
           e.i32())
      .front();
}

struct AllocRingPattern : OpConversionPattern<AllocRingOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(AllocRingOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    if (!op.getOffset())
      return rewriter.notifyMatchFailure(op, "run tile-plan-smem first");
    Emitter e(rewriter, op.getLoc());
    RingType ring = op.getRing().getType();
    Value base = sharedAddress(e, *op.getOffset());
    Value first = e.cmp(LLVM::ICmpPredicate::eq, e.threadId(), e.c32(0));
    e.ifThen(first, [&] {
      for (int64_t i = 0; i < ring.getDepth(); ++i) {
        Stage stage(e, op.getRing(), base, e.c32(i));
        initBarrier(e, stage.full, op.getProducers());
        initBarrier(e, stage.empty, op.getConsumers() * op.getAcross());
      }
    });
    rewriter.replaceOp(op, base);
    return success();
  }

private:
  static void initBarrier(Emitter &e, Value barrier, int64_t arrivals) {
    e.ptx("mbarrier.init.shared::cta.b64 [$0], $1;", "r,r",
          {barrier, e.c32(arrivals)}, {});
  }
};

struct SubviewPattern : OpConversionPattern<SubviewOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(SubviewOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    SmemType view = op.getView().getType();
    bool isOfRows = view.isSwizzled() &&
                    view.getShape()[0] < op.getTile().getType().getShape()[0];
    int64_t blockBytes = isOfRows ? view.getShape()[0] * 2 * kBlockColumns
                         : view.isSwizzled()
                             ? view.getBlockRows() * 2 * view.getShape()[1]
                             : view.getSizeInBytes();
    rewriter.replaceOp(op,
                       e.add(adaptor.getTile(),
                             e.mul(e.trunc32(adaptor.getBlock()), blockBytes)));
    return success();
  }
};

/// Addresses of the tiles of the stage `slot` of a ring at `base`.
SmallVector<Value> stageTiles(Emitter &e, RingType ring, Value base,
                              Value slot) {
  SmallVector<Value> tiles;
  for (unsigned i = 0; i < ring.getTiles().size(); ++i)
    tiles.push_back(e.add(e.add(base, ring.getTileOffset(i)),
                          e.mul(slot, ring.getTileStride(i))));
  return tiles;
}

/// The producer waits for an empty stage, the consumer for a full one. A fresh
/// barrier counts as one phase ago, so the producer's first round does not
/// wait.
template <typename OpT> struct StagePattern : OpConversionPattern<OpT> {
  using OpConversionPattern<OpT>::OpConversionPattern;

  LogicalResult
  matchAndRewrite(OpT op, typename OpT::Adaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    RingType ring = op.getRing().getType();
    Stage stage(e, op.getRing(), adaptor.getRing(), adaptor.getIndex());
    if constexpr (std::is_same_v<OpT, AcquireOp>)
      waitBarrier(e, stage.empty, e.bxor(stage.phase, e.c32(1)));
    else
      waitBarrier(e, stage.full, stage.phase);
    rewriter.replaceOp(op, stageTiles(e, ring, adaptor.getRing(), stage.slot));
    return success();
  }
};

struct CommitPattern : OpConversionPattern<CommitOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(CommitOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    RingType ring = op.getRing().getType();
    Stage stage(e, op.getRing(), adaptor.getRing(), adaptor.getIndex());
    Value bytes;
    if (ring.getFill() == Fill::tma) {
      // Expecting bytes after TMA was issued is fine: the phase cannot end
      // before this arrival (PTX ISA 9.7.13.15.5, the transaction count may go
      // negative).
      bytes = e.c32(op.getBytes().value_or(ring.getTransactionBytes()));
    } else if (auto alloc = op.getRing().getDefiningOp<AllocRingOp>();
               alloc.getAcross() > 1) {
      // What is sent was fenced before. Each warp expects its share of what
      // comes: it may be there already.
      bytes =
          e.c32(*op.getBytes() / static_cast<int64_t>(alloc.getProducers()));
    } else if (ring.hasSwizzledTile()) {
      // The consumers may read by wgmma or TMA.
      emitProxyFence(e);
    }
    arriveByWarp(e, stage.full, bytes);
    rewriter.eraseOp(op);
    return success();
  }
};

/// Threads take the units of 16 bytes of all stages in turn. What the roles
/// read of these is behind the block's barrier.
struct ClearStagesPattern : OpConversionPattern<ClearStagesOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(ClearStagesOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    RingType ring = op.getRing().getType();
    unsigned number = op.getTile();
    auto tile = cast<SmemType>(ring.getTiles()[number]);
    int64_t from = op.getFrom(), perRow = tile.getShape()[1] / 8;
    int64_t perStage = (tile.getShape()[0] - from) * perRow;
    SmallVector<Value> zeros(4, e.c32(0));
    Value threads = NVVM::BlockDimXOp::create(rewriter, op.getLoc(), e.i32());
    Value lower = e.threadId(), upper = e.c32(ring.getDepth() * perStage);
    auto loop =
        scf::ForOp::create(rewriter, op.getLoc(), lower, upper, threads);
    {
      OpBuilder::InsertionGuard guard(rewriter);
      rewriter.setInsertionPointToStart(loop.getBody());
      Value unit = loop.getInductionVar(), inStage = e.urem(unit, perStage);
      Value place =
          e.add(e.add(adaptor.getRing(), ring.getTileOffset(number)),
                e.mul(e.udiv(unit, perStage), ring.getTileStride(number)));
      e.storeSharedVector(zeros,
                          swizzledAddress(e, place, tile,
                                          e.add(e.udiv(inStage, perRow), from),
                                          e.mul(e.urem(inStage, perRow), 8)));
    }
    emitProxyFence(e);
    rewriter.eraseOp(op);
    return success();
  }
};

struct ReleasePattern : OpConversionPattern<ReleaseOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(ReleaseOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    Stage stage(e, op.getRing(), adaptor.getRing(), adaptor.getIndex());
    if (op.getFenced())
      emitProxyFence(e);
    int64_t across = op.getRing().getDefiningOp<AllocRingOp>().getAcross();
    if (across == 1)
      arriveByWarp(e, stage.empty, /*bytes=*/Value());
    else
      arriveEverywhere(e, stage.empty, across);
    rewriter.eraseOp(op);
    return success();
  }

private:
  /// Arrives at `barrier` of each of `blocks` blocks, once a warp. The form
  /// with .release.cluster would wait for all that the warp has written to
  /// device memory: what it releases it has read, and other blocks write there
  /// by bulk copies.
  static void arriveEverywhere(Emitter &e, Value barrier, int64_t blocks) {
    e.ptx("bar.warp.sync 0xffffffff;", "~{memory}", {}, {});
    e.ifThen(isElected(e), [&] {
      for (int64_t block = 0; block < blocks; ++block)
        e.ptx("mbarrier.arrive.shared::cluster.b64 _, [$0];", "r,~{memory}",
              mapToBlock(e, barrier, e.c32(block)), {});
    });
  }
};

struct SendPattern : OpConversionPattern<SendOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(SendOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    Stage stage(e, op.getRing(), adaptor.getRing(), adaptor.getIndex());
    Value bytes = e.c32(op.getPiece().getType().getSizeInBytes());
    Value block = e.trunc32(adaptor.getBlock());
    e.ifThen(isElected(e), [&] {
      // PTX ISA 9.7.9.25.4.1: between the shared memories of a cluster.
      e.ptx("cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::"
            "bytes [$0], [$1], $2, [$3];",
            "r,r,r,r,~{memory}",
            {mapToBlock(e, adaptor.getPiece(), block), adaptor.getPiece(),
             bytes, mapToBlock(e, stage.full, block)},
            {});
    });
    rewriter.eraseOp(op);
    return success();
  }
};

struct LoadPattern : OpConversionPattern<LoadOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(LoadOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    SmemType tile = op.getTile().getType();
    Stage stage(e, op.getRing(), adaptor.getRing(), adaptor.getIndex());
    SmallVector<Value> coords;
    SmallVector<unsigned> varying;
    for (size_t i = op.getCoords().size(); i-- > 0;) {
      if (!op.getCoords()[i].getDefiningOp<arith::ConstantOp>())
        varying.push_back(coords.size());
      coords.push_back(e.trunc32(adaptor.getCoords()[i]));
    }
    int64_t rows = tile.getShape()[0];
    int64_t blocks = tile.getShape()[1] / kBlockColumns;
    e.ifThen(isElected(e), [&] {
      for (int64_t block = 0; block < blocks; ++block) {
        SmallVector<Value> at = coords;
        at.front() = e.add(at.front(), block * kBlockColumns);
        issue(e, adaptor.getMap(), at, varying,
              e.add(adaptor.getTile(), block * rows * 2 * kBlockColumns),
              stage.full);
      }
    });
    rewriter.eraseOp(op);
    return success();
  }

private:
  /// One bulk tensor copy (PTX ISA 9.7.9.27.1.2), innermost coordinate first.
  static void issue(Emitter &e, Value map, ArrayRef<Value> coords,
                    ArrayRef<unsigned> varying, Value tile, Value barrier) {
    std::string list, constraints = "r,l,r";
    SmallVector<Value> operands = {tile, map, barrier};
    for (auto [i, coord] : llvm::enumerate(coords)) {
      list += (i ? ", $" : "$") + std::to_string(i + 3);
      constraints += ",r";
      operands.push_back(coord);
    }
    std::string copy = "cp.async.bulk.tensor." + std::to_string(coords.size()) +
                       "d.shared::cluster.global.mbarrier::complete_tx::bytes "
                       "[$0], [$1, {" +
                       list + "}], [$2];";
    if (e.hasFewRegisters())
      copy = withWholeCoordinates(varying, copy);
    e.ptx(copy, constraints + ",~{memory}", operands, {});
  }

  /// Returns `copy`, done where no coordinate is the smallest number, which
  /// none is. ptxas 13.0 takes a bulk copy to read 16 bits of a coordinate: one
  /// that it has no uniform register for it moves and spills without the upper
  /// half. What compares a coordinate reads all of it.
  static std::string withWholeCoordinates(ArrayRef<unsigned> varying,
                                          StringRef copy) {
    std::string text = "{\n.reg .pred whole;\nsetp.eq.u32 whole, 0, 0;\n";
    for (unsigned i : varying)
      text += "setp.ne.and.s32 whole, $" + std::to_string(i + 3) +
              ", -2147483648, whole;\n";
    return text + "@whole " + copy.str() + "\n}";
  }
};
} // namespace

void tile::populateRingPatterns(LLVMTypeConverter &converter,
                                RewritePatternSet &patterns) {
  patterns.add<AllocPattern, AllocRingPattern, ClearStagesPattern,
               SubviewPattern, StagePattern<AcquireOp>, StagePattern<WaitOp>,
               CommitPattern, ReleasePattern, SendPattern, LoadPattern>(
      converter, patterns.getContext());
}
