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
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace mlir::wyvern;

namespace {
/// Collects the tensors of a function and describes its kernels.
class ProgramDescriber {
public:
  explicit ProgramDescriber(func::FuncOp func) : func(func) {}

  FailureOr<ProgramInfo> describe(ArrayRef<tile::KernelOp> kernels);

private:
  struct Name {
    std::string text;
    TensorRole role;
    Attribute residual;
  };

  /// Names every tensor as convert-delta-to-tile does: arguments and returned
  /// values by their delta.name, the other results of chunk programs by number.
  void nameTensors();
  template <typename OpT> void addTensorsOf(OpT op);
  void addTensor(Value tensor, Attribute binding);
  LogicalResult addKernel(tile::KernelOp kernel);
  /// What nobody asked for and no kernel writes, such as a final state, needs
  /// no memory.
  void dropUnusedWorkspace();
  /// The parameters behind one argument of a kernel.
  LogicalResult addParams(tile::KernelOp kernel, BlockArgument argument,
                          KernelInfo &info);

  func::FuncOp func;
  llvm::DenseMap<Value, Name> names;
  ProgramInfo program;
};
} // namespace

static DimInfo describeDim(delta::BoundDim dim, int64_t size) {
  switch (dim.kind) {
  case delta::DimKind::seq:
    return {DimRange::Seq, 0, 0};
  case delta::DimKind::time:
    return {DimRange::Time, dim.multiple, 0};
  case delta::DimKind::chunk:
    return {DimRange::Chunk, dim.multiple, 0};
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

void ProgramDescriber::nameTensors() {
  for (BlockArgument argument : func.getArguments())
    names[argument] = {
        delta::getArgName(func, argument.getArgNumber()).str(),
        TensorRole::Input,
        func.getArgAttr(argument.getArgNumber(), delta::kResidualAttr)};
  unsigned number = 0;
  func.walk([&](Operation *op) {
    if (isa<delta::ChunkScanOp, delta::ChunkMapOp>(op))
      for (Value result : op->getResults())
        names[result] = {"workspace_" + std::to_string(number++),
                         TensorRole::Workspace, nullptr};
  });
  Operation *ret = func.getBody().front().getTerminator();
  for (auto [i, value] : llvm::enumerate(ret->getOperands()))
    names[value] = {delta::getResultName(func, i).str(), TensorRole::Output,
                    func.getResultAttr(i, delta::kResidualAttr)};
}

void ProgramDescriber::addTensor(Value tensor, Attribute binding) {
  const Name &name = names[tensor];
  if (name.text.empty() || program.findTensor(name.text) >= 0)
    return;
  TensorInfo info;
  info.name = name.text;
  info.role = name.role;
  info.residual = name.residual != nullptr;
  if (auto what = dyn_cast_or_null<StringAttr>(name.residual))
    info.what = what.str();
  auto type = cast<RankedTensorType>(tensor.getType());
  info.dtype = describeType(type.getElementType());
  for (auto [dim, size] : llvm::zip_equal(
           cast<delta::BindingAttr>(binding).getDims(), type.getShape()))
    info.dims.push_back(describeDim(dim, size));
  program.tensors.push_back(std::move(info));
}

template <typename OpT> void ProgramDescriber::addTensorsOf(OpT op) {
  program.chunk = op.getChunk();
  for (auto [value, binding] : llvm::zip_equal(op.getIns(), op.getInBindings()))
    addTensor(value, binding);
  for (auto [value, binding] :
       llvm::zip_equal(op.getOuts(), op.getOutBindings()))
    addTensor(value, binding);
  if constexpr (std::is_same_v<OpT, delta::ChunkScanOp>)
    for (ValueRange carries :
         {ValueRange(op.getInits()), ValueRange(op.getFinals())})
      for (auto [value, binding] :
           llvm::zip_equal(carries, op.getCarryBindings()))
        addTensor(value, binding);
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
    int64_t index = program.findTensor(name);
    if (global.getOptional() && index >= 0)
      program.tensors[index].optional =
          program.tensors[index].role != TensorRole::Workspace &&
          !program.tensors[index].residual;
  } else if (isa<tile::CuSeqlensType>(type)) {
    add(ParamKind::CuSeqlens);
    add(ParamKind::CuWidth);
  } else if (name == "tokens") {
    add(ParamKind::Tokens);
  } else if (name == "sequences") {
    add(ParamKind::Sequences);
  } else {
    return kernel.emitError()
           << "argument #" << argument.getArgNumber() << " of type " << type
           << " is nothing that the runtime can pass";
  }
  return success();
}

LogicalResult ProgramDescriber::addKernel(tile::KernelOp kernel) {
  KernelInfo info;
  info.symbol = kernel.getSymName().str();
  info.gridFactor = kernel.getGridFactor();
  info.gridCount = kernel.getGridCount() == "slots" ? GridCount::Slots
                                                    : GridCount::Sequences;
  info.gridChunks = kernel.getGridChunks();
  info.block = kernel.getWarps() * 32;
  if (!kernel.getSharedBytes())
    return kernel.emitError() << "has no shared_bytes; run tile-plan-smem";
  info.dynamicShared = *kernel.getSharedBytes();
  for (BlockArgument argument : kernel.getBody().getArguments())
    if (failed(addParams(kernel, argument, info)))
      return failure();
  program.kernels.push_back(std::move(info));
  return success();
}

void ProgramDescriber::dropUnusedWorkspace() {
  llvm::StringSet<> named;
  for (const KernelInfo &kernel : program.kernels)
    for (const ParamInfo &param : kernel.params)
      named.insert(param.tensor);
  llvm::erase_if(program.tensors, [&](const TensorInfo &tensor) {
    return tensor.role == TensorRole::Workspace && !named.contains(tensor.name);
  });
}

FailureOr<ProgramInfo>
ProgramDescriber::describe(ArrayRef<tile::KernelOp> kernels) {
  program.name = delta::getLayerName(func).str();
  nameTensors();
  for (Operation &op : func.getBody().front()) {
    if (auto map = dyn_cast<delta::ChunkMapOp>(op))
      addTensorsOf(map);
    else if (auto scan = dyn_cast<delta::ChunkScanOp>(op))
      addTensorsOf(scan);
  }
  // Inputs in the order of the function's arguments, outputs of its results.
  auto getRank = [&](const TensorInfo &tensor) -> unsigned {
    for (BlockArgument argument : func.getArguments())
      if (names[argument].text == tensor.name)
        return argument.getArgNumber();
    for (unsigned i = 0, e = func.getNumResults(); i < e; ++i)
      if (delta::getResultName(func, i) == tensor.name)
        return i;
    return 0;
  };
  llvm::stable_sort(
      program.tensors, [&](const TensorInfo &a, const TensorInfo &b) {
        return std::pair(a.role, getRank(a)) < std::pair(b.role, getRank(b));
      });
  for (tile::KernelOp kernel : kernels)
    if (failed(addKernel(kernel)))
      return failure();
  if (program.kernels.empty())
    return func.emitError() << "expected a function of chunk programs, found "
                               "none in it; there is "
                               "nothing to compile";
  dropUnusedWorkspace();
  return std::move(program);
}

/// The kernels of a module with two functions: those of the first come first,
/// one for each of its chunk programs, as convert-delta-to-tile leaves them.
static FailureOr<SmallVector<ArrayRef<tile::KernelOp>, 2>>
splitKernels(ModuleOp module, ArrayRef<tile::KernelOp> kernels) {
  SmallVector<ArrayRef<tile::KernelOp>, 2> parts;
  size_t begin = 0;
  for (auto func : module.getOps<func::FuncOp>()) {
    size_t count = llvm::count_if(func.getBody().front(), [](Operation &op) {
      return isa<delta::ChunkScanOp, delta::ChunkMapOp>(op);
    });
    parts.push_back(
        kernels.slice(std::min(begin, kernels.size())).take_front(count));
    begin += count;
  }
  if (begin != kernels.size())
    return module.emitError()
           << "expected one kernel for each of " << begin
           << " chunk programs, those of one function before those of the "
              "other, found "
           << kernels.size()
           << " kernels: which program is a kernel part of? Start from an "
              "earlier phase";
  return parts;
}

static FailureOr<BundleInfo> describePair(ModuleOp module,
                                          delta::TrainingPair pair,
                                          ArrayRef<tile::KernelOp> kernels) {
  auto parts = splitKernels(module, kernels);
  if (failed(parts))
    return failure();
  bool forwardFirst = pair.forward->isBeforeInBlock(pair.backward);
  BundleInfo bundle;
  FailureOr<ProgramInfo> forward =
      ProgramDescriber(pair.forward).describe((*parts)[forwardFirst ? 0 : 1]);
  FailureOr<ProgramInfo> backward =
      ProgramDescriber(pair.backward).describe((*parts)[forwardFirst ? 1 : 0]);
  if (failed(forward) || failed(backward))
    return failure();
  bundle.forward = std::move(*forward);
  bundle.backward = std::move(*backward);
  bundle.backward->name = bundle.forward.name + "_backward";
  return bundle;
}

FailureOr<BundleInfo> mlir::wyvern::describeBundle(ModuleOp module) {
  SmallVector<func::FuncOp> functions(module.getOps<func::FuncOp>());
  SmallVector<tile::KernelOp> kernels(module.getOps<tile::KernelOp>());
  FailureOr<delta::TrainingPair> pair = delta::findTrainingPair(module);
  if (failed(pair))
    return failure();
  if (*pair && functions.size() == 2)
    return describePair(module, *pair, kernels);
  if (functions.size() != 1)
    return module.emitError()
           << "a program is one function, or two where one is the "
              "delta.backward of the other; found "
           << functions.size() << "; compile one at a time";
  FailureOr<ProgramInfo> program =
      ProgramDescriber(functions.front()).describe(kernels);
  if (failed(program))
    return failure();
  return BundleInfo{std::move(*program), std::nullopt};
}
