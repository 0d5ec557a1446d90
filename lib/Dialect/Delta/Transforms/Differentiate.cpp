//===- Differentiate.cpp - A backward function for each function ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The rules are in lib/Dialect/Delta/Adjoints. Here: which functions have a
// backward, and the signature of that.
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/Adjoints/Adjoint.h"
#include "wyvern/Dialect/Delta/Transforms/Passes.h"
#include "wyvern/Dialect/Delta/Utils/Prologue.h"
#include "wyvern/Dialect/Delta/Utils/TrainingPair.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace mlir::wyvern::delta {
#define GEN_PASS_DEF_DIFFERENTIATEPASS
#include "wyvern/Dialect/Delta/Transforms/Passes.h.inc"
} // namespace mlir::wyvern::delta

using namespace mlir;
using namespace mlir::wyvern::delta;

static bool isFloat(Value value) {
  return isa<FloatType>(getElementTypeOrSelf(value));
}

/// True for an argument that has a gradient.
static bool isDifferentiable(BlockArgument argument) {
  auto func = cast<func::FuncOp>(argument.getOwner()->getParentOp());
  return isFloat(argument) &&
         !func.getArgAttr(argument.getArgNumber(), kConstantAttr);
}

namespace {
/// Builds the backward of one function.
class BackwardBuilder {
public:
  explicit BackwardBuilder(func::FuncOp forward)
      : forward(forward), b(forward.getLoc(), forward.getContext()) {}

  FailureOr<func::FuncOp> build(StringRef name);

private:
  LogicalResult check();
  void createFunction(StringRef name);
  /// The attribute `delta.name` of the gradient of what `attrs` belong to.
  DictionaryAttr nameGradient(DictionaryAttr attrs);
  /// The gradient of an argument; zeros of its shape if nothing reads it.
  Value getResult(Adjoint &adjoint, BlockArgument argument);

  func::FuncOp forward, backward;
  ImplicitLocOpBuilder b;
};
} // namespace

LogicalResult BackwardBuilder::check() {
  if (!forward.getBody().hasOneBlock())
    return forward.emitOpError()
           << "expected one block, found control flow between blocks; only "
              "straight-line functions of chunk programs are differentiated";
  for (unsigned i = 0; i < forward.getNumArguments(); ++i)
    if (!forward.getArgAttr(i, kNameAttr))
      return forward.emitOpError()
             << "argument #" << i
             << ": expected a delta.name, from which its gradient gets one";
  for (unsigned i = 0; i < forward.getNumResults(); ++i)
    if (!forward.getResultAttr(i, kNameAttr))
      return forward.emitOpError()
             << "result #" << i
             << ": expected a delta.name, from which its gradient gets one";
  return success();
}

DictionaryAttr BackwardBuilder::nameGradient(DictionaryAttr attrs) {
  auto name = attrs.getAs<StringAttr>(kNameAttr);
  return b.getDictionaryAttr(b.getNamedAttr(
      kNameAttr, b.getStringAttr(kGradientPrefix + name.getValue())));
}

/// The arguments of the forward, then the gradients of its results; results
/// are the gradients of the arguments that are floats.
void BackwardBuilder::createFunction(StringRef name) {
  SmallVector<Type> inputs(forward.getArgumentTypes()), results;
  llvm::append_range(inputs, forward.getResultTypes());
  SmallVector<DictionaryAttr> argAttrs, resultAttrs;
  for (BlockArgument argument : forward.getArguments()) {
    argAttrs.push_back(forward.getArgAttrDict(argument.getArgNumber()));
    if (!isDifferentiable(argument))
      continue;
    results.push_back(argument.getType());
    resultAttrs.push_back(nameGradient(argAttrs.back()));
  }
  for (unsigned i = 0; i < forward.getNumResults(); ++i)
    argAttrs.push_back(nameGradient(forward.getResultAttrDict(i)));
  b.setInsertionPointAfter(forward);
  backward = func::FuncOp::create(b, name, b.getFunctionType(inputs, results));
  backward.setAllArgAttrs(argAttrs);
  backward.setAllResultAttrs(resultAttrs);
  b.setInsertionPointToStart(backward.addEntryBlock());
}

Value BackwardBuilder::getResult(Adjoint &adjoint, BlockArgument argument) {
  if (Value gradient = adjoint.getGradient(argument))
    return gradient;
  Value primal = adjoint.getPrimal(argument);
  auto type = cast<RankedTensorType>(primal.getType());
  Value empty = tensor::EmptyOp::create(
      b, tensor::getMixedSizes(b, b.getLoc(), primal), type.getElementType());
  Value zero =
      arith::ConstantOp::create(b, b.getFloatAttr(type.getElementType(), 0.0));
  Value zeros = linalg::FillOp::create(b, zero, empty).getResult(0);
  return zeros.getType() == type
             ? zeros
             : tensor::CastOp::create(b, type, zeros).getResult();
}

FailureOr<func::FuncOp> BackwardBuilder::build(StringRef name) {
  if (failed(check()))
    return failure();
  createFunction(name);
  unsigned numArguments = forward.getNumArguments();
  Adjoint adjoint(b, [](Value) { return Value(); });
  for (BlockArgument argument : forward.getArguments()) {
    adjoint.setPrimal(argument, backward.getArgument(argument.getArgNumber()));
    if (isDifferentiable(argument))
      adjoint.setActive(argument);
  }
  Block &block = forward.getBody().front();
  for (auto [i, value] :
       llvm::enumerate(block.getTerminator()->getOperands())) {
    if (!isFloat(value))
      continue;
    adjoint.setActive(value);
    adjoint.addGradient(value, backward.getArgument(numArguments + i));
  }
  if (failed(adjoint.sweep(block)))
    return failure();
  SmallVector<Value> gradients;
  for (BlockArgument argument : forward.getArguments())
    if (isDifferentiable(argument))
      gradients.push_back(getResult(adjoint, argument));
  b.setLoc(forward.getLoc());
  func::ReturnOp::create(b, gradients);
  return backward;
}

