//===- TensorSignature.cpp - Names and shapes of a program's tensors ------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TensorSignature.h"

#include "wyvern/Dialect/Delta/Utils/RunningSum.h"
#include "wyvern/Dialect/Delta/Utils/TrainingPair.h"

#include "llvm/ADT/StringSwitch.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

int64_t wyvern::getElementBytes(StringRef dtype) {
  return llvm::StringSwitch<int64_t>(dtype)
      .Cases({"bf16", "f16"}, 2)
      .Cases({"f32", "i32"}, 4)
      .Default(8);
}

//===----------------------------------------------------------------------===//
// Reading the signature
//===----------------------------------------------------------------------===//

namespace {
/// How a chunk program sees a tensor; the binding is null if none is known to.
struct Bound {
  BindingAttr binding;
  int64_t chunk = 0;
};
} // namespace

static int64_t getChunk(Operation *op) {
  if (auto map = dyn_cast<ChunkMapOp>(op))
    return map.getChunk();
  return cast<ChunkScanOp>(op).getChunk();
}

/// The binding of operand or result `index` of a chunk program; null for
/// cu_seqlens.
static BindingAttr getOperandBinding(Operation *op, unsigned index) {
  if (auto map = dyn_cast<ChunkMapOp>(op))
    return index < map.getIns().size() ? map.getInBinding(index) : nullptr;
  auto scan = cast<ChunkScanOp>(op);
  unsigned numIns = scan.getIns().size();
  if (index < numIns)
    return scan.getInBinding(index);
  index -= numIns;
  return index < scan.getInits().size() ? scan.getCarryBinding(index) : nullptr;
}

static BindingAttr getResultBinding(Operation *op, unsigned index) {
  if (auto map = dyn_cast<ChunkMapOp>(op))
    return map.getOutBinding(index);
  auto scan = cast<ChunkScanOp>(op);
  unsigned numOuts = scan.getOuts().size();
  if (index < numOuts)
    return scan.getOutBinding(index);
  index -= numOuts;
  return index < scan.getFinals().size() ? scan.getCarryBinding(index)
                                         : scan.getPoolBinding();
}

/// How a chunk program that reads `value`, or something elementwise of it,
/// binds it.
static Bound findBinding(Value value) {
  for (OpOperand &use : value.getUses()) {
    Operation *user = use.getOwner();
    Bound bound;
    // It is looked at when the chunks have been counted.
    if (auto scan = dyn_cast<ChunkScanOp>(user);
        scan && scan.getKeepSlots() == value)
      return {nullptr, static_cast<int64_t>(scan.getChunk())};
    if (isa<ChunkScanOp, ChunkMapOp>(user))
      bound = {getOperandBinding(user, use.getOperandNumber()), getChunk(user)};
    else if (auto sum = dyn_cast<RunningSumOp>(user);
             sum && (sum.getX() == value || sum.getInit() == value))
      bound.binding = bindRunningSum(sum, sum.getX() == value);
    else if (user->hasTrait<OpTrait::Elementwise>())
      bound = findBinding(user->getResult(0));
    if (bound.binding)
      return bound;
  }
  return {};
}

/// What the integers of `value` are to the scans that read it.
static CpuIndices findIndices(Value value) {
  for (Operation *user : value.getUsers()) {
    auto scan = dyn_cast<ChunkScanOp>(user);
    if (!scan)
      continue;
    if (scan.getReadSlots() == value)
      return CpuIndices::ReadSlots;
    if (scan.getWriteSlots() == value)
      return CpuIndices::WriteSlots;
    if (scan.getLengths() == value)
      return CpuIndices::Lengths;
    if (scan.getKeepSlots() == value)
      return CpuIndices::KeepSlots;
    if (scan.getSeeds() == value)
      return CpuIndices::Seeds;
  }
  return CpuIndices::Offsets;
}

/// Reads one tensor; `what` and `bound` describe it.
static llvm::Expected<CpuTensor> readTensor(Type type, Attribute name,
                                            Bound bound, const Twine &what) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  auto nameAttr = dyn_cast_or_null<StringAttr>(name);
  if (!tensor || !nameAttr)
    return llvm::createStringError(
        what +
        ": expected a ranked tensor with the attribute delta.name, which "
        "callers pass it by");
  CpuTensor result;
  result.name = nameAttr.str();
  llvm::raw_string_ostream(result.dtype) << tensor.getElementType();
  for (int64_t size : tensor.getShape())
    result.shape.push_back(ShapedType::isDynamic(size) ? -1 : size);
  result.chunk = bound.chunk;
  if (bound.binding)
    result.dims.assign(bound.binding.getDims().begin(),
                       bound.binding.getDims().end());
  else
    result.dims.assign(tensor.getRank(), {DimKind::whole});
  return result;
}

