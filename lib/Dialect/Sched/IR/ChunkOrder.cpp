//===- ChunkOrder.cpp - The roles of one chunk, in one order --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Sched/IR/ChunkOrder.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::sched;

namespace {
/// A role on its way through its chunk.
struct Process {
  Block::iterator next, end;
};

/// Runs the roles of one chunk, each until it gets what is not there yet.
class ChunkRun {
public:
  explicit ChunkRun(KernelOp kernel) {
    for (RoleOp role : kernel.getRoles()) {
      Block &block = role.getEachChunk().getBlock();
      processes.push_back(
          {block.begin(), block.getTerminator()->getIterator()});
    }
  }

  ChunkOrder run() {
    while (llvm::count_if(processes, [&](Process &p) { return advance(p); }) >
           0)
      ;
    for (Process &process : processes)
      if (process.next != process.end)
        order.waiting.push_back(cast<GetOp>(*process.next));
    return std::move(order);
  }

private:
  /// Runs `process` as far as it goes; returns false if that is nowhere.
  bool advance(Process &process) {
    size_t before = order.ops.size();
    for (; process.next != process.end; ++process.next) {
      Operation *op = &*process.next;
      if (auto get = dyn_cast<GetOp>(op);
          get && !full.contains(get.getChannel()))
        break;
      if (auto put = dyn_cast<PutOp>(op))
        full.insert(put.getChannel());
      order.ops.push_back(op);
    }
    return order.ops.size() > before;
  }

  SmallVector<Process> processes;
  llvm::SmallDenseSet<Value> full; ///< channels that this chunk has put into
  ChunkOrder order;
};
} // namespace

ChunkOrder sched::orderChunk(KernelOp kernel) { return ChunkRun(kernel).run(); }
