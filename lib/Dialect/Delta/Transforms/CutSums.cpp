//===- CutSums.cpp - Sums over a head dimension, in parts -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A head's value rows and its states may be larger than a block's memory, and
// then so is one product of them. Everything that has the dimension is written
// once for each of its parts, up to the sums over it, which are added up.
//
//===----------------------------------------------------------------------===//

#include "CutSums.h"

#include "SizeClasses.h"

#include "wyvern/Dialect/Delta/IR/Splat.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

/// True for an operation whose result is a sum over the loops that it mixes.
static bool isSum(Operation &op) {
  auto reduce = dyn_cast<linalg::ReduceOp>(op);
  bool isAddition = reduce && reduce->getNumResults() == 1 &&
                    isa<arith::AddFOp>(reduce.getBlock()->front());
  return isAddition || isa<linalg::ContractOp, DecayDotOp>(op);
}

//===----------------------------------------------------------------------===//
// What can be cut
//===----------------------------------------------------------------------===//

namespace {
/// The head dimensions of a map that its sums run over.
class Sums {
public:
  explicit Sums(ChunkMapOp map)
      : map(map), program(cast<ChunkProgramOpInterface>(map.getOperation())),
        classes(program) {
    for (unsigned i = 0; i < program.getIns().size(); ++i)
      addDims(i);
  }

  /// The class that is cut, and its size; none if there is none.
  std::optional<unsigned> found;
  int64_t size = 0;

  /// Returns the dimension of `tile` that is cut; none for most tiles.
  std::optional<int64_t> getDim(Value tile) const {
    for (int64_t d = 0; d < getTileRank(tile); ++d)
      if (found && classes.find({tile, d}) == found)
        return d;
    return std::nullopt;
  }

private:
  void addDims(unsigned in);
  bool canCut(unsigned number);

  ChunkMapOp map;
  ChunkProgramOpInterface program;
  SizeClasses classes;
};
} // namespace

/// True if all that runs over the class is done element by element or is a sum,
/// of which there is one at least, and no out has it.
bool Sums::canCut(unsigned number) {
  auto isOf = [&](TileDim dim) { return classes.find(dim) == number; };
  for (Value out : map.getYield().getOuts())
    for (int64_t d = 0; d < getTileRank(out); ++d)
      if (isOf({out, d}))
        return false;
  bool hasSum = false;
  for (Operation &op : map.getBlock().without_terminator()) {
    auto isSquare = [&](Value tile) {
      return getTileRank(tile) == 2 && isOf({tile, 0}) && isOf({tile, 1});
    };
    if (llvm::any_of(op.getResults(), isSquare))
      return false;
    auto tileOp = cast<ChunkRegionOpInterface>(op);
    int64_t loops = 0;
    for (const TileLoop &loop : tileOp.getLoops()) {
      if (llvm::none_of(loop.dims, isOf))
        continue;
      if (++loops > 1 || loop.isTime || loop.isPlaced ||
          (loop.isMixed && !isSum(op)))
        return false;
      hasSum |= loop.isMixed;
    }
  }
  return hasSum;
}

void Sums::addDims(unsigned in) {
  BlockArgument tile = program.getInArg(in);
  forEachTileDim(
      program.getInBinding(in), [&](BoundDim dim, size_t, int64_t d) {
        int64_t dimSize = cast<RankedTensorType>(tile.getType()).getDimSize(d);
        bool isHeadDim = dim.kind == DimKind::whole && !dim.isPart() &&
                         dim.multiple == 1 && getTileRank(tile) == 2;
        if (!isHeadDim || dimSize <= size || tile.use_empty())
          return;
        unsigned number = classes.get({tile, d});
        if (!canCut(number))
          return;
        found = number;
        size = dimSize;
      });
}

int64_t delta::findCuttableSum(ChunkMapOp map) { return Sums(map).size; }

//===----------------------------------------------------------------------===//
// The map of parts
//===----------------------------------------------------------------------===//

namespace {
/// Writes the map anew.
class SumCutter {
public:
  SumCutter(RewriterBase &rewriter, ChunkMapOp map, int64_t columns)
      : rewriter(rewriter), map(map),
        program(cast<ChunkProgramOpInterface>(map.getOperation())), sums(map) {
    for (int64_t first = 0; first < sums.size; first += columns)
      parts.push_back({first, std::min(first + columns, sums.size), {}});
  }

  ChunkMapOp cut();

private:
  struct Part {
    int64_t first, end;
    IRMapping mapping; ///< of what has the dimension
  };

  void addIn(unsigned i);
  Value addArgument(unsigned i, Type tile, BindingAttr binding);
  void write(Operation &op);
  /// Writes what `op` is of one part; a sum begins with zero.
  Operation *writePart(Operation &op, Part &part);
  Type getPartType(Value value, const Part &part);

  RewriterBase &rewriter;
  ChunkMapOp map;
  ChunkProgramOpInterface program;
  Sums sums;
  SmallVector<Part> parts;
  IRMapping common; ///< of what has not the dimension
  ChunkMapOp made;
  SmallVector<Value> ins;
  SmallVector<Attribute> bindings;
};
} // namespace

