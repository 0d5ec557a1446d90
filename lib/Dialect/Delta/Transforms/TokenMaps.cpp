//===- TokenMaps.cpp - What is computed for each token by itself ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TokenMaps.h"

#include "wyvern/Dialect/Delta/Analysis/TimeDims.h"
#include "wyvern/Dialect/Delta/Utils/ExtendProgram.h"
#include "wyvern/Dialect/Delta/Utils/TileBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

//===----------------------------------------------------------------------===//
// Longer chunks
//===----------------------------------------------------------------------===//

namespace {
/// Gives one map longer chunks: what has rows gets more of them.
class MapWidener {
public:
  MapWidener(ChunkMapOp map, int64_t chunk,
             function_ref<int64_t(int64_t)> getTileRows)
      : map(map), chunk(chunk), getTileRows(getTileRows), time(map),
        b(map.getLoc(), map) {}

  LogicalResult widen();

private:
  LogicalResult checkRows();
  int64_t countRows(int64_t perToken) {
    int64_t tile = getTileRows(perToken);
    return tile ? tile : chunk * perToken;
  }
  BindingAttr widenBinding(BindingAttr binding);
  RankedTensorType widenType(Value tile);
  void widenOp(Operation *op);
  /// `value`, which is alike along rows, as a tile of `type`.
  Value conform(Value value, RankedTensorType type);

  ChunkMapOp map;
  int64_t chunk;
  function_ref<int64_t(int64_t)> getTileRows;
  TimeDims time;
  ImplicitLocOpBuilder b;
};
} // namespace

LogicalResult MapWidener::checkRows() {
  for (Operation &op : map.getBlock().without_terminator())
    for (const TileLoop &loop : cast<ChunkRegionOpInterface>(op).getLoops()) {
      bool ofRows = loop.isTime || llvm::any_of(loop.dims, [&](TileDim dim) {
                      return time.getRows(dim.first, dim.second) != 0;
                    });
      if (ofRows && (loop.isMixed || loop.isTime))
        return op.emitOpError()
               << "combines rows of a chunk; a map of chunks of one token that "
                  "makes operands of a recurrence computes each row by itself";
    }
  return success();
}

BindingAttr MapWidener::widenBinding(BindingAttr binding) {
  SmallVector<BoundDim> dims(binding.getDims());
  for (BoundDim &dim : dims)
    if (dim.kind == DimKind::time)
      dim.rows = getTileRows(dim.multiple);
  return BindingAttr::get(map.getContext(), dims);
}

RankedTensorType MapWidener::widenType(Value tile) {
  auto type = cast<RankedTensorType>(tile.getType());
  SmallVector<int64_t> shape(type.getShape());
  for (auto [dim, size] : llvm::enumerate(shape))
    if (int64_t rows = time.getRows(tile, dim))
      size = countRows(rows);
  return type.clone(shape);
}

Value MapWidener::conform(Value value, RankedTensorType type) {
  if (value.getType() == type)
    return value;
  Operation *def = value.getDefiningOp();
  b.setInsertionPointAfter(def);
  TileBuilder tile(b, cast<FloatType>(type.getElementType()));
  if (std::optional<double> splat = getSplat(value))
    return tile.splat(*splat, type.getShape());
  if (isa<tensor::EmptyOp>(def))
    return tensor::EmptyOp::create(b, type.getShape(), type.getElementType());
  if (auto broadcast = dyn_cast<linalg::BroadcastOp>(def)) {
    auto shape = llvm::to_vector(type.getShape());
    for (int64_t dim : llvm::reverse(broadcast.getDimensions()))
      shape.erase(shape.begin() + dim);
    Value input = conform(broadcast.getInput(), type.clone(shape));
    b.setInsertionPointAfter(def);
    return tile.broadcast(input, type.getShape(), broadcast.getDimensions());
  }
  IRMapping mapping;
  if (auto reduce = dyn_cast<linalg::ReduceOp>(def)) {
    Value input = reduce.getInputs().front();
    auto shape = llvm::to_vector(type.getShape());
    for (int64_t dim : reduce.getDimensions())
      shape.insert(shape.begin() + dim,
                   cast<RankedTensorType>(input.getType()).getDimSize(dim));
    mapping.map(input, conform(input, type.clone(shape)));
    Value init = reduce.getInits().front();
    mapping.map(init, conform(init, type));
  } else {
    // Elementwise work on what is alike along rows.
    for (Value operand : def->getOperands())
      mapping.map(operand, conform(operand, type));
  }
  b.setInsertionPointAfter(def);
  Operation *clone = b.clone(*def, mapping);
  clone->getResult(0).setType(type);
  return clone->getResult(0);
}

