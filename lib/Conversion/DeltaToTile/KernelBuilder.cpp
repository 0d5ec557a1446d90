//===- KernelBuilder.cpp - The kernel around a chunk program ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

/// Blocks an SM should hold. A scan's ring fills most of the shared memory;
/// maps have no ring to hide latency behind, so several blocks do.
static constexpr int64_t kScanBlocks = 1, kMapBlocks = 3;
/// Maps that multiply by what they have computed hold more at a time: as many
/// registers as two blocks an SM leave.
static constexpr int64_t kStagingMapBlocks = 2;
/// Warps: one warpgroup that computes, then one warp that loads.
static constexpr int64_t kConsumerWarps = 4, kProducerWarps = 1;

bool KernelBuilder::hasSlots() const {
  auto has = [](BindingAttr binding) { return binding.has(DimKind::chunk); };
  return llvm::any_of(program.inBindings, has) ||
         llvm::any_of(program.outBindings, has);
}

SmallVector<Value> KernelBuilder::coordinates(BindingAttr binding,
                                              RankedTensorType type,
                                              Chunk chunk,
                                              std::optional<int64_t> laneDim) {
  SmallVector<Value> coords;
  int64_t tileDim = 0;
  for (auto [dim, size] : llvm::zip_equal(binding.getDims(), type.getShape())) {
    switch (dim.kind) {
    case DimKind::seq:
      coords.push_back(binding.has(DimKind::time) ? batch : sequence);
      break;
    case DimKind::head:
      coords.push_back(headOf(dim, size));
      break;
    case DimKind::time:
      coords.push_back(rows(chunk.row, binding));
      ++tileDim;
      break;
    case DimKind::whole:
      coords.push_back(laneDim == tileDim ? lane : index(0));
      ++tileDim;
      break;
    case DimKind::chunk:
      coords.push_back(chunk.slot);
      break;
    }
  }
  return coords;
}

Value KernelBuilder::headOf(BoundDim dim, int64_t size) {
  if (dim.multiple == 1)
    return arith::DivUIOp::create(builder, loc, head,
                                  index(program.heads / size));
  Value first = arith::MulIOp::create(builder, loc, head, index(dim.multiple));
  return arith::AddIOp::create(builder, loc, first, index(dim.offset));
}

Value KernelBuilder::index(int64_t value) {
  return arith::ConstantIndexOp::create(builder, loc, value);
}

Value KernelBuilder::rows(Value tokens, BindingAttr binding) {
  int64_t multiple = binding.getTimeMultiple();
  if (multiple == 1)
    return tokens;
  return arith::MulIOp::create(builder, loc, tokens, index(multiple));
}

//===----------------------------------------------------------------------===//
// Arguments, ring, place
//===----------------------------------------------------------------------===//

Value KernelBuilder::addArgument(Type type, StringRef name) {
  operandNames.push_back(builder.getStringAttr(name));
  return kernel.getBody().front().addArgument(type, loc);
}

/// True for what kernels alone see: it lies in the workspace, without gaps.
static bool isBetweenKernels(Value tensor) {
  return isa_and_nonnull<ChunkProgramOpInterface>(tensor.getDefiningOp()) &&
         llvm::none_of(tensor.getUsers(), llvm::IsaPred<func::ReturnOp>);
}

void KernelBuilder::addArguments() {
  MLIRContext *context = builder.getContext();
  for (auto [i, in] : llvm::enumerate(program.ins)) {
    RankedTensorType type = tensorOf(in);
    RankedTensorType seen = tensorOf(program.block->getArgument(1 + i));
    if (seen.getRank() == 1) {
      inArgs.push_back(addArgument(
          tile::GlobalType::get(context, type, false, isBetweenKernels(in)),
          names.get(in)));
      continue;
    }
    // One box is one column block of the tile's rows.
    SmallVector<int64_t> box(type.getRank(), 1);
    box[tensorDim(program.inBindings[i], 0)] = seen.getDimSize(0);
    box.back() = tile::kBlockColumns;
    inArgs.push_back(addArgument(tile::TensorMapType::get(context, type, box),
                                 names.get(in)));
  }
  auto addGlobals = [&](ValueRange tensors, ValueRange named, bool optional,
                        SmallVectorImpl<Value> &args) {
    for (auto [tensor, name] : llvm::zip_equal(tensors, named))
      args.push_back(
          addArgument(tile::GlobalType::get(context, tensorOf(tensor), optional,
                                            isBetweenKernels(tensor)),
                      names.get(name)));
  };
  addGlobals(program.outs, program.outs, false, outArgs);
  addGlobals(program.inits, program.inits, true, initArgs);
  for (Value final : program.finals) {
    finalArgs.push_back({});
    if (final.use_empty())
      continue;
    auto type = tile::GlobalType::get(context, tensorOf(final), true,
                                      isBetweenKernels(final));
    finalArgs.back() = addArgument(type, names.get(final));
  }
  cu = addArgument(tile::CuSeqlensType::get(context), "cu_seqlens");
  tokens = addArgument(builder.getIndexType(), "tokens");
  sequences = addArgument(builder.getIndexType(), "sequences");
}

