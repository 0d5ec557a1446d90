//===- KernelLowering.cpp - From sched.kernel to tile.kernel ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "../Roles/RoleLowering.h"
#include "KernelContext.h"

using namespace mlir;
using namespace mlir::wyvern;

/// Creates the kernel's shell: its grid and warps, and an empty block.
static tile::KernelOp createShell(OpBuilder &builder, sched::KernelOp kernel) {
  bool isSlots = kernel.getOver() == sched::GridOver::slots;
  int64_t warps = 0;
  bool hasBudgets = false;
  for (sched::RoleOp role : kernel.getRoles()) {
    warps += role.getTotalWarps();
    hasBudgets |= role.getRegisters().has_value();
  }
  // Budgets are set by whole warpgroups: the last one is filled with warps that
  // do nothing.
  if (hasBudgets)
    warps = llvm::alignTo(warps, 4);
  bool isSegments = isSlots && hasSegments(kernel);
  auto shell = tile::KernelOp::create(
      builder, kernel.getLoc(), kernel.getKernelName(),
      kernel.getHeads() * kernel.getSplit(),
      isSegments ? "segments"
      : isSlots  ? "slots"
                 : "sequences",
      isSlots && !isSegments ? kernel.getRun() : 1, warps,
      kernel.getMinBlocks(), builder.getArrayAttr({}), IntegerAttr());
  shell.setCluster(kernel.getClusterBlocks());
  builder.createBlock(&shell.getBody());
  return shell;
}

/// Returns the roles that are not within others.
static SmallVector<sched::RoleOp> getRolesWithWarps(sched::KernelOp kernel) {
  return llvm::to_vector(llvm::make_filter_range(
      kernel.getRoles(), [](sched::RoleOp role) { return !role.getWithin(); }));
}

/// Creates the op that divides the block's warps among the roles.
static tile::RolesOp createRoles(OpBuilder &builder, sched::KernelOp kernel) {
  SmallVector<int64_t> warps, registers;
  bool hasBudgets = false;
  for (sched::RoleOp role : getRolesWithWarps(kernel)) {
    warps.push_back(role.getTotalWarps());
    registers.push_back(role.getRegisters().value_or(0));
    hasBudgets |= role.getRegisters().has_value();
  }
  return tile::RolesOp::create(
      builder, kernel.getLoc(), builder.getDenseI64ArrayAttr(warps),
      hasBudgets ? builder.getDenseI64ArrayAttr(registers)
                 : DenseI64ArrayAttr(),
      warps.size());
}

FailureOr<tile::KernelOp> wyvern::lowerKernel(OpBuilder &builder,
                                              KernelContext &context) {
  sched::KernelOp kernel = context.kernel;
  if (failed(checkGPUOperands(kernel, context.orientation, context.names)))
    return failure();
  OpBuilder::InsertionGuard guard(builder);
  tile::KernelOp shell = createShell(builder, kernel);
  shell.setOperandsAttr(
      builder.getArrayAttr(addKernelArguments(builder, context, shell)));
  addSharedMemory(builder, context);
  if (context.order.hasPrevious || kernel.getOverlaps())
    tile::AwaitKernelsOp::create(builder, kernel.getLoc());
  if (context.order.hasGuest || kernel.getOverlaps())
    tile::ReleaseKernelsOp::create(builder, kernel.getLoc());
  context.location.emplace(builder, kernel, context.launch);
  bool isCluster = kernel.getClusterBlocks() > 1;
  tile::SyncOp::create(builder, kernel.getLoc(), isCluster);
  context.roles = createRoles(builder, kernel);
  int64_t firstWarp = 0;
  for (auto [region, role] :
       llvm::zip_equal(context.roles.getRoles(), getRolesWithWarps(kernel))) {
    builder.createBlock(&region);
    if (failed(RoleLowering(builder, context, role, firstWarp).lower()))
      return failure();
    firstWarp += role.getTotalWarps();
  }
  builder.setInsertionPointAfter(context.roles);
  // No block ends while another may still write to it.
  if (isCluster)
    tile::SyncOp::create(builder, kernel.getLoc(), /*cluster=*/true);
  if (context.order.isAlone && !kernel.getOverlaps())
    tile::AwaitKernelsOp::create(builder, kernel.getLoc());
  return shell;
}
