//===- ReverseResults.cpp - What the backward returns ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ReverseProgram.h"

#include "wyvern/Dialect/Delta/Utils/HeadSums.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

/// The position of the head dimension, if there is one.
static std::optional<unsigned> findHead(ArrayRef<BoundDim> dims) {
  const BoundDim *head = llvm::find_if(
      dims, [](BoundDim dim) { return dim.kind == DimKind::head; });
  if (head == dims.end())
    return std::nullopt;
  return head - dims.begin();
}

/// The binding of an in's gradient: a head of its own for each of the program's
/// heads, and without a time or chunk dimension a sequence of its own too.
ReverseProgram::Result ReverseProgram::describeResult(unsigned in, Value tile) {
  Result result;
  result.primal = program.getIns()[in];
  result.tile = tile;
  BindingAttr binding = program.getInBinding(in);
  result.binding = binding;
  auto type = cast<RankedTensorType>(result.primal.getType());
  bool isSummed = !binding.has(DimKind::time) && !binding.has(DimKind::chunk);
  SmallVector<BoundDim> dims(binding.getDims());
  SmallVector<int64_t> shape(type.getShape());
  result.addedHead = !binding.has(DimKind::head);
  result.addedSeq = isSummed && !binding.has(DimKind::seq);
  if (result.addedHead) {
    dims.insert(dims.begin(), {DimKind::head});
    shape.insert(shape.begin(), program.getHeads());
  }
  if (result.addedSeq) {
    dims.insert(dims.begin(), {DimKind::seq});
    shape.insert(shape.begin(), ShapedType::kDynamic);
  }
  int64_t &heads = shape[*findHead(dims)];
  bool isShared = result.addedHead || isSummed || heads != program.getHeads();
  heads = program.getHeads();
  // What is summed afterwards is not rounded before.
  Type element = isShared ? compute : type.getElementType();
  result.storage = {RankedTensorType::get(shape, element),
                    BindingAttr::get(b.getContext(), dims)};
  return result;
}

//===----------------------------------------------------------------------===//
// Sums over tokens
//===----------------------------------------------------------------------===//

/// True for a tile whose rows are those of a chunk's tokens, `perToken` each,
/// zero past its sequence's end: as ins are, masked rows, and what makes zeros
/// of these.
bool ReverseProgram::isMasked(Value tile, int64_t perToken) {
  if (auto arg = dyn_cast<BlockArgument>(tile)) {
    unsigned number = arg.getArgNumber();
    return arg.getOwner() == block && number > 0 && number <= ins.size() &&
           ins[number - 1].binding.has(DimKind::time) &&
           ins[number - 1].binding.getTimeMultiple() == perToken;
  }
  Operation *def = tile.getDefiningOp();
  if (auto mask = dyn_cast<MaskRowsOp>(def))
    return static_cast<int64_t>(mask.getRows()) == perToken;
  auto isMasked = [&](Value operand) {
    return this->isMasked(operand, perToken);
  };
  auto isMaskedOrZero = [&](Value operand) {
    return isZero(operand) || isMasked(operand);
  };
  if (isa<arith::MulFOp>(def))
    return llvm::any_of(def->getOperands(), isMasked);
  if (isa<arith::DivFOp>(def))
    return isMasked(def->getOperand(0));
  if (isa<arith::SelectOp>(def))
    return llvm::all_of(llvm::drop_begin(def->getOperands()), isMaskedOrZero);
  // Sums along the rows themselves.
  if (auto reduce = dyn_cast<linalg::ReduceOp>(def))
    return !llvm::is_contained(reduce.getDimensions(), 0) &&
           isZero(reduce.getInits().front()) &&
           isMasked(reduce.getInputs().front());
  return isa<arith::AddFOp, arith::SubFOp, arith::NegFOp>(def) &&
         llvm::all_of(def->getOperands(), isMaskedOrZero);
}

/// Returns `tile` as rows of tokens, zero past the sequence's end, if it is.
ReverseProgram::TokenRows ReverseProgram::findMasked(Value tile) {
  for (const In &in : ins)
    if (in.binding.has(DimKind::time))
      if (int64_t rows = in.binding.getTimeMultiple(); isMasked(tile, rows))
        return {tile, rows};
  return {};
}