void MapWidener::widenOp(Operation *op) {
  // Constants and shapes are made anew where what has rows reads them.
  if (isa<arith::ConstantOp, tensor::EmptyOp>(op))
    return;
  RankedTensorType type = widenType(op->getResult(0));
  auto conformOperand = [&](OpOperand &operand) {
    operand.set(conform(operand.get(), type));
  };
  if (auto broadcast = dyn_cast<linalg::BroadcastOp>(op))
    conformOperand(broadcast.getInitMutable());
  else if (auto reduce = dyn_cast<linalg::ReduceOp>(op))
    conformOperand(reduce.getInitsMutable()[0]);
  else if (op->hasTrait<OpTrait::Elementwise>())
    llvm::for_each(op->getOpOperands(), conformOperand);
  for (Value result : op->getResults())
    result.setType(widenType(result));
}

LogicalResult MapWidener::widen() {
  if (failed(checkRows()))
    return failure();
  auto widenAll = [&](ArrayAttr bindings) {
    return b.getArrayAttr(llvm::map_to_vector(
        bindings.getAsRange<BindingAttr>(),
        [&](BindingAttr binding) { return Attribute(widenBinding(binding)); }));
  };
  map.setChunk(chunk);
  map.setInBindingsAttr(widenAll(map.getInBindings()));
  map.setOutBindingsAttr(widenAll(map.getOutBindings()));
  for (unsigned i = 0; i < map.getIns().size(); ++i)
    map.getInArg(i).setType(widenType(map.getInArg(i)));
  for (Operation &op :
       llvm::make_early_inc_range(map.getBlock().without_terminator()))
    widenOp(&op);
  for (auto [i, out] : llvm::enumerate(map.getYield().getOutsMutable())) {
    auto type = cast<RankedTensorType>(map.getOuts()[i].getType());
    out.set(conform(out.get(), map.getOutBinding(i).getTileType(
                                   type, chunk, map.getCompute())));
  }
  SmallVector<Operation *> ops = llvm::to_vector(
      llvm::make_pointer_range(map.getBlock().without_terminator()));
  for (Operation *op : llvm::reverse(ops))
    if (isOpTriviallyDead(op))
      op->erase();
  return success();
}

/// True for a matrix that costs little to make again wherever it is read, and
/// is zero where rows are. `seen` holds what was looked at on the way: a layer
/// may read a name many times, of which one answer is enough, since a matrix
/// that is not cheap ends the search.
static bool isCheapMatrix(Value tile, llvm::SmallDenseSet<Value> &seen) {
  if (!seen.insert(tile).second)
    return true;
  if (auto arg = dyn_cast<BlockArgument>(tile)) {
    auto map = cast<ChunkMapOp>(arg.getOwner()->getParentOp());
    return map.getInBinding(arg.getArgNumber() - 1).has(DimKind::time);
  }
  Operation *def = tile.getDefiningOp();
  auto isCheap = [&](Value operand) { return isCheapMatrix(operand, seen); };
  if (isa<arith::MulFOp>(def))
    return llvm::all_of(def->getOperands(), [&](Value operand) {
      return getSplat(operand) || isCheap(operand);
    });
  // A number a row. One for all of a head lies in memory, where roles that read
  // rows do not look.
  if (auto broadcast = dyn_cast<linalg::BroadcastOp>(def))
    return broadcast.getDimensions() == ArrayRef<int64_t>(1);
  return isa<arith::AddFOp, arith::SubFOp, arith::NegFOp>(def) &&
         llvm::none_of(def->getOperands(),
                       [](Value operand) {
                         return operand.getDefiningOp<linalg::BroadcastOp>() !=
                                nullptr;
                       }) &&
         llvm::all_of(def->getOperands(), isCheap);
}

/// Adds the maps of one token that make `value`, itself or as a factor of it.
static void collectTokenMaps(Value value, llvm::SetVector<ChunkMapOp> &maps) {
  Operation *def = value ? value.getDefiningOp() : nullptr;
  if (auto map = dyn_cast_or_null<ChunkMapOp>(def); map && map.getChunk() == 1)
    maps.insert(map);
  if (isa_and_nonnull<arith::MulFOp>(def))
    for (Value operand : def->getOperands())
      collectTokenMaps(operand, maps);
}

/// True if a chunk program that reads `tile`, which a map makes, computes it
/// itself where its chunks are as long.
static bool isFusable(Value tile) {
  llvm::SmallDenseSet<Value> seen;
  return getTileRank(tile) < 2 || isCheapMatrix(tile, seen);
}

/// Returns how many rows a token the tensors of `map` have that have a time
/// dimension; nothing if these are several numbers.
static std::optional<int64_t> getRowsPerToken(ChunkMapOp map) {
  std::optional<int64_t> rows;
  for (ArrayAttr bindings : {map.getInBindings(), map.getOutBindings()})
    for (auto binding : bindings.getAsRange<BindingAttr>()) {
      if (!binding.has(DimKind::time))
        continue;
      if (rows && *rows != binding.getTimeMultiple())
        return std::nullopt;
      rows = binding.getTimeMultiple();
    }
  return rows;
}

