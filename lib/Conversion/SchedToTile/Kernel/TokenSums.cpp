//===- TokenSums.cpp - From delta.sum_tokens to tile.kernel -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A block sums what its head has of every token, or 32 of all heads' channels,
// one tensor after the other. Grids are of blocks a sequence: those of the
// first one do it.
//
//===----------------------------------------------------------------------===//

#include "TokenSums.h"

#include "BlockLocation.h"

#include "wyvern/Dialect/Tile/IR/Tile.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::wyvern;

/// Warps of a block: one pass over the memory of a long sequence waits for it a
/// few times.
static constexpr int64_t kWarps = 16;

/// Lanes of a warp, each of which has a column of channels.
static constexpr int64_t kLanes = 32;
/// Numbers that a block's threads, or its warps, hand to one another.
static constexpr int64_t kThreads = 1024, kMostWarps = 32;

/// Returns how many blocks sum what tokens have of `tensor`.
static int64_t countBlocks(RankedTensorType tensor) {
  int64_t heads = tensor.getDimSize(2);
  return tensor.getRank() == 3
             ? heads
             : llvm::divideCeil(heads * tensor.getDimSize(3), kLanes);
}

/// Diagnoses sums of what no kernel has made of tokens and heads.
static LogicalResult checkSums(delta::SumTokensOp op) {
  for (Value tensor : op.getTensors())
    if (RankedTensorType type = tensorOf(tensor);
        !tensor.getDefiningOp<sched::KernelOp>() ||
        (type.getRank() != 3 && type.getRank() != 4) ||
        !type.getElementType().isF32() ||
        llvm::any_of(tensor.getUsers(), llvm::IsaPred<func::ReturnOp>))
      return op.emitOpError()
             << "sums a tensor of type " << type
             << "; the GPU path takes tensors [batch, time, heads] and [batch, "
                "time, heads, channels] of f32, which a kernel makes and "
                "nobody "
                "else reads (target \"cpu\" takes all)";
  return success();
}

namespace {
/// Builds the kernel of one operation.
class TokenSums {
public:
  TokenSums(OpBuilder &builder, delta::SumTokensOp op, StringRef name,
            const TensorNames &names)
      : builder(builder), op(op), loc(op.getLoc()), name(name), names(names) {
    for (Value tensor : op.getTensors())
      blocks = std::max(blocks, countBlocks(tensorOf(tensor)));
  }

  void lower();

private:
  void createShell();
  Value addArgument(Type type, StringRef tensor);
  /// Returns how many rows of all batch rows sequences own.
  Value countRows();
  /// Sums `tensor` into `sum`, by the blocks that it takes.
  void addSum(Value tensor, Value sum, Value block, Value rows);
  Value index(int64_t value) { return createIndex(builder, loc, value); }

  OpBuilder &builder;
  delta::SumTokensOp op;
  Location loc;
  StringRef name;
  const TensorNames &names;
  int64_t blocks = 1;
  tile::KernelOp kernel;
  SmallVector<Attribute> operandNames;
  SmallVector<Value> tensors, sums;
  LaunchArguments launch;
};
} // namespace

Value TokenSums::addArgument(Type type, StringRef tensor) {
  operandNames.push_back(builder.getStringAttr(tensor));
  return kernel.getBody().front().addArgument(type, loc);
}

void TokenSums::createShell() {
  kernel = tile::KernelOp::create(builder, loc, name, blocks, "sequences",
                                  /*grid_chunks=*/1, kWarps, /*min_blocks=*/1,
                                  builder.getArrayAttr({}), IntegerAttr());
  builder.createBlock(&kernel.getBody());
  auto add = [&](Value tensor, bool dense) {
    return addArgument(tile::GlobalType::get(builder.getContext(),
                                             tensorOf(tensor),
                                             /*optional=*/false, dense),
                       names.get(tensor));
  };
  for (Value tensor : op.getTensors())
    tensors.push_back(add(tensor, /*dense=*/true));
  for (Value sum : op.getSums())
    sums.push_back(add(sum, /*dense=*/false));
  launch.cu =
      addArgument(tile::CuSeqlensType::get(builder.getContext()), "cu_seqlens");
  launch.tokens = addArgument(builder.getIndexType(), "tokens");
  launch.sequences = addArgument(builder.getIndexType(), "sequences");
  kernel.setOperandsAttr(builder.getArrayAttr(operandNames));
}