/// Returns `rows` times `factor`, which they have in common.
ReverseProgram::TokenRows ReverseProgram::scaleRows(TokenRows rows,
                                                    Value factor) {
  if (!rows)
    return {};
  TileBuilder tile(inside, compute);
  Value spread = tile.broadcast(factor, shapeOf(rows.tile), {0});
  return {tile.mul(rows.tile, spread), rows.perToken};
}

/// Returns the sum of `a` and `b`; none of rows that tokens have several
/// numbers of.
ReverseProgram::TokenRows ReverseProgram::addRows(TokenRows a, TokenRows b) {
  if (a.perToken != b.perToken)
    return {};
  return {TileBuilder(inside, compute).add(a.tile, b.tile), a.perToken};
}

/// Returns the rows of two terms of a sum, of which either may be zero.
ReverseProgram::TokenRows ReverseProgram::addTerms(Value a, Value b) {
  if (isZero(a))
    return isZero(b) ? TokenRows() : findRows(b);
  TokenRows rows = findRows(a);
  if (!rows || isZero(b))
    return rows;
  TokenRows more = findRows(b);
  return more ? addRows(rows, more) : TokenRows();
}

/// Returns the rows of a choice: of each side, times a factor of 1 or 0.
ReverseProgram::TokenRows ReverseProgram::chooseRows(arith::SelectOp select) {
  TileBuilder tile(inside, compute);
  ArrayRef<int64_t> shape = shapeOf(select.getResult());
  Value one = tile.splat(1.0, shape), zero = tile.splat(0.0, shape);
  TokenRows sum;
  for (bool side : {true, false}) {
    Value term = side ? select.getTrueValue() : select.getFalseValue();
    if (isZero(term))
      continue;
    Value factor = arith::SelectOp::create(
        inside, select.getCondition(), side ? one : zero, side ? zero : one);
    TokenRows rows = scaleRows(findRows(term), factor);
    if (rows && sum)
      rows = addRows(sum, rows);
    if (!rows)
      return {};
    sum = rows;
  }
  return sum;
}

/// Returns a tile of rows of tokens, zero past the sequence's end, that sum up
/// to `sum`; none if none is found. Factors that rows have in common go into
/// each.
ReverseProgram::TokenRows ReverseProgram::findRows(Value sum) {
  auto [known, isNew] = rowsOf.try_emplace(sum);
  if (!isNew)
    return known->second;
  TokenRows rows = makeRows(sum);
  rowsOf[sum] = rows;
  return rows;
}

ReverseProgram::TokenRows ReverseProgram::makeRows(Value sum) {
  Operation *def = sum.getDefiningOp();
  if (auto reduce = dyn_cast_or_null<linalg::ReduceOp>(def)) {
    bool isSum = reduce.getDimensions() == ArrayRef<int64_t>(0) &&
                 isZero(reduce.getInits().front());
    return isSum ? findMasked(reduce.getInputs().front()) : TokenRows();
  }
  TileBuilder tile(inside, compute);
  if (isa_and_nonnull<arith::NegFOp>(def)) {
    TokenRows rows = findRows(def->getOperand(0));
    return rows ? TokenRows{tile.neg(rows.tile), rows.perToken} : rows;
  }
  if (isa_and_nonnull<arith::AddFOp>(def))
    return addTerms(def->getOperand(0), def->getOperand(1));
  if (isa_and_nonnull<arith::DivFOp>(def)) {
    Value divisor = def->getOperand(1);
    Value one = tile.splat(1.0, shapeOf(divisor));
    return scaleRows(findRows(def->getOperand(0)),
                     arith::DivFOp::create(inside, one, divisor));
  }
  if (auto select = dyn_cast_or_null<arith::SelectOp>(def))
    return chooseRows(select);
  if (!isa_and_nonnull<arith::MulFOp>(def))
    return {};
  for (auto [factor, other] :
       {std::pair(def->getOperand(0), def->getOperand(1)),
        std::pair(def->getOperand(1), def->getOperand(0))})
    if (TokenRows rows = scaleRows(findRows(factor), other))
      return rows;
  return {};
}

