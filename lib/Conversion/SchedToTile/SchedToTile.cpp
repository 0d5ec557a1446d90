//===- SchedToTile.cpp - convert-sched-to-tile ---------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Conversion/SchedToTile/SchedToTile.h"

#include "Cores/CoresLowering.h"
#include "Kernel/DividedRoles.h"
#include "Kernel/KernelContext.h"
#include "Kernel/RunningSums.h"
#include "Kernel/TokenSums.h"

#include "wyvern/Dialect/Delta/Utils/TrainingPair.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace mlir::wyvern {
#define GEN_PASS_DEF_CONVERTSCHEDTOTILEPASS
#include "wyvern/Conversion/SchedToTile/Passes.h.inc"
} // namespace mlir::wyvern

using namespace mlir;
using namespace mlir::wyvern;

/// Gives pools that `kernel` writes in place the names that they have.
static void namePools(sched::KernelOp kernel, TensorNames &names) {
  for (auto [init, arg, final] : llvm::zip_equal(
           kernel.getInits(), kernel.getInitArgs(), kernel.getFinals()))
    if (kernel.getBinding(arg).has(delta::DimKind::slot))
      names.names[final] = names.get(init).str();
}

/// Names arguments and returned values by their delta.name, what passes between
/// kernels by its number.
static TensorNames nameTensors(func::FuncOp func) {
  TensorNames names;
  for (BlockArgument arg : func.getArguments()) {
    names.names[arg] = delta::getArgName(func, arg.getArgNumber()).str();
    if (func.getArgAttr(arg.getArgNumber(), delta::kResidualAttr))
      names.residuals.insert(arg);
  }
  unsigned number = 0;
  func.walk([&](Operation *op) {
    if (!isa<sched::KernelOp, delta::RunningSumOp>(op))
      return;
    for (Value result : op->getResults())
      names.names[result] = "workspace_" + std::to_string(number++);
    if (auto kernel = dyn_cast<sched::KernelOp>(op))
      namePools(kernel, names);
  });
  for (auto [i, value] :
       llvm::enumerate(func.getBody().front().getTerminator()->getOperands())) {
    names.names[value] = delta::getResultName(func, i).str();
    names.results.insert(value);
    if (func.getResultAttr(i, delta::kResidualAttr))
      names.residuals.insert(value);
  }
  return names;
}

/// A kernel writes each result under its name: a value that is returned as it
/// came, or twice, would be read from or written to the wrong tensor.
static LogicalResult checkResults(func::FuncOp func) {
  llvm::SmallDenseSet<Value> seen;
  for (auto [i, value] :
       llvm::enumerate(func.getBody().front().getTerminator()->getOperands()))
    if (!isa_and_nonnull<sched::KernelOp, tile::LaunchOp>(
            value.getDefiningOp()) ||
        !seen.insert(value).second || !func.getResultAttr(i, delta::kNameAttr))
      return func.emitError()
             << "result #" << i
             << ": expected a result of a kernel that is returned once, "
                "with a delta.name; the GPU path copies no tensors";
  return success();
}

/// Diagnoses what stands beside the kernels of a function.
static LogicalResult checkBody(func::FuncOp func) {
  for (Operation &op : func.getBody().front().without_terminator()) {
    if (isa<sched::KernelOp, delta::SumTokensOp, delta::RunningSumOp>(op))
      continue;
    if (isa<delta::ChunkProgramOpInterface>(op))
      return op.emitError("expected a kernel, found a chunk program; run a "
                          "strategy first (sched-separate)");
    if (isa<delta::RecurrenceOp>(op))
      return op.emitError("expected a kernel, found a recurrence; run "
                          "delta-form-wy and a strategy first");
    return op.emitOpError()
           << "stands outside of the kernels; the GPU path runs kernels "
              "and nothing else so far (compute it before the call, or use "
              "target \"cpu\")";
  }
  return success();
}

/// Makes constants that stand in front of the loops part of the loops: the
/// lowering of a role makes what it needs where it needs it.
static void sinkConstants(sched::KernelOp kernel) {
  SmallVector<Operation *> constants;
  kernel.walk([&](Operation *op) {
    if (op->hasTrait<OpTrait::ConstantLike>() &&
        !isa<sched::EachChunkOp>(op->getParentOp()))
      constants.push_back(op);
  });
  OpBuilder builder(kernel);
  for (Operation *constant : constants) {
    llvm::MapVector<Operation *, Operation *> clones;
    for (OpOperand &use : llvm::make_early_inc_range(constant->getUses())) {
      auto loop = use.getOwner()->getParentOfType<sched::EachChunkOp>();
      if (!loop)
        continue;
      Operation *&clone = clones[loop];
      if (!clone) {
        builder.setInsertionPointToStart(&loop.getBlock());
        clone = builder.clone(*constant);
      }
      use.set(clone->getResult(0));
    }
    if (constant->use_empty())
      constant->erase();
  }
}

