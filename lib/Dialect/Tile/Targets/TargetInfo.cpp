//===- TargetInfo.cpp - The architectures that there is code for --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Targets.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

static constexpr TargetNumber numbers[] = {
    {"block_warps", &TargetInfo::blockWarps},
    {"sm_blocks", &TargetInfo::smBlocks},
    {"cluster_blocks", &TargetInfo::clusterBlocks},
    {"barriers", &TargetInfo::barriers},
    {"sm_registers", &TargetInfo::smRegisters},
    {"start_registers", &TargetInfo::startRegisters},
    {"least_registers", &TargetInfo::leastRegisters},
    {"most_registers", &TargetInfo::mostRegisters},
    {"register_granule", &TargetInfo::registerGranule},
    {"shared_bytes", &TargetInfo::sharedBytes},
    {"shared_bytes_reserved", &TargetInfo::sharedBytesReserved},
    {"mma_depth", &TargetInfo::mmaDepth},
    {"mma_columns", &TargetInfo::mmaColumns},
    {"most_mma_columns", &TargetInfo::mostMmaColumns},
    {"box_dims", &TargetInfo::boxDims},
    {"box_size", &TargetInfo::boxSize},
    {"tile_registers", &TargetInfo::tileRegisters},
    {"tile_registers_once", &TargetInfo::tileRegistersOnce},
    {"tile_registers_shared", &TargetInfo::tileRegistersShared},
    {"plain_registers", &TargetInfo::plainRegisters},
    {"state_columns", &TargetInfo::stateColumns},
    {"spill_bytes", &TargetInfo::spillBytes},
    {"sms", &TargetInfo::sms},
    {"code_bytes", &TargetInfo::codeBytes},
    {"memory_bytes_per_cycle", &TargetInfo::memoryBytesPerCycle},
    {"launch_cycles", &TargetInfo::launchCycles},
    {"overlap_cycles", &TargetInfo::overlapCycles},
    {"block_cycles", &TargetInfo::blockCycles},
    {"load_cycles", &TargetInfo::loadCycles},
    {"turn_cycles", &TargetInfo::turnCycles},
    {"mma_flops_per_cycle", &TargetInfo::mmaFlopsPerCycle},
    {"mma_cycles", &TargetInfo::mmaCycles},
    {"lane_cycles", &TargetInfo::laneCycles},
    {"decay_ops", &TargetInfo::decayOps},
    {"solve_row_cycles", &TargetInfo::solveRowCycles},
};

llvm::ArrayRef<TargetNumber> tile::getTargetNumbers() { return numbers; }

llvm::ArrayRef<TargetInfo> tile::getTargets() {
  static const TargetInfo targets[] = {describeSM90()};
  return targets;
}

const TargetInfo *tile::findTarget(llvm::StringRef arch) {
  const auto *it = llvm::find_if(getTargets(), [&](const TargetInfo &target) {
    return target.arch == arch;
  });
  return it == getTargets().end() ? nullptr : it;
}

std::string tile::listTargets() {
  return llvm::join(
      llvm::map_range(getTargets(),
                      [](const TargetInfo &target) { return target.arch; }),
      ", ");
}
