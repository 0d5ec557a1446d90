//===- RolePlan.h - Operations of a program, divided into roles -*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_SCHED_STRATEGIES_ROLEPLAN_H
#define WYVERN_LIB_DIALECT_SCHED_STRATEGIES_ROLEPLAN_H

#include "FusedProgram.h"

#include "wyvern/Dialect/Sched/IR/Sched.h"

#include "llvm/ADT/SetVector.h"

namespace mlir::wyvern::sched {

/// A role to be: its warps, and the operations that it computes.
struct PlannedRole {
  std::string name;
  int64_t warps = 4, split = 1, copies = 1;
  std::optional<int64_t> registers = std::nullopt;
  bool overlap = false; ///< of its chunks
  bool divided = false; ///< over the blocks of a cluster
  bool inTurn = false;  ///< of these blocks, chunk by chunk
  /// How matrices leave it: through a place of their own, through a tile that
  /// it has read where there is one, or from registers.
  enum class Stores { staged, via, direct } stores = Stores::staged;
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
  int64_t depth = 1;
  /// The role that loaded tiles are put within, and how many chunks ahead of
  /// it; nothing where a role of its own loads them.
  std::optional<unsigned> host = std::nullopt;
  int64_t ahead = 0;
  bool isFirst = false; ///< of what that role loads, before all else
  bool across = false;  ///< the blocks of a cluster
  int64_t summands = 1; ///< of each tile: of each block one

  /// True if role `role` and no other reads it.
  bool isReadBy(unsigned role) const { return readers == ArrayRef(role); }
};

/// Which role computes what, and what they hand to each other.
class RolePlan {
public:
  /// With `apart` each matrix that several roles load has a channel of its own,
  /// so that its place is free as soon as it is read, and each vector that is
  /// computed, so that roles which read each other's need not wait for all.
  RolePlan(const FusedProgram &program, SmallVector<PlannedRole> roles,
           bool apart = false);

  const FusedProgram &getProgram() const { return program; }
  ArrayRef<PlannedRole> getRoles() const { return roles; }
  ArrayRef<PlannedChannel> getChannels() const { return channels; }
  /// The same, for who decides how deep they are and who loads.
  MutableArrayRef<PlannedChannel> getChannels() { return channels; }

  /// Says that each block of a cluster does a part of role `role`.
  void setDivided(unsigned role) { roles[role].divided = true; }

  /// Says that the `blocks` blocks of a cluster do the chunks of role `role` in
  /// turn, and send each other what it puts. Vectors that it gets from divided
  /// roles, of which each block has a summand, come across them, all at once.
  void setInTurn(unsigned role, int64_t blocks);

  /// Says that registers do for tiles that are put and summed: who waits for
  /// one does not wait for its sums.
  void setPutsAtOnce() { putsAtOnce = true; }

  /// Lets all vectors that are loaded come at once: each channel is waited for,
  /// and filled, by instructions of its own.
  void joinLoadedVectors();

  /// Lets what a role in turn needs for the first tile that it puts be loaded
  /// before all else: other blocks wait for that tile too.
  void loadForFirstPut();

  /// Says how matrices leave all roles.
  void setStores(PlannedRole::Stores stores) {
    for (PlannedRole &role : roles)
      role.stores = stores;
  }

  /// Returns what `operand` of an operation of `role` is: where it is a value
  /// that another role makes and this one rounds, that value, which crosses
  /// rounded.
  FusedProgram::Source getSource(Value operand, unsigned role) const;

  /// Returns the channel that brings `source` to `role`, and the number of the
  /// tile in it; nothing where the role has it itself.
  std::optional<std::pair<unsigned, unsigned>>
  findChannel(const FusedProgram::Source &source, unsigned role) const;

  /// Returns the role that computes `value`, the first of several; of a carry
  /// the one that computes what it becomes. Nothing for ins.
  std::optional<unsigned> getRoleOf(Value value) const;
  /// True if `role` has `value` itself.
  bool computes(unsigned role, Value value) const;

  /// Returns the operation of `role` behind which it puts `value`: the one that
  /// makes it, or, with `apart`, the last sum of rows or columns of what
  /// elementwise work makes of it, unless tiles are put at once: what is summed
  /// needs no other registers then.
  Operation *getPutPoint(Value value, unsigned role) const;

  /// True for an in that is one number a head: each role loads it itself.
  bool isNumber(const FusedProgram::Source &source) const;

  /// Orders the operations of `role` by when their operands come: those that
  /// wait for a later channel later, and among equals what a carry depends on
  /// first. So nothing waits for what it does not need. Elementwise work that
  /// is needed later is done just before.
  void orderByArrival(unsigned role, ValueRange carries);

private:
  void addUses();
  void addUse(const FusedProgram::Source &source, unsigned role);
  void groupUses();
  /// Adds the numbers of the channels that `source` comes to `role` through, as
  /// it is or in parts, to `numbers`.
  void findChannels(const FusedProgram::Source &source, unsigned role,
                    llvm::SmallSetVector<unsigned, 8> &numbers) const;
  /// True for the vectors that a divided role puts for `role` alone.
  bool areSummandsFor(const PlannedChannel &channel, unsigned role) const;
  /// Lets such channels be one, across `blocks` blocks.
  void joinSummands(unsigned role, int64_t blocks);
  /// Lets `role` make `values`, and what they are made of, before all else.
  void makeFirst(ArrayRef<Value> values, unsigned role);
  /// Returns the dimensions of a loaded tile.
  int64_t countDims(const FusedProgram::Source &source) const;

  const FusedProgram &program;
  SmallVector<PlannedRole> roles;
  bool apart, putsAtOnce = false;
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
