//===- ProgramBuilder.h - A chunk program from parts of another -*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_PROGRAMBUILDER_H
#define WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_PROGRAMBUILDER_H

#include "wyvern/Dialect/Delta/Analysis/TileStorage.h"

#include "mlir/IR/PatternMatch.h"

namespace mlir::wyvern::delta {

/// Collects the ins, operations and outs of a new chunk program, all of them
/// parts of one scan.
class ProgramBuilder {
public:
  /// `ops`, in order, make `outs` and `carries` of the scan's ins and of what
  /// `addIn` brings.
  ProgramBuilder(ChunkScanOp scan, ArrayRef<Operation *> ops)
      : scan(scan), ops(ops) {}

  /// Brings in `tensor` what `tile` is in the scan's region.
  void addIn(Value tile, Value tensor, BindingAttr binding);
  /// Yields a tile of the scan's region as an out.
  void addOut(Value tile, TileStorage storage);
  /// Yields the out of the scan of this number as an out.
  void addScanOut(unsigned i);

  ChunkMapOp createMap(RewriterBase &rewriter);
  /// A scan with all carries of the old one.
  ChunkScanOp createScan(RewriterBase &rewriter);

private:
  void addScanIns();
  void buildBody(RewriterBase &rewriter, Region &body, ValueRange carryArgs,
                 ValueRange carries);

  ChunkScanOp scan;
  ArrayRef<Operation *> ops;
  SmallVector<Value> inTiles, ins, outTiles;
  SmallVector<Attribute> inBindings, outBindings;
  SmallVector<Type> outTypes;
};

/// The operations of `scan` that are in `set`, in order.
SmallVector<Operation *> inOrder(ChunkScanOp scan,
                                 const llvm::SmallPtrSetImpl<Operation *> &set);

/// The operations of the region from which `values` are computed, in order.
SmallVector<Operation *> sliceOf(ChunkScanOp scan, ValueRange values);

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_PROGRAMBUILDER_H
