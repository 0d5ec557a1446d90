//===- FusedForward.cpp - sched-fuse-forward
//--------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RoleWriter.h"

#include "wyvern/Dialect/Delta/Utils/Training.h"
#include "wyvern/Dialect/Sched/Strategies/Passes.h"

#include "mlir/IR/Remarks.h"

namespace mlir::wyvern::sched {
#define GEN_PASS_DEF_FUSEFORWARDPASS
#include "wyvern/Dialect/Sched/Strategies/Passes.h.inc"
} // namespace mlir::wyvern::sched

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::sched;

/// A warpgroup: what issues products.
static constexpr int64_t kWarpgroup = 4;

//===----------------------------------------------------------------------===//
// Who computes what
//===----------------------------------------------------------------------===//

/// Returns the operations of the map that make triangular factors, or need one.
static llvm::SmallPtrSet<Operation *, 8> findFactorOps(delta::ChunkMapOp map) {
  llvm::SmallPtrSet<Operation *, 8> found;
  for (Operation &op : map.getBlock().without_terminator()) {
    bool needsOne = llvm::any_of(op.getOperands(), [&](Value operand) {
      return found.contains(operand.getDefiningOp());
    });
    if (needsOne || isa<delta::EraseFactorOp>(op))
      found.insert(&op);
  }
  return found;
}

/// Returns the roles of `program`: the state's chain, the products of the chunk
/// with itself, and, if it solves a system, its factor. Each is a warpgroup a
/// chunk or two ahead of the next.
static SmallVector<PlannedRole> divide(const FusedProgram &program) {
  PlannedRole state{"state", kWarpgroup}, dots{"dots", kWarpgroup},
      factor{"factor", kWarpgroup};
  llvm::SmallPtrSet<Operation *, 8> factorOps = findFactorOps(program.getMap());
  for (Operation &op : program.getMap().getBlock().without_terminator())
    if (!program.isFree(&op))
      (factorOps.contains(&op) ? factor : dots).ops.push_back(&op);
  for (Operation &op : program.getScan().getBlock().without_terminator())
    if (!program.isFree(&op))
      state.ops.push_back(&op);
  SmallVector<PlannedRole> roles = {state, dots};
  if (!factor.ops.empty())
    roles.push_back(factor);
  return roles;
}

/// Returns what the fused kernel reads and writes.
static KernelTensors getFusedTensors(const FusedProgram &program) {
  delta::ChunkScanOp scan = program.getScan();
  delta::ChunkMapOp map = program.getMap();
  KernelTensors tensors =
      getTensors(cast<delta::ChunkProgramOpInterface>(scan.getOperation()));
  tensors.ins.clear();
  tensors.inBindings.clear();
  for (const FusedProgram::In &in : program.getIns()) {
    tensors.ins.push_back(in.tensor);
    tensors.inBindings.push_back(in.binding);
  }
  for (unsigned kept : program.getKeptOuts()) {
    tensors.outs.push_back(map.getOuts()[kept]);
    tensors.outBindings.push_back(map.getOutBinding(kept));
  }
  return tensors;
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

/// True for a function that takes what a forward has saved.
static bool isBackward(func::FuncOp func) {
  for (unsigned i = 0; i < func.getNumArguments(); ++i)
    if (func.getArgAttr(i, delta::kResidualAttr))
      return true;
  return false;
}

namespace {
struct FuseForward : sched::impl::FuseForwardPassBase<FuseForward> {
  using FuseForwardPassBase::FuseForwardPassBase;

  void runOnOperation() override {
    SmallVector<delta::ChunkScanOp> scans(
        getOperation().getOps<delta::ChunkScanOp>());
    unsigned number = 0;
    for (delta::ChunkScanOp scan : scans) {
      std::string why;
      std::optional<FusedProgram> program;
      if (isBackward(getOperation()))
        why = "it is of a backward, for which these roles are not made";
      else
        program = FusedProgram::match(scan, why);
      if (!program) {
        remark::missed(
            scan.getLoc(),
            remark::RemarkOpts::name("NotFused").category(getArgument()))
            << ("the scan keeps a kernel of its own: " + why);
        continue;
      }
      std::string name = (getOperation().getSymName() + "_fused").str();
      if (number++)
        name += std::to_string(number - 1);
      if (failed(fuse(*program, name)))
        return signalPassFailure();
    }
  }

private:
  LogicalResult fuse(const FusedProgram &program, StringRef name) {
    delta::ChunkScanOp scan = program.getScan();
    FailureOr<int64_t> parts = countSplitParts(scan);
    if (failed(parts))
      return failure();
    SmallVector<PlannedRole> roles = divide(program);
    PlannedRole &state = roles.front();
    state.split = *parts % splitWarps == 0 ? splitWarps : 1;
    Grid grid;
    grid.split = *parts / state.split;
    for (PlannedRole &role : roles)
      if (role.name == "factor")
        role.copies = copies;
    std::optional<int64_t> loadRegisters = assignRegisters(roles);
    RolePlan plan(program, roles);
    plan.orderByArrival(0, scan.getYield().getCarries());

    OpBuilder builder(scan);
    KernelTensors tensors = getFusedTensors(program);
    KernelOp kernel = createKernel(
        builder, cast<delta::ChunkProgramOpInterface>(scan.getOperation()),
        tensors, name, grid);
    RoleWriter(builder, plan, kernel, {stages, depth, depths}, loadRegisters)
        .write();
    replace(program, tensors, kernel);
    ++numFused;
    return success();
  }

  /// Sets the budgets of `roles` and returns that of the role that loads: what
  /// the options say, else one that ptxas needs no spill with where each role
  /// is one warpgroup. Four warpgroups share 512 registers.
  std::optional<int64_t> assignRegisters(MutableArrayRef<PlannedRole> roles) {
    SmallVector<int64_t> budgets(registers.begin(), registers.end());
    bool isOneEach = llvm::all_of(roles, [](const PlannedRole &role) {
      return role.split * role.copies == 1;
    });
    if (budgets.empty() && isOneEach) {
      constexpr int64_t kOfRoles[] = {216, 136, 112}, kOfLoad = 40;
      budgets.assign(kOfRoles, kOfRoles + roles.size());
      budgets.push_back(kOfLoad);
    }
    for (auto [role, budget] : llvm::zip(roles, budgets))
      role.registers = budget;
    return budgets.size() > roles.size() ? std::optional(budgets[roles.size()])
                                         : std::nullopt;
  }

  static void replace(const FusedProgram &program, const KernelTensors &tensors,
                      KernelOp kernel) {
    SmallVector<Value> values(tensors.outs);
    llvm::append_range(values, tensors.finals);
    for (auto [value, result] : llvm::zip_equal(values, kernel->getResults()))
      value.replaceAllUsesWith(result);
    program.getScan()->erase();
    program.getMap()->erase();
  }
};
} // namespace
