//===- KernelMerger.h - The roles of a kernel, as one region ----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_CONVERSION_SCHEDTODELTA_KERNELMERGER_H
#define WYVERN_LIB_CONVERSION_SCHEDTODELTA_KERNELMERGER_H

#include "wyvern/Dialect/Sched/IR/Sched.h"

#include "mlir/IR/IRMapping.h"

namespace mlir::wyvern {

/// Makes one chunk program of a kernel.
class KernelMerger {
public:
  explicit KernelMerger(sched::KernelOp kernel)
      : kernel(kernel), builder(kernel), loc(kernel.getLoc()) {}

  /// Replaces the kernel by its program. Fails, with a diagnostic, where no
  /// chunk program says the same.
  LogicalResult merge();

  /// Returns how many tiles a channel rounds.
  int64_t getNumRounded() const { return numRounded; }

private:
  /// What some role hands from chunk to chunk.
  struct Carry {
    BlockArgument init; ///< of the kernel; null where `made` is there
    Operation *made;    ///< a constant or identity that it starts from
    BlockArgument arg;  ///< of the role's loop
    OpResult last;      ///< of the loop
    Value next;         ///< what a chunk yields
  };

  LogicalResult findCarries();
  /// Returns the carry that ends in the final that `store` writes.
  bool isOfPool(sched::StoreOp store);
  FailureOr<unsigned> findFinal(sched::StoreOp store);
  LogicalResult findFinals();

  /// Returns a map's out with what `made` makes for every slot, and its binding
  /// as a carry.
  std::pair<Value, delta::BindingAttr> createStart(Operation *made);
  /// Returns a zero tile for every sequence, and its binding as a carry.
  std::pair<Value, delta::BindingAttr> createZeros(RankedTensorType tile);
  /// Returns what a carry starts from in the function, and its binding.
  std::pair<Value, delta::BindingAttr> getInit(const Carry &carry);
  /// The types of the kernel's outs; what it sums over pairs of heads has those
  /// of every head.
  SmallVector<Type> getOutTypes();
  Operation *createProgram();
  void addRegion(Operation *program);
  void cloneConstants();
  void cloneOp(Operation *op);
  /// Returns `tile` as a channel that holds `held` hands it over.
  Value round(Value tile, RankedTensorType held);
  /// Returns the sum of `heads` over pairs of heads, which is the kernel's
  /// `out`.
  Value sumPairs(Value heads, BlockArgument out);
  void replaceKernel(Operation *program);

  sched::KernelOp kernel;
  OpBuilder builder;
  Location loc;
  SmallVector<Carry> carries;
  SmallVector<std::pair<BlockArgument, unsigned>> finals; ///< and their carry
  IRMapping mapping;
  llvm::DenseMap<Value, SmallVector<Value>> channels; ///< their tiles
  llvm::DenseMap<Value, Value> outs; ///< tiles of the kernel's outs
  int64_t numRounded = 0;
};

} // namespace mlir::wyvern

#endif // WYVERN_LIB_CONVERSION_SCHEDTODELTA_KERNELMERGER_H
