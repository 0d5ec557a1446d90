//===- PtxRepeatsTest.cpp - What PTX computes twice -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Target/PtxRepeats.h"

#include <gtest/gtest.h>

#include <string>

using namespace mlir::wyvern;

/// Two products of `before` and `behind` a wgmma that adds to %f1 and %f2.
static std::string around(const std::string &before,
                          const std::string &behind) {
  return before + R"(
	// begin inline asm
	{
.reg .b64 b;
wgmma.fence.sync.aligned;
add.s64 b, %rd1, 4;
wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%f1, %f2}, {%r1, %r2, %r3, %r4}, b, always, -1, 1, 0;
wgmma.commit_group.sync.aligned;
wgmma.wait_group.sync.aligned 0;
}
	// end inline asm
)" + behind;
}

TEST(PtxRepeatsTest, FindsWhatIsMadeOfASumBeforeAndBehind) {
  EXPECT_EQ(findRepeatOfSum(around("	mul.f32 	%f3, %f1, %f9;",
                                   "	mul.f32 	%f4, %f1, %f9;"))
                .str(),
            "mul.f32 	%f4, %f1, %f9");
  // A product's factors are in either order, and of what is stored too.
  EXPECT_FALSE(findRepeatOfSum(around("	mul.f32 	%f3, %f1, %f9;",
                                      "	mul.f32 	%f4, %f9, %f1;"))
                   .empty());
  EXPECT_FALSE(
      findRepeatOfSum(around("	cvt.rn.bf16x2.f32 	%r3, %f2, %f1;",
                             "	@%p1 cvt.rn.bf16x2.f32 	%r9, %f2, %f1;"))
          .empty());
}

TEST(PtxRepeatsTest, WhatDiffersIsNoRepeat) {
  auto isFree = [](const char *before, const char *behind) {
    return findRepeatOfSum(around(before, behind)).empty();
  };
  const char *product = "	mul.f32 	%f3, %f1, %f9;";
  // The sign, another register, a factor that has been written between.
  EXPECT_TRUE(
      isFree("	neg.f32 	%f8, %f9;\n	mul.f32 	%f3, %f1, %f8;",
             "	mul.f32 	%f4, %f1, %f9;"));
  EXPECT_TRUE(isFree(product, "	mul.f32 	%f4, %f5, %f9;"));
  EXPECT_TRUE(isFree(
      product,
      "	mov.f32 	%f9, %f7;\n	mul.f32 	%f4, %f1, %f9;"));
  // Nothing is added between.
  EXPECT_TRUE(isFree(
      "	mul.f32 	%f3, %f1, %f9;\n	mul.f32 	%f4, %f9, %f1;",
      ""));
  // Memory and other threads are read anew.
  EXPECT_TRUE(isFree("	shfl.sync.bfly.b32 	%f3, %f1, 1, 31, -1;",
                     "	shfl.sync.bfly.b32 	%f4, %f1, 1, 31, -1;"));
  EXPECT_TRUE(
      isFree("	st.shared.f32 	[%r7], %f1;", "	st.shared.f32 	[%r7], %f1;"));
}

TEST(PtxRepeatsTest, ASumThatIsWrittenAnewIsAnother) {
  EXPECT_TRUE(findRepeatOfSum(around("	mul.f32 	%f3, %f1, %f9;",
                                     "	mov.f32 	%f1, %f7;\n"
                                     "	mul.f32 	%f4, %f1, %f9;"))
                  .empty());
}
