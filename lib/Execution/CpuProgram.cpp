//===- CpuProgram.cpp - Compiling and running on this CPU -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Execution/CpuProgram.h"

#include "TensorSignature.h"

#include "wyvern/Dialect/Delta/Transforms/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/ExecutionEngine/ExecutionEngine.h"
#include "mlir/ExecutionEngine/OptUtils.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ExecutionEngine/Orc/JITTargetMachineBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"

#include <mutex>

using namespace mlir;
using namespace mlir::wyvern;

template <typename... Parts> static llvm::Error makeError(Parts &&...parts) {
  std::string text;
  llvm::raw_string_ostream os(text);
  (os << ... << std::forward<Parts>(parts));
  return llvm::createStringError(text);
}

namespace {
/// Collects what a context reports, as `location: error: text` lines.
class DiagnosticText {
public:
  explicit DiagnosticText(MLIRContext *context)
      : os(text), handler(context, [this](Diagnostic &diagnostic) {
          append(diagnostic);
          return success();
        }) {}

  llvm::Error takeError(StringRef what) {
    return makeError(text.empty() ? what : StringRef(text).rtrim());
  }

private:
  void append(Diagnostic &diagnostic) {
    bool isError = diagnostic.getSeverity() == DiagnosticSeverity::Error;
    if (!isa<UnknownLoc>(diagnostic.getLocation()))
      os << diagnostic.getLocation() << ": ";
    os << (isError ? "error: " : "note: ") << diagnostic << '\n';
    for (Diagnostic &note : diagnostic.getNotes())
      append(note);
  }

  std::string text;
  llvm::raw_string_ostream os;
  ScopedDiagnosticHandler handler;
};
} // namespace

//===----------------------------------------------------------------------===//
// Compiling
//===----------------------------------------------------------------------===//

/// The one function, or the one of that name; the others are erased.
static llvm::Expected<func::FuncOp> takeEntry(ModuleOp module,
                                              StringRef entry) {
  SmallVector<func::FuncOp> functions(module.getOps<func::FuncOp>());
  func::FuncOp found;
  for (func::FuncOp function : functions)
    if (entry.empty() ? functions.size() == 1 : function.getName() == entry)
      found = function;
  if (!found) {
    std::string names;
    llvm::raw_string_ostream os(names);
    llvm::interleaveComma(functions, os,
                          [&](func::FuncOp f) { os << f.getName(); });
    return makeError("expected ",
                     entry.empty() ? "one function" : "a function @", entry,
                     ", found ", functions.empty() ? "none" : names);
  }
  for (func::FuncOp function : functions)
    if (function != found)
      function.erase();
  return found;
}

/// LLVM's optimizer and code generator for the machine we are on.
static llvm::Expected<std::unique_ptr<ExecutionEngine>>
createEngine(ModuleOp module) {
  static std::once_flag once;
  std::call_once(once, [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
  });
  auto builder = llvm::orc::JITTargetMachineBuilder::detectHost();
  if (!builder)
    return builder.takeError();
  builder->setCodeGenOptLevel(llvm::CodeGenOptLevel::Default);
  auto machine = builder->createTargetMachine();
  if (!machine)
    return machine.takeError();
  // The options hold a reference to the transformer: it must have a name.
  std::function<llvm::Error(llvm::Module *)> transformer =
      makeOptimizingTransformer(/*optLevel=*/2, /*sizeLevel=*/0,
                                machine->get());
  ExecutionEngineOptions options;
  options.transformer = transformer;
  options.enableGDBNotificationListener = false;
  options.enablePerfNotificationListener = false;
  return ExecutionEngine::create(module, options, std::move(*machine));
}

