//===- KernelBuilder.cpp - The kernel around a chunk program's region ---===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

/// Blocks an SM should hold. A scan's ring fills most of the shared memory; maps
/// have no ring to hide latency behind, so several blocks do.
static constexpr int64_t kScanBlocks = 1, kMapBlocks = 3;
/// Warps: one warpgroup that computes, then one warp that loads.
static constexpr int64_t kConsumerWarps = 4, kProducerWarps = 1;
/// The consumers' hardware barrier.
static constexpr int64_t kBarrier = 1;

static SmallVector<BindingAttr> bindings(ArrayAttr attr) {
  return llvm::to_vector(attr.getAsRange<BindingAttr>());
}

ChunkProgram::ChunkProgram(ChunkScanOp scan)
    : op(scan), isMap(false),
      reverse(scan.getDirection() == Direction::reverse),
      compute(scan.getCompute()), chunk(scan.getChunk()),
      heads(scan.getHeads()), ins(scan.getIns()), inits(scan.getInits()),
      outs(scan.getOuts()), finals(scan.getFinals()),
      inBindings(bindings(scan.getInBindings())),
      outBindings(bindings(scan.getOutBindings())),
      carryBindings(bindings(scan.getCarryBindings())),
      cuSeqlens(scan.getCuSeqlens()), block(&scan.getBlock()) {}

ChunkProgram::ChunkProgram(ChunkMapOp map)
    : op(map), isMap(true), compute(map.getCompute()), chunk(map.getChunk()),
      heads(map.getHeads()), ins(map.getIns()), outs(map.getOuts()),
      inBindings(bindings(map.getInBindings())),
      outBindings(bindings(map.getOutBindings())),
      cuSeqlens(map.getCuSeqlens()), block(&map.getBlock()) {}

static RankedTensorType tensorOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}

//===----------------------------------------------------------------------===//
// Bindings
//===----------------------------------------------------------------------===//

int64_t KernelBuilder::tensorDim(BindingAttr binding, int64_t tileDim) {
  for (auto [i, dim] : llvm::enumerate(binding.getDims()))
    if ((dim.kind == DimKind::time || dim.kind == DimKind::whole) &&
        tileDim-- == 0)
      return i;
  llvm_unreachable("a tile has no more dimensions than its binding");
}

int64_t KernelBuilder::timeDim(BindingAttr binding) {
  for (auto [i, dim] : llvm::enumerate(binding.getDims()))
    if (dim.kind == DimKind::time)
      return i;
  llvm_unreachable("checkOperands asks for a time dimension");
}

