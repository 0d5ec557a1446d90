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
/// CoresSequence.cpp, a call of one token in CoresStep.cpp, the rows that its
/// threads share in CoresRows.cpp.
class CoresKernel {
public:
  CoresKernel(OpBuilder &builder, sched::KernelOp kernel,
              const TensorNames &names, const SpreadPlan &plan)
      : builder(builder), loc(kernel.getLoc()), kernel(kernel),
        role(*kernel.getRoles().begin()), names(names), plan(plan),
        part(plan.getRowsPart()) {}

  LogicalResult lower();

private:
  void createShell();
  void addArguments();
  /// A tensor of the kernel as an argument of the shell.
  Value addGlobal(Value tensor, Value named, bool optional, bool contiguous);
  bool isContiguous(BlockArgument arg);
  void locate(bool isCached);
  Value loadEntry(Value vector, Value absent);

  LogicalResult lowerStepOrCall();
  LogicalResult lowerCall();
  LogicalResult lowerStep();
  LogicalResult lowerCounting();
  void copyCarries();
  LogicalResult lowerSequence();
  /// What threads hold from token to token: the state, then vectors.
  using Held = SmallVector<Value>;
  /// Where a token's rows, and what follows from them alone, come from: each
  /// thread loads and makes its own, or rows are there, or both are.
  enum class Rows { own, shared, made };
  using BringFn = function_ref<LogicalResult(CoresRegion &, Value)>;
  FailureOr<Held> lowerTokens(ValueRange held, Value tokens, Rows rows,
                              BringFn bring);
  FailureOr<Held> lowerAlone(ValueRange held);
  LogicalResult lowerShared(ArrayRef<Value> loaded);
  LogicalResult lowerOnly(ArrayRef<Value> loaded);
  LogicalResult lowerSeveral(ArrayRef<Value> loaded);
  FailureOr<Held> lowerOne(ValueRange held);
  FailureOr<Held> lowerDraft(ValueRange held);
  /// Returns the numbers of the carries that are held.
  SmallVector<unsigned> getHeldCarries();
  bool hasVectors() { return getHeldCarries().size() > 1; }
  /// Sets what `region` carries to what is held, and gets what follows.
  void setCarries(CoresRegion &region, ValueRange held);
  Held getCarries(CoresRegion &region);
  LogicalResult lowerNumbers(CoresRegion &region);
  LogicalResult lowerToken(CoresRegion &region, Value token, Rows rows);
  /// True for rows that a block's threads share also in a call of one token.
  bool isBlockwise();
  bool hasConvolutions() {
    return !role.getEachChunk().getBlock().getOps<delta::ConvRowOp>().empty();
  }
  /// True for a carry that is a window, or a vector that rows are made with:
  /// it goes where rows are brought, and is not held from token to token.
  bool isBrought(unsigned carry) {
    BlockArgument arg = role.getEachChunk().getCarryArgs()[carry];
    return carry > 0 && (SpreadPlan::isWindow(arg) || part.hasCarry(carry));
  }
  /// True if a block's threads share what follows from rows also in a call of
  /// one token; else each makes it there, with the same bits.
  bool sharesMade() { return !part.getCarries().empty(); }
  /// Returns the type in which a carry is loaded and stored, narrow or wide.
  RankedTensorType getBroughtType(unsigned carry) {
    BlockArgument arg = role.getEachChunk().getCarryArgs()[carry];
    return part.hasCarry(carry) ? plan.getMadeType(arg) : plan.getHeldType(arg);
  }
  Value createMadePlace(int64_t tokens);
  void takeMade(CoresRegion &region, Value entry);
  /// When rows are made: in a call of one token, by all warps, so that no
  /// branch stands between what waits for vectors and what does not; in front
  /// of a draft's tokens; or between them, where registers are short.
  enum class When { step, first, later };
  void loadFixed(CoresRegion &region, bool again);
  LogicalResult lowerRows(CoresRegion &region, Value token, When when,
                          bool areCarried);
  void putMade(CoresRegion &region, Value token);
  LogicalResult makeRows(Value token, MutableArrayRef<Value> vectors,
                         When when);
  LogicalResult makeFirst();
  LogicalResult makeInTurn(Value from, Value end, When when);
  LogicalResult makeDraft(Value from, int64_t tokens, When when);
  void loadAhead(Value token, SmallVectorImpl<Value> &rows);
  bool isOfToken(sched::LoadOp op);
  bool hasFewElements();
  /// True if a call of one token has its own way through the kernel.
  bool hasOwnStep();
  bool dividesInPlace();
  void loadInFront();
  void loadShared();
  void loadFirst();
  Value loadInit(unsigned carry);
  void loadWindows();
  Held loadState();
  Value keep(Value held);
  Value getKept(Value tile, Value own);
  void keepAll();
  SmallVector<Value> getRowTiles();
  Value createAlloc(ArrayRef<int64_t> shape);
  Value createPlace(int64_t tokens);
  void takeRows(CoresRegion &region, Value entry, bool isSeldom = false);
  SmallVector<SmallVector<Value>> loadRows(Value from, Value end,
                                           int64_t tokens);
  void bringRows(MutableArrayRef<SmallVector<Value>> rows, Value from);
  void bringFirstRows();
  /// Returns the entry of a place of rows that a token has.
  Value getEntry(Value token) {
    return arith::RemUIOp::create(
        builder, loc, token, index(static_cast<int64_t>(*role.getShareRows())));
  }
  LogicalResult bringFirst();
  void convolveRows(delta::ConvRowOp op, Value first,
                    MutableArrayRef<Value> rows);
  bool isReadByOthers(sched::StoreOp op);
  bool sharesCarries();
  void arriveAsReader();
  void storeFinals(ValueRange held);
  void zeroRows(Value from);