void KernelBuilder::addRing() {
  MLIRContext *context = builder.getContext();
  auto alloc = [&](ArrayRef<int64_t> shape, Type element) -> Value {
    return tile::AllocOp::create(builder, loc,
                                 tile::SmemType::get(context, shape, element),
                                 /*transient=*/true, IntegerAttr());
  };
  for (auto [i, in] : llvm::enumerate(program.ins)) {
    Value arg = program.block->getArgument(1 + i);
    SmallVector<int64_t> shape(tensorOf(arg).getShape());
    Type element = builder.getF32Type();
    if (shape.size() == 2) {
      element = tensorOf(in).getElementType();
      if (!program.isMap && orientation.getM(arg) == 1)
        shape[1] = tile::kAccRows;
    }
    ringTiles.push_back(tile::SmemType::get(context, shape, element));
  }
  int64_t depth = program.isMap ? 1 : stages;
  ring = tile::AllocRingOp::create(
      builder, loc, tile::RingType::get(context, depth, ringTiles),
      kProducerWarps, kConsumerWarps, IntegerAttr());

  // Matrices leave through a staging tile: rows in memory by columns.
  for (auto [i, out] : llvm::enumerate(program.outs)) {
    Value yielded = program.block->getTerminator()->getOperand(i);
    staging.push_back({});
    if (tensorOf(yielded).getRank() != 2 ||
        isState(tensorOf(out), program.outBindings[i]))
      continue;
    SmallVector<int64_t> shape(tensorOf(yielded).getShape());
    if (std::optional<int64_t> m = orientation.getM(yielded))
      shape[*m] = tile::kAccRows;
    staging.back() = alloc(shape, tensorOf(out).getElementType());
  }
}

/// From the block's number to its head, its part of the lane dimension, its
/// sequence, and how many chunks it visits: all of a scan's sequence, those of
/// one of its runs, or one of a map's; none where the slot is between two
/// sequences.
void KernelBuilder::locate() {
  auto div = [&](Value a, Value b) -> Value {
    return arith::DivUIOp::create(builder, loc, a, b);
  };
  auto rem = [&](Value a, Value b) -> Value {
    return arith::RemUIOp::create(builder, loc, a, b);
  };
  Value id = tile::BlockIdOp::create(builder, loc);
  Value laneBlocks = index(orientation.getLaneSize() / tile::kAccRows);
  lane = arith::MulIOp::create(builder, loc, rem(id, laneBlocks),
                               index(tile::kAccRows));
  Value rest = div(id, laneBlocks), heads = index(program.heads);
  head = rem(rest, heads);
  Value unit = div(rest, heads), chunk = index(program.chunk);
  sequence = unit;
  firstChunk = index(0);
  int64_t run = program.isMap ? 1 : getRunLength(program);
  if (run) {
    auto found = tile::FindChunkOp::create(builder, loc, unit, cu, tokens,
                                           sequences, run * program.chunk);
    sequence = found.getN();
    firstChunk = arith::MulIOp::create(builder, loc, found.getC(), index(run));
    runSlot = unit;
  }
  auto at =
      tile::SequenceOp::create(builder, loc, sequence, cu, tokens, sequences);
  // A map's block is that of a slot.
  if (program.isMap && hasSlots()) {
    firstSlot = unit;
  } else if (hasSlots()) {
    firstSlot = tile::FirstSlotOp::create(builder, loc, sequence, cu, tokens,
                                          program.chunk);
    firstSlot = arith::AddIOp::create(builder, loc, firstSlot, firstChunk);
  }
  batch = at.getBatch(), start = at.getStart();
  length = at.getLength(), end = at.getEnd();
  Value rounded =
      arith::AddIOp::create(builder, loc, length, index(program.chunk - 1));
  count = div(rounded, chunk);
  if (!run)
    return;
  Value begin = arith::MinUIOp::create(builder, loc, firstChunk, count);
  Value left = arith::SubIOp::create(builder, loc, count, begin);
  count = arith::MinUIOp::create(builder, loc, left, index(run));
}

LogicalResult KernelBuilder::build(StringRef symbol) {
  if (failed(checkGPUOperands(program, orientation, names)))
    return failure();
  int64_t laneBlocks = orientation.getLaneSize() / tile::kAccRows;
  int64_t run = program.isMap ? 1 : getRunLength(program);
  kernel = tile::KernelOp::create(
      builder, loc, symbol, program.heads * laneBlocks,
      run ? "slots" : "sequences", std::max<int64_t>(run, 1),
      kConsumerWarps + kProducerWarps, program.isMap ? kMapBlocks : kScanBlocks,
      builder.getArrayAttr({}), IntegerAttr());
  OpBuilder::InsertionGuard guard(builder);
  builder.createBlock(&kernel.getBody());
  addArguments();
  kernel.setOperandsAttr(builder.getArrayAttr(operandNames));
  addRing();
  locate();
  tile::SyncOp::create(builder, loc);
  roles = tile::RolesOp::create(
      builder, loc,
      builder.getDenseI64ArrayAttr({kConsumerWarps, kProducerWarps}),
      DenseI64ArrayAttr(), /*rolesCount=*/2);
  builder.createBlock(&roles.getRoles()[0]);
  if (failed(consume()))
    return failure();
  if (program.isMap && numStaged > 0)
    kernel.setMinBlocks(kStagingMapBlocks);
  builder.createBlock(&roles.getRoles()[1]);
  produce();
  return success();
}