SmallVector<Value> KernelBuilder::coordinates(BindingAttr binding,
                                              RankedTensorType type, Value row,
                                              std::optional<int64_t> laneDim) {
  SmallVector<Value> coords;
  int64_t tileDim = 0;
  for (auto [dim, size] : llvm::zip_equal(binding.getDims(), type.getShape())) {
    switch (dim.kind) {
    case DimKind::seq:
      coords.push_back(binding.has(DimKind::time) ? batch : sequence);
      break;
    case DimKind::head:
      coords.push_back(arith::DivUIOp::create(builder, loc, head,
                                              index(program.heads / size)));
      break;
    case DimKind::time:
      coords.push_back(rows(row, binding));
      ++tileDim;
      break;
    case DimKind::whole:
      coords.push_back(laneDim == tileDim ? lane : index(0));
      ++tileDim;
      break;
    case DimKind::chunk:
      llvm_unreachable("checkOperands refuses chunk dimensions");
    }
  }
  return coords;
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

StringRef KernelBuilder::nameOf(Value tensor) {
  auto it = names.names.find(tensor);
  return it == names.names.end() ? StringRef() : StringRef(it->second);
}

//===----------------------------------------------------------------------===//
// What the GPU path takes
//===----------------------------------------------------------------------===//

static bool isHalf(Type type) { return type.isBF16() || type.isF16(); }

/// A chunk's rows, of one head: a vector, or a matrix with a contiguous last
/// dimension whose tile TMA, wgmma and the swizzle can take.
static LogicalResult checkRows(Operation *op, const Twine &what,
                               RankedTensorType type, BindingAttr binding,
                               RankedTensorType tile, int64_t chunk) {
  constexpr int64_t kLanes = 32, kRowsOfMma = 16;
  ArrayRef<BoundDim> dims = binding.getDims();
  Type element = type.getElementType();
  if (!binding.has(DimKind::time) || binding.has(DimKind::chunk))
    return op->emitError() << what << " is bound to " << binding
                           << "; the GPU path takes operands with a time and "
                              "without a chunk dimension";
  int64_t rows = chunk * binding.getTimeMultiple();
  if (tile.getRank() == 1 && (isHalf(element) || element.isF32())) {
    if (rows % kLanes == 0)
      return success();
    return op->emitError() << what << " has " << rows
                           << " elements a chunk; the GPU path takes multiples of "
                           << kLanes
                           << " (a warp's lanes): repeat 1 or 2 with a decay "
                              "(target \"cpu\" takes all)";
  }
  if (tile.getRank() != 2 || !isHalf(element))
    return op->emitError()
           << what << " of type " << type
           << ": the GPU path takes vectors of f32, bf16 or f16 and matrices of "
              "bf16 or f16; choose dtype bf16 or f16 (delta-assign-precision) "
              "and no decay per channel, or target \"cpu\"";
  if (rows % kRowsOfMma != 0)
    return op->emitError()
           << what << " has " << rows
           << " rows a chunk; the GPU path takes a multiple of " << kRowsOfMma
           << " (what wgmma sums over): repeat a step 1, 2 or 4 times";
  if (dims.back().kind != DimKind::whole ||
      type.getShape().back() % tile::kBlockColumns != 0)
    return op->emitError()
           << what << " of type " << type
           << ": expected a last dimension that is kept whole and a multiple of "
           << tile::kBlockColumns
           << " (128-byte rows for TMA and wgmma); use head dimensions 64 or 128";
  return success();
}

/// A matrix of f32 with the dimension that is split over blocks.
LogicalResult KernelBuilder::checkCarry(unsigned i) {
  Value init = program.inits[i];
  BlockArgument arg = program.block->getArgument(1 + program.ins.size() + i);
  if (nameOf(init).empty() || !tensorOf(init).getElementType().isF32())
    return program.op->emitError()
           << "carry #" << i
           << ": expected an f32 argument of the function as initial state";
  if (tensorOf(arg).getRank() != 2 || !orientation.getM(arg))
    return program.op->emitError()
           << "carry #" << i << " is " << arg.getType()
           << ", expected a matrix with the state's value dimension: the "
              "dimension that is split over blocks";
  return success();
}

LogicalResult KernelBuilder::checkOperands() {
  if (!program.compute.isF32())
    return program.op->emitError() << "computes in " << program.compute
                                   << "; the GPU path computes in f32 (target "
                                      "\"cpu\" takes all)";
  for (auto [i, in] : llvm::enumerate(program.ins)) {
    if (nameOf(in).empty())
      return program.op->emitError() << "in #" << i << " is neither an argument "
                                        "with a delta.name nor another chunk "
                                        "program's out";
    if (failed(checkRows(program.op, "in #" + Twine(i), tensorOf(in),
                         program.inBindings[i],
                         tensorOf(program.block->getArgument(1 + i)),
                         program.chunk)))
      return failure();
  }
  for (auto [i, out] : llvm::enumerate(program.outs)) {
    Value yielded = program.block->getTerminator()->getOperand(i);
    if (failed(checkRows(program.op, "out #" + Twine(i), tensorOf(out),
                         program.outBindings[i], tensorOf(yielded),
                         program.chunk)))
      return failure();
    if (program.isMap && program.cuSeqlens && names.results.contains(out))
      return program.op->emitError()
             << "out #" << i
             << " is a result of the function; with cu_seqlens "
                "the GPU path takes a map's outs only as ins of other chunk "
                "programs, since no map zeroes the rows that no sequence owns";
  }
  for (unsigned i = 0; i < program.inits.size(); ++i)
    if (failed(checkCarry(i)))
      return failure();
  return success();
}

//===----------------------------------------------------------------------===//
// Arguments, ring, place
//===----------------------------------------------------------------------===//

Value KernelBuilder::addArgument(Type type, StringRef name) {
  operandNames.push_back(builder.getStringAttr(name));
  return kernel.getBody().front().addArgument(type, loc);
}

void KernelBuilder::addArguments() {
  MLIRContext *context = builder.getContext();
  for (auto [i, in] : llvm::enumerate(program.ins)) {
    RankedTensorType type = tensorOf(in);
    RankedTensorType seen = tensorOf(program.block->getArgument(1 + i));
    if (seen.getRank() == 1) {
      inArgs.push_back(addArgument(
          tile::GlobalType::get(context, type, false), nameOf(in)));
      continue;
    }
    // One box is one column block of a chunk's rows.
    SmallVector<int64_t> box(type.getRank(), 1);
    box[timeDim(program.inBindings[i])] = seen.getDimSize(0);
    box.back() = tile::kBlockColumns;
    inArgs.push_back(
        addArgument(tile::TensorMapType::get(context, type, box), nameOf(in)));
  }
  auto addGlobals = [&](ValueRange tensors, ValueRange named, bool optional,
                        SmallVectorImpl<Value> &args) {
    for (auto [tensor, name] : llvm::zip_equal(tensors, named))
      args.push_back(addArgument(
          tile::GlobalType::get(context, tensorOf(tensor), optional),
          nameOf(name)));
  };
  addGlobals(program.outs, program.outs, false, outArgs);
  addGlobals(program.inits, program.inits, true, initArgs);
  addGlobals(program.finals, program.finals, true, finalArgs);
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
    if (tensorOf(yielded).getRank() != 2)
      continue;
    SmallVector<int64_t> shape(tensorOf(yielded).getShape());
    if (std::optional<int64_t> m = orientation.getM(yielded))
      shape[*m] = tile::kAccRows;
    staging.back() = alloc(shape, tensorOf(out).getElementType());
  }
  if (!program.block->getOps<EraseFactorOp>().empty())
    scratch = alloc({tile::kAccRows + 1, tile::kAccRows}, builder.getF32Type());
}

