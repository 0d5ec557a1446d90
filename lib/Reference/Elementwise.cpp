//===- Elementwise.cpp - arith and math on whole arrays -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Evaluate.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/StringSwitch.h"

#include <cmath>

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::reference;

using Unary = double (*)(double);
using Binary = double (*)(double, double);

static double same(double x) { return x; }
static double negative(double x) { return -x; }
static double reciprocalRoot(double x) { return 1.0 / std::sqrt(x); }

static double add(double x, double y) { return x + y; }
static double subtract(double x, double y) { return x - y; }
static double multiply(double x, double y) { return x * y; }
static double divide(double x, double y) { return x / y; }

// maximumf and minimumf hand on a NaN; maxnumf and minnumf (fmax, fmin) do not.
static double maximum(double x, double y) {
  return std::isnan(x) || std::isnan(y) ? NAN : std::fmax(x, y);
}
static double minimum(double x, double y) {
  return std::isnan(x) || std::isnan(y) ? NAN : std::fmin(x, y);
}

static Unary getUnary(StringRef name) {
  return llvm::StringSwitch<Unary>(name)
      .Cases({"arith.extf", "arith.truncf", "tensor.cast"}, same)
      .Case("arith.negf", negative)
      .Case("math.absf", std::fabs)
      .Case("math.cos", std::cos)
      .Case("math.exp", std::exp)
      .Case("math.exp2", std::exp2)
      .Case("math.expm1", std::expm1)
      .Case("math.log", std::log)
      .Case("math.log1p", std::log1p)
      .Case("math.log2", std::log2)
      .Case("math.sin", std::sin)
      .Case("math.sqrt", std::sqrt)
      .Case("math.rsqrt", reciprocalRoot)
      .Case("math.tanh", std::tanh)
      .Default(nullptr);
}

static Binary getBinary(StringRef name) {
  return llvm::StringSwitch<Binary>(name)
      .Case("arith.addf", add)
      .Case("arith.subf", subtract)
      .Case("arith.mulf", multiply)
      .Case("arith.divf", divide)
      .Case("arith.maximumf", maximum)
      .Case("arith.minimumf", minimum)
      .Case("arith.maxnumf", std::fmax)
      .Case("arith.minnumf", std::fmin)
      .Case("math.powf", std::pow)
      .Default(nullptr);
}

static FailureOr<NDArray> evaluateConstant(arith::ConstantOp op) {
  auto type = dyn_cast<RankedTensorType>(op.getType());
  auto elements = dyn_cast<DenseElementsAttr>(op.getValue());
  if (!type || !elements)
    return op.emitError() << "expected a dense tensor constant, found "
                          << op.getType();
  NDArray array(type.getShape().vec());
  double *next = array.data.data();
  if (isa<FloatType>(type.getElementType())) {
    for (APFloat value : elements.getValues<APFloat>()) {
      bool losesInfo;
      value.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven,
                    &losesInfo);
      *next++ = value.convertToDouble();
    }
  } else {
    for (const APInt &value : elements.getValues<APInt>())
      *next++ = static_cast<double>(value.getSExtValue());
  }
  return array;
}

static FailureOr<NDArray> evaluateBinary(Operation *op, Binary function,
                                         const NDArray &x, const NDArray &y) {
  if (x.shape != y.shape)
    return op->emitError() << "expected operands of one shape, found "
                           << shapeString(x) << " and " << shapeString(y);
  NDArray result = x;
  for (auto [into, other] : llvm::zip_equal(result.data, y.data))
    into = function(into, other);
  return result;
}

FailureOr<NDArray>
mlir::wyvern::reference::evaluateElementwise(Operation *op,
                                             const Environment &env) {
  if (auto constant = dyn_cast<arith::ConstantOp>(op))
    return evaluateConstant(constant);
  StringRef name = op->getName().getStringRef();
  auto operand = [&](unsigned i) -> const NDArray & {
    return env.find(op->getOperand(i))->second;
  };
  if (Unary function = getUnary(name)) {
    NDArray result = operand(0);
    for (double &x : result.data)
      x = function(x);
    return result;
  }
  if (Binary function = getBinary(name))
    return evaluateBinary(op, function, operand(0), operand(1));
  return op->emitError()
         << "the reference interpreter takes the sequence level only: "
            "delta.recurrence, delta.running_sum, maps of single tokens, "
            "elementwise arith and math on floats, constants and return; "
            "interpret the program before delta-form-wy";
}
