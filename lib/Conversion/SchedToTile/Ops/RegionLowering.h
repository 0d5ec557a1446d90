//===- RegionLowering.h - The region of a chunk program, op by op -------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_CONVERSION_SCHEDTOTILE_OPS_REGIONLOWERING_H
#define WYVERN_LIB_CONVERSION_SCHEDTOTILE_OPS_REGIONLOWERING_H

#include "../Kernel/KernelOrientation.h"
#include "RegionOrder.h"
#include "wyvern/Dialect/Tile/IR/Tile.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/Builders.h"

namespace mlir::wyvern {

/// Diagnoses a factor in blocks that the GPU path does not take.
LogicalResult checkFactorBlock(Operation *op, std::optional<int64_t> block);

/// An error for a matrix that has no place to be computed in.
LogicalResult refuseWithoutRows(Operation *op);

/// Returns the exp of the row sums that `op` makes, if nothing else is done
/// with these: it is made in their place. Null otherwise.
Value getExpOfSums(Operation *op);

/// Returns the same, if products are multiplied by it: it stays in shared
/// memory, where registers would hold it beside the product. Null otherwise.
Value getSharedFactor(Operation *op);

/// True for a mask that lets pass the diagonal of a square alone, of which a
/// sum is all that is read.
bool isDiagonalSum(delta::DecayMaskOp mask);

/// True for what takes tiles out of a chunk: to memory, to a channel, to the
/// next chunk.
inline bool isSink(Operation *op) {
  return isa<sched::StoreOp, sched::PutOp, sched::YieldOp>(op);
}

/// Returns the type that a register tile of `value` has, with M dimension `m`,
/// in a role that holds the split dimension or in one that does not.
RankedTensorType getRegisterType(Value value, std::optional<int64_t> m,
                                 bool isSplit);

/// Lowers the chunk operations of a role into its loop.
///
/// A value is in one of these places, by its rank and orientation:
/// * a matrix with an M dimension: a register tile for each 64 of it, M first
///   (so a value whose second dimension is M is held transposed). One that is
///   made of ins and vectors by arithmetic alone is made where it is used,
///   again for each use: reading a tile costs less than holding it;
/// * a matrix without: only as the shared tile it came in as, for a B operand;
/// * a matrix that is some product's B, or its A across its orientation: in
///   shared memory too, in the shape of the value, from where it is made on;
/// * a vector: in a role with the split dimension along the rows or columns of
///   the tiles it meets, else held by every warp until it is broadcast; a
///   scalar: in every thread.
class RegionLowering {
public:
  using Tiles = SmallVector<Value, 2>;

  /// The warps that run the region: one of `groups` groups, number `group`
  /// (null of one), and their hardware barrier.
  struct Warps {
    int64_t groups;
    Value group;
    int64_t barrier;
  };

  /// Tiles of shared memory are made at `allocationPoint`, one for each group;
  /// `isSplit` says that the role holds values with the split dimension.
  RegionLowering(OpBuilder &builder, const KernelOrientation &orientation,
                 bool isSplit, Operation *allocationPoint, const Warps &warps)
      : builder(builder), orientation(orientation), isMap(!isSplit),
        allocationPoint(allocationPoint), warps(warps) {}

  /// The value `got` out of a channel lies in shared memory at `tile`.
  void setShared(Value got, Value tile) { shared[got] = tile; }
  /// Returns where that is.
  Value getSharedTile(Value got) const { return shared.lookup(got); }
  /// How what the role takes from memory itself comes into registers of a type:
  /// a tile, or for a tensor of rank 0 its element.
  using Fetch = std::function<Value(sched::LoadOp, RankedTensorType)>;
  void setFetch(Fetch how) { fetch = std::move(how); }
  /// The chunk that is lowered begins with token `position` of its sequence,
  /// and is of head `head`; both are index values.
  void setPlace(Value position, Value head) {
    this->position = position;
    this->head = head;
  }
  /// Where registers do, a tile and its rounded part are made once for all that
  /// read them: instructions are what is dear.
  void setPlenty(bool does) { hasPlenty = does; }
  /// The kernel sums rows and columns of products beside these: it has neither
  /// registers nor instructions to spare.
  void setFull(bool is) { isFull = is; }
  /// `value` is the register tile, vector or scalar `lowered`.
  void setRegister(Value value, Value lowered) { registers[value] = {lowered}; }
  /// `ops` are lowered otherwise. To be called before they are planned.
  void setDone(const llvm::SmallPtrSetImpl<Operation *> &ops) {
    done.insert(ops.begin(), ops.end());
  }
  /// The operations to lower, in their order. In a role with the split
  /// dimension that is the program's: the chain. In another it is one that
  /// keeps few tiles in registers, and what is made at its use is left out. To
  /// be called when what comes out of channels is set.
  ///
  /// With `takesInPlace` it is the program's too, in any role, and what comes
  /// out of channels is set where their sched.get stands in it; with `getsLate`
  /// too, in a role that waits for nobody else.
  SmallVector<Operation *> plan(Block &block, bool takesInPlace,
                                bool getsLate = false);
  /// Loads the matrix of `load`, which registers hold from here on.
  LogicalResult hold(sched::LoadOp load);
  /// Has `value`, if registers hold it as one tile, in shared memory from here
  /// on.
  void park(Value value);
  /// True for a value that products of the region read from shared memory.
  bool isStaged(Value value) const { return staged.contains(value); }

