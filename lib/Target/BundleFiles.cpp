//===- BundleFiles.cpp - Which files belong to a bundle -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A bundle may be replaced by a newer one, and nothing else may. So an earlier
// bundle is told by what its manifest says, of any schema: a file of this name
// may well be a web extension's.
//
//===----------------------------------------------------------------------===//

#include "wyvern/Support/Nesting.h"
#include "wyvern/Target/Manifest.h"

#include "llvm/Support/Path.h"

using namespace mlir;
using namespace mlir::wyvern;

/// The images of the kernels of a variant, if all of them are plain file names.
static bool addKernels(const llvm::json::Object &variant,
                       std::vector<std::string> &files) {
  const llvm::json::Array *kernels = variant.getArray("kernels");
  if (!kernels)
    return false;
  for (const llvm::json::Value &kernel : *kernels) {
    const llvm::json::Object *object = kernel.getAsObject();
    auto image = object ? object->getString("image") : std::nullopt;
    if (!image || llvm::sys::path::filename(*image) != *image)
      return false;
    files.push_back(image->str());
  }
  return true;
}

/// The same for a program. Before schema 3 it had no variants, and kernels of
/// its own.
static bool addImages(const llvm::json::Object &program,
                      std::vector<std::string> &files) {
  const llvm::json::Array *variants = program.getArray("variants");
  if (!variants)
    return addKernels(program, files);
  return llvm::all_of(*variants, [&](const llvm::json::Value &variant) {
    const llvm::json::Object *object = variant.getAsObject();
    return object && addKernels(*object, files);
  });
}

std::vector<std::string> mlir::wyvern::listBundleFiles(StringRef manifest) {
  if (findTooDeep(manifest, maxDataDepth))
    return {};
  llvm::Expected<llvm::json::Value> value = llvm::json::parse(manifest);
  if (!value) {
    llvm::consumeError(value.takeError());
    return {};
  }
  const llvm::json::Object *object = value->getAsObject();
  const llvm::json::Object *compiler =
      object ? object->getObject("compiler") : nullptr;
  if (!compiler || !compiler->getString("wyvern") ||
      !object->getInteger("schema") || !object->getString("name"))
    return {};
  std::vector<std::string> files = {"manifest.json", "ptxas.log",
                                    (*object->getString("name") + ".h").str()};
  const llvm::json::Object *backward = object->getObject("backward");
  if (!addImages(*object, files) || (backward && !addImages(*backward, files)))
    return {};
  return files;
}
