//===- CHeader.cpp - A program as a C header ------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Target/Manifest.h"

#include "llvm/ADT/StringExtras.h"

#include <set>

using namespace mlir;
using namespace mlir::wyvern;

namespace {
/// Writes what a header says about one program.
class HeaderWriter {
public:
  /// `turnsPools`: pools lie in memory with their last two dimensions the other
  /// way round than the program sees them.
  HeaderWriter(const ProgramInfo &program, Images images, bool turnsPools,
               llvm::raw_ostream &os)
      : program(program), images(images), turnsPools(turnsPools), os(os) {}

  void write();

private:
  void writeTensors(StringRef array, ArrayRef<TensorInfo> tensors);
  void writeParams(const VariantInfo &variant, const KernelInfo &kernel);
  void writeKernel(const VariantInfo &variant, const KernelInfo &kernel);
  void writeVariant(const VariantInfo &variant);
  void writeVariants();
  void writeProgram();
  void writeLoad();
  void writeLaunch();
  /// How many slots of chunks there are, for each size of a slot.
  void writeSlots();
  /// Fills `tensors[index]` of the launch function.
  void writeArgument(unsigned index, const TensorInfo &tensor);
  bool isTurned(const TensorInfo &tensor) {
    return turnsPools && tensor.inPlace && tensor.dims.size() == 4;
  }
  /// Its extents as it lies in memory, in the names of the launch function.
  std::string listExtents(const TensorInfo &tensor);

  const ProgramInfo &program;
  Images images;
  bool turnsPools;
  llvm::raw_ostream &os;
};
} // namespace

static StringRef getDtypeEnum(StringRef dtype) {
  return llvm::StringSwitch<StringRef>(dtype)
      .Case("bf16", "WYVERN_BF16")
      .Case("f16", "WYVERN_F16")
      .Case("f32", "WYVERN_F32")
      .Case("f64", "WYVERN_F64")
      .Case("i32", "WYVERN_I32")
      .Case("i64", "WYVERN_I64");
}

/// The C type of an element; C has none for the 16-bit floats.
static StringRef getCType(StringRef dtype) {
  return llvm::StringSwitch<StringRef>(dtype)
      .Cases("bf16", "f16", "uint16_t")
      .Case("f32", "float")
      .Case("f64", "double")
      .Case("i32", "int32_t")
      .Case("i64", "int64_t");
}

/// A tensor's name as a parameter of the launch function: not a keyword, and
/// not one of its other parameters and locals.
static std::string getParameterName(StringRef name) {
  static constexpr StringLiteral taken[] = {
      // Keywords of C11 and C++17 that can be names in a spec.
      "alignas", "alignof", "and", "asm", "auto", "bool", "break", "case",
      "catch", "char", "class", "compl", "const", "constexpr", "continue",
      "default", "delete", "do", "double", "else", "enum", "explicit", "export",
      "extern", "false", "float", "for", "friend", "goto", "if", "inline",
      "int", "long", "mutable", "namespace", "new", "noexcept", "not",
      "nullptr", "operator", "or", "private", "protected", "public", "register",
      "restrict", "return", "short", "signed", "sizeof", "static", "struct",
      "switch", "template", "this", "throw", "true", "try", "typedef", "typeid",
      "typename", "union", "unsigned", "using", "virtual", "void", "volatile",
      "while", "xor",
      // Ours.
      "batch", "cu", "cu_seqlens", "device", "entries", "packed", "program",
      "pool_slots", "sequences", "stream", "tensors", "tokens", "workspace",
      "workspace_bytes"};
  // Its numbered locals: slots8, sizes0.
  StringRef number = name;
  bool counted =
      (number.consume_front("slots") || number.consume_front("sizes")) &&
      llvm::all_of(number, llvm::isDigit);
  return counted || llvm::is_contained(taken, name) ? (name + "_").str()
                                                    : name.str();
}

static bool hasKind(const TensorInfo &tensor, DimRange kind) {
  return llvm::any_of(tensor.dims,
                      [&](const DimInfo &dim) { return dim.kind == kind; });
}