//===----------------------------------------------------------------------===//
// Sums of gradients
//===----------------------------------------------------------------------===//

/// Makes a program of the sum of two gradients that programs have made, of one
/// argument that both read: kernels add, and nothing else does on a GPU.
static void addInProgram(arith::AddFOp sum) {
  auto made = sum.getLhs().getDefiningOp<ChunkProgramOpInterface>();
  if (!made || !sum.getRhs().getDefiningOp<ChunkProgramOpInterface>())
    return;
  ImplicitLocOpBuilder b(sum.getLoc(), sum);
  unsigned number = cast<OpResult>(sum.getLhs()).getResultNumber();
  if (number >= made.getOuts().size())
    return;
  BindingAttr binding = made.getOutBinding(number);
  if (!binding.has(DimKind::time))
    return;
  Type type = sum.getType();
  auto map = ChunkMapOp::create(
      b, type, sum->getOperands(), made.getCuSeqlens(),
      b.getI64IntegerAttr(made.getChunk()),
      b.getI64IntegerAttr(made.getHeads()), TypeAttr::get(made.getCompute()),
      b.getArrayAttr({binding, binding}), b.getArrayAttr({binding}));
  Block &body = map.getBody().emplaceBlock();
  body.addArgument(b.getIndexType(), b.getLoc());
  Type tile = binding.getTileType(cast<RankedTensorType>(type), made.getChunk(),
                                  made.getCompute());
  for (unsigned i = 0; i < 2; ++i)
    body.addArgument(tile, b.getLoc());
  auto inside = ImplicitLocOpBuilder::atBlockEnd(b.getLoc(), &body);
  Value added =
      arith::AddFOp::create(inside, body.getArgument(1), body.getArgument(2));
  YieldOp::create(inside, added, ValueRange());
  sum.replaceAllUsesWith(map.getOuts().front());
  sum.erase();
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {
struct DifferentiatePass
    : wyvern::delta::impl::DifferentiatePassBase<DifferentiatePass> {
  using Base::Base;

  void runOnOperation() override {
    for (auto func : llvm::to_vector(getOperation().getOps<func::FuncOp>()))
      if (isDifferentiated(func) && failed(differentiate(func)))
        return signalPassFailure();
  }

private:
  /// Functions of chunk programs, but not what this pass has made.
  static bool isDifferentiated(func::FuncOp func) {
    bool hasProgram = false;
    func.walk([&](ChunkProgramOpInterface) { hasProgram = true; });
    return hasProgram && !isTrainingFunction(func);
  }

  LogicalResult checkSymbols(func::FuncOp func);
  LogicalResult differentiate(func::FuncOp func);
};
} // namespace

/// The function goes, so nothing may refer to it; its two successors must not
/// be there yet.
LogicalResult DifferentiatePass::checkSymbols(func::FuncOp func) {
  StringRef name = func.getSymName();
  auto uses = SymbolTable::getSymbolUses(func, getOperation());
  if (uses && !uses->empty())
    return uses->begin()->getUser()->emitOpError()
           << "refers to @" << name << ", which becomes @" << name
           << "_fwd and @" << name
           << "_bwd; only functions that nothing calls are differentiated";
  for (StringRef suffix : {kForwardSuffix, kBackwardSuffix})
    if (Operation *taken = getOperation().lookupSymbol((name + suffix).str()))
      return taken->emitOpError()
             << "has the name that differentiating @" << name
             << " gives to a function of its own; rename one of them";
  return success();
}

/// Numbers the triangular systems and the scans, so that those of the two
/// functions can be matched later.
static void numberOps(func::FuncOp func) {
  Builder builder(func.getContext());
  int64_t numSystems = 0, numScans = 0;
  func.walk([&](EraseSolveOp solve) {
    solve->setAttr(kSystemAttr, builder.getI64IntegerAttr(numSystems++));
  });
  func.walk([&](ChunkScanOp scan) {
    scan->setAttr(kReplayAttr, builder.getI64IntegerAttr(numScans++));
  });
}

LogicalResult DifferentiatePass::differentiate(func::FuncOp func) {
  WalkResult recurrences = func.walk([](RecurrenceOp op) {
    op.emitOpError() << "expected a chunk program, found a recurrence; run "
                        "delta-form-wy first";
    return WalkResult::interrupt();
  });
  if (recurrences.wasInterrupted() || failed(checkSymbols(func)))
    return failure();
  numberOps(func);
  std::string name = func.getSymName().str();
  FailureOr<func::FuncOp> backward =
      BackwardBuilder(func).build(name + kBackwardSuffix.str());
  if (failed(backward))
    return failure();
  for (auto sum :
       llvm::make_early_inc_range((*backward).getOps<arith::AddFOp>()))
    addInProgram(sum);
  func.setSymName(name + kForwardSuffix.str());
  func->setAttr(kBackwardAttr, FlatSymbolRefAttr::get(*backward));
  if (Attribute most = func->getAttr(kMaxTokensAttr))
    (*backward)->setAttr(kMaxTokensAttr, most);
  ++numDifferentiated;
  return success();
}
