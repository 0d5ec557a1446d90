//===- LinearPart.cpp - What a chunk does to a change of its carry --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "LinearPart.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::wyvern::delta;

//===----------------------------------------------------------------------===//
// What an operation is linear in
//===----------------------------------------------------------------------===//

namespace {
using Operands = SmallVector<OpOperand *, 2>;

/// An operation is linear in each of its factors while the others stay, and
/// adds its terms to that. All other operands have to stay.
struct LinearForm {
  Operands factors, terms;

  bool isFactor(OpOperand &operand) const {
    return llvm::is_contained(factors, &operand);
  }
  bool isTerm(OpOperand &operand) const {
    return llvm::is_contained(terms, &operand);
  }
};
} // namespace

/// Returns the form of a reduction that sums; an init is added to the sum.
static std::optional<LinearForm> getSumForm(linalg::ReduceOp op) {
  Block &body = op.getCombiner().front();
  if (op.getInputs().size() != 1 || body.getOperations().size() != 2 ||
      !isa<arith::AddFOp>(body.front()))
    return std::nullopt;
  return LinearForm{{op.getDpsInputOperand(0)}, {op.getDpsInitOperand(0)}};
}

/// Returns the form of an operation; none for one that is not linear, or that
/// this list does not have.
static std::optional<LinearForm> getLinearForm(Operation *op) {
  using Form = std::optional<LinearForm>;
  auto linearIn = [](OpOperand &x) { return LinearForm{{&x}, {}}; };
  return llvm::TypeSwitch<Operation *, Form>(op)
      .Case<arith::AddFOp, arith::SubFOp>([](auto o) {
        return LinearForm{{}, {&o.getLhsMutable(), &o.getRhsMutable()}};
      })
      .Case([](arith::MulFOp o) {
        return LinearForm{{&o.getLhsMutable(), &o.getRhsMutable()}, {}};
      })
      .Case([&](arith::DivFOp o) { return linearIn(o.getLhsMutable()); })
      .Case([&](arith::NegFOp o) { return linearIn(o.getOperandMutable()); })
      .Case([](linalg::ContractOp o) {
        return LinearForm{{o.getDpsInputOperand(0), o.getDpsInputOperand(1)},
                          {o.getDpsInitOperand(0)}};
      })
      .Case<linalg::BroadcastOp, linalg::TransposeOp>(
          [&](auto o) { return linearIn(*o.getDpsInputOperand(0)); })
      .Case([](linalg::ReduceOp o) { return getSumForm(o); })
      .Case([](DecayDotOp o) {
        return LinearForm{{&o.getAMutable(), &o.getBMutable()}, {}};
      })
      .Case([](DecayApplyOp o) {
        return LinearForm{{&o.getMMutable(), &o.getXMutable()}, {}};
      })
      .Case([&](DecayMaskOp o) { return linearIn(o.getMMutable()); })
      .Case([&](EraseSolveOp o) { return linearIn(o.getWMutable()); })
      .Case([&](EraseSolveAdjointOp o) { return linearIn(o.getDuMutable()); })
      .Case([&](EraseApplyOp o) { return linearIn(o.getWMutable()); })
      .Case<CumsumOp, MaskRowsOp, RepeatRowsOp, SumRowsOp>(
          [&](auto o) { return linearIn(o.getXMutable()); })
      .Default([](Operation *) { return std::nullopt; });
}

LinearPart::LinearPart(ChunkScanOp scan, const DimClasses &classes,
                       TileDim splitDim)
    : scan(scan), classes(classes),
      dependence(cast<ChunkProgramOpInterface>(scan.getOperation())),
      splitDim(splitDim) {}

/// True if the elements of `tile` differ along the lanes.
bool LinearPart::hasLanes(Value tile) const {
  for (int64_t dim = 0; dim < getTileRank(tile); ++dim)
    if (classes.areSame({tile, dim}, splitDim))
      return true;
  return false;
}

/// True for a constant whose elements differ: analyses take it for a uniform
/// one.
static bool isVaryingConstant(Operation &op) {
  auto constant = dyn_cast<arith::ConstantOp>(op);
  auto elements =
      constant ? dyn_cast<ElementsAttr>(constant.getValue()) : ElementsAttr();
  return elements && !elements.isSplat();
}

/// Returns why `op`, which the carry enters, is not linear in it; empty if it
/// is.
StringRef LinearPart::findObstacle(Operation *op) {
  std::optional<LinearForm> form = getLinearForm(op);
  if (!form)
    return "it is not known to be linear in the carry";
  unsigned numFactors = 0;
  for (OpOperand &operand : op->getOpOperands()) {
    if (!dependence.reaches(operand.get()))
      continue;
    bool isFactor = form->isFactor(operand);
    if (!isFactor && !form->isTerm(operand))
      return "it is not linear in the operand that the carry enters";
    numFactors += isFactor;
  }
  if (numFactors > 1)
    return "it multiplies what the carry enters by what it enters";
  // Without a factor that the carry enters, the product is a term like others.
  for (OpOperand &operand : op->getOpOperands())
    if (numFactors == 1 && !form->isTerm(operand) &&
        !dependence.reaches(operand.get()) && hasLanes(operand.get()))
      return "its factor differs from lane to lane, so the transition is not "
             "one matrix";
  return "";
}

