//===- AddVariant.cpp - Another way to compute a program ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Target/Manifest.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace mlir::wyvern;

/// True if callers pass the same to both.
static bool isSameArgument(const TensorInfo &a, const TensorInfo &b) {
  return a.name == b.name && a.role == b.role && a.dtype == b.dtype &&
         a.optional == b.optional && a.residual == b.residual &&
         a.dims == b.dims;
}

static const KernelInfo *findKernel(const ProgramInfo &program,
                                    const KernelInfo &like) {
  for (const VariantInfo &variant : program.variants)
    for (const KernelInfo &kernel : variant.kernels)
      if (kernel.symbol == like.symbol && kernel.ptx == like.ptx)
        return &kernel;
  return nullptr;
}

LogicalResult
mlir::wyvern::addVariant(ProgramInfo &program, ProgramInfo other,
                         llvm::function_ref<void(const Twine &)> report) {
  VariantInfo variant = std::move(other.variants.front());
  if (program.chunk != other.chunk ||
      !llvm::equal(program.tensors, other.tensors, isSameArgument)) {
    report("program " + program.name + ": variant " + variant.name +
           " takes other tensors, or other chunks, than variant " +
           program.variants.front().name);
    return failure();
  }
  for (KernelInfo &kernel : variant.kernels) {
    const KernelInfo *known = findKernel(program, kernel);
    kernel.file = known ? known->file : kernel.symbol + "." + variant.name;
  }
  program.variants.push_back(std::move(variant));
  return success();
}
