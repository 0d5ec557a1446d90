//===- PadDims.cpp - Head dimensions in whole column blocks ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Tiles grow, tensors stay: an in has zeros behind what memory holds, and of an
// out that much leaves. Which dimensions of the tiles between grow with these
// is what the loops of the operations say: all dimensions that an index runs
// over do.
//
//===----------------------------------------------------------------------===//

#include "SizeClasses.h"

#include "wyvern/Dialect/Delta/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/Support/MathExtras.h"

namespace mlir::wyvern::delta {
#define GEN_PASS_DEF_PADDIMSPASS
#include "wyvern/Dialect/Delta/Transforms/Passes.h.inc"
} // namespace mlir::wyvern::delta

using namespace mlir;
using namespace mlir::wyvern::delta;

namespace {
/// The tiles of one chunk program.
class ProgramPadder {
public:
  ProgramPadder(ChunkProgramOpInterface program, int64_t columns)
      : program(program), columns(columns) {}

  /// Returns how many operands and results have other tiles.
  unsigned pad();

private:
  /// One operand or result: its tensor, its tile, its binding.
  struct Bound {
    Value tensor, tile;
    BindingAttr binding;
  };
  SmallVector<Bound> getIns(), getCarries(), getOuts();

  /// True if some dimension may have to grow.
  bool isNarrow();
  /// Marks the classes of dimensions that are rows of tokens: these stay, in a
  /// factor as columns too.
  void markRows(ArrayRef<Bound> all);
  /// Marks the columns of halves: grown ones would be none of what they are
  /// halves of.
  void markHalves();
  /// Binds `all` to what they grow to and marks the dimensions that do.
  void grow(StringRef name, ArrayRef<Bound> all);
  void retype(Value value);

  ChunkProgramOpInterface program;
  int64_t columns;
  std::optional<SizeClasses> classes;
  llvm::DenseSet<unsigned> fixed, grown; ///< classes
  unsigned numPadded = 0;
};
} // namespace

void ProgramPadder::markRows(ArrayRef<Bound> all) {
  // Columns of a factor, of either part, are rows of its system.
  for (Operation &op : program.getBlock()) {
    Value factor;
    if (auto made = dyn_cast<EraseFactorOp>(op))
      factor = made.getZ();
    else if (auto apply = dyn_cast<EraseApplyOp>(op))
      factor = apply.getZ();
    if (factor)
      fixed.insert(classes->get({factor, 1}));
  }
  for (const Bound &bound : all)
    forEachTileDim(bound.binding, [&](BoundDim dim, size_t, int64_t d) {
      if (dim.kind == DimKind::time)
        fixed.insert(classes->get({bound.tile, d}));
    });
}

/// Returns one of the halves that `op` splits a row into or joins; null for
/// other operations.
static Value getHalf(Operation *op) {
  if (auto split = dyn_cast<SplitColumnsOp>(op))
    return split.getA();
  auto join = dyn_cast<JoinColumnsOp>(op);
  return join ? join.getA() : Value();
}

void ProgramPadder::markHalves() {
  for (Operation &op : program.getBlock())
    if (Value half = getHalf(&op))
      fixed.insert(classes->get({half, 1}));
}

void ProgramPadder::grow(StringRef name, ArrayRef<Bound> all) {
  SmallVector<Attribute> bindings;
  for (const Bound &bound : all) {
    SmallVector<BoundDim> dims(bound.binding.getDims());
    auto type = cast<RankedTensorType>(bound.tensor.getType());
    bool grows = false;
    forEachTileDim(bound.binding, [&](BoundDim dim, size_t i, int64_t d) {
      unsigned leader = classes->get({bound.tile, d});
      if (dim.kind != DimKind::whole ||
          dim.getExtent(type.getDimSize(i)) % columns == 0 ||
          fixed.contains(leader))
        return;
      dims[i].multiple = columns;
      grown.insert(leader);
      grows = true;
    });
    numPadded += grows;
    bindings.push_back(BindingAttr::get(program->getContext(), dims));
  }
  if (!all.empty())
    program->setAttr(name, ArrayAttr::get(program->getContext(), bindings));
}

