//===- MapPlan.h - The products of a map, divided among several -*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_MAPPLAN_H
#define WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_MAPPLAN_H

#include "TermSums.h"

#include "wyvern/Dialect/Delta/Analysis/MapPhases.h"

namespace mlir::wyvern::delta {

/// What a map can hold at a time, in bytes: tiles in the shared memory of a
/// block that has an SM to itself, and sums in registers.
struct MapRoom {
  int64_t shared, registers;
};

/// True if some product of `map` has other rows than those of a chunk of one
/// row a token: its operands and its result go through shared memory, which
/// only a plan of whole products counts.
bool hasProductsOfOtherRows(ChunkMapOp map);

/// Which of several maps makes what one map does. Work is assigned by its
/// products and reductions: everything else is made where all that it reads is
/// there, and again wherever it is read if it needs none of them.
class MapPlan {
public:
  /// What no product leads to: it is made wherever it is read.
  static constexpr int kAnywhere = -1;

  MapPlan(ChunkMapOp map, MapRoom room);

  /// True if `map` has room for all that it does.
  bool isWhole() const { return numMaps == 1; }
  int getNumMaps() const { return numMaps; }
  /// True if some part is larger than what there is room for.
  bool exceedsRoom() const { return exceeds; }
  /// True if it is larger than a block's shared memory.
  bool exceedsShared() const { return exceedsMemory; }
  /// True if a block makes all of `map` in the room that it has.
  bool hasRoom() const { return isWhole() && !exceedsMemory; }
  /// The number of the map that makes `value`, or kAnywhere.
  int getNumber(Value value) const;
  const TermSums &getSums() const { return sums; }
  /// True for a vector that is spread over a matrix, and for a scalar: the
  /// vector that it is made of crosses.
  static bool isSpread(Value value);
  /// The number of the map that adds `term` to `sum`: what is made anywhere
  /// comes last.
  int getNumber(const TermSum &sum, const SumTerm &term) const;

private:
  /// What one of the maps needs.
  struct Needs {
    int64_t loaded = 0, scanned = 0, staged = 0;
    int64_t fetched = 0; ///< of that, what need not be in shared memory
    int64_t stored = 0;  ///< the largest matrix that leaves
    int64_t once = 0;    ///< of what is loaded, what is read once, no operand
    int64_t held = 0, largest = 0, numHeld = 0;
    bool sharesOperand = false; ///< products made in halves multiply one matrix
    int64_t getShared() const { return loaded + scanned + staged + stored; }
  };
  class Counter;
  /// Returns what map `number` needs.
  Needs countNeeds(int number) const;

  void assign();
  /// Numbers what follows from products that are assigned.
  void number();
  /// True if a block makes all of the map in two phases, of which the second
  /// one has its tiles in the place of the first one's, and leaves room for
  /// another block.
  bool fitsInPhases();
  /// Returns how many sums products with a decay end in, and how many other
  /// products end in none of these; nothing where some ends in no sum.
  std::optional<std::pair<size_t, size_t>> countPhaseSums() const;
  bool fitsShared(const Needs &needs) const;
  bool fits(const Needs &needs) const;
  /// True if a map that has a product may have another. Where these are made in
  /// halves, two blocks then find room on an SM: one waits while the other
  /// computes.
  bool fitsBeside(const Needs &needs) const;
  /// True if map `current`, which would then need `needs`, may have `unit` too.
  bool isRoomFor(Operation *unit, const Needs &needs, int current) const;

  ChunkMapOp map;
  MapRoom room;
  TermSums sums;
  SmallVector<Operation *> units; ///< products and reductions, in order
  llvm::DenseMap<Operation *, int> assigned, numbers;
  bool isHalvedMap = false; ///< some product is made in halves
  int numMaps = 1;
  bool exceeds = false, exceedsMemory = false;
};

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_MAPPLAN_H
