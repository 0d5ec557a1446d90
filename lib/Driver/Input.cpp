//===- Input.cpp - From a file to a module --------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Input.h"

#include "wyvern/Spec/SpecReader.h"
#include "wyvern/Spec/SpecToModule.h"
#include "wyvern/Support/ParseMLIR.h"

#include "mlir/IR/DialectRegistry.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace mlir;
using namespace mlir::wyvern;

LogicalResult mlir::wyvern::openInput(const DriverOptions &options,
                                      llvm::SourceMgr &sources) {
  auto file =
      llvm::MemoryBuffer::getFileOrSTDIN(options.input, /*IsText=*/true);
  if (!file) {
    printError("cannot read '" + options.input +
               "': " + file.getError().message());
    return failure();
  }
  sources.AddNewSourceBuffer(std::move(*file), SMLoc());
  return success();
}

static FailureOr<std::vector<LayerSpec>>
readLayers(const DriverOptions &options, llvm::SourceMgr &sources) {
  if (options.format == InputFormat::JSON)
    return readModelConfig(sources);
  FailureOr<LayerSpec> spec = readYAMLSpec(sources);
  if (failed(spec))
    return failure();
  return std::vector<LayerSpec>{*spec};
}

/// What the command line says of whole sequences is the layer's: a manifest has
/// it with the rest of the spec. Of a step it is the step's.
static void addPrologue(const DriverOptions &options,
                        std::vector<LayerSpec> &specs) {
  if (options.isStep())
    return;
  for (LayerSpec &spec : specs)
    for (const std::string &part : options.prologue)
      if (!llvm::is_contained(spec.prologue, part))
        spec.prologue.push_back(part);
}

FailureOr<std::vector<LayerSpec>>
mlir::wyvern::readSpecs(const DriverOptions &options,
                        llvm::SourceMgr &sources) {
  FailureOr<std::vector<LayerSpec>> specs = readLayers(options, sources);
  if (succeeded(specs))
    addPrologue(options, *specs);
  return specs;
}

OwningOpRef<ModuleOp> mlir::wyvern::loadModule(const DriverOptions &options,
                                               ArrayRef<LayerSpec> specs,
                                               llvm::SourceMgr &sources,
                                               MLIRContext *context) {
  if (options.format != InputFormat::MLIR)
    return buildModule(context, specs, &sources);
  const llvm::MemoryBuffer *buffer =
      sources.getMemoryBuffer(sources.getMainFileID());
  if (auto crash =
          findParserCrash(buffer->getBuffer(), context->getDialectRegistry())) {
    printError("cannot parse '" + options.input + "': " + *crash);
    return nullptr;
  }
  return parseSourceFile<ModuleOp>(sources, ParserConfig(context));
}
