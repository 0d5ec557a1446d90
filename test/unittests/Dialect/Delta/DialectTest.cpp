//===- DialectTest.cpp - The C++ interface of the delta dialect
//------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/IR/Delta.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace mlir::wyvern::delta;

namespace {

class DeltaDialectTest : public ::testing::Test {
protected:
  DeltaDialectTest() { context.loadDialect<DeltaDialect, func::FuncDialect>(); }

  MLIRContext context;
};

const char *const scanText = R"mlir(
func.func @scan(%k: tensor<?x?x1x64xbf16>, %s0: tensor<?x1x64x32xf32>)
    -> (tensor<?x?x1x64xbf16>, tensor<?x1x64x32xf32>) {
  %o, %sT = delta.chunk_scan forward chunk = 32 heads = 1 compute = f32
      ins(%K = %k[seq, time * 2, head, _] : tensor<?x?x1x64xbf16>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x1x64x32xf32>)
      outs([seq, time * 2, head, _] : tensor<?x?x1x64xbf16>) valid(%n) {
    delta.yield outs(%K : tensor<64x64xf32>) carry(%S : tensor<64x32xf32>)
  }
  return %o, %sT : tensor<?x?x1x64xbf16>, tensor<?x1x64x32xf32>
}
)mlir";

TEST_F(DeltaDialectTest, ScanNamesItsBlockArguments) {
  OwningOpRef<ModuleOp> module =
      parseSourceString<ModuleOp>(scanText, &context);
  ASSERT_TRUE(module);
  ChunkScanOp scan;
  module->walk([&](ChunkScanOp op) { scan = op; });
  ASSERT_TRUE(scan);

  EXPECT_TRUE(scan.getValid().getType().isIndex());
  // In argument: two rows a token, in the compute type.
  EXPECT_EQ(scan.getInArg(0).getType(),
            RankedTensorType::get({64, 64}, Float32Type::get(&context)));
  EXPECT_EQ(scan.getCarryArg(0).getType(),
            RankedTensorType::get({64, 32}, Float32Type::get(&context)));
  EXPECT_EQ(scan.getYield().getCarries()[0], scan.getCarryArg(0));
}

TEST_F(DeltaDialectTest, BindingsTellTheRowsOfAToken) {
  OwningOpRef<ModuleOp> module =
      parseSourceString<ModuleOp>(scanText, &context);
  ASSERT_TRUE(module);
  module->walk([&](ChunkScanOp scan) {
    ArrayRef<BoundDim> dims = scan.getInBinding(0).getDims();
    ASSERT_EQ(dims.size(), 4u);
    EXPECT_EQ(dims[0], (BoundDim{DimKind::seq, 1}));
    EXPECT_EQ(dims[1], (BoundDim{DimKind::time, 2}));
    EXPECT_EQ(dims[2], (BoundDim{DimKind::head, 1}));
    EXPECT_EQ(dims[3], (BoundDim{DimKind::whole, 1}));
  });
}

} // namespace
