//===- ChunkOpsVerifier.cpp - Constraints of chunk programs ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The numbers (C..) are those of docs/spec.md.
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/IR/Delta.h"
#include "wyvern/Support/Counts.h"

using namespace mlir;
using namespace mlir::wyvern::delta;

YieldOp ChunkScanOp::getYield() {
  return cast<YieldOp>(getBlock().getTerminator());
}
YieldOp ChunkMapOp::getYield() {
  return cast<YieldOp>(getBlock().getTerminator());
}

YieldOp ChunkProgramOpInterface::getYield() {
  return cast<YieldOp>(getBlock().getTerminator());
}

Value ChunkProgramOpInterface::getInOfTile(Value value) {
  auto tile = dyn_cast<BlockArgument>(value);
  auto program = tile ? dyn_cast_or_null<ChunkProgramOpInterface>(
                            tile.getOwner()->getParentOp())
                      : ChunkProgramOpInterface();
  if (!program)
    return {};
  // The first argument is the number of valid tokens; carries come last.
  unsigned number = tile.getArgNumber();
  ValueRange ins = program.getIns();
  return number > 0 && number <= ins.size() ? ins[number - 1] : Value();
}

namespace {
template <typename OpT> class ChunkProgramVerifier {
public:
  explicit ChunkProgramVerifier(OpT op) : op(op) {}

  LogicalResult verifySizes() {
    if (!wyvern::isCount(op.getChunk()) || !wyvern::isCount(op.getHeads()))
      return op.emitOpError()
             << "(C1) expected chunk and heads of 1 to " << wyvern::kMaxCount
             << ", found " << static_cast<int64_t>(op.getChunk()) << " and "
             << static_cast<int64_t>(op.getHeads());
    if (!isa<Float32Type, Float64Type>(op.getCompute()))
      return op.emitOpError() << "(C2) expected compute type f32 or f64, found "
                              << op.getCompute();
    return success();
  }

  /// One operand or result, its binding, and the tile the region sees of it.
  LogicalResult verifyBound(StringRef what, unsigned index, Type type,
                            BindingAttr binding, Type tile);
  LogicalResult verifyTime();
  LogicalResult verifyRegionOps();

private:
  LogicalResult verifyKinds(const std::string &name, BindingAttr binding);
  LogicalResult verifyDims(const std::string &name, RankedTensorType type,
                           BindingAttr binding, bool isIn);
  OpT op;
};
} // namespace

template <typename OpT>
LogicalResult ChunkProgramVerifier<OpT>::verifyKinds(const std::string &name,
                                                     BindingAttr binding) {
  auto count = [&](DimKind kind) {
    return llvm::count_if(binding.getDims(),
                          [&](BoundDim dim) { return dim.kind == kind; });
  };
  constexpr DimKind kinds[] = {DimKind::seq, DimKind::time, DimKind::chunk,
                               DimKind::head, DimKind::slot};
  bool once =
      llvm::all_of(kinds, [&](DimKind kind) { return count(kind) <= 1; });
  // A slot, of a chunk or of a sequence, says which sequence it is of.
  int64_t owners = binding.has(DimKind::chunk) + binding.has(DimKind::slot);
  bool ownerAlone = owners == 0 || (owners == 1 && !binding.has(DimKind::seq) &&
                                    !binding.has(DimKind::time));
  if (once && ownerAlone)
    return success();
  return op.emitOpError() << "(C13) expected " << name
                          << " to be bound to seq, time, chunk, head and slot "
                             "at most once each, and to chunk or slot without "
                             "the other, seq and time, found "
                          << binding;
}

