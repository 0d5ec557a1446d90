//===- KernelVerifier.cpp - Constraints of whole kernels ------------------===//
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
#include "wyvern/Support/Counts.h"

#include "llvm/ADT/StringSet.h"

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

/// Checks that `binding` says what each dimension of `tensor` ranges over.
static LogicalResult verifyBinding(KernelOp kernel, RankedTensorType tensor,
                                   delta::BindingAttr binding) {
  auto error = [&](StringRef what) {
    return kernel.emitOpError() << "(K9) expected " << what << ", found "
                                << binding << " for " << tensor;
  };
  if (static_cast<int64_t>(binding.getDims().size()) != tensor.getRank())
    return error("one bound dimension for each dimension of a tensor");
  int64_t heads = kernel.getHeads();
  for (auto [dim, size] :
       llvm::zip_equal(binding.getDims(), tensor.getShape())) {
    if (dim.kind == delta::DimKind::whole && ShapedType::isDynamic(size))
      return error("a static size where a dimension is kept whole");
    if (dim.isPart() && dim.end > size)
      return error("a part within the dimension");
    if (dim.parts > 1 && (!dim.canDivide(size) || heads % dim.parts != 0))
      return error("parts that divide the dimension and the grid's heads");
    if (dim.kind == delta::DimKind::time &&
        dim.getRows(kernel.getChunk()) <
            static_cast<int64_t>(kernel.getChunk()) * dim.getRowsOfToken())
      return error("a tile that holds the rows of a chunk");
    if (dim.kind == delta::DimKind::head &&
        (ShapedType::isDynamic(size) || size < 1 ||
         heads * dim.multiple % size != 0))
      return error("heads that divide the grid's");
  }
  return success();
}

static LogicalResult verifyBindings(KernelOp kernel) {
  auto verify = [&](TypeRange types, ArrayAttr bindings) {
    return success(llvm::all_of(
        llvm::zip_equal(types, bindings.getAsRange<delta::BindingAttr>()),
        [&](auto entry) {
          auto [type, binding] = entry;
          return succeeded(
              verifyBinding(kernel, cast<RankedTensorType>(type), binding));
        }));
  };
  return success(
      succeeded(verify(kernel.getIns().getTypes(), kernel.getInBindings())) &&
      succeeded(verify(kernel.getOuts().getTypes(), kernel.getOutBindings())) &&
      succeeded(
          verify(kernel.getInits().getTypes(), kernel.getInitBindings())));
}

/// Checks that a block starts with the carries that are its own. The pool that
/// they are kept in is none of them.
static LogicalResult verifyCarries(KernelOp kernel) {
  bool isSlots = kernel.getOver() == GridOver::slots;
  for (auto binding :
       kernel.getInitBindings().getAsRange<delta::BindingAttr>()) {
    if (isSlots && binding.has(delta::DimKind::slot))
      continue;
    bool fits = isSlots ? binding.has(delta::DimKind::chunk) &&
                              binding.getChunkMultiple() ==
                                  static_cast<int64_t>(kernel.getRun())
                        : !binding.has(delta::DimKind::chunk);
    if (fits && !binding.has(delta::DimKind::time))
      continue;
    InFlightDiagnostic error = kernel.emitOpError()
                               << "(K28) expected carries bound to ";
    if (isSlots)
      error << "chunk * " << kernel.getRun() << ", the slot of a block";
    else
      error << "neither chunk nor time, in a kernel over sequences";
    return error << ", found " << binding;
  }
  return success();
}

/// Checks that carries are pools where sequences have slots in them.
static LogicalResult verifySlots(KernelOp kernel) {
  auto isPooled = [](delta::BindingAttr binding) {
    return binding.has(delta::DimKind::slot);
  };
  auto bindings = llvm::to_vector(
      kernel.getInitBindings().getAsRange<delta::BindingAttr>());
  bool hasSlots = kernel.getReadSlots() != nullptr;
  bool isOfRuns = kernel.getOver() == GridOver::slots;
  bool keepsRuns = kernel.keepsIntoPool() && isOfRuns;
  int64_t pools = llvm::count_if(bindings, isPooled), carries = bindings.size();
  bool fits = pools == (hasSlots    ? carries
                        : keepsRuns ? 1
                                    : 0) &&
              (!hasSlots || (carries > 0 && !isOfRuns)) &&
              (!keepsRuns || (carries == 2 && isPooled(bindings.back())));
  if (!fits || hasSlots != (kernel.getWriteSlots() != nullptr))
    return kernel.emitOpError()
           << "(K45) expected slots to read and to write where carries are "
              "bound to slot, all of them, in a kernel over sequences, and "
              "none elsewhere; but in one over slots with keep the second of "
              "two inits, where the first is kept";
  Value keep = kernel.getKeepSlots(), seeds = kernel.getSeeds();
  Value slots = hasSlots ? kernel.getReadSlots() : keep;
  auto fitsSlots = [&](Value vector) {
    return !vector || vector.getType() == slots.getType();
  };
  if ((hasSlots || keepsRuns ? fitsSlots(keep) && fitsSlots(seeds)
                             : !keep && !seeds) &&
      (hasSlots || !kernel.getElseZeros()))
    return success();
  return kernel.emitOpError()
         << "(K51) expected keep and round, of the type of slots, and else "
            "zeros where carries are bound to slot";
}

