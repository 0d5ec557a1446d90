//===- RoleWriter.cpp - A plan of roles, written as a kernel
//----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RoleWriter.h"

#include "Starts.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/SetVector.h"

#include <algorithm>
#include <map>

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::sched;
using Source = FusedProgram::Source;

KernelTensors sched::getFusedTensors(const FusedProgram &program) {
  KernelTensors tensors = getOwnTensors(
      cast<delta::ChunkProgramOpInterface>(program.getScan().getOperation()));
  tensors.ins.clear();
  tensors.inBindings.clear();
  tensors.outs.clear();
  tensors.outBindings.clear();
  for (const FusedProgram::In &in : program.getIns()) {
    tensors.ins.push_back(in.tensor);
    tensors.inBindings.push_back(in.binding);
  }
  for (const FusedProgram::Out &out : program.getOuts()) {
    tensors.outs.push_back(out.tensor);
    tensors.outBindings.push_back(out.binding);
  }
  return tensors;
}

void sched::replaceFused(const FusedProgram &program,
                         const KernelTensors &tensors, KernelOp kernel) {
  SmallVector<Value> values(tensors.outs);
  llvm::append_range(values, tensors.finals);
  for (auto [value, result] : llvm::zip_equal(values, kernel->getResults()))
    value.replaceAllUsesWith(result);
  llvm::SmallSetVector<Operation *, 2> starts;
  for (Value init : program.getScan().getInits())
    if (auto made = init.getDefiningOp<delta::ChunkMapOp>())
      starts.insert(made);
  Operation *scan = program.getScan(), *map = program.getMap();
  bool isScanFirst = scan->isBeforeInBlock(map);
  (isScanFirst ? map : scan)->erase();
  (isScanFirst ? scan : map)->erase();
  // A role makes what such a map wrote for this scan alone.
  for (Operation *made : starts)
    if (made->use_empty())
      made->erase();
}

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
    channels.push_back(ChannelOp::create(
        builder, loc, ChannelType::get(builder.getContext(), tiles),
        channel.depth, channel.filler ? Fill::warps : Fill::tma,
        channel.across));
  }
}

void RoleWriter::addLoadRoles() {
  // In the order of the roles that they are within; first those within none.
  std::map<std::optional<unsigned>, SmallVector<unsigned>> loaded;
  for (auto [number, channel] : llvm::enumerate(plan.getChannels()))
    if (!channel.filler)
      loaded[channel.host].push_back(number);
  for (auto &[host, numbers] : loaded) {
    std::stable_partition(numbers.begin(), numbers.end(), [&](unsigned number) {
      return plan.getChannels()[number].isFirst;
    });
    addLoadRole(numbers, host);
  }
}

