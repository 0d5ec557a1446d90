//===- Progress.cpp - Roles that do not wait for ever ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Every role is unrolled to the waits and hand-overs of a few rounds, as many
// as the deepest ring has stages and two more, and all are run on one
// processor. Rounds after these repeat what was seen.
//
//===----------------------------------------------------------------------===//

#include "Progress.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

namespace {
/// What a role does to a ring, for one use of it.
struct Step {
  enum Kind { acquire, commit, wait, release } kind;
  Value ring;
  int64_t use;
};

/// Unrolls a role.
class Unroller {
public:
  /// With `isPartial` chunks have fewer tokens than they may.
  Unroller(int64_t rounds, bool isPartial)
      : rounds(rounds), isPartial(isPartial) {}

  /// Appends the steps of `region` to `steps`; fails where a use is not known.
  LogicalResult unroll(Region &region);

  SmallVector<Step> steps;

private:
  LogicalResult visit(Operation &op);
  LogicalResult visitLoop(scf::ForOp loop);
  LogicalResult add(Step::Kind kind, Value ring, Value use);
  bool isTaken(scf::IfOp ifOp);
  /// Returns the number that `value` is; nothing where that is not known.
  std::optional<int64_t> evaluate(Value value);

  int64_t rounds;
  bool isPartial;
  DenseMap<Value, int64_t> known;
};

/// Runs the steps of all roles.
class Run {
public:
  explicit Run(ArrayRef<SmallVector<Step>> roles) : roles(roles) {
    for (auto [role, steps] : llvm::enumerate(roles))
      for (const Step &step : steps)
        if (step.kind == Step::release)
          released[step.ring].try_emplace(role, 0);
  }

  bool ends();

private:
  bool isReady(const Step &step);
  void take(const Step &step, unsigned role);

  ArrayRef<SmallVector<Step>> roles;
  DenseMap<Value, int64_t> committed;
  DenseMap<Value, DenseMap<unsigned, int64_t>> released;
};
} // namespace

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

std::optional<int64_t> Unroller::evaluate(Value value) {
  if (auto it = known.find(value); it != known.end())
    return it->second;
  Operation *def = value.getDefiningOp();
  if (auto constant = dyn_cast_or_null<arith::ConstantIndexOp>(def))
    return constant.value();
  if (!isa_and_nonnull<arith::AddIOp, arith::SubIOp, arith::CmpIOp>(def))
    return std::nullopt;
  std::optional<int64_t> a = evaluate(def->getOperand(0));
  std::optional<int64_t> b = evaluate(def->getOperand(1));
  if (!a || !b)
    return std::nullopt;
  if (auto compare = dyn_cast<arith::CmpIOp>(def))
    return arith::applyCmpPredicate(compare.getPredicate(), APInt(64, *a),
                                    APInt(64, *b));
  return isa<arith::AddIOp>(def) ? *a + *b : *a - *b;
}

bool Unroller::isTaken(scf::IfOp ifOp) {
  Value condition = ifOp.getCondition();
  // One of a role's warpgroups does it.
  if (auto both = condition.getDefiningOp<arith::AndIOp>())
    condition = both.getLhs();
  if (std::optional<int64_t> is = evaluate(condition))
    return *is != 0;
  return isPartial;
}

LogicalResult Unroller::add(Step::Kind kind, Value ring, Value use) {
  std::optional<int64_t> number = evaluate(use);
  if (!number)
    return failure();
  steps.push_back({kind, ring, *number});
  return success();
}

LogicalResult Unroller::visitLoop(scf::ForOp loop) {
  std::optional<int64_t> first = evaluate(loop.getLowerBound());
  std::optional<int64_t> step = evaluate(loop.getStep());
  std::optional<int64_t> end = evaluate(loop.getUpperBound());
  if (!first || !step || !end)
    return failure();
  for (int64_t i = *first; i < *end; i += *step) {
    known[loop.getInductionVar()] = i;
    if (failed(unroll(loop.getRegion())))
      return failure();
  }
  return success();
}

LogicalResult Unroller::visit(Operation &op) {
  if (auto acquire = dyn_cast<AcquireOp>(op))
    return add(Step::acquire, acquire.getRing(), acquire.getIndex());
  if (auto commit = dyn_cast<CommitOp>(op))
    return add(Step::commit, commit.getRing(), commit.getIndex());
  if (auto wait = dyn_cast<WaitOp>(op))
    return add(Step::wait, wait.getRing(), wait.getIndex());
  if (auto release = dyn_cast<ReleaseOp>(op))
    return add(Step::release, release.getRing(), release.getIndex());
  if (auto loop = dyn_cast<scf::ForOp>(op))
    return visitLoop(loop);
  if (auto ifOp = dyn_cast<scf::IfOp>(op); ifOp && !isTaken(ifOp))
    return ifOp.getElseRegion().empty() ? success()
                                        : unroll(ifOp.getElseRegion());
  if (isa<scf::IfOp, OneWarpOp>(op))
    return unroll(op.getRegion(0));
  return success();
}

LogicalResult Unroller::unroll(Region &region) {
  // As many rounds as each loop has are as many as there are chunks.
  for (auto loop : region.getOps<scf::ForOp>())
    if (!evaluate(loop.getUpperBound()))
      known[loop.getUpperBound()] = rounds;
  for (Operation &op : region.getOps())
    if (failed(visit(op)))
      return failure();
  return success();
}

//===----------------------------------------------------------------------===//
// Running them
//===----------------------------------------------------------------------===//

bool Run::isReady(const Step &step) {
  if (step.kind == Step::wait)
    return committed.lookup(step.ring) > step.use;
  int64_t depth = cast<RingType>(step.ring.getType()).getDepth();
  return step.kind != Step::acquire ||
         llvm::all_of(released[step.ring], [&](const auto &reader) {
           return reader.second > step.use - depth;
         });
}

void Run::take(const Step &step, unsigned role) {
  if (step.kind == Step::commit)
    ++committed[step.ring];
  if (step.kind == Step::release)
    ++released[step.ring][role];
}

bool Run::ends() {
  SmallVector<size_t> at(roles.size());
  bool goesOn = true;
  while (goesOn) {
    goesOn = false;
    for (auto [role, steps] : llvm::enumerate(roles))
      for (; at[role] < steps.size() && isReady(steps[at[role]]); ++at[role]) {
        take(steps[at[role]], role);
        goesOn = true;
      }
  }
  return llvm::all_of(llvm::enumerate(roles), [&](const auto &role) {
    return at[role.index()] == role.value().size();
  });
}

bool tile::mayProgress(KernelOp kernel) {
  int64_t rounds = 2;
  kernel.walk([&](AllocRingOp ring) {
    rounds = std::max<int64_t>(rounds, ring.getRing().getType().getDepth() + 2);
  });
  for (RolesOp roles : kernel.getBody().getOps<RolesOp>())
    for (bool isPartial : {false, true}) {
      SmallVector<SmallVector<Step>> all;
      for (Region &region : roles->getRegions()) {
        Unroller unroller(rounds, isPartial);
        if (failed(unroller.unroll(region)))
          return false;
        all.push_back(std::move(unroller.steps));
      }
      if (!Run(all).ends())
        return false;
    }
  return true;
}