llvm::Error wyvern::readSignature(func::FuncOp function,
                                  std::vector<CpuTensor> &inputs,
                                  std::vector<CpuTensor> &results) {
  for (BlockArgument argument : function.getArguments()) {
    unsigned i = argument.getArgNumber();
    llvm::Expected<CpuTensor> tensor =
        readTensor(argument.getType(), function.getArgAttr(i, kNameAttr),
                   findBinding(argument), "argument " + Twine(i));
    if (!tensor)
      return tensor.takeError();
    tensor->isResidual = function.getArgAttr(i, kResidualAttr) != nullptr;
    tensor->indices = findIndices(argument);
    if (auto most = function->getAttrOfType<IntegerAttr>(kMaxTokensAttr))
      tensor->mostTokens = most.getInt();
    inputs.push_back(std::move(*tensor));
  }
  Operation *terminator = function.getBody().front().getTerminator();
  for (auto [i, value] : llvm::enumerate(terminator->getOperands())) {
    Operation *op = value.getDefiningOp();
    Bound bound;
    if (isa_and_nonnull<ChunkScanOp, ChunkMapOp>(op))
      bound = {getResultBinding(op, cast<OpResult>(value).getResultNumber()),
               getChunk(op)};
    else if (auto sum = dyn_cast_or_null<RunningSumOp>(op))
      bound.binding = bindRunningSum(sum, sum.getSums() == value);
    llvm::Expected<CpuTensor> tensor =
        readTensor(value.getType(), function.getResultAttr(i, kNameAttr), bound,
                   "result " + Twine(i));
    if (!tensor)
      return tensor.takeError();
    tensor->isResidual = function.getResultAttr(i, kResidualAttr) != nullptr;
    results.push_back(std::move(*tensor));
  }
  return llvm::Error::success();
}

std::vector<std::string> wyvern::getGateNames(func::FuncOp function) {
  std::vector<std::string> names;
  function.walk([&](RecurrenceOp recurrence) {
    auto argument = dyn_cast_or_null<BlockArgument>(recurrence.getDecay());
    if (!argument || argument.getOwner() != &function.getBody().front())
      return;
    auto name = function.getArgAttrOfType<StringAttr>(argument.getArgNumber(),
                                                      kNameAttr);
    if (name)
      names.push_back(name.str());
  });
  return names;
}

//===----------------------------------------------------------------------===//
// Checking buffers
//===----------------------------------------------------------------------===//

namespace {
/// The run-time sizes; -1 until an input has told.
struct Sizes {
  int64_t batchRows = -1, tokens = -1, sequences = -1;
  int64_t slots = -1; ///< of the pool
  bool packed = false;

  /// The size `dim` of `tensor` must have, or -1 if nothing is known of it yet:
  /// an input then says it.
  int64_t &of(const CpuTensor &tensor, BoundDim dim) {
    if (dim.kind == DimKind::time)
      return tokens;
    return isTimed(tensor) ? batchRows : sequences;
  }
  /// True for a size that is the caller's to choose.
  static bool isFree(BoundDim dim) {
    return dim.kind == DimKind::whole || dim.kind == DimKind::slot;
  }
  /// How many slots of so many tokens there are; known after all timed inputs.
  int64_t getSlots(int64_t length) const {
    return packed ? tokens / length + sequences
                  : batchRows * llvm::divideCeil(tokens, length);
  }
  static bool isTimed(const CpuTensor &tensor) {
    return llvm::any_of(tensor.dims,
                        [](BoundDim dim) { return dim.kind == DimKind::time; });
  }
};
} // namespace

static std::string formatShape(ArrayRef<int64_t> shape) {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << '[';
  llvm::interleaveComma(shape, os, [&](int64_t size) {
    if (size < 0)
      os << '?';
    else
      os << size;
  });
  os << ']';
  return text;
}

static int64_t readEntry(const CpuTensor &tensor, const CpuBuffer &buffer,
                         int64_t i) {
  int64_t at = i * buffer.strides[0];
  return tensor.dtype == "i32" ? static_cast<const int32_t *>(buffer.data)[at]
                               : static_cast<const int64_t *>(buffer.data)[at];
}

/// One entry a sequence or a chunk, none where they may be left out, each of a
/// slot that the pool has or below all of them.
static llvm::Error checkIndices(const CpuTensor &tensor,
                                const CpuBuffer &buffer, const Sizes &sizes) {
  int64_t entries = buffer.shape[0];
  if (entries == 0 && tensor.mayBeEmpty())
    return llvm::Error::success();
  bool isOfChunks = tensor.indices == CpuIndices::KeepSlots;
  int64_t expected =
      isOfChunks ? sizes.getSlots(tensor.chunk) : sizes.sequences;
  if (entries != expected)
    return llvm::createStringError(
        "%s: expected one entry for each of %lld %s%s, found %lld",
        tensor.name.c_str(), (long long)expected,
        isOfChunks ? "slots of chunks" : "sequences",
        tensor.mayBeEmpty() ? ", or none" : "", (long long)entries);
  for (int64_t i = 0; i < entries; ++i)
    if (int64_t slot = readEntry(tensor, buffer, i);
        tensor.indices != CpuIndices::Lengths &&
        tensor.indices != CpuIndices::Seeds && slot >= sizes.slots)
      return llvm::createStringError(
          "%s: expected slots of a pool of %lld, found %lld at entry %lld",
          tensor.name.c_str(), (long long)sizes.slots, (long long)slot,
          (long long)i);
  return llvm::Error::success();
}

