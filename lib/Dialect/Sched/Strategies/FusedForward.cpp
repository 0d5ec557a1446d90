//===- FusedForward.cpp - sched-fuse-forward ------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BlocksInTurn.h"
#include "OwnMap.h"
#include "RoleWriter.h"

#include "wyvern/Dialect/Delta/Utils/Training.h"
#include "wyvern/Dialect/Sched/Strategies/Passes.h"
#include "wyvern/Dialect/Tile/IR/Tile.h"

#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/IR/PatternMatch.h"

namespace mlir::wyvern::sched {
#define GEN_PASS_DEF_FUSEFORWARDPASS
#include "wyvern/Dialect/Sched/Strategies/Passes.h.inc"
} // namespace mlir::wyvern::sched

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::sched;

//===----------------------------------------------------------------------===//
// Who computes what
//===----------------------------------------------------------------------===//

/// Returns the operations of `map` that `isRoot` holds for, and what needs one.
static llvm::SmallPtrSet<Operation *, 16>
findDependents(delta::ChunkMapOp map,
               llvm::function_ref<bool(Operation *)> isRoot) {
  llvm::SmallPtrSet<Operation *, 16> found;
  for (Operation &op : map.getBlock().without_terminator()) {
    bool needsOne = llvm::any_of(op.getOperands(), [&](Value operand) {
      return found.contains(operand.getDefiningOp());
    });
    if (needsOne || isRoot(&op))
      found.insert(&op);
  }
  return found;
}

/// Returns the operations of the map in their order, but for those that make
/// vectors of vectors, which come first: they cost little, and the state waits
/// for them before it does for any product.
static SmallVector<Operation *> orderMap(const FusedProgram &program) {
  delta::ChunkMapOp map = program.getMap();
  auto late = findDependents(map, [](Operation *op) {
    return llvm::any_of(op->getResultTypes(), [](Type type) {
      return cast<RankedTensorType>(type).getRank() > 1;
    });
  });
  SmallVector<Operation *> order;
  for (bool isLate : {false, true})
    for (Operation &op : map.getBlock().without_terminator())
      if (!program.isFree(&op) && late.contains(&op) == isLate)
        order.push_back(&op);
  return order;
}

/// True if the scan of `program` makes rows that leave it in each chunk.
static bool storesRows(const FusedProgram &program) {
  return llvm::any_of(program.getOuts(), [&](const FusedProgram::Out &out) {
    return out.tensor.getOwner() == program.getScan() &&
           out.binding.has(delta::DimKind::time);
  });
}

/// Returns the roles of `program`: the state's chain, and the map, which is a
/// chunk or two ahead of it. With `splitMap` the map is two roles, one ahead of
/// the other: the products of the chunk with itself, and, if it solves a
/// system, its factor.
static SmallVector<PlannedRole> divide(const FusedProgram &program,
                                       bool splitMap) {
  PlannedRole state{"state", tile::kWarpgroupWarps};
  PlannedRole dots{splitMap ? "dots" : "map", tile::kWarpgroupWarps};
  PlannedRole factor{"factor", tile::kWarpgroupWarps};
  // What makes triangular factors, what needs one, and what no product needs.
  // But where there are no rows, there are no products for them either: then
  // the role of products has the least to do.
  auto factorOps =
      findDependents(program.getMap(), llvm::IsaPred<delta::EraseFactorOp>);
  for (Operation &op : llvm::reverse(program.getMap().getBlock())) {
    auto chunkOp = dyn_cast<delta::ChunkRegionOpInterface>(op);
    if (!factorOps.empty() && storesRows(program) && !op.use_empty() &&
        chunkOp && chunkOp.getMatmulFlops() == 0 &&
        llvm::all_of(op.getUsers(), [&](Operation *user) {
          return factorOps.contains(user) ||
                 user->hasTrait<OpTrait::IsTerminator>();
        }))
      factorOps.insert(&op);
  }
  for (Operation *op : orderMap(program))
    (splitMap && factorOps.contains(op) ? factor : dots).ops.push_back(op);
  for (Operation &op : program.getScan().getBlock().without_terminator())
    if (!program.isFree(&op))
      state.ops.push_back(&op);
  SmallVector<PlannedRole> roles = {state, dots};
  if (!factor.ops.empty())
    roles.push_back(factor);
  return roles;
}

