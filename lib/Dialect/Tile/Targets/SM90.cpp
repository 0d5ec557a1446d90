//===- SM90.cpp - Hopper ------------------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Targets.h"

using namespace mlir::wyvern::tile;

TargetInfo mlir::wyvern::tile::describeSM90() {
  TargetInfo target;
  target.arch = "sm_90a";
  target.features = "+ptx88";
  target.description = "Hopper: H100, H200, GH200 (wgmma, TMA)";

  // CUDA C++ Programming Guide, compute capabilities: 9.0.
  target.blockWarps = 32;
  target.smBlocks = 32;
  target.clusterBlocks = 8; // that every GPU of 9.0 takes
  target.barriers = 16;
  target.smRegisters = 64 * 1024;
  target.sharedBytes = 227 * 1024;
  target.sharedBytesReserved = 1024;

  // PTX ISA 9.7.19.5, setmaxnreg. A thread starts with no more than 248: ptxas
  // keeps 255 to a multiple of 8.
  target.startRegisters = 248;
  target.leastRegisters = 24;
  target.mostRegisters = 240;
  target.registerGranule = 8;

  // PTX ISA 9.7.15.5, wgmma with 16-bit operands.
  target.mmaDepth = 16;
  target.mmaColumns = 8;
  target.mostMmaColumns = 256;

  // CUDA driver API, cuTensorMapEncodeTiled.
  target.boxDims = 5;
  target.boxSize = 256;

  // Of 255 registers; of the 168 that two blocks leave each other. Found by
  // compiling all specs: with more, ptxas spills in some.
  target.tileRegisters = 208;
  target.tileRegistersOnce = 64;
  target.tileRegistersShared = 90;
  // Beside its tiles, of a role with a budget: addresses and counters.
  target.plainRegisters = 24;
  target.stateColumns = 256;
  // A fused backward that stored 24 took the time of one that stored none.
  target.spillBytes = 12;

  // H100 and H200 as SXM; memory of the H200 at 1.755 GHz.
  target.sms = 132;
  // A map took longer from there on (docs/performance/channel-decay.md, "maps
  // as long as an SM holds instructions"); it is the GPC that holds them, an SM
  // has 32 KB (training.md, "what a GPC delivers of instructions").
  target.codeBytes = 128 * 1024;
  target.memoryBytesPerCycle = 2300;
  target.mmaFlopsPerCycle = 4096;
  // Fitted to the kernels of docs/performance/ at 1.755 GHz.
  target.launchCycles = 4000;
  target.overlapCycles = 800;
  target.blockCycles = 6500;
  target.loadCycles = 1500;
  target.turnCycles = 600;
  target.mmaCycles = 110;
  target.laneCycles = 3;
  target.decayOps = 18;
  target.solveRowCycles = 50;
  return target;
}
