//===- Interpreter.cpp - Runs a sequence-level function -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Reference/Interpreter.h"
#include "Evaluate.h"
#include "wyvern/Dialect/Delta/IR/ChunkRegion.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::reference;

std::string mlir::wyvern::reference::shapeString(const NDArray &array) {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << '[';
  llvm::interleaveComma(array.shape, os);
  os << ']';
  return text;
}

LogicalResult mlir::wyvern::reference::verifyShape(Operation *op,
                                                   const Twine &what,
                                                   const NDArray &array,
                                                   Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor)
    return op->emitError() << "expected " << what
                           << " to be a ranked tensor, found " << type;
  bool fits =
      tensor.getRank() == array.getRank() &&
      llvm::all_of(llvm::zip_equal(tensor.getShape(), array.shape),
                   [](auto sizes) {
                     auto [wanted, found] = sizes;
                     return ShapedType::isDynamic(wanted) || wanted == found;
                   });
  if (!fits)
    return op->emitError() << "expected an array of type " << tensor << " for "
                           << what << ", found shape " << shapeString(array);
  return success();
}

/// Adds the results of one operation to the environment.
static LogicalResult evaluate(Operation *op, Environment &env) {
  if (auto recurrence = dyn_cast<delta::RecurrenceOp>(op)) {
    auto results = evaluateRecurrence(recurrence, env);
    if (failed(results))
      return failure();
    env[recurrence.getOutput()] = std::move(results->first);
    env[recurrence.getFinalState()] = std::move(results->second);
    return success();
  }
  if (auto sum = dyn_cast<delta::RunningSumOp>(op)) {
    auto results = evaluateRunningSum(sum, env);
    if (failed(results))
      return failure();
    env[sum.getSums()] = std::move(results->first);
    env[sum.getTotal()] = std::move(results->second);
    return success();
  }
  if (auto map = dyn_cast<delta::ChunkMapOp>(op))
    return evaluateTokenMap(map, env);
  FailureOr<NDArray> result = evaluateElementwise(op, env);
  if (failed(result))
    return failure();
  env[op->getResult(0)] = std::move(*result);
  return success();
}

FailureOr<std::vector<NDArray>>
mlir::wyvern::reference::interpret(func::FuncOp func,
                                   ArrayRef<NDArray> arguments) {
  if (!func.getBody().hasOneBlock())
    return func.emitError()
           << "expected a function with a body of one block to interpret";
  if (arguments.size() != func.getNumArguments())
    return func.emitError() << "expected " << func.getNumArguments()
                            << " arguments, found " << arguments.size();
  std::vector<std::string> names = getArgumentNames(func);
  Environment env;
  for (auto [name, argument, array] :
       llvm::zip_equal(names, func.getArguments(), arguments)) {
    if (failed(verifyShape(func, "'" + name + "'", array, argument.getType())))
      return failure();
    env[argument] = array;
  }
  for (Operation &op : func.getBody().front().without_terminator())
    if (failed(evaluate(&op, env)))
      return failure();
  std::vector<NDArray> results;
  for (Value value : func.getBody().front().getTerminator()->getOperands())
    results.push_back(env[value]);
  return results;
}

void mlir::wyvern::reference::registerInterpretedDialects(
    DialectRegistry &registry) {
  registry.insert<arith::ArithDialect, delta::DeltaDialect, func::FuncDialect,
                  linalg::LinalgDialect, math::MathDialect,
                  tensor::TensorDialect>();
  delta::registerChunkRegionModels(registry);
}
