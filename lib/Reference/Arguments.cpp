//===- Arguments.cpp - Arguments by name, and random ones -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Evaluate.h"
#include "wyvern/Reference/Interpreter.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/Support/MathExtras.h"

#include <cmath>
#include <random>

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::reference;

//===----------------------------------------------------------------------===//
// Names
//===----------------------------------------------------------------------===//

std::vector<std::string>
mlir::wyvern::reference::getArgumentNames(func::FuncOp func) {
  std::vector<std::string> names;
  for (unsigned i = 0, e = func.getNumArguments(); i != e; ++i) {
    auto name = func.getArgAttrOfType<StringAttr>(i, delta::kNameAttr);
    names.push_back(name ? name.str() : "arg" + std::to_string(i));
  }
  return names;
}

std::vector<std::string>
mlir::wyvern::reference::getResultNames(func::FuncOp func) {
  std::vector<std::string> names;
  for (unsigned i = 0, e = func.getNumResults(); i != e; ++i) {
    auto name = func.getResultAttrOfType<StringAttr>(i, delta::kNameAttr);
    names.push_back(name ? name.str() : "result" + std::to_string(i));
  }
  return names;
}

/// Sequences there are: entries of cu_seqlens less one, or the batch size.
static int64_t countSequences(ArrayRef<std::string> names,
                              const NamedArrays &arguments) {
  auto cu = arguments.find("cu_seqlens");
  if (cu != arguments.end() && !cu->second.data.empty())
    return cu->second.getNumElements() - 1;
  auto first = arguments.find(names.front());
  return first != arguments.end() && first->second.getRank() > 0
             ? first->second.shape[0]
             : 0;
}

/// Whether an argument is what sequences start from: zeros if not given.
static bool isInitial(func::FuncOp func, unsigned index, StringRef name) {
  return name == "initial_state" ||
         llvm::any_of(func.getArgument(index).getUses(), [](OpOperand &use) {
           auto sum = dyn_cast<delta::RunningSumOp>(use.getOwner());
           return sum && sum.getInit() == use.get();
         });
}

/// What an argument that was not given stands for.
static FailureOr<NDArray> defaultArgument(func::FuncOp func, unsigned index,
                                          ArrayRef<std::string> names,
                                          const NamedArrays &given) {
  auto type = dyn_cast<RankedTensorType>(func.getArgumentTypes()[index]);
  if (type && names[index] == "cu_seqlens")
    return NDArray({0});
  if (type && isInitial(func, index, names[index])) {
    std::vector<int64_t> shape = type.getShape().vec();
    shape[0] = countSequences(names, given);
    return NDArray(shape);
  }
  InFlightDiagnostic error = func.emitError()
                             << "argument '" << names[index]
                             << "' was not given; expected arrays named ";
  llvm::interleaveComma(names, error);
  return error;
}

FailureOr<NamedArrays>
mlir::wyvern::reference::interpret(func::FuncOp func,
                                   const NamedArrays &arguments) {
  std::vector<std::string> names = getArgumentNames(func);
  for (const auto &entry : arguments)
    if (!llvm::is_contained(names, entry.first)) {
      InFlightDiagnostic error = func.emitError()
                                 << "no argument is named '" << entry.first
                                 << "'; expected ";
      llvm::interleaveComma(names, error);
      return error;
    }
  std::vector<NDArray> ordered;
  for (auto [i, name] : llvm::enumerate(names)) {
    auto given = arguments.find(name);
    if (given != arguments.end()) {
      ordered.push_back(given->second);
      continue;
    }
    FailureOr<NDArray> array = defaultArgument(func, i, names, arguments);
    if (failed(array))
      return failure();
    ordered.push_back(std::move(*array));
  }
  FailureOr<std::vector<NDArray>> results = interpret(func, ordered);
  if (failed(results))
    return failure();
  NamedArrays named;
  for (auto [name, array] : llvm::zip_equal(getResultNames(func), *results))
    named[name] = std::move(array);
  return named;
}

//===----------------------------------------------------------------------===//
// Random arguments
//===----------------------------------------------------------------------===//

