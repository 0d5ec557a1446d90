//===- Separate.cpp - sched-separate
//----------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "FetchedIns.h"
#include "KernelFrame.h"
#include "MapOfRuns.h"
#include "Panels.h"
#include "Starts.h"

#include "wyvern/Dialect/Delta/Analysis/MapPhases.h"
#include "wyvern/Dialect/Delta/Analysis/MapRounds.h"
#include "wyvern/Dialect/Delta/Analysis/SplitDim.h"
#include "wyvern/Dialect/Delta/IR/Splat.h"
#include "wyvern/Dialect/Delta/Utils/Prologue.h"
#include "wyvern/Dialect/Sched/Strategies/Passes.h"
#include "wyvern/Dialect/Tile/IR/Tile.h"
#include "wyvern/Dialect/Tile/Targets/StateRoom.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace mlir::wyvern::sched {
#define GEN_PASS_DEF_SEPARATEPASS
#include "wyvern/Dialect/Sched/Strategies/Passes.h.inc"
} // namespace mlir::wyvern::sched

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::sched;
using delta::ChunkProgramOpInterface;

/// Warps: one warpgroup that computes, then one warp that loads.
static constexpr int64_t kComputeWarps = 4, kLoadWarps = 1;
/// Warpgroups of a block that share what its warp loads, in runs of chunks, and
/// the registers of their threads and of those that load: 2 x 232 + 32 of the
/// 512 that an SM has for one thread of each of its warpgroups.
static constexpr int64_t kSharingGroups = 2, kSharingRegisters = 232,
                         kLoadRegisters = 32;
/// Blocks an SM should hold. A scan's channel fills most of the shared memory;
/// maps load nothing ahead, so several blocks hide their latency.
static constexpr int64_t kMapBlocks = 3;
/// Maps that multiply by what they have computed hold more at a time: as many
/// registers as two blocks an SM leave.
static constexpr int64_t kStagingMapBlocks = 2;
/// Chunks that the blocks of a map visit where one fills an SM: the first waits
/// for its loads alone. More would leave SMs without a block in small calls.
static constexpr int64_t kMapRun = 4;

//===----------------------------------------------------------------------===//
// The grid
//===----------------------------------------------------------------------===//

/// True if `value` is an in, or an in rounded to what it is stored as: products
/// read it where it was loaded to.
static bool isLoaded(Value value) {
  if (auto rounded = value.getDefiningOp<arith::TruncFOp>()) {
    Value in = ChunkProgramOpInterface::getInOfTile(rounded.getIn());
    return in && getElementTypeOrSelf(in) == getElementTypeOrSelf(value);
  }
  return ChunkProgramOpInterface::getInOfTile(value) != nullptr;
}

/// True if some product of `map` reads what the map computes.
static bool multipliesComputed(delta::ChunkMapOp map) {
  for (Operation &op : map.getBlock()) {
    SmallVector<Value, 2> factors;
    if (auto contract = dyn_cast<linalg::ContractOp>(op))
      factors.assign(contract.getInputs().begin(), contract.getInputs().end());
    else if (auto dot = dyn_cast<delta::DecayDotOp>(op))
      factors = {dot.getA(), dot.getB()};
    if (!llvm::all_of(factors, isLoaded))
      return true;
  }
  return false;
}

/// Returns how many blocks of a map that makes gradients of gates an SM should
/// hold: as many as have registers for four tiles at once.
static int64_t countGateBlocks(delta::ChunkMapOp map) {
  constexpr int64_t kFewColumns = 64;
  Type gates = map.getYield().getOuts().front().getType();
  return cast<RankedTensorType>(gates).getShape().back() > kFewColumns
             ? kStagingMapBlocks
             : kMapBlocks;
}

/// True if the warps that compute `map` load its ins, too. A warp to load would
/// hold as many registers as one that computes, and wait like these: nothing is
/// loaded ahead. Two blocks of four warps leave each other all the registers
/// that a thread can have.
static bool loadsWithin(delta::ChunkMapOp map) {
  return sumsRows(map) || map->hasAttr(delta::kExactAttr);
}

/// Returns the panels of `program`, if it is a map that has some.
static std::optional<Panels> findPanels(ChunkProgramOpInterface program) {
  auto map = dyn_cast<delta::ChunkMapOp>(program.getOperation());
  return map && !visitsRuns(map) ? sched::findPanels(map) : std::nullopt;
}