/// How many elements a dimension has, in the names of the launch function.
static std::string getExtent(const TensorInfo &tensor, const DimInfo &dim) {
  switch (dim.kind) {
  case DimRange::Seq:
    return hasKind(tensor, DimRange::Time) ? "batch" : "sequences";
  case DimRange::Time:
    return dim.multiple == 1 ? "tokens"
                             : "tokens * " + std::to_string(dim.multiple);
  case DimRange::Chunk:
    return dim.multiple == 1 ? "slots" : "slots" + std::to_string(dim.multiple);
  case DimRange::Slot:
    return "pool_slots";
  case DimRange::Segment:
    break; // of the workspace, which the runtime lays out
  case DimRange::Head:
  case DimRange::Whole:
    return std::to_string(dim.size);
  }
  llvm_unreachable("unknown kind of dimension");
}

/// Before the arrays of a variant.
static std::string getStem(const ProgramInfo &program,
                           const VariantInfo &variant) {
  std::string stem = program.name + "_" + variant.name;
  llvm::replace(stem, '-', '_');
  return stem;
}

/// The array of a kernel's parameters. A variant may launch two kernels of one
/// name, or one twice.
static std::string getParamsName(const ProgramInfo &program,
                                 const VariantInfo &variant,
                                 const KernelInfo &kernel) {
  auto isNamesake = [&](const KernelInfo &other) {
    return &other < &kernel && other.symbol == kernel.symbol;
  };
  auto earlier = llvm::count_if(variant.kernels, isNamesake);
  std::string name = getStem(program, variant) + "_" + kernel.symbol;
  if (earlier > 0)
    name += "_again" + std::to_string(earlier);
  return name + "_params";
}

std::string mlir::wyvern::getImageSymbol(const KernelInfo &kernel) {
  std::string symbol = kernel.file + "_cubin";
  for (char &c : symbol)
    c = llvm::isAlnum(c) ? c : '_';
  return symbol;
}

void HeaderWriter::writeTensors(StringRef array, ArrayRef<TensorInfo> tensors) {
  static constexpr StringLiteral roles[] = {"WYVERN_INPUT", "WYVERN_OUTPUT",
                                            "WYVERN_WORKSPACE"};
  static constexpr StringLiteral kinds[] = {
      "WYVERN_DIM_SEQ",    "WYVERN_DIM_TIME",  "WYVERN_DIM_CHUNK",
      "WYVERN_DIM_HEAD",   "WYVERN_DIM_WHOLE", "WYVERN_DIM_SLOT",
      "WYVERN_DIM_SEGMENT"};
  os << "static const wyvern_tensor_desc " << array << "[] = {\n";
  for (const TensorInfo &tensor : tensors) {
    os << "  {\"" << tensor.name << "\", "
       << roles[static_cast<unsigned>(tensor.role)] << ", "
       << getDtypeEnum(tensor.dtype) << ", " << tensor.optional << ", "
       << tensor.dims.size() << ", {";
    llvm::interleaveComma(tensor.dims, os, [&](const DimInfo &dim) {
      os << '{' << kinds[static_cast<unsigned>(dim.kind)] << ", "
         << dim.multiple << ", " << dim.size << '}';
    });
    os << "}},\n";
  }
  os << "};\n\n";
}

void HeaderWriter::writeParams(const VariantInfo &variant,
                               const KernelInfo &kernel) {
  static constexpr StringLiteral kinds[] = {
      "WYVERN_PARAM_TENSOR_MAP",  "WYVERN_PARAM_POINTER",
      "WYVERN_PARAM_STRIDE",      "WYVERN_PARAM_CU_SEQLENS",
      "WYVERN_PARAM_CU_WIDTH",    "WYVERN_PARAM_TOKENS",
      "WYVERN_PARAM_SEQUENCES",   "WYVERN_PARAM_SEGMENT",
      "WYVERN_PARAM_SLOT_TOKENS", "WYVERN_PARAM_PART"};
  os << "static const wyvern_param_desc "
     << getParamsName(program, variant, kernel) << "[] = {\n";
  for (const ParamInfo &param : kernel.params) {
    os << "  {" << kinds[static_cast<unsigned>(param.kind)] << ", "
       << std::max<int64_t>(findTensor(program, variant, param.tensor), 0)
       << ", " << param.dim << ", " << param.swizzle << ", {";
    if (param.box.empty())
      os << '0';
    llvm::interleaveComma(param.box, os);
    os << "}},";
    if (!param.tensor.empty())
      os << " /* " << param.tensor << " */";
    os << '\n';
  }
  os << "};\n\n";
}

