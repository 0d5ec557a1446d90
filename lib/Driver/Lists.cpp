//===- Lists.cpp - What wyvernc lists, and stops --------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Lists.h"
#include "Products.h"

#include "wyvern/Dialect/Tile/Targets/TargetInfo.h"
#include "wyvern/Pipelines/Pipelines.h"
#include "wyvern/Support/Version.h"
#include "wyvern/Target/Ptxas.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace mlir::wyvern;

SmallVector<std::pair<StringRef, StringRef>> wyvern::listEmittable() {
  SmallVector<std::pair<StringRef, StringRef>> list;
  for (const Phase &phase : getPhases())
    list.emplace_back(phase.name, phase.description);
  for (const Product &product : getProducts())
    list.emplace_back(product.name, product.description);
  return list;
}

static void printList(ArrayRef<std::pair<StringRef, StringRef>> list) {
  for (auto [name, description] : list)
    llvm::outs() << llvm::formatv("{0,-10}", name) << description << '\n';
}

void wyvern::printEmittable() { printList(listEmittable()); }

void wyvern::printArchs() {
  printList(
      llvm::map_to_vector(tile::getTargets(), [](const tile::TargetInfo &it) {
        return std::pair<StringRef, StringRef>(it.arch, it.description);
      }));
}

void wyvern::printVersions(StringRef path, StringRef executable) {
  llvm::outs() << "wyvernc " << getVersion() << "\nLLVM " << getLLVMVersion()
               << '\n';
  if (llvm::Expected<Ptxas> ptxas = findPtxas(path, executable)) {
    llvm::outs() << "ptxas " << ptxas->version << " (" << ptxas->path << ")\n";
  } else {
    llvm::consumeError(ptxas.takeError());
    llvm::outs() << "ptxas not found\n";
  }
}
