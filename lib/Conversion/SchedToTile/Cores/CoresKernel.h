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
  bool isContiguous(BlockArgument arg);
  void locate();
  Value loadEntry(Value vector, Value absent);

  LogicalResult lowerSequence();
  FailureOr<Value> lowerTokens(Value state, Value tokens, bool loadsRows,
                               function_ref<void(CoresRegion &, Value)> bring);
  FailureOr<Value> lowerAlone(Value state);
  LogicalResult lowerShared(Value state, int64_t rows);
  FailureOr<Value> lowerOne(Value state, Value place);
  FailureOr<Value> lowerGroups(Value state, int64_t rows, Value place);
  LogicalResult lowerToken(CoresRegion &region, Value token, bool loadsRows);
  /// True for rows that a block's threads share also in a call of one token.
  bool isBlockwise();
  void loadAhead(Value token, SmallVectorImpl<Value> &rows);
  bool isOfToken(sched::LoadOp op);
  void loadShared();
  Value loadInits();
  void keep(Value tile, Value held);
  Value getKept(Value tile);
  void keepAll();
  SmallVector<Value> getRowTiles();
  Value createPlace(int64_t tokens);
  void takeRows(CoresRegion &region, Value entry, Value place);
  void bringRows(Value from, int64_t tokens, Value place);
  void bringFirst(Value place);
  void convolveRows(delta::ConvRowOp op, Value first,
                    MutableArrayRef<Value> rows);
  bool isReadByOthers(sched::StoreOp op);
  bool sharesWindows();
  void arriveAsReader();
  void storeFinals(Value state);
  void zeroRows(Value from);

  Value loadHeld(sched::LoadOp op, RankedTensorType type, const Chunk &at);
  /// A tile in the type that the region computes in.
  Value widen(Value held);
  Value load(sched::LoadOp op, const Chunk &at) {
    return widen(loadHeld(op, plan.getHeldType(op.getTile()), at));
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
  SmallVector<Value> first; ///< rows of the first token, as they are loaded
  /// The windows that the sequence starts from, and in a call of one token
  /// those that it ends in.
  DenseMap<Value, Value> windows, lastWindows;
  /// Where each thread keeps what it has of filters and windows.
  DenseMap<Value, Value> places;
};

} // namespace mlir::wyvern

#endif // WYVERN_LIB_CONVERSION_SCHEDTOTILE_CORES_CORESKERNEL_H