namespace {
struct ConvertSchedToTile
    : wyvern::impl::ConvertSchedToTilePassBase<ConvertSchedToTile> {
  using ConvertSchedToTilePassBase::ConvertSchedToTilePassBase;

  void runOnOperation() override {
    SmallVector<func::FuncOp> functions(getOperation().getOps<func::FuncOp>());
    for (func::FuncOp func : functions)
      if (failed(convert(func)))
        return signalPassFailure();
  }

private:
  /// Kernels are launched in the order of the function's operations.
  LogicalResult convert(func::FuncOp func) {
    if (failed(checkBody(func)))
      return failure();
    TensorNames names = nameTensors(func);
    OpBuilder builder(&getContext());
    builder.setInsertionPointToEnd(getOperation().getBody());
    SmallVector<sched::KernelOp> kernels(func.getOps<sched::KernelOp>());
    bool sumsFirst = !func.getOps<delta::RunningSumOp>().empty();
    bool inParts = func->hasAttr(delta::kPartsAttr);
    for (auto [i, kernel] : llvm::enumerate(kernels)) {
      bool isFirst = i == 0, isLast = i + 1 == kernels.size();
      KernelOrder order = {/*hasPrevious=*/!isFirst || sumsFirst,
                           /*isAlone=*/isFirst && isLast && !sumsFirst,
                           /*hasGuest=*/inParts && hasSegments(kernel) &&
                               kernel.getOver() == sched::GridOver::slots,
                           /*isOfParts=*/inParts};
      if (failed(lower(kernel, names, builder, order)))
        return failure();
    }
    if (failed(lowerSums(func, names, builder)) ||
        failed(lowerRunningSums(func, names, builder)) ||
        failed(checkResults(func)))
      return failure();
    for (sched::KernelOp kernel : kernels)
      replaceByLaunch(kernel);
    return success();
  }

  /// Sums over tokens are of what kernels of the function have made.
  LogicalResult lowerSums(func::FuncOp func, const TensorNames &names,
                          OpBuilder &builder) {
    unsigned number = 0;
    for (auto op :
         llvm::make_early_inc_range(func.getOps<delta::SumTokensOp>())) {
      std::string name = (func.getSymName() + "_sum").str();
      if (number > 0)
        name += std::to_string(number);
      ++number;
      if (failed(lowerTokenSums(builder, op, name, names)))
        return failure();
      auto maker = op.getTensors().front().getDefiningOp<sched::KernelOp>();
      wyvern::replaceByLaunch(op, name, maker.getChunk());
      ++numKernels;
    }
    return success();
  }

  LogicalResult lowerRunningSums(func::FuncOp func, const TensorNames &names,
                                 OpBuilder &builder) {
    unsigned number = 0;
    auto kernels = func.getOps<sched::KernelOp>();
    if (kernels.empty())
      return success();
    int64_t chunk = (*kernels.begin()).getChunk();
    for (auto op :
         llvm::make_early_inc_range(func.getOps<delta::RunningSumOp>())) {
      std::string name = (func.getSymName() + "_running").str();
      if (number > 0)
        name += std::to_string(number);
      ++number;
      if (failed(lowerRunningSum(builder, op, name, names, chunk)))
        return failure();
      wyvern::replaceByLaunch(op, name, chunk);
      ++numKernels;
    }
    return success();
  }

  LogicalResult lower(sched::KernelOp kernel, const TensorNames &names,
                      OpBuilder &builder, KernelOrder order) {
    if (isOnCores(kernel)) {
      ++numKernels;
      return lowerOnCores(builder, kernel, names);
    }
    sinkConstants(kernel);
    FailureOr<KernelOrientation> orientation =
        KernelOrientation::analyze(kernel);
    if (failed(orientation) || failed(divideTiles(kernel, *orientation)))
      return failure();
    KernelContext context{kernel, *orientation, names, order};
    if (failed(lowerKernel(builder, context)))
      return failure();
    ++numKernels;
    numProducts += context.numProducts;
    numStaged += context.numStaged;
    return success();
  }

  /// The function keeps what the kernel's tensors are.
  static void replaceByLaunch(sched::KernelOp kernel) {
    OpBuilder builder(kernel);
    SmallVector<Value> ins(kernel.getIns()), indices;
    SmallVector<Attribute> bindings(kernel.getInBindings().getValue());
    // One entry a chunk, as an in has: the others have one a sequence.
    if (Value keep = kernel.getKeepSlots()) {
      ins.push_back(keep);
      bindings.push_back(delta::BindingAttr::get(
          builder.getContext(), delta::BoundDim{delta::DimKind::chunk}));
    }
    for (Value vector : {kernel.getReadSlots(), kernel.getWriteSlots(),
                         kernel.getLengths(), kernel.getSeeds()})
      if (vector)
        indices.push_back(vector);
    auto launch = tile::LaunchOp::create(
        builder, kernel.getLoc(), kernel.getOuts().getTypes(),
        kernel.getFinals().getTypes(), ins, kernel.getInits(),
        kernel.getCuSeqlens(), indices, kernel.getKernelName(),
        kernel.getChunk(), builder.getArrayAttr(bindings),
        kernel.getInitBindings(), kernel.getOutBindings());
    kernel->replaceAllUsesWith(launch->getResults());
    kernel->erase();
  }
};
} // namespace
