//===- Names.cpp - Names that leave the compiler --------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// MLIR takes any string as a name. Kernels, files, C functions and parameters,
// and Python's keywords are named after functions and their tensors, and take
// less; and two tensors of one name would silently be one.
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/Utils/TrainingPair.h"
#include "wyvern/Dialect/Sched/IR/Sched.h"
#include "wyvern/Dialect/Tile/IR/Tile.h"
#include "wyvern/Pipelines/Pipelines.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace mlir::wyvern;

static bool isIdentifier(StringRef text) {
  return !text.empty() && !llvm::isDigit(text.front()) &&
         llvm::all_of(text,
                      [](char c) { return llvm::isAlnum(c) || c == '_'; });
}

namespace {
/// Checks the names of one function and its tensors.
class NameChecker {
public:
  NameChecker(func::FuncOp func, bool training)
      : func(func), training(training) {}

  LogicalResult check();

private:
  LogicalResult checkTensor(Location loc, const Twine &what, StringRef name);
  /// True for a pool of states that a result is, too.
  bool isWrittenInPlace(unsigned argument);

  func::FuncOp func;
  bool training;
  llvm::StringSet<> names;
};
} // namespace

LogicalResult NameChecker::checkTensor(Location loc, const Twine &what,
                                       StringRef name) {
  if (name.empty())
    return success(); // Anonymous: who needs a name asks for one.
  if (!isIdentifier(name))
    return emitError(loc)
           << what
           << ": expected a delta.name that is a C identifier (letters, "
              "digits and _, not starting with a digit), for C parameters and "
              "Python keywords are named after it; found '"
           << name << "'";
  if (!names.insert(name).second)
    return emitError(loc) << what << ": another tensor of @"
                          << func.getSymName() << " has the delta.name '"
                          << name << "' too; rename one of them";
  return success();
}

/// Returns the init of `op` that its final `result` is, if that is a pool.
template <typename OpT>
static Value findPool(OpT op, Value result, ArrayAttr bindings) {
  for (auto [init, final, binding] :
       llvm::zip_equal(op.getInits(), op.getFinals(),
                       bindings.getAsRange<delta::BindingAttr>()))
    if (final == result && binding.has(delta::DimKind::slot))
      return init;
  return {};
}

/// Returns the pool that `result` is, as its operation found it; null for what
/// is none.
static Value getPoolBefore(Value result) {
  Operation *op = result.getDefiningOp();
  if (auto scan = dyn_cast_or_null<delta::ChunkScanOp>(op))
    return result == scan.getKept()
               ? scan.getPool()
               : findPool(scan, result, scan.getCarryBindings());
  if (auto sum = dyn_cast_or_null<delta::RunningSumOp>(op))
    return sum.getReadSlots() && result == sum.getTotal() ? sum.getInit()
                                                          : Value();
  if (auto kernel = dyn_cast_or_null<sched::KernelOp>(op))
    return findPool(kernel, result, kernel.getInitBindings());
  if (auto launch = dyn_cast_or_null<tile::LaunchOp>(op))
    return findPool(launch, result, launch.getInitBindings());
  return {};
}

bool NameChecker::isWrittenInPlace(unsigned argument) {
  if (func.isDeclaration())
    return false;
  Value pool = func.getArgument(argument);
  Operation *terminator = func.getBody().front().getTerminator();
  for (auto [i, value] : llvm::enumerate(terminator->getOperands())) {
    Value before = value;
    while (before && before != pool)
      before = getPoolBefore(before);
    if (before &&
        delta::getResultName(func, i) == delta::getArgName(func, argument))
      return true;
  }
  return false;
}

LogicalResult NameChecker::check() {
  // Results first: what training adds to them is not the user's, so that an
  // argument of the same name is what the error is about.
  for (unsigned i = 0, e = func.getNumResults(); i < e; ++i)
    if (failed(checkTensor(func.getLoc(), "result #" + Twine(i),
                           delta::getResultName(func, i))))
      return failure();
  // What is written in place has one name as argument and as result.
  for (unsigned i = 0, e = func.getNumArguments(); i < e; ++i)
    if (isWrittenInPlace(i))
      names.erase(delta::getArgName(func, i));
  auto getLoc = [&](unsigned i) {
    return func.isDeclaration() ? func.getLoc() : func.getArgument(i).getLoc();
  };
  for (unsigned i = 0, e = func.getNumArguments(); i < e; ++i)
    if (failed(checkTensor(getLoc(i), "argument #" + Twine(i),
                           delta::getArgName(func, i))))
      return failure();
  for (unsigned i = 0, e = func.getNumArguments(); training && i < e; ++i) {
    StringRef name = delta::getArgName(func, i), of = name;
    if (of.consume_front(delta::kGradientPrefix) && names.contains(of))
      return emitError(getLoc(i))
             << "argument #" << i << ": '" << name
             << "' is the name of the gradient of '" << of
             << "', which training adds; rename one of them";
  }
  return success();
}

LogicalResult mlir::wyvern::checkNames(ModuleOp module, bool training) {
  WalkResult symbols = module.walk([&](SymbolOpInterface symbol) {
    if (symbol == module || isIdentifier(symbol.getName()))
      return WalkResult::advance();
    symbol.emitError() << "expected a name that is a C identifier (letters, "
                          "digits and _, not starting with a digit), for "
                          "kernels, files and C functions are named after it; "
                          "found '"
                       << symbol.getName() << "'";
    return WalkResult::interrupt();
  });
  if (symbols.wasInterrupted())
    return failure();
  for (auto func : module.getOps<func::FuncOp>())
    if (failed(NameChecker(func, training).check()))
      return failure();
  return success();
}
