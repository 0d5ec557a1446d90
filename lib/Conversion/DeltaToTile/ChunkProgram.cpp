//===- ChunkProgram.cpp - A chunk program as the GPU sees it ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ChunkProgram.h"

#include "wyvern/Dialect/Tile/IR/Tile.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

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

StringRef TensorNames::get(Value tensor) const {
  auto it = names.find(tensor);
  return it == names.end() ? StringRef() : StringRef(it->second);
}

int64_t wyvern::getRunLength(const ChunkProgram &program) {
  bool isCut = !program.carryBindings.empty() &&
               program.carryBindings.front().has(DimKind::chunk);
  return isCut ? program.carryBindings.front().getChunkMultiple() : 0;
}

bool wyvern::isState(RankedTensorType type, BindingAttr binding) {
  return binding.has(DimKind::chunk) && type.getElementType().isF32() &&
         llvm::count_if(binding.getDims(), [](BoundDim dim) {
           return dim.kind == DimKind::whole;
         }) == 2;
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
                                  RankedTensorType tile) {
  constexpr int64_t kLanes = 32, kRowsOfMma = 16;
  ArrayRef<BoundDim> dims = binding.getDims();
  Type element = type.getElementType();
  bool isTimed = binding.has(DimKind::time);
  if (!isTimed && !binding.has(DimKind::chunk))
    return op->emitError() << what << " is bound to " << binding
                           << "; the GPU path takes operands with a time or a "
                              "chunk dimension";
  int64_t rows = tile.getRank() ? tile.getDimSize(0) : 0;
  if (isTimed && tile.getRank() == 1 && (isHalf(element) || element.isF32())) {
    if (rows % kLanes == 0)
      return success();
    return op->emitError()
           << what << " has " << rows
           << " elements a chunk; the GPU path takes multiples of " << kLanes
           << " (a warp's lanes): repeat 1 or 2 with a decay "
              "(target \"cpu\" takes all)";
  }
  if (tile.getRank() != 2 || !isHalf(element))
    return op->emitError()
           << what << " of type " << type
           << ": the GPU path takes vectors of f32, bf16 or f16 and matrices "
              "of "
              "bf16 or f16; choose dtype bf16 or f16 (delta-assign-precision) "
              "and no decay per channel, or target \"cpu\"";
  if (rows % kRowsOfMma != 0)
    return op->emitError()
           << what << " has " << rows
           << " rows a chunk; the GPU path takes a multiple of " << kRowsOfMma
           << " (what wgmma sums over): repeat a step 1, 2 or 4 times";
  if (dims.back().kind != DimKind::whole ||
      type.getShape().back() % tile::kBlockColumns != 0)
    return op->emitError() << what << " of type " << type
                           << ": expected a last dimension that is kept whole "
                              "and a multiple of "
                           << tile::kBlockColumns
                           << " (128-byte rows for TMA and wgmma); use head "
                              "dimensions 64 or 128";
  return success();
}

/// Slots that no chunk has hold anything.
static LogicalResult refuseSlots(Operation *op, const Twine &what) {
  return op->emitError()
         << what
         << " has a slot a chunk and is an argument or a result of the "
            "function; the GPU path keeps such tensors in the workspace, "
            "between chunk programs";
}

/// Columns of a block's part of the state: with its products in flight, more do
/// not fit a thread's 255 registers.
static constexpr int64_t kMaxStateColumns = 128;

/// A matrix with the dimension that is split over blocks.
static LogicalResult checkState(const ChunkProgram &program,
                                const TileOrientation &orientation,
                                const Twine &what, Value tile) {
  if (tensorOf(tile).getRank() != 2 || !orientation.getM(tile))
    return program.op->emitError()
           << what << " is " << tile.getType()
           << ", expected a matrix with the state's value dimension: the "
              "dimension that is split over blocks";
  int64_t depth = tensorOf(tile).getDimSize(1 - *orientation.getM(tile));
  if (depth > kMaxStateColumns)
    return program.op->emitError()
           << what << " has " << depth
           << " elements beside the value dimension; the GPU path keeps "
           << tile::kAccRows << " x " << kMaxStateColumns
           << " of it in a warpgroup's registers: use key dimensions 64 or 128 "
              "(target \"cpu\" takes all)";
  return success();
}

/// A state that starts as an argument of the function.
static LogicalResult checkCarry(const ChunkProgram &program,
                                const TileOrientation &orientation,
                                const TensorNames &names, unsigned i) {
  Value init = program.inits[i];
  if (names.get(init).empty() || !tensorOf(init).getElementType().isF32())
    return program.op->emitError()
           << "carry #" << i
           << ": expected an f32 argument of the function as initial state";
  return checkState(program, orientation, "carry #" + Twine(i),
                    program.block->getArgument(1 + program.ins.size() + i));
}

LogicalResult wyvern::checkGPUOperands(const ChunkProgram &program,
                                       const TileOrientation &orientation,
                                       const TensorNames &names) {
  if (!program.compute.isF32())
    return program.op->emitError() << "computes in " << program.compute
                                   << "; the GPU path computes in f32 (target "
                                      "\"cpu\" takes all)";
  for (auto [i, in] : llvm::enumerate(program.ins)) {
    if (names.get(in).empty())
      return program.op->emitError() << "in #" << i
                                     << " is neither an argument "
                                        "with a delta.name nor another chunk "
                                        "program's out";
    if (failed(checkOperand(program.op, "in #" + Twine(i), tensorOf(in),
                            program.inBindings[i],
                            tensorOf(program.block->getArgument(1 + i)))))
      return failure();
    if (program.inBindings[i].has(DimKind::chunk) && isa<BlockArgument>(in))
      return refuseSlots(program.op, "in #" + Twine(i));
  }
  for (auto [i, out] : llvm::enumerate(program.outs)) {
    Value yielded = program.block->getTerminator()->getOperand(i);
    if (!program.isMap && isState(tensorOf(out), program.outBindings[i])) {
      if (failed(checkState(program, orientation, "out #" + Twine(i), yielded)))
        return failure();
      continue;
    }
    if (failed(checkOperand(program.op, "out #" + Twine(i), tensorOf(out),
                            program.outBindings[i], tensorOf(yielded))))
      return failure();
    if (program.outBindings[i].has(DimKind::chunk) &&
        names.results.contains(out))
      return refuseSlots(program.op, "out #" + Twine(i));
  }
  for (unsigned i = 0; i < program.inits.size(); ++i)
    if (failed(checkCarry(program, orientation, names, i)))
      return failure();
  return success();
}
