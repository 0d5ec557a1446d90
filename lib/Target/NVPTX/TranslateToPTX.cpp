//===- TranslateToPTX.cpp - From kernels to PTX -------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Target/NVPTX.h"

#include "wyvern/Dialect/Tile/IR/Tile.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/GPU/GPUToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Tools/mlir-translate/Translation.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/Scalar/Scalarizer.h"

using namespace mlir;
using namespace mlir::wyvern;

static std::unique_ptr<llvm::TargetMachine>
createTargetMachine(const tile::TargetInfo &info, std::string &error) {
  static const bool initialized = [] {
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
    return true;
  }();
  (void)initialized;
  llvm::Triple triple("nvptx64-nvidia-cuda");
  const llvm::Target *target =
      llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target)
    return nullptr;
  llvm::TargetOptions targetOptions;
  // a * b + c may round once: as every peer's compiler does, and half the
  // instructions. The program states where precision matters with its types.
  targetOptions.AllowFPOpFusion = llvm::FPOpFusion::Fast;
  return std::unique_ptr<llvm::TargetMachine>(target->createTargetMachine(
      triple, info.arch, info.features, targetOptions, llvm::Reloc::PIC_,
      std::nullopt, llvm::CodeGenOptLevel::Aggressive));
}

/// `llvm.inline_asm` cannot carry `convergent`; without it LLVM may duplicate a
/// barrier into divergent branches (seen with bar.sync in LLVM 22.1.8).
static void markConvergent(llvm::Module &module) {
  for (llvm::Function &function : module)
    for (llvm::BasicBlock &block : function)
      for (llvm::Instruction &instruction : block)
        if (auto *call = dyn_cast<llvm::CallInst>(&instruction))
          if (auto *text = dyn_cast<llvm::InlineAsm>(call->getCalledOperand());
              text && text->hasSideEffects())
            call->setConvergent();
}

static void optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::PassBuilder builder(&machine);
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager sccs;
  llvm::ModuleAnalysisManager modules;
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(sccs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, sccs, modules);

  // A tile is one wide vector up to here. Scalars are what wgmma's registers
  // must be: pairs held as <2 x float> would be copied around every wgmma.
  llvm::ModulePassManager passes;
  passes.addPass(
      llvm::createModuleToFunctionPassAdaptor(llvm::ScalarizerPass()));
  passes.addPass(
      builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O2));
  passes.run(module, modules);
}

llvm::Expected<std::string> wyvern::translateToPTX(gpu::GPUModuleOp module) {
  llvm::LLVMContext context;
  // Nobody reads names of values in PTX: registers have numbers there.
  context.setDiscardValueNames(true);
  std::unique_ptr<llvm::Module> translated =
      translateModuleToLLVMIR(module, context, module.getName());
  if (!translated)
    return llvm::createStringError("cannot translate kernel '%s' to LLVM IR",
                                   module.getName().str().c_str());
  tile::TargetInfo info = tile::getTarget(module);
  std::string error;
  std::unique_ptr<llvm::TargetMachine> machine =
      createTargetMachine(info, error);
  if (!machine)
    return llvm::createStringError("this LLVM has no NVPTX backend for %s: %s",
                                   info.arch.str().c_str(), error.c_str());
  translated->setTargetTriple(machine->getTargetTriple());
  translated->setDataLayout(machine->createDataLayout());
  markConvergent(*translated);
  optimize(*translated, *machine);

  llvm::SmallString<0> ptx;
  llvm::raw_svector_ostream stream(ptx);
  llvm::legacy::PassManager codegen;
  if (machine->addPassesToEmitFile(codegen, stream, nullptr,
                                   llvm::CodeGenFileType::AssemblyFile))
    return llvm::createStringError("the NVPTX backend cannot emit PTX");
  codegen.run(*translated);
  return ptx.str().str();
}

void wyvern::registerNVPTXTranslations(DialectRegistry &registry) {
  registerBuiltinDialectTranslation(registry);
  registerGPUDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  registerNVVMDialectTranslation(registry);
}

void wyvern::registerToPTXTranslation() {
  static TranslateFromMLIRRegistration registration(
      "gpu-to-ptx", "PTX of every gpu.module, for the target of its module",
      [](Operation *op, raw_ostream &os) -> LogicalResult {
        WalkResult result = op->walk([&](gpu::GPUModuleOp module) {
          llvm::Expected<std::string> ptx = translateToPTX(module);
          if (!ptx) {
            module.emitError(llvm::toString(ptx.takeError()));
            return WalkResult::interrupt();
          }
          os << *ptx;
          return WalkResult::advance();
        });
        return failure(result.wasInterrupted());
      },
      [](DialectRegistry &registry) {
        registry.insert<gpu::GPUDialect, LLVM::LLVMDialect, NVVM::NVVMDialect,
                        tile::TileDialect>();
        registerNVPTXTranslations(registry);
      });
}
