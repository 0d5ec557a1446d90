//===- Driver.cpp - The compiler's command line ---------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Driver/Driver.h"

#include "Input.h"
#include "Lowering.h"
#include "Options.h"
#include "Products.h"
#include "Variants.h"

#include "wyvern/Pipelines/Pipelines.h"
#include "wyvern/Support/OutputFiles.h"
#include "wyvern/Support/SourceLine.h"
#include "wyvern/Target/NVPTX.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/PrettyStackTrace.h"
#include "llvm/Support/WithColor.h"

#include <csignal>

using namespace mlir;
using namespace mlir::wyvern;

/// Writes text to -o, or to standard output.
static ExitCode writeText(const DriverOptions &options, StringRef text) {
  llvm::Error error =
      writeFile(options.output.empty() ? "-" : options.output, text);
  if (!error)
    return ExitCode::Success;
  printError(llvm::toString(std::move(error)));
  return ExitCode::Diagnostics;
}

static ExitCode printSpecs(const DriverOptions &options,
                           ArrayRef<LayerSpec> specs) {
  std::string text;
  llvm::raw_string_ostream os(text);
  for (const LayerSpec &spec : specs)
    printSpec(spec, os);
  return writeText(options, text);
}

namespace {
/// What is compiled, and with what.
struct Compilation {
  ModuleOp module;
  const LayerSpec *spec;  ///< Null for IR.
  const Product *product; ///< Null for the IR of a phase.
  const ProductTools &tools;
};
} // namespace

/// Compiles a module up to --emit.
static ExitCode compileModule(const DriverOptions &options, Compilation work) {
  if (!work.product) {
    Lowering lowering(options, options.variants.front(), work.module);
    if (failed(lowering.runTo(*findPhase(options.emit))))
      return ExitCode::Diagnostics;
    return writeText(options, lowering.print());
  }
  std::optional<Report> report;
  if (!options.report.empty())
    report.emplace();
  Report *wanted = report ? &*report : nullptr;
  FailureOr<BundleInfo> bundle = lowerVariants(options, work.module, wanted);
  if (failed(bundle))
    return ExitCode::Diagnostics;
  return writeProduct(options, *work.product, work.spec, std::move(*bundle),
                      work.tools, wanted);
}

/// Compiles a copy of the module, and keeps errors: `why` is the first of them.
static ExitCode tryToCompile(const DriverOptions &options, Compilation work,
                             std::string &why) {
  OwningOpRef<ModuleOp> copy = work.module.clone();
  HeldErrors held(work.module.getContext());
  ExitCode code =
      compileModule(options, {*copy, work.spec, work.product, work.tools});
  why = held.getFirst().str();
  return code;
}

/// Compiles a module, and where kernels do not fit, with less for a thread or
/// block to do at a time. What fits as it is stays so.
static ExitCode compileToFit(const DriverOptions &options, Compilation work) {
  constexpr int64_t kSmallest = 3;
  // A step has a block's work divided among clusters (sched-decode).
  if (options.isStep())
    return compileModule(options, work);
  DriverOptions tried = options;
  std::string why;
  for (; tried.smaller <= kSmallest; ++tried.smaller) {
    std::string error;
    ExitCode code = tryToCompile(tried, work, error);
    if (code != ExitCode::Diagnostics) {
      if (!why.empty())
        llvm::WithColor::remark(llvm::errs(), "wyvernc")
            << "less is computed at a time than could be, since otherwise "
            << why << '\n';
      return code;
    }
    if (why.empty())
      why = error;
  }
  return compileModule(options, work); // which says all that is wrong
}

/// The same where the compiler chooses what is saved: if the program that saves
/// states does not compile, the factor is saved.
static ExitCode chooseAndCompile(DriverOptions options, Compilation work) {
  if ((work.product && failed(checkNames(work.module, /*training=*/true))) ||
      failed(checkTrainable(work.module)))
    return ExitCode::Diagnostics;
  PipelineOptions pipeline;
  pipeline.set(options);
  FailureOr<delta::SaveChoice> choice = chooseSave(work.module, pipeline);
  if (failed(choice))
    return ExitCode::Diagnostics;
  if (options.verbose)
    llvm::errs() << *choice << '\n';
  options.choosesSave = true;
  if (choice->takesStates()) {
    DriverOptions states = options;
    states.setSave("states");
    ExitCode code = tryToCompile(states, work, options.refusedStates);
    if (code == ExitCode::Success)
      return code;
    llvm::WithColor::remark(llvm::errs(), "wyvernc")
        << "the factor is saved, not states, which would be faster: "
        << options.refusedStates << '\n';
  }
  options.setSave("factor");
  return compileToFit(options, work);
}

/// The same where the command says what is saved. Where it does not compile so,
/// says what would: kernels hold the most where states are saved.
static ExitCode compileAsSaid(const DriverOptions &options, Compilation work) {
  ExitCode code = compileToFit(options, work);
  if (code == ExitCode::Diagnostics && work.product && options.training &&
      options.save == "states")
    llvm::WithColor::note(llvm::errs(), "wyvernc")
        << "this is with --save=states; --save=auto saves the factor where "
           "that does not compile\n";
  return code;
}

/// Compiles the input.
static ExitCode compile(const DriverOptions &options, llvm::SourceMgr &sources,
                        ArrayRef<LayerSpec> specs) {
  const Product *product = findProduct(options.emit);
  ProductTools tools;
  if (product) {
    llvm::Expected<ProductTools> found = findTools(*product, options);
    if (!found) {
      printError(llvm::toString(found.takeError()));
      return ExitCode::MissingTool;
    }
    tools = std::move(*found);
  }

  DialectRegistry registry;
  registerDialects(registry);
  registerNVPTXTranslations(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  // The place in the spec says more than the operation that came of it.
  context.printOpOnDiagnostic(false);
  SourceMgrDiagnosticHandler handler(sources, &context);
  OwningOpRef<ModuleOp> module = loadModule(options, specs, sources, &context);
  if (!module || failed(module->verify()))
    return ExitCode::Diagnostics;
  Compilation work{*module, specs.empty() ? nullptr : &specs[0], product,
                   tools};
  return options.training && options.save == "auto"
             ? chooseAndCompile(options, work)
             : compileAsSaid(options, work);
}

static ExitCode run(DriverOptions &options) {
  llvm::SourceMgr sources;
  sources.setDiagHandler([](const llvm::SMDiagnostic &diagnostic, void *) {
    printDiagnostic(diagnostic, llvm::errs());
  });
  if (failed(openInput(options, sources)))
    return ExitCode::Diagnostics;
  std::vector<LayerSpec> specs;
  if (options.format != InputFormat::MLIR) {
    auto read = readSpecs(options, sources);
    if (failed(read))
      return ExitCode::Diagnostics;
    specs = std::move(*read);
    if (failed(takeSpecVariants(specs, sources, options)))
      return ExitCode::Diagnostics;
  }
  return options.printSpec ? printSpecs(options, specs)
                           : compile(options, sources, specs);
}

int mlir::wyvern::runDriver(int argc, char **argv) {
  llvm::setBugReportMsg("This is a bug in wyvernc. Please report it with the "
                        "input and what follows.\n");
  llvm::InitLLVM init(argc, argv);
  // A limit of file sizes is then an error of a write, as a full disk is.
  std::signal(SIGXFSZ, SIG_IGN);
  DriverOptions options;
  std::optional<ExitCode> code = parseCommandLine(argc, argv, options);
  return static_cast<int>(code ? *code : run(options));
}
