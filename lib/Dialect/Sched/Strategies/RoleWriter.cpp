//===- RoleWriter.cpp - A plan of roles, written as a kernel
//----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RoleWriter.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::sched;
using Source = FusedProgram::Source;

void RoleWriter::write() {
  addChannels();
  for (unsigned i = 0; i < plan.getRoles().size(); ++i)
    addRole(i);
  addLoadRoles();
}

void RoleWriter::addChannels() {
  builder.setInsertionPointToEnd(&kernel.getBlock());
  for (const PlannedChannel &channel : plan.getChannels()) {
    SmallVector<Type> tiles(channel.types);
    for (unsigned in : channel.ins)
      tiles.push_back(getLoadedType(kernel, kernel.getInArgs()[in]));
    // The map is two chunks ahead of the state: what the state alone reads need
    // not be there as early.
    bool isLoaded = !channel.filler, isLate = channel.readers == ArrayRef(0u);
    // Between roles of the map one for each copy is enough: the next product is
    // made first and waits in registers.
    bool isOfMap = !isLoaded && !channel.isVector &&
                   !llvm::is_contained(channel.readers, 0);
    int64_t copies = 1;
    for (unsigned reader : channel.readers)
      copies = std::max(copies, plan.getRoles()[reader].copies);
    int64_t depth = isOfMap     ? copies
                    : !isLoaded ? depths.computed
                    : isLate    ? std::max<int64_t>(depths.loaded - 2, 2)
                                : depths.loaded;
    if (channels.size() < depths.each.size())
      depth = depths.each[channels.size()];
    channels.push_back(ChannelOp::create(
        builder, loc, ChannelType::get(builder.getContext(), tiles), depth,
        isLoaded ? Fill::tma : Fill::warps));
  }
}

void RoleWriter::addLoadRoles() {
  unsigned numRoles = plan.getRoles().size();
  // By the role that they are within; 0, the state's, stands for none.
  SmallVector<SmallVector<unsigned>> loaded(numRoles);
  for (auto [number, channel] : llvm::enumerate(plan.getChannels())) {
    if (channel.filler)
      continue;
    // On the side, the first role of the map loads, which has the least to do;
    // but what the state alone reads, whose places are few, the one that is
    // closest to the state.
    unsigned host = 0;
    if (loading.onTheSide)
      host = channel.readers == ArrayRef(0u) ? numRoles - 1 : 1;
    loaded[host].push_back(number);
  }
  for (unsigned host = 0; host < numRoles; ++host)
    if (!loaded[host].empty())
      addLoadRole(loaded[host], host);
}

void RoleWriter::addLoadRole(ArrayRef<unsigned> numbers, unsigned host) {
  std::string name = "load";
  if (host)
    name += "_" + plan.getRoles()[host].name;
  RoleOp role = createRole(builder, kernel, name, /*warps=*/1);
  if (loading.registers)
    role.setRegisters(*loading.registers);
  if (host)
    role.setWithin(plan.getRoles()[host].name);
  delta::ChunkScanOp scan = plan.getProgram().getScan();
  createEachChunk(builder, loc, scan.getDirection(), {});
  for (unsigned number : numbers) {
    SmallVector<Value> tiles;
    for (unsigned in : plan.getChannels()[number].ins) {
      BlockArgument arg = kernel.getInArgs()[in];
      tiles.push_back(
          LoadOp::create(builder, loc, kernel.getTileType(arg), arg));
    }
    auto put = PutOp::create(builder, loc, tiles, channels[number]);
    if (!host)
      continue;
    // Roles are a chunk ahead of the next one: the tiles of the host's chunk
    // and of those that lie between it and the state's are in use.
    int64_t depth = channels[number].getDefiningOp<ChannelOp>().getDepth();
    int64_t inUse = plan.getRoles().size() - host + 1;
    put.setAhead(std::max<int64_t>(depth - inUse, 0));
  }
  YieldOp::create(builder, loc);
}

//===----------------------------------------------------------------------===//
// A role that computes
//===----------------------------------------------------------------------===//

bool RoleWriter::computesCarries(unsigned number) const {
  delta::ChunkScanOp scan = plan.getProgram().getScan();
  return llvm::any_of(scan.getYield().getCarries(), [&](Value carry) {
    return plan.getRoleOf(plan.getProgram().resolve(carry).value) == number;
  });
}

SmallVector<Value> RoleWriter::loadInits(bool hasCarries) {
  SmallVector<Value> inits;
  if (hasCarries)
    for (BlockArgument init : kernel.getInitArgs())
      inits.push_back(
          LoadOp::create(builder, loc, kernel.getTileType(init), init));
  return inits;
}

