//===- DeltaToTile.cpp - convert-delta-to-tile --------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Conversion/DeltaToTile/DeltaToTile.h"

#include "KernelBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace mlir::wyvern {
#define GEN_PASS_DEF_CONVERTDELTATOTILEPASS
#include "wyvern/Conversion/DeltaToTile/Passes.h.inc"
} // namespace mlir::wyvern

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

/// Arguments and returned values by their delta.name, what passes between chunk
/// programs by its number.
static TensorNames nameTensors(func::FuncOp func) {
  TensorNames names;
  auto nameAttr = [](DictionaryAttr attrs) -> std::string {
    auto name = attrs ? attrs.getAs<StringAttr>("delta.name") : StringAttr();
    return name ? name.str() : std::string();
  };
  for (BlockArgument arg : func.getArguments())
    names.names[arg] = nameAttr(func.getArgAttrDict(arg.getArgNumber()));
  unsigned number = 0;
  func.walk([&](Operation *op) {
    if (!isa<ChunkScanOp, ChunkMapOp>(op))
      return;
    for (Value result : op->getResults())
      names.names[result] = "workspace_" + std::to_string(number++);
  });
  for (auto [i, value] :
       llvm::enumerate(func.getBody().front().getTerminator()->getOperands())) {
    names.names[value] = nameAttr(func.getResultAttrDict(i));
    names.results.insert(value);
  }
  return names;
}

/// A kernel writes each result under its name: a value that is returned as it
/// came, or twice, would be read from or written to the wrong tensor.
static LogicalResult checkResults(func::FuncOp func) {
  llvm::SmallDenseSet<Value> seen;
  for (auto [i, value] :
       llvm::enumerate(func.getBody().front().getTerminator()->getOperands()))
    if (!isa_and_nonnull<ChunkScanOp, ChunkMapOp>(value.getDefiningOp()) ||
        !seen.insert(value).second || !func.getResultAttr(i, "delta.name"))
      return func.emitError()
             << "result #" << i
             << ": expected a result of a chunk program that is returned once, "
                "with a delta.name; the GPU path copies no tensors";
  return success();
}

namespace {
struct ConvertDeltaToTile
    : wyvern::impl::ConvertDeltaToTilePassBase<ConvertDeltaToTile> {
  using ConvertDeltaToTilePassBase::ConvertDeltaToTilePassBase;

  void runOnOperation() override {
    SmallVector<func::FuncOp> functions(getOperation().getOps<func::FuncOp>());
    for (func::FuncOp func : functions)
      if (failed(convert(func)))
        return signalPassFailure();
  }

private:
  /// A map that feeds a scan stands before it, one that reads a scan's outs
  /// after; kernels are launched in the order of the function's operations.
  LogicalResult convert(func::FuncOp func) {
    TensorNames names = nameTensors(func);
    OpBuilder builder(&getContext());
    builder.setInsertionPointToEnd(getOperation().getBody());
    unsigned scans = 0, maps = 0;
    for (Operation &op : func.getBody().front().without_terminator()) {
      LogicalResult result = success();
      if (auto scan = dyn_cast<ChunkScanOp>(op))
        result = build(scan, symbol(func, "scan", scans++), names, builder);
      else if (auto map = dyn_cast<ChunkMapOp>(op))
        result = build(map, symbol(func, "map", maps++), names, builder);
      else if (isa<RecurrenceOp>(op))
        result =
            op.emitError("expected a chunk program, found a recurrence; run "
                         "delta-form-wy first");
      else
        result =
            op.emitOpError()
            << "stands outside of the chunk programs; the GPU path takes "
               "functions of chunk programs only so far (compute it before "
               "the call, or use target \"cpu\")";
      if (failed(result))
        return failure();
    }
    return checkResults(func);
  }

  static std::string symbol(func::FuncOp func, StringRef kind,
                            unsigned number) {
    std::string name = (func.getSymName() + "_" + kind).str();
    return number ? name + std::to_string(number) : name;
  }

  template <typename OpT>
  LogicalResult build(OpT op, StringRef name, const TensorNames &names,
                      OpBuilder &builder) {
    FailureOr<TileOrientation> orientation = TileOrientation::analyze(op);
    if (failed(orientation))
      return failure();
    KernelBuilder kernel(builder, ChunkProgram(op), *orientation, names,
                         stages);
    if (failed(kernel.build(name)))
      return failure();
    ++numKernels;
    numProducts += kernel.getNumProducts();
    numStaged += kernel.getNumStaged();
    return success();
  }
};
} // namespace
