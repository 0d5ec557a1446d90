//===- RoleLowering.h - What some warps of a block do -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_CONVERSION_SCHEDTOTILE_ROLES_ROLELOWERING_H
#define WYVERN_LIB_CONVERSION_SCHEDTOTILE_ROLES_ROLELOWERING_H

#include "../Kernel/KernelContext.h"
#include "../Ops/RegionLowering.h"
#include "wyvern/Dialect/Delta/Analysis/DecayedProducts.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

namespace mlir::wyvern {

/// Returns the products with a decay a channel of a role's chunk that go
/// through their channels; nothing without.
std::optional<delta::DecayedProducts> findDecayedProducts(Block &block);

/// Translates one role: its loop over the block's chunks, and in it what comes
/// out of channels, the chunk operations, and what goes to memory and channels.
class RoleLowering {
public:
  /// `firstWarp` is the number of the role's first warp in the block.
  RoleLowering(OpBuilder &builder, KernelContext &context, sched::RoleOp role,
               int64_t firstWarp);

  /// Lowers the role at the builder's place.
  LogicalResult lower();

private:
  /// The chunk that is being lowered, and the number of its use of every ring.
  struct Visit {
    Chunk chunk;
    Value use;
  };

  // RoleLowering.cpp
  LogicalResult lowerLoop(sched::EachChunkOp loop);
  /// Returns the chunk of the loop's use number `use`.
  Visit getVisit(sched::EachChunkOp loop, Value use);
  /// A loop over the block's chunks; `body` gets the visit and the running
  /// carries, and adds the next ones.
  FailureOr<SmallVector<Value>>
  visitChunks(sched::EachChunkOp loop, ValueRange carries,
              function_ref<LogicalResult(const Visit &, ValueRange,
                                         SmallVectorImpl<Value> &)>
                  body);
  /// The only chunk of a block, where its slot has one. No loop of one round:
  /// what could be moved out of it (addresses) would be held in registers all
  /// along.
  LogicalResult visitChunk(function_ref<LogicalResult(const Visit &)> body);
  LogicalResult lowerChunk(sched::EachChunkOp loop, const Visit &visit,
                           ValueRange carries, SmallVectorImpl<Value> &next);
  /// The same of a chunk that the block does, where blocks do some in turn.
  LogicalResult lowerOwnChunk(sched::EachChunkOp loop, const Visit &visit,
                              ValueRange carries, SmallVectorImpl<Value> &next);
  /// Lowers the chunk operations of `block`, and its stores and puts each as
  /// soon as its tiles are there.
  LogicalResult lowerOps(Block &block, RegionLowering &lowering,
                         const Visit &visit);
  LogicalResult lowerSink(Operation *sink, RegionLowering &lowering,
                          const Visit &visit);

  // Channels.cpp
  void lowerGet(sched::GetOp get, RegionLowering &lowering, const Visit &visit);
  /// Hands back what `get` took, when all of the chunk is lowered.
  void lowerRelease(sched::GetOp get, RegionLowering &lowering,
                    const Visit &visit);
  /// True if the role takes tiles out of channels where its program does: it
  /// has work that does not need them, or puts what others need before.
  bool takesInPlace();
  /// True if some tiles that the role gets are put when it gets them.
  bool getsLate();
  /// True if roles of the kernel sum columns of what is whole in them, as the
  /// gradients of gates do.
  bool sumsColumns();
  /// True in such a kernel whose roles each have registers for what sums need,
  /// and part of what they multiply: that of blocks of a cluster.
  bool hasPlenty();
  /// Zeroes the tails of tiles; waits for those that are not given.
  void zeroTails(const Visit &visit,
                 ArrayRef<std::pair<sched::GetOp, SmallVector<Value>>> gets);
  /// True if that is done in one place, in front of a chunk that takes many
  /// tiles in place: a branch for each would take more registers.
  bool zeroesAtOnce();
  /// Waits until the tiles of `get` are there, and returns this group's parts.
  SmallVector<Value> waitForTiles(sched::GetOp get, const Visit &visit);

  // DecayedProducts.cpp
  /// Makes the sums of `products`, and stores what they scale.
  void lowerDecayedProducts(const delta::DecayedProducts &products,
                            RegionLowering &lowering, const Visit &visit);