/// Returns how the blocks of `program` divide its work.
static FailureOr<Grid> chooseGrid(ChunkProgramOpInterface program,
                                  bool hasPanels, bool ofRuns) {
  if (auto map = dyn_cast<delta::ChunkMapOp>(program.getOperation())) {
    Grid grid;
    grid.over = GridOver::slots;
    if (ofRuns)
      grid.run = kMapRun;
    else if (map->hasAttr(delta::kExactAttr) && map.getOuts().size() > 1)
      grid.minBlocks = countGateBlocks(map);
    else
      grid.minBlocks = multipliesComputed(map) && !hasPanels ? kStagingMapBlocks
                                                             : kMapBlocks;
    return grid;
  }
  auto scan = cast<delta::ChunkScanOp>(program.getOperation());
  FailureOr<int64_t> split = countSplitParts(scan);
  if (failed(split))
    return failure();
  Grid grid = getScanGrid(scan);
  grid.split = *split;
  return grid;
}

/// Returns the numbers of the ins that a chunk of `program` reads: one may be
/// there to say how many tokens there are, and nothing else. All, if none is.
static SmallVector<unsigned> findReadIns(ChunkProgramOpInterface program) {
  auto all = llvm::to_vector(
      llvm::seq<unsigned>(0, static_cast<unsigned>(program.getIns().size())));
  auto read = llvm::to_vector(llvm::make_filter_range(
      all, [&](unsigned i) { return !program.getInArg(i).use_empty(); }));
  return read.empty() ? all : read;
}

/// True if a chunk multiplies two ins, element by element: of what is written
/// say, by a gate a channel.
static bool combinesIns(ChunkProgramOpInterface program) {
  return llvm::any_of(
      program.getBlock().getOps<arith::MulFOp>(), [](arith::MulFOp op) {
        return delta::getTileRank(op) == 2 &&
               llvm::all_of(op->getOperands(), [](Value operand) {
                 return ChunkProgramOpInterface::getInOfTile(operand) !=
                        nullptr;
               });
      });
}

/// Returns the bytes of shared memory that a warpgroup's part of the rounded
/// state takes, split along `split`: none where it is in registers.
static int64_t countStagedBytes(const tile::TargetInfo &target,
                                ChunkProgramOpInterface program,
                                delta::TileDim split) {
  constexpr int64_t kBytes = 2;
  auto state = cast<RankedTensorType>(split.first.getType());
  int64_t columns = state.getDimSize(1 - split.second);
  return tile::holdsRoundedState(target, columns, combinesIns(program))
             ? 0
             : columns * tile::kAccRows * kBytes;
}

/// Returns the bytes of the largest tile of 16 bits through which a warpgroup's
/// part of an out leaves: tiles that are there for a time share a place.
static int64_t countLeavingBytes(ChunkProgramOpInterface program,
                                 delta::DimClasses &classes,
                                 delta::TileDim split) {
  int64_t most = 0;
  for (auto [tile, out] :
       llvm::zip_equal(program.getYield().getOuts(), program.getOuts())) {
    unsigned bits = getElementTypeOrSelf(out).getIntOrFloatBitWidth();
    if (delta::getTileRank(tile) != 2 || bits != 16)
      continue;
    int64_t elements = 1;
    for (auto [dim, size] :
         llvm::enumerate(cast<RankedTensorType>(tile.getType()).getShape()))
      elements *= classes.meets({tile, static_cast<int64_t>(dim)}, split)
                      ? tile::kAccRows
                      : size;
    most = std::max(most, elements * bits / 8);
  }
  return most;
}

/// Returns how many chunks of the ins fit into a block's shared memory, but no
/// more than `most` and no less than one.
static int64_t fitDepth(ChunkProgramOpInterface program, KernelOp kernel,
                        int64_t most) {
  tile::TargetInfo target = tile::getTarget(kernel);
  delta::DimClasses classes(program);
  std::optional<delta::TileDim> split;
  if (auto scan = dyn_cast<delta::ChunkScanOp>(program.getOperation()))
    split = delta::findSplitDim(scan, classes);
  int64_t bits = 0;
  for (unsigned i : findReadIns(program)) {
    RankedTensorType tile = getLoadedType(kernel, kernel.getInArgs()[i]);
    int64_t size = tile.getNumElements() * tile.getElementTypeBitWidth();
    for (int64_t dim = 0; split && dim < tile.getRank(); ++dim)
      if (classes.meets({program.getInArg(i), dim}, *split))
        size /= static_cast<int64_t>(kernel.getSplit());
    bits += size;
  }
  int64_t room = target.sharedBytes;
  if (split)
    room -= std::max(countStagedBytes(target, program, *split),
                     countLeavingBytes(program, classes, *split));
  int64_t fit = 8 * room / std::max<int64_t>(bits, 1);
  return std::clamp<int64_t>(fit, 1, most);
}

