//===- Rotate.cpp - tile-rotate -----------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Tile/Transforms/Passes.h"

#include "InFlight.h"
#include "LiveRegisters.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Remarks.h"
#include "llvm/ADT/SetVector.h"

namespace mlir::wyvern::tile {
#define GEN_PASS_DEF_TILEROTATEPASS
#include "wyvern/Dialect/Tile/Transforms/Passes.h.inc"
} // namespace mlir::wyvern::tile

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

//===----------------------------------------------------------------------===//
// Where a round is cut
//===----------------------------------------------------------------------===//

namespace {
/// A round of a loop in parts, in program order. Nothing is in flight between
/// `front` and `update`.
struct Parts {
  /// What the first product needs beside the carries: stages waited for, their
  /// rows zeroed. It comes while nothing is in flight, since ptxas gives
  /// pipelining up where it finds a branch beside products (C7514).
  SmallVector<Operation *> ready;
  /// Up to the first product, which the tail of the round before runs beside.
  SmallVector<Operation *> head;
  /// From there to the cut.
  SmallVector<Operation *> front;
  /// Up to where the carries are known.
  SmallVector<Operation *> update;
  /// What no carry needs.
  SmallVector<Operation *> tail;
};
} // namespace

/// True if `value` is what the round before has left, or a multiple of it.
static bool isCarry(Value value, Block &block) {
  if (auto arg = dyn_cast_or_null<BlockArgument>(value))
    return arg.getOwner() == &block;
  Operation *def = value ? value.getDefiningOp() : nullptr;
  return def && def->hasTrait<OpTrait::Elementwise>() &&
         llvm::any_of(def->getOperands(),
                      [&](Value operand) { return isCarry(operand, block); });
}

/// True for a product that adds to a carry.
static bool addsToCarry(Operation *op, Block &block) {
  auto mma = dyn_cast<MmaOp>(op);
  return mma && isCarry(mma.getC(), block);
}

/// Returns the last operation before `end` behind which no product is in
/// flight although there was one, null if there is none.
static Operation *findCut(Block &block, Operation *end) {
  Operation *cut = nullptr;
  int64_t inFlight = 0;
  for (Operation &op : block) {
    if (&op == end)
      break;
    if (isa<MmaOp>(op))
      ++inFlight;
    auto await = dyn_cast<AwaitOp>(op);
    bool completesAll = isa<EraseApplyOp, AddScaledOp>(op);
    if (completesAll || (await && inFlight > 0)) {
      inFlight =
          completesAll ? 0 : std::min<int64_t>(inFlight, await.getPending());
      if (inFlight == 0)
        cut = &op;
    }
  }
  return cut;
}

/// Returns the operation with which the last carry is known, and what is right
/// behind it of stores of that, which are branches and stand beside no product,
/// and of releases: the sooner a stage goes back, the better.
static Operation *findSettled(Block &block) {
  Operation *settled = nullptr;
  for (Value carry : block.getTerminator()->getOperands()) {
    Operation *def = carry.getDefiningOp();
    if (def && def->getBlock() == &block &&
        (!settled || settled->isBeforeInBlock(def)))
      settled = def;
  }
  if (!settled)
    return nullptr;
  for (Operation &op :
       llvm::make_range(std::next(settled->getIterator()), block.end()))
    if (op.hasAttr(kSettlesAttr))
      settled = &op;
  while (isa<ReleaseOp>(settled->getNextNode()))
    settled = settled->getNextNode();
  return settled;
}

/// True if `op`, or something in its regions, is computed from what the round
/// before has left.
static bool needsCarry(Operation *op, Block &block) {
  auto isLeft = [&](Value operand) {
    if (auto arg = dyn_cast<BlockArgument>(operand))
      return arg.getOwner() == &block && arg.getArgNumber() > 0;
    Operation *def = operand.getDefiningOp();
    return def->getBlock() == &block && needsCarry(def, block);
  };
  WalkResult found = op->walk([&](Operation *inner) {
    return llvm::any_of(inner->getOperands(), isLeft) ? WalkResult::interrupt()
                                                      : WalkResult::advance();
  });
  return found.wasInterrupted();
}

