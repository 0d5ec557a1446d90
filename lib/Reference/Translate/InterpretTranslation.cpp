//===- InterpretTranslation.cpp - wyvern-translate --interpret ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Reference/InterpretTranslation.h"
#include "wyvern/Reference/Interpreter.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Tools/mlir-translate/Translation.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"

#include <cmath>

using namespace mlir;
using namespace mlir::wyvern::reference;

namespace {
/// Command-line options of --interpret.
struct InterpretOptions {
  llvm::cl::OptionCategory category{"Interpreter options (with --interpret)"};
  llvm::cl::list<std::string> inputs{
      "input", llvm::cl::value_desc("name=file.npy"), llvm::cl::cat(category),
      llvm::cl::desc("Array for the argument of this name (repeatable)")};
  llvm::cl::opt<std::string> outputDir{
      "output-dir", llvm::cl::value_desc("folder"), llvm::cl::cat(category),
      llvm::cl::desc("Write each result to <folder>/<name>.npy, as float64")};
  llvm::cl::opt<std::string> function{
      "function", llvm::cl::value_desc("name"), llvm::cl::cat(category),
      llvm::cl::desc("Function to run (default: the only one)")};
  llvm::cl::opt<uint64_t> seed{
      "random-seed", llvm::cl::value_desc("n"), llvm::cl::cat(category),
      llvm::cl::desc("Random arrays for the arguments not given")};
  llvm::cl::opt<int64_t> batch{"batch", llvm::cl::init(1),
                               llvm::cl::cat(category),
                               llvm::cl::desc("Batch size of random arrays")};
  llvm::cl::opt<int64_t> time{"time", llvm::cl::init(16),
                              llvm::cl::cat(category),
                              llvm::cl::desc("Tokens of random arrays")};
  llvm::cl::opt<bool> print{"print-values", llvm::cl::cat(category),
                            llvm::cl::desc("Print all values of each result")};
};
} // namespace

static FailureOr<func::FuncOp> findFunction(ModuleOp module, StringRef name) {
  if (!name.empty()) {
    if (auto func = module.lookupSymbol<func::FuncOp>(name))
      return func;
    return module.emitError() << "no function is named '" << name << "'";
  }
  auto functions = llvm::to_vector(module.getOps<func::FuncOp>());
  if (functions.size() == 1)
    return functions.front();
  return module.emitError() << "expected one function to interpret, found "
                            << functions.size() << "; choose with --function";
}

/// The arrays given with --input, over random ones if --random-seed is given.
static FailureOr<NamedArrays> getArguments(func::FuncOp func,
                                           const InterpretOptions &options) {
  NamedArrays arguments;
  if (options.seed.getNumOccurrences()) {
    auto random =
        randomArguments(func, options.batch, options.time, options.seed);
    if (failed(random))
      return failure();
    arguments = std::move(*random);
  }
  for (const std::string &input : options.inputs) {
    auto [name, path] = StringRef(input).split('=');
    if (path.empty())
      return func.emitError()
             << "expected --input name=file.npy, found '" << input << "'";
    std::string error;
    if (!readNPY(path.str(), arguments[name.str()], error))
      return func.emitError() << "cannot read '" << name << "': " << error;
  }
  return arguments;
}

static void printResult(const std::string &name, const NDArray &array,
                        bool values, raw_ostream &os) {
  double squares = 0.0;
  for (double x : array.data)
    squares += x * x;
  os << name << ": shape [";
  llvm::interleaveComma(array.shape, os);
  os << "], norm " << llvm::formatv("{0:e}", std::sqrt(squares)) << "\n";
  if (!values)
    return;
  llvm::interleaveComma(array.data, os,
                        [&](double x) { os << llvm::formatv("{0:f6}", x); });
  os << "\n";
}

static LogicalResult writeResult(func::FuncOp func, StringRef folder,
                                 const std::string &name,
                                 const NDArray &array) {
  SmallString<128> path(folder);
  llvm::sys::path::append(path, name + ".npy");
  if (std::error_code code = llvm::sys::fs::create_directories(folder))
    return func.emitError()
           << "cannot create the folder " << folder << ": " << code.message();
  std::string error;
  if (!writeNPY(path.str().str(), array, error))
    return func.emitError() << "cannot write '" << name << "': " << error;
  return success();
}

static LogicalResult translate(ModuleOp module, raw_ostream &os,
                               const InterpretOptions &options) {
  FailureOr<func::FuncOp> func = findFunction(module, options.function);
  if (failed(func))
    return failure();
  FailureOr<NamedArrays> arguments = getArguments(*func, options);
  if (failed(arguments))
    return failure();
  FailureOr<NamedArrays> results = interpret(*func, *arguments);
  if (failed(results))
    return failure();
  for (const std::string &name : getResultNames(*func)) {
    const NDArray &array = (*results)[name];
    printResult(name, array, options.print, os);
    if (!options.outputDir.empty() &&
        failed(writeResult(*func, options.outputDir, name, array)))
      return failure();
  }
  return success();
}

void mlir::wyvern::reference::registerInterpretTranslation() {
  static InterpretOptions options;
  static TranslateFromMLIRRegistration registration(
      "interpret", "run a sequence-level function token by token in float64",
      [](ModuleOp module, raw_ostream &os) {
        return translate(module, os, options);
      },
      registerInterpretedDialects);
}