Type SumCutter::getPartType(Value value, const Part &part) {
  std::optional<int64_t> dim = sums.getDim(value);
  if (!dim)
    return value.getType();
  auto type = cast<RankedTensorType>(value.getType());
  SmallVector<int64_t> shape(type.getShape());
  shape[*dim] = part.end - part.first;
  return type.clone(shape);
}

Value SumCutter::addArgument(unsigned i, Type tile, BindingAttr binding) {
  ins.push_back(program.getIns()[i]);
  bindings.push_back(binding);
  return made.getBlock().addArgument(tile, map.getLoc());
}

void SumCutter::addIn(unsigned i) {
  BlockArgument old = program.getInArg(i);
  BindingAttr binding = program.getInBinding(i);
  std::optional<int64_t> cutDim = sums.getDim(old);
  if (!cutDim) {
    common.map(old, addArgument(i, old.getType(), binding));
    return;
  }
  for (Part &part : parts) {
    SmallVector<BoundDim> dims(binding.getDims());
    forEachTileDim(binding, [&](BoundDim, size_t place, int64_t d) {
      if (d != *cutDim)
        return;
      dims[place].offset = part.first;
      dims[place].end = part.end;
    });
    part.mapping.map(old,
                     addArgument(i, getPartType(old, part),
                                 BindingAttr::get(map.getContext(), dims)));
  }
}

Operation *SumCutter::writePart(Operation &op, Part &part) {
  IRMapping mapping;
  for (Value operand : op.getOperands())
    mapping.map(operand, sums.getDim(operand) ? part.mapping.lookup(operand)
                                              : common.lookup(operand));
  Operation *clone = rewriter.clone(op, mapping);
  bool isSummed = !sums.getDim(op.getResult(0));
  if (auto dest = dyn_cast<DestinationStyleOpInterface>(clone);
      dest && isSummed) {
    OpBuilder::InsertionGuard guard(rewriter);
    rewriter.setInsertionPoint(clone);
    for (OpOperand &init : dest.getDpsInitsMutable())
      init.set(arith::ConstantOp::create(
          rewriter, op.getLoc(), rewriter.getZeroAttr(init.get().getType())));
  }
  for (auto [old, result] :
       llvm::zip_equal(op.getResults(), clone->getResults()))
    result.setType(getPartType(old, part));
  if (auto constant = dyn_cast<arith::ConstantOp>(clone))
    constant.setValueAttr(
        cast<DenseElementsAttr>(constant.getValue())
            .resizeSplat(cast<ShapedType>(constant.getType())));
  return clone;
}

void SumCutter::write(Operation &op) {
  auto hasDim = [&](Value value) { return sums.getDim(value).has_value(); };
  if (llvm::any_of(op.getResults(), hasDim)) {
    for (Part &part : parts)
      part.mapping.map(op.getResults(), writePart(op, part)->getResults());
    return;
  }
  if (llvm::none_of(op.getOperands(), hasDim)) {
    rewriter.clone(op, common);
    return;
  }
  Value sum;
  if (auto dest = dyn_cast<DestinationStyleOpInterface>(op))
    if (Value init = dest.getDpsInits().front(); !isZero(init))
      sum = common.lookup(init);
  for (Part &part : parts) {
    Value next = writePart(op, part)->getResult(0);
    sum = sum ? arith::AddFOp::create(rewriter, op.getLoc(), sum, next) : next;
  }
  common.map(op.getResult(0), sum);
}

ChunkMapOp SumCutter::cut() {
  OpBuilder::InsertionGuard guard(rewriter);
  rewriter.setInsertionPoint(map);
  made = ChunkMapOp::create(rewriter, map.getLoc(), map->getResultTypes(), {},
                            map.getCuSeqlens(), map.getChunkAttr(),
                            map.getHeadsAttr(), map.getComputeAttr(),
                            rewriter.getArrayAttr({}), map.getOutBindings());
  rewriter.createBlock(&made.getBody());
  common.map(
      program.getValid(),
      made.getBlock().addArgument(program.getValid().getType(), map.getLoc()));
  for (unsigned i = 0; i < program.getIns().size(); ++i)
    addIn(i);
  made.getInsMutable().assign(ins);
  made.setInBindingsAttr(rewriter.getArrayAttr(bindings));
  rewriter.setInsertionPointToEnd(&made.getBlock());
  for (Operation &op : map.getBlock().without_terminator())
    write(op);
  SmallVector<Value> outs;
  for (Value out : map.getYield().getOuts())
    outs.push_back(common.lookup(out));
  YieldOp::create(rewriter, map.getYield().getLoc(), outs, ValueRange());
  return made;
}

ChunkMapOp delta::cutSums(RewriterBase &rewriter, ChunkMapOp map,
                          int64_t columns) {
  return SumCutter(rewriter, map, columns).cut();
}
