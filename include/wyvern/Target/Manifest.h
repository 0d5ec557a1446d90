//===- Manifest.h - Describing a compiled program ---------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_TARGET_MANIFEST_H
#define WYVERN_TARGET_MANIFEST_H

#include "wyvern/Target/ProgramInfo.h"

#include "mlir/Support/LLVM.h"
#include "llvm/Support/JSON.h"

#include <string>
#include <vector>

namespace mlir::wyvern {

/// The versions that made a program.
struct CompilerVersions {
  std::string wyvern, llvm, ptxas;
};

/// Checks what the runtime relies on: unique tensor names, at most five
/// dimensions, parameters that name tensors and dimensions that exist, sizes
/// that fit its fields. A program that fails is a compiler bug.
LogicalResult verifyProgram(const ProgramInfo &program,
                            llvm::function_ref<void(const Twine &)> report);

/// The same for both programs of a bundle, and that each residual of the
/// forward is an input of the backward with the same elements.
LogicalResult verifyBundle(BundleInfo &bundle,
                           llvm::function_ref<void(const Twine &)> report);

/// Adds the variant of `other`, another compilation of the same program. Its
/// kernels get files of their own, but for those that are there already.
/// Reports and fails if callers would pass it other tensors: a compiler bug.
LogicalResult addVariant(ProgramInfo &program, ProgramInfo other,
                         llvm::function_ref<void(const Twine &)> report);

/// Adds a variant of the kernels of two others, where there are such: of whole
/// sequences, for their first two parts and the last one, and of segments, for
/// what lies between. Returns whether there is one now.
bool addParts(ProgramInfo &program);

/// Writes manifest.json, schema 3. `spec` is the canonical spec, or null.
void writeManifest(const BundleInfo &bundle, const llvm::json::Value &spec,
                   const CompilerVersions &versions, llvm::raw_ostream &os);

/// The files of the bundle that a manifest is of, itself included; none if the
/// text is not a manifest of this compiler.
std::vector<std::string> listBundleFiles(StringRef manifest);

/// Where the descriptors of a C header find the kernels: in the files of the
/// bundle, or in arrays that are defined before (getImageSymbol).
enum class Images { InFiles, InMemory };

/// Returns the name of the array that holds a kernel's cubin.
std::string getImageSymbol(const KernelInfo &kernel);

/// Writes the C header: the same as descriptors of wyvern_rt.h, with a function
/// that loads each program and one that launches it on dense tensors.
void writeCHeader(const BundleInfo &bundle, const CompilerVersions &versions,
                  Images images, llvm::raw_ostream &os);

/// Writes the C source of a module of tvm-ffi: the cubins, the descriptors, and
/// the functions that it exports. `manifest` is the bundle's.
void writeTvmModule(BundleInfo &bundle, StringRef manifest,
                    const CompilerVersions &versions, llvm::raw_ostream &os);

} // namespace mlir::wyvern

#endif // WYVERN_TARGET_MANIFEST_H
