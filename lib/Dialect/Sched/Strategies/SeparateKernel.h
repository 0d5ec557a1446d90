//===- SeparateKernel.h - One chunk program as a kernel ---------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_SCHED_STRATEGIES_SEPARATEKERNEL_H
#define WYVERN_DIALECT_SCHED_STRATEGIES_SEPARATEKERNEL_H

#include "Panels.h"

#include "wyvern/Dialect/Delta/Analysis/MapPhases.h"
#include "wyvern/Dialect/Delta/Analysis/MapRounds.h"
#include "wyvern/Dialect/Sched/IR/Sched.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SmallPtrSet.h"

namespace mlir::wyvern::sched {

/// Warpgroups of a block that share what its warp loads, in runs of chunks.
constexpr int64_t kSharingGroups = 2;

/// One program's kernel, as it is built.
class SeparateKernel {
public:
  SeparateKernel(OpBuilder &builder, delta::ChunkProgramOpInterface program,
                 KernelOp kernel, std::optional<Panels> found,
                 std::optional<delta::MapRounds> inRounds);

  /// Adds the channel of the ins, the role that computes and the one that
  /// loads; the former alone where it takes all ins itself.
  void addRoles(int64_t depth, int64_t groups);

private:
  void addChannels(int64_t depth);
  RoleOp addCompute();
  RoleOp addLoad();
  /// Gets the tiles of channel `number`, or loads those of ins.
  void get(unsigned number, IRMapping &mapping);
  void fetch(ArrayRef<unsigned> ins, IRMapping &mapping);
  /// Clones the chunk's operations; each out is stored where it is made, since
  /// its registers are then free for what follows.
  void cloneChunk(IRMapping &mapping);
  void cloneOps(IRMapping &mapping, function_ref<bool(Operation *)> takes,
                Operation *beside);
  /// Returns what the first phase makes of the gates that it sums alone.
  llvm::SmallPtrSet<Operation *, 8> findAhead();
  /// True for what bounds gates that both phases read, each for itself.
  bool isBoundOfSummed(Operation *op);
  void storeOutsOf(Operation *op, const IRMapping &mapping);

  OpBuilder &builder;
  delta::ChunkProgramOpInterface program;
  KernelOp kernel;
  Location loc;
  SmallVector<unsigned> ins;     ///< that come through the channel
  SmallVector<unsigned> fetched; ///< that the role that computes takes itself
  std::optional<Panels> panels;  ///< of a map that goes through its channels
  /// Of a map in two phases; the second one's ins have a channel of their own.
  std::optional<delta::MapPhases> phases;
  /// Of a map in rounds; the ins of each have a channel of their own.
  std::optional<delta::MapRounds> rounds;
  /// Channels, and the ins that come through each.
  SmallVector<std::pair<Value, SmallVector<unsigned>>, 2> channels;
};

} // namespace mlir::wyvern::sched

#endif // WYVERN_DIALECT_SCHED_STRATEGIES_SEPARATEKERNEL_H