  /// Lowers one operation; diagnoses what the GPU path does not take.
  LogicalResult lower(Operation *op);

  /// The register tiles of `value`, one for each 64 of its M dimension; of a
  /// vector or scalar, it alone. For a splat, of M dimension `m`. Empty, after
  /// an error at `user`, where it has none.
  Tiles getTiles(Value value, Operation *user,
                 std::optional<int64_t> m = std::nullopt);
  /// One of these tiles; null after an error.
  Value getTile(Value value, int64_t block, Operation *user,
                std::optional<int64_t> m = std::nullopt);
  /// The same for what is one tile, vector or scalar.
  Value getRegister(Value value, Operation *user,
                    std::optional<int64_t> m = std::nullopt);

  RankedTensorType getRegisterType(Value value, std::optional<int64_t> m) {
    return wyvern::getRegisterType(value, m, /*isSplit=*/!isMap);
  }

  int64_t getNumProducts() const { return numProducts; }
  int64_t getNumStaged() const { return numStaged; }

private:
  /// A product as the tensor cores run it: which operand is A, and the
  /// dimensions that are M and N.
  struct Product {
    Value a, b, result;
    int64_t aM, bN, m;
  };

  /// A sum of a tile and a product that is scaled by rows, made in parts.
  struct ScaledSum {
    Value term;
    linalg::BroadcastOp scale;
    linalg::ContractOp product;
  };

  LogicalResult lowerElementwise(Operation *op);
  /// Returns what `op` adds, if it can be made in parts for few registers.
  std::optional<ScaledSum> matchScaledSum(Operation *op);
  LogicalResult lowerScaledSum(Operation *op, ScaledSum sum);
  LogicalResult lowerContract(linalg::ContractOp op);
  LogicalResult lowerDecayDot(delta::DecayDotOp op);
  LogicalResult lowerDecayMask(delta::DecayMaskOp op);
  LogicalResult lowerBroadcast(linalg::BroadcastOp op);
  LogicalResult lowerReduce(linalg::ReduceOp op);
  Value makeDot(linalg::ReduceOp op);
  Value makeDiagonal(linalg::ReduceOp op);
  LogicalResult lowerEraseFactor(delta::EraseFactorOp op);
  LogicalResult lowerEraseApply(delta::EraseApplyOp op);
  LogicalResult lowerCumsum(delta::CumsumOp op);
  Value findSumsUpTo(delta::CumsumOp op);
  LogicalResult lowerLastRow(delta::LastRowOp op);
  LogicalResult lowerMaskRows(delta::MaskRowsOp op);
  LogicalResult lowerSumToMiddle(delta::SumToMiddleOp op);
  LogicalResult lowerRowScan(Operation *op, Value x, bool reverse,
                             bool exclusive, IntegerAttr half);
  LogicalResult lowerRepeatRows(delta::RepeatRowsOp op);
  LogicalResult lowerSumRows(delta::SumRowsOp op);
  LogicalResult lowerLevelRows(delta::LevelRowsOp op);
  LogicalResult lowerSplitColumns(delta::SplitColumnsOp op);
  LogicalResult lowerJoinColumns(delta::JoinColumnsOp op);
  Value getMapVector(Operation *op, Value x);

  /// True for a matrix that is made again for each use.
  bool isMadeAtUse(Value value);
  bool isMadeAtUse(Value value, llvm::SmallDenseSet<Value> &seen);
  /// True for an elementwise operation on several tiles that are in registers.
  bool isSumOfTiles(Operation *op);
  bool isHeldBehind(Operation *op);
  bool isMaskOfShared(Value value);
  /// True for what getSharedFactor returns of its operand.
  bool isSharedFactor(Value value);
  /// True for a product's operand, which is in shared memory, as numbers of 32
  /// bits: it is read from there where something multiplies by it.
  bool isReadBack(Operation *op);
  void planStaging(Block &block);
  void planFusion(Block &block);
  /// Bytes of shared memory for staged values, of one of `blocks` blocks on an
  /// SM: beside what was loaded, and a place as large as the largest part of
  /// it, where an operation's threads meet.
  int64_t getStagingRoom(int64_t blocks);
  /// The order of the fewest registers; where it stages more at once than there
  /// is room for, or than a second block on the SM leaves, the program's, if
  /// that does not and its registers do.
  SmallVector<Operation *> chooseOrder(Block &block,
                                       const RegionOrder::Costs &costs);
  /// Registers of a thread that hold `value` between two operations.
  int64_t countRegisters(Value value);
  /// How many register tiles `value` is.
  int64_t countTiles(Value value, std::optional<int64_t> m);
  // One tile of what is made at its use, or of what is lowered.
  Value makeElementwise(Operation *op, int64_t block,
                        std::optional<int64_t> m = std::nullopt);
  Value makeBroadcast(linalg::BroadcastOp op, int64_t block);
  Value makeMask(delta::DecayMaskOp op,
                 std::optional<int64_t> m = std::nullopt);
  Value makeSplat(Value value, Operation *user, std::optional<int64_t> m);
  /// An in, from shared memory.
  Value readShared(Value value, int64_t block, Operation *user,
                   std::optional<int64_t> m);
  /// An in, from device memory: rows of tokens, or a number.
  Value fetchIn(sched::LoadOp load, Operation *user);
  /// Makes all tiles of the result of `op` and keeps them.
  LogicalResult keepTiles(Operation *op, function_ref<Value(int64_t)> make);