  /// Says something of the load that `value` is.
  void setHint(Value value, StringRef hint) {
    value.getDefiningOp()->setAttr(hint, builder.getUnitAttr());
  }
  /// Says of a load that it is asked for where it stands, in kernels for few
  /// sequences through the first level of caches.
  void askFirst(Value value);
  Value loadHeld(sched::LoadOp op, RankedTensorType type, const Chunk &at);
  /// A tile in the type that the region computes in.
  Value widen(Value held);
  Held widenAll(ValueRange held) {
    return llvm::map_to_vector(held, [&](Value one) { return widen(one); });
  }
  Value load(sched::LoadOp op, const Chunk &at) {
    return widen(loadHeld(op, plan.getHeldType(op.getTile()), at));
  }
  /// Rounded by `seed`, if that is there.
  void store(sched::StoreOp op, Value tile, const Chunk &at, Value seed = {});
  /// Where the tile of `arg` lies, and which dimensions of the tensor it has.
  std::pair<SmallVector<Value>, SmallVector<int64_t>>
  getPlace(BlockArgument arg, Value tile, const Chunk &at);

  Value index(int64_t value) { return createIndex(builder, loc, value); }
  Value compare(arith::CmpIPredicate predicate, Value a, Value b) {
    return arith::CmpIOp::create(builder, loc, predicate, a, b);
  }
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
  const RowsPart &part;
  tile::KernelOp shell; ///< what is made
  DenseMap<Value, Value> arguments;
  SmallVector<Attribute> operandNames;
  LaunchArguments launch;
  Value readSlots, writeSlots, lengths, seeds;
  std::optional<BlockLocation> location;
  Value slot, writeSlot, count; ///< of the block's sequence
  Value place;                  ///< of rows that are shared
  Value madePlace;              ///< of what follows from them
  /// With rows that are shared: loads of a token's, and what all tokens have.
  SmallVector<sched::LoadOp> ahead;
  DenseMap<Value, Value> fixed;
  bool isAddressedFirst = false;     ///< what is stored
  SmallPtrSet<Operation *, 16> done; ///< operations that are there
  SmallVector<Value> first; ///< rows of the first token, as they are loaded
  /// Where threads keep the rows of a draft's first tokens.
  SmallVector<SmallVector<Value>> keptRows;
  /// What the sequence starts from besides its state, and in a call of one
  /// token the windows that it ends in.
  DenseMap<Value, Value> windows, lastWindows;
  /// Where each thread keeps what it has of filters and windows.
  DenseMap<Value, Value> places;
};

} // namespace mlir::wyvern

#endif // WYVERN_LIB_CONVERSION_SCHEDTOTILE_CORES_CORESKERNEL_H