template <typename OpT>
LogicalResult ChunkProgramVerifier<OpT>::verifyDims(const std::string &name,
                                                    RankedTensorType type,
                                                    BindingAttr binding,
                                                    bool isIn) {
  int64_t heads = op.getHeads();
  for (auto [dim, size] : llvm::zip_equal(binding.getDims(), type.getShape())) {
    bool isStatic = !ShapedType::isDynamic(size);
    if (dim.kind == DimKind::whole && !isStatic)
      return op.emitOpError() << "(C4) expected a static size where " << name
                              << " is kept whole, found " << type;
    if (dim.isPart() && (!isIn || dim.end > size))
      return op.emitOpError()
             << "(C23) expected a part of a dimension of an in, within its "
             << size << " elements, found " << binding << " for " << name
             << " of type " << type;
    if (dim.parts > 1 && (!isStatic || dim.isPart() || heads % dim.parts != 0 ||
                          !dim.canDivide(size)))
      return op.emitOpError()
             << "(C25) expected " << name
             << " to be split into parts that divide its " << size
             << " elements and heads = " << heads
             << (dim.multiple > 1 ? ", none of them zeros alone" : "")
             << ", of a dimension that is no part itself, found " << binding
             << " for " << type;
    if (dim.kind == DimKind::time &&
        dim.getRows(op.getChunk()) <
            static_cast<int64_t>(op.getChunk()) * dim.getRowsOfToken())
      return op.emitOpError()
             << "(C24) expected the tile of " << name << " to hold the "
             << static_cast<int64_t>(op.getChunk()) * dim.getRowsOfToken()
             << " rows of a chunk, found " << binding;
    if (dim.kind != DimKind::head)
      continue;
    bool isMember = dim.multiple != 1 || dim.offset != 0;
    if (isIn && isMember) {
      if (size != heads * dim.multiple || dim.offset < 0 ||
          dim.offset >= dim.multiple)
        return op.emitOpError()
               << "(C17) expected " << name << " to have "
               << heads * dim.multiple << " heads, " << dim.multiple
               << " for each of heads = " << heads
               << ", of which one is read: 0 to " << dim.multiple - 1
               << ", found " << binding << " for " << type;
      continue;
    }
    // Heads that share what they carry in a pool all end with the same tile.
    bool isShared = isIn || (binding.has(DimKind::slot) && !isMember);
    if (isShared && (!isStatic || size == 0 || heads % size != 0))
      return op.emitOpError()
             << "(C5) expected the head dimension of " << name
             << " to divide heads = " << heads << ", found " << type;
    // Heads that have a part of the elements each share one of the tensor's.
    int64_t parts = binding.getParts();
    if (!isShared && (size * parts != heads || isMember))
      return op.emitOpError()
             << "(C6) expected the head dimension of " << name
             << " to equal heads = " << heads
             << (parts > 1 ? " by its parts" : "") << ", found " << binding
             << " for " << type
             << "; sum over a group of heads with a chunk_map that reads each "
                "of them, [head * n + i]";
  }
  return success();
}

template <typename OpT>
LogicalResult ChunkProgramVerifier<OpT>::verifyBound(StringRef what,
                                                     unsigned index, Type type,
                                                     BindingAttr binding,
                                                     Type tile) {
  std::string name = (what + " #" + Twine(index)).str();
  auto tensor = cast<RankedTensorType>(type);
  if (static_cast<int64_t>(binding.getDims().size()) != tensor.getRank())
    return op.emitOpError() << "(C3) expected one bound dimension for each of "
                            << name << ", found " << binding << " for " << type;
  int64_t place = binding.getChunkOffset();
  if (place != 0 &&
      (what != "out" || place < 0 || place >= binding.getChunkMultiple()))
    return op.emitOpError()
           << "(C18) expected " << name << " to be bound "
           << (what == "out"
                   ? "to one of the chunks of a slot: chunk * m + i with "
                     "0 <= i < m"
                   : "without '+ i': it is the same in all chunks of a slot")
           << ", found " << binding;
  if (what == "carry" && binding.getParts() > 1)
    return op.emitOpError()
           << "(C25) expected " << name
           << " to be whole: parts are of ins and outs, found " << binding;
  if (what != "carry" && binding.has(DimKind::slot))
    return op.emitOpError()
           << "(C19) expected " << name
           << " to be bound to something else than slot: only a state that is "
              "carried lives in a pool, found "
           << binding;
  if (failed(verifyKinds(name, binding)) ||
      failed(verifyDims(name, tensor, binding, what == "in")))
    return failure();
  auto expected = binding.getTileType(tensor, op.getChunk(), op.getCompute());
  if (tile != expected)
    return op.emitOpError() << "(C7) expected the region's tile of " << name
                            << " to be " << expected << ", found " << tile;
  return success();
}

