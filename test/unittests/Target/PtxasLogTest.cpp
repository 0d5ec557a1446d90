//===- PtxasLogTest.cpp - Reading what ptxas -v says ----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Target/PtxasLog.h"

#include <gtest/gtest.h>

using namespace mlir::wyvern;

// Logs of ptxas 13.0.88.

TEST(PtxasLogTest, ReadsResourcesOfEachKernel) {
  PtxasLog log = PtxasLog::parse(
      R"(ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'bar' for 'sm_90a'
ptxas info    : Function properties for bar
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 4 registers, used 0 barriers
ptxas info    : Compile time = 12.022 ms
ptxas info    : Compiling entry function 'foo' for 'sm_90a'
ptxas info    : Function properties for foo
    232 bytes stack frame, 228 bytes spill stores, 236 bytes spill loads
ptxas info    : Used 168 registers, used 3 barriers, 232 bytes cumulative stack size, 64 bytes smem
)");
  ASSERT_EQ(log.kernels.size(), 2u);
  EXPECT_TRUE(log.errors.empty());
  EXPECT_TRUE(log.advisories.empty());
  const KernelResources *bar = log.find("bar"), *foo = log.find("foo");
  ASSERT_TRUE(bar && foo);
  EXPECT_EQ(bar->registers, 4);
  EXPECT_EQ(bar->spillStores, 0);
  EXPECT_EQ(bar->staticShared, 0);
  EXPECT_EQ(foo->registers, 168);
  EXPECT_EQ(foo->barriers, 3);
  EXPECT_EQ(foo->stack, 232);
  EXPECT_EQ(foo->spillStores, 228);
  EXPECT_EQ(foo->spillLoads, 236);
  EXPECT_EQ(foo->staticShared, 64);
  EXPECT_EQ(log.find("baz"), nullptr);
}

TEST(PtxasLogTest, FindsAdvisories) {
  PtxasLog log = PtxasLog::parse(
      R"(ptxas info    : (C7517) warpgroup.wait is injected in around line 12 by compiler to allow use of registers defined by GMMA in function 'serial'
ptxas warning : (C7508) Potential Performance Loss: 'setmaxnreg' ignored
ptxas info    : (C7000) not one of them
ptxas info    : Compiling entry function 'serial' for 'sm_90a'
ptxas info    : Used 34 registers, used 0 barriers
)");
  ASSERT_EQ(log.advisories.size(), 2u);
  EXPECT_EQ(log.advisories[0].code, "C7517");
  EXPECT_EQ(log.advisories[0].text.rfind("warpgroup.wait is injected", 0), 0u);
  EXPECT_EQ(log.advisories[1].code, "C7508");
  EXPECT_EQ(log.find("serial")->registers, 34);
}

TEST(PtxasLogTest, FindsErrors) {
  PtxasLog log = PtxasLog::parse(
      R"(ptxas /tmp/b.ptx, line 1; fatal   : Missing .version directive at start of file '/tmp/b.ptx'
ptxas fatal   : Ptx assembly aborted due to errors
)");
  EXPECT_TRUE(log.kernels.empty());
  EXPECT_EQ(log.errors.size(), 2u);
}

TEST(PtxasLogTest, TruncatedLinesAreNotRead) {
  PtxasLog log = PtxasLog::parse("ptxas info    : (C75");
  EXPECT_TRUE(log.advisories.empty());
  EXPECT_TRUE(PtxasLog::parse("(C751)").advisories.empty());
  EXPECT_TRUE(PtxasLog::parse("").kernels.empty());
}