void HeaderWriter::writeKernel(const VariantInfo &variant,
                               const KernelInfo &kernel) {
  static constexpr StringLiteral waits[] = {
      "WYVERN_WAITS_NOT", "WYVERN_WAITS_FIRST", "WYVERN_WAITS_LAST"};
  static constexpr StringLiteral parts[] = {
      "WYVERN_PART_ALL", "WYVERN_PART_FIRST", "WYVERN_PART_SECOND",
      "WYVERN_PART_MIDDLE", "WYVERN_PART_LAST"};
  static constexpr StringLiteral counts[] = {
      "WYVERN_COUNT_SLOTS", "WYVERN_COUNT_SEQUENCES", "WYVERN_COUNT_SEGMENTS"};
  bool slots = kernel.gridCount == GridCount::Slots;
  const CostInfo &cost = kernel.cost;
  os << "  {\"" << kernel.symbol << "\", \"" << kernel.getImageName() << "\", ";
  if (images == Images::InFiles)
    os << "NULL, 0, ";
  else
    os << getImageSymbol(kernel) << ", " << kernel.cubin.size() << ", ";
  os << counts[static_cast<unsigned>(kernel.gridCount)] << ", "
     << kernel.gridFactor << ", " << (slots ? kernel.gridChunks : 0) << ", "
     << kernel.block << ", " << kernel.dynamicShared << ", "
     << waits[static_cast<unsigned>(kernel.waits)] << ", "
     << parts[static_cast<unsigned>(kernel.part)] << ", "
     << kernel.params.size() << ", " << getParamsName(program, variant, kernel)
     << ",\n   {" << cost.stepChunks << ", " << cost.residents << ", "
     << cost.blockCycles << ", " << cost.stepCycles << ", " << cost.stepWork
     << ", " << cost.stepBytes << "}},\n";
}

void HeaderWriter::writeVariant(const VariantInfo &variant) {
  std::string stem = getStem(program, variant);
  if (!variant.workspace.empty())
    writeTensors(stem + "_workspace", variant.workspace);
  for (const KernelInfo &kernel : variant.kernels)
    writeParams(variant, kernel);
  os << "static const wyvern_kernel_desc " << stem << "_kernels[] = {\n";
  for (const KernelInfo &kernel : variant.kernels)
    writeKernel(variant, kernel);
  os << "};\n\n";
}

void HeaderWriter::writeVariants() {
  for (const VariantInfo &variant : program.variants)
    writeVariant(variant);
  os << "static const wyvern_variant_desc " << program.name
     << "_variants[] = {\n";
  for (const VariantInfo &variant : program.variants) {
    std::string stem = getStem(program, variant);
    os << "  {\"" << variant.name << "\", " << variant.workspace.size() << ", "
       << (variant.workspace.empty() ? "NULL" : stem + "_workspace") << ", "
       << variant.kernels.size() << ", " << stem << "_kernels, {"
       << variant.cut.isReverse << ", " << variant.cut.first << ", "
       << variant.cut.second << ", " << variant.cut.last << "}},\n";
  }
  os << "};\n\n";
}

void HeaderWriter::writeProgram() {
  os << "static const wyvern_program_desc " << program.name
     << "_program = {\n  WYVERN_ABI_VERSION, \"" << program.name << "\", \""
     << program.target << "\", " << program.chunk << ",\n  "
     << program.tensors.size() << ", " << program.name << "_tensors,\n  {"
     << program.machine.sms << ", " << program.machine.bytesPerCycle << ", "
     << program.machine.launchCycles << "},\n  " << program.variants.size()
     << ", " << program.name << "_variants};\n\n";
}

void HeaderWriter::writeLoad() {
  os << "/* Loads the program from the folder of this header. */\n"
     << "static inline wyvern_status " << program.name
     << "_load(const char *folder, wyvern_program **program) {\n"
     << "  return wyvern_program_load(&" << program.name
     << "_program, folder, program);\n}\n\n";
}

void HeaderWriter::writeArgument(unsigned index, const TensorInfo &tensor) {
  os << "  const int64_t sizes" << index << "[] = {";
  llvm::interleaveComma(tensor.dims, os, [&](const DimInfo &dim) {
    os << getExtent(tensor, dim);
  });
  os << "};\n  tensors[" << index << "] = wyvern_tensor_dense((void *)"
     << getParameterName(tensor.name) << ", " << getDtypeEnum(tensor.dtype)
     << ", device, " << tensor.dims.size() << ", sizes" << index << ");\n";
  if (isTurned(tensor))
    os << "  tensors[" << index << "].strides[2] = 1;\n  tensors[" << index
       << "].strides[3] = " << tensor.dims[2].size << ";\n";
}