template <typename OpT> LogicalResult ChunkProgramVerifier<OpT>::verifyTime() {
  auto isTimed = [](BindingAttr binding) { return binding.has(DimKind::time); };
  auto ins = op.getInBindings().template getAsRange<BindingAttr>();
  auto outs = op.getOutBindings().template getAsRange<BindingAttr>();
  auto first = llvm::find_if(ins, isTimed);
  if (first == ins.end())
    return op.emitOpError() << "(C14) expected an in with a time dimension, "
                               "which says how many tokens there are";
  bool hasSeq = (*first).has(DimKind::seq);
  for (BindingAttr binding :
       llvm::concat<BindingAttr>(llvm::to_vector(ins), llvm::to_vector(outs)))
    if (isTimed(binding) && binding.has(DimKind::seq) != hasSeq)
      return op.emitOpError()
             << "(C15) expected everything with a time dimension to have a seq "
                "dimension, or nothing; found "
             << *first << " and " << binding;
  return success();
}

/// The region holds a closed set: analyses, differentiation, splitting and
/// fusion ask each operation for its answers, and none of them guesses.
template <typename OpT>
LogicalResult ChunkProgramVerifier<OpT>::verifyRegionOps() {
  for (Operation &inner : op.getBlock().without_terminator())
    if (!isa<ChunkRegionOpInterface>(inner))
      return inner.emitOpError()
             << "(C8) does not implement ChunkRegionOpInterface, which tells "
                "every pass what an operation in a chunk program does; write "
                "it with elementwise arith and math, constants, tensor.empty, "
                "linalg contract, elementwise, broadcast, reduce, transpose "
                "and fill, and the chunk ops of the delta dialect, or "
                "implement the interface";
  return success();
}

template <typename OpT> static LogicalResult verifyShared(OpT op) {
  ChunkProgramVerifier<OpT> verifier(op);
  YieldOp yield = op.getYield();
  if (failed(verifier.verifySizes()))
    return failure();
  if (yield.getOuts().size() != op.getOuts().size() ||
      op.getOutBindings().size() != op.getOuts().size() ||
      op.getInBindings().size() != op.getIns().size())
    return op.emitOpError()
           << "(C9) expected one yielded tile and one binding an out, and one "
              "binding an in";
  for (auto [i, in] : llvm::enumerate(op.getIns()))
    if (failed(verifier.verifyBound("in", i, in.getType(), op.getInBinding(i),
                                    op.getInArg(i).getType())))
      return failure();
  for (auto [i, out] : llvm::enumerate(op.getOuts()))
    if (failed(verifier.verifyBound("out", i, out.getType(),
                                    op.getOutBinding(i),
                                    yield.getOuts()[i].getType())))
      return failure();
  if (failed(verifier.verifyTime()))
    return failure();
  return verifier.verifyRegionOps();
}

/// The pool that a carry which starts anew every few chunks is kept into.
static LogicalResult verifyPool(ChunkScanOp scan) {
  Value pool = scan.getPool(), kept = scan.getKept();
  if (!pool && !kept)
    return success();
  bool isOfRuns = scan.getInits().size() == 1 && scan.getKeepSlots() &&
                  scan.getCarryBinding(0).has(DimKind::chunk);
  if (pool && kept && isOfRuns && pool.getType() == kept.getType() &&
      cast<RankedTensorType>(pool.getType()).getRank() ==
          static_cast<int64_t>(scan.getPoolBinding().getDims().size()))
    return success();
  return scan.emitOpError()
         << "(C28) expected into, a pool that is a result too, beside keep "
            "where the one carry is bound to chunk, of the rank of that";
}

