//===- KernelVerifier.cpp - Constraints of whole kernels
//--------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The numbers (K..) are those of docs/sched.md.
//
//===----------------------------------------------------------------------===//

#include "Protocol.h"

#include "wyvern/Dialect/Sched/IR/Sched.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::sched;

/// Checks that the region's arguments are the operands and results in memory.
static LogicalResult verifyArguments(KernelOp kernel) {
  SmallVector<Type> expected;
  auto add = [&](TypeRange types) {
    for (Type type : types)
      expected.push_back(
          GlobalType::get(kernel.getContext(), cast<RankedTensorType>(type)));
  };
  add(kernel.getIns().getTypes());
  add(kernel.getOuts().getTypes());
  add(kernel.getInits().getTypes());
  add(kernel.getFinals().getTypes());
  if (!llvm::equal(expected, kernel.getBlock().getArgumentTypes()))
    return kernel.emitOpError() << "(K1) expected the region's arguments to be "
                                   "its ins, outs, inits and finals";
  if (kernel.getInits().getTypes() != kernel.getFinals().getTypes())
    return kernel.emitOpError()
           << "(K2) expected one final of the same type for each init";
  return success();
}

LogicalResult KernelOp::verify() {
  if (getInBindings().size() != getIns().size() ||
      getOutBindings().size() != getOuts().size() ||
      getInitBindings().size() != getInits().size())
    return emitOpError() << "(K3) expected one binding for each in, init and "
                            "out";
  if (getHeads() < 1 || getSplit() < 1 || getRun() < 1 || getChunk() < 1 ||
      getMinBlocks() < 1)
    return emitOpError() << "(K4) expected heads, split, run, chunk and "
                            "min_blocks of at least 1";
  if (!isa<Float32Type, Float64Type>(getCompute()))
    return emitOpError() << "(K5) expected compute type f32 or f64, found "
                         << getCompute();
  return verifyArguments(*this);
}

LogicalResult KernelOp::verifyRegions() {
  bool sawRole = false;
  for (Operation &op : getBlock()) {
    if (op.hasTrait<OpTrait::ConstantLike>())
      continue;
    if (!isa<ChannelOp, RoleOp>(op))
      return op.emitOpError()
             << "(K6) is not allowed in sched.kernel; it holds constants, "
                "sched.channel and sched.role";
    if (isa<ChannelOp>(op) && sawRole)
      return op.emitOpError() << "(K7) expected channels before roles";
    sawRole |= isa<RoleOp>(op);
  }
  return verifyProtocol(*this);
}
