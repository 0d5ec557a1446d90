//===- KernelBuilder.h - The kernel around a chunk program's region -----===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_CONVERSION_DELTATOTILE_KERNELBUILDER_H
#define WYVERN_LIB_CONVERSION_DELTATOTILE_KERNELBUILDER_H

#include "ChunkProgram.h"
#include "RegionLowering.h"

namespace mlir::wyvern {

/// Builds the tile.kernel of one chunk program: its arguments, the ring, the
/// producer's loads, the consumer's loop, and what is stored.
class KernelBuilder {
public:
  KernelBuilder(OpBuilder &builder, ChunkProgram program,
                const TileOrientation &orientation, const TensorNames &names,
                int64_t stages)
      : builder(builder), program(program), orientation(orientation),
        names(names), stages(stages), loc(program.op->getLoc()) {}

  /// Diagnoses operands and operations that the GPU path does not take.
  LogicalResult build(StringRef symbol);

  int64_t getNumProducts() const { return numProducts; }
  int64_t getNumStaged() const { return numStaged; }

private:
  /// Where the running chunk lies; all index values.
  struct Chunk {
    Value row = {};    ///< first token of the chunk in its batch row
    Value valid = {};  ///< tokens of it that are the sequence's
    Value number = {}; ///< of the chunk in its sequence
    /// Slot of the chunk; null where no operand has a chunk dimension.
    Value slot = {};
  };

  /// This block's part of a carry: in registers, and in its init and final.
  struct StateSlice {
    RankedTensorType type;
    SmallVector<Value> coords;
    SmallVector<int64_t> dims; ///< tensor dimensions behind rows and columns
  };

  void addArguments();
  void addRing();
  void locate();
  /// The block's chunk of this number.
  Chunk locateChunk(Value number);
  /// A loop over a scan's chunks; `body` gets the number of the ring's use, the
  /// chunk and the running carries, and returns the next ones.
  SmallVector<Value>
  visitChunks(ValueRange carries,
              function_ref<SmallVector<Value>(Value, Chunk, ValueRange)> body);
  /// A map's chunk, where its slot has one. No loop of one round: what could be
  /// moved out of it (addresses) would be held in registers all along.
  void visitChunk(function_ref<void(Value, Chunk)> body);
  void produce();
  void loadChunk(Value use, Chunk chunk);
  StateSlice locateState(unsigned i);
  LogicalResult consume();
  LogicalResult computeChunk(Value index, Chunk chunk, ValueRange carries,
                             SmallVectorImpl<Value> &next);
  void zeroTail(ArrayRef<Value> tiles, Chunk chunk);
  LogicalResult storeOut(RegionLowering &lowering, unsigned i, Chunk chunk);
  void storeState(Value tile, unsigned i, Chunk chunk);
  void storeMatrix(ArrayRef<Value> tiles, unsigned i, int64_t m, Chunk chunk);
  void zeroUnownedRows();
  void zeroUnownedRows(unsigned i);

  /// Coordinates of an operand's slice: `lane` where a whole dimension of the
  /// value is the lane dimension.
  SmallVector<Value> coordinates(delta::BindingAttr binding,
                                 RankedTensorType type, Chunk chunk,
                                 std::optional<int64_t> laneDim);
  /// True if some operand has a slot a chunk.
  bool hasSlots() const;
  Value addArgument(Type type, StringRef name);
  Value index(int64_t value);
  Value rows(Value tokens, delta::BindingAttr binding);
  /// The block's head in a head dimension of `size`.
  Value headOf(delta::BoundDim dim, int64_t size);

  OpBuilder &builder;
  ChunkProgram program;
  const TileOrientation &orientation;
  const TensorNames &names;
  int64_t stages;
  Location loc;

  tile::KernelOp kernel;
  tile::RolesOp roles;
  SmallVector<Attribute> operandNames;
  SmallVector<Value> inArgs, outArgs, initArgs, finalArgs, staging;
  Value cu, tokens, sequences;
  Value ring;
  SmallVector<Type> ringTiles;
  Value sequence, head, lane;                         // of this block
  Value batch, start, length, end, count, firstChunk; // of its sequence
  Value firstSlot; // of the first chunk that the block visits
  Value runSlot;   // of the run of chunks, where carries start anew with it
  int64_t numProducts = 0, numStaged = 0;
};

} // namespace mlir::wyvern

#endif // WYVERN_LIB_CONVERSION_DELTATOTILE_KERNELBUILDER_H
