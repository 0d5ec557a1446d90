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
  /// `ops`, in order, make `outs` and `carries` of the program's ins and of
  /// what `addIn` brings.
  ProgramBuilder(ChunkProgramOpInterface program, ArrayRef<Operation *> ops)
      : program(program), ops(ops) {}

  /// Brings in `tensor` what `tile` is in the program's region.
  void addIn(Value tile, Value tensor, BindingAttr binding);
  /// Yields a tile of the program's region as an out.
  void addOut(Value tile, TileStorage storage);
  /// Yields the out of the program of this number as an out.
  void addProgramOut(unsigned i);

  ChunkMapOp createMap(RewriterBase &rewriter);
  /// A scan with all carries of the old one, which is a scan.
  ChunkScanOp createScan(RewriterBase &rewriter);

private:
  void addProgramIns();
  void buildBody(RewriterBase &rewriter, Region &body, ValueRange carryArgs,
                 ValueRange carries);

  ChunkProgramOpInterface program;
  ArrayRef<Operation *> ops;
  SmallVector<Value> inTiles, ins, outTiles;
  SmallVector<Attribute> inBindings, outBindings;
  SmallVector<Type> outTypes;
};

/// The operations of `scan` that are in `set`, in order.
SmallVector<Operation *> inOrder(ChunkProgramOpInterface program,
                                 const llvm::SmallPtrSetImpl<Operation *> &set);

/// The operations of the region from which `values` are computed, in order.
SmallVector<Operation *> sliceOf(ChunkProgramOpInterface program,
                                 ValueRange values);

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_PROGRAMBUILDER_H
