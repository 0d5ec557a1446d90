//===- Products.cpp - What comes after the last phase ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Products.h"
#include "Costs.h"
#include "Stopwatch.h"
#include "Variants.h"

#include "wyvern/Support/OutputFiles.h"
#include "wyvern/Support/Version.h"
#include "wyvern/Target/Manifest.h"

#include "llvm/ADT/StringSet.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/WithColor.h"

using namespace mlir;
using namespace mlir::wyvern;

static constexpr Product products[] = {
    {"ptx", "PTX, one module a kernel", false, false},
    {"cubin", "machine code, one cubin a kernel", true, false},
    {"manifest", "manifest.json: what a launch of each kernel needs", true,
     false},
    {"bundle", "a folder with the cubins, manifest.json, a C header, ptxas.log",
     true, false},
    {"tvm-ffi", "a shared object with the cubins inside, for apache-tvm-ffi",
     true, true},
};

ArrayRef<Product> mlir::wyvern::getProducts() { return products; }

const Product *mlir::wyvern::findProduct(StringRef name) {
  const Product *product =
      llvm::find_if(products, [&](const Product &candidate) {
        return candidate.name == name;
      });
  return product == std::end(products) ? nullptr : product;
}

llvm::Expected<ProductTools>
mlir::wyvern::findTools(const Product &product, const DriverOptions &options) {
  ProductTools tools;
  if (product.needsPtxas) {
    llvm::Expected<Ptxas> found = findPtxas(options.ptxas, options.executable);
    if (!found)
      return found.takeError();
    tools.ptxas = std::move(*found);
  }
  if (product.needsCompiler) {
    llvm::Expected<ModuleCompiler> found =
        findModuleCompiler(options.compiler, options.executable);
    if (!found)
      return found.takeError();
    tools.compiler = std::move(*found);
  }
  return tools;
}

namespace {
/// One run's products, from its programs.
class ProductWriter {
public:
  ProductWriter(const DriverOptions &options, const LayerSpec *spec,
                BundleInfo bundle, const ProductTools &tools,
                const Report *report)
      : options(options), spec(spec), bundle(std::move(bundle)), tools(tools),
        report(report) {
    versions = {getVersion().str(), getLLVMVersion().str(),
                tools.ptxas ? tools.ptxas->version : ""};
  }

  ExitCode write(const Product &product);

private:
  llvm::Error assembleAll();
  /// Refuses kernels with faults; without --strict it warns of them. With
  /// `--variants=auto` a variant beside the first that has some is left out.
  llvm::Error checkFaults();
  /// Leaves out what has faults, but for the first variant.
  void dropFaulty(ProgramInfo &program);
  /// True if the faults of `program`, of which there is one variant and nobody
  /// has asked for it by name, are spills that cost next to nothing; says so.
  bool takesSpills(const ProgramInfo &program);
  void printResources();
  llvm::Error writeProductFiles(const Product &product);
  std::string getManifest() const;
  std::string getHeader() const;
  SmallVector<OutputFile> getKernelFiles(StringRef extension);
  /// One file if there is one kernel and -o names a file; else a folder.
  llvm::Error writeKernels(StringRef extension);
  llvm::Error writeBundle();
  /// A shared object, and with --save-temps its source.
  llvm::Error writeModule();
  /// -o, or a name made from the input's.
  std::string getOutput(StringRef suffix) const;

  const DriverOptions &options;
  const LayerSpec *spec;
  BundleInfo bundle;
  const ProductTools &tools;
  const Report *report; ///< Null if nobody asked for one.
  CompilerVersions versions;
  std::string log;
};
} // namespace

ExitCode ProductWriter::write(const Product &product) {
  LogicalResult verified =
      verifyBundle(bundle, [](const Twine &message) { printError(message); });
  if (failed(verified))
    return ExitCode::Diagnostics;
  llvm::Error error = assembleAll();
  if (!error)
    error = writeProductFiles(product);
  if (!error && report)
    error = writeFile(options.report, report->getPage(bundle, spec, versions));
  if (!error)
    return ExitCode::Success;
  printError(llvm::toString(std::move(error)));
  return ExitCode::Diagnostics;
}

/// Costs are for a choice: where there is none, a manifest is the same whether
/// the kernels were estimated or came as they are.
static void dropCosts(ProgramInfo &program) {
  program.machine = {};
  for (KernelInfo &kernel : program.variants.front().kernels)
    kernel.cost = {};
}

