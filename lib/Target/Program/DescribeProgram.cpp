//===- DescribeProgram.cpp - From kernels to their description ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Target/DescribeProgram.h"

#include "wyvern/Dialect/Delta/IR/Delta.h"
#include "wyvern/Dialect/Delta/Utils/TrainingPair.h"
#include "wyvern/Dialect/Tile/IR/Tile.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseMap.h"

#include <numeric>

using namespace mlir;
using namespace mlir::wyvern;

namespace {
/// Collects the tensors of a function and describes its kernels.
class ProgramDescriber {
public:
  explicit ProgramDescriber(func::FuncOp func) : func(func) {}

  FailureOr<ProgramInfo> describe();

private:
  /// Names the tensors of a launch as its kernel does; says what else is known
  /// of them.
  void nameTensors(tile::LaunchOp launch, tile::KernelOp kernel);
  TensorInfo describeTensor(Value tensor);
  void addTensors(tile::LaunchOp launch);
  void addStates(tile::LaunchOp launch);
  /// `chunks` is how many of the program's chunks one of its launch is.
  void addTensor(Value tensor, Attribute binding, int64_t chunks);
  LogicalResult addKernel(tile::KernelOp kernel, int64_t chunks);
  int64_t countChunks(tile::LaunchOp launch) const {
    return static_cast<int64_t>(launch.getChunk()) / program.chunk;
  }
  /// Returns the program's chunks of a segment whose length the launch chooses;
  /// 0 where there is none.
  int64_t getSegmentChunks() const {
    auto tokens = func->getAttrOfType<IntegerAttr>(delta::kSegmentAttr);
    return tokens ? tokens.getInt() / program.chunk : 0;
  }
  /// The parameters behind one argument of a kernel.
  LogicalResult addParams(tile::KernelOp kernel, BlockArgument argument,
                          KernelInfo &info);

  func::FuncOp func;
  llvm::DenseMap<Value, std::string> names;
  ProgramInfo program;
  VariantInfo variant;
  std::vector<TensorInfo> tensors; ///< With the workspace, as they are met.
};
} // namespace

static DimInfo describeDim(delta::BoundDim dim, int64_t size, int64_t chunks) {
  switch (dim.kind) {
  case delta::DimKind::seq:
    return {DimRange::Seq, 0, 0};
  case delta::DimKind::time:
    return {DimRange::Time, dim.multiple, 0};
  case delta::DimKind::chunk:
    return {DimRange::Chunk, dim.multiple * chunks, 0};
  case delta::DimKind::slot:
    return {DimRange::Slot, 0, 0};
  case delta::DimKind::head:
    return {DimRange::Head, 0, size};
  case delta::DimKind::whole:
    return {DimRange::Whole, 0, size};
  }
  llvm_unreachable("unknown kind of dimension");
}

