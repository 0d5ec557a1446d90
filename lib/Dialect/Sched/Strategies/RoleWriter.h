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

/// Chunks that the channels hold: those that are loaded, those that are
/// computed, and in their place, where it is not empty, each one.
struct Depths {
  int64_t loaded = 2, computed = 2;
  ArrayRef<int64_t> each = {};
};

/// Who loads: a role of one warp with this budget, or warps of the map on the
/// side.
struct Loading {
  bool onTheSide = false;
  std::optional<int64_t> registers = std::nullopt;
};

/// Writes the channels and roles of a plan into an empty kernel, and one more
/// role, of one warp, that loads.
class RoleWriter {
public:
  RoleWriter(OpBuilder &builder, const RolePlan &plan, KernelOp kernel,
             Depths depths, Loading loading)
      : builder(builder), plan(plan), kernel(kernel), depths(depths),
        loading(loading), loc(kernel.getLoc()) {}

  void write();

private:
  void addChannels();
  void addRole(unsigned number);
  void addLoadRoles();
  /// Adds the role that fills these channels; within role `host`, unless 0.
  void addLoadRole(ArrayRef<unsigned> numbers, unsigned host);
  /// Returns the loaded init of each carry that role `number` computes.
  SmallVector<Value> loadInits(bool hasCarries);
  void cloneOp(Operation *op, unsigned role);
  /// Returns what `operand` is in the role that is being written; makes it
  /// there if it is free, gets it out of a channel if it crosses.
  Value mapOperand(Value operand, unsigned role);
  Value getTile(const FusedProgram::Source &source, unsigned role);
  /// Puts and stores what leaves the role once `op` is there.
  void addSinks(Operation *op, unsigned role);
  void storeOuts(Operation *op, unsigned role);
  /// Returns a tile that this role alone has got out of a channel of loads and
  /// through whose place a tile that is stored as `stored` can leave; null if
  /// there is none, or no need of one.
  Value findVia(Type stored);
  /// True if role `number` computes the carries.
  bool computesCarries(unsigned number) const;

  OpBuilder &builder;
  const RolePlan &plan;
  KernelOp kernel;
  Depths depths;
  Loading loading;
  Location loc;
  SmallVector<Value> channels;

  // Of the role that is being written:
  IRMapping mapping;
  llvm::DenseMap<unsigned, GetOp> gets;
};

} // namespace mlir::wyvern::sched

#endif // WYVERN_LIB_DIALECT_SCHED_STRATEGIES_ROLEWRITER_H