/// From the block's number to its head, its part of the lane dimension, its
/// sequence, and how many chunks it visits: all of a scan's sequence, one of a
/// map's or none where the slot is between two sequences.
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
  if (program.isMap) {
    auto found = tile::FindChunkOp::create(builder, loc, unit, cu, tokens,
                                           sequences, program.chunk);
    sequence = found.getN();
    firstChunk = found.getC();
  }
  auto at =
      tile::SequenceOp::create(builder, loc, sequence, cu, tokens, sequences);
  batch = at.getBatch(), start = at.getStart();
  length = at.getLength(), end = at.getEnd();
  if (program.isMap) {
    Value begin = arith::MulIOp::create(builder, loc, firstChunk, chunk);
    Value exists = arith::CmpIOp::create(
        builder, loc, arith::CmpIPredicate::ult, begin, length);
    count = arith::SelectOp::create(builder, loc, exists, index(1), index(0));
    return;
  }
  Value rounded = arith::AddIOp::create(builder, loc, length,
                                        index(program.chunk - 1));
  count = div(rounded, chunk);
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

Value KernelBuilder::loop(
    ValueRange carries,
    function_ref<SmallVector<Value>(Value, Chunk, ValueRange)> body,
    SmallVectorImpl<Value> &results) {
  auto forOp =
      scf::ForOp::create(builder, loc, index(0), count, index(1), carries);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(forOp.getBody());
  Value use = forOp.getInductionVar(), number = use;
  if (program.reverse) {
    Value last = arith::SubIOp::create(builder, loc, count, index(1));
    number = arith::SubIOp::create(builder, loc, last, use);
  }
  number = arith::AddIOp::create(builder, loc, firstChunk, number);
  Value offset =
      arith::MulIOp::create(builder, loc, number, index(program.chunk));
  Value left = arith::SubIOp::create(builder, loc, length, offset);
  Chunk chunk;
  chunk.row = arith::AddIOp::create(builder, loc, start, offset);
  chunk.valid =
      arith::MinUIOp::create(builder, loc, left, index(program.chunk));
  SmallVector<Value> next = body(use, chunk, forOp.getRegionIterArgs());
  if (!carries.empty())
    scf::YieldOp::create(builder, loc, next);
  llvm::append_range(results, forOp.getResults());
  return use;
}

