//===- RoleWriter.h - A plan of roles, written as a kernel ------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_SCHED_STRATEGIES_ROLEWRITER_H
#define WYVERN_LIB_DIALECT_SCHED_STRATEGIES_ROLEWRITER_H

#include "KernelFrame.h"
#include "RolePlan.h"

#include "mlir/IR/IRMapping.h"

namespace mlir::wyvern::sched {

/// Returns what the fused kernel of `program` reads and writes.
KernelTensors getFusedTensors(const FusedProgram &program);
/// Replaces both programs by their kernel.
void replaceFused(const FusedProgram &program, const KernelTensors &tensors,
                  KernelOp kernel);

/// Writes the channels and roles of a plan into an empty kernel, and one more
/// role of one warp for each that loads within another, and for what has a role
/// of its own.
class RoleWriter {
public:
  /// `loadRegisters` is the budget of the role that loads and is within none.
  RoleWriter(OpBuilder &builder, const RolePlan &plan, KernelOp kernel,
             std::optional<int64_t> loadRegisters)
      : builder(builder), plan(plan), kernel(kernel),
        loadRegisters(loadRegisters), loc(kernel.getLoc()) {}

  void write();

private:
  void addChannels();
  void addRole(unsigned number);
  void addLoadRoles();
  /// Adds the role that fills these channels; within role `host`, if any.
  void addLoadRole(ArrayRef<unsigned> numbers, std::optional<unsigned> host);
  /// True if `op` reads a product of role `number`.
  bool readsProduct(Operation *op, unsigned number) const;
  void cloneOp(Operation *op, unsigned role);
  /// Returns what `operand` is in the role that is being written; makes it
  /// there if it is free, gets it out of a channel if it crosses.
  Value mapOperand(Value operand, unsigned role);
  Value getTile(const FusedProgram::Source &source, unsigned role);
  /// Puts what others wait for once `op` is there; null for what was before.
  void putTiles(Operation *op, unsigned role);
  /// Stores what leaves the kernel then.
  void storeOuts(Operation *op, unsigned role);
  /// Returns a tile that this role alone has got out of a channel of loads and
  /// through whose place a tile that is stored as `stored` can leave; null if
  /// there is none.
  Value findVia(Type stored);
  /// True if role `number` computes the carries.
  bool computesCarries(unsigned number) const;

  OpBuilder &builder;
  const RolePlan &plan;
  KernelOp kernel;
  std::optional<int64_t> loadRegisters;
  Location loc;
  SmallVector<Value> channels;

  // Of the role that is being written:
  IRMapping mapping;
  llvm::DenseMap<unsigned, GetOp> gets;
};

} // namespace mlir::wyvern::sched

#endif // WYVERN_LIB_DIALECT_SCHED_STRATEGIES_ROLEWRITER_H
