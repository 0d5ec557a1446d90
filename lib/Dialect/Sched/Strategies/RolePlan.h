//===- RolePlan.h - Operations of a program, divided into roles -*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_SCHED_STRATEGIES_ROLEPLAN_H
#define WYVERN_LIB_DIALECT_SCHED_STRATEGIES_ROLEPLAN_H

#include "FusedProgram.h"

#include "wyvern/Dialect/Sched/IR/Sched.h"

namespace mlir::wyvern::sched {

/// A role to be: its warps, and the operations that it computes.
struct PlannedRole {
  std::string name;
  int64_t warps = 4, split = 1, copies = 1;
  std::optional<int64_t> registers = std::nullopt;
  bool overlap = false; ///< of its chunks
  SmallVector<Operation *> ops = {};
};

/// A channel to be: the values of one role that the same roles read.
struct PlannedChannel {
  /// The role that computes the tiles; nothing where they are loaded.
  std::optional<unsigned> filler;
  bool isVector = false; ///< of computed tiles
  SmallVector<unsigned> readers = {};
  SmallVector<unsigned> ins = {}; ///< loaded tiles, by number
  SmallVector<Value> values = {}; ///< computed tiles
  SmallVector<Type> types = {};   ///< that the channel holds
};

/// Which role computes what, and what they hand to each other.
class RolePlan {
public:
  RolePlan(const FusedProgram &program, SmallVector<PlannedRole> roles);

  const FusedProgram &getProgram() const { return program; }
  ArrayRef<PlannedRole> getRoles() const { return roles; }
  ArrayRef<PlannedChannel> getChannels() const { return channels; }

  /// Returns the channel that brings `source` to `role`, and the number of the
  /// tile in it; nothing where the role has it itself.
  std::optional<std::pair<unsigned, unsigned>>
  findChannel(const FusedProgram::Source &source, unsigned role) const;

  /// Returns the role that computes `value`; nothing for ins and carries.
  std::optional<unsigned> getRoleOf(Value value) const;

  /// Orders the operations of `role` by when their operands come: those that
  /// wait for a later channel later, and among equals what a carry depends on
  /// first. So nothing waits for what it does not need. Elementwise work that
  /// is needed later is done just before.
  void orderByArrival(unsigned role, ValueRange carries);

private:
  void addUses();
  void addUse(const FusedProgram::Source &source, unsigned role);
  void groupUses();

  const FusedProgram &program;
  SmallVector<PlannedRole> roles;
  SmallVector<PlannedChannel, 0> channels;
  llvm::DenseMap<Operation *, unsigned> roleOfOp;

  /// What crosses, and who reads it.
  struct Crossing {
    FusedProgram::Source source;
    SmallVector<unsigned> readers;
  };
  SmallVector<Crossing> crossings;
};

} // namespace mlir::wyvern::sched

#endif // WYVERN_LIB_DIALECT_SCHED_STRATEGIES_ROLEPLAN_H
