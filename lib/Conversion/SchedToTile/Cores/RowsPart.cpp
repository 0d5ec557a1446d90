//===- RowsPart.cpp - What follows from a token's rows alone --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RowsPart.h"

#include "SpreadPlan.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

/// Returns what a tile is a broadcast of, or itself.
static Value getRoot(Value tile) {
  while (auto broadcast = tile.getDefiningOp<linalg::BroadcastOp>())
    tile = broadcast.getInput();
  return tile;
}

/// True for an operation that computes nothing where it stands: it is loaded,
/// stored, convolved as it is loaded, or made where it is used.
static bool isElsewhere(Operation *op) {
  return isa<sched::LoadOp, sched::StoreOp, ConvRowOp, tensor::EmptyOp>(op) ||
         (op->getNumResults() == 1 &&
          SpreadPlan::isMadeWhereUsed(op->getResult(0)));
}

namespace mlir::wyvern {
/// Fills a RowsPart.
class RowsFinder {
public:
  RowsFinder(RowsPart &part, sched::EachChunkOp loop, const SpreadPlan &plan)
      : part(part), loop(loop), plan(plan) {}

  void find() {
    for (auto [i, carry] : llvm::enumerate(loop.getCarryArgs()))
      if (i > 0 && !SpreadPlan::isWindow(carry))
        part.carries.push_back(i);
    do
      findOps();
    while (dropCarries());
    findRead();
    findChain();
    if (part.read.empty() && part.carries.empty())
      part.ops.clear();
  }

private:
  bool isKnown(Value tile);
  void findOps();
  bool dropCarries();
  void findRead();
  void findChain();
  Value getNext(unsigned carry) { return loop.getYield().getCarries()[carry]; }

  RowsPart &part;
  sched::EachChunkOp loop;
  const SpreadPlan &plan;
};
} // namespace mlir::wyvern

RowsPart RowsPart::find(sched::RoleOp role, const SpreadPlan &plan) {
  RowsPart part;
  if (role.getShareRows())
    RowsFinder(part, role.getEachChunk(), plan).find();
  return part;
}

/// True for what a warp has or makes: rows that no block has a part of, and
/// what is the same everywhere.
bool RowsFinder::isKnown(Value tile) {
  if (!isa<RankedTensorType>(tile.getType()))
    return true;
  tile = getRoot(tile);
  if (plan.getSplitDim(tile))
    return false;
  if (auto arg = dyn_cast<BlockArgument>(tile))
    return llvm::any_of(part.carries, [&](unsigned i) {
      return arg == loop.getCarryArgs()[i];
    });
  Operation *def = tile.getDefiningOp();
  return isElsewhere(def) || part.contains(def);
}

void RowsFinder::findOps() {
  part.ops.clear();
  for (Operation &op : loop.getBlock().without_terminator()) {
    bool isOne =
        isa<linalg::ContractOp, linalg::TransposeOp, linalg::ReduceOp,
            RepeatRowsOp, SplitColumnsOp, JoinColumnsOp, MaskRowsOp>(op) ||
        op.hasTrait<OpTrait::Elementwise>();
    auto isWhole = [&](Value result) { return !plan.getSplitDim(result); };
    if (isOne && !isElsewhere(&op) && llvm::all_of(op.getResults(), isWhole) &&
        llvm::all_of(op.getOperands(),
                     [&](Value tile) { return isKnown(tile); }))
      part.ops.insert(&op);
  }
}

/// Calls `body` with every operation that reads `tile`, or a broadcast of it.
static void forEachReader(Value tile, function_ref<void(Operation *)> body) {
  for (Operation *user : tile.getUsers()) {
    if (isa<linalg::BroadcastOp>(user))
      forEachReader(user->getResult(0), body);
    else
      body(user);
  }
}

bool RowsPart::reads(Value tile) const {
  bool found = false;
  forEachReader(tile, [&](Operation *reader) { found |= contains(reader); });
  return found;
}

/// Leaves out vectors that others make or read; returns true if there is one.
bool RowsFinder::dropCarries() {
  auto isOthers = [&](unsigned i) {
    Operation *def = getNext(i).getDefiningOp();
    bool isOf = def && part.contains(def);
    forEachReader(loop.getCarryArgs()[i],
                  [&](Operation *reader) { isOf &= part.contains(reader); });
    return !isOf;
  };
  size_t before = part.carries.size();
  llvm::erase_if(part.carries, isOthers);
  return part.carries.size() != before;
}

void RowsFinder::findRead() {
  auto note = [&](Value tile) {
    tile = getRoot(tile);
    if (Operation *def = tile.getDefiningOp(); def && part.contains(def))
      part.read.insert(tile);
  };
  for (Operation &op : loop.getBlock().without_terminator())
    if (!part.contains(&op) && (isa<sched::StoreOp>(op) || !isElsewhere(&op)))
      llvm::for_each(op.getOperands(), note);
  for (auto [i, next] : llvm::enumerate(loop.getYield().getCarries()))
    if (!part.hasCarry(i))
      note(next);
}

void RowsFinder::findChain() {
  SmallVector<Value> worklist =
      llvm::map_to_vector(part.carries, [&](unsigned i) { return getNext(i); });
  while (!worklist.empty()) {
    Operation *def = getRoot(worklist.pop_back_val()).getDefiningOp();
    if (def && part.contains(def) && part.chain.insert(def).second)
      llvm::append_range(worklist, def->getOperands());
  }
}