/// Checks that a role on the CUDA cores is alone with what it loads and stores.
static LogicalResult verifyOnCores(KernelOp kernel) {
  for (RoleOp role : kernel.getRoles()) {
    if (role.getShareRows() && !role.getOnCores())
      return role.emitOpError()
             << "(K50) has share_rows: expected a role on_cores; others get "
                "their rows from channels";
    if (auto rows = role.getShareRows(); rows && (*rows < 1 || *rows > 64))
      return role.emitOpError()
             << "(K53) has share_rows " << *rows
             << ": expected from 1 to 64 tokens whose rows are there at once";
    if (role.getOnCores() && (!llvm::hasSingleElement(kernel.getRoles()) ||
                              !kernel.getChannels().empty() ||
                              role.getSplit() != 1 || role.getCopies() != 1))
      return role.emitOpError()
             << "(K46) is on_cores: expected it to be the only role, of one "
                "group of warps, in a kernel without channels; its tiles lie "
                "in "
                "registers, where no other role can reach them";
  }
  return success();
}

/// Checks that blocks reach each other where they hand each other tiles, or
/// divide a role's work.
static LogicalResult verifyCluster(KernelOp kernel) {
  if (kernel.getCluster() && kernel.getSplit() < 2)
    return kernel.emitOpError()
           << "(K47) is of clusters: expected a split of at least 2, whose "
              "blocks are one cluster, found "
           << static_cast<int64_t>(kernel.getSplit());
  for (ChannelOp channel : kernel.getChannels())
    if (channel.getAcross() &&
        (!kernel.getCluster() || channel.getFill() != Fill::warps))
      return channel.emitOpError()
             << "(K48) is across blocks: expected a kernel with a split "
                "cluster, and fill warps; other blocks cannot be reached, and "
                "what is loaded each block loads itself";
  for (RoleOp role : kernel.getRoles())
    if (role.getDivided() &&
        (!kernel.getCluster() || role.getWithin() || role.getSplit() != 1 ||
         !role.getEachChunk().getInits().empty()))
      return role.emitOpError()
             << "(K49) is divided: expected a kernel with a split cluster, "
                "and a role that is within no other, of one group of warps for "
                "each of its copies, without carries";
  return success();
}

/// Checks that a role whose chunks blocks take in turn hands each of them on to
/// all of these, and has nothing that goes from one chunk to the next.
static LogicalResult verifyTurns(KernelOp kernel) {
  for (RoleOp role : kernel.getRoles()) {
    if (!role.getInTurn())
      continue;
    auto isHost = [&](RoleOp other) {
      return other.getWithin() == role.getRoleName();
    };
    if (!kernel.getCluster() || role.getWithin() || role.getDivided() ||
        role.getSplit() != 1 || !role.getEachChunk().getInits().empty() ||
        llvm::any_of(kernel.getRoles(), isHost))
      return role.emitOpError()
             << "(K57) is in_turn: expected a kernel with a split cluster, and "
                "a role that is not divided, within no other and that no other "
                "is within, of one group of warps for each of its copies, "
                "without carries";
    for (auto put : role.getEachChunk().getBlock().getOps<PutOp>())
      if (!put.getChannel().getDefiningOp<ChannelOp>().getAcross())
        return put.emitOpError()
               << "(K58) is of a role that blocks do in turn: expected a "
                  "channel across blocks, whose readers in the others get "
                  "nothing otherwise";
  }
  return success();
}

/// True for the store of a matrix out of registers, by a role that visits every
/// chunk with one group of warps.
static bool canSumPairs(StoreOp store) {
  auto role = store->getParentOfType<RoleOp>();
  return store.getDirect() && role.getSplit() == 1 && role.getCopies() == 1;
}

/// Checks that the heads of an out are those of the grid, or that the blocks of
/// a pair can sum what they have of it.
static LogicalResult verifyPairs(KernelOp kernel) {
  if (kernel.getPairs() && (kernel.getHeads() % 2 != 0 ||
                            kernel.getSplit() != 1 || kernel.getCluster()))
    return kernel.emitOpError()
           << "(K54) has heads in pairs: expected an even number of heads and "
              "a split of 1, found "
           << static_cast<int64_t>(kernel.getHeads()) << " and "
           << static_cast<int64_t>(kernel.getSplit());
  for (auto [i, out] : llvm::enumerate(kernel.getOutArgs())) {
    if (!kernel.isPairSum(out))
      continue;
    bool canAdd = llvm::all_of(out.getUsers(), [](Operation *user) {
      return canSumPairs(cast<StoreOp>(user));
    });
    if (!kernel.getPairs() || !canAdd)
      return kernel.emitOpError()
             << "(K52) sums the heads of a pair in out #" << i
             << ": expected heads in pairs, and a direct store by a role of "
                "one group of warps; the blocks of a pair hand each other "
                "half of it";
  }
  return success();
}

