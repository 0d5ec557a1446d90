//===- FusedProgram.h - A map and a scan, seen as one -----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_SCHED_STRATEGIES_FUSEDPROGRAM_H
#define WYVERN_LIB_DIALECT_SCHED_STRATEGIES_FUSEDPROGRAM_H

#include "wyvern/Dialect/Delta/IR/Delta.h"

namespace mlir::wyvern::sched {

/// A chunk_map and a chunk_scan of which one reads the other's outs, seen as
/// one program: a tile that goes through memory between them is the value that
/// made it.
class FusedProgram {
public:
  /// Returns the program of `scan` and the map before it; nothing, with the
  /// reason in `why`, where there is no such map or it cannot run with the
  /// scan's chunk.
  static std::optional<FusedProgram> match(delta::ChunkScanOp scan,
                                           std::string &why);
  /// The same for `scan` and the map that reads its outs.
  static std::optional<FusedProgram> matchBehind(delta::ChunkScanOp scan,
                                                 std::string &why);

  /// Says in a remark of the pass `name` why `scan` is not fused.
  static void decline(delta::ChunkScanOp scan, StringRef name, StringRef why);

  delta::ChunkMapOp getMap() const { return map; }
  delta::ChunkScanOp getScan() const { return scan; }

  /// An operand that both programs, or one, read from memory.
  struct In {
    Value tensor;
    delta::BindingAttr binding;
  };
  ArrayRef<In> getIns() const { return ins; }

  /// What both write and others than the two read: a tile that some operation
  /// makes or a carry, and the tensor that it is a tile of.
  struct Out {
    Value tile;
    OpResult tensor;
    delta::BindingAttr binding;

    /// True if a forward saves it for its backward.
    bool isSaved() const;
  };
  ArrayRef<Out> getOuts() const { return outs; }

  /// Returns the number of the carry that `value` is a chunk's begin of;
  /// nothing for what is none.
  std::optional<unsigned> getCarry(Value value) const;

  /// Returns the registers of a thread that hold the carries where they are
  /// split over `parts` warpgroups.
  int64_t countCarried(int64_t parts) const;

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
  using Program = delta::ChunkProgramOpInterface;

  FusedProgram(delta::ChunkMapOp map, delta::ChunkScanOp scan, Program first,
               Program second)
      : map(map), scan(scan), first(first), second(second) {
    collectIns();
    addOuts(cast<Program>(scan.getOperation()));
    addOuts(cast<Program>(map.getOperation()));
  }
  /// Returns why the second of the two cannot run with the first one's chunk;
  /// empty if it can.
  static std::string checkFit(delta::ChunkMapOp map, delta::ChunkScanOp scan,
                              Program first, Program second);
  unsigned addIn(Value tensor, delta::BindingAttr binding);
  void collectIns();
  void addOuts(Program program);

  mutable delta::ChunkMapOp map; // op accessors are not const
  mutable delta::ChunkScanOp scan;
  /// The same two: `second` reads outs of `first`.
  mutable Program first, second;
  SmallVector<In> ins;
  SmallVector<Out> outs;
  llvm::DenseMap<Value, unsigned> inOfTile;
};

} // namespace mlir::wyvern::sched

#endif // WYVERN_LIB_DIALECT_SCHED_STRATEGIES_FUSEDPROGRAM_H
