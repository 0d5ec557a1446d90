//===- TvmModule.cpp - A bundle as the C source of a tvm-ffi module -------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Target/Manifest.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace mlir::wyvern;

/// Writes bytes as C string literals of a line each. What follows an escape is
/// never taken for a part of it: octal escapes have three digits.
static void writeLiteral(StringRef bytes, llvm::raw_ostream &os) {
  constexpr size_t bytesALine = 64;
  for (; !bytes.empty();
       bytes = bytes.drop_front(std::min(bytes.size(), bytesALine))) {
    os << "  \"";
    for (unsigned char c : bytes.take_front(bytesALine)) {
      // A question mark could begin a trigraph.
      if (llvm::isPrint(c) && c != '"' && c != '\\' && c != '?')
        os << c;
      else
        os << '\\' << char('0' + (c >> 6)) << char('0' + (c >> 3 & 7))
           << char('0' + (c & 7));
    }
    os << "\"\n";
  }
}

/// Writes the array of each cubin, which holds no byte behind it.
static void writeImages(BundleInfo &bundle, llvm::raw_ostream &os) {
  llvm::StringSet<> written;
  for (const KernelInfo *kernel : bundle.getKernels()) {
    std::string symbol = getImageSymbol(*kernel);
    if (!written.insert(symbol).second)
      continue;
    os << "_Alignas(16) static const char " << symbol << "["
       << kernel->cubin.size() << "] =\n";
    writeLiteral(kernel->cubin, os);
    os << ";\n\n";
  }
}

/// A dimension in words: "tokens", "2 * tokens", "chunks of 8", 128.
static std::string describe(const TensorInfo &tensor, const DimInfo &dim) {
  bool isTimed = llvm::any_of(
      tensor.dims, [](const DimInfo &d) { return d.kind == DimRange::Time; });
  std::string times =
      dim.multiple > 1 ? std::to_string(dim.multiple) + " * " : "";
  switch (dim.kind) {
  case DimRange::Seq:
    return isTimed ? "batch" : "sequences";
  case DimRange::Time:
    return times + "tokens";
  case DimRange::Chunk:
    return "slots of " + times + "chunks";
  case DimRange::Slot:
    return "slots of the pool";
  case DimRange::Segment:
    return "segments";
  case DimRange::Head:
  case DimRange::Whole:
    return std::to_string(dim.size);
  }
  llvm_unreachable("unknown kind of dimension");
}

/// What the arguments of a program's function are, for its documentation.
static std::string describeArguments(const ProgramInfo &program) {
  std::string text = program.name + "(";
  for (const TensorInfo &tensor : program.tensors)
    text += tensor.name + ", ";
  text += "cu_seqlens=None, workspace=None)\n\n";
  for (const TensorInfo &tensor : program.tensors) {
    auto dims = llvm::map_range(
        tensor.dims, [&](const DimInfo &dim) { return describe(tensor, dim); });
    text += tensor.name + ": " + tensor.dtype + " [" + llvm::join(dims, ", ") +
            "]" + (tensor.role == TensorRole::Output ? ", written" : "") +
            (tensor.optional ? ", or None" : "") + "\n";
  }
  text += "cu_seqlens: i32 or i64 [sequences + 1], or None\nworkspace: memory "
          "of " +
          program.name +
          "_workspace_size(batch, tokens, sequences or -1) bytes at a multiple "
          "of 256, or None for the framework's\n";
  return text;
}

static void writeFunctions(const ProgramInfo &program, llvm::raw_ostream &os) {
  os << "static wyvern_tvm_program " << program.name << "_functions = {\n  &"
     << program.name << "_program,\n";
  writeLiteral(describeArguments(program), os);
  os << "  , NULL};\nWYVERN_TVM_FUNCTIONS(" << program.name << ", &"
     << program.name << "_functions)\n\n";
}

void mlir::wyvern::writeTvmModule(BundleInfo &bundle, StringRef manifest,
                                  const CompilerVersions &versions,
                                  llvm::raw_ostream &os) {
  os << "#include \"wyvern-rt/wyvern_tvm_ffi.h\"\n\n";
  writeImages(bundle, os);
  writeCHeader(bundle, versions, Images::InMemory, os);
  os << '\n';
  for (const ProgramInfo *program : bundle.getPrograms())
    writeFunctions(*program, os);
  os << "WYVERN_TVM_TEXT(" << bundle.forward.name << "_manifest,\n";
  writeLiteral(manifest, os);
  os << ")\n";
}