static std::string describeType(Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

void ProgramDescriber::nameTensors(tile::LaunchOp launch,
                                   tile::KernelOp kernel) {
  for (auto [i, tensor] : llvm::enumerate(launch.getKernelTensors()))
    names[tensor] = cast<StringAttr>(kernel.getOperands()[i]).str();
}

/// Says whether an argument or result of the function, or neither, is `tensor`.
TensorInfo ProgramDescriber::describeTensor(Value tensor) {
  TensorInfo info;
  info.name = names[tensor];
  info.role = TensorRole::Workspace;
  Attribute residual;
  if (auto argument = dyn_cast<BlockArgument>(tensor)) {
    info.role = TensorRole::Input;
    residual = func.getArgAttr(argument.getArgNumber(), delta::kResidualAttr);
  }
  for (OpOperand &use : tensor.getUses())
    if (isa<func::ReturnOp>(use.getOwner())) {
      info.role = TensorRole::Output;
      residual =
          func.getResultAttr(use.getOperandNumber(), delta::kResidualAttr);
    }
  info.residual = residual != nullptr;
  if (auto what = dyn_cast_or_null<StringAttr>(residual))
    info.what = what.str();
  return info;
}

void ProgramDescriber::addTensor(Value tensor, Attribute binding,
                                 int64_t chunks) {
  auto name = names.find(tensor);
  if (name == names.end())
    return;
  if (int64_t known = findTensor(tensors, name->second); known >= 0) {
    // A result under the name of an argument is that, written in place.
    tensors[known].inPlace |= tensors[known].role == TensorRole::Input &&
                              tensor.getDefiningOp() != nullptr;
    return;
  }
  TensorInfo info = describeTensor(tensor);
  auto type = cast<RankedTensorType>(tensor.getType());
  info.dtype = describeType(type.getElementType());
  for (auto [dim, size] : llvm::zip_equal(
           cast<delta::BindingAttr>(binding).getDims(), type.getShape())) {
    info.dims.push_back(describeDim(dim, size, chunks));
    DimInfo &last = info.dims.back();
    if (last.kind == DimRange::Chunk && last.multiple == getSegmentChunks())
      last = {DimRange::Segment, 0, 0};
  }
  // A limit is one of the caller's tensors.
  auto most = func->getAttrOfType<IntegerAttr>(delta::kMaxTokensAttr);
  if (most && info.role == TensorRole::Input && !info.residual)
    for (DimInfo &dim : info.dims)
      if (dim.kind == DimRange::Time)
        dim.size = most.getInt();
  tensors.push_back(std::move(info));
}

/// Notes which arguments a launch begins with and returns the ends of.
void ProgramDescriber::addStates(tile::LaunchOp launch) {
  for (auto [init, final] :
       llvm::zip_equal(launch.getInits(), launch.getFinals()))
    if (isa<BlockArgument>(init) &&
        llvm::any_of(final.getUsers(), llvm::IsaPred<func::ReturnOp>))
      variant.states.push_back({names[init], names[final]});
}

void ProgramDescriber::addTensors(tile::LaunchOp launch) {
  auto add = [&](ValueRange tensors, ArrayAttr bindings) {
    for (auto [tensor, binding] : llvm::zip_equal(tensors, bindings))
      addTensor(tensor, binding, countChunks(launch));
  };
  add(launch.getIns(), launch.getInBindings());
  add(launch.getOuts(), launch.getOutBindings());
  add(launch.getInits(), launch.getInitBindings());
  add(launch.getFinals(), launch.getInitBindings());
  // One entry a sequence.
  auto sequences = delta::BindingAttr::get(
      func.getContext(), delta::BoundDim{delta::DimKind::seq});
  for (Value indices : launch.getIndices())
    addTensor(indices, sequences, countChunks(launch));
}

LogicalResult ProgramDescriber::addParams(tile::KernelOp kernel,
                                          BlockArgument argument,
                                          KernelInfo &info) {
  std::string name =
      cast<StringAttr>(kernel.getOperands()[argument.getArgNumber()]).str();
  Type type = argument.getType();
  auto add = [&](ParamKind kind, StringRef tensor = "", int64_t dim = 0) {
    ParamInfo &param = info.params.emplace_back();
    param.kind = kind;
    param.tensor = tensor.str();
    param.dim = dim;
  };
  if (auto map = dyn_cast<tile::TensorMapType>(type)) {
    add(ParamKind::TensorMap, name);
    info.params.back().box.assign(map.getBox().begin(), map.getBox().end());
    info.params.back().swizzle = 128;
  } else if (auto global = dyn_cast<tile::GlobalType>(type)) {
    add(ParamKind::Pointer, name);
    for (int64_t i = 0, e = global.getTensor().getRank(); i < e; ++i)
      if (!global.getStaticStride(i))
        add(ParamKind::Stride, name, i);
    // A state that passes between kernels is always there, as is a saved one:
    // zeros in its place would be a wrong gradient.
    int64_t index = findTensor(tensors, name);
    if (global.getOptional() && index >= 0)
      tensors[index].optional = tensors[index].role != TensorRole::Workspace &&
                                !tensors[index].residual;
  } else if (isa<tile::CuSeqlensType>(type)) {
    add(ParamKind::CuSeqlens);
    add(ParamKind::CuWidth);
  } else if (name == "tokens") {
    add(ParamKind::Tokens);
  } else if (name == "sequences") {
    add(ParamKind::Sequences);
  } else if (name == "segment") {
    add(ParamKind::Segment);
  } else if (name == "slot_tokens") {
    add(ParamKind::SlotTokens);
  } else if (name == "part") {
    add(ParamKind::Part);
  } else {
    return kernel.emitError()
           << "argument #" << argument.getArgNumber() << " of type " << type
           << " is nothing that the runtime can pass";
  }
  return success();
}

LogicalResult ProgramDescriber::addKernel(tile::KernelOp kernel,
                                          int64_t chunks) {
  KernelInfo info;
  info.symbol = kernel.getSymName().str();
  info.gridFactor = kernel.getGridFactor();
  for (GridCount count :
       {GridCount::Slots, GridCount::Sequences, GridCount::Segments})
    if (kernel.getGridCount() == getName(count))
      info.gridCount = count;
  if (info.gridCount == GridCount::Slots)
    info.gridChunks = kernel.getGridChunks() * chunks;
  info.cost.stepChunks = chunks == getSegmentChunks() ? 0 : chunks;
  info.block = kernel.getWarps() * 32;
  if (!kernel.getSharedBytes())
    return kernel.emitError() << "has no shared_bytes; run tile-plan-smem";
  info.dynamicShared = *kernel.getSharedBytes();
  for (auto await : kernel.getBody().getOps<tile::AwaitKernelsOp>()) {
    info.canWaitLast = await.isAtEnd();
    info.waits = await.isAtEnd() ? Waits::Not : Waits::First;
  }
  for (BlockArgument argument : kernel.getBody().getArguments())
    if (!tile::findSameArgument(kernel, argument) &&
        failed(addParams(kernel, argument, info)))
      return failure();
  info.file = info.symbol;
  variant.kernels.push_back(std::move(info));
  return success();
}

FailureOr<ProgramInfo> ProgramDescriber::describe() {
  program.name = delta::getLayerName(func).str();
  SymbolTable symbols(func->getParentOfType<ModuleOp>());
  SmallVector<tile::KernelOp> kernels;
  // The tokens that all chunks are multiples of: a scan over segments has a
  // segment's.
  program.chunk = 0;
  for (auto launch : func.getOps<tile::LaunchOp>())
    program.chunk =
        std::gcd(program.chunk, static_cast<int64_t>(launch.getChunk()));
  SmallVector<int64_t> chunks;
  for (auto launch : func.getOps<tile::LaunchOp>()) {
    chunks.push_back(countChunks(launch));
    kernels.push_back(symbols.lookup<tile::KernelOp>(launch.getKernel()));
    nameTensors(launch, kernels.back());
    addTensors(launch);
    addStates(launch);
  }
  if (auto parts =
          func->getAttrOfType<delta::DirectionAttr>(delta::kPartsAttr)) {
    variant.inParts = true;
    variant.cut.isReverse = parts.getValue() == delta::Direction::reverse;
  }
  // Inputs in the order of the function's arguments, outputs of its results.
  auto getRank = [&](const TensorInfo &tensor) -> unsigned {
    for (BlockArgument argument : func.getArguments())
      if (names.lookup(argument) == tensor.name)
        return argument.getArgNumber();
    for (unsigned i = 0, e = func.getNumResults(); i < e; ++i)
      if (delta::getResultName(func, i) == tensor.name)
        return i;
    return 0;
  };
  llvm::stable_sort(tensors, [&](const TensorInfo &a, const TensorInfo &b) {
    return std::pair(a.role, getRank(a)) < std::pair(b.role, getRank(b));
  });
  for (auto [kernel, each] : llvm::zip_equal(kernels, chunks))
    if (failed(addKernel(kernel, each)))
      return failure();
  if (variant.kernels.empty())
    return func.emitError() << "expected a function of kernels, found none in "
                               "it; there is nothing to compile";
  for (TensorInfo &tensor : tensors)
    (tensor.role == TensorRole::Workspace ? variant.workspace : program.tensors)
        .push_back(std::move(tensor));
  program.variants.push_back(std::move(variant));
  return std::move(program);
}

static FailureOr<BundleInfo> describePair(delta::TrainingPair pair) {
  BundleInfo bundle;
  FailureOr<ProgramInfo> forward = ProgramDescriber(pair.forward).describe();
  FailureOr<ProgramInfo> backward = ProgramDescriber(pair.backward).describe();
  if (failed(forward) || failed(backward))
    return failure();
  bundle.forward = std::move(*forward);
  bundle.backward = std::move(*backward);
  bundle.backward->name = bundle.forward.name + "_backward";
  return bundle;
}

FailureOr<BundleInfo> mlir::wyvern::describeBundle(ModuleOp module) {
  SmallVector<func::FuncOp> functions(module.getOps<func::FuncOp>());
  FailureOr<delta::TrainingPair> pair = delta::findTrainingPair(module);
  if (failed(pair))
    return failure();
  if (*pair && functions.size() == 2)
    return describePair(*pair);
  if (functions.size() != 1)
    return module.emitError()
           << "a program is one function, or two where one is the "
              "delta.backward of the other; found "
           << functions.size() << "; compile one at a time";
  FailureOr<ProgramInfo> program =
      ProgramDescriber(functions.front()).describe();
  if (failed(program))
    return failure();
  return BundleInfo{std::move(*program), std::nullopt, std::nullopt};
}
