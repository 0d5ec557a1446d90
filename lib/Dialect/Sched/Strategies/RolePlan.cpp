//===- RolePlan.cpp - Operations of a program, divided into roles
//-----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RolePlan.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::sched;
using Source = FusedProgram::Source;

static bool areSame(const Source &a, const Source &b) {
  return a.value == b.value && a.in == b.in && a.stored == b.stored;
}

RolePlan::RolePlan(const FusedProgram &program,
                   SmallVector<PlannedRole> planned, bool apart)
    : program(program), roles(std::move(planned)), apart(apart) {
  for (auto [i, role] : llvm::enumerate(roles))
    for (Operation *op : role.ops)
      roleOfOp.try_emplace(op, i);
  addUses();
  groupUses();
}

std::optional<unsigned> RolePlan::getRoleOf(Value value) const {
  if (std::optional<unsigned> carry = program.getCarry(value))
    return getRoleOf(
        program.resolve(program.getScan().getYield().getCarries()[*carry])
            .value);
  Operation *op = value ? value.getDefiningOp() : nullptr;
  auto it = roleOfOp.find(op);
  return it == roleOfOp.end() ? std::nullopt : std::optional(it->second);
}

bool RolePlan::computes(unsigned role, Value value) const {
  return getRoleOf(value) == role ||
         (value && llvm::is_contained(roles[role].ops, value.getDefiningOp()));
}

Operation *RolePlan::getPutPoint(Value value, unsigned role) const {
  Operation *point = value.getDefiningOp();
  if (!apart || putsAtOnce || !point || delta::getTileRank(value) != 2)
    return point;
  llvm::SmallPtrSet<Operation *, 8> made = {point};
  for (Operation *op : roles[role].ops) {
    auto chunkOp = dyn_cast<delta::ChunkRegionOpInterface>(op);
    bool isProduct = chunkOp && chunkOp.getMatmulFlops() > 0;
    bool isOfIt = llvm::any_of(op->getOperands(), [&](Value operand) {
      return made.contains(operand.getDefiningOp());
    });
    if (isProduct || !isOfIt)
      continue;
    if (isa<linalg::ReduceOp>(op))
      point = op;
    else if (delta::getTileRank(op->getResult(0)) == 2)
      made.insert(op);
  }
  return point;
}

Source RolePlan::getSource(Value operand, unsigned role) const {
  Source source = program.resolve(operand);
  auto rounded =
      source.value ? source.value.getDefiningOp<arith::TruncFOp>() : nullptr;
  if (!rounded || program.isFree(rounded) || computes(role, source.value))
    return source;
  return {rounded.getIn(), std::nullopt, getElementTypeOrSelf(source.value)};
}

//===----------------------------------------------------------------------===//
// What crosses
//===----------------------------------------------------------------------===//

bool RolePlan::areSummandsFor(const PlannedChannel &channel,
                              unsigned role) const {
  return channel.filler && roles[*channel.filler].divided && channel.isVector &&
         channel.isReadBy(role);
}

void RolePlan::joinSummands(unsigned role, int64_t blocks) {
  PlannedChannel *first = nullptr;
  for (PlannedChannel &channel : channels) {
    if (!areSummandsFor(channel, role))
      continue;
    if (!first || first->filler != channel.filler) {
      first = &channel;
      channel.across = true;
      channel.summands = blocks;
      continue;
    }
    llvm::append_range(first->values, channel.values);
    llvm::append_range(first->types, channel.types);
    channel.values.clear();
  }
  llvm::erase_if(channels, [](const PlannedChannel &channel) {
    return channel.filler && channel.values.empty();
  });
  for (const PlannedChannel &channel : channels)
    if (areSummandsFor(channel, role))
      makeFirst(channel.values, *channel.filler);
}

void RolePlan::makeFirst(ArrayRef<Value> values, unsigned role) {
  llvm::SetVector<Operation *> needed;
  auto add = [&](Value value) {
    Value made = program.resolve(value).value;
    Operation *def = made ? made.getDefiningOp() : nullptr;
    if (llvm::is_contained(roles[role].ops, def))
      needed.insert(def);
  };
  llvm::for_each(values, add);
  for (size_t i = 0; i < needed.size(); ++i)
    llvm::for_each(needed[i]->getOperands(), add);
  llvm::stable_sort(roles[role].ops, [&](Operation *a, Operation *b) {
    return needed.contains(a) && !needed.contains(b);
  });
}

