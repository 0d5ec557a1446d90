//===- RolesToNVVM.cpp - Roles, and barriers of their warps -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

namespace {
/// Role i runs in the warps after those of role i - 1: a chain of ifs on the
/// warp number, which is uniform in every warp. Where registers are few, each
/// stands in the branch that the one before does not take: what the next roles
/// read would be held throughout it otherwise, as ptxas does not see that its
/// warps are in none. Elsewhere that has made a forward spill 4 bytes.
struct RolesPattern : OpConversionPattern<RolesOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(RolesOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    int64_t launched = registersAtLaunch(op);
    Value warp = e.warpNumber();
    int64_t end = 0;
    bool areNested = e.hasFewRegisters();
    OpBuilder::InsertionGuard ofRoles(rewriter);
    for (auto [i, role] : llvm::enumerate(op.getRoles())) {
      int64_t first = end;
      end += op.getWarps()[i];
      int64_t budget = op.getRegisters() ? (*op.getRegisters())[i] : 0;
      // All warps of a warpgroup set their registers, also those that do
      // nothing.
      int64_t lastOfGroup = llvm::alignTo(end, 4);
      bool hasElse = areNested && i + 1 < op.getRoles().size();
      auto ofGroup =
          ifWarps(e, warp, first, budget ? lastOfGroup : end, hasElse);
      scf::IfOp ofRole = ofGroup;
      rewriter.setInsertionPointToStart(ofGroup.thenBlock());
      setRegisters(budget, launched, e);
      if (budget && lastOfGroup != end) {
        ofRole = ifWarps(e, warp, first, end, /*hasElse=*/false);
        rewriter.setInsertionPointToStart(ofRole.thenBlock());
      }
      rewriter.inlineBlockBefore(&role.front(),
                                 ofRole.thenBlock()->getTerminator());
      if (hasElse)
        rewriter.setInsertionPointToStart(ofGroup.elseBlock());
      else
        rewriter.setInsertionPointAfter(ofGroup);
    }
    rewriter.eraseOp(op);
    return success();
  }

private:
  /// An empty branch for the warps from `first` to before `end`.
  static scf::IfOp ifWarps(Emitter &e, Value warp, int64_t first, int64_t end,
                           bool hasElse) {
    Value inside = e.cmp(LLVM::ICmpPredicate::ult, e.sub(warp, e.c32(first)),
                         e.c32(end - first));
    return scf::IfOp::create(e.builder, e.loc, inside, hasElse);
  }

  /// Registers a thread has when the block starts. The kernel is an llvm.func
  /// by now.
  static int64_t registersAtLaunch(RolesOp op) {
    auto func = op->getParentOfType<LLVM::LLVMFuncOp>();
    auto threads = func->getAttrOfType<DenseI32ArrayAttr>(
        NVVM::NVVMDialect::getMaxntidAttrName());
    auto blocks = func->getAttrOfType<IntegerAttr>(
        NVVM::NVVMDialect::getMinctasmAttrName());
    return getStartRegisters(getTarget(op), threads[0], blocks.getInt());
  }

  /// PTX ISA 9.7.19.5: .inc must ask for at least what there is, .dec for at
  /// most.
  static void setRegisters(int64_t budget, int64_t launched, Emitter &e) {
    if (budget == 0)
      return;
    auto action = budget > launched ? NVVM::SetMaxRegisterAction::increase
                                    : NVVM::SetMaxRegisterAction::decrease;
    NVVM::SetMaxRegisterOp::create(e.builder, e.loc, budget, action);
  }
};

//===----------------------------------------------------------------------===//
// Barriers
//===----------------------------------------------------------------------===//

struct SyncPattern : OpConversionPattern<SyncOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(SyncOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    // PTX ISA 9.7.13.4: barrier initialisation becomes visible to the async
    // proxy.
    e.ptx("fence.mbarrier_init.release.cluster;", "", {}, {});
    if (op.getCluster())
      // PTX ISA 9.7.13.3. Roles end with their warps apart.
      e.ptx("barrier.cluster.arrive.release;\n"
            "barrier.cluster.wait.acquire;",
            "~{memory}", {}, {});
    else
      e.ptx("bar.sync 0;", "~{memory}", {}, {});
    rewriter.eraseOp(op);
    return success();
  }
};