/// Divides a round; says in `why` what is missing.
static std::optional<Parts> divide(scf::ForOp loop, StringRef &why) {
  Block &block = *loop.getBody();
  Operation *cut = nullptr, *settled = findSettled(block);
  for (Operation &op : block)
    if (addsToCarry(&op, block)) {
      cut = findCut(block, &op);
      break;
    }
  if (!cut || !settled || !cut->isBeforeInBlock(settled)) {
    why = "no product adds to a carry behind a place where none is in flight";
    return std::nullopt;
  }
  if (getConstantIntValue(loop.getLowerBound()) != 0 ||
      getConstantIntValue(loop.getStep()) != 1) {
    why = "its rounds are not 0, 1, 2, ...";
    return std::nullopt;
  }
  Parts parts;
  SmallVector<Operation *> *part = &parts.head;
  for (Operation &op : block.without_terminator()) {
    if (part == &parts.head && !needsCarry(&op, block))
      parts.ready.push_back(&op);
    else
      part->push_back(&op);
    if (part == &parts.head && isa<MmaOp>(op))
      part = &parts.front;
    if (&op == cut)
      part = &parts.update;
    else if (&op == settled)
      part = &parts.tail;
  }
  return parts;
}

//===----------------------------------------------------------------------===//
// The rotated loop
//===----------------------------------------------------------------------===//

/// True for what is made again where it is needed: index arithmetic, and tiles
/// that are a choice of registers.
static bool isMadeAgain(Operation *op) {
  return isPure(op) && op->getNumRegions() == 0 &&
         llvm::all_of(op->getResults(), [](Value result) {
           return result.getType().isIntOrIndex() ||
                  (isa<RankedTensorType>(result.getType()) &&
                   countRegisters(result) == 0);
         });
}

namespace {
/// Writes the loop anew: the head and front of the first round, a loop of
/// rounds that overlap, the update and tail of the last.
class Rotation {
public:
  Rotation(scf::ForOp loop, Parts parts)
      : loop(loop), block(*loop.getBody()), parts(std::move(parts)),
        builder(loop), loc(loop.getLoc()) {
    collectCrossing();
  }

  void run() {
    Value exists =
        arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne,
                              loop.getLowerBound(), loop.getUpperBound());
    auto ifOp = scf::IfOp::create(builder, loc, loop.getResultTypes(), exists,
                                  /*addThenBlock=*/true, /*addElseBlock=*/true);
    builder.setInsertionPointToStart(ifOp.elseBlock());
    scf::YieldOp::create(builder, loc, loop.getInits());
    builder.setInsertionPointToStart(ifOp.thenBlock());
    writeRounds();
    loop.replaceAllUsesWith(ifOp.getResults());
    loop.erase();
  }

private:
  /// Collects what the second half reads of the first.
  void collectCrossing() {
    llvm::SmallPtrSet<Operation *, 16> first;
    for (ArrayRef<Operation *> ops :
         {ArrayRef(parts.ready), ArrayRef(parts.head), ArrayRef(parts.front)})
      first.insert(ops.begin(), ops.end());
    std::function<void(Operation *)> addOperands = [&](Operation *op) {
      for (Value operand : op->getOperands()) {
        Operation *def = operand.getDefiningOp();
        if (!first.contains(def))
          continue;
        if (isMadeAgain(def))
          addOperands(def);
        else
          crossing.insert(operand);
      }
    };
    for (ArrayRef<Operation *> ops :
         {ArrayRef(parts.update), ArrayRef(parts.tail)})
      for (Operation *op : ops)
        op->walk(addOperands);
  }

  /// Returns what the values of round `round` are: so far its number and, where
  /// they are given, its carries.
  IRMapping beginRound(Value round, ValueRange carries = {}) {
    IRMapping mapping;
    mapping.map(loop.getInductionVar(), round);
    if (!carries.empty())
      mapping.map(loop.getRegionIterArgs(), carries);
    return mapping;
  }