/// Checks that some in says how many tokens there are.
static LogicalResult verifyTime(KernelOp kernel) {
  auto isTimed = [](delta::BindingAttr binding) {
    return binding.has(delta::DimKind::time);
  };
  if (llvm::any_of(kernel.getInBindings().getAsRange<delta::BindingAttr>(),
                   isTimed))
    return success();
  return kernel.emitOpError() << "(K29) expected an in with a time dimension, "
                                 "which says how many tokens there are";
}

LogicalResult KernelOp::verify() {
  if (getInBindings().size() != getIns().size() ||
      getOutBindings().size() != getOuts().size() ||
      getInitBindings().size() != getInits().size())
    return emitOpError() << "(K3) expected one binding for each in, init and "
                            "out";
  for (uint64_t count :
       {getHeads(), getSplit(), getRun(), getChunk(), getMinBlocks()})
    if (!isCount(count))
      return emitOpError() << "(K4) expected heads, split, run, chunk and "
                              "min_blocks of 1 to "
                           << kMaxCount << ", found "
                           << static_cast<int64_t>(count);
  if (!isa<Float32Type, Float64Type>(getCompute()))
    return emitOpError() << "(K5) expected compute type f32 or f64, found "
                         << getCompute();
  if (failed(verifyBindings(*this)) || failed(verifyCarries(*this)) ||
      failed(verifyTime(*this)) || failed(verifySlots(*this)))
    return failure();
  return verifyArguments(*this);
}

/// Checks that the roles can be told apart.
static LogicalResult verifyNames(KernelOp kernel) {
  llvm::StringSet<> names;
  for (RoleOp role : kernel.getRoles())
    if (!names.insert(role.getRoleName()).second)
      return role.emitOpError()
             << "(K8) expected another name than " << role.getRoleNameAttr()
             << ", which an earlier role has";
  return success();
}

/// True if groups that take the chunks of a host in turn can each put what
/// `guest` puts for the chunks that they come to.
static bool canTakeTurns(RoleOp guest, int64_t copies) {
  auto isTaken = [&](PutOp put) {
    auto channel = put.getChannel().getDefiningOp<ChannelOp>();
    int64_t depth = channel.getDepth(), ahead = put.getAhead();
    return depth % copies == 0 && ahead % copies == 0 && ahead < depth;
  };
  return copies == 1 ||
         llvm::all_of(guest.getEachChunk().getBlock().getOps<PutOp>(), isTaken);
}

/// Checks that what a role within another needs of it is there: one warp that
/// comes to every chunk, before anything of the chunk is done.
static LogicalResult verifyHosts(KernelOp kernel) {
  for (RoleOp role : kernel.getRoles()) {
    if (!role.getWithin())
      continue;
    RoleOp host = kernel.findRole(*role.getWithin());
    if (!host || host.getWithin() || host.getEachChunk().getOverlap())
      return role.emitOpError()
             << "(K40) is within " << role.getWithinAttr()
             << ": expected the name of a role of this kernel that is within "
                "no other and ends each chunk before the next (no overlap)";
    auto copies = static_cast<int64_t>(host.getCopies());
    if (!canTakeTurns(role, copies))
      return role.emitOpError()
             << "(K40) is within " << role.getWithinAttr() << ", of which "
             << copies
             << " copies take chunks in turn: expected puts a multiple of "
                "these and less than the channel's depth ahead, and depths "
                "that are multiples too; a copy brings tiles of the chunks "
                "that it takes";
  }
  return success();
}

/// Checks that everything the kernel returns is written, and once: two roles
/// that write one tensor would race.
static LogicalResult verifyStores(KernelOp kernel) {
  auto countStores = [](BlockArgument arg) {
    return llvm::count_if(arg.getUsers(), llvm::IsaPred<StoreOp>);
  };
  for (auto [i, out] : llvm::enumerate(kernel.getOutArgs()))
    if (int64_t stores = countStores(out); stores != 1)
      return kernel.emitOpError() << "(K24) expected one sched.store to out #"
                                  << i << ", found " << stores;
  for (auto [i, arg, final] :
       llvm::enumerate(kernel.getFinalArgs(), kernel.getFinals())) {
    int64_t stores = countStores(arg);
    if (stores > 1 || (stores == 0 && !final.use_empty()))
      return kernel.emitOpError()
             << "(K25) expected one sched.store to final #" << i
             << " (or none, if nobody reads it), found " << stores;
  }
  return success();
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
  if (failed(verifyNames(*this)) || failed(verifyHosts(*this)) ||
      failed(verifyStores(*this)) || failed(verifyOnCores(*this)) ||
      failed(verifyCluster(*this)) || failed(verifyTurns(*this)) ||
      failed(verifyPairs(*this)))
    return failure();
  return verifyProtocol(*this);
}
