//===- TokenMapBuilder.h - What a spec computes, as programs ----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_SPEC_TOKENMAPBUILDER_H
#define WYVERN_LIB_SPEC_TOKENMAPBUILDER_H

#include "wyvern/Dialect/Delta/IR/Delta.h"
#include "wyvern/Dialect/Delta/Utils/TileBuilder.h"
#include "wyvern/Spec/LayerSpec.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringMap.h"

namespace mlir::wyvern {

/// Writes `compute` of a spec as maps of chunks of one token, one for all that
/// has the same heads and rows a token. A decay a channel has its own, since
/// its chunks are read by other programs than those of keys, and so have rows
/// that are rotated, for what their gradients hold in registers.
class TokenMapBuilder {
public:
  /// `arguments` are those of the function, by name.
  /// Rows are stored as `element`, all else as `compute`.
  TokenMapBuilder(OpBuilder &builder, const LayerSpec &spec, Type element,
                  Type compute, const llvm::StringMap<Value> &arguments,
                  llvm::function_ref<Location(SMLoc)> getLoc)
      : builder(builder), spec(spec), element(element),
        compute(cast<FloatType>(compute)), arguments(arguments),
        getLoc(getLoc) {}

  /// Returns what the recurrence reads in the place of names that are computed.
  SmallVector<std::pair<std::string, Value>> build();
  /// Returns the last of each running sum, in order.
  ArrayRef<Value> getTotals() const { return totals; }

private:
  /// The outs of one map, and what it computes them of.
  struct Map {
    int64_t heads, repeat;
    std::string name; ///< of an only out; empty for whatever is alike
    SmallVector<SpecOperand> made;
    SmallVector<SpecOperand> read;
  };
  /// A tile of rows, channels, both or neither, or a number that fits any.
  struct Term {
    Value tile;
    double number = 0;
    bool hasRows = false, hasChannels = false;
  };

  void buildRunningSums();
  void collect();
  void addMade(const SpecOperand &operand);
  void addProduct(const SpecProduct &product, OperandRole role, int64_t repeat);
  bool hasValueHeads(const SpecOperand &operand);
  delta::ChunkMapOp buildMap(const Map &map);
  void addTiles(const Map &map, delta::ChunkMapOp op);
  RankedTensorType getOutType(const Map &map, const SpecOperand &made);
  delta::BindingAttr getBinding(const SpecOperand &operand);
  Value buildOut(const SpecOperand &made);
  Term emit(const Expression &value);
  Term emitDefinition(int number);
  Term emitBinary(Expression::Kind kind, Term a, Term b);
  Term emitCall(const Expression &value);
  Term emitRotation(const Expression &value);
  /// Returns `term` along the rows and channels that `like` has, as a tile.
  Value fit(const Term &term, const Term &like);

  OpBuilder &builder;
  const LayerSpec &spec;
  Type element;
  FloatType compute;
  const llvm::StringMap<Value> &arguments;
  llvm::function_ref<Location(SMLoc)> getLoc;
  /// By @number.
  llvm::StringMap<Value> runningSums;
  SmallVector<Value> totals;
  SmallVector<Map> maps;
  /// Of the map that is being built: the builder, the tiles of arguments and of
  /// definitions, rows a token, and channels.
  ImplicitLocOpBuilder *inside = nullptr;
  llvm::StringMap<Term> tiles;
  llvm::DenseMap<std::pair<int, int64_t>, Term> defined;
  int64_t rows = 1, channels = 0;
};

} // namespace mlir::wyvern

#endif // WYVERN_LIB_SPEC_TOKENMAPBUILDER_H
