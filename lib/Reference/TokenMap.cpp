//===- TokenMap.cpp - What a spec computes for each token -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A delta.chunk_map of chunks of one token depends on no other token, so its
// region is run once a batch row and head, on arrays that have a tile for each
// token: their first dimension, which the tiles' types do not have, are tokens.
//
//===----------------------------------------------------------------------===//

#include "Evaluate.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::reference;

//===----------------------------------------------------------------------===//
// Operations of the region, on a tile for each token
//===----------------------------------------------------------------------===//

/// Runs `visit` with each index of an array of this shape and its number.
static void forEachIndex(ArrayRef<int64_t> shape,
                         function_ref<void(ArrayRef<int64_t>, int64_t)> visit) {
  int64_t count = 1;
  for (int64_t size : shape)
    count *= size;
  SmallVector<int64_t> index(shape.size(), 0);
  for (int64_t number = 0; number < count; ++number) {
    visit(index, number);
    for (auto i = static_cast<int64_t>(shape.size()) - 1; i >= 0; --i) {
      if (++index[i] < shape[i])
        break;
      index[i] = 0;
    }
  }
}

/// The element of `array` that an index without these dimensions has; the
/// first dimension is that of tokens, which `dropped` does not count.
static int64_t getNumber(const NDArray &array, ArrayRef<int64_t> index,
                         ArrayRef<int64_t> dropped) {
  int64_t number = 0;
  unsigned dim = 0;
  for (auto [i, at] : llvm::enumerate(index))
    if (i == 0 || !llvm::is_contained(dropped, static_cast<int64_t>(i) - 1))
      number = number * array.shape[dim++] + at;
  return number;
}

static NDArray repeatForTokens(const NDArray &tile, int64_t tokens) {
  std::vector<int64_t> shape = {tokens};
  llvm::append_range(shape, tile.shape);
  NDArray result(shape);
  for (int64_t t = 0; t < tokens; ++t)
    llvm::copy(tile.data, result.data.begin() + t * tile.getNumElements());
  return result;
}

static NDArray evaluateBroadcast(linalg::BroadcastOp op, const NDArray &x) {
  std::vector<int64_t> shape = {x.shape.front()};
  llvm::append_range(
      shape, cast<ShapedType>(op.getResult().front().getType()).getShape());
  NDArray result(shape);
  forEachIndex(shape, [&](ArrayRef<int64_t> index, int64_t number) {
    result.data[number] = x.data[getNumber(x, index, op.getDimensions())];
  });
  return result;
}

/// The sum over dimensions, from the init on; no other reduction is taken.
static FailureOr<NDArray> evaluateReduce(linalg::ReduceOp op, const NDArray &x,
                                         NDArray sum) {
  Block &combiner = op.getCombiner().front();
  if (!isa<arith::AddFOp>(combiner.front()) || op.getInputs().size() != 1)
    return op.emitError() << "expected a sum of one tile: no other reduction "
                             "is made for a token";
  forEachIndex(x.shape, [&](ArrayRef<int64_t> index, int64_t number) {
    sum.data[getNumber(sum, index, op.getDimensions())] += x.data[number];
  });
  return sum;
}

/// Copies columns between a matrix and its two halves.
static void copyHalf(NDArray &whole, NDArray &half, int64_t first,
                     bool fromWhole) {
  int64_t width = half.shape.back();
  for (int64_t row = 0, e = half.getNumElements() / width; row < e; ++row) {
    double *a = whole.data.data() + row * 2 * width + first;
    double *b = half.data.data() + row * width;
    std::copy_n(fromWhole ? a : b, width, fromWhole ? b : a);
  }
}