std::string HeaderWriter::listExtents(const TensorInfo &tensor) {
  std::vector<DimInfo> dims = tensor.dims;
  if (isTurned(tensor))
    std::swap(dims[2], dims[3]);
  return llvm::join(
      llvm::map_range(
          dims, [&](const DimInfo &dim) { return getExtent(tensor, dim); }),
      ", ");
}

void HeaderWriter::writeSlots() {
  std::set<std::pair<std::string, int64_t>> counts;
  for (const TensorInfo &tensor : program.tensors)
    for (const DimInfo &dim : tensor.dims)
      if (dim.kind == DimRange::Chunk)
        counts.emplace(getExtent(tensor, dim), program.chunk * dim.multiple);
  for (const auto &[name, length] : counts)
    os << "  const int64_t " << name << " = cu_seqlens ? tokens / " << length
       << " + packed : batch * ((tokens + " << length - 1 << ") / " << length
       << ");\n";
}

void HeaderWriter::writeLaunch() {
  os << "/* Launches on dense device tensors. `packed` is len(cu_seqlens) - 1, "
        "or -1\n   where cu_seqlens is NULL. For strided tensors fill in "
        "wyvern_tensor and call\n   wyvern_program_launch. 16-bit floats are "
        "passed as their bits. */\n"
     << "static inline wyvern_status " << program.name
     << "_launch(wyvern_program *program, int32_t device, int64_t batch, "
        "int64_t tokens, int64_t packed,\n";
  if (llvm::any_of(program.tensors, [](const TensorInfo &tensor) {
        return hasKind(tensor, DimRange::Slot);
      }))
    os << "    int64_t pool_slots,\n";
  for (const TensorInfo &tensor : program.tensors) {
    bool isRead = tensor.role == TensorRole::Input && !tensor.inPlace;
    os << "    " << (isRead ? "const " : "") << getCType(tensor.dtype) << " *"
       << getParameterName(tensor.name) << ", /* [" << listExtents(tensor)
       << "] " << tensor.dtype << (tensor.optional ? ", or NULL" : "")
       << " */\n";
  }
  os << "    const int64_t *cu_seqlens, /* [packed + 1], or NULL */\n"
     << "    void *workspace, size_t workspace_bytes, void *stream) {\n"
     << "  const int64_t sequences = cu_seqlens ? packed : batch;\n"
     << "  const int64_t entries = packed + 1;\n";
  writeSlots();
  os << "  wyvern_tensor tensors[" << program.tensors.size() << "];\n"
     << "  const wyvern_tensor cu = wyvern_tensor_dense((void *)cu_seqlens, "
        "WYVERN_I64, device, 1, &entries);\n";
  os << "  (void)sequences;\n";
  for (auto [i, tensor] : llvm::enumerate(program.tensors))
    writeArgument(i, tensor);
  os << "  return wyvern_program_launch(program, tensors, cu_seqlens ? &cu : "
        "NULL, workspace, workspace_bytes, stream);\n}\n\n";
}

void HeaderWriter::write() {
  writeTensors(program.name + "_tensors", program.tensors);
  writeVariants();
  writeProgram();
  writeLoad();
  writeLaunch();
}

void mlir::wyvern::writeCHeader(const BundleInfo &bundle,
                                const CompilerVersions &versions, Images images,
                                llvm::raw_ostream &os) {
  const ProgramInfo &program = bundle.forward;
  std::string guard = "WYVERN_PROGRAM_" + StringRef(program.name).upper();
  os << "/* " << program.name << " for " << program.target
     << ". Made by wyvernc " << versions.wyvern << " (LLVM " << versions.llvm
     << ", ptxas " << versions.ptxas << "). */\n"
     << "#ifndef " << guard << "\n#define " << guard
     << "\n\n#include \"wyvern-rt/wyvern_rt.h\"\n\n"
     << "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n";
  // A step's pool is as it lies; a chunk program sees states [K, V].
  bool turnsPools = bundle.serving && bundle.serving->entry == "prefill" &&
                    bundle.serving->stateLayout == "vk";
  HeaderWriter(program, images, turnsPools, os).write();
  if (bundle.backward)
    HeaderWriter(*bundle.backward, images, turnsPools, os).write();
  os << "#ifdef __cplusplus\n}\n#endif\n\n#endif /* " << guard << " */\n";
}
