//===- CpuProgram.cpp - Compiling and running on this CPU -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Execution/CpuProgram.h"

#include "TensorSignature.h"

#include "wyvern/Conversion/SchedToDelta/SchedToDelta.h"
#include "wyvern/Dialect/Delta/Utils/TrainingPair.h"
#include "wyvern/Pipelines/Pipelines.h"
#include "wyvern/Support/DiagnosticText.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/ExecutionEngine/ExecutionEngine.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ExecutionEngine/Orc/JITTargetMachineBuilder.h"
#include "llvm/Passes/PassBuilder.h"
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

//===----------------------------------------------------------------------===//
// Compiling
//===----------------------------------------------------------------------===//

/// Erases all functions but `kept`.
static void keepOnly(ModuleOp module, ArrayRef<func::FuncOp> kept) {
  SmallVector<func::FuncOp> functions(module.getOps<func::FuncOp>());
  for (func::FuncOp function : functions)
    if (!llvm::is_contained(kept, function))
      function.erase();
}

static std::string listNames(ArrayRef<func::FuncOp> functions) {
  std::string names;
  llvm::raw_string_ostream os(names);
  llvm::interleaveComma(functions, os,
                        [&](func::FuncOp f) { os << f.getName(); });
  return functions.empty() ? "none" : names;
}

/// The one function, the forward of two, or the one of that name.
static llvm::Expected<func::FuncOp> findEntry(ModuleOp module,
                                              StringRef entry) {
  SmallVector<func::FuncOp> functions(module.getOps<func::FuncOp>());
  func::FuncOp found;
  for (func::FuncOp function : functions)
    if (entry.empty()
            ? functions.size() == 1 || (functions.size() == 2 &&
                                        function->hasAttr(delta::kBackwardAttr))
            : function.getName() == entry)
      found = function;
  if (found)
    return found;
  return makeError("expected ", entry.empty() ? "one function" : "a function @",
                   entry, ", found ", listNames(functions));
}

/// LLVM's O2 without what costs compile time and gains nothing on loops over
/// tiles: unrolling, interleaving, straight-line vectorization.
static void optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::PipelineTuningOptions tuning;
  tuning.LoopUnrolling = false;
  tuning.LoopInterleaving = false;
  tuning.SLPVectorization = false;
  llvm::PassBuilder builder(&machine, tuning);
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O2)
      .run(module, modules);
}

/// LLVM code for the machine we are on.
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
  ExecutionEngineOptions options;
  auto transformer = [target = machine->get()](llvm::Module *module) {
    optimize(*module, *target);
    return llvm::Error::success();
  };
  // Only referred to, so not a temporary.
  options.transformer = transformer;
  options.enableGDBNotificationListener = false;
  options.enablePerfNotificationListener = false;
  return ExecutionEngine::create(module, options, std::move(*machine));
}

/// Runs the phases up to the one that `options` names. What a schedule computes
/// is then a chunk program again.
static llvm::Error runPhases(ModuleOp module, const CpuOptions &options) {
  DiagnosticText diagnostics(module.getContext());
  if (failed(checkNames(module, options.training)))
    return diagnostics.getError("the names of the module clash");
  if (options.training && failed(checkTrainable(module)))
    return diagnostics.getError("the module cannot be differentiated");
  constexpr StringLiteral chunkPhases[] = {"wy", "differentiated", "staged",
                                           "rounded", "scheduled"};
  const Phase *phase = findPhase(options.phase);
  if (!phase || !llvm::is_contained(chunkPhases, phase->name))
    return makeError(
        "expected a phase that a CPU can run (wy, differentiated, staged, "
        "rounded or scheduled), found '",
        options.phase, "'");
  if (!llvm::is_contained(getSchedules(), StringRef(options.schedule)))
    return makeError("expected a schedule (", llvm::join(getSchedules(), ", "),
                     "), found '", options.schedule, "'");
  PassManager pm(module.getContext());
  PipelineOptions pipelineOptions;
  pipelineOptions.operandType = options.operandType;
  pipelineOptions.set(options);
  pipelineOptions.schedule = options.schedule;
  pipelineOptions.segmentTokens = options.segmentTokens;
  buildPipeline(pm, *phase, pipelineOptions, getReachedPhase(module));
  pm.addNestedPass<func::FuncOp>(createConvertSchedToDeltaPass());
  if (failed(pm.run(module)))
    return diagnostics.getError("the passes up to " + options.phase +
                                " failed");
  // What training has added has names too.
  if (failed(checkNames(module, /*training=*/false)))
    return diagnostics.getError("the names of the module clash");
  return llvm::Error::success();
}

