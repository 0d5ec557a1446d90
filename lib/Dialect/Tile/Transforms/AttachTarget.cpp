//===- AttachTarget.cpp - tile-attach-target ----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Tile/Transforms/Passes.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"

namespace mlir::wyvern::tile {
#define GEN_PASS_DEF_TILEATTACHTARGETPASS
#include "wyvern/Dialect/Tile/Transforms/Passes.h.inc"
} // namespace mlir::wyvern::tile

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

namespace {
struct AttachTarget : tile::impl::TileAttachTargetPassBase<AttachTarget> {
  using TileAttachTargetPassBase::TileAttachTargetPassBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    if (arch.empty() && module->hasAttr(kTargetAttr))
      return;
    StringRef name = arch.empty() ? getTargets().front().arch : StringRef(arch);
    auto target = TargetAttr::getChecked([&] { return module.emitError(); },
                                         &getContext(), name,
                                         DictionaryAttr::get(&getContext()));
    if (!target)
      return signalPassFailure();
    module->setAttr(kTargetAttr, target);
    ++numAttached;
  }
};
} // namespace