void RolePlan::joinLoadedVectors() {
  auto isOfVectors = [&](const PlannedChannel &channel) {
    return !channel.filler && llvm::all_of(channel.ins, [&](unsigned in) {
      return countDims({Value(), in, Type()}) == 1;
    });
  };
  PlannedChannel *first = llvm::find_if(channels, isOfVectors);
  if (first == channels.end())
    return;
  for (PlannedChannel *channel = std::next(first); channel != channels.end();
       ++channel) {
    if (!isOfVectors(*channel))
      continue;
    llvm::append_range(first->ins, channel->ins);
    llvm::append_range(first->readers, channel->readers);
    channel->ins.clear();
  }
  llvm::sort(first->readers);
  first->readers.erase(llvm::unique(first->readers), first->readers.end());
  llvm::erase_if(channels, [](const PlannedChannel &channel) {
    return !channel.filler && channel.ins.empty();
  });
}

void RolePlan::findChannels(const Source &source, unsigned role,
                            llvm::SmallSetVector<unsigned, 8> &numbers) const {
  Operation *def = source.value ? source.value.getDefiningOp() : nullptr;
  if (def && program.isFree(def)) {
    for (Value operand : def->getOperands())
      findChannels(getSource(operand, role), role, numbers);
    return;
  }
  if (auto place = findChannel(source, role))
    numbers.insert(place->first);
}

void RolePlan::loadForFirstPut() {
  auto *turned =
      llvm::find_if(roles, [](const PlannedRole &role) { return role.inTurn; });
  if (turned == roles.end())
    return;
  unsigned role = turned - roles.begin();
  auto isPut = [&](Operation *op) {
    return llvm::any_of(channels, [&](const PlannedChannel &channel) {
      return channel.filler == role &&
             llvm::is_contained(channel.values, op->getResult(0));
    });
  };
  llvm::SmallSetVector<unsigned, 8> needed;
  for (Operation *op : turned->ops) {
    for (Value operand : op->getOperands())
      findChannels(getSource(operand, role), role, needed);
    if (isPut(op))
      break;
  }
  for (unsigned number : needed)
    channels[number].isFirst = true;
}

void RolePlan::setInTurn(unsigned role, int64_t blocks) {
  roles[role].inTurn = true;
  for (PlannedChannel &channel : channels)
    if (channel.filler == role)
      channel.across = true;
  joinSummands(role, blocks);
}

void RolePlan::addUse(const Source &source, unsigned role) {
  // What is free is made here, of operands that may cross.
  Operation *def = source.value ? source.value.getDefiningOp() : nullptr;
  if (def && program.isFree(def)) {
    for (Value operand : def->getOperands())
      addUse(getSource(operand, role), role);
    return;
  }
  if (isNumber(source))
    return;
  if (!source.in && (!getRoleOf(source.value) || computes(role, source.value)))
    return;
  auto *it = llvm::find_if(crossings, [&](const Crossing &crossing) {
    return areSame(crossing.source, source);
  });
  if (it == crossings.end()) {
    crossings.push_back({source, {}});
    it = &crossings.back();
  }
  if (!llvm::is_contained(it->readers, role))
    it->readers.push_back(role);
}

void RolePlan::addUses() {
  for (auto [i, role] : llvm::enumerate(roles))
    for (Operation *op : role.ops)
      for (Value operand : op->getOperands())
        addUse(getSource(operand, i), i);
  for (Crossing &crossing : crossings)
    llvm::sort(crossing.readers);
}

/// Returns the type in which a computed tile crosses: as it would be stored
/// between two kernels, else as it is. Vectors are held in f32.
static Type getCrossingType(const Source &source) {
  auto type = cast<RankedTensorType>(source.value.getType());
  return source.stored && type.getRank() == 2 ? type.clone(source.stored)
                                              : type;
}

int64_t RolePlan::countDims(const Source &source) const {
  auto binding = program.getIns()[*source.in].binding;
  return llvm::count_if(binding.getDims(), [](delta::BoundDim dim) {
    return dim.kind == delta::DimKind::time ||
           dim.kind == delta::DimKind::whole;
  });
}

bool RolePlan::isNumber(const Source &source) const {
  return source.in && countDims(source) == 0;
}

