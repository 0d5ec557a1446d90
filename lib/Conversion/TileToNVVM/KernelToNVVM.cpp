//===- KernelToNVVM.cpp - Kernels and their parameters ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "GlobalAgain.h"
#include "Patterns.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

void tile::addTileTypeConversions(LLVMTypeConverter &converter) {
  MLIRContext *context = &converter.getContext();
  auto i32 = IntegerType::get(context, 32), i64 = IntegerType::get(context, 64);
  auto global = LLVM::LLVMPointerType::get(context, 1);
  converter.addConversion([=](RankedTensorType type) -> std::optional<Type> {
    if (SpreadAttr spread = getSpread(type))
      return VectorType::get(
          ShapedType::getNumElements(spread.getThreadShape(type.getShape())),
          type.getElementType());
    auto layout = dyn_cast_or_null<LayoutAttr>(type.getEncoding());
    if (!layout)
      return std::nullopt;
    return VectorType::get({layout.getElementsPerThread(type.getShape())},
                           type.getElementType());
  });
  converter.addConversion([&converter](InflightType type) {
    return converter.convertType(type.getTile());
  });
  converter.addConversion([=](SmemType) -> Type { return i32; });
  converter.addConversion([=](RingType) -> Type { return i32; });
  converter.addConversion([=](GlobalType type) -> Type {
    SmallVector<Type> fields = {global};
    fields.append(type.getTensor().getRank(), i64);
    return LLVM::LLVMStructType::getLiteral(context, fields);
  });
  converter.addConversion([=](CuSeqlensType) -> Type {
    return LLVM::LLVMStructType::getLiteral(context, {global, i64});
  });
  converter.addConversion([=](TensorMapType) -> Type {
    return LLVM::LLVMPointerType::get(context);
  });
}

//===----------------------------------------------------------------------===//
// tile.kernel
//===----------------------------------------------------------------------===//

namespace {
/// Bytes of a CUtensorMap.
constexpr int64_t kTensorMapBytes = 128;

/// A kernel becomes a gpu.module of its own with one llvm.func: one image a
/// kernel, and globals that cannot clash.
struct KernelPattern : OpConversionPattern<KernelOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(KernelOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    MLIRContext *context = getContext();
    if (!op.getSharedBytes())
      return rewriter.notifyMatchFailure(op, "run tile-plan-smem first");

    SmallVector<Type> params;
    for (BlockArgument argument : op.getBody().getArguments())
      if (!findSameArgument(op, argument))
        appendParams(argument.getType(), params);
    auto module = gpu::GPUModuleOp::create(rewriter, loc, op.getSymName());
    rewriter.setInsertionPointToStart(module.getBody());
    declareShared(rewriter, loc);
    auto func = LLVM::LLVMFuncOp::create(
        rewriter, loc, op.getSymName(),
        LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(context), params));
    setAttributes(op, func, rewriter);
    for (StringRef name : {kFewRegistersAttr, kFewAddressesAttr})
      if (Attribute few = op->getAttr(name))
        func->setAttr(name, few);

    Block *entry = func.addEntryBlock(rewriter);
    rewriter.setInsertionPointToEnd(entry);
    SmallVector<Value> args = gatherArguments(op, entry, rewriter);
    rewriter.inlineBlockBefore(&op.getBody().front(), entry, entry->end(),
                               args);
    rewriter.setInsertionPointToEnd(entry);
    LLVM::ReturnOp::create(rewriter, loc, ValueRange());
    rewriter.eraseOp(op);
    return success();
  }