void RoleWriter::addRole(unsigned number) {
  const PlannedRole &planned = plan.getRoles()[number];
  RoleOp role = createRole(builder, kernel, planned.name, planned.warps);
  role.setSplit(planned.split);
  role.setCopies(planned.copies);
  if (planned.registers)
    role.setRegisters(*planned.registers);
  mapping.clear();
  gets.clear();
  delta::ChunkScanOp scan = plan.getProgram().getScan();
  bool hasCarries = computesCarries(number);
  EachChunkOp loop =
      createEachChunk(builder, loc, scan.getDirection(), loadInits(hasCarries));
  loop.setOverlap(planned.overlap);
  mapping.map(scan.getValid(), loop.getValid());
  mapping.map(plan.getProgram().getMap().getValid(), loop.getValid());
  for (auto [i, arg] : llvm::enumerate(loop.getCarryArgs()))
    mapping.map(scan.getCarryArg(i), arg);
  // First what was there before: the chunk's products overwrite a carry.
  if (hasCarries)
    storeOuts(/*op=*/nullptr, number);
  for (Operation *op : planned.ops) {
    cloneOp(op, number);
    addSinks(op, number);
  }
  SmallVector<Value> carries;
  if (hasCarries)
    for (Value carry : scan.getYield().getCarries())
      carries.push_back(mapOperand(carry, number));
  YieldOp::create(builder, loc, carries);
  builder.setInsertionPointAfter(loop);
  for (auto [i, final] : llvm::enumerate(loop.getFinals()))
    if (!scan.getFinals()[i].use_empty())
      StoreOp::create(builder, loc, final, kernel.getFinalArgs()[i],
                      /*via=*/Value());
}

void RoleWriter::cloneOp(Operation *op, unsigned role) {
  IRMapping operands;
  for (Value operand : op->getOperands())
    operands.map(operand, mapOperand(operand, role));
  Operation *clone = builder.clone(*op, operands);
  for (auto [result, cloned] :
       llvm::zip_equal(op->getResults(), clone->getResults()))
    mapping.map(result, cloned);
}

Value RoleWriter::getTile(const Source &source, unsigned role) {
  auto place = plan.findChannel(source, role);
  assert(place && "what a role does not compute itself crosses");
  auto [number, tile] = *place;
  GetOp &get = gets[number];
  if (!get) {
    auto type = cast<ChannelType>(channels[number].getType());
    SmallVector<Type> tiles;
    for (Type held : type.getTiles())
      tiles.push_back(cast<RankedTensorType>(held).clone(kernel.getCompute()));
    get = GetOp::create(builder, loc, tiles, channels[number]);
  }
  return get.getTiles()[tile];
}

Value RoleWriter::mapOperand(Value operand, unsigned role) {
  if (Value known = mapping.lookupOrNull(operand))
    return known;
  const FusedProgram &program = plan.getProgram();
  Source source = program.resolve(operand);
  Operation *def = source.value ? source.value.getDefiningOp() : nullptr;
  if (def && program.isFree(def)) {
    cloneOp(def, role);
  } else if (source.value && mapping.contains(source.value)) {
    mapping.map(operand, mapping.lookup(source.value));
  } else {
    mapping.map(operand, getTile(source, role));
  }
  return mapping.lookup(operand);
}

//===----------------------------------------------------------------------===//
// What leaves a role
//===----------------------------------------------------------------------===//

Value RoleWriter::findVia(Type stored) {
  // With warps that only load there is room for a tile of its own.
  if (!loading.onTheSide)
    return {};
  for (auto [number, channel] : llvm::enumerate(plan.getChannels())) {
    GetOp get = gets.lookup(number);
    if (!get || channel.filler || channel.readers.size() != 1)
      continue;
    for (auto [tile, held] :
         llvm::zip_equal(get.getTiles(), get.getChannel().getType().getTiles()))
      if (held == stored)
        return tile;
  }
  return {};
}

void RoleWriter::storeOuts(Operation *op, unsigned role) {
  const FusedProgram &program = plan.getProgram();
  auto store = [&](Value tile, unsigned out) {
    if (tile.getDefiningOp() != op || !mapping.contains(tile))
      return;
    BlockArgument target = kernel.getOutArgs()[out];
    Value mapped = mapping.lookup(tile);
    Type element =
        cast<GlobalType>(target.getType()).getTensor().getElementType();
    // What is computed later may read the tile again.
    Value via;
    if (op == plan.getRoles()[role].ops.back())
      via = findVia(cast<RankedTensorType>(mapped.getType()).clone(element));
    StoreOp::create(builder, loc, mapped, target, via);
  };
  unsigned out = 0;
  for (Value tile : program.getScan().getYield().getOuts())
    store(tile, out++);
  for (unsigned kept : program.getKeptOuts())
    store(program.getMap().getYield().getOuts()[kept], out++);
}

void RoleWriter::addSinks(Operation *op, unsigned role) {
  storeOuts(op, role);
  for (auto [planned, channel] :
       llvm::zip_equal(plan.getChannels(), channels)) {
    auto isHere = [&](Value value) { return mapping.contains(value); };
    bool makesOne = llvm::any_of(planned.values, [&](Value value) {
      return value.getDefiningOp() == op;
    });
    if (planned.filler != role || !makesOne ||
        !llvm::all_of(planned.values, isHere))
      continue;
    SmallVector<Value> tiles;
    for (Value value : planned.values)
      tiles.push_back(mapping.lookup(value));
    PutOp::create(builder, loc, tiles, channel);
  }
}
