//===- FusedProgram.h - A map and the scan it feeds, as one -----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_SCHED_STRATEGIES_FUSEDPROGRAM_H
#define WYVERN_LIB_DIALECT_SCHED_STRATEGIES_FUSEDPROGRAM_H

#include "wyvern/Dialect/Delta/IR/Delta.h"

namespace mlir::wyvern::sched {

/// A chunk_map and the chunk_scan that reads its outs, seen as one program: a
/// tile that goes through memory between them is the value that made it.
class FusedProgram {
public:
  /// Returns the program of `scan` and the map before it; nothing, with the
  /// reason in `why`, where there is no such map or it cannot run with the
  /// scan's chunk.
  static std::optional<FusedProgram> match(delta::ChunkScanOp scan,
                                           std::string &why);

  delta::ChunkMapOp getMap() const { return map; }
  delta::ChunkScanOp getScan() const { return scan; }

  /// An operand that both programs, or one, read from memory.
  struct In {
    Value tensor;
    delta::BindingAttr binding;
  };
  ArrayRef<In> getIns() const { return ins; }

  /// The outs of the map that others read too: they are written as well.
  ArrayRef<unsigned> getKeptOuts() const { return keptOuts; }

  /// Returns what `operand` of some operation is: a value that an operation
  /// makes, a carry, or the number of an in.
  struct Source {
    Value value = {};
    std::optional<unsigned> in = std::nullopt;
    /// The element type that the tile has on its way, where it goes through
    /// memory in the separate programs.
    Type stored = {};
  };
  Source resolve(Value operand) const;

  /// Returns true for an operation that is made again wherever it is used:
  /// constants, and ins rounded to what they are stored as.
  bool isFree(Operation *op) const;

private:
  FusedProgram(delta::ChunkMapOp map, delta::ChunkScanOp scan)
      : map(map), scan(scan) {}
  unsigned addIn(Value tensor, delta::BindingAttr binding);
  void collectIns();

  mutable delta::ChunkMapOp map; // op accessors are not const
  mutable delta::ChunkScanOp scan;
  SmallVector<In> ins;
  SmallVector<unsigned> keptOuts;
  llvm::DenseMap<Value, unsigned> inOfTile;
};

} // namespace mlir::wyvern::sched

#endif // WYVERN_LIB_DIALECT_SCHED_STRATEGIES_FUSEDPROGRAM_H