llvm::Expected<std::unique_ptr<CpuProgram>>
CpuProgram::compile(ModuleOp module, StringRef entry) {
  MLIRContext *context = module.getContext();
  DialectRegistry registry;
  registerCpuDialects(registry);
  context->appendDialectRegistry(registry);
  context->loadAllAvailableDialects();

  llvm::Expected<func::FuncOp> function = takeEntry(module, entry);
  if (!function)
    return function.takeError();
  DiagnosticText diagnostics(context);
  PassManager formWY(context);
  formWY.addNestedPass<func::FuncOp>(delta::createFormWYPass());
  if (failed(formWY.run(module)))
    return diagnostics.takeError("delta-form-wy failed");

  std::unique_ptr<CpuProgram> program(new CpuProgram());
  program->name = function->getName().str();
  if (llvm::Error error =
          readSignature(*function, program->inputs, program->results))
    return error;
  PassManager lower(context);
  buildCpuPipeline(lower);
  if (failed(lower.run(module)))
    return diagnostics.takeError("the CPU pipeline failed");

  llvm::Expected<std::unique_ptr<ExecutionEngine>> engine =
      createEngine(module);
  if (!engine)
    return engine.takeError();
  program->engine = std::move(*engine);
  auto symbol = program->engine->lookupPacked("_mlir_ciface_" + program->name);
  if (!symbol)
    return symbol.takeError();
  program->function = *symbol;
  return program;
}

llvm::Expected<std::unique_ptr<CpuProgram>>
CpuProgram::compile(StringRef source, StringRef entry) {
  DialectRegistry registry;
  registerCpuDialects(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  OwningOpRef<ModuleOp> module;
  {
    DiagnosticText diagnostics(&context);
    module = parseSourceString<ModuleOp>(source, &context);
    if (!module)
      return diagnostics.takeError("the source does not parse");
  }
  return compile(*module, entry);
}

CpuProgram::~CpuProgram() = default;

//===----------------------------------------------------------------------===//
// Running
//===----------------------------------------------------------------------===//

/// A memref descriptor as LLVM code lays it out: allocated and aligned pointer,
/// offset, sizes, strides.
static void appendDescriptor(std::vector<int64_t> &words,
                             const CpuBuffer &buffer) {
  auto address = reinterpret_cast<int64_t>(buffer.data);
  words.insert(words.end(), {address, address, 0});
  llvm::append_range(words, buffer.shape);
  llvm::append_range(words, buffer.strides);
}

/// Reads the descriptor of a result, which is ours to free.
static CpuResult takeResult(const int64_t *words, const CpuTensor &tensor) {
  size_t rank = tensor.shape.size();
  const int64_t *sizes = words + 3;
  CpuResult result;
  result.memory.reset(reinterpret_cast<void *>(words[0]));
  result.buffer.data = reinterpret_cast<char *>(words[1]) +
                       words[2] * getElementBytes(tensor.dtype);
  result.buffer.shape.assign(sizes, sizes + rank);
  result.buffer.strides.assign(sizes + rank, sizes + 2 * rank);
  return result;
}

llvm::Expected<std::vector<CpuResult>>
CpuProgram::run(ArrayRef<CpuBuffer> buffers) const {
  if (llvm::Error error = checkBuffers(inputs, buffers))
    return std::move(error);

  std::vector<std::vector<int64_t>> descriptors(buffers.size());
  std::vector<int64_t> resultWords;
  for (const CpuTensor &result : results)
    resultWords.resize(resultWords.size() + 3 + 2 * result.shape.size());
  std::vector<void *> pointers = {resultWords.data()};
  for (auto [words, buffer] : llvm::zip_equal(descriptors, buffers)) {
    appendDescriptor(words, buffer);
    pointers.push_back(words.data());
  }
  std::vector<void *> arguments;
  for (void *&pointer : pointers)
    arguments.push_back(&pointer);
  function(arguments.data());

  std::vector<CpuResult> taken;
  const int64_t *words = resultWords.data();
  for (const CpuTensor &result : results) {
    taken.push_back(takeResult(words, result));
    words += 3 + 2 * result.shape.size();
  }
  return taken;
}
