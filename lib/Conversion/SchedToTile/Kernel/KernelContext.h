//===- KernelContext.h - What the roles of a kernel share ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_CONVERSION_SCHEDTOTILE_KERNEL_KERNELCONTEXT_H
#define WYVERN_LIB_CONVERSION_SCHEDTOTILE_KERNEL_KERNELCONTEXT_H

#include "BlockLocation.h"
#include "Operands.h"

#include "wyvern/Dialect/Tile/IR/Tile.h"

namespace mlir::wyvern {

/// What stands beside a kernel in a launch.
struct KernelOrder {
  /// Another kernel of the function is launched before it.
  bool hasPrevious = false;
  /// It is the function's only one, so a launch may put it behind one that it
  /// needs nothing of.
  bool isAlone = false;
  /// A launch may put such a kernel behind it.
  bool hasGuest = false;
  /// It computes of a sequence what it computes of parts of it.
  bool isOfParts = false;
};

/// A kernel that is being translated: the sched.kernel, and what its parts have
/// become.
struct KernelContext {
  mutable sched::KernelOp kernel; // op accessors are not const
  const KernelOrientation &orientation;
  const TensorNames &names;
  KernelOrder order = {};

  /// The tile.kernel's argument for each argument of the region; a final that
  /// nobody reads has none.
  DenseMap<Value, Value> arguments = DenseMap<Value, Value>();
  LaunchArguments launch = {};
  /// Where carries that lie in pools are read and written, one a sequence, and
  /// where they are kept, one a chunk; the seeds that they are rounded by. Null
  /// without.
  Value readSlots = {}, writeSlots = {}, keepSlots = {}, seeds = {};
  /// The ring of each channel.
  DenseMap<Value, Value> rings = DenseMap<Value, Value>();
  /// The ring in which blocks of a cluster hand each other their summands of
  /// what a store stores, or half of them each.
  DenseMap<Operation *, Value> exchanges = DenseMap<Operation *, Value>();
  /// The shared tile that each out of matrices leaves through.
  DenseMap<Value, Value> staging = DenseMap<Value, Value>();
  std::optional<BlockLocation> location = std::nullopt;
  /// All shared memory is allocated in front of it.
  tile::RolesOp roles = {};
  /// Products and values that went through shared memory, a chunk.
  int64_t numProducts = 0, numStaged = 0;
};

/// Adds the arguments of `tileKernel`: ins, outs, inits and finals, then what a
/// launch says besides. Returns the tensor's name for each, as the manifest
/// calls it.
SmallVector<Attribute> addKernelArguments(OpBuilder &builder,
                                          KernelContext &context,
                                          tile::KernelOp tileKernel);

/// Adds a ring for each channel and a shared tile for each out that needs one.
void addSharedMemory(OpBuilder &builder, KernelContext &context);

/// Translates `kernel` into a tile.kernel at the builder's place; diagnoses
/// what the GPU path does not take.
FailureOr<tile::KernelOp> lowerKernel(OpBuilder &builder,
                                      KernelContext &context);

} // namespace mlir::wyvern

#endif // WYVERN_LIB_CONVERSION_SCHEDTOTILE_KERNEL_KERNELCONTEXT_H