/// The gradient of an in without time, as a row a token that is summed behind
/// the program: nothing but a sum over tokens would be carried. Nothing, if it
/// is no such sum, or of heads that several of the program's share.
std::optional<ReverseProgram::Result> ReverseProgram::describeRows(unsigned in,
                                                                   Value tile) {
  Result result = describeResult(in, tile);
  auto primal = cast<RankedTensorType>(result.primal.getType());
  std::optional<unsigned> head = findHead(result.binding.getDims());
  if (!result.addedSeq || result.addedHead || head != 0u ||
      primal.getDimSize(0) != program.getHeads())
    return std::nullopt;
  TokenRows rows = findRows(tile);
  if (!rows)
    return std::nullopt;
  result.tile = rows.tile;
  result.isOfTokens = true;
  SmallVector<BoundDim> dims(result.storage.binding.getDims());
  SmallVector<int64_t> shape(result.storage.type.getShape());
  BoundDim time = {DimKind::time, rows.perToken};
  if (int64_t count = shapeOf(rows.tile).front();
      count != static_cast<int64_t>(program.getChunk()) * rows.perToken)
    time.rows = count;
  dims.insert(dims.begin() + 1, time);
  shape.insert(shape.begin() + 1, ShapedType::kDynamic);
  result.storage = {RankedTensorType::get(shape, compute),
                    BindingAttr::get(b.getContext(), dims)};
  return result;
}

/// Adds the sums of `rows`, one tensor for each of `results`, of `perToken`
/// rows a token.
void ReverseProgram::addSumsOverTokens(ArrayRef<Result> results,
                                       ValueRange rows, int64_t perToken) {
  if (results.empty())
    return;
  auto types = llvm::map_to_vector(rows, [](Value tensor) -> Type {
    auto type = cast<RankedTensorType>(tensor.getType());
    return RankedTensorType::get(type.getShape().drop_front(2),
                                 type.getElementType());
  });
  auto sums = SumTokensOp::create(b, types, rows, getCuSeqlens(), perToken);
  for (auto [result, sum] : llvm::zip_equal(results, sums.getSums()))
    outer.addGradient(result.primal, convert(result, sum));
}

/// An in without time is read by every chunk: its gradient is a sum, over what
/// tokens have of it, or that is carried along.
void ReverseProgram::collectResults() {
  for (auto [i, in] : llvm::enumerate(program.getIns())) {
    Value gradient = inner.getGradient(program.getInArg(i));
    if (!gradient || !outer.isActive(in))
      continue;
    if (std::optional<Result> rows = describeRows(i, gradient)) {
      outs.push_back(*rows);
      continue;
    }
    Result result = describeResult(i, gradient);
    BindingAttr binding = result.storage.binding;
    if (binding.has(DimKind::time) || binding.has(DimKind::chunk)) {
      outs.push_back(result);
      continue;
    }
    Value sum = addCarry(gradient.getType());
    result.tile = arith::AddFOp::create(inside, sum, gradient);
    sums.push_back(result);
  }
}

/// From a gradient with a head of its own for each of the program's to that of
/// the tensor with fewer heads, which they share.
Value ReverseProgram::sumOverHeads(const Result &result, Value gradient) {
  PerHead summands = {gradient,
                      result.storage.binding,
                      cast<RankedTensorType>(result.tile.getType()),
                      getCuSeqlens(),
                      static_cast<int64_t>(program.getChunk()),
                      static_cast<int64_t>(program.getHeads())};
  return createHeadSum(
      b, summands,
      {cast<RankedTensorType>(result.primal.getType()), result.binding});
}

/// The sum over one dimension, of dynamic tensors too.
static Value sumOver(ImplicitLocOpBuilder &b, Value x, int64_t dim) {
  auto type = cast<RankedTensorType>(x.getType());
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, b.getLoc(), x);
  sizes.erase(sizes.begin() + dim);
  Value empty = tensor::EmptyOp::create(b, sizes, type.getElementType());
  Value zero =
      arith::ConstantOp::create(b, b.getFloatAttr(type.getElementType(), 0.0));
  Value init = linalg::FillOp::create(b, zero, empty).getResult(0);
  auto add = [](OpBuilder &b, Location loc, ValueRange args) {
    Value sum = arith::AddFOp::create(b, loc, args[1], args[0]);
    linalg::YieldOp::create(b, loc, sum);
  };
  return linalg::ReduceOp::create(b, x, init, ArrayRef<int64_t>{dim}, add)
      ->getResult(0);
}

