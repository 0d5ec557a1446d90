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

#include "wyvern/Dialect/Delta/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/EquivalenceClasses.h"
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
  /// Gives every use of a constant, and of a tile that says only its shape,
  /// one of its own: two may be of different sizes.
  void separateUses();
  void collectClasses();
  /// Marks the classes of dimensions that are rows of tokens: these stay, in a
  /// factor as columns too.
  void markRows(ArrayRef<Bound> all);
  /// Binds `all` to what they grow to and marks the dimensions that do.
  void grow(StringRef name, ArrayRef<Bound> all);
  void retype(Value value);

  unsigned number(TileDim dim) {
    auto [it, isNew] =
        numbers.try_emplace(dim, static_cast<unsigned>(numbers.size()));
    if (isNew)
      classes.insert(it->second);
    return it->second;
  }
  void join(TileDim a, TileDim b) { classes.unionSets(number(a), number(b)); }

  ChunkProgramOpInterface program;
  int64_t columns;
  llvm::DenseMap<TileDim, unsigned> numbers;
  llvm::EquivalenceClasses<unsigned> classes;
  llvm::DenseSet<unsigned> rows, grown; ///< leaders of classes
  unsigned numPadded = 0;
};
} // namespace

void ProgramPadder::separateUses() {
  for (Operation &op : llvm::make_early_inc_range(program.getBlock())) {
    if (!op.hasTrait<OpTrait::ConstantLike>() &&
        !isa<tensor::EmptyOp, linalg::FillOp>(op))
      continue;
    OpBuilder builder(&op);
    for (OpOperand &use : llvm::make_early_inc_range(
             llvm::drop_begin(op.getResult(0).getUses())))
      use.set(builder.clone(op)->getResult(0));
  }
}

void ProgramPadder::collectClasses() {
  for (Operation &op : program.getBlock()) {
    if (auto tileOp = dyn_cast<ChunkRegionOpInterface>(op))
      for (const TileLoop &loop : tileOp.getLoops())
        for (TileDim dim : loop.dims)
          join(loop.dims.front(), dim);
    // What is not read still has the shape of the result.
    if (auto dest = dyn_cast<DestinationStyleOpInterface>(op))
      for (OpOperand &init : dest.getDpsInitsMutable())
        for (int64_t d = 0; d < getTileRank(init.get()); ++d)
          join({init.get(), d}, {dest.getTiedOpResult(&init), d});
  }
}

/// Calls `visit` with each dimension of the tile that `binding` gives, its
/// place among those of the tensor and its number in the tile.
static void
forEachTileDim(BindingAttr binding,
               function_ref<void(BoundDim, size_t, int64_t)> visit) {
  int64_t inTile = 0;
  for (auto [i, dim] : llvm::enumerate(binding.getDims()))
    if (dim.kind == DimKind::whole || dim.kind == DimKind::time)
      visit(dim, i, inTile++);
}

void ProgramPadder::markRows(ArrayRef<Bound> all) {
  // Columns of a factor, of either part, are rows of its system.
  for (Operation &op : program.getBlock()) {
    Value factor;
    if (auto made = dyn_cast<EraseFactorOp>(op))
      factor = made.getZ();
    else if (auto apply = dyn_cast<EraseApplyOp>(op))
      factor = apply.getZ();
    if (factor)
      rows.insert(classes.getLeaderValue(number({factor, 1})));
  }
  for (const Bound &bound : all)
    forEachTileDim(bound.binding, [&](BoundDim dim, size_t, int64_t d) {
      if (dim.kind == DimKind::time)
        rows.insert(classes.getLeaderValue(number({bound.tile, d})));
    });
}

void ProgramPadder::grow(StringRef name, ArrayRef<Bound> all) {
  SmallVector<Attribute> bindings;
  for (const Bound &bound : all) {
    SmallVector<BoundDim> dims(bound.binding.getDims());
    auto type = cast<RankedTensorType>(bound.tensor.getType());
    bool grows = false;
    forEachTileDim(bound.binding, [&](BoundDim dim, size_t i, int64_t d) {
      unsigned leader = classes.getLeaderValue(number({bound.tile, d}));
      if (dim.kind != DimKind::whole || type.getDimSize(i) % columns == 0 ||
          rows.contains(leader))
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
    if (auto it = numbers.find({value, d});
        it != numbers.end() &&
        grown.contains(classes.getLeaderValue(it->second)))
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
      found |= dim.kind == DimKind::whole && type.getDimSize(i) % columns != 0;
    });
    return found;
  };
  return llvm::any_of(getIns(), isOf) || llvm::any_of(getCarries(), isOf) ||
         llvm::any_of(getOuts(), isOf);
}

unsigned ProgramPadder::pad() {
  if (!isNarrow())
    return 0;
  separateUses();
  collectClasses();
  SmallVector<Bound> ins = getIns(), carries = getCarries(), outs = getOuts();
  // What a carry becomes is one.
  for (auto [carry, next] :
       llvm::zip_equal(carries, program.getYield().getCarries()))
    for (int64_t d = 0; d < getTileRank(next); ++d)
      join({carry.tile, d}, {next, d});
  markRows(ins);
  markRows(outs);
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
    getOperation()->walk([&](ChunkProgramOpInterface program) {
      numPadded += ProgramPadder(program, columns).pad();
    });
  }
};
} // namespace
