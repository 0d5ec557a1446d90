//===- TrainingPair.cpp - A function and its backward ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/Utils/TrainingPair.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;
using namespace mlir::wyvern::delta;

StringRef mlir::wyvern::delta::getArgName(func::FuncOp func, unsigned index) {
  auto name = func.getArgAttrOfType<StringAttr>(index, kNameAttr);
  return name ? name.getValue() : StringRef();
}

StringRef mlir::wyvern::delta::getResultName(func::FuncOp func,
                                             unsigned index) {
  auto name = func.getResultAttrOfType<StringAttr>(index, kNameAttr);
  return name ? name.getValue() : StringRef();
}

StringRef mlir::wyvern::delta::getLayerName(func::FuncOp func) {
  StringRef name = func.getSymName();
  if (func->hasAttr(kBackwardAttr))
    name.consume_back(kForwardSuffix);
  return name;
}

namespace {
/// A forward and its backward, as far as they are known to fit.
class PairVerifier {
public:
  explicit PairVerifier(TrainingPair pair)
      : forward(pair.forward), backward(pair.backward) {}

  LogicalResult verify();

private:
  /// What the backward may be given under a name.
  struct Offer {
    Type type;
    bool isResidual;
  };

  LogicalResult collectOffers();
  LogicalResult verifyArgument(unsigned index);
  LogicalResult verifyResult(unsigned index);

  func::FuncOp forward, backward;
  llvm::StringMap<Offer> offers;
  /// Residuals that nothing has read yet.
  llvm::SmallSetVector<StringRef, 2> unread;
};
} // namespace

LogicalResult PairVerifier::collectOffers() {
  auto add = [&](const Twine &name, Type type, bool isResidual) {
    return offers.try_emplace(name.str(), Offer{type, isResidual}).second;
  };
  for (auto [i, type] : llvm::enumerate(forward.getArgumentTypes()))
    add(getArgName(forward, i), type, false);
  for (auto [i, type] : llvm::enumerate(forward.getResultTypes())) {
    StringRef name = getResultName(forward, i);
    bool isResidual = forward.getResultAttr(i, kResidualAttr) != nullptr;
    if (name.empty() || (isResidual && !add(name, type, true)))
      return forward.emitOpError()
             << "result #" << i
             << ": expected a delta.name of its own, which its backward "
                "refers to";
    if (isResidual)
      unread.insert(name);
    else
      add(kGradientPrefix + name, type, false);
  }
  return success();
}

LogicalResult PairVerifier::verifyArgument(unsigned index) {
  StringRef name = getArgName(backward, index);
  bool isResidual = backward.getArgAttr(index, kResidualAttr) != nullptr;
  Type type = backward.getArgumentTypes()[index];
  auto offer = offers.find(name);
  if (offer == offers.end() || offer->second.isResidual != isResidual)
    return backward.emitOpError()
           << "argument #" << index << " ('" << name
           << "'): expected an argument of @" << forward.getSymName()
           << ", a delta.residual of its results, or d_ and the name of "
              "another "
              "result: a backward is called with nothing else";
  if (offer->second.type != type)
    return backward.emitOpError()
           << "argument #" << index << " ('" << name << "'): expected "
           << offer->second.type << " as in @" << forward.getSymName()
           << ", found " << type;
  unread.remove(name);
  return success();
}

LogicalResult PairVerifier::verifyResult(unsigned index) {
  StringRef name = getResultName(backward, index);
  StringRef argument = name;
  bool isGradient = argument.consume_front(kGradientPrefix);
  for (unsigned i = 0, e = forward.getNumArguments(); isGradient && i < e; ++i)
    if (getArgName(forward, i) == argument &&
        isa<FloatType>(getElementTypeOrSelf(forward.getArgumentTypes()[i])))
      return success();
  return backward.emitOpError()
         << "result #" << index << " ('" << name
         << "'): expected d_ and the name of a floating-point argument of @"
         << forward.getSymName() << ", whose gradient it is";
}

LogicalResult PairVerifier::verify() {
  if (failed(collectOffers()))
    return failure();
  for (unsigned i = 0, e = backward.getNumArguments(); i < e; ++i)
    if (failed(verifyArgument(i)))
      return failure();
  for (unsigned i = 0, e = backward.getNumResults(); i < e; ++i)
    if (failed(verifyResult(i)))
      return failure();
  if (!unread.empty())
    return backward.emitOpError()
           << "expected the delta.residual argument '" << unread.front()
           << "': it is saved by @" << forward.getSymName()
           << " and nothing else reads it";
  return success();
}

FailureOr<TrainingPair> mlir::wyvern::delta::findTrainingPair(ModuleOp module) {
  TrainingPair pair;
  for (auto func : module.getOps<func::FuncOp>()) {
    if (!func->hasAttr(kBackwardAttr))
      continue;
    if (pair)
      return func.emitOpError()
             << "has a backward, and so has @" << pair.forward.getSymName()
             << "; compile one at a time";
    auto symbol = func->getAttrOfType<FlatSymbolRefAttr>(kBackwardAttr);
    pair.forward = func;
    if (symbol)
      pair.backward = module.lookupSymbol<func::FuncOp>(symbol.getAttr());
    if (!pair.backward || pair.backward == func)
      return func.emitOpError()
             << "expected delta.backward to name another function of the "
                "module, found "
             << func->getAttr(kBackwardAttr);
  }
  if (pair && failed(PairVerifier(pair).verify()))
    return failure();
  return pair;
}