/// Adds the results of one operation of the region to the tiles so far.
static LogicalResult evaluateTiles(Operation *op, int64_t tokens,
                                   Environment &tiles) {
  auto get = [&](Value value) -> NDArray & { return tiles[value]; };
  FailureOr<NDArray> result = failure();
  if (isa<tensor::EmptyOp>(op))
    return success(); // only says the shape of what is written
  if (auto split = dyn_cast<delta::SplitColumnsOp>(op)) {
    NDArray x = get(split.getX());
    std::vector<int64_t> shape = x.shape;
    shape.back() /= 2;
    NDArray a(shape), b(shape);
    copyHalf(x, a, 0, /*fromWhole=*/true);
    copyHalf(x, b, shape.back(), /*fromWhole=*/true);
    tiles[split.getA()] = std::move(a);
    tiles[split.getB()] = std::move(b);
    return success();
  }
  if (auto join = dyn_cast<delta::JoinColumnsOp>(op)) {
    NDArray a = get(join.getA()), b = get(join.getB());
    std::vector<int64_t> shape = a.shape;
    shape.back() *= 2;
    NDArray y(shape);
    copyHalf(y, a, 0, /*fromWhole=*/false);
    copyHalf(y, b, a.shape.back(), /*fromWhole=*/false);
    result = std::move(y);
  } else if (auto broadcast = dyn_cast<linalg::BroadcastOp>(op)) {
    result = evaluateBroadcast(broadcast, get(broadcast.getInput()));
  } else if (auto reduce = dyn_cast<linalg::ReduceOp>(op)) {
    result = evaluateReduce(reduce, get(reduce.getInputs().front()),
                            get(reduce.getInits().front()));
  } else {
    result = evaluateElementwise(op, tiles);
    if (succeeded(result) && isa<arith::ConstantOp>(op))
      result = repeatForTokens(*result, tokens);
  }
  if (failed(result))
    return failure();
  tiles[op->getResult(0)] = std::move(*result);
  return success();
}

//===----------------------------------------------------------------------===//
// Slices of operands and results
//===----------------------------------------------------------------------===//

namespace {
class TokenMapEvaluator {
public:
  TokenMapEvaluator(delta::ChunkMapOp op, Environment &env)
      : op(op), env(env), heads(static_cast<int64_t>(op.getHeads())) {}

  LogicalResult run();

private:
  LogicalResult verifyBinding(delta::BindingAttr binding);
  LogicalResult findSize();
  LogicalResult runHead(int64_t batch, int64_t head);
  NDArray getTiles(unsigned i, int64_t batch, int64_t head);
  void putTiles(unsigned i, int64_t batch, int64_t head, const NDArray &tiles);
  void clearUnowned(NDArray &out, int64_t rows, ArrayRef<Sequence> sequences);

  delta::ChunkMapOp op;
  Environment &env;
  int64_t heads, batches = 0, tokens = 0;
  std::vector<NDArray> outs;
};
} // namespace

static bool hasTime(delta::BindingAttr binding) {
  return llvm::any_of(binding.getDims(), [](const delta::BoundDim &dim) {
    return dim.kind == delta::DimKind::time;
  });
}

/// The rows a token of what has tokens.
static int64_t getRows(delta::BindingAttr binding) {
  return hasTime(binding) ? binding.getDims()[1].multiple : 1;
}

/// What a spec computes is bound in two ways: [seq, time * m, head, ...] or, of
/// all tokens, [head, ...].
LogicalResult TokenMapEvaluator::verifyBinding(delta::BindingAttr binding) {
  SmallVector<delta::BoundDim> expected;
  if (hasTime(binding))
    expected = {{delta::DimKind::seq},
                {delta::DimKind::time, getRows(binding)}};
  expected.push_back({delta::DimKind::head});
  while (expected.size() < binding.getDims().size())
    expected.push_back({delta::DimKind::whole});
  if (ArrayRef(expected) == ArrayRef(binding.getDims()))
    return success();
  return op.emitError()
         << "the reference interpreter takes maps of single tokens with "
            "operands of [seq, time, head, _] or [head, _], found "
         << binding;
}

LogicalResult TokenMapEvaluator::findSize() {
  if (op.getChunk() != 1)
    return op.emitError() << "the reference interpreter takes maps of single "
                             "tokens, found chunks of "
                          << op.getChunk()
                          << "; interpret the program before delta-form-wy";
  bool isFound = false;
  for (auto [i, value] : llvm::enumerate(op.getIns())) {
    delta::BindingAttr binding = op.getInBinding(i);
    if (failed(verifyBinding(binding)))
      return failure();
    if (!hasTime(binding))
      continue;
    const NDArray &array = env[value];
    int64_t time = array.shape[1] / getRows(binding);
    if (isFound && (array.shape[0] != batches || time != tokens))
      return op.emitError()
             << "expected operands of batch size " << batches << " and "
             << tokens << " tokens, found an array of shape "
             << shapeString(array);
    batches = array.shape[0], tokens = time, isFound = true;
  }
  if (!isFound)
    return op.emitError() << "expected an operand that has tokens";
  return success();
}

