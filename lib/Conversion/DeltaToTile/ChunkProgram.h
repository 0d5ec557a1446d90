//===- ChunkProgram.h - A chunk program as the GPU sees it --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_CONVERSION_DELTATOTILE_CHUNKPROGRAM_H
#define WYVERN_LIB_CONVERSION_DELTATOTILE_CHUNKPROGRAM_H

#include "TileOrientation.h"

namespace mlir::wyvern {

/// Names of the tensors that kernels exchange: what the manifest calls them.
struct TensorNames {
  DenseMap<Value, std::string> names;
  /// Results of the function: their unowned rows are zeroed.
  DenseSet<Value> results;

  /// The tensor's name; empty if it has none.
  StringRef get(Value tensor) const;
};

/// What a chunk_scan and a chunk_map have in common, and where they differ.
struct ChunkProgram {
  explicit ChunkProgram(delta::ChunkScanOp scan);
  explicit ChunkProgram(delta::ChunkMapOp map);

  Operation *op;
  bool isMap;
  bool reverse = false;
  Type compute;
  int64_t chunk, heads;
  ValueRange ins, inits, outs, finals;
  SmallVector<delta::BindingAttr> inBindings, outBindings, carryBindings;
  Value cuSeqlens;
  Block *block;
};

/// Chunks that a scan runs over between a load and a store of its carries; 0
/// for all of a sequence.
int64_t getRunLength(const ChunkProgram &program);
/// True for a matrix of f32 with a slot, as states are: it goes between device
/// memory and registers element by element.
bool isState(RankedTensorType type, delta::BindingAttr binding);

/// The tensor dimension behind tile dimension `tileDim` of a binding.
int64_t tensorDim(delta::BindingAttr binding, int64_t tileDim);
/// The tensor's time dimension.
int64_t timeDim(delta::BindingAttr binding);

/// Diagnoses ins, outs and carries that the GPU path does not take.
LogicalResult checkGPUOperands(const ChunkProgram &program,
                               const TileOrientation &orientation,
                               const TensorNames &names);

} // namespace mlir::wyvern

#endif // WYVERN_LIB_CONVERSION_DELTATOTILE_CHUNKPROGRAM_H