Value TokenSums::countRows() {
  Value last = arith::SubIOp::create(builder, loc, launch.sequences, index(1));
  auto sequence = tile::SequenceOp::create(builder, loc, last, launch.cu,
                                           launch.tokens, launch.sequences);
  Value before =
      arith::MulIOp::create(builder, loc, sequence.getBatch(), launch.tokens);
  Value owned = arith::AddIOp::create(builder, loc, before, sequence.getEnd());
  int64_t perToken = op.getRows();
  return perToken == 1
             ? owned
             : arith::MulIOp::create(builder, loc, owned, index(perToken));
}

void TokenSums::addSum(Value tensor, Value sum, Value block, Value rows) {
  RankedTensorType type = cast<tile::GlobalType>(tensor.getType()).getTensor();
  bool hasChannels = type.getRank() == 4;
  auto scratchType = tile::SmemType::get(builder.getContext(),
                                         {hasChannels ? kThreads : kMostWarps},
                                         builder.getF32Type());
  Value scratch = tile::AllocOp::create(builder, loc, scratchType,
                                        /*transient=*/false, IntegerAttr());
  Value takesPart = arith::CmpIOp::create(
      builder, loc, arith::CmpIPredicate::ult, block, index(countBlocks(type)));
  auto ifOp = scf::IfOp::create(builder, loc, takesPart, /*withElse=*/false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(ifOp.thenBlock());
  if (hasChannels)
    tile::SumTokenColumnsOp::create(builder, loc, tensor, sum, block, rows,
                                    scratch);
  else
    tile::SumTokensOp::create(builder, loc, tensor, sum, block, rows, scratch);
}

void TokenSums::lower() {
  OpBuilder::InsertionGuard guard(builder);
  createShell();
  tile::AwaitKernelsOp::create(builder, loc);
  Value block = tile::BlockIdOp::create(builder, loc);
  Value rows = countRows();
  for (auto [tensor, sum] : llvm::zip_equal(tensors, sums))
    addSum(tensor, sum, block, rows);
}

LogicalResult wyvern::lowerTokenSums(OpBuilder &builder, delta::SumTokensOp op,
                                     StringRef name, const TensorNames &names) {
  if (failed(checkSums(op)))
    return failure();
  TokenSums(builder, op, name, names).lower();
  return success();
}

void wyvern::replaceByLaunch(delta::SumTokensOp op, StringRef name,
                             int64_t chunk) {
  using delta::BoundDim;
  using delta::DimKind;
  OpBuilder builder(op);
  MLIRContext *context = builder.getContext();
  auto bind = [&](Value tensor, ArrayRef<BoundDim> tokens) {
    SmallVector<BoundDim> dims(tokens);
    dims.push_back({DimKind::head});
    int64_t trailing = tensorOf(tensor).getRank() - dims.size();
    dims.append(trailing, {DimKind::whole});
    return delta::BindingAttr::get(context, dims);
  };
  SmallVector<Attribute> ins, outs;
  for (auto [tensor, sum] : llvm::zip_equal(op.getTensors(), op.getSums())) {
    BoundDim time = {DimKind::time, static_cast<int64_t>(op.getRows())};
    ins.push_back(bind(tensor, {{DimKind::seq}, time}));
    outs.push_back(bind(sum, {}));
  }
  auto launch = tile::LaunchOp::create(
      builder, op.getLoc(), op.getSums().getTypes(), TypeRange(),
      op.getTensors(), ValueRange(), op.getCuSeqlens(), ValueRange(), name,
      chunk, builder.getArrayAttr(ins), builder.getArrayAttr({}),
      builder.getArrayAttr(outs));
  op->replaceAllUsesWith(launch->getResults());
  op->erase();
}