struct AwaitKernelsPattern : OpConversionPattern<AwaitKernelsOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(AwaitKernelsOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    // LLVM's intrinsic (nvvm.griddepcontrol) touches no memory: loads of what
    // the other kernels write could be moved in front of it.
    Emitter(rewriter, op.getLoc())
        .ptx("griddepcontrol.wait;", "~{memory}", {}, {});
    rewriter.eraseOp(op);
    return success();
  }
};

struct ReleaseKernelsPattern : OpConversionPattern<ReleaseKernelsOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(ReleaseKernelsOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter(rewriter, op.getLoc())
        .ptx("griddepcontrol.launch_dependents;", "~{memory}", {}, {});
    rewriter.eraseOp(op);
    return success();
  }
};

struct WarpgroupIdPattern : OpConversionPattern<WarpgroupIdOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(WarpgroupIdOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    // All lanes know the number of the first: the compiler sees that it is the
    // same throughout a warp, and branches on it stay convergent.
    Value id = e.shuffle(e.udiv(e.threadId(), kWarpgroupThreads), e.c32(0));
    rewriter.replaceOpWithNewOp<arith::IndexCastUIOp>(
        op, rewriter.getIndexType(), id);
    return success();
  }
};

struct WarpIdPattern : OpConversionPattern<WarpIdOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(WarpIdOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    // Uniform for the compiler, and asked for again where it is wanted: what is
    // known from the start is in a register all the while.
    rewriter.replaceOp(op,
                       e.ext64(e.shuffle(e.udiv(e.threadId(), 32), e.c32(0))));
    return success();
  }
};

/// A branch on the warp number, which is uniform in every warp.
struct OneWarpPattern : OpConversionPattern<OneWarpOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(OneWarpOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    Value warp = e.urem(e.warpNumber(), kWarpgroupWarps);
    Value isThis = e.cmp(LLVM::ICmpPredicate::eq, warp, e.c32(op.getWarp()));
    auto ifOp =
        scf::IfOp::create(rewriter, op.getLoc(), isThis, /*withElse=*/false);
    rewriter.inlineBlockBefore(&op.getBody().front(),
                               ifOp.thenBlock()->getTerminator());
    rewriter.eraseOp(op);
    return success();
  }
};

struct BarrierPattern : OpConversionPattern<BarrierOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(BarrierOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    emitWarpgroupBarrier(e, op.getBarrierId(), op.getProxy());
    rewriter.eraseOp(op);
    return success();
  }
};
} // namespace

void tile::emitWarpgroupBarrier(Emitter &e, int64_t id, bool proxy) {
  // The fence is the writer's: it comes before the barrier (PTX ISA 9.7.13.4).
  if (proxy)
    emitProxyFence(e);
  if (id == 0) {
    Value own = e.add(e.udiv(e.threadId(), kWarpgroupThreads), 1);
    e.ptx("bar.sync $0, " + std::to_string(kWarpgroupThreads) + ";",
          "r,~{memory}", own, {});
    return;
  }
  e.ptx("bar.sync " + std::to_string(id) + ", " +
            std::to_string(kWarpgroupThreads) + ";",
        "~{memory}", {}, {});
}

void tile::emitProxyFence(Emitter &e) {
  e.ptx("fence.proxy.async.shared::cta;", "~{memory}", {}, {});
}

void tile::populateRolePatterns(LLVMTypeConverter &converter,
                                RewritePatternSet &patterns) {
  patterns.add<RolesPattern, WarpgroupIdPattern, WarpIdPattern, OneWarpPattern,
               SyncPattern, AwaitKernelsPattern, ReleaseKernelsPattern,
               BarrierPattern>(converter, patterns.getContext());
}
