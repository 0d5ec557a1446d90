//===- CoresLowering.cpp - Kernels whose role is on the cores -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A block loads its part of the state of one head of one sequence, goes through
// the sequence's tokens with it in registers, and stores it:
//
//     read = read_slots[n], count = lengths[n], none where read < first
//     S = state[read];   for t < count: o[t] = ...;   state[write_slots[n]] = S
//     for t >= count: o[t] = 0
//
// With `share_rows n` those of n tokens are brought at once, what follows from
// them alone is made by a warp a token, and a call of one token has a way of
// its own. Where several blocks share a window, of which one writes the next,
// they form a cluster, and it waits until all have read.
//
//===----------------------------------------------------------------------===//

#include "CoresLowering.h"

#include "CoresKernel.h"

#include "wyvern/Dialect/Tile/IR/Hints.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

//===----------------------------------------------------------------------===//
// The kernel
//===----------------------------------------------------------------------===//

void CoresKernel::createShell() {
  shell = tile::KernelOp::create(
      builder, loc, kernel.getKernelName(),
      kernel.getHeads() * kernel.getSplit(), "sequences", /*grid_chunks=*/1,
      role.getWarps(), kernel.getMinBlocks(), builder.getArrayAttr({}),
      IntegerAttr(), plan.getCluster());
  builder.createBlock(&shell.getBody());
}

/// True if the tensor's last dimension must have no gaps: tiles of `arg` have
/// pieces of several elements, or are rows of tokens, whose elements then are
/// numbers away from each other.
bool CoresKernel::isContiguous(BlockArgument arg) {
  BindingAttr binding = kernel.getBinding(arg);
  if (binding.has(DimKind::time) &&
      binding.getDims().back().kind == DimKind::whole)
    return true;
  auto hasSeveral = [](RankedTensorType type) {
    return llvm::any_of(
        tile::getSpread(type).getDims(),
        [](const tile::DimSpread &dim) { return dim.piece > 1; });
  };
  return llvm::any_of(arg.getUsers(), [&](Operation *user) {
    auto load = dyn_cast<sched::LoadOp>(user);
    Value tile =
        load ? Value(load.getTile()) : cast<sched::StoreOp>(user).getTile();
    bool hasPieces = hasSeveral(plan.getHeldType(tile));
    // Of a call of one token threads may load their own.
    return hasPieces || (role.getShareRows() && !isBlockwise() &&
                         hasSeveral(plan.getType(tile)));
  });
}

Value CoresKernel::addGlobal(Value tensor, Value named, bool optional,
                             bool contiguous) {
  operandNames.push_back(builder.getStringAttr(names.get(named)));
  return shell.getBody().front().addArgument(
      tile::GlobalType::get(builder.getContext(),
                            cast<RankedTensorType>(tensor.getType()), optional,
                            /*dense=*/false, contiguous),
      loc);
}

void CoresKernel::addArguments() {
  auto addAll = [&](ValueRange tensors, Block::BlockArgListType args) {
    for (auto [tensor, arg] : llvm::zip_equal(tensors, args))
      arguments[arg] =
          addGlobal(tensor, tensor, /*optional=*/false, isContiguous(arg));
  };
  addAll(kernel.getIns(), kernel.getInArgs());
  addAll(kernel.getOuts(), kernel.getOutArgs());
  addAll(kernel.getInits(), kernel.getInitArgs());
  for (auto [final, arg] :
       llvm::zip_equal(kernel.getFinals(), kernel.getFinalArgs()))
    if (!final.use_empty())
      arguments[arg] =
          addGlobal(final, final, /*optional=*/false, isContiguous(arg));
  auto addIndices = [&](Value vector, bool optional) {
    return vector ? addGlobal(vector, vector, optional, /*contiguous=*/true)
                  : Value();
  };
  readSlots = addIndices(kernel.getReadSlots(), /*optional=*/false);
  writeSlots = addIndices(kernel.getWriteSlots(), /*optional=*/true);
  lengths = addIndices(kernel.getLengths(), /*optional=*/true);
  seeds = addIndices(kernel.getSeeds(), /*optional=*/true);
  auto add = [&](Type type, StringRef name) -> Value {
    operandNames.push_back(builder.getStringAttr(name));
    return shell.getBody().front().addArgument(type, loc);
  };
  launch.cu = add(tile::CuSeqlensType::get(builder.getContext()), "cu_seqlens");
  launch.tokens = add(builder.getIndexType(), "tokens");
  launch.sequences = add(builder.getIndexType(), "sequences");
  shell.setOperandsAttr(builder.getArrayAttr(operandNames));
}

