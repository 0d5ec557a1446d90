//===- TileLaunchOps.cpp - Constraints of launches ----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The numbers (C..) are those of docs/spec.md.
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Tile/IR/Tile.h"

using namespace mlir;
using namespace mlir::wyvern::tile;

/// What a kernel is launched with besides tensors: cu_seqlens, tokens,
/// sequences.
static constexpr size_t kLaunchArguments = 3;

SmallVector<Value> LaunchOp::getKernelTensors() {
  SmallVector<Value> tensors(getIns());
  llvm::append_range(tensors, getOuts());
  llvm::append_range(tensors, getInits());
  for (Value final : getFinals())
    if (!final.use_empty())
      tensors.push_back(final);
  llvm::append_range(tensors, getIndices());
  return tensors;
}

bool mlir::wyvern::tile::takesPart(KernelOp kernel) {
  return llvm::any_of(kernel.getOperands().getAsRange<StringAttr>(),
                      [](StringAttr name) { return name == "part"; });
}

BlockArgument mlir::wyvern::tile::findSameArgument(KernelOp kernel,
                                                   BlockArgument argument) {
  ArrayRef<Attribute> names = kernel.getOperands().getValue();
  if (!isa<GlobalType>(argument.getType()) || takesPart(kernel))
    return {};
  for (BlockArgument other :
       kernel.getBody().getArguments().take_front(argument.getArgNumber()))
    if (other.getType() == argument.getType() &&
        names[other.getArgNumber()] == names[argument.getArgNumber()])
      return other;
  return {};
}

/// The tensor behind a kernel's argument; null for what is none.
static Type getTensor(Type argument) {
  if (auto global = dyn_cast<GlobalType>(argument))
    return global.getTensor();
  if (auto map = dyn_cast<TensorMapType>(argument))
    return map.getTensor();
  return {};
}

LogicalResult LaunchOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto kernel =
      symbols.lookupNearestSymbolFrom<KernelOp>(*this, getKernelAttr());
  if (!kernel)
    return emitOpError() << "(C1) expected a tile.kernel of this name, found "
                            "none: "
                         << getKernelAttr();
  SmallVector<Value> tensors = getKernelTensors();
  TypeRange arguments = kernel.getBody().getArgumentTypes();
  auto isExtra = [](Attribute name) {
    return llvm::is_contained({"slot_tokens", "part", "segment"},
                              cast<StringAttr>(name).getValue());
  };
  size_t extras = llvm::count_if(kernel.getOperands(), isExtra);
  if (arguments.size() != tensors.size() + kLaunchArguments + extras)
    return emitOpError() << "(C2) expected the kernel to take the "
                         << tensors.size()
                         << " tensors, cu_seqlens, tokens and sequences (and "
                            "slot_tokens, the part and the segment, if it "
                            "names them), "
                            "found "
                         << arguments.size() << " arguments";
  for (auto [i, tensor] : llvm::enumerate(tensors))
    if (getTensor(arguments[i]) != tensor.getType())
      return emitOpError() << "(C3) expected argument #" << i
                           << " of the kernel to be a " << tensor.getType()
                           << ", found " << arguments[i];
  return success();
}