//===----------------------------------------------------------------------===//
// The roles
//===----------------------------------------------------------------------===//

namespace {
/// One program's kernel, as it is built.
class SeparateKernel {
public:
  SeparateKernel(OpBuilder &builder, ChunkProgramOpInterface program,
                 KernelOp kernel, std::optional<Panels> found,
                 std::optional<delta::MapRounds> inRounds)
      : builder(builder), program(program), kernel(kernel),
        loc(program.getLoc()), ins(findReadIns(program)),
        panels(std::move(found)), rounds(std::move(inRounds)) {
    if (panels) {
      fetched = panels->ins;
    } else if (rounds) {
      // Sums go on in registers: what is read once, too, has a place.
    } else if (auto map = dyn_cast<delta::ChunkMapOp>(program.getOperation())) {
      fetched = findFetchedIns(map);
      // Tiles of the second phase take places that warps of the first have
      // left, which these alone know, of the one chunk that a block has.
      if (loadsWithin(map) && !visitsRuns(map))
        phases = findGainfulPhases(map);
    }
    // A number a head has no place in a channel, and copies are of rows one
    // after the other.
    for (unsigned in : ins)
      if (delta::getTileRank(program.getInArg(in)) == 0 ||
          program.getInBinding(in).getTimeRow())
        fetched.push_back(in);
    llvm::erase_if(
        ins, [&](unsigned in) { return llvm::is_contained(fetched, in); });
  }

