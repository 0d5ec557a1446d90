//===- KernelOrientation.cpp - Which dimension of a value is M ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelOrientation.h"

#include "wyvern/Dialect/Tile/IR/Tile.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

bool wyvern::isSplat(Value value) {
  Operation *op = value.getDefiningOp();
  if (auto fill = dyn_cast_or_null<linalg::FillOp>(op))
    return matchPattern(fill.getInputs().front(), m_Constant());
  return isa_and_nonnull<arith::ConstantOp, tensor::EmptyOp>(op);
}

TypedAttr wyvern::getSplatValue(Value value) {
  if (auto fill = value.getDefiningOp<linalg::FillOp>())
    value = fill.getInputs().front();
  auto constant = value.getDefiningOp<arith::ConstantOp>();
  if (!constant)
    return {};
  if (auto splat = dyn_cast<SplatElementsAttr>(constant.getValue()))
    return splat.getSplatValue<TypedAttr>();
  return dyn_cast<FloatAttr>(constant.getValue());
}

//===----------------------------------------------------------------------===//
// Dimensions that range over the same thing
//===----------------------------------------------------------------------===//

unsigned KernelOrientation::number(Value value, int64_t dim) {
  auto [it, inserted] =
      numbers.try_emplace({value, dim}, static_cast<unsigned>(numbers.size()));
  if (inserted)
    classes.insert(it->second);
  return it->second;
}

void KernelOrientation::join(Value a, int64_t aDim, Value b, int64_t bDim) {
  if (!isSplat(a) && !isSplat(b))
    classes.unionSets(number(a, aDim), number(b, bDim));
}

static int64_t rankOf(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type ? type.getRank() : 0;
}

void KernelOrientation::joinAll(Value a, Value b) {
  for (int64_t dim = 0; dim < rankOf(a); ++dim)
    join(a, dim, b, dim);
}

void KernelOrientation::addContraction(ArrayRef<AffineMap> maps,
                                       ValueRange values, AffineMap outMap) {
  // The first (value, dim) seen for each iteration dimension.
  DenseMap<unsigned, Dim> first;
  for (auto [map, value] : llvm::zip_equal(maps, values)) {
    if (isSplat(value))
      continue;
    for (auto [dim, expr] : llvm::enumerate(map.getResults())) {
      unsigned iteration = cast<AffineDimExpr>(expr).getPosition();
      auto [it, inserted] = first.try_emplace(iteration, Dim{value, dim});
      if (!inserted)
        join(it->second.first, it->second.second, value, dim);
      if (!outMap.isFunctionOfDim(iteration))
        contracted.push_back(number(value, dim));
    }
  }
}

void KernelOrientation::addOp(Operation *op) {
  if (auto contract = dyn_cast<linalg::ContractOp>(op)) {
    SmallVector<AffineMap> maps = contract.getIndexingMapsArray();
    SmallVector<Value> values(contract.getInputs());
    values.append({contract.getOutputs().front(), contract.getResult(0)});
    AffineMap out = maps.back();
    maps.push_back(out);
    return addContraction(maps, values, out);
  }
  if (auto dot = dyn_cast<DecayDotOp>(op)) {
    join(dot.getA(), 0, dot.getM(), 0);
    join(dot.getB(), 0, dot.getM(), 1);
    contracted.push_back(number(dot.getA(), 1));
    return join(dot.getA(), 1, dot.getB(), 1);
  }
  if (auto broadcast = dyn_cast<linalg::BroadcastOp>(op)) {
    int64_t from = 0;
    for (int64_t dim = 0; dim < rankOf(broadcast->getResult(0)); ++dim)
      if (!llvm::is_contained(broadcast.getDimensions(), dim))
        join(broadcast.getInput(), from++, broadcast->getResult(0), dim);
    return;
  }
  if (isa<linalg::ReduceOp>(op) || op->getNumResults() != 1)
    return;
  // Whatever else there is keeps dimensions in place.
  Value result = op->getResult(0);
  for (Value operand : op->getOperands())
    if (rankOf(operand) == rankOf(result))
      for (int64_t dim = 0; dim < rankOf(result); ++dim)
        join(operand, dim, result, dim);
}

bool KernelOrientation::isContracted(Dim dim) const {
  auto it = numbers.find(dim);
  if (it == numbers.end())
    return false;
  return llvm::any_of(contracted, [&](unsigned other) {
    return classes.isEquivalent(it->second, other);
  });
}

void KernelOrientation::addRole(sched::RoleOp role) {
  sched::EachChunkOp loop = role.getEachChunk();
  for (auto [init, arg, next, final] :
       llvm::zip_equal(loop.getInits(), loop.getCarryArgs(),
                       loop.getYield().getCarries(), loop.getFinals()))
    for (Value other : {Value(init), Value(next), Value(final)})
      joinAll(arg, other);
  for (Operation &op : loop.getBlock())
    addOp(&op);
}