  // Guests.cpp
  /// What a role within this one puts into a channel.
  struct GuestPut {
    sched::PutOp put;
    int64_t warp; ///< that does it
    /// The use whose tiles it puts next, and whether there is such a chunk.
    Value use = {}, exists = {};
  };
  /// Finds the puts of the roles within this one, and puts what comes before
  /// its first chunk.
  void beginGuests(sched::EachChunkOp loop);
  /// Puts what they put as it begins the chunk of use `use`.
  void lowerGuests(sched::EachChunkOp loop, Value use);
  /// Returns the put of what `get` takes, if that is late; null otherwise.
  static sched::PutOp findLatePut(sched::GetOp get);
  /// Puts what the role is about to get.
  void lowerLatePut(sched::GetOp get, sched::PutOp put,
                    RegionLowering &lowering);
  /// Returns the put of what the role gets next behind `get`, if that is early;
  /// null otherwise.
  static sched::PutOp findEarlyPut(sched::GetOp get);
  /// Puts what the role gets behind what it is about to get.
  void lowerEarlyPut(sched::GetOp get, sched::PutOp put,
                     RegionLowering &lowering, const Visit &visit);
  /// What has been handed back before the chunk's end.
  llvm::SmallPtrSet<Operation *, 8> released;
  /// Puts into the place of what `get` took, which has been handed back.
  void lowerGuestsBehind(sched::GetOp get, sched::EachChunkOp loop);
  /// True if a put goes behind what the role does last with the tiles that it
  /// replaces; else it is done as the chunk ends.
  bool goesBehindRelease(sched::PutOp put);
  /// Puts what they put when the chunk is done with tiles of channels that this
  /// role does not read.
  void endGuests(sched::EachChunkOp loop);
  void locateGuestPut(GuestPut &guest, Value use);
  scf::IfOp lowerGuestPut(const GuestPut &guest, sched::EachChunkOp loop);
  SmallVector<GuestPut> guests;
  LogicalResult lowerPut(sched::PutOp put, RegionLowering &lowering,
                         const Visit &visit);
  /// Waits for the stage of `ring` to be free and returns its tiles.
  SmallVector<Value> acquire(Value ring, const Visit &visit);
  void fillByTMA(sched::PutOp put, const Visit &visit);
  /// Acquires the place of what the role puts next behind `sum`, if it does:
  /// until that is written, the sum may use it (tile-plan-smem).
  void acquireForSums(Operation *sum, const Visit &visit);
  /// Waits for the stage that the factor of `op` is put into, and lets it be
  /// made there: in registers it would take half of a role's.
  void acquireFor(delta::EraseFactorOp op, RegionLowering &lowering,
                  const Visit &visit);
  /// Returns where in the stage it is.
  Value writeIntoStage(Value value, ArrayRef<Value> tiles, Value shared,
                       bool isWhole, RegionLowering &lowering);
  LogicalResult fillByWarps(sched::PutOp put, RegionLowering &lowering,
                            const Visit &visit);

  // Carries.cpp
  LogicalResult loadCarry(sched::LoadOp load);
  LogicalResult storeCarry(sched::StoreOp store);
  /// Returns this group's part of a matrix in memory, and stores one: a state
  /// of the block's sequence or run, or in a slot of a pool. `tile` is the
  /// carry, or what it ends in.
  Value loadMatrix(BlockArgument source, Value tile, Value slot = {});
  void storeMatrix(BlockArgument target, Value tile, Value value,
                   Value slot = {});
  void storeOtherRows(delta::BindingAttr binding, Value tile,
                      SmallVector<Value> at,
                      function_ref<void(Value, ValueRange)> store);
  Value loadSlot(Value slots, Value at);
  Value isSlot(Value slot);
  /// Where a state is in a tensor of them, and whether it is there at all.
  struct Place {
    Value row, isThere;
  };
  Place locateState(Value slots, int64_t firstPart, int64_t lastPart);
  Value loadFromPool(BlockArgument source, Value tile);
  /// Stores a state if it has a place.
  scf::IfOp storeIntoPool(BlockArgument target, Value tile, Value value,
                          Place place);
  Value loadKeepSlot(const Visit &visit);
  /// Stores what the carries of a chunk have become where the kernel keeps
  /// them, if it has a slot for them.
  void keepCarries(sched::EachChunkOp loop, ValueRange next,
                   const Visit &visit);
  /// Returns the register tile that `carry` starts from: what was loaded, or a
  /// constant or identity made here. Null, with a diagnostic, for others.
  Value startCarry(Value init, Value carry);