void RolePlan::groupUses() {
  for (const Crossing &crossing : crossings) {
    std::optional<unsigned> filler = getRoleOf(crossing.source.value);
    // A product is put as soon as it is made; vectors are made together, long
    // before the products beside them.
    bool isVector =
        filler &&
        cast<RankedTensorType>(crossing.source.value.getType()).getRank() == 1;
    bool isAlone = filler ? apart || !isVector
                          : apart && crossing.readers.size() > 1 &&
                                countDims(crossing.source) > 1;
    auto *it = llvm::find_if(channels, [&](const PlannedChannel &channel) {
      return !isAlone && channel.filler == filler &&
             channel.isVector == isVector &&
             channel.readers == crossing.readers;
    });
    if (it == channels.end()) {
      channels.push_back({filler, isVector, crossing.readers});
      it = &channels.back();
    }
    if (crossing.source.in) {
      it->ins.push_back(*crossing.source.in);
      continue;
    }
    it->values.push_back(crossing.source.value);
    it->types.push_back(getCrossingType(crossing.source));
  }
  // First what is loaded; then in the order of the roles that compute.
  llvm::stable_sort(channels,
                    [](const PlannedChannel &a, const PlannedChannel &b) {
                      return a.filler < b.filler;
                    });
}

std::optional<std::pair<unsigned, unsigned>>
RolePlan::findChannel(const Source &source, unsigned role) const {
  for (auto [i, channel] : llvm::enumerate(channels)) {
    if (!llvm::is_contained(channel.readers, role))
      continue;
    if (source.in) {
      const auto *it = llvm::find(channel.ins, *source.in);
      if (it != channel.ins.end())
        return std::pair<unsigned, unsigned>(i, it - channel.ins.begin());
      continue;
    }
    for (auto [tile, value] : llvm::enumerate(channel.values))
      if (value == source.value &&
          channel.types[tile] == getCrossingType(source))
        return std::pair<unsigned, unsigned>(i, tile);
  }
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// The order of a role's operations
//===----------------------------------------------------------------------===//

namespace {
/// When the operands of a role's operations come.
class Arrival {
public:
  Arrival(const RolePlan &plan, unsigned role) : plan(plan), role(role) {}

  /// Lets elementwise work of `ops` whose result is needed later wait until
  /// just before: it would hold registers, and a carry that it scales must not
  /// be touched while a product is in flight (ptxas C7517).
  void delay(ArrayRef<Operation *> ops) {
    for (Operation *op : llvm::reverse(ops)) {
      if (!op->hasTrait<OpTrait::Elementwise>())
        continue;
      std::optional<int64_t> first;
      for (Operation *user : op->getUsers())
        if (llvm::is_contained(ops, user))
          first = std::min(first.value_or(getLevel(user)), getLevel(user));
      if (first && *first - 1 > getLevel(op))
        levels[op] = *first - 1;
    }
  }

  /// Returns the last channel that `op` waits for, itself or through what it
  /// reads; -1 for none.
  int64_t getLevel(Operation *op) {
    if (auto it = levels.find(op); it != levels.end())
      return it->second;
    int64_t level = -1;
    for (Value operand : op->getOperands())
      level = std::max(level, getLevel(plan.getSource(operand, role)));
    return levels[op] = level;
  }

private:
  int64_t getLevel(const Source &source) {
    if (auto place = plan.findChannel(source, role))
      return place->first;
    Operation *def = source.value ? source.value.getDefiningOp() : nullptr;
    return def ? getLevel(def) : -1;
  }

  const RolePlan &plan;
  unsigned role;
  llvm::DenseMap<Operation *, int64_t> levels;
};
} // namespace

void RolePlan::orderByArrival(unsigned role, ValueRange carries) {
  llvm::SetVector<Operation *> recurrence;
  auto add = [&](Value value) {
    Operation *def = program.resolve(value).value
                         ? program.resolve(value).value.getDefiningOp()
                         : nullptr;
    if (def)
      recurrence.insert(def);
  };
  for (Value carry : carries)
    add(carry);
  for (size_t i = 0; i < recurrence.size(); ++i)
    for (Value operand : recurrence[i]->getOperands())
      add(operand);
  Arrival arrival(*this, role);
  for (Operation *op : roles[role].ops)
    (void)arrival.getLevel(op);
  arrival.delay(roles[role].ops);
  llvm::stable_sort(roles[role].ops, [&](Operation *a, Operation *b) {
    return std::pair(arrival.getLevel(a), !recurrence.contains(a)) <
           std::pair(arrival.getLevel(b), !recurrence.contains(b));
  });
}