namespace {
/// The function that is left to be compiled, and what its program is called.
struct Prepared {
  func::FuncOp function;
  std::string name;
  bool isForward = false;
};
} // namespace

/// Runs the phases on the entry and its backward, and erases the one of the two
/// that is not asked for.
static llvm::Expected<Prepared> prepare(ModuleOp module, func::FuncOp entry,
                                        const CpuOptions &options) {
  DiagnosticText diagnostics(module.getContext());
  FailureOr<delta::TrainingPair> pair = delta::findTrainingPair(module);
  if (failed(pair))
    return diagnostics.getError("the backward does not fit");
  std::string name = delta::getLayerName(entry).str();
  keepOnly(module, {entry, entry == pair->forward ? pair->backward : entry});
  if (llvm::Error error = runPhases(module, options))
    return std::move(error);
  pair = delta::findTrainingPair(module);
  if (failed(pair))
    return diagnostics.getError("the backward does not fit");
  if (!*pair && options.backward)
    return makeError(name, " has no backward; derive it (training)");
  if (!*pair)
    return Prepared{*module.getOps<func::FuncOp>().begin(), name};
  pair->forward->removeAttr(delta::kBackwardAttr);
  keepOnly(module, options.backward ? pair->backward : pair->forward);
  if (options.backward)
    return Prepared{pair->backward, name + "_backward"};
  return Prepared{pair->forward, name, /*isForward=*/true};
}

llvm::Expected<std::unique_ptr<CpuProgram>>
CpuProgram::compile(ModuleOp module, const CpuOptions &options) {
  MLIRContext *context = module.getContext();
  DialectRegistry registry;
  registerCpuDialects(registry);
  context->appendDialectRegistry(registry);
  context->loadAllAvailableDialects();

  llvm::Expected<func::FuncOp> entry = findEntry(module, options.entry);
  if (!entry)
    return entry.takeError();
  std::unique_ptr<CpuProgram> program(new CpuProgram());
  std::vector<std::string> gates = getGateNames(*entry);
  llvm::Expected<Prepared> prepared = prepare(module, *entry, options);
  if (!prepared)
    return prepared.takeError();
  std::string symbol = prepared->function.getName().str();
  program->name = prepared->name;
  program->isForward = prepared->isForward;
  if (llvm::Error error =
          readSignature(prepared->function, program->inputs, program->results))
    return error;
  for (CpuTensor &input : program->inputs)
    input.isGate = llvm::is_contained(gates, input.name);

  DiagnosticText diagnostics(context);
  PassManager lower(context);
  buildCpuPipeline(lower);
  if (failed(lower.run(module)))
    return diagnostics.getError("the CPU pipeline failed");
  llvm::Expected<std::unique_ptr<ExecutionEngine>> engine =
      createEngine(module);
  if (!engine)
    return engine.takeError();
  program->engine = std::move(*engine);
  auto address = program->engine->lookupPacked("_mlir_ciface_" + symbol);
  if (!address)
    return address.takeError();
  program->function = *address;
  return program;
}

llvm::Expected<std::unique_ptr<CpuProgram>>
CpuProgram::compile(StringRef source, const CpuOptions &options) {
  DialectRegistry registry;
  registerCpuDialects(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  DiagnosticText diagnostics(&context);
  auto module = parseSourceString<ModuleOp>(source, &context);
  if (!module)
    return diagnostics.getError("the source does not parse");
  return compile(*module, options);
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

int64_t CpuProgram::getKeptChunk() const {
  for (const CpuTensor &input : inputs)
    if (input.indices == CpuIndices::KeepSlots)
      return input.chunk;
  return 0;
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
