//===- Operands.cpp - What a kernel's operands must be on a GPU ---------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Operands.h"
#include "BlockLocation.h"

#include "wyvern/Dialect/Tile/IR/Tile.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

StringRef TensorNames::get(Value tensor) const {
  auto it = names.find(tensor);
  return it == names.end() ? StringRef() : StringRef(it->second);
}

bool wyvern::isState(RankedTensorType type, BindingAttr binding) {
  bool isRare = binding.getChunkMultiple() > 1;
  return binding.has(DimKind::chunk) &&
         (isRare || type.getElementType().isF32()) &&
         llvm::count_if(binding.getDims(), [](BoundDim dim) {
           return dim.kind == DimKind::whole;
         }) == 2;
}

sched::StoreOp wyvern::findStore(BlockArgument target) {
  for (Operation *user : target.getUsers())
    if (auto store = dyn_cast<sched::StoreOp>(user))
      return store;
  return {};
}

bool wyvern::isFetched(sched::LoadOp load) {
  return llvm::none_of(load.getTile().getUsers(), llvm::IsaPred<sched::PutOp>);
}

sched::PutOp wyvern::findPut(sched::ChannelOp channel) {
  for (Operation *user : channel->getUsers())
    if (auto put = dyn_cast<sched::PutOp>(user))
      return put;
  llvm_unreachable("the verifier asks for a role that puts");
}

/// True if some out leaves through the tile of a channel that `load` fills.
static bool isStoredThrough(sched::LoadOp load) {
  for (OpOperand &use : load.getTile().getUses()) {
    auto put = dyn_cast<sched::PutOp>(use.getOwner());
    if (!put)
      continue;
    auto position = llvm::find(put.getTiles(), load.getTile()).getIndex();
    for (Operation *user : put.getChannel().getUsers())
      if (auto get = dyn_cast<sched::GetOp>(user))
        for (Operation *reader : get.getTiles()[position].getUsers())
          if (auto store = dyn_cast<sched::StoreOp>(reader);
              store && store.getVia() == get.getTiles()[position])
            return true;
  }
  return false;
}

int64_t wyvern::getLoadedRows(sched::KernelOp kernel, BlockArgument in) {
  BindingAttr binding = kernel.getBinding(in);
  int64_t rows = kernel.getTileType(in).getDimSize(0);
  if (!binding.has(DimKind::time) ||
      llvm::any_of(in.getUsers(), [](Operation *user) {
        auto load = dyn_cast<sched::LoadOp>(user);
        return load && isStoredThrough(load);
      }))
    return rows;
  return std::min<int64_t>(rows, static_cast<int64_t>(kernel.getChunk()) *
                                     binding.getTimeMultiple());
}

//===----------------------------------------------------------------------===//
// Bindings
//===----------------------------------------------------------------------===//

int64_t wyvern::tensorDim(BindingAttr binding, int64_t tileDim) {
  for (auto [i, dim] : llvm::enumerate(binding.getDims()))
    if ((dim.kind == DimKind::time || dim.kind == DimKind::whole) &&
        tileDim-- == 0)
      return i;
  llvm_unreachable("a tile has no more dimensions than its binding");
}

SmallVector<int64_t> wyvern::matrixDims(BindingAttr binding, int64_t m) {
  return {tensorDim(binding, m), tensorDim(binding, 1 - m)};
}

int64_t wyvern::timeDim(BindingAttr binding) {
  for (auto [i, dim] : llvm::enumerate(binding.getDims()))
    if (dim.kind == DimKind::time)
      return i;
  llvm_unreachable("checkGPUOperands asks for a time dimension");
}

//===----------------------------------------------------------------------===//
// What the GPU path takes
//===----------------------------------------------------------------------===//