/// True if a carry is computed from a product of what it was: then each chunk
/// waits for a product in its middle, while the chunk before could be stored.
static bool waitsForProduct(delta::ChunkScanOp scan) {
  auto isProduct = [](Operation *op) {
    auto chunkOp = dyn_cast<delta::ChunkRegionOpInterface>(op);
    return chunkOp && chunkOp.getMatmulFlops() > 0;
  };
  BackwardSliceOptions options;
  options.inclusive = false;
  options.filter = [&](Operation *op) {
    return op->getBlock() == &scan.getBlock();
  };
  auto countProducts = [&](Operation *root) {
    SetVector<Operation *> slice;
    (void)getBackwardSlice(root, &slice, options);
    return llvm::count_if(slice, isProduct);
  };
  return llvm::any_of(scan.getYield().getCarries(), [&](Value carry) {
    Operation *def = carry.getDefiningOp();
    return def && isProduct(def) && countProducts(def) > 0;
  });
}

/// Says how deep the channels of `plan` are, whose last role loads on the side
/// in copies that take the chunks in turn.
static void planChannelsOfCopies(RolePlan &plan, int64_t loaded,
                                 int64_t computed, ArrayRef<int64_t> each) {
  int64_t copies = plan.getRoles().back().copies;
  // As a copy begins a chunk, others are at those before it, and the state is
  // behind them by as many as it finds computed.
  int64_t inUse = copies + computed;
  for (auto [number, channel] : llvm::enumerate(plan.getChannels())) {
    // Vectors are made first, and no copy should wait for their place. Of what
    // is loaded, what the state alone reads is early enough where the copy
    // begins its chunk.
    int64_t depth = channel.isVector ? inUse : computed;
    if (!channel.filler)
      depth = channel.isReadBy(0) ? inUse : std::max(inUse, computed + loaded);
    if (number < each.size())
      depth = each[number];
    channel.depth = llvm::divideCeil(depth, copies) * copies;
    if (channel.filler)
      continue;
    channel.host = plan.getRoles().size() - 1;
    channel.ahead =
        std::max<int64_t>(channel.depth - inUse, 0) / copies * copies;
  }
}

/// Says how deep the channels of `plan` are, and who loads, on the side or not.
static void planChannels(RolePlan &plan, int64_t loaded, int64_t computed,
                         ArrayRef<int64_t> each, bool onTheSide, bool saves) {
  unsigned numRoles = plan.getRoles().size();
  for (auto [number, channel] : llvm::enumerate(plan.getChannels())) {
    // The map is two chunks ahead of the state: what the state alone reads need
    // not be there as early.
    bool isLoaded = !channel.filler, isLate = channel.isReadBy(0);
    // Between roles of the map one for each copy is enough: the next product is
    // made first and waits in registers.
    bool isOfMap = !isLoaded && !channel.isVector &&
                   !llvm::is_contained(channel.readers, 0);
    int64_t copies = 1;
    for (unsigned reader : channel.readers)
      copies = std::max(copies, plan.getRoles()[reader].copies);
    channel.depth = isOfMap     ? copies
                    : !isLoaded ? computed
                    : isLate    ? std::max<int64_t>(loaded - 2, 2)
                                : loaded;
    // The other place is what the state stores through: an operand that is read
    // early is there in time with one, for the host is a chunk ahead.
    if (isLoaded && isLate && saves && onTheSide)
      channel.depth = 1;
    if (number < each.size())
      channel.depth = each[number];
    if (!isLoaded || !onTheSide)
      continue;
    // On the side, the first role of the map loads, which has the least to do;
    // but what the state alone reads, whose places are few, the one that is
    // closest to the state.
    channel.host = isLate ? numRoles - 1 : 1;
    // Roles are a chunk ahead of the next one: the tiles of the host's chunk
    // and of those that lie between it and the state's are in use.
    int64_t inUse = numRoles - *channel.host + 1;
    channel.ahead = std::max<int64_t>(channel.depth - inUse, 0);
  }
}

/// True if the forward saves for its backward what `program` computes.
static bool savesOuts(const FusedProgram &program) {
  return llvm::any_of(program.getOuts(), [](const FusedProgram::Out &out) {
    return out.isSaved();
  });
}

