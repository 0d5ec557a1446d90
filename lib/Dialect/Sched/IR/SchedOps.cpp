//===- SchedOps.cpp - Accessors and constraints of single operations ----===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The numbers (K..) are those of docs/sched.md.
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Sched/IR/Sched.h"
#include "wyvern/Support/Counts.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::sched;

//===----------------------------------------------------------------------===//
// sched.kernel: what its region's arguments are
//===----------------------------------------------------------------------===//

Block::BlockArgListType KernelOp::getInArgs() {
  return getBlock().getArguments().take_front(getIns().size());
}

Block::BlockArgListType KernelOp::getOutArgs() {
  return getBlock().getArguments().slice(getIns().size(), getOuts().size());
}

Block::BlockArgListType KernelOp::getInitArgs() {
  return getBlock().getArguments().slice(getIns().size() + getOuts().size(),
                                         getInits().size());
}

Block::BlockArgListType KernelOp::getFinalArgs() {
  return getBlock().getArguments().take_back(getFinals().size());
}

delta::BindingAttr KernelOp::getBinding(BlockArgument arg) {
  unsigned number = arg.getArgNumber();
  for (ArrayAttr bindings :
       {getInBindings(), getOutBindings(), getInitBindings()}) {
    if (number < bindings.size())
      return cast<delta::BindingAttr>(bindings[number]);
    number -= bindings.size();
  }
  return cast<delta::BindingAttr>(getInitBindings()[number]);
}

RankedTensorType KernelOp::getTileType(BlockArgument arg) {
  return getBinding(arg).getTileType(
      cast<GlobalType>(arg.getType()).getTensor(), getChunk(), getCompute());
}

bool KernelOp::isPairSum(BlockArgument out) {
  delta::BindingAttr binding = getBinding(out);
  ArrayRef<int64_t> shape =
      cast<GlobalType>(out.getType()).getTensor().getShape();
  // Heads of the grid that each have a part of a head share nothing.
  int64_t heads = static_cast<int64_t>(getHeads()) / binding.getParts();
  return llvm::any_of(
      llvm::zip_equal(binding.getDims(), shape), [&](auto entry) {
        auto [dim, size] = entry;
        return dim.kind == delta::DimKind::head &&
               size * 2 == heads * static_cast<int64_t>(dim.multiple);
      });
}

//===----------------------------------------------------------------------===//
// Channels, roles, chunks
//===----------------------------------------------------------------------===//

Operation *ChannelOp::getFiller() {
  for (Operation *user : (*this)->getUsers())
    if (isa<PutOp>(user))
      return user->getParentOfType<RoleOp>();
  return nullptr;
}

SmallVector<Operation *> ChannelOp::getReaders() {
  SmallVector<Operation *> readers;
  for (RoleOp role : cast<KernelOp>((*this)->getParentOp()).getRoles())
    if (llvm::any_of((*this)->getUsers(), [&](Operation *user) {
          return isa<GetOp>(user) && role->isProperAncestor(user);
        }))
      readers.push_back(role);
  return readers;
}

RoleOp KernelOp::findRole(StringRef name) {
  for (RoleOp role : getRoles())
    if (role.getRoleName() == name)
      return role;
  return {};
}

EachChunkOp RoleOp::getEachChunk() {
  auto loops = getBlock().getOps<EachChunkOp>();
  return loops.empty() ? EachChunkOp() : *loops.begin();
}

YieldOp EachChunkOp::getYield() {
  return cast<YieldOp>(getBlock().getTerminator());
}

LogicalResult ChannelOp::verify() {
  if (!isCount(getDepth(), kMaxBlockCount))
    return emitOpError() << "(K10) expected a depth of 1 to " << kMaxBlockCount
                         << " chunks, found "
                         << static_cast<int64_t>(getDepth());
  for (Type tile : getChannel().getType().getTiles())
    if (auto tensor = dyn_cast<RankedTensorType>(tile);
        !tensor || !tensor.hasStaticShape())
      return emitOpError() << "(K11) expected tiles of static shape, found "
                           << tile;
  return success();
}

/// Checks that a role within another does what one warp can do on the side.
static LogicalResult verifyWithin(RoleOp role) {
  Block &chunk = role.getEachChunk().getBlock();
  bool isPlain = role.getWarps() == 1 && role.getSplit() == 1 &&
                 role.getCopies() == 1 && !role.getRegisters();
  if (isPlain && role.getEachChunk().getInits().empty() &&
      llvm::all_of(chunk.without_terminator(), llvm::IsaPred<LoadOp, PutOp>))
    return success();
  return role.emitOpError()
         << "(K41) is within role " << role.getWithinAttr()
         << ": expected one warp that loads and puts and does nothing else, "
            "without a budget of registers; what computes or waits for another "
            "role needs warps of its own";
}