/// A chunk's rows, or what has a slot a chunk, of one head: a vector, or a
/// matrix with a contiguous last dimension whose tile TMA, wgmma and the
/// swizzle can take.
static LogicalResult checkOperand(Operation *op, const Twine &what,
                                  RankedTensorType type, BindingAttr binding,
                                  RankedTensorType tile, bool takesF32) {
  constexpr int64_t kLanes = 32;
  int64_t rowsOfMma = tile::getTarget(op).mmaDepth;
  ArrayRef<BoundDim> dims = binding.getDims();
  Type element = type.getElementType();
  bool isTimed = binding.has(DimKind::time);
  // One number a head or a sequence, which a role reads itself, or a vector a
  // head, which it gets with each chunk.
  bool isOfHead = !dims.empty() && dims.front().kind == DimKind::head;
  bool isOfSequence = !dims.empty() && dims.front().kind == DimKind::seq;
  if (tile.getRank() == 0 && dims.size() == 1 && (isOfHead || isOfSequence) &&
      (tile::isHalf(element) || element.isF32()))
    return success();
  bool isVectorOfHead = tile.getRank() == 1 && dims.size() == 2 && isOfHead;
  if (!isTimed && !isVectorOfHead && !binding.has(DimKind::chunk))
    return op->emitError() << what << " is bound to " << binding
                           << "; the GPU path takes operands with a time or a "
                              "chunk dimension";
  int64_t rows = tile.getRank() ? tile.getDimSize(0) : 0;
  if (tile.getRank() == 1 && (tile::isHalf(element) || element.isF32())) {
    if (rows % kLanes == 0)
      return success();
    return op->emitError()
           << what << " has " << rows
           << " elements a chunk; the GPU path takes multiples of " << kLanes
           << " (a warp's lanes): bind it to time * n in m, which has as many "
              "(delta-form-wy; target \"cpu\" takes all)";
  }
  bool isPlain = takesF32 && isTimed && element.isF32();
  if (tile.getRank() != 2 || !(tile::isHalf(element) || isPlain))
    return op->emitError()
           << what << " of type " << type
           << ": the GPU path takes vectors of f32, bf16 or f16, matrices of "
              "bf16 or f16, and f32 rows of tokens that are no out of a scan; "
              "choose dtype bf16 or f16 (delta-assign-precision), or target "
              "\"cpu\"";
  if (rows % rowsOfMma != 0)
    return op->emitError()
           << what << " has " << rows
           << " rows a chunk; the GPU path takes a multiple of " << rowsOfMma
           << " (what wgmma sums over): bind it to time * n in m, which has as "
              "many (delta-form-wy)";
  // A row and its parts that threads move are whole pieces of 16 bytes. What
  // is in f32 no product reads.
  constexpr int64_t kPiece = 8;
  int64_t columns = isPlain ? kPiece : tile::kBlockColumns;
  if (rows % columns != 0 && tile.getDimSize(1) == rows)
    return op->emitError()
           << what << " has pairs of " << rows
           << " rows a chunk; the GPU path takes a multiple of " << columns
           << ", of which steps with different numbers of rows a token have "
              "fewer beside a decay a key channel: give all steps one repeat, "
              "or bind rows to time * n in m, which has as many";
  if (dims.back().kind != DimKind::whole ||
      type.getShape().back() % kPiece != 0 ||
      tile.getShape().back() % columns != 0)
    return op->emitError() << what << " of type " << type
                           << ": expected a last dimension that is kept whole "
                              "and a multiple of "
                           << kPiece << " (TMA), in tiles of a multiple of "
                           << columns << " (wgmma; delta-pad-dims makes them)";
  return success();
}

/// Unused slots hold undefined data, so a caller can neither bring nor read
/// such a tensor: it may only hand what a forward has saved to the backward.
static LogicalResult refuseSlots(Operation *op, const Twine &what) {
  return op->emitError()
         << what
         << " has a slot a chunk and is an argument or a result of the "
            "function; the GPU path keeps such tensors in the workspace, "
            "between chunk programs, or saves them (delta.residual) for the "
            "backward";
}

/// A matrix with the dimension that is split over blocks: no more of it than a
/// thread's registers hold with its products in flight.
static LogicalResult checkState(sched::KernelOp kernel,
                                const KernelOrientation &orientation,
                                const Twine &what, Value tile) {
  if (tensorOf(tile).getRank() != 2 || !orientation.getM(tile))
    return kernel.emitError()
           << what << " is " << tile.getType()
           << ", expected a matrix with the state's value dimension: the "
              "dimension that is split over blocks";
  int64_t depth = tensorOf(tile).getDimSize(1 - *orientation.getM(tile));
  int64_t most = tile::getTarget(kernel).stateColumns;
  if (depth > most)
    return kernel.emitError()
           << what << " has " << depth
           << " elements beside the value dimension; the GPU path keeps "
           << tile::kAccRows << " x " << most
           << " of it in a warpgroup's registers: use key dimensions up to "
           << most << " (target \"cpu\" takes all)";
  return success();
}

/// A state that starts as an argument of the function, or in a pool that is
/// one.
static LogicalResult checkCarry(sched::KernelOp kernel,
                                const KernelOrientation &orientation,
                                const TensorNames &names, unsigned i) {
  Value init = kernel.getInits()[i];
  Type element = tensorOf(init).getElementType();
  bool isPool = kernel.getBinding(kernel.getInitArgs()[i]).has(DimKind::slot);
  if (names.get(init).empty() ||
      !(element.isF32() || (isPool && element.isBF16())))
    return kernel.emitError()
           << "carry #" << i << ": expected an "
           << (isPool ? "f32 or bf16 argument of the function as pool of states"
                      : "f32 argument of the function as initial state");
  for (Operation *user : kernel.getInitArgs()[i].getUsers())
    if (failed(checkState(kernel, orientation, "carry #" + Twine(i),
                          cast<sched::LoadOp>(user).getTile())))
      return failure();
  return success();
}