/// A tile of operand `i` for each token.
NDArray TokenMapEvaluator::getTiles(unsigned i, int64_t batch, int64_t head) {
  const NDArray &array = env[op.getIns()[i]];
  delta::BindingAttr binding = op.getInBinding(i);
  unsigned headDim = hasTime(binding) ? 2 : 0;
  int64_t group = head / (heads / array.shape[headDim]), width = 1;
  std::vector<int64_t> shape;
  for (int64_t size : llvm::drop_begin(array.shape, headDim + 1)) {
    shape.push_back(size);
    width *= size;
  }
  if (!hasTime(binding)) {
    NDArray tile(shape);
    std::copy_n(array.data.data() + group * width, width, tile.data.data());
    return repeatForTokens(tile, tokens);
  }
  int64_t rows = getRows(binding);
  shape.insert(shape.begin(), {tokens, rows});
  NDArray tiles(shape);
  for (int64_t t = 0; t < tokens * rows; ++t)
    std::copy_n(array.row(batch, t, group), width,
                tiles.data.data() + t * width);
  return tiles;
}

void TokenMapEvaluator::putTiles(unsigned i, int64_t batch, int64_t head,
                                 const NDArray &tiles) {
  NDArray &out = outs[i];
  int64_t width = out.getRank() == 4 ? out.shape[3] : 1;
  for (int64_t t = 0; t < out.shape[1]; ++t)
    std::copy_n(tiles.data.data() + t * width, width, out.row(batch, t, head));
}

/// Zeroes the rows that no sequence owns.
void TokenMapEvaluator::clearUnowned(NDArray &out, int64_t rows,
                                     ArrayRef<Sequence> sequences) {
  int64_t width = out.shape[2] * (out.getRank() == 4 ? out.shape[3] : 1);
  int64_t next = 0;
  auto clear = [&](int64_t begin, int64_t end) {
    std::fill_n(out.data.begin() + begin * rows * width,
                (end - begin) * rows * width, 0.0);
  };
  for (const Sequence &sequence : sequences) {
    clear(next, sequence.begin);
    next = sequence.end;
  }
  clear(next, tokens);
}

LogicalResult TokenMapEvaluator::runHead(int64_t batch, int64_t head) {
  Environment tiles;
  Block &body = op.getBody().front();
  for (unsigned i = 0, e = op.getIns().size(); i != e; ++i)
    tiles[body.getArgument(i + 1)] = getTiles(i, batch, head);
  for (Operation &inside : body.without_terminator())
    if (failed(evaluateTiles(&inside, tokens, tiles)))
      return failure();
  auto yield = cast<delta::YieldOp>(body.getTerminator());
  for (auto [i, out] : llvm::enumerate(yield.getOuts()))
    putTiles(i, batch, head, tiles[out]);
  return success();
}

LogicalResult TokenMapEvaluator::run() {
  if (failed(findSize()))
    return failure();
  const NDArray *cuSeqlens =
      op.getCuSeqlens() ? &env[op.getCuSeqlens()] : nullptr;
  auto sequences = getSequences(op, batches, tokens, cuSeqlens);
  if (failed(sequences))
    return failure();
  SmallVector<int64_t> rows;
  for (auto [i, out] : llvm::enumerate(op.getOuts())) {
    auto binding = cast<delta::BindingAttr>(op.getOutBindings()[i]);
    if (failed(verifyBinding(binding)))
      return failure();
    rows.push_back(getRows(binding));
    auto shape = cast<RankedTensorType>(out.getType()).getShape().vec();
    shape[0] = batches, shape[1] = tokens * rows.back();
    outs.emplace_back(shape);
  }
  for (int64_t batch = 0; batch < batches; ++batch)
    for (int64_t head = 0; head < heads; ++head)
      if (failed(runHead(batch, head)))
        return failure();
  for (auto [i, out] : llvm::enumerate(op.getOuts())) {
    if (cuSeqlens && !cuSeqlens->data.empty())
      clearUnowned(outs[i], rows[i], *sequences);
    env[out] = std::move(outs[i]);
  }
  return success();
}

LogicalResult mlir::wyvern::reference::evaluateTokenMap(delta::ChunkMapOp op,
                                                        Environment &env) {
  return TokenMapEvaluator(op, env).run();
}