void KernelOrientation::addChannel(sched::ChannelOp channel) {
  SmallVector<Value> first;
  for (Operation *user : channel->getUsers()) {
    auto put = dyn_cast<sched::PutOp>(user);
    ValueRange tiles =
        put ? ValueRange(put.getTiles()) : ValueRange(user->getResults());
    if (first.empty())
      first.assign(tiles.begin(), tiles.end());
    for (auto [a, b] : llvm::zip_equal(first, tiles))
      joinAll(a, b);
  }
}

//===----------------------------------------------------------------------===//
// The split dimension
//===----------------------------------------------------------------------===//

LogicalResult KernelOrientation::findSplit(sched::KernelOp kernel,
                                           Value carry) {
  for (int64_t dim = rankOf(carry) - 1; dim >= 0 && !split; --dim)
    if (!isContracted({carry, dim}))
      split = number(carry, dim);
  if (!split)
    return kernel.emitError()
           << "every dimension of the carried state is summed over by some "
              "product of the chunk, so no dimension can be split over blocks; "
              "the GPU lowering needs one that is not";
  findSplitRoles(kernel);
  int64_t size = tensorOf(carry).getDimSize(*getSplitDim(carry));
  auto role = carry.getParentRegion()->getParentOfType<sched::RoleOp>();
  int64_t parts = kernel.getSplit() * role.getSplit();
  if (size != parts * tile::kAccRows)
    return kernel.emitError()
           << "expected a split dimension of " << parts * tile::kAccRows
           << " elements (" << tile::kAccRows
           << " rows of an accumulator for each of " << kernel.getSplit()
           << " blocks and " << role.getSplit() << " parts of a role), found "
           << size;
  return success();
}

void KernelOrientation::findSplitRoles(sched::KernelOp kernel) {
  for (auto [dim, number] : numbers)
    if (classes.isEquivalent(number, *split))
      if (auto role =
              dim.first.getParentRegion()->getParentOfType<sched::RoleOp>())
        splitRoles.insert(role);
}

FailureOr<KernelOrientation>
KernelOrientation::analyze(sched::KernelOp kernel) {
  KernelOrientation orientation;
  Value carry;
  for (sched::RoleOp role : kernel.getRoles()) {
    orientation.addRole(role);
    auto carries = role.getEachChunk().getCarryArgs();
    if (!carry && !carries.empty())
      carry = carries.front();
  }
  for (sched::ChannelOp channel : kernel.getChannels())
    orientation.addChannel(channel);
  if (carry && failed(orientation.findSplit(kernel, carry)))
    return failure();
  return orientation;
}

std::optional<int64_t> KernelOrientation::getSplitDim(Value value) const {
  if (!split)
    return std::nullopt;
  for (int64_t dim = 0; dim < rankOf(value); ++dim) {
    auto it = numbers.find({value, dim});
    if (it != numbers.end() && classes.isEquivalent(it->second, *split))
      return dim;
  }
  return std::nullopt;
}

std::optional<int64_t> KernelOrientation::getSplitDim(sched::ChannelOp channel,
                                                      unsigned tile) const {
  for (Operation *user : channel->getUsers())
    if (auto put = dyn_cast<sched::PutOp>(user))
      return getSplitDim(put.getTiles()[tile]);
  llvm_unreachable("the verifier asks for a role that puts");
}

bool KernelOrientation::isSplit(Operation *op) const {
  auto role = dyn_cast<sched::RoleOp>(op);
  return splitRoles.contains(role ? role
                                  : op->getParentOfType<sched::RoleOp>());
}

//===----------------------------------------------------------------------===//
// The M dimension
//===----------------------------------------------------------------------===//

/// The M dimension of a value in a role without split dimension: see
/// KernelOrientation.
static std::optional<int64_t> getShapeM(RankedTensorType type) {
  if (type.getRank() != 2)
    return std::nullopt;
  ArrayRef<int64_t> shape = type.getShape();
  auto isBlock = [](int64_t size) { return size == tile::kAccRows; };
  auto isBlocks = [](int64_t size) { return size % tile::kAccRows == 0; };
  const int64_t *found = llvm::find_if(shape, isBlock);
  if (found == shape.end())
    found = llvm::find_if(shape, isBlocks);
  if (found == shape.end())
    return std::nullopt;
  return found - shape.begin();
}

std::optional<int64_t> KernelOrientation::getM(Value value) const {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type)
    return std::nullopt;
  auto role = value.getParentRegion()->getParentOfType<sched::RoleOp>();
  if (!role || splitRoles.contains(role))
    return getSplitDim(value);
  return getShapeM(type);
}

int64_t KernelOrientation::getBlocks(Value value, int64_t m) const {
  auto role = value.getParentRegion()->getParentOfType<sched::RoleOp>();
  if (!role || splitRoles.contains(role))
    return 1;
  return tensorOf(value).getDimSize(m) / tile::kAccRows;
}
