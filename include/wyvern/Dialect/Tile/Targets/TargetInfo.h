//===- TargetInfo.h - What an architecture has ------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The numbers of one architecture, each of which has one place: a file of
// lib/Dialect/Tile/Targets. IR names an architecture with `#tile.target`; a
// pass or a verifier asks `getTarget`.
//
// What a layout or a swizzle is made of (64 rows of an accumulator, 128 threads
// of a warpgroup, 128 bytes of a swizzled row) is not here: those numbers
// define the types of the tile dialect, and an architecture that has others
// needs other layouts.
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_TILE_TARGETS_TARGETINFO_H
#define WYVERN_DIALECT_TILE_TARGETS_TARGETINFO_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

#include <string>

namespace mlir::wyvern::tile {

struct TargetInfo {
  llvm::StringRef arch;        ///< As in `ptxas -arch`.
  llvm::StringRef features;    ///< For LLVM's NVPTX backend.
  llvm::StringRef description; ///< For --list-archs.

  // Launches.
  int64_t blockWarps = 0;    ///< that a block may have
  int64_t smBlocks = 0;      ///< that an SM may hold
  int64_t clusterBlocks = 0; ///< that a cluster may have on any such GPU
  int64_t barriers = 0; ///< of the hardware, for a block; 0 is the block's own

  // Registers.
  int64_t smRegisters = 0;     ///< that the blocks of an SM share
  int64_t startRegisters = 0;  ///< of a thread at the start, at most
  int64_t leastRegisters = 0;  ///< of a thread that sets its own budget
  int64_t mostRegisters = 0;   ///< the same
  int64_t registerGranule = 0; ///< A budget is a multiple of it.

  // Shared memory, in bytes.
  int64_t sharedBytes = 0;         ///< that a block may have
  int64_t sharedBytesReserved = 0; ///< that an SM takes for each block, too

  // Matrix instructions: 64 rows, a number of columns.
  int64_t mmaDepth = 0;       ///< What is summed over is a multiple of it.
  int64_t mmaColumns = 0;     ///< Columns are a multiple of it ...
  int64_t mostMmaColumns = 0; ///< ... and at most so many.

  // TMA.
  int64_t boxDims = 0; ///< dimensions of a tensor
  int64_t boxSize = 0; ///< elements of a box in one dimension

  // What tiles may hold of a thread's registers: addresses and what ptxas needs
  // for itself are the others.
  int64_t tileRegisters = 0;       ///< in a loop
  int64_t tileRegistersOnce = 0;   ///< where there is no loop
  int64_t tileRegistersShared = 0; ///< in a block that shares an SM
  int64_t plainRegisters = 0;      ///< a role's with a budget, beside its tiles
  int64_t stateColumns = 0;        ///< of 64 rows of a carried state
  int64_t spillBytes =
      0; ///< that a thread may store, where nothing else compiles

  // What work takes, in cycles of an SM: found by measurement, for estimates
  // (docs/rationale/variants.md). No kernel depends on them.
  int64_t sms = 0;                 ///< of the GPU
  int64_t codeBytes = 0;           ///< of instructions that SMs of a GPC share
  int64_t memoryBytesPerCycle = 0; ///< of device memory, all SMs together
  int64_t launchCycles = 0; ///< from the end of a kernel to the next one's work
  int64_t overlapCycles = 0; ///< of these, less if it starts beside that end
  int64_t blockCycles = 0;   ///< of a block, before and after its chunks
  int64_t loadCycles = 0;    ///< until a tile that is asked for is there
  int64_t turnCycles = 0;    ///< until a tile of another block's turn is there
  int64_t mmaFlopsPerCycle = 0; ///< of the tensor cores
  int64_t mmaCycles = 0;        ///< of a product, beside its work
  int64_t laneCycles = 0; ///< of a thread for an element of a simple operation
  int64_t decayOps = 0;   ///< that an element of a decay's matrix is worth
  int64_t solveRowCycles = 0; ///< of a triangular system, a row

  /// True if a thread may set its registers to `registers`.
  bool hasBudget(int64_t registers) const {
    return leastRegisters <= registers && registers <= mostRegisters &&
           registers % registerGranule == 0;
  }

  /// True if the tensor cores multiply [64, k] by [k, n].
  bool hasProduct(int64_t k, int64_t n) const {
    return k % mmaDepth == 0 && n % mmaColumns == 0 && n <= mostMmaColumns;
  }
};

/// A number of an architecture and its name in `#tile.target`.
struct TargetNumber {
  llvm::StringRef name;
  int64_t TargetInfo::*member;
};

/// Returns all numbers, in the order of TargetInfo.
llvm::ArrayRef<TargetNumber> getTargetNumbers();

/// Returns the architectures that there is code for; the first is the default.
llvm::ArrayRef<TargetInfo> getTargets();

/// Returns the architecture of this name, or null.
const TargetInfo *findTarget(llvm::StringRef arch);

/// Returns the names of all architectures, with commas.
std::string listTargets();

} // namespace mlir::wyvern::tile

#endif // WYVERN_DIALECT_TILE_TARGETS_TARGETINFO_H