/// The sum over the heads of each group that shares one of `heads` heads, the
/// first head of a group first.
static Value sumOverGroups(ImplicitLocOpBuilder &b, Value x, int64_t dim,
                           int64_t heads) {
  auto type = cast<RankedTensorType>(x.getType());
  SmallVector<int64_t> shape(type.getShape());
  SmallVector<ReassociationIndices> reassociation;
  for (int64_t i = 0; i < type.getRank(); ++i)
    reassociation.push_back({i > dim ? i + 1 : i});
  reassociation[dim].push_back(dim + 1);
  shape.insert(shape.begin() + dim + 1, shape[dim] / heads);
  shape[dim] = heads;
  Value grouped = tensor::ExpandShapeOp::create(
      b, RankedTensorType::get(shape, type.getElementType()), x, reassociation);
  return sumOver(b, grouped, dim + 1);
}

/// From a gradient with a head, and maybe a sequence, of its own to that of the
/// tensor without time which all of them read.
Value ReverseProgram::sumOverAll(const Result &result, Value gradient) {
  for (int i = 0, e = result.addedSeq + result.addedHead; i < e; ++i)
    gradient = sumOver(b, gradient, 0);
  auto type = cast<RankedTensorType>(result.primal.getType());
  for (int64_t dim = 0; dim < type.getRank(); ++dim)
    if (cast<RankedTensorType>(gradient.getType()).getDimSize(dim) !=
            type.getDimSize(dim) &&
        !type.isDynamicDim(dim))
      gradient = sumOverGroups(b, gradient, dim, type.getDimSize(dim));
  return convert(result, gradient);
}

/// `gradient` in the element type of what it belongs to.
Value ReverseProgram::convert(const Result &result, Value gradient) {
  auto type = cast<RankedTensorType>(result.primal.getType());
  unsigned width = getElementTypeOrSelf(gradient).getIntOrFloatBitWidth();
  if (type.getElementTypeBitWidth() < width)
    return arith::TruncFOp::create(b, type, gradient);
  if (type.getElementTypeBitWidth() > width)
    return arith::ExtFOp::create(b, type, gradient);
  return gradient;
}

/// The gradient of an in of which there is one a token or a chunk.
Value ReverseProgram::sumOverShared(const Result &result, Value gradient) {
  if (!result.binding.has(DimKind::time))
    return sumOverAll(result, gradient);
  auto type = cast<RankedTensorType>(result.primal.getType());
  std::optional<unsigned> head = findHead(result.binding.getDims());
  int64_t heads = head ? type.getDimSize(*head) : 1;
  bool isWhole = !result.addedHead && heads == program.getHeads();
  return isWhole ? gradient : sumOverHeads(result, gradient);
}

void ReverseProgram::addGradients(Operation *op) {
  ResultRange results = op->getResults();
  unsigned numCarries = program.getInits().size();
  struct TokenSums {
    SmallVector<Result> results;
    SmallVector<Value> rows;
  };
  llvm::MapVector<int64_t, TokenSums> ofTokens; ///< by rows a token
  for (auto [result, gradient] :
       llvm::zip_equal(outs, results.take_front(outs.size()))) {
    if (!result.isOfTokens) {
      outer.addGradient(result.primal, sumOverShared(result, gradient));
      continue;
    }
    TokenSums &sums = ofTokens[result.storage.binding.getTimeMultiple()];
    sums.results.push_back(result);
    sums.rows.push_back(gradient);
  }
  for (const auto &[perToken, sums] : ofTokens)
    addSumsOverTokens(sums.results, sums.rows, perToken);
  results = results.drop_front(outs.size());
  for (auto [init, gradient] :
       llvm::zip_equal(program.getInits(), results.take_front(numCarries)))
    outer.addGradient(init, gradient);
  for (auto [result, gradient] :
       llvm::zip_equal(sums, results.drop_front(numCarries)))
    outer.addGradient(result.primal, sumOverAll(result, gradient));
}