/// Pools of states: all carries, and the slots that sequences have in them.
static LogicalResult verifySlots(ChunkScanOp scan) {
  auto isPooled = [](BindingAttr binding) {
    return binding.has(DimKind::slot);
  };
  auto bindings = scan.getCarryBindings().getAsRange<BindingAttr>();
  bool fits = scan.hasSlots()
                  ? !scan.getInits().empty() && llvm::all_of(bindings, isPooled)
                  : llvm::none_of(bindings, isPooled);
  if (!fits || scan.hasSlots() != (scan.getWriteSlots() != nullptr))
    return scan.emitOpError()
           << "(C20) expected slots to read and to write where carries are "
              "bound to slot, all of them, and none elsewhere; found "
           << scan.getCarryBindings()
           << (scan.hasSlots() ? " with slots" : " without slots");
  Value keep = scan.getKeepSlots(), into = scan.getPool();
  Value slots = into ? keep : scan.getReadSlots();
  if ((keep && (!slots || keep.getType() != slots.getType() ||
                scan.getDirection() != Direction::forward)) ||
      (scan.getElseZeros() && !scan.hasSlots()))
    return scan.emitOpError()
           << "(C26) expected keep, of the type of slots, and else zeros where "
              "carries are pools, and keep in a forward scan";
  Value seeds = scan.getSeeds();
  Value pool = into || !scan.hasSlots() ? into : scan.getInits()[0];
  if (seeds && !(pool && scan.getCompute().isF32() && slots &&
                 seeds.getType() == slots.getType() &&
                 getElementTypeOrSelf(pool).isBF16()))
    return scan.emitOpError()
           << "(C27) expected round, of the type of slots, where carries are "
              "pools of bf16 and computed in f32";
  if (!scan.hasSlots())
    return success();
  if (scan.getReadSlots().getType() != scan.getWriteSlots().getType() ||
      static_cast<int64_t>(scan.getFirstSlot()) < 0)
    return scan.emitOpError()
           << "(C21) expected slots to read and to write of one type and a "
              "first valid slot of at least 0, found "
           << scan.getReadSlots().getType() << ", "
           << scan.getWriteSlots().getType() << " and "
           << static_cast<int64_t>(scan.getFirstSlot());
  return success();
}

LogicalResult ChunkScanOp::verify() {
  if (failed(verifyShared(*this)))
    return failure();
  ValueRange carries = getYield().getCarries();
  if (carries.size() != getInits().size() ||
      getFinals().size() != getInits().size() ||
      getCarryBindings().size() != getInits().size())
    return emitOpError()
           << "(C10) expected one yielded carry, one final result "
              "and one binding for each of the "
           << getInits().size() << " inits, found " << carries.size() << ", "
           << getFinals().size() << " and " << getCarryBindings().size();
  ChunkProgramVerifier<ChunkScanOp> verifier(*this);
  for (auto [i, init] : llvm::enumerate(getInits())) {
    BindingAttr binding = getCarryBinding(i);
    for (Type tile : {getCarryArg(i).getType(), carries[i].getType()})
      if (failed(
              verifier.verifyBound("carry", i, init.getType(), binding, tile)))
        return failure();
    if (binding.has(DimKind::time))
      return emitOpError() << "(C11) expected carry #" << i
                           << " without a time dimension, found " << binding;
    BindingAttr first = getCarryBinding(0);
    if (binding.has(DimKind::chunk) != first.has(DimKind::chunk) ||
        binding.getChunkMultiple() != first.getChunkMultiple())
      return emitOpError()
             << "(C16) expected all carries to start anew with the same "
                "chunks: one chunk dimension, or none, found "
             << first << " and " << binding;
    if (getFinals()[i].getType() != init.getType())
      return emitOpError() << "(C12) expected final #" << i
                           << " of its init's type " << init.getType()
                           << ", found " << getFinals()[i].getType();
  }
  if (failed(verifyPool(*this)) ||
      (getPool() && failed(verifier.verifyBound("carry", 0, getPool().getType(),
                                                getPoolBinding(),
                                                getCarryArg(0).getType()))))
    return failure();
  if (getLengths() && getCuSeqlens())
    return emitOpError() << "(C22) expected lengths or cu_seqlens, found both: "
                            "either says how long each sequence is";
  return verifySlots(*this);
}

LogicalResult ChunkMapOp::verify() {
  if (!getYield().getCarries().empty())
    return emitOpError() << "(C10) expected no carry: a chunk_map has no order "
                            "of chunks; use chunk_scan";
  return verifyShared(*this);
}