/// Checks that who computes loads in `i` itself, if that is one row of each
/// token's: copies are of rows one after the other.
static LogicalResult checkRowOfToken(sched::KernelOp kernel, unsigned i) {
  BlockArgument arg = kernel.getInArgs()[i];
  auto isCopied = [](Operation *load) {
    return llvm::any_of(load->getUsers(), llvm::IsaPred<sched::PutOp>);
  };
  if (!kernel.getBinding(arg).getTimeRow() ||
      llvm::none_of(arg.getUsers(), isCopied))
    return success();
  return kernel.emitError()
         << "in #" << i << " is bound to " << kernel.getBinding(arg)
         << " and goes through a channel; the GPU path copies rows one after "
            "the other: load it in the role that computes (sched-separate)";
}

static LogicalResult checkIn(sched::KernelOp kernel, const TensorNames &names,
                             unsigned i) {
  Value in = kernel.getIns()[i];
  BlockArgument arg = kernel.getInArgs()[i];
  if (names.get(in).empty())
    return kernel.emitError() << "in #" << i
                              << " is neither an argument "
                                 "with a delta.name nor another chunk "
                                 "program's out";
  if (arg.use_empty())
    return success(); // it says how many tokens there are, and nothing else
  if (failed(checkRowOfToken(kernel, i)))
    return failure();
  if (failed(checkOperand(kernel, "in #" + Twine(i), tensorOf(in),
                          kernel.getBinding(arg), kernel.getTileType(arg),
                          /*takesF32=*/true)))
    return failure();
  if (kernel.getBinding(arg).has(DimKind::chunk) && isa<BlockArgument>(in) &&
      !names.residuals.contains(in))
    return refuseSlots(kernel, "in #" + Twine(i));
  return success();
}

static LogicalResult checkOut(sched::KernelOp kernel,
                              const KernelOrientation &orientation,
                              const TensorNames &names, unsigned i) {
  Value out = kernel.getOuts()[i];
  BlockArgument arg = kernel.getOutArgs()[i];
  BindingAttr binding = kernel.getBinding(arg);
  sched::StoreOp store = findStore(arg);
  if (!store)
    return kernel.emitError()
           << "out #" << i << ": expected a role that stores it, found none";
  if (orientation.isSplit(store) && isState(tensorOf(out), binding))
    return checkState(kernel, orientation, "out #" + Twine(i), store.getTile());
  if (failed(checkOperand(kernel, "out #" + Twine(i), tensorOf(out), binding,
                          kernel.getTileType(arg),
                          /*takesF32=*/!orientation.isSplit(store))))
    return failure();
  if (binding.has(DimKind::chunk) && names.results.contains(out) &&
      !names.residuals.contains(out))
    return refuseSlots(kernel, "out #" + Twine(i));
  return success();
}

/// What is kept of every few chunks is kept of a run, if the launch chooses how
/// many these are: of its first chunk, or of its last one.
static LogicalResult checkRuns(sched::KernelOp kernel) {
  int64_t run = kernel.getRun();
  for (BindingAttr binding :
       kernel.getOutBindings().getAsRange<BindingAttr>()) {
    int64_t multiple = binding.getChunkMultiple();
    int64_t offset = binding.getChunkOffset();
    if (multiple > 1 && (multiple != run || (offset != 0 && offset != run - 1)))
      return kernel.emitError()
             << "binds an out to " << binding
             << "; the launch chooses how long a segment is, so expected the "
                "first or the last chunk of one, "
             << run;
  }
  return success();
}

LogicalResult wyvern::checkGPUOperands(sched::KernelOp kernel,
                                       const KernelOrientation &orientation,
                                       const TensorNames &names) {
  if (!kernel.getCompute().isF32())
    return kernel.emitError() << "computes in " << kernel.getCompute()
                              << "; the GPU path computes in f32 (target "
                                 "\"cpu\" takes all)";
  for (unsigned i = 0; i < kernel.getIns().size(); ++i)
    if (failed(checkIn(kernel, names, i)))
      return failure();
  for (unsigned i = 0; i < kernel.getOuts().size(); ++i)
    if (failed(checkOut(kernel, orientation, names, i)))
      return failure();
  for (unsigned i = 0; i < kernel.getInits().size(); ++i)
    if (failed(checkCarry(kernel, orientation, names, i)))
      return failure();
  return hasSegments(kernel) ? checkRuns(kernel) : success();
}