LogicalResult RoleOp::verify() {
  for (uint64_t count : {getWarps(), getSplit(), getCopies()})
    if (!isCount(count, kMaxBlockCount))
      return emitOpError() << "(K12) expected 1 to " << kMaxBlockCount
                           << " warps, parts and copies, found "
                           << static_cast<int64_t>(count);
  if (llvm::range_size(getBlock().getOps<EachChunkOp>()) != 1)
    return emitOpError()
           << "(K13) expected one sched.each_chunk: the loop over "
              "the block's chunks";
  EachChunkOp loop = getEachChunk();
  if (getCopies() > 1 && !loop.getInits().empty())
    return loop.emitOpError()
           << "(K26) has carries in a role with copies; each copy visits one "
              "chunk in "
           << getCopies()
           << ", so what it leaves is not what the next chunk needs";
  if (getWithin() && failed(verifyWithin(*this)))
    return failure();
  for (Operation &op : getBlock())
    if (!isa<EachChunkOp, LoadOp, StoreOp, delta::IdentityOp>(op) &&
        !op.hasTrait<OpTrait::ConstantLike>())
      return op.emitOpError()
             << "(K22) is not allowed in sched.role outside of "
                "sched.each_chunk; a role holds what carries start from "
                "(constants, delta.identity, loads), one sched.each_chunk and "
                "stores of final carries";
  return success();
}

/// Returns true for what may stand in a chunk of a role.
static bool isRoleOp(Operation *op) {
  if (isa<GetOp, PutOp, LoadOp, StoreOp>(op))
    return true;
  return isa<delta::ChunkRegionOpInterface>(op) &&
         !isa<delta::ChunkProgramOpInterface, delta::YieldOp>(op);
}

LogicalResult EachChunkOp::verify() {
  TypeRange inits = getInits().getTypes();
  auto areSame = [](TypeRange a, TypeRange b) {
    return a.size() == b.size() && llvm::equal(a, b);
  };
  if (!areSame(inits, getFinals().getTypes()) ||
      !areSame(inits, getYield().getCarries().getTypes()) ||
      !areSame(inits, TypeRange(ValueRange(getCarryArgs()))))
    return emitOpError() << "(K14) expected inits, region arguments, yielded "
                            "carries and results of the same types";
  if (getOverlap() && inits.empty())
    return emitOpError()
           << "(K38) expected carries; chunks that hand nothing on "
              "need no overlap, another copy of the role runs "
              "beside it";
  for (Operation &op : getBlock().without_terminator())
    if (!isRoleOp(&op))
      return op.emitOpError()
             << "(K23) is not allowed in sched.each_chunk; it holds the "
                "operations of a chunk program, and sched.get, put, load and "
                "store";
  return success();
}

//===----------------------------------------------------------------------===//
// Tiles from and to memory and channels
//===----------------------------------------------------------------------===//

/// The kernel's region argument that `global` is, and the tile it moves.
static LogicalResult verifyMove(Operation *op, Value global, Type tile,
                                bool isLoad) {
  auto kernel = op->getParentOfType<KernelOp>();
  auto arg = dyn_cast<BlockArgument>(global);
  if (!kernel || !arg || arg.getOwner() != &kernel.getBlock())
    return op->emitOpError() << "(K15) expected an argument of the kernel";
  unsigned outs = kernel.getIns().size(),
           inits = outs + kernel.getOuts().size(),
           finals = inits + kernel.getInits().size();
  unsigned number = arg.getArgNumber();
  bool isResult = (number >= outs && number < inits) || number >= finals;
  if (isResult == isLoad)
    return op->emitOpError()
           << "(K16) expected "
           << (isLoad ? "an in or init" : "an out or final")
           << " of the kernel, found its region argument #" << number;
  RankedTensorType expected = kernel.getTileType(arg);
  if (tile != expected)
    return op->emitOpError()
           << "(K17) expected a tile " << expected << ", found " << tile;
  bool inChunk = isa<EachChunkOp>(op->getParentOp());
  bool isCarry = number >= inits;
  if (inChunk == isCarry)
    return op->emitOpError()
           << "(K18) expected " << (isCarry ? "carries" : "ins and outs")
           << " to be moved " << (isCarry ? "outside of" : "inside")
           << " sched.each_chunk";
  return success();
}

LogicalResult LoadOp::verify() {
  return verifyMove(*this, getSource(), getTile().getType(), /*isLoad=*/true);
}

/// Returns true if something behind `op` in its chunk computes: tiles out of
/// channels are read wherever they are used.
static bool isComputedBehind(Operation *op) {
  for (Operation *next = op->getNextNode(); next; next = next->getNextNode())
    if (!isa<PutOp, StoreOp, YieldOp>(next))
      return true;
  return false;
}

/// Checks that what `store` overwrites is this role's alone, and read no more.
static LogicalResult verifyVia(StoreOp store) {
  auto get = store.getVia().getDefiningOp<GetOp>();
  auto channel =
      get ? get.getChannel().getDefiningOp<ChannelOp>() : ChannelOp();
  if (channel && channel.getReaders().size() == 1 && !isComputedBehind(store)) {
    unsigned tile = cast<OpResult>(store.getVia()).getResultNumber();
    Type element = cast<GlobalType>(store.getTarget().getType())
                       .getTensor()
                       .getElementType();
    if (channel.getChannel().getType().getTiles()[tile] ==
        store.getTile().getType().clone(element))
      return success();
  }
  return store.emitOpError()
         << "(K44) expected to leave through a tile of the target's shape and "
            "element type, out of a channel that no other role reads, with "
            "nothing computed behind it in the chunk; what is still read must "
            "not be overwritten";
}

