//===- Driver.cpp - The compiler's command line ---------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Driver/Driver.h"

#include "Input.h"
#include "Options.h"

#include "wyvern/Pipelines/Pipelines.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/WithColor.h"

using namespace mlir;
using namespace mlir::wyvern;

/// Writes a file whole or not at all; `-` or nothing is standard output.
static ExitCode writeText(StringRef path,
                          llvm::function_ref<void(llvm::raw_ostream &)> write) {
  llvm::Error error = llvm::writeToOutput(path.empty() ? "-" : path,
                                          [&](llvm::raw_ostream &os) {
                                            write(os);
                                            return llvm::Error::success();
                                          });
  if (!error)
    return ExitCode::Success;
  llvm::WithColor::error(llvm::errs(), "wyvernc")
      << "cannot write '" << path << "': " << llvm::toString(std::move(error))
      << '\n';
  return ExitCode::Diagnostics;
}

static ExitCode run(const DriverOptions &options) {
  llvm::SourceMgr sources;
  std::vector<LayerSpec> specs;
  if (failed(openInput(options, sources)))
    return ExitCode::Diagnostics;
  if (options.format != InputFormat::MLIR) {
    auto read = readSpecs(options, sources);
    if (failed(read))
      return ExitCode::Diagnostics;
    specs = std::move(*read);
  }
  if (options.printSpec)
    return writeText(options.output, [&](llvm::raw_ostream &os) {
      for (const LayerSpec &spec : specs)
        printSpec(spec, os);
    });

  DialectRegistry registry;
  registerDialects(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  SourceMgrDiagnosticHandler handler(sources, &context);
  OwningOpRef<ModuleOp> module = loadModule(options, specs, sources, &context);
  if (!module || failed(module->verify()))
    return ExitCode::Diagnostics;

  PassManager pm(&context);
  if (failed(applyPassManagerCLOptions(pm)))
    return ExitCode::Usage;
  buildPipeline(pm, *findPhase(options.emit), PipelineOptions());
  if (failed(pm.run(*module)))
    return ExitCode::Diagnostics;
  return writeText(options.output,
                   [&](llvm::raw_ostream &os) { module->print(os); });
}

int mlir::wyvern::runDriver(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  DriverOptions options;
  std::optional<ExitCode> code = parseCommandLine(argc, argv, options);
  return static_cast<int>(code ? *code : run(options));
}