bool CoresKernel::isBlockwise() {
  return role.getShareRows() &&
         (plan.isSummed() || hasConvolutions() || sharesMade());
}

/// Loads what a vector has for the block's sequence.
Value CoresKernel::loadEntry(Value vector, Value absent) {
  return tile::LoadIndexOp::create(builder, loc, vector, location->sequence,
                                   absent);
}

/// Finds the block's head, sequence and part of the split dimension, the
/// sequence's slots and how many of its tokens count.
void CoresKernel::locate(bool isCached) {
  location.emplace(builder, kernel, launch);
  location->batch = location->sequence;
  location->start = index(0);
  Value part = arith::RemUIOp::create(builder, loc,
                                      tile::BlockIdOp::create(builder, loc),
                                      index(kernel.getSplit()));
  location->splitStart =
      arith::MulIOp::create(builder, loc, part, index(plan.getPart()));
  slot = loadEntry(readSlots, index(-1));
  // Everything waits for it. Where calls of one token have their own way, the
  // other asks otherwise: LLVM would ask, and wait, in front of both.
  setHint(slot, tile::kAskedFirstAttr);
  if (isCached)
    setHint(slot, tile::kAskedCachedAttr);
  writeSlot = loadEntry(writeSlots, index(-1));
  count = launch.tokens;
  if (lengths) {
    Value length = arith::MaxSIOp::create(
        builder, loc, loadEntry(lengths, launch.tokens), index(0));
    count = arith::MinSIOp::create(builder, loc, length, launch.tokens);
  }
}

/// True if the kernel is for few sequences: what a thread waits for counts, and
/// there are registers for it.
bool CoresKernel::hasFewElements() {
  constexpr int64_t kFewElements = 32;
  auto type = plan.getType(role.getEachChunk().getCarryArgs().front());
  return ShapedType::getNumElements(tile::getSpread(type).getThreadShape(
             type.getShape())) <= kFewElements;
}

void CoresKernel::askFirst(Value value) {
  setHint(value, tile::kAskedFirstAttr);
  if (hasFewElements())
    setHint(value, tile::kAskedCachedAttr);
}

/// Loads what no slot is needed for while those are waited for, and goes on
/// where there are tokens. The rows of a draft's first tokens are in shared
/// memory before its state, and those of other blocks, are asked for.
void CoresKernel::loadInFront() {
  Value hasTokens = arith::CmpIOp::create(
      builder, loc, arith::CmpIPredicate::ne, launch.tokens, index(0));
  auto ifOp = scf::IfOp::create(builder, loc, hasTokens, /*withElse=*/false);
  builder.setInsertionPointToStart(ifOp.thenBlock());
  loadShared();
  if (isBlockwise() && !hasOwnStep())
    loadFirst();
  Value isDraft = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ugt,
                                        launch.tokens, index(1));
  auto ifDraft = scf::IfOp::create(builder, loc, isDraft, /*withElse=*/false);
  {
    OpBuilder::InsertionGuard inside(builder);
    builder.setInsertionPointToStart(ifDraft.thenBlock());
    bringFirstRows();
  }
}

LogicalResult CoresKernel::lower() {
  OpBuilder::InsertionGuard guard(builder);
  createShell();
  addArguments();
  if (kernel.getOverlaps()) {
    tile::AwaitKernelsOp::create(builder, loc);
    tile::ReleaseKernelsOp::create(builder, loc);
  }
  for (Value init : role.getEachChunk().getInits())
    if (!init.getDefiningOp<sched::LoadOp>())
      return role.emitOpError() << "carries something that it does not load; "
                                   "a state lies in a pool";
  for (auto op : role.getEachChunk().getBlock().getOps<sched::LoadOp>())
    if (isOfToken(op))
      ahead.push_back(op);
  if (auto rows = role.getShareRows()) {
    place = createPlace(static_cast<int64_t>(*rows));
    if (!part.getRead().empty())
      madePlace = createMadePlace(static_cast<int64_t>(*rows));
  }
  if (failed(hasOwnStep() ? lowerStepOrCall() : lowerCall()))
    return failure();
  if (dividesInPlace())
    shell.walk([&](arith::DivFOp op) {
      op->setAttr(tile::kWithoutBranchAttr, builder.getUnitAttr());
    });
  return success();
}

