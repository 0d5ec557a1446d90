//===- RegionOrder.h - In which order a region's tiles are made ---------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_CONVERSION_SCHEDTOTILE_OPS_REGIONORDER_H
#define WYVERN_LIB_CONVERSION_SCHEDTOTILE_OPS_REGIONORDER_H

#include "mlir/IR/Block.h"
#include "mlir/IR/Operation.h"
#include "mlir/IR/Value.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace mlir::wyvern {

/// Orders the operations that make values so that few registers hold tiles at
/// once.
class RegionOrder {
public:
  /// Registers of a thread that tiles may take at once: what is left of all by
  /// addresses and what an operation needs.
  static constexpr int64_t kMostRegisters = 224;

  /// What the order is found by.
  struct Costs {
    /// The operation is lowered with what uses it.
    function_ref<bool(Operation *)> isMadeAtUse;
    /// The bytes of shared memory that the operation's result goes to; 0 where
    /// it goes to none.
    function_ref<int64_t(Operation *)> getStagedBytes;
    /// What holding a value costs a thread, 0 for what is not held in registers
    /// or costs little.
    function_ref<int64_t(Value)> getRegisters;
  };
  RegionOrder(Block &block, const Costs &costs);

  /// The operations that are not made at their use, in the order to lower them.
  ///
  /// Greedy: an operation that does not raise the live registers comes as soon
  /// as it can. Where all do, it is the one after which (and after all that
  /// then come for free) the fewest are live; of equals the first in the
  /// program.
  struct Order {
    SmallVector<Operation *> ops;
    int64_t registers, stagedBytes; ///< the most at once
  };
  Order compute() const;
  /// The same in the order of the program.
  Order keep() const;

private:
  /// An operation, and what is made with it.
  struct Unit {
    Operation *op;
    SmallVector<unsigned> needs; ///< units that come before
    SmallVector<unsigned> reads; ///< of these, whose registers it reads
    int64_t registers = 0;       ///< that hold its results
    int64_t stagedBytes = 0;     ///< of shared memory, until its users are done
    bool isLate = false;         ///< comes with its first user
  };
  class State;

  /// The next unit to take of those that raise the live registers; nothing
  /// where none is left.
  std::optional<unsigned> findBest(const State &state) const;
  void addUnit(Operation *op, const Costs &costs);
  Order getOrder(const State &state, ArrayRef<unsigned> order) const;

  SmallVector<Unit> units;
  DenseMap<Operation *, unsigned> numbers;
};

} // namespace mlir::wyvern

#endif // WYVERN_LIB_CONVERSION_SCHEDTOTILE_OPS_REGIONORDER_H