/// Says how outs leave `roles`. Where no warps only load there is no shared
/// memory for them either: those of the state take the place of what it has
/// read, those of the map leave from registers. Where a forward saves them
/// everything of the map does, and the state has a place for all that it
/// stores. Copies of a role run at once: one place would not do for them.
static void planStores(MutableArrayRef<PlannedRole> roles, bool onTheSide,
                       bool saves) {
  using Stores = PlannedRole::Stores;
  for (auto [i, role] : llvm::enumerate(roles))
    if (i > 0 && (saves || onTheSide || role.copies > 1))
      role.stores = Stores::direct;
    else if (i == 0 && onTheSide && !saves)
      role.stores = Stores::via;
}

/// True if the factor that `map` makes has two parts.
static bool makesTwoParts(delta::ChunkMapOp map) {
  return llvm::any_of(map.getBlock().getOps<delta::EraseFactorOp>(),
                      [](delta::EraseFactorOp op) {
                        return op.getZ().getType() != op.getL().getType();
                      });
}

/// True if the scan of `program` is faster than the factor of its map: it makes
/// no rows beside its chain. Then all of the map is one role, of which copies
/// take the chunks in turn. Not where decays make products as long as a factor,
/// nor with a factor of two parts, for which there is too little shared memory.
static bool mapTakesTurns(const FusedProgram &program) {
  delta::ChunkMapOp map = program.getMap();
  bool hasDecay =
      llvm::any_of(map.getBlock().getOps<delta::DecayDotOp>(),
                   [](delta::DecayDotOp op) { return op.getG() != nullptr; });
  return !map.getBlock().getOps<delta::EraseFactorOp>().empty() &&
         !storesRows(program) && !hasDecay && !makesTwoParts(map);
}

/// True if the second part of factors has no room where loaded tiles are held
/// for `stages` chunks: of a block's shared memory half is what the matrices of
/// the map may take then.
static bool isTight(const FusedProgram &program, int64_t stages) {
  delta::ChunkMapOp map = program.getMap();
  if (!makesTwoParts(map))
    return false;
  int64_t bytes = 0;
  for (auto [i, in] : llvm::enumerate(map.getIns())) {
    auto tile = cast<RankedTensorType>(map.getInArg(i).getType());
    int64_t bits = getElementTypeOrSelf(in).getIntOrFloatBitWidth();
    if (tile.getRank() == 2)
      bytes += tile.getNumElements() * bits / 8;
  }
  return stages * bytes > tile::getTarget(map).sharedBytes / 2;
}

/// Has `plan` hold factors for one chunk.
static void holdOneFactor(RolePlan &plan) {
  for (PlannedChannel &channel : plan.getChannels())
    if (llvm::any_of(channel.values, [](Value value) {
          return isa<delta::EraseFactorOp>(value.getDefiningOp());
        }))
      channel.depth = 1;
}