void KernelBuilder::produce() {
  SmallVector<Value> none;
  loop(
      {},
      [&](Value use, Chunk chunk, ValueRange) -> SmallVector<Value> {
        auto acquired =
            tile::AcquireOp::create(builder, loc, ringTiles, ring, use);
        for (auto [i, in] : llvm::enumerate(program.ins)) {
          BindingAttr binding = program.inBindings[i];
          Value arg = program.block->getArgument(1 + i);
          Value tile = acquired.getTiles()[i];
          std::optional<int64_t> laneDim;
          if (!program.isMap)
            laneDim = orientation.getM(arg);
          SmallVector<Value> at =
              coordinates(binding, tensorOf(in), chunk.row, laneDim);
          if (tensorOf(arg).getRank() == 2)
            tile::LoadOp::create(builder, loc, inArgs[i], at, tile, ring, use);
          else
            tile::LoadVectorOp::create(builder, loc, inArgs[i], at,
                                       timeDim(binding),
                                       rows(chunk.valid, binding), tile);
        }
        tile::CommitOp::create(builder, loc, ring, use);
        return {};
      },
      none);
}

//===----------------------------------------------------------------------===//
// The consumer
//===----------------------------------------------------------------------===//

/// What a partial chunk brought from behind its sequence's end is overwritten.
void KernelBuilder::zeroTail(ArrayRef<Value> tiles, Chunk chunk) {
  Value partial =
      arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult,
                            chunk.valid, index(program.chunk));
  auto ifOp = scf::IfOp::create(builder, loc, partial, /*withElse=*/false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(ifOp.thenBlock());
  for (auto [i, tile] : llvm::enumerate(tiles))
    if (cast<tile::SmemType>(tile.getType()).isSwizzled())
      tile::ZeroRowsOp::create(builder, loc, tile,
                               rows(chunk.valid, program.inBindings[i]));
  tile::BarrierOp::create(builder, loc, /*proxy=*/true, kBarrier);
}

LogicalResult KernelBuilder::storeOut(RegionLowering &lowering, unsigned i,
                                      Chunk chunk) {
  Operation *yield = program.block->getTerminator();
  Value yielded = yield->getOperand(i);
  BindingAttr binding = program.outBindings[i];
  RankedTensorType type = tensorOf(program.outs[i]);
  if (tensorOf(yielded).getRank() == 1 && !program.isMap)
    return program.op->emitError()
           << "out #" << i
           << " is a vector; the GPU path writes vectors in maps "
              "only (compute it in a map: delta-stage)";
  std::optional<int64_t> m = orientation.getM(yielded);
  Value value = lowering.getRegister(yielded, yield, m);
  if (!value)
    return failure();
  SmallVector<Value> at = coordinates(binding, type, chunk.row,
                                      program.isMap ? std::nullopt : m);
  Value valid = rows(chunk.valid, binding);
  RankedTensorType held = tensorOf(value);
  auto rounded = RankedTensorType::get(held.getShape(), type.getElementType(),
                                       held.getEncoding());
  if (rounded != held)
    value = arith::TruncFOp::create(builder, loc, rounded, value);
  if (tensorOf(yielded).getRank() == 1) {
    tile::StoreVectorOp::create(builder, loc, value, outArgs[i], at,
                                timeDim(binding), valid);
    return success();
  }
  // The tile's rows in memory are its dimension 0: the register tile's columns
  // where dimension 1 is M.
  tile::StoreRowsOp::create(builder, loc, value, outArgs[i], at,
                            timeDim(binding), valid, staging[i],
                            /*transpose=*/*m == 1, kBarrier);
  return success();
}

LogicalResult KernelBuilder::computeChunk(Value use, Chunk chunk,
                                          ValueRange carries,
                                          SmallVectorImpl<Value> &next) {
  auto full = tile::WaitOp::create(builder, loc, ringTiles, ring, use);
  SmallVector<Value> tiles(full.getTiles());
  zeroTail(tiles, chunk);
  RegionLowering lowering(builder, orientation, program.isMap);
  lowering.setScratch(scratch);
  for (auto [i, tile] : llvm::enumerate(tiles))
    lowering.setShared(program.block->getArgument(1 + i), tile);
  for (auto [i, carry] : llvm::enumerate(carries))
    lowering.setRegister(
        program.block->getArgument(1 + program.ins.size() + i), carry);
  // An out is stored where it is made: its registers are free for what follows.
  Operation *yield = program.block->getTerminator();
  auto storeOutsOf = [&](Operation *op) -> LogicalResult {
    for (unsigned i = 0; i < program.outs.size(); ++i)
      if (yield->getOperand(i).getDefiningOp() == op &&
          failed(storeOut(lowering, i, chunk)))
        return failure();
    return success();
  };
  for (Operation &op : program.block->without_terminator())
    if (failed(lowering.lower(&op)) || failed(storeOutsOf(&op)))
      return failure();
  if (failed(storeOutsOf(/*op=*/nullptr))) // ins that are outs as they are
    return failure();
  numProducts = lowering.getNumProducts();
  for (Value carried : yield->getOperands().drop_front(program.outs.size())) {
    next.push_back(lowering.getRegister(carried, yield));
    if (!next.back())
      return failure();
  }
  tile::ReleaseOp::create(builder, loc, ring, use);
  return success();
}