llvm::Error ProductWriter::assembleAll() {
  if (!tools.ptxas)
    return llvm::Error::success();
  llvm::Error error = [&] {
    Stopwatch stopwatch(options.verbose, "cubin");
    return assemble(*tools.ptxas, bundle.forward.target, bundle, log);
  }();
  if (error)
    return error;
  if ((error = checkFaults()))
    return error;
  // They have no kernels of their own, and depend on how much code there is.
  for (ProgramInfo *program : bundle.getPrograms())
    addParts(*program);
  for (ProgramInfo *program : bundle.getPrograms())
    if (program->variants.size() == 1 &&
        !hasSegments(program->variants.front()))
      dropCosts(*program);
  countResidents(*tile::findTarget(bundle.forward.target), bundle);
  if (options.verbose) {
    printResources();
    for (const ProgramInfo *program : bundle.getPrograms())
      printChoices(*program, llvm::errs());
  }
  return llvm::Error::success();
}

void ProductWriter::dropFaulty(ProgramInfo &program) {
  std::vector<VariantInfo> &variants = program.variants;
  for (size_t v = variants.size(); v-- > 1;) {
    std::string faults = describeFaults(variants[v]);
    if (faults.empty())
      continue;
    if (options.verbose)
      llvm::errs() << "variant " << variants[v].name << " of " << program.name
                   << " is left out: " << faults << '\n';
    variants.erase(variants.begin() + static_cast<ptrdiff_t>(v));
  }
}

/// True if what is wrong with `variant` are spills alone, in each kernel of at
/// most `bytes` bytes of a thread.
static bool spillsLittle(const VariantInfo &variant, int64_t bytes) {
  return llvm::all_of(variant.kernels, [&](const KernelInfo &kernel) {
    const KernelResources &found = kernel.resources;
    size_t spills = found.spillStores || found.spillLoads;
    return kernel.faults.size() == spills && found.spillStores <= bytes;
  });
}

bool ProductWriter::takesSpills(const ProgramInfo &program) {
  const VariantInfo &variant = program.variants.front();
  int64_t bytes = tile::findTarget(program.target)->spillBytes;
  if (!options.anyVariant || program.variants.size() > 1 ||
      !spillsLittle(variant, bytes))
    return false;
  std::string faults = describeFaults(variant);
  for (StringRef fault : llvm::split(StringRef(faults), '\n'))
    llvm::WithColor::remark(llvm::errs(), "wyvernc")
        << fault << "; it is taken, since there is no other variant and a "
        << "thread stores at most " << bytes << '\n';
  return true;
}

llvm::Error ProductWriter::checkFaults() {
  if (options.autoVariants && options.strict)
    for (ProgramInfo *program : bundle.getPrograms())
      dropFaulty(*program);
  std::string faults;
  for (ProgramInfo *program : bundle.getPrograms())
    for (const VariantInfo &variant : program->variants)
      if (std::string own = describeFaults(variant);
          !own.empty() && !(options.strict && takesSpills(*program)))
        faults += own + "\n";
  if (faults.empty())
    return llvm::Error::success();
  if (options.strict)
    return llvm::createStringError(
        faults + "such a kernel runs at a fraction of its speed: use other "
                 "head dimensions, compute less of what it reads (compute, "
                 "--prologue), or take another --schedule or --save; "
                 "--strict=false makes this a warning");
  for (StringRef fault : llvm::split(StringRef(faults).rtrim(), '\n'))
    llvm::WithColor::warning(llvm::errs(), "wyvernc") << fault << '\n';
  return llvm::Error::success();
}

void ProductWriter::printResources() {
  llvm::StringSet<> printed;
  for (const KernelInfo *kernel : bundle.getKernels()) {
    if (!printed.insert(kernel->file).second)
      continue;
    const KernelResources &resources = kernel->resources;
    llvm::errs() << kernel->file << ": " << resources.registers
                 << " registers, " << kernel->block << " threads, "
                 << kernel->dynamicShared + resources.staticShared
                 << " bytes shared memory, " << resources.spillStores << " + "
                 << resources.spillLoads << " bytes spilled, "
                 << kernel->cubin.size() << " bytes cubin\n";
  }
}

llvm::Error ProductWriter::writeProductFiles(const Product &product) {
  if (!options.saveTemps.empty())
    for (StringRef extension : {"ptx", "cubin"})
      for (const OutputFile &file : getKernelFiles(extension)) {
        SmallString<128> path(options.saveTemps);
        llvm::sys::path::append(path, file.name);
        if (llvm::Error error = writeFile(path, file.contents))
          return error;
      }
  if (product.name == "bundle")
    return writeBundle();
  if (product.name == "tvm-ffi")
    return writeModule();
  if (product.name == "manifest")
    return writeFile(options.output.empty() ? "-" : options.output,
                     getManifest());
  return writeKernels(product.name);
}