std::pair<Operation *, StringRef> LinearPart::findObstacle() {
  for (Operation &op : scan.getBlock())
    if (isVaryingConstant(op))
      return {&op, "a constant with different elements may differ from lane to "
                   "lane"};
  llvm::SmallDenseSet<Operation *> seen;
  SmallVector<Value> worklist(scan.getYield().getCarries());
  while (!worklist.empty()) {
    Operation *op = worklist.pop_back_val().getDefiningOp();
    if (!op || !dependence.reaches(op) || !seen.insert(op).second)
      continue;
    if (StringRef reason = findObstacle(op); !reason.empty())
      return {op, reason};
    worklist.append(op->operand_begin(), op->operand_end());
  }
  return {nullptr, ""};
}

//===----------------------------------------------------------------------===//
// Building it
//===----------------------------------------------------------------------===//

RankedTensorType LinearPart::resize(Value tile, int64_t lanes) const {
  auto type = cast<RankedTensorType>(tile.getType());
  SmallVector<int64_t> shape(type.getShape());
  for (auto [dim, size] : llvm::enumerate(shape))
    if (classes.meets({tile, static_cast<int64_t>(dim)}, splitDim))
      size = lanes;
  return type.clone(shape);
}

Value LinearPart::createZeros(Value like) {
  RankedTensorType type = resize(like, lanes);
  return arith::ConstantOp::create(*rewriter, like.getLoc(),
                                   rewriter->getZeroAttr(type));
}

/// Clones an operation with these operands, on tiles of `lanes` lanes.
Operation *LinearPart::cloneResized(Operation *op, ArrayRef<Value> operands) {
  Operation *clone = rewriter->clone(*op);
  clone->setOperands(operands);
  for (auto [from, to] : llvm::zip_equal(op->getResults(), clone->getResults()))
    if (isa<RankedTensorType>(from.getType())) // a number has no lanes
      to.setType(resize(from, lanes));
  if (auto constant = dyn_cast<arith::ConstantOp>(clone))
    if (auto splat = dyn_cast<SplatElementsAttr>(constant.getValue()))
      constant.setValueAttr(
          splat.resizeSplat(cast<ShapedType>(constant.getType())));
  return clone;
}

/// Returns an operand that no carry enters, for the clone of its owner. An
/// empty one is as large as the result that it stands for.
Value LinearPart::createFactor(OpOperand &operand) {
  Operation *owner = operand.getOwner();
  if (operand.get().getDefiningOp<tensor::EmptyOp>())
    if (auto style = dyn_cast<DestinationStyleOpInterface>(owner))
      return tensor::EmptyOp::create(
          *rewriter, owner->getLoc(),
          resize(style.getTiedOpResult(&operand), lanes), ValueRange());
  if (Value known = mapping->lookupOrNull(operand.get()))
    return known;
  Operation *op = operand.get().getDefiningOp();
  SmallVector<Value> operands;
  for (OpOperand &inner : op->getOpOperands())
    operands.push_back(createFactor(inner));
  mapping->map(op->getResults(), cloneResized(op, operands)->getResults());
  return mapping->lookup(operand.get());
}

/// Returns the linear part of a tile; null if no carry enters it.
Value LinearPart::createLinear(Value tile) {
  if (!dependence.reaches(tile))
    return {};
  if (isa<BlockArgument>(tile))
    return mapping->lookup(tile);
  if (Value known = linear.lookup(tile))
    return known;
  Value created = createLinearOp(tile.getDefiningOp(), tile);
  linear[tile] = created;
  return created;
}

Value LinearPart::createLinearOp(Operation *op, Value result) {
  LinearForm form = *getLinearForm(op);
  if (llvm::none_of(form.factors, [&](OpOperand *factor) {
        return dependence.reaches(factor->get());
      })) {
    auto terms = llvm::map_to_vector(
        form.terms, [&](OpOperand *term) { return createLinear(term->get()); });
    if (terms.size() == 1 || !terms[1])
      return terms[0];
    if (!terms[0])
      return isa<arith::SubFOp>(op) ? Value(arith::NegFOp::create(
                                          *rewriter, op->getLoc(), terms[1]))
                                    : terms[1];
  }
  SmallVector<Value> operands;
  for (OpOperand &operand : op->getOpOperands()) {
    if (Value part = createLinear(operand.get()))
      operands.push_back(part);
    else if (form.isTerm(operand))
      operands.push_back(createZeros(result));
    else
      operands.push_back(createFactor(operand));
  }
  Operation *clone = cloneResized(op, operands);
  for (auto [from, to] : llvm::zip_equal(op->getResults(), clone->getResults()))
    linear[from] = to;
  return linear[result];
}

Value LinearPart::create(RewriterBase &builder, IRMapping &map,
                         int64_t numLanes) {
  rewriter = &builder;
  mapping = &map;
  lanes = numLanes;
  linear.clear();
  return createLinear(scan.getYield().getCarries().front());
}