  /// The shared tile that `value` is, or null: an in, an in rounded to the
  /// element type it is stored in, or a staged value.
  Value getShared(Value value);
  /// True for a value that is one when it is used: it comes out of a channel.
  bool isShared(Value value);
  /// What `op` multiplies, or nothing where it is no product of two matrices
  /// with rows of an accumulator.
  std::optional<Product> getProduct(Operation *op);
  /// Returns a tile of shared memory that the running group has to itself.
  Value allocate(ArrayRef<int64_t> shape, Type element, bool transient);
  /// Writes `value` to shared memory if some product reads it there.
  LogicalResult stage(Value value, Operation *op);
  void planStates(Block &block);
  /// Tile `block` of the product, added to `init` if there is one; negated, it
  /// is taken off.
  Value emitProduct(Operation *op, const Product &product, Value init,
                    int64_t block, bool isNegated = false);
  /// `D = (C) + A B`, or `- A B`, awaited. An operand in shared memory is
  /// transposed where its contracted dimension comes first (A) or second (B).
  Value emitMma(Location loc, Value a, int64_t block, bool transposeA, Value b,
                bool transposeB, Value c, bool isNegated,
                RankedTensorType type);
  /// `vector`, in registers or in shared memory, along the rows or columns of a
  /// tile; `repeat` elements for each, `size` in all if that is fewer.
  Value alongTile(Location loc, Value vector, tile::LayoutKind layout,
                  int64_t repeat, std::optional<int64_t> size = std::nullopt);
  Value makeAlong(Location loc, Value value, tile::LayoutKind layout);
  /// `source` spread over a tile of `type`.
  Value spread(Location loc, Value source, RankedTensorType type);
  /// `result`: `tile` as the mask and decay of `op` leave it.
  template <typename OpT>
  Value makeMasked(OpT op, Value result, Value tile, int64_t m);
  /// Mask of a decay product, and its factor where there is a decay.
  template <typename OpT>
  Value maskDecayProduct(OpT op, Value product, int64_t m);
  template <typename OpT>
  Value isKept(OpT op, RankedTensorType type, int64_t m);
  Value isOfHalf(delta::DecayMaskOp op, RankedTensorType type, int64_t m,
                 int64_t half);
  template <typename OpT> Value sumInLog2(OpT op, bool exclusive);
  template <typename OpT>
  Value pairDecay(OpT op, RankedTensorType type, int64_t m);
  template <typename OpT>
  std::pair<Value, Value> pairSums(OpT op, RankedTensorType type, int64_t m);
  bool isTriangle(delta::DecayDotOp op, int64_t m);
  /// True in a kernel whose roles have budgets of registers.
  bool hasBudgets();
  Value tokenIndex(Location loc, RankedTensorType type, int64_t dim,
                   int64_t rows);
  Value constant(Location loc, Type type, double value);

  OpBuilder &builder;
  const KernelOrientation &orientation;
  bool isMap;
  /// The role takes what comes out of channels where its schedule says: its
  /// registers are few, and shared memory is full.
  bool isTight = false;
  bool hasPlenty = false, isFull = false;
  Operation *allocationPoint;
  Warps warps;
  Fetch fetch;
  Value position, head;
  DenseMap<Value, Value> shared;
  DenseMap<Value, Tiles> registers;
  /// What is made at its use, of the operation that is being lowered.
  DenseMap<std::pair<Value, int64_t>, Value> made;
  /// Running sums of decays, exclusive or not.
  DenseMap<std::pair<Value, unsigned>, Value> sums;
  /// Decays of all pairs of tokens, by the dimension that is M.
  DenseMap<std::pair<Value, int64_t>, Value> decays;
  /// Values that products read from shared memory.
  DenseSet<Value> staged;
  /// False where a state fills the registers: vectors of a chunk are then read
  /// from shared memory wherever they are used.
  bool holdsVectors = true;
  /// Operations of a map with one use that are lowered with it: elementwise
  /// ones, and products that are added to something.
  DenseSet<Operation *> fused;
  /// Operations that are lowered as one, before the others.
  DenseSet<Operation *> done;
  int64_t numProducts = 0, numStaged = 0;
};

} // namespace mlir::wyvern

#endif // WYVERN_LIB_CONVERSION_SCHEDTOTILE_OPS_REGIONLOWERING_H