  // Memory.cpp
  /// Returns the rows of an in that the role takes from memory itself.
  Value fetchIn(sched::LoadOp load, RankedTensorType type, const Visit &visit);
  LogicalResult storeOut(sched::StoreOp store, RegionLowering &lowering,
                         const Visit &visit);
  Value isOutChunk(delta::BindingAttr binding, Value number);
  void storeState(sched::StoreOp store, Value tile, const Visit &visit);
  void sinkIntoRareStores();
  /// `staging` is this group's place in shared memory that they leave through,
  /// null if they leave from registers.
  bool copyFactor(sched::StoreOp store, RegionLowering &lowering,
                  const Visit &visit);
  void storeMatrix(sched::StoreOp store, ArrayRef<Value> tiles, Value staging,
                   const Visit &visit);
  /// Zeroes what no sequence owns of the outs that this role stores.
  void zeroUnownedRows();
  void zeroUnownedRows(sched::StoreOp store, Value end);

  /// Coordinates of an operand's slice for `chunk`.
  SmallVector<Value> getCoordinates(BlockArgument arg, const Chunk &chunk,
                                    std::optional<int64_t> splitDim);
  Value index(int64_t value);
  Value rows(Value tokens, delta::BindingAttr binding);
  /// Returns the rows of an operand that are the chunk's: as far as its tokens
  /// are the sequence's, or all of what has a slot a chunk.
  Value validRows(BlockArgument arg, const Chunk &chunk);
  RankedTensorType getTensor(BlockArgument arg) const {
    return cast<sched::GlobalType>(arg.getType()).getTensor();
  }

  /// Finds out which of the role's groups of warps is running.
  void locateGroup();
  /// The block's part of the split dimension is its number in the cluster for
  /// what is behind the loop too: what is known to be the same, ptxas would
  /// hold in the loop, in a register that there is none of.
  void locateSplitAgain();
  /// Returns this group's part of a shared tile whose dimension `splitDim` is
  /// the split one; `isWhole`, if the tile has all of it, else the block's.
  Value getPart(Value tile, std::optional<int64_t> splitDim,
                bool isWhole = false);

  // Clusters.cpp
  /// Returns this block's part of what a divided role takes out of `channel`.
  Value getDividedPart(sched::GetOp get, unsigned number, Value shared);
  /// Returns the first element of this block's part of a dimension of `size`
  /// elements of a part.
  Value getDividedStart(int64_t size);
  /// Returns whether it is this block's turn to do the chunk of `visit`.
  Value isTurn(const Visit &visit);
  /// Hands back what the role gets in the chunk of `visit`, which another block
  /// does, and awaits what that sends, in the order in which that does it: who
  /// reads what comes first does not wait for what comes last.
  void passTurn(sched::EachChunkOp loop, const Visit &visit);
  /// Meets the other warps of the group, and lets one of them `send` what they
  /// have written to each other block.
  void forOtherBlocks(function_ref<void(Value block)> send);
  /// Sends this group's parts of the tiles of a stage, `parts`, to the other
  /// blocks. Returns the bytes that these send here.
  int64_t sendParts(sched::PutOp put, ValueRange parts, const Visit &visit);
  /// Returns the summand of block `block` of those of all, which lie in `all`.
  Value getSummand(Value all, Value block);
  /// Returns the sum of these, a vector of `type`, in the order of the blocks.
  Value addSummands(RankedTensorType type, Value all);
  /// Returns the sum of the blocks' summands of what `store` stores, of which
  /// `summand` is this block's: the same bits in all of them.
  Value sumOverBlocks(sched::StoreOp store, Value summand, const Visit &visit);
  /// Returns this block's half of the columns of the sum of what both blocks of
  /// a pair of heads store with `store`, `tile` in this one.
  Value sumOverPair(sched::StoreOp store, Value tile, const Visit &visit);
  /// Returns which block of its cluster this one is: which head of a pair it
  /// has, or which part of the split dimension.
  Value getPlaceInCluster();
  /// Goes on in a branch of the first block of a cluster, if `store` is of what
  /// every block makes.
  void enterFirstBlock(sched::StoreOp store);

  OpBuilder &builder;
  KernelContext &context;
  sched::RoleOp role;
  int64_t firstWarp;
  /// The hardware barrier of the running warpgroup; see tile.barrier.
  int64_t barrier;
  Location loc;
  /// The number of the running group of warps, among those that share the split
  /// dimension and among the copies; null where there is one.
  Value group, part, copy;
  /// The tiles of stages that were waited for before their put.
  DenseMap<Operation *, SmallVector<Value>> begun;
  /// Its register tiles of carries before and after the loop.
  DenseMap<Value, Value> carried;
  /// Stores, in the chunk that is being lowered, of what every few chunks have.
  SmallVector<scf::IfOp> rareStores;
  /// The first element of its part of the split dimension.
  Value splitStart;
};

} // namespace mlir::wyvern

#endif // WYVERN_LIB_CONVERSION_SCHEDTOTILE_ROLES_ROLELOWERING_H
