//===- VerifyProgram.cpp - What the runtime relies on ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Target/Manifest.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace mlir::wyvern;

// As WYVERN_MAX_RANK.
static constexpr size_t maxRank = 5;

namespace {
class ProgramVerifier {
public:
  ProgramVerifier(const ProgramInfo &program,
                  llvm::function_ref<void(const Twine &)> report)
      : program(program), report(report) {}

  LogicalResult verify();

private:
  void verifyTensor(const TensorInfo &tensor);
  void verifyVariant(const VariantInfo &variant);
  void verifyKernel(const VariantInfo &variant, const KernelInfo &kernel);
  void verifyParam(const VariantInfo &variant, const KernelInfo &kernel,
                   const ParamInfo &param);
  void expect(bool condition, const Twine &message) {
    if (!condition) {
      ok = false;
      report("program " + program.name + ": " + message);
    }
  }

  const ProgramInfo &program;
  llvm::function_ref<void(const Twine &)> report;
  llvm::StringSet<> names;
  bool ok = true;
};
} // namespace

static bool isIdentifier(StringRef text) {
  return !text.empty() && !llvm::isDigit(text.front()) &&
         llvm::all_of(text,
                      [](char c) { return llvm::isAlnum(c) || c == '_'; });
}

void ProgramVerifier::verifyTensor(const TensorInfo &tensor) {
  static constexpr StringLiteral dtypes[] = {"bf16", "f16", "f32",
                                             "f64",  "i32", "i64"};
  expect(isIdentifier(tensor.name),
         "tensor '" + tensor.name + "' has a name that is no C identifier");
  expect(names.insert(tensor.name).second,
         "tensor " + tensor.name + " is listed twice");
  expect(llvm::is_contained(dtypes, StringRef(tensor.dtype)),
         "tensor " + tensor.name + " has no known dtype: " + tensor.dtype);
  expect(!tensor.dims.empty() && tensor.dims.size() <= maxRank,
         "tensor " + tensor.name + " has " + Twine(tensor.dims.size()) +
             " dimensions; expected 1 to 5");
  expect(!tensor.optional || tensor.role != TensorRole::Workspace,
         "workspace tensor " + tensor.name + " is optional");
  expect(!tensor.optional || !tensor.residual,
         "residual " + tensor.name + " is optional");
  for (const DimInfo &dim : tensor.dims) {
    if (dim.kind == DimRange::Time)
      expect(dim.multiple >= 1, "tensor " + tensor.name +
                                    " has a time dimension of no rows a token");
    if (dim.kind == DimRange::Chunk)
      expect(dim.multiple >= 1,
             "tensor " + tensor.name +
                 " has a chunk dimension of no chunks a slot");
    if (dim.kind == DimRange::Segment)
      expect(tensor.role == TensorRole::Workspace,
             "tensor " + tensor.name +
                 " has a dimension of segments, which a launch counts, and is "
                 "no workspace");
    if (dim.kind == DimRange::Head || dim.kind == DimRange::Whole)
      expect(dim.size >= 1,
             "tensor " + tensor.name + " has a dimension of no elements");
  }
}

void ProgramVerifier::verifyParam(const VariantInfo &variant,
                                  const KernelInfo &kernel,
                                  const ParamInfo &param) {
  bool named = param.kind == ParamKind::TensorMap ||
               param.kind == ParamKind::Pointer ||
               param.kind == ParamKind::Stride;
  if (!named)
    return;
  int64_t index = findTensor(program, variant, param.tensor);
  expect(index >= 0,
         "kernel " + kernel.symbol + " names no known tensor: " + param.tensor);
  if (index < 0)
    return;
  size_t inputs = program.tensors.size();
  size_t number = static_cast<size_t>(index);
  const TensorInfo &tensor = number < inputs
                                 ? program.tensors[number]
                                 : variant.workspace[number - inputs];
  size_t rank = tensor.dims.size();
  if (param.kind == ParamKind::Stride)
    expect(param.dim >= 0 && param.dim < static_cast<int64_t>(rank),
           "kernel " + kernel.symbol + " asks for a stride that " +
               param.tensor + " does not have");
  if (param.kind == ParamKind::TensorMap) {
    expect(param.box.size() == rank, "kernel " + kernel.symbol +
                                         " has a tensor map of " +
                                         param.tensor + " of another rank");
    expect(
        llvm::all_of(param.box, [](int64_t n) { return n >= 1 && n <= 256; }),
        "kernel " + kernel.symbol + " has a box of " + param.tensor +
            " that is not 1 to 256 in each dimension");
    expect(llvm::is_contained({0, 32, 64, 128}, param.swizzle),
           "kernel " + kernel.symbol + " has an unknown swizzle of " +
               param.tensor);
  }
}