void RoleWriter::addLoadRole(ArrayRef<unsigned> numbers,
                             std::optional<unsigned> host) {
  std::string name = "load";
  if (host)
    name += "_" + plan.getRoles()[*host].name;
  RoleOp role = createRole(builder, kernel, name, /*warps=*/1);
  if (loadRegisters && !host)
    role.setRegisters(*loadRegisters);
  if (host)
    role.setWithin(plan.getRoles()[*host].name);
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
    put.setAhead(plan.getChannels()[number].ahead);
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

bool RoleWriter::readsProduct(Operation *op, unsigned number) const {
  return llvm::any_of(op->getOperands(), [&](Value operand) {
    Value made = plan.getProgram().resolve(operand).value;
    auto def = made ? made.getDefiningOp<delta::ChunkRegionOpInterface>()
                    : delta::ChunkRegionOpInterface();
    return def && def.getMatmulFlops() > 0 && plan.computes(number, made);
  });
}

void RoleWriter::addRole(unsigned number) {
  const PlannedRole &planned = plan.getRoles()[number];
  RoleOp role = createRole(builder, kernel, planned.name, planned.warps);
  role.setSplit(planned.split);
  role.setCopies(planned.copies);
  role.setDivided(planned.divided);
  role.setInTurn(planned.inTurn);
  if (planned.registers)
    role.setRegisters(*planned.registers);
  mapping.clear();
  gets.clear();
  delta::ChunkScanOp scan = plan.getProgram().getScan();
  bool hasCarries = computesCarries(number);
  auto ofScan = cast<delta::ChunkProgramOpInterface>(scan.getOperation());
  SmallVector<Value> starts;
  if (hasCarries)
    starts = createStarts(builder, ofScan, kernel);
  EachChunkOp loop = createEachChunk(builder, loc, scan.getDirection(), starts);
  loop.setOverlap(planned.overlap);
  mapping.map(scan.getValid(), loop.getValid());
  mapping.map(plan.getProgram().getMap().getValid(), loop.getValid());
  for (auto [i, arg] : llvm::enumerate(loop.getCarryArgs()))
    mapping.map(scan.getCarryArg(i), arg);
  // First what others wait for. Carries are stored beside the first products,
  // before what is made of these: the chunk's last ones overwrite a carry.
  if (hasCarries)
    putTiles(/*op=*/nullptr, number);
  bool storesCarries = hasCarries;
  for (Operation *op : planned.ops) {
    if (storesCarries && readsProduct(op, number)) {
      storeOuts(/*op=*/nullptr, number);
      storesCarries = false;
    }
    cloneOp(op, number);
    putTiles(op, number);
    storeOuts(op, number);
  }
  if (storesCarries)
    storeOuts(/*op=*/nullptr, number);
  SmallVector<Value> carries;
  if (hasCarries)
    for (Value carry : scan.getYield().getCarries())
      carries.push_back(mapOperand(carry, number));
  YieldOp::create(builder, loc, carries);
  if (hasCarries)
    storeFinals(builder, ofScan, kernel, loop);
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
  Source source = plan.getSource(operand, role);
  Operation *def = source.value ? source.value.getDefiningOp() : nullptr;
  Value made = program.resolve(operand).value;
  if (def && program.isFree(def)) {
    cloneOp(def, role);
  } else if (source.value && made != source.value) {
    // It comes rounded, and in the compute type.
    auto rounded = made.getDefiningOp<arith::TruncFOp>();
    IRMapping operands;
    operands.map(rounded.getIn(), getTile(source, role));
    mapping.map(operand, builder.clone(*rounded, operands)->getResult(0));
  } else if (source.value && mapping.contains(source.value)) {
    mapping.map(operand, mapping.lookup(source.value));
  } else if (plan.isNumber(source)) {
    BlockArgument arg = kernel.getInArgs()[*source.in];
    auto load = LoadOp::create(builder, loc, kernel.getTileType(arg), arg);
    mapping.map(operand, load.getTile());
  } else {
    mapping.map(operand, getTile(source, role));
  }
  return mapping.lookup(operand);
}

//===----------------------------------------------------------------------===//
// What leaves a role
//===----------------------------------------------------------------------===//

Value RoleWriter::findVia(Type stored) {
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

/// True for a matrix of tokens in 16 bits (K45).
static bool canStoreDirect(RankedTensorType type, BlockArgument target) {
  auto kernel = cast<KernelOp>(target.getOwner()->getParentOp());
  return type.getRank() == 2 && type.getElementTypeBitWidth() == 16 &&
         kernel.getBinding(target).has(delta::DimKind::time);
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
    const PlannedRole &planned = plan.getRoles()[role];
    using Stores = PlannedRole::Stores;
    auto type = cast<RankedTensorType>(mapped.getType()).clone(element);
    // What is computed later may read the tile again.
    Value via;
    if (planned.stores == Stores::via && op == planned.ops.back())
      via = findVia(type);
    bool isDirect =
        planned.stores == Stores::direct && canStoreDirect(type, target);
    StoreOp::create(builder, loc, mapped, target, via, isDirect);
  };
  for (auto [number, out] : llvm::enumerate(program.getOuts()))
    store(out.tile, number);
}

void RoleWriter::putTiles(Operation *op, unsigned role) {
  for (auto [planned, channel] :
       llvm::zip_equal(plan.getChannels(), channels)) {
    auto isHere = [&](Value value) { return mapping.contains(value); };
    bool makesOne = llvm::any_of(planned.values, [&](Value value) {
      return plan.getPutPoint(value, role) == op;
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