namespace {
enum class Law { normal, unitRows, uniform, negative };

/// What a recurrence uses an argument for, and so how it is distributed.
struct Role {
  Law law = Law::normal;
  int64_t rowsPerToken = 1;
};

/// Numbers that are the same on every machine: the distributions of <random>
/// are not, its engines are.
class Random {
public:
  explicit Random(uint64_t seed) : engine(seed) {}
  double uniform() { return (engine() >> 11) * 0x1.0p-53; }
  double normal() { // Box-Muller
    double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
    return radius * std::cos(2.0 * M_PI * uniform());
  }

private:
  std::mt19937_64 engine;
};
} // namespace

static Role getRole(BlockArgument argument) {
  for (OpOperand &use : argument.getUses()) {
    if (auto map = dyn_cast<delta::ChunkMapOp>(use.getOwner()))
      if (unsigned i = use.getOperandNumber(); i < map.getIns().size())
        for (const delta::BoundDim &dim : map.getInBinding(i).getDims())
          if (dim.kind == delta::DimKind::time)
            return {Law::normal, dim.multiple};
    auto op = dyn_cast<delta::RecurrenceOp>(use.getOwner());
    if (!op)
      continue;
    if (op.getDecay() == argument)
      return {Law::negative};
    if (op.getQuery() == argument)
      return {Law::unitRows};
    for (const delta::RecurrenceOp::Step &step : op.getStepList()) {
      if (step.write == argument || step.erase == argument)
        return {Law::unitRows, step.repeat};
      if (step.rate == argument)
        return {Law::uniform, step.repeat};
      if (step.value == argument || step.written == argument)
        return {Law::normal, step.repeat};
    }
  }
  return {};
}

static void normalizeRows(NDArray &array) {
  int64_t width = array.shape.empty() ? 1 : array.shape.back();
  for (int64_t at = 0, e = array.getNumElements(); at < e; at += width) {
    double norm = 0.0;
    for (int64_t i = 0; i < width; ++i)
      norm += array.data[at + i] * array.data[at + i];
    for (int64_t i = 0; i < width; ++i)
      array.data[at + i] /= std::sqrt(norm);
  }
}

/// 2 GiB of float64: what interprets token by token would take days for more.
static constexpr int64_t maxRandomElements = 1 << 28;

static bool fitsMemory(ArrayRef<int64_t> shape) {
  int64_t elements = 1;
  for (int64_t size : shape)
    if (llvm::MulOverflow(elements, size, elements) ||
        elements > maxRandomElements)
      return false;
  return true;
}

static NDArray randomArray(std::vector<int64_t> shape, Law law,
                           Random &random) {
  NDArray array(std::move(shape));
  for (double &x : array.data)
    x = law == Law::uniform    ? random.uniform()
        : law == Law::negative ? -std::fabs(random.normal())
                               : random.normal();
  if (law == Law::unitRows)
    normalizeRows(array);
  return array;
}

FailureOr<NamedArrays>
mlir::wyvern::reference::randomArguments(func::FuncOp func, int64_t batch,
                                         int64_t time, uint64_t seed) {
  constexpr int64_t most = 1 << 20;
  if (batch < 0 || batch > most || time < 0 || time > most)
    return func.emitError() << "expected a batch size and a number of tokens "
                               "from 0 to "
                            << most << ", found " << batch << " and " << time;
  Random random(seed);
  NamedArrays arguments;
  for (auto [name, argument] :
       llvm::zip_equal(getArgumentNames(func), func.getArguments())) {
    auto type = dyn_cast<RankedTensorType>(argument.getType());
    if (!type)
      return func.emitError()
             << "expected '" << name << "' to be a ranked tensor, found "
             << argument.getType();
    if (isa<IntegerType>(type.getElementType()))
      continue; // no packing
    Role role = getRole(argument);
    std::vector<int64_t> shape = type.getShape().vec();
    int64_t dynamic[] = {batch, time * role.rowsPerToken};
    for (auto [i, size] : llvm::enumerate(shape))
      if (ShapedType::isDynamic(size)) {
        if (i > 1)
          return func.emitError()
                 << "expected dynamic sizes only for batch and time, found "
                 << type << " for '" << name << "'";
        size = dynamic[i];
      }
    if (!fitsMemory(shape))
      return func.emitError()
             << "expected a random array of at most " << maxRandomElements
             << " elements, found " << type << " for '" << name
             << "', batch size " << batch << " and " << time << " tokens";
    arguments[name] = randomArray(std::move(shape), role.law, random);
  }
  return arguments;
}