/// cu_seqlens is [0], or offsets that never decrease and end within the tokens.
static llvm::Error checkCuSeqlens(const CpuTensor &tensor,
                                  const CpuBuffer &buffer, Sizes &sizes) {
  int64_t entries = buffer.shape[0];
  if (entries == 0)
    return llvm::Error::success();
  if (sizes.batchRows != 1)
    return llvm::createStringError(
        "%s: expected one batch row of packed sequences, found %lld",
        tensor.name.c_str(), (long long)sizes.batchRows);
  int64_t previous = 0;
  for (int64_t i = 0; i < entries; ++i) {
    int64_t offset = readEntry(tensor, buffer, i);
    if (offset < previous || offset > sizes.tokens)
      return llvm::createStringError(
          "%s: expected offsets that start at 0 or above, never decrease and "
          "end within the %lld tokens; found %lld after %lld at entry %lld",
          tensor.name.c_str(), (long long)sizes.tokens, (long long)offset,
          (long long)previous, (long long)i);
    previous = offset;
  }
  sizes.sequences = entries - 1;
  sizes.packed = true;
  return llvm::Error::success();
}

/// Compares static sizes, and dynamic ones with what earlier inputs had.
static llvm::Error checkShape(const CpuTensor &tensor, const CpuBuffer &buffer,
                              Sizes &sizes) {
  std::vector<int64_t> expected = tensor.shape;
  bool hasRank = buffer.shape.size() == expected.size() &&
                 buffer.strides.size() == expected.size();
  for (size_t i = 0; hasRank && i < expected.size(); ++i) {
    if (tensor.dims[i].kind == DimKind::slot) {
      // All pools have as many.
      expected[i] = sizes.slots;
      sizes.slots = buffer.shape[i];
    }
    if (expected[i] >= 0 || Sizes::isFree(tensor.dims[i]))
      continue;
    if (tensor.dims[i].kind == DimKind::chunk) {
      expected[i] = sizes.getSlots(tensor.chunk * tensor.dims[i].multiple);
      continue;
    }
    int64_t multiple = tensor.dims[i].multiple;
    int64_t &size = sizes.of(tensor, tensor.dims[i]);
    if (size < 0 && buffer.shape[i] % multiple == 0)
      size = buffer.shape[i] / multiple;
    expected[i] = size < 0 ? -1 : size * multiple;
  }
  bool fits = hasRank;
  for (size_t i = 0; fits && i < expected.size(); ++i)
    fits = expected[i] == buffer.shape[i] ||
           (expected[i] < 0 && Sizes::isFree(tensor.dims[i]));
  if (fits)
    return llvm::Error::success();
  return llvm::createStringError(tensor.name + ": expected shape " +
                                 formatShape(expected) + ", found " +
                                 formatShape(buffer.shape));
}

llvm::Error wyvern::checkBuffers(ArrayRef<CpuTensor> inputs,
                                 ArrayRef<CpuBuffer> buffers) {
  if (inputs.size() != buffers.size())
    return llvm::createStringError("expected %zu inputs, found %zu",
                                   inputs.size(), buffers.size());
  Sizes sizes;
  auto checkAll = [&](bool timed) -> llvm::Error {
    for (auto [tensor, buffer] : llvm::zip_equal(inputs, buffers))
      if (Sizes::isTimed(tensor) == timed)
        if (llvm::Error error = checkShape(tensor, buffer, sizes))
          return error;
    return llvm::Error::success();
  };
  if (llvm::Error error = checkAll(/*timed=*/true))
    return error;
  for (const CpuTensor &tensor : inputs)
    if (tensor.mostTokens && sizes.tokens > tensor.mostTokens)
      return llvm::createStringError(
          "expected at most %lld tokens (of packed sequences, in all of them), "
          "found %lld; compile the layer with a larger max_tokens",
          (long long)tensor.mostTokens, (long long)sizes.tokens);
  sizes.sequences = sizes.batchRows;
  auto isInteger = [](const CpuTensor &tensor) {
    return StringRef(tensor.dtype).starts_with("i");
  };
  for (auto [tensor, buffer] : llvm::zip_equal(inputs, buffers))
    if (isInteger(tensor) && tensor.indices == CpuIndices::Offsets)
      if (llvm::Error error = checkCuSeqlens(tensor, buffer, sizes))
        return error;
  if (llvm::Error error = checkAll(/*timed=*/false))
    return error;
  for (auto [tensor, buffer] : llvm::zip_equal(inputs, buffers))
    if (isInteger(tensor) && tensor.indices != CpuIndices::Offsets)
      if (llvm::Error error = checkIndices(tensor, buffer, sizes))
        return error;
  return llvm::Error::success();
}