  /// Makes `op` of a round, and first what it needs that is made again.
  void clone(Operation *op, IRMapping &mapping) {
    op->walk([&](Operation *inner) {
      for (Value operand : inner->getOperands()) {
        Operation *def = operand.getDefiningOp();
        if (def && def->getBlock() == &block && isMadeAgain(def) &&
            !mapping.contains(operand))
          clone(def, mapping);
      }
    });
    builder.clone(*op, mapping);
  }

  void clone(ArrayRef<Operation *> ops, IRMapping &mapping) {
    for (Operation *op : ops)
      if (!isMadeAgain(op))
        clone(op, mapping);
  }

  SmallVector<Value> lookup(ValueRange values, const IRMapping &mapping) {
    return llvm::map_to_vector(
        values, [&](Value value) { return mapping.lookupOrDefault(value); });
  }

  void writeRounds() {
    ValueRange results = loop.getYieldedValues();
    Value one = loop.getStep();
    Value last = arith::SubIOp::create(builder, loc, loop.getUpperBound(), one);
    IRMapping first = beginRound(loop.getLowerBound(), loop.getInits());
    clone(parts.ready, first);
    clone(parts.head, first);
    clone(parts.front, first);

    SmallVector<Value> inits(loop.getInits());
    llvm::append_range(inits, lookup(crossing.getArrayRef(), first));
    auto rotated = scf::ForOp::create(builder, loc, loop.getLowerBound(), last,
                                      one, inits);
    builder.setInsertionPointToStart(rotated.getBody());
    writeRound(rotated.getInductionVar(), rotated.getRegionIterArgs());
    builder.setInsertionPointAfter(rotated);

    size_t count = results.size();
    IRMapping end = beginRound(last, rotated.getResults().take_front(count));
    end.map(crossing.getArrayRef(), rotated.getResults().drop_front(count));
    clone(parts.update, end);
    clone(parts.tail, end);
    scf::YieldOp::create(builder, loc, lookup(results, end));
  }

  /// Writes the second half of round `round` and the first half of the next.
  void writeRound(Value round, ValueRange args) {
    ValueRange results = loop.getYieldedValues();
    Value next = arith::AddIOp::create(builder, loc, round, loop.getStep());
    IRMapping here = beginRound(round, args.take_front(results.size()));
    here.map(crossing.getArrayRef(), args.drop_front(results.size()));
    IRMapping ahead = beginRound(next);
    clone(parts.ready, ahead);
    clone(parts.update, here);
    SmallVector<Value> carries = lookup(results, here);
    ahead.map(loop.getRegionIterArgs(), carries);
    clone(parts.head, ahead);
    clone(parts.tail, here);
    clone(parts.front, ahead);
    llvm::append_range(carries, lookup(crossing.getArrayRef(), ahead));
    auto yield = scf::YieldOp::create(builder, loc, carries);
    for (auto await : yield->getBlock()->getOps<AwaitOp>())
      await.setPending(countPending(await));
  }

  scf::ForOp loop;
  Block &block;
  Parts parts;
  OpBuilder builder;
  Location loc;
  llvm::SetVector<Value> crossing;
};

struct Rotate : tile::impl::TileRotatePassBase<Rotate> {
  void runOnOperation() override {
    SmallVector<scf::ForOp> loops;
    getOperation().walk([&](scf::ForOp loop) {
      if (loop->hasAttr(kOverlapRoundsAttr))
        loops.push_back(loop);
    });
    for (scf::ForOp loop : loops) {
      StringRef why;
      std::optional<Parts> parts = divide(loop, why);
      if (!parts) {
        remark::missed(
            loop.getLoc(),
            remark::RemarkOpts::name("NotRotated").category(getArgument()))
            << ("the rounds of this loop cannot overlap: " + why).str();
        continue;
      }
      Rotation(loop, std::move(*parts)).run();
      ++numRotated;
    }
  }
};
} // namespace