void ProgramVerifier::verifyKernel(const VariantInfo &variant,
                                   const KernelInfo &kernel) {
  expect(isIdentifier(kernel.symbol),
         "kernel '" + kernel.symbol + "' has a name that is no C identifier");
  expect(kernel.gridFactor >= 1 && kernel.gridFactor <= UINT32_MAX &&
             kernel.block >= 1 && kernel.block <= 1024 &&
             kernel.dynamicShared >= 0,
         "kernel " + kernel.symbol + " has an impossible launch");
  expect(kernel.gridChunks >= 1 && kernel.gridChunks <= UINT32_MAX,
         "kernel " + kernel.symbol + " has a grid of no chunks a slot");
  expect(kernel.gridChunks == 1 || kernel.gridCount == GridCount::Slots,
         "kernel " + kernel.symbol + " has chunks a slot, but another grid");
  expect(!kernel.params.empty(),
         "kernel " + kernel.symbol + " has no parameters");
  bool isChosen = program.variants.size() > 1 || hasSegments(variant);
  expect(!isChosen ||
             (kernel.cost.residents >= 1 && kernel.cost.stepChunks >= 0),
         "kernel " + kernel.symbol +
             " has no cost, by which a launch chooses a variant or the length "
             "of segments");
  for (const ParamInfo &param : kernel.params)
    verifyParam(variant, kernel, param);
}

void ProgramVerifier::verifyVariant(const VariantInfo &variant) {
  expect(!variant.kernels.empty(), "there is no kernel");
  names.clear();
  for (const TensorInfo &tensor : program.tensors)
    names.insert(tensor.name);
  for (const TensorInfo &tensor : variant.workspace) {
    verifyTensor(tensor);
    expect(tensor.role == TensorRole::Workspace,
           "tensor " + tensor.name + " of variant " + variant.name +
               " is no workspace tensor");
  }
  for (const KernelInfo &kernel : variant.kernels)
    verifyKernel(variant, kernel);
}

LogicalResult ProgramVerifier::verify() {
  expect(isIdentifier(program.name), "its name is no C identifier");
  expect(!program.variants.empty(), "there is no variant");
  expect(program.chunk >= 1, "a chunk has no tokens");
  expect(llvm::is_sorted(program.tensors,
                         [](const TensorInfo &a, const TensorInfo &b) {
                           return a.role < b.role;
                         }),
         "tensors are not in the order input, output");
  for (const TensorInfo &tensor : program.tensors) {
    verifyTensor(tensor);
    expect(tensor.role != TensorRole::Workspace,
           "workspace tensor " + tensor.name + " is in no variant");
  }
  llvm::StringSet<> variants;
  for (const VariantInfo &variant : program.variants) {
    expect(variants.insert(variant.name).second,
           "variant " + variant.name + " is listed twice");
    verifyVariant(variant);
  }
  return success(ok);
}

LogicalResult
mlir::wyvern::verifyProgram(const ProgramInfo &program,
                            llvm::function_ref<void(const Twine &)> report) {
  return ProgramVerifier(program, report).verify();
}

LogicalResult
mlir::wyvern::verifyBundle(BundleInfo &bundle,
                           llvm::function_ref<void(const Twine &)> report) {
  bool ok = true;
  for (ProgramInfo *program : bundle.getPrograms())
    ok &= succeeded(verifyProgram(*program, report));
  for (const TensorInfo &saved : bundle.forward.tensors) {
    if (!saved.residual)
      continue;
    int64_t index =
        bundle.backward ? findTensor(bundle.backward->tensors, saved.name) : -1;
    if (index >= 0 && bundle.backward->tensors[index].residual &&
        bundle.backward->tensors[index].role == TensorRole::Input &&
        bundle.backward->tensors[index].dtype == saved.dtype &&
        bundle.backward->tensors[index].dims == saved.dims)
      continue;
    ok = false;
    report("program " + bundle.forward.name + ": the residual " + saved.name +
           " is no input of the backward, or one of another shape");
  }
  return success(ok);
}