/// Returns how many of the recurrence's chunks of `chunk` tokens one of `map`
/// is, to fill a tile of `tileRows` rows. A chunk of few tokens, whose steps
/// have several rows each, leaves what has one a token short of the rows of an
/// accumulator. One, if the recurrence's program computes a part of the map.
static int64_t countChunks(ChunkMapOp map, int64_t chunk, int64_t tileRows) {
  std::optional<int64_t> rows = getRowsPerToken(map);
  if (!rows || llvm::any_of(map.getYield().getOuts(), isFusable))
    return 1;
  return std::max<int64_t>(tileRows / *rows / chunk, 1);
}

LogicalResult
delta::widenTokenMaps(RecurrenceOp op, int64_t chunk,
                      function_ref<int64_t(int64_t)> getTileRows) {
  llvm::SetVector<ChunkMapOp> maps;
  for (Value operand : op->getOperands())
    collectTokenMaps(operand, maps);
  int64_t repeat = 1;
  for (const RecurrenceOp::Step &step : op.getStepList())
    repeat = std::max(repeat, step.repeat);
  int64_t padded = getTileRows(repeat);
  int64_t tileRows = padded ? padded : chunk * repeat;
  for (ChunkMapOp map : maps) {
    int64_t chunks = countChunks(map, chunk, tileRows);
    auto getOwnRows = [&](int64_t rows) {
      return chunks * chunk * rows < tileRows ? tileRows : 0;
    };
    if (failed(chunks > 1 ? MapWidener(map, chunks * chunk, getOwnRows).widen()
                          : MapWidener(map, chunk, getTileRows).widen()))
      return failure();
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Into the program that reads them
//===----------------------------------------------------------------------===//

/// Returns what sums the products along rows that `reduce` does, as roles on
/// the CUDA cores have sums; null if it sums something else.
static Value makeRowSums(OpBuilder &builder, linalg::ReduceOp reduce,
                         IRMapping &mapping) {
  auto product = reduce.getInputs().front().getDefiningOp<arith::MulFOp>();
  if (!product || reduce.getDimensions() != ArrayRef<int64_t>(1))
    return {};
  ImplicitLocOpBuilder b(reduce.getLoc(), builder);
  AffineExpr m, k;
  bindDims(b.getContext(), m, k);
  auto map = [&](ArrayRef<AffineExpr> results) {
    return AffineMap::get(2, 0, results, b.getContext());
  };
  auto element = cast<FloatType>(getElementTypeOrSelf(product.getType()));
  return TileBuilder(b, element)
      .contract(mapping.lookup(product.getLhs()),
                mapping.lookup(product.getRhs()),
                mapping.lookup(reduce.getInits().front()),
                {map({m, k}), map({m, k}), map({m})});
}

/// Clones into `program` what makes `tile` of a map; `mapping` has the tiles
/// that are there.
static Value cloneTile(RewriterBase &rewriter, ChunkProgramOpInterface program,
                       ChunkMapOp map, Value tile, IRMapping &mapping) {
  if (Value known = mapping.lookupOrNull(tile))
    return known;
  Value made;
  if (auto arg = dyn_cast<BlockArgument>(tile)) {
    unsigned number = arg.getArgNumber() - 1;
    made = findOrAddIn(rewriter, program, map.getIns()[number],
                       map.getInBinding(number), arg.getType());
  } else {
    Operation *def = tile.getDefiningOp();
    for (Value operand : def->getOperands())
      cloneTile(rewriter, program, map, operand, mapping);
    auto reduce = dyn_cast<linalg::ReduceOp>(def);
    if (reduce && program.getChunk() == 1)
      made = makeRowSums(rewriter, reduce, mapping);
    if (!made) {
      rewriter.clone(*def, mapping);
      return mapping.lookup(tile);
    }
  }
  mapping.map(tile, made);
  return made;
}

llvm::SmallDenseMap<Value, Value>
delta::fuseTokenMaps(OpBuilder &builder, ChunkProgramOpInterface program,
                     Value masked) {
  IRRewriter rewriter(builder);
  llvm::SmallDenseMap<Operation *, IRMapping> mappings;
  llvm::SmallDenseMap<Value, Value> fused;
  for (unsigned i = 0, end = program.getIns().size(); i < end; ++i) {
    Value in = program.getIns()[i];
    auto map = in.getDefiningOp<ChunkMapOp>();
    if (!map || static_cast<int64_t>(map.getChunk()) != program.getChunk())
      continue;
    unsigned number = cast<OpResult>(in).getResultNumber();
    Value tile = map.getYield().getOuts()[number];
    bool isStep = program.getChunk() == 1;
    if (map.getOutBinding(number) != program.getInBinding(i) ||
        (!isStep && !isFusable(tile)))
      continue;
    Value made = cloneTile(rewriter, program, map, tile, mappings[map]);
    if (in == masked && !isStep)
      made = MaskRowsOp::create(rewriter, in.getLoc(), made.getType(), made,
                                program.getValid(), /*rows=*/1);
    fused[program.getInArg(i)] = made;
  }
  builder.restoreInsertionPoint(rewriter.saveInsertionPoint());
  return fused;
}