/// Checks that `store` moves what can leave from registers.
static LogicalResult verifyDirect(StoreOp store) {
  auto kernel = store->getParentOfType<KernelOp>();
  auto target = cast<BlockArgument>(store.getTarget());
  Type element =
      cast<GlobalType>(target.getType()).getTensor().getElementType();
  if (!store.getVia() && delta::getTileRank(store.getTile()) == 2 &&
      element.getIntOrFloatBitWidth() == 16 &&
      kernel.getBinding(target).has(delta::DimKind::time))
    return success();
  return store.emitOpError()
         << "(K45) expected a matrix of tokens in 16 bits, and no via; nothing "
            "else leaves from registers in whole sectors";
}

LogicalResult StoreOp::verify() {
  if (failed(verifyMove(*this, getTarget(), getTile().getType(),
                        /*isLoad=*/false)))
    return failure();
  if (getDirect() && failed(verifyDirect(*this)))
    return failure();
  return getVia() ? verifyVia(*this) : success();
}

/// Checks the tiles that go into or out of a channel: the shapes of what it
/// holds, in the kernel's compute type.
static LogicalResult verifyTiles(Operation *op, ChannelType channel,
                                 TypeRange tiles) {
  auto kernel = op->getParentOfType<KernelOp>();
  if (!kernel || !isa<EachChunkOp>(op->getParentOp()))
    return op->emitOpError() << "(K19) expected to stand in sched.each_chunk: "
                                "a channel hands over what one chunk makes";
  if (tiles.size() != channel.getTiles().size())
    return op->emitOpError()
           << "(K20) expected the channel's " << channel.getTiles().size()
           << " tiles, found " << tiles.size();
  for (auto [tile, held] : llvm::zip_equal(tiles, channel.getTiles()))
    if (tile != cast<RankedTensorType>(held).clone(kernel.getCompute()))
      return op->emitOpError()
             << "(K21) expected a tile of shape and compute "
                "type "
             << cast<RankedTensorType>(held).clone(kernel.getCompute())
             << " for " << held << ", found " << tile;
  return success();
}

LogicalResult GetOp::verify() {
  return verifyTiles(*this, getChannel().getType(), getTiles().getTypes());
}

/// Checks how many chunks ahead a put may be.
static LogicalResult verifyAhead(PutOp put) {
  auto channel = put.getChannel().getDefiningOp<ChannelOp>();
  int64_t ahead = put.getAhead();
  bool isGuest = put->getParentOfType<RoleOp>().getWithin().has_value();
  int64_t most = isGuest ? channel.getDepth() : 0;
  if (0 <= ahead && ahead <= most)
    return success();
  return put.emitOpError()
         << "(K42) expected at most " << most << " chunks ahead, "
         << (isGuest ? "the channel's depth; the role it is within would wait "
                       "for itself"
                     : "in a role that is within no other; it runs ahead by "
                       "itself")
         << ", found " << ahead;
}

/// True if a role that reads the channel of `put` gets other tiles before
/// these.
static bool hasGetBefore(PutOp put) {
  return llvm::any_of(put.getChannel().getUsers(), [](Operation *user) {
    return isa<GetOp>(user) &&
           llvm::any_of(user->getBlock()->getOps<GetOp>(), [&](GetOp other) {
             return other->isBeforeInBlock(user);
           });
  });
}

/// Checks that a late put is done by the one role that gets the tiles, for the
/// one chunk that a block has.
static LogicalResult verifyLate(PutOp put) {
  auto channel = put.getChannel().getDefiningOp<ChannelOp>();
  auto kernel = put->getParentOfType<KernelOp>();
  std::optional<StringRef> host = put->getParentOfType<RoleOp>().getWithin();
  auto isOfHost = [&](Operation *reader) {
    return host && cast<RoleOp>(reader).getRoleName() == *host;
  };
  if (llvm::all_of(channel.getReaders(), isOfHost) && put.getAhead() == 0 &&
      kernel.getOver() == GridOver::slots && kernel.getRun() == 1)
    return success();
  return put.emitOpError()
         << "(K55) is late: expected a role within the only one that gets the "
            "tiles, none ahead, and a kernel over slots of 1; others would "
            "wait for it, or another chunk's tiles would";
}

LogicalResult PutOp::verify() {
  if (failed(verifyTiles(*this, getChannel().getType(), getTiles().getTypes())))
    return failure();
  if (getLate() && failed(verifyLate(*this)))
    return failure();
  if (getEarly() && !(getLate() && hasGetBefore(*this)))
    return emitOpError() << "(K56) is early: expected it to be late, and its "
                            "reader to get other tiles before; it is put where "
                            "those are taken";
  return verifyAhead(*this);
}