/// True if a product of `role` is multiplied by decays.
static bool hasDecay(const PlannedRole &role) {
  return llvm::any_of(role.ops, [](Operation *op) {
    auto dot = dyn_cast<delta::DecayDotOp>(op);
    return dot && dot.getG();
  });
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

/// Warpgroups that share the registers of an SM at the budgets of these roles.
static constexpr int64_t kWarpgroups = 4;

/// Returns the warpgroups of `roles`.
static int64_t countWarpgroups(ArrayRef<PlannedRole> roles) {
  int64_t count = 0;
  for (const PlannedRole &role : roles)
    count += role.split * role.copies;
  return count;
}

/// True if two warpgroups of the state and the map's leave no registers for
/// warps that only load.
static bool leavesNoWarps(ArrayRef<PlannedRole> roles) {
  return roles.front().split > 1 && countWarpgroups(roles) == kWarpgroups;
}

namespace {
struct FuseForward : sched::impl::FuseForwardPassBase<FuseForward> {
  using FuseForwardPassBase::FuseForwardPassBase;

  void runOnOperation() override {
    SmallVector<delta::ChunkScanOp> scans(
        getOperation().getOps<delta::ChunkScanOp>());
    IRRewriter rewriter(&getContext());
    unsigned number = 0;
    bool isOfBackward = isBackward(getOperation());
    // First all maps are cut: what a later scan alone reads is not made by the
    // one that takes the rest of its map.
    for (delta::ChunkScanOp scan : scans)
      if (!isOfBackward)
        cutOwnMaps(rewriter, scan);
    for (delta::ChunkScanOp scan : scans) {
      std::string why;
      std::optional<FusedProgram> program;
      if (isOfBackward)
        why = "it is of a backward, for which these roles are not made";
      else
        program = FusedProgram::match(scan, why);
      if (!program) {
        FusedProgram::decline(scan, getArgument(), why);
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
    int64_t split = *parts % splitWarps == 0 ? splitWarps : 1;
    bool takesTurns = splitMap && split > 1 && mapTakesTurns(program);
    SmallVector<PlannedRole> roles = divide(program, splitMap && !takesTurns);
    PlannedRole &state = roles.front();
    state.split = split;
    Grid grid = getScanGrid(scan);
    grid.split = *parts / state.split;
    roles.back().copies = takesTurns ? std::max<int64_t>(copies, 2) : copies;
    state.overlap = state.split == 1 && waitsForProduct(scan);
    bool onTheSide = leavesNoWarps(roles), saves = savesOuts(program);
    planStores(roles, onTheSide, saves);
    // Beside the carries, an accumulator of what they become and one of rows,
    // an operand of each, and what addresses take.
    int64_t beside = storesRows(program) ? 128 : takesTurns ? 104 : 112;
    std::optional<int64_t> loadRegisters =
        assignRegisters(roles, !onTheSide, storesRows(program),
                        program.countCarried(grid.split * state.split), beside);
    RolePlan plan(program, roles);
    plan.orderByArrival(0, scan.getYield().getCarries());
    // One factor costs less time than a stage less
    // (docs/performance/forward.md, "factors in two parts"). But copies of a
    // role, and one that overlaps its chunks, want two.
    bool isShort = depths.empty() && isTight(program, stages);
    bool takesOne = roles.back().copies == 1 && !state.overlap;
    if (onTheSide && roles.back().copies > 1)
      planChannelsOfCopies(plan, stages, depth, depths);
    else
      planChannels(plan, isShort && !takesOne ? stages - 1 : stages, depth,
                   depths, onTheSide, saves);
    if (isShort && takesOne)
      holdOneFactor(plan);
    if (turns && grid.split > 1 && takeTurns(plan, grid, getArgument()))
      ++numInTurn;

    OpBuilder builder(scan);
    KernelTensors tensors = getFusedTensors(program);
    KernelOp kernel = createKernel(
        builder, cast<delta::ChunkProgramOpInterface>(scan.getOperation()),
        tensors, name, grid);
    RoleWriter(builder, plan, kernel, loadRegisters).write();
    replaceFused(program, tensors, kernel);
    ++numFused;
    return success();
  }

  /// Sets the budgets of `roles` and returns that of who loads, where that is a
  /// role of its own: what the options say, else what the state needs for
  /// `carried` registers of carries and `beside` them, and the rest of the 512
  /// that four warpgroups share in equal parts.
  std::optional<int64_t> assignRegisters(MutableArrayRef<PlannedRole> roles,
                                         bool loadsAlone, bool storesRows,
                                         int64_t carried, int64_t beside) {
    SmallVector<int64_t> budgets(registers.begin(), registers.end());
    const PlannedRole &state = roles.front();
    int64_t others = countWarpgroups(roles.drop_front());
    constexpr int64_t kAll = 512, kOfLoad = 24;
    if (budgets.empty() && state.split + others + loadsAlone <= kWarpgroups) {
      // Where one warpgroup has the state, what it multiplies is held on while
      // products run, the carries in 16 bits among it.
      int64_t ofState = beside + carried;
      if (state.split == 1)
        ofState += carried / 4 + 32;
      int64_t ofLoad = loadsAlone ? kOfLoad : 0;
      budgets.push_back(ofState);
      budgets.append(roles.size() - 1,
                     (kAll - state.split * ofState - ofLoad) / others);
      // Products that decay have the exponents of their rows and columns beside
      // them; a factor is made in shared memory, and read from there where it
      // leaves with the rows.
      constexpr int64_t kOfExponents = 8;
      if (others == 2 && roles.size() == 3 && hasDecay(roles[1]) &&
          !storesRows) {
        budgets[1] += kOfExponents;
        budgets[2] -= kOfExponents;
      }
      if (ofLoad)
        budgets.push_back(ofLoad);
      for (int64_t &budget : budgets)
        budget = tile::getBudget(tile::getTarget(getOperation()), budget, kAll);
    }
    for (auto [role, budget] : llvm::zip(roles, budgets))
      role.registers = budget;
    return budgets.size() > roles.size() ? std::optional(budgets[roles.size()])
                                         : std::nullopt;
  }
};
} // namespace
