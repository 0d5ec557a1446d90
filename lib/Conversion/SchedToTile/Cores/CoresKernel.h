//===- CoresKernel.h - One kernel of the cores, as it is made ---*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_CONVERSION_SCHEDTOTILE_CORES_CORESKERNEL_H
#define WYVERN_LIB_CONVERSION_SCHEDTOTILE_CORES_CORESKERNEL_H

#include "CoresRegion.h"

#include "../Kernel/BlockLocation.h"
#include "../Kernel/Operands.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

namespace mlir::wyvern {

/// Makes a tile.kernel of a kernel whose role is on the cores: the kernel and
/// its block's place in CoresLowering.cpp, what a block does in
/// CoresSequence.cpp.
class CoresKernel {
public:
  CoresKernel(OpBuilder &builder, sched::KernelOp kernel,
              const TensorNames &names, const SpreadPlan &plan)
      : builder(builder), loc(kernel.getLoc()), kernel(kernel),
        role(*kernel.getRoles().begin()), names(names), plan(plan) {}

  LogicalResult lower();

private:
  tile::KernelOp createShell();
  void addArguments(tile::KernelOp shell);
  /// A tensor of the kernel as an argument of `shell`.
  Value addGlobal(tile::KernelOp shell, Value tensor, Value named,
                  bool optional, bool contiguous);
  bool isLoadedInPieces(BlockArgument arg);
  void locate();

  LogicalResult lowerSequence();
  void loadAhead(Value token, SmallVectorImpl<Value> &rows);
  void loadShared();
  Value loadInits();
  void keep(Value tile, Value held);
  Value getKept(Value tile);
  LogicalResult lowerToken(CoresRegion &region, Value token,
                           ValueRange rowsAhead);
  void lowerRows(CoresRegion &region, Value token, ValueRange rowsAhead);
  Value convolve(delta::ConvRowOp op, Value row);
  Value createScratch(ArrayRef<Value> rows);
  void storeFinals(Value state);
  void zeroRows(Value from);

  Value loadHeld(sched::LoadOp op, const Chunk &at);
  /// A tile in the type that the region computes in.
  Value widen(Value held);
  Value load(sched::LoadOp op, const Chunk &at) {
    return widen(loadHeld(op, at));
  }
  /// Rounded by `seed`, if that is there.
  void store(sched::StoreOp op, Value tile, const Chunk &at, Value seed = {});
  /// Where the tile of `arg` lies, and which dimensions of the tensor it has.
  std::pair<SmallVector<Value>, SmallVector<int64_t>>
  getPlace(BlockArgument arg, Value tile, const Chunk &at);

  Value index(int64_t value) { return createIndex(builder, loc, value); }
  Value isValid(Value slot) {
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::sge, slot,
                                 index(kernel.getFirstSlot()));
  }
  RankedTensorType getTensor(BlockArgument arg) {
    return cast<sched::GlobalType>(arg.getType()).getTensor();
  }

  OpBuilder &builder;
  Location loc;
  sched::KernelOp kernel;
  sched::RoleOp role;
  const TensorNames &names;
  const SpreadPlan &plan;
  DenseMap<Value, Value> arguments;
  SmallVector<Attribute> operandNames;
  LaunchArguments launch;
  Value readSlots, writeSlots, lengths, seeds;
  std::optional<BlockLocation> location;
  Value slot, writeSlot, count; ///< of the block's sequence
  /// With rows that are shared: loads of a token's, and what all tokens have.
  SmallVector<sched::LoadOp> ahead;
  DenseMap<Value, Value> fixed;
  /// Where each thread keeps what it has of filters and windows.
  DenseMap<Value, Value> places;
};

} // namespace mlir::wyvern

#endif // WYVERN_LIB_CONVERSION_SCHEDTOTILE_CORES_CORESKERNEL_H