void ProgramPadder::retype(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type)
    return;
  SmallVector<int64_t> shape(type.getShape());
  for (auto [d, size] : llvm::enumerate(shape))
    if (std::optional<unsigned> of =
            classes->find({value, static_cast<int64_t>(d)});
        of && grown.contains(*of))
      size = llvm::alignTo(size, columns);
  value.setType(type.clone(shape));
  if (auto constant = value.getDefiningOp<arith::ConstantOp>())
    constant.setValueAttr(cast<DenseElementsAttr>(constant.getValue())
                              .resizeSplat(type.clone(shape)));
}

SmallVector<ProgramPadder::Bound> ProgramPadder::getIns() {
  SmallVector<Bound> all;
  for (auto [i, in] : llvm::enumerate(program.getIns()))
    all.push_back({in, program.getInArg(i), program.getInBinding(i)});
  return all;
}

SmallVector<ProgramPadder::Bound> ProgramPadder::getCarries() {
  SmallVector<Bound> all;
  for (auto [i, init] : llvm::enumerate(program.getInits()))
    all.push_back({init, program.getCarryArg(i), program.getCarryBinding(i)});
  return all;
}

SmallVector<ProgramPadder::Bound> ProgramPadder::getOuts() {
  SmallVector<Bound> all;
  for (auto [i, out] : llvm::enumerate(program.getOuts()))
    all.push_back(
        {out, program.getYield().getOuts()[i], program.getOutBinding(i)});
  return all;
}

bool ProgramPadder::isNarrow() {
  auto isOf = [&](const Bound &bound) {
    auto type = cast<RankedTensorType>(bound.tensor.getType());
    bool found = false;
    forEachTileDim(bound.binding, [&](BoundDim dim, size_t i, int64_t) {
      found |= dim.kind == DimKind::whole &&
               dim.getExtent(type.getDimSize(i)) % columns != 0;
    });
    return found;
  };
  return llvm::any_of(getIns(), isOf) || llvm::any_of(getCarries(), isOf) ||
         llvm::any_of(getOuts(), isOf);
}

unsigned ProgramPadder::pad() {
  if (!isNarrow())
    return 0;
  classes.emplace(program);
  SmallVector<Bound> ins = getIns(), carries = getCarries(), outs = getOuts();
  // What a carry becomes is one.
  for (auto [carry, next] :
       llvm::zip_equal(carries, program.getYield().getCarries()))
    for (int64_t d = 0; d < getTileRank(next); ++d)
      classes->join({carry.tile, d}, {next, d});
  markRows(ins);
  markRows(outs);
  markHalves();
  grow("in_bindings", ins);
  grow("carry_bindings", carries);
  grow("out_bindings", outs);
  for (BlockArgument arg : program.getBlock().getArguments())
    retype(arg);
  for (Operation &op : program.getBlock())
    for (Value result : op.getResults())
      retype(result);
  return numPadded;
}

namespace {
struct PadDimsPass : wyvern::delta::impl::PadDimsPassBase<PadDimsPass> {
  using Base::Base;

  void runOnOperation() override {
    // A thread has columns of both halves where these are whole groups.
    constexpr int64_t least = 8;
    auto checkHalf = [&](Operation *op) {
      Value half = getHalf(op);
      if (!half)
        return WalkResult::advance();
      auto type = cast<RankedTensorType>(half.getType());
      if (type.getDimSize(1) % least == 0)
        return WalkResult::advance();
      op->emitOpError() << "has halves of " << type.getDimSize(1)
                        << " columns; the GPU path takes multiples of " << least
                        << ", as rotated rows of " << 2 * least
                        << " channels have (target \"cpu\" takes all)";
      return WalkResult::interrupt();
    };
    if (getOperation()->walk(checkHalf).wasInterrupted())
      return signalPassFailure();
    getOperation()->walk([&](ChunkProgramOpInterface program) {
      numPadded += ProgramPadder(program, columns).pad();
    });
  }
};
} // namespace
