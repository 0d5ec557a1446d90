//===- SeparateKernel.cpp - One chunk program as a kernel -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SeparateKernel.h"

#include "FetchedIns.h"
#include "KernelFrame.h"
#include "MapOfRuns.h"
#include "SeparateGrid.h"
#include "Starts.h"

#include "wyvern/Dialect/Delta/IR/Splat.h"
#include "wyvern/Dialect/Delta/Utils/Prologue.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::sched;
using delta::ChunkProgramOpInterface;

/// Warps: one warpgroup that computes, then one warp that loads.
static constexpr int64_t kComputeWarps = 4, kLoadWarps = 1;
/// Registers of the threads of warpgroups that share what their block loads,
/// and of those that load: 2 x 232 + 32 of the 512 that an SM has for one
/// thread of each of its warpgroups.
static constexpr int64_t kSharingRegisters = 232, kLoadRegisters = 32;

/// True if the warps that compute `map` load its ins, too. A warp to load would
/// hold as many registers as one that computes, and wait like these: nothing is
/// loaded ahead. Two blocks of four warps leave each other all the registers
/// that a thread can have.
static bool loadsWithin(delta::ChunkMapOp map) {
  return sumsRows(map) || map->hasAttr(delta::kExactAttr);
}

SeparateKernel::SeparateKernel(OpBuilder &builder,
                               ChunkProgramOpInterface program, KernelOp kernel,
                               std::optional<Panels> found,
                               std::optional<delta::MapRounds> inRounds)
    : builder(builder), program(program), kernel(kernel), loc(program.getLoc()),
      ins(findReadIns(program)), panels(std::move(found)),
      rounds(std::move(inRounds)) {
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
  llvm::erase_if(ins,
                 [&](unsigned in) { return llvm::is_contained(fetched, in); });
}

void SeparateKernel::addRoles(int64_t depth, int64_t groups) {
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