/// Translates a call of one token in a branch, and any other in another.
LogicalResult CoresKernel::lowerStepOrCall() {
  OpBuilder::InsertionGuard guard(builder);
  Value isStep = compare(arith::CmpIPredicate::eq, launch.tokens, index(1));
  auto ifOp = scf::IfOp::create(builder, loc, isStep, /*withElseRegion=*/true);
  builder.setInsertionPointToStart(ifOp.thenBlock());
  if (failed(lowerStep()))
    return failure();
  fixed.clear();
  first.clear();
  windows.clear();
  builder.setInsertionPointToStart(ifOp.elseBlock());
  return lowerCall();
}

/// Translates a call of any number of tokens, or of any but one where that has
/// its own way.
LogicalResult CoresKernel::lowerCall() {
  locate(/*isCached=*/hasFewElements() && !hasOwnStep());
  if (role.getShareRows())
    loadInFront();
  Value valid = isValid(slot);
  auto ifOp = scf::IfOp::create(builder, loc, valid, /*withElse=*/false);
  {
    OpBuilder::InsertionGuard inside(builder);
    builder.setInsertionPointToStart(ifOp.thenBlock());
    if (failed(lowerSequence()))
      return failure();
  }
  zeroRows(arith::SelectOp::create(builder, loc, valid, count, index(0)));
  return success();
}

//===----------------------------------------------------------------------===//
// Entry points
//===----------------------------------------------------------------------===//

bool wyvern::isOnCores(sched::KernelOp kernel) {
  return llvm::any_of(kernel.getRoles(),
                      [](sched::RoleOp role) { return role.getOnCores(); });
}

/// Diagnoses a convolution of what is not loaded, carried and read for it
/// alone: it is done where rows are loaded, an element a thread.
static LogicalResult checkConvolution(sched::RoleOp role, ConvRowOp conv) {
  auto isOwnLoad = [](Value tile) {
    return tile.hasOneUse() && tile.getDefiningOp<sched::LoadOp>();
  };
  sched::EachChunkOp loop = role.getEachChunk();
  bool isCarried = llvm::any_of(
      llvm::zip_equal(loop.getCarryArgs(), loop.getYield().getCarries()),
      [&](auto carry) {
        auto [window, next] = carry;
        return window == conv.getWindow() && next == conv.getNext() &&
               window.hasOneUse() && next.hasOneUse();
      });
  if (role.getShareRows() && isOwnLoad(conv.getX()) &&
      isOwnLoad(conv.getFilter()) && isCarried)
    return success();
  return conv.emitOpError()
         << "expected a role that has share_rows, a row and a filter that are "
            "loaded for it alone, and a window that is carried; the path of "
            "the "
            "CUDA cores takes no other (target \"cpu\" takes all)";
}

/// Diagnoses what a kernel on the cores cannot be.
static LogicalResult checkKernel(sched::KernelOp kernel) {
  if (kernel.getChunk() == 1 && kernel.getCompute().isF32() &&
      kernel.getReadSlots() && !kernel.getCuSeqlens() &&
      !kernel.getKeepSlots() && !kernel.getElseZeros())
    return success();
  return kernel.emitError()
         << "has a role on the CUDA cores; the GPU path takes it for chunks of "
            "one token, in f32, on a pool of states, without cu_seqlens, keep "
            "and else zeros, found chunks of "
         << kernel.getChunk() << " in " << kernel.getCompute()
         << " (target \"cpu\" takes all)";
}

LogicalResult wyvern::lowerOnCores(OpBuilder &builder, sched::KernelOp kernel,
                                   const TensorNames &names) {
  if (failed(checkKernel(kernel)))
    return failure();
  sched::RoleOp role = *kernel.getRoles().begin();
  for (auto conv : role.getEachChunk().getBlock().getOps<ConvRowOp>())
    if (failed(checkConvolution(role, conv)))
      return failure();
  FailureOr<SpreadPlan> plan = SpreadPlan::analyze(kernel);
  if (failed(plan))
    return failure();
  return CoresKernel(builder, kernel, names, *plan).lower();
}