private:
  /// The value of field `i` of a lowered `type` where it is no parameter.
  static std::optional<int64_t> getConstantField(Type type, int64_t i) {
    auto global = dyn_cast<GlobalType>(type);
    return global && i > 0 ? global.getStaticStride(i - 1) : std::nullopt;
  }

  /// The kernel parameters behind one argument: what docs/abi.md lists.
  void appendParams(Type type, SmallVectorImpl<Type> &params) const {
    Type converted = getTypeConverter()->convertType(type);
    auto fields = dyn_cast<LLVM::LLVMStructType>(converted);
    if (!fields)
      return params.push_back(converted);
    for (auto [i, field] : llvm::enumerate(fields.getBody()))
      if (!getConstantField(type, i))
        params.push_back(field);
  }

  static void declareShared(OpBuilder &builder, Location loc) {
    auto bytes = LLVM::LLVMArrayType::get(builder.getI8Type(), 0);
    LLVM::GlobalOp::create(builder, loc, bytes, /*isConstant=*/false,
                           LLVM::Linkage::External, kSharedName, Attribute(),
                           /*alignment=*/1024, /*addrSpace=*/3);
  }

  static void setAttributes(KernelOp op, LLVM::LLVMFuncOp func,
                            OpBuilder &builder) {
    func->setAttr(NVVM::NVVMDialect::getKernelFuncAttrName(),
                  builder.getUnitAttr());
    int32_t threads = op.getWarps() * 32;
    func->setAttr(NVVM::NVVMDialect::getMaxntidAttrName(),
                  builder.getDenseI32ArrayAttr({threads, 1, 1}));
    func->setAttr(NVVM::NVVMDialect::getMinctasmAttrName(),
                  builder.getI32IntegerAttr(op.getMinBlocks()));
    // A launch need not know of it: the kernel says it itself.
    if (int32_t blocks = op.getCluster(); blocks > 1)
      func->setAttr(NVVM::NVVMDialect::getClusterDimAttrName(),
                    builder.getDenseI32ArrayAttr({blocks, 1, 1}));
  }

  SmallVector<Value>
  gatherArguments(KernelOp op, Block *entry,
                  ConversionPatternRewriter &rewriter) const {
    auto func = cast<LLVM::LLVMFuncOp>(entry->getParentOp());
    SmallVector<Value> args;
    unsigned next = 0;
    for (BlockArgument argument : op.getBody().getArguments()) {
      if (BlockArgument same = findSameArgument(op, argument)) {
        // Addresses in it are not held from where it is read to where it is
        // written.
        Emitter e(rewriter, op.getLoc());
        args.push_back(globalAgain(e, args[same.getArgNumber()]));
        continue;
      }
      Type type = argument.getType();
      Type converted = getTypeConverter()->convertType(type);
      auto fields = dyn_cast<LLVM::LLVMStructType>(converted);
      if (!fields) {
        if (isa<TensorMapType>(type))
          markTensorMap(func, next, rewriter);
        args.push_back(entry->getArgument(next++));
        continue;
      }
      Value packed = LLVM::PoisonOp::create(rewriter, op.getLoc(), converted);
      for (auto [i, field] : llvm::enumerate(fields.getBody())) {
        std::optional<int64_t> constant = getConstantField(type, i);
        Value value = constant ? LLVM::ConstantOp::create(rewriter, op.getLoc(),
                                                          field, *constant)
                               : Value(entry->getArgument(next++));
        packed = LLVM::InsertValueOp::create(rewriter, op.getLoc(), packed,
                                             value, i);
      }
      args.push_back(packed);
    }
    return args;
  }

  /// By value, 64-byte aligned, never copied: what TMA needs of a descriptor.
  static void markTensorMap(LLVM::LLVMFuncOp func, unsigned index,
                            OpBuilder &builder) {
    auto bytes = LLVM::LLVMArrayType::get(builder.getI8Type(), kTensorMapBytes);
    func.setArgAttr(index, LLVM::LLVMDialect::getByValAttrName(),
                    TypeAttr::get(bytes));
    func.setArgAttr(index, LLVM::LLVMDialect::getAlignAttrName(),
                    builder.getI64IntegerAttr(64));
    func.setArgAttr(index, NVVM::NVVMDialect::getGridConstantAttrName(),
                    builder.getUnitAttr());
  }
};
} // namespace

void tile::populateKernelPatterns(LLVMTypeConverter &converter,
                                  RewritePatternSet &patterns) {
  patterns.add<KernelPattern>(converter, patterns.getContext());
}