/// Rows at and past the last sequence's end are nobody's: the last sequence's
/// blocks zero them.
void KernelBuilder::zeroUnownedRows() {
  Value last = arith::SubIOp::create(builder, loc, sequences, index(1));
  Value isLast = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq,
                                       sequence, last);
  auto ifOp = scf::IfOp::create(builder, loc, isLast, /*withElse=*/false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(ifOp.thenBlock());
  for (auto [i, out] : llvm::enumerate(program.outs)) {
    if (!names.results.contains(out))
      continue;
    BindingAttr binding = program.outBindings[i];
    Value yielded = program.block->getTerminator()->getOperand(i);
    SmallVector<Value> at = coordinates(binding, tensorOf(out), index(0),
                                        orientation.getM(yielded));
    int64_t dim = timeDim(binding);
    at[dim] = index(0);
    tile::ZeroFillOp::create(builder, loc, outArgs[i], at, dim,
                             rows(end, binding), rows(tokens, binding),
                             tile::kAccRows);
  }
}

LogicalResult KernelBuilder::consume() {
  SmallVector<Value> carries, finals;
  for (auto [i, init] : llvm::enumerate(program.inits)) {
    Value arg = program.block->getArgument(1 + program.ins.size() + i);
    BindingAttr binding = program.carryBindings[i];
    std::optional<int64_t> m = orientation.getM(arg);
    RegionLowering types(builder, orientation, program.isMap);
    SmallVector<int64_t> dims = {tensorDim(binding, *m),
                                 tensorDim(binding, 1 - *m)};
    carries.push_back(tile::LoadMatrixOp::create(
        builder, loc, types.getRegisterType(arg, m), initArgs[i],
        coordinates(binding, tensorOf(init), index(0), m), dims));
  }
  LogicalResult result = success();
  loop(
      carries,
      [&](Value use, Chunk chunk, ValueRange running) {
        SmallVector<Value> next;
        result = computeChunk(use, chunk, running, next);
        return succeeded(result) ? next : SmallVector<Value>(running);
      },
      finals);
  if (failed(result))
    return failure();
  for (auto [i, value] : llvm::enumerate(finals)) {
    Value arg = program.block->getArgument(1 + program.ins.size() + i);
    BindingAttr binding = program.carryBindings[i];
    std::optional<int64_t> m = orientation.getM(arg);
    SmallVector<int64_t> dims = {tensorDim(binding, *m),
                                 tensorDim(binding, 1 - *m)};
    tile::StoreMatrixOp::create(
        builder, loc, value, finalArgs[i],
        coordinates(binding, tensorOf(program.inits[i]), index(0), m), dims);
  }
  if (!program.isMap)
    zeroUnownedRows();
  return success();
}

LogicalResult KernelBuilder::build(StringRef symbol) {
  if (failed(checkOperands()))
    return failure();
  int64_t laneBlocks = orientation.getLaneSize() / tile::kAccRows;
  kernel = tile::KernelOp::create(
      builder, loc, symbol, program.heads * laneBlocks,
      program.isMap ? "slots" : "sequences", kConsumerWarps + kProducerWarps,
      program.isMap ? kMapBlocks : kScanBlocks, builder.getArrayAttr({}),
      IntegerAttr());
  OpBuilder::InsertionGuard guard(builder);
  builder.createBlock(&kernel.getBody());
  addArguments();
  kernel.setOperandsAttr(builder.getArrayAttr(operandNames));
  addRing();
  locate();
  tile::SyncOp::create(builder, loc);
  auto roles = tile::RolesOp::create(
      builder, loc, builder.getDenseI64ArrayAttr({kConsumerWarps, kProducerWarps}),
      DenseI64ArrayAttr(), /*rolesCount=*/2);
  builder.createBlock(&roles.getRoles()[0]);
  if (failed(consume()))
    return failure();
  builder.createBlock(&roles.getRoles()[1]);
  produce();
  return success();
}
