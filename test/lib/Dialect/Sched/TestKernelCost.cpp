//===- TestKernelCost.cpp - Prints what kernels are estimated to take -----===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Sched/Analysis/KernelCost.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

using namespace mlir;
using namespace mlir::wyvern;

namespace {
/// Prints a line for each kernel and one for each of its roles.
struct TestPrintKernelCost
    : PassWrapper<TestPrintKernelCost, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(TestPrintKernelCost)

  StringRef getArgument() const final { return "test-print-kernel-cost"; }
  StringRef getDescription() const final {
    return "Prints what each kernel is estimated to take.";
  }

  void runOnOperation() override {
    getOperation().walk([](sched::KernelOp kernel) {
      sched::KernelCost cost = sched::estimateKernel(kernel);
      llvm::outs() << kernel.getKernelName() << ": cycles " << cost.stepCycles
                   << ", work " << cost.stepWork << ", bytes " << cost.stepBytes
                   << "\n";
      for (sched::RoleOp role : kernel.getRoles())
        print(role);
    });
  }

  static void print(sched::RoleOp role) {
    sched::RoleCost cost = sched::estimateRole(role);
    llvm::outs() << "  " << role.getRoleName() << ": lanes " << cost.laneCycles
                 << ", solves " << cost.solveCycles << ", products "
                 << cost.productCycles << ", tensor cores " << cost.tensorCycles
                 << "\n";
  }
};
} // namespace

namespace mlir::wyvern::test {
void registerTestPrintKernelCostPass() {
  PassRegistration<TestPrintKernelCost>();
}
} // namespace mlir::wyvern::test