  /// Adds the channel of the ins, the role that computes and the one that
  /// loads; the former alone where it takes all ins itself.
  void addRoles(int64_t depth, int64_t groups) {
    builder.setInsertionPointToEnd(&kernel.getBlock());
    addChannels(depth);
    RoleOp compute = addCompute();
    if (channels.empty())
      return;
    RoleOp load = addLoad();
    auto map = dyn_cast<delta::ChunkMapOp>(program.getOperation());
    if (map && (rounds || loadsWithin(map)))
      load.setWithin(compute.getRoleName());
    if (groups > 1) {
      compute.setSplit(groups);
      compute.setRegisters(kSharingRegisters);
      load.setRegisters(kLoadRegisters);
    }
  }

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
  ChunkProgramOpInterface program;
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
} // namespace

void SeparateKernel::addChannels(int64_t depth) {
  SmallVector<SmallVector<unsigned>> divided(phases ? 2 : 1);
  if (rounds)
    divided = rounds->ins;
  else
    for (unsigned in : ins)
      divided[phases && llvm::is_contained(phases->secondIns, in)].push_back(
          in);
  for (SmallVector<unsigned> &part : divided) {
    if (part.empty())
      continue;
    auto tiles = llvm::map_to_vector(part, [&](unsigned in) -> Type {
      return getLoadedType(kernel, kernel.getInArgs()[in]);
    });
    Value channel = ChannelOp::create(
        builder, loc, ChannelType::get(builder.getContext(), tiles), depth,
        Fill::tma);
    channels.emplace_back(channel, std::move(part));
  }
}

void SeparateKernel::storeOutsOf(Operation *op, const IRMapping &mapping) {
  for (auto [i, tile] : llvm::enumerate(program.getYield().getOuts()))
    if (tile.getDefiningOp() == op)
      StoreOp::create(builder, loc, mapping.lookup(tile),
                      kernel.getOutArgs()[i], /*via=*/Value(),
                      /*direct=*/panels && panels->isScaled(tile));
}

/// Returns the product beside which the carries are stored: the first one,
/// where they leave in each chunk, which takes no branch, from registers (f32),
/// and it does not add to one. Null where they leave before.
static Operation *findBeside(ChunkProgramOpInterface program) {
  for (auto [i, tile] : llvm::enumerate(program.getYield().getOuts()))
    if (isa<BlockArgument>(tile) &&
        (!getElementTypeOrSelf(program.getOuts()[i]).isF32() ||
         program.getOutBinding(i).getChunkMultiple() != 1))
      return nullptr;
  for (Operation &op : program.getBlock()) {
    auto chunkOp = dyn_cast<delta::ChunkRegionOpInterface>(op);
    if (chunkOp && chunkOp.getMatmulFlops() > 0)
      return llvm::any_of(op.getOperands(), llvm::IsaPred<BlockArgument>)
                 ? nullptr
                 : &op;
  }
  return nullptr;
}

void SeparateKernel::cloneOps(IRMapping &mapping,
                              function_ref<bool(Operation *)> takes,
                              Operation *beside) {
  for (Operation &op : program.getBlock().without_terminator()) {
    if (!takes(&op))
      continue;
    builder.clone(op, mapping);
    storeOutsOf(&op, mapping);
    if (&op == beside)
      storeOutsOf(/*op=*/nullptr, mapping);
  }
}

llvm::SmallPtrSet<Operation *, 8> SeparateKernel::findAhead() {
  llvm::SmallPtrSet<Operation *, 8> ahead;
  auto isThere = [&](Value operand) {
    if (Operation *def = operand.getDefiningOp())
      return ahead.contains(def);
    return llvm::any_of(phases->summed, [&](unsigned in) {
      return program.getInArg(in) == operand;
    });
  };
  for (Operation &op : program.getBlock().without_terminator())
    if (phases->first.contains(&op) && llvm::all_of(op.getOperands(), isThere))
      ahead.insert(&op);
  return ahead;
}

bool SeparateKernel::isBoundOfSummed(Operation *op) {
  Value gates =
      op->getNumResults() == 1 ? delta::getBounded(op->getResult(0)) : Value();
  return gates && llvm::any_of(phases->summed, [&](unsigned in) {
           return program.getInArg(in) == gates;
         });
}

void SeparateKernel::cloneChunk(IRMapping &mapping) {
  if (phases) {
    // The gates that the first phase sums come otherwise in the second one.
    // They are summed while its tiles come.
    fetch(phases->summed, mapping);
    llvm::SmallPtrSet<Operation *, 8> ahead = findAhead();
    auto isFirst = [&](Operation *op) { return phases->first.contains(op); };
    cloneOps(
        mapping, [&](Operation *op) { return ahead.contains(op); },
        /*beside=*/nullptr);
    get(0, mapping);
    cloneOps(
        mapping,
        [&](Operation *op) { return isFirst(op) && !ahead.contains(op); },
        /*beside=*/nullptr);
    get(1, mapping);
    cloneOps(
        mapping,
        [&](Operation *op) { return !isFirst(op) || isBoundOfSummed(op); },
        /*beside=*/nullptr);
    return;
  }
  if (rounds) {
    for (unsigned turn = 0; turn < channels.size(); ++turn) {
      get(turn, mapping);
      cloneOps(
          mapping,
          [&](Operation *op) { return rounds->turns.lookup(op) == turn; },
          /*beside=*/nullptr);
    }
    storeOutsOf(/*op=*/nullptr, mapping);
    return;
  }
  // First what was there before: the chunk's products overwrite a carry. What
  // leaves from registers does so beside the first of them, if that does not.
  Operation *beside = findBeside(program);
  if (!beside)
    storeOutsOf(/*op=*/nullptr, mapping);
  cloneOps(mapping, [](Operation *) { return true; }, beside);
}

void SeparateKernel::get(unsigned number, IRMapping &mapping) {
  auto &[channel, brought] = channels[number];
  auto tiles = llvm::map_to_vector(
      brought, [&](unsigned in) { return program.getInArg(in).getType(); });
  auto got = GetOp::create(builder, loc, TypeRange(tiles), channel);
  for (auto [in, tile] : llvm::zip_equal(brought, got.getTiles()))
    mapping.map(program.getInArg(in), tile);
}

void SeparateKernel::fetch(ArrayRef<unsigned> ins, IRMapping &mapping) {
  for (unsigned in : ins) {
    BlockArgument arg = kernel.getInArgs()[in];
    mapping.map(
        program.getInArg(in),
        LoadOp::create(builder, loc, kernel.getTileType(arg), arg).getTile());
  }
}

RoleOp SeparateKernel::addCompute() {
  RoleOp role = createRole(builder, kernel, "compute", kComputeWarps);
  EachChunkOp loop = createEachChunk(builder, loc, getDirection(program),
                                     createStarts(builder, program, kernel));
  IRMapping mapping;
  mapping.map(program.getValid(), loop.getValid());
  if (!phases && !rounds && !channels.empty())
    get(0, mapping);
  fetch(fetched, mapping);
  for (auto [i, carry] : llvm::enumerate(loop.getCarryArgs()))
    mapping.map(program.getCarryArg(i), carry);
  cloneChunk(mapping);
  SmallVector<Value> carries;
  for (Value carry : program.getYield().getCarries())
    carries.push_back(mapping.lookup(carry));
  YieldOp::create(builder, loc, carries);
  storeFinals(builder, program, kernel, loop);
  return role;
}

RoleOp SeparateKernel::addLoad() {
  RoleOp role = createRole(builder, kernel, "load", kLoadWarps);
  createEachChunk(builder, loc, getDirection(program), {});
  for (auto [number, entry] : llvm::enumerate(channels)) {
    auto tiles = llvm::map_to_vector(entry.second, [&](unsigned in) -> Value {
      BlockArgument arg = kernel.getInArgs()[in];
      return LoadOp::create(builder, loc, kernel.getTileType(arg), arg);
    });
    PutOp::create(builder, loc, tiles, entry.first, /*ahead=*/0,
                  /*late=*/number > 0, /*early=*/number > 0 && rounds);
  }
  YieldOp::create(builder, loc);
  return role;
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {
struct Separate : sched::impl::SeparatePassBase<Separate> {
  using SeparatePassBase::SeparatePassBase;

  void runOnOperation() override {
    SmallVector<ChunkProgramOpInterface> programs(
        getOperation().getOps<ChunkProgramOpInterface>());
    unsigned scans = 0, maps = 0;
    SmallVector<delta::ChunkMapOp> starts;
    for (ChunkProgramOpInterface program : programs) {
      auto map = dyn_cast<delta::ChunkMapOp>(program.getOperation());
      if (map && makesStartsAlone(map)) {
        starts.push_back(map);
        continue;
      }
      bool isMap = isa<delta::ChunkMapOp>(program);
      std::string name =
          nameKernel(isMap ? "map" : "scan", isMap ? maps++ : scans++);
      if (failed(schedule(program, name)))
        return signalPassFailure();
    }
    for (delta::ChunkMapOp map : starts)
      map.erase();
    dropUnread();
  }

private:
  /// Drops the tensors in whose place roles make what carries start from.
  void dropUnread() {
    Block &block = getOperation().getBody().front();
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
      if (isOpTriviallyDead(&op))
        op.erase();
  }

  std::string nameKernel(StringRef kind, unsigned number) {
    std::string name = (getOperation().getSymName() + "_" + kind).str();
    return number ? name + std::to_string(number) : name;
  }

  LogicalResult schedule(ChunkProgramOpInterface program, StringRef name) {
    std::optional<Panels> found;
    if (panels)
      found = ::findPanels(program);
    numPanelled += found.has_value();
    auto map = dyn_cast<delta::ChunkMapOp>(program.getOperation());
    std::optional<delta::MapRounds> rounds;
    if (map)
      rounds = findGainfulRounds(map);
    numInRounds += rounds.has_value();
    bool ofRuns = runs && map && visitsRuns(map);
    FailureOr<Grid> grid = chooseGrid(program, found.has_value(), ofRuns);
    if (failed(grid))
      return failure();
    if (rounds)
      grid->minBlocks = kStagingMapBlocks;
    OpBuilder builder(program);
    // Blocks of runs are as many as the runs: they need not be more by parts.
    int64_t groups = 1;
    if (shareRuns && isa<delta::ChunkScanOp>(program) && grid->run > 1 &&
        grid->split % kSharingGroups == 0) {
      groups = kSharingGroups;
      grid->split /= groups;
    }
    KernelTensors tensors = getOwnTensors(program);
    KernelOp kernel = createKernel(builder, program, tensors, name, *grid);
    if (ofRuns)
      writeMapOfRuns(builder, map, kernel);
    else
      SeparateKernel(builder, program, kernel, std::move(found),
                     std::move(rounds))
          .addRoles(map ? 1 : fitDepth(program, kernel, stages), groups);
    replaceByKernel(tensors, kernel);
    program->erase();
    ++numKernels;
    return success();
  }
};
} // namespace
