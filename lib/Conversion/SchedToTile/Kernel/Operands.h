//===- Operands.h - What a kernel's operands must be on a GPU -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_CONVERSION_SCHEDTOTILE_KERNEL_OPERANDS_H
#define WYVERN_LIB_CONVERSION_SCHEDTOTILE_KERNEL_OPERANDS_H

#include "KernelOrientation.h"

namespace mlir::wyvern {

/// Names of the tensors that kernels exchange: what the manifest calls them.
struct TensorNames {
  DenseMap<Value, std::string> names;
  /// Results of the function: their unowned rows are zeroed.
  DenseSet<Value> results;
  /// What a forward saves for its backward, in the function of either.
  DenseSet<Value> residuals;

  /// Returns the tensor's name; empty if it has none.
  StringRef get(Value tensor) const;
};

/// True for a matrix of f32 with a slot, or of any type with a slot every few
/// chunks, as states are: it goes between device memory and registers element
/// by element.
bool isState(RankedTensorType type, delta::BindingAttr binding);

/// Returns the tensor dimension behind tile dimension `tileDim` of a binding.
int64_t tensorDim(delta::BindingAttr binding, int64_t tileDim);
/// Returns the tensor dimensions behind the rows and columns of a register tile
/// with M dimension `m`.
SmallVector<int64_t> matrixDims(delta::BindingAttr binding, int64_t m);
/// Returns the tensor's time dimension.
int64_t timeDim(delta::BindingAttr binding);

/// Returns the store of an out or final, or null if none is stored.
sched::StoreOp findStore(BlockArgument target);
/// True for a load whose tile a role reads itself and hands to no channel.
bool isFetched(sched::LoadOp load);
/// Returns the put that fills `channel`.
sched::PutOp findPut(sched::ChannelOp channel);

/// Returns the rows of an in's tile that TMA brings: a chunk's, or all where an
/// out leaves through the tile, and writes the rows behind these too.
int64_t getLoadedRows(sched::KernelOp kernel, BlockArgument in);

/// Diagnoses ins, outs and carries that the GPU path does not take.
LogicalResult checkGPUOperands(sched::KernelOp kernel,
                               const KernelOrientation &orientation,
                               const TensorNames &names);

} // namespace mlir::wyvern

#endif // WYVERN_LIB_CONVERSION_SCHEDTOTILE_KERNEL_OPERANDS_H
