//===- TargetTest.cpp - What architectures have ---------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Tile/IR/Tile.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/StringSet.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace mlir::wyvern::tile;

namespace {

TEST(TileTargetTest, EachNumberIsSaidOnce) {
  llvm::StringSet<> names;
  for (const TargetNumber &number : getTargetNumbers()) {
    EXPECT_TRUE(names.insert(number.name).second) << number.name.str();
    for (const TargetInfo &target : getTargets())
      EXPECT_GT(target.*number.member, 0)
          << target.arch.str() << ": " << number.name.str();
  }
}

TEST(TileTargetTest, NamesFindTargets) {
  for (const TargetInfo &target : getTargets())
    EXPECT_EQ(findTarget(target.arch), &target);
  EXPECT_EQ(findTarget("sm_1"), nullptr);
}

TEST(TileTargetTest, NumbersOfTheModuleComeFirst) {
  MLIRContext context;
  context.loadDialect<TileDialect>();
  Builder builder(&context);
  OwningOpRef<ModuleOp> outer = ModuleOp::create(builder.getUnknownLoc());
  ModuleOp inner = ModuleOp::create(builder.getUnknownLoc());
  outer->push_back(inner);
  TargetInfo known = getTarget(inner);
  EXPECT_EQ(known.arch, getTargets().front().arch);
  NamedAttribute number =
      builder.getNamedAttr("shared_bytes", builder.getI64IntegerAttr(4096));
  (*outer)->setAttr(
      kTargetAttr,
      TargetAttr::get(&context, known.arch, builder.getDictionaryAttr(number)));
  EXPECT_EQ(getTarget(inner).sharedBytes, 4096);
  EXPECT_EQ(getTarget(inner).smRegisters, known.smRegisters);
}

TEST(TileTargetTest, BudgetsCanBeSet) {
  TargetInfo target = getTargets().front();
  EXPECT_EQ(getBudget(target, 216, 512), 216);
  target.smRegisters /= 2;
  EXPECT_EQ(getBudget(target, 216, 512), 104);
  EXPECT_EQ(getBudget(target, 1, 512), target.leastRegisters);
  EXPECT_EQ(getBudget(target, 512, 512), target.mostRegisters);
  EXPECT_EQ(getStartRegisters(target, 384, 1), 80);
  EXPECT_EQ(getStartRegisters(target, 128, 1), target.startRegisters);
}

} // namespace