std::string ProductWriter::getManifest() const {
  std::string text;
  llvm::raw_string_ostream os(text);
  llvm::json::Value specValue = nullptr;
  if (spec)
    specValue = toJSON(*spec);
  writeManifest(bundle, specValue, versions, os);
  return text;
}

std::string ProductWriter::getHeader() const {
  std::string text;
  llvm::raw_string_ostream os(text);
  writeCHeader(bundle, versions, Images::InFiles, os);
  return text;
}

SmallVector<OutputFile> ProductWriter::getKernelFiles(StringRef extension) {
  SmallVector<OutputFile> files;
  llvm::StringSet<> written;
  for (const KernelInfo *kernel : bundle.getKernels()) {
    const std::string &contents =
        extension == "ptx" ? kernel->ptx : kernel->cubin;
    if (!contents.empty() && written.insert(kernel->file).second)
      files.push_back({(kernel->file + "." + extension).str(), contents});
  }
  return files;
}

static std::vector<std::string> listNames(ArrayRef<OutputFile> files) {
  std::vector<std::string> names;
  for (const OutputFile &file : files)
    names.push_back(file.name);
  return names;
}

/// The files of the bundle in `folder`; none if there is no bundle.
static std::vector<std::string> listEarlierFiles(StringRef folder) {
  SmallString<128> path(folder);
  llvm::sys::path::append(path, "manifest.json");
  auto manifest = llvm::MemoryBuffer::getFile(path, /*IsText=*/true);
  if (!manifest)
    return {};
  return listBundleFiles((*manifest)->getBuffer());
}

llvm::Error ProductWriter::writeKernels(StringRef extension) {
  SmallVector<OutputFile> files = getKernelFiles(extension);
  StringRef output = options.output;
  bool text = extension == "ptx";
  if (text && (output.empty() || output == "-")) {
    std::string all;
    for (const OutputFile &file : files)
      all += "// " + file.name + "\n" + file.contents + "\n";
    return writeFile("-", all);
  }
  if (output == "-")
    return llvm::createStringError("a cubin is no text; give a folder with -o");
  if (llvm::sys::path::extension(output) != ("." + extension).str())
    return writeFolder(getOutput("." + extension.str() + "s"), files,
                       listNames(files));
  if (files.size() == 1)
    return writeFile(output, files.front().contents);
  return llvm::createStringError("there are " + Twine(files.size()) +
                                 " kernels and one file '" + output +
                                 "' to write them to; give a folder with -o");
}

llvm::Error ProductWriter::writeBundle() {
  if (options.output == "-")
    return llvm::createStringError(
        "a bundle is a folder; give its name with -o");
  SmallVector<OutputFile> files = getKernelFiles("cubin");
  files.push_back({"manifest.json", getManifest()});
  files.push_back({bundle.forward.name + ".h", getHeader()});
  files.push_back({"ptxas.log", log});
  std::string folder = getOutput(".wyvern");
  return writeFolder(folder, files, listEarlierFiles(folder));
}

llvm::Error ProductWriter::writeModule() {
  if (options.output == "-")
    return llvm::createStringError(
        "a module is no text; give its name with -o");
  std::string source;
  llvm::raw_string_ostream os(source);
  writeTvmModule(bundle, getManifest(), versions, os);
  if (!options.saveTemps.empty()) {
    SmallString<128> path(options.saveTemps);
    llvm::sys::path::append(path, bundle.forward.name + ".c");
    if (llvm::Error error = writeFile(path, source))
      return error;
  }
  Stopwatch stopwatch(options.verbose, "link");
  llvm::Expected<std::string> module = compileModule(*tools.compiler, source);
  if (!module)
    return module.takeError();
  return writeFile(getOutput(".so"), *module);
}

std::string ProductWriter::getOutput(StringRef suffix) const {
  if (!options.output.empty())
    return options.output;
  StringRef stem = llvm::sys::path::stem(options.input);
  return ((options.input == "-" ? StringRef(bundle.forward.name) : stem) +
          suffix)
      .str();
}

ExitCode mlir::wyvern::writeProduct(const DriverOptions &options,
                                    const Product &product,
                                    const LayerSpec *spec, BundleInfo bundle,
                                    const ProductTools &tools,
                                    const Report *report) {
  return ProductWriter(options, spec, std::move(bundle), tools, report)
      .write(product);
}
