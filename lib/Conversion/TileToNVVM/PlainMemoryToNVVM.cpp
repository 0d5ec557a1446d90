//===- PlainMemoryToNVVM.cpp - Tiles of f32 in shared memory ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Vectors lie plain, matrices in padded rows: no wgmma or TMA reads them, and
// ldmatrix has no 32-bit form.
//
//===----------------------------------------------------------------------===//

#include "Fragments.h"
#include "Patterns.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

/// Lanes of a warp: the elements of a warp-held vector lie one a lane.
static constexpr int64_t kLanes = 32;

//===----------------------------------------------------------------------===//
// Vectors
//===----------------------------------------------------------------------===//

static Value getAddress(Emitter &e, Value base, Value index, int64_t offset) {
  return e.add(base, e.mul(e.add(index, offset), 4));
}

/// A vector of f32 in shared memory, in any of its register layouts.
static Value readVector(Emitter &e, Value base, RankedTensorType type) {
  LayoutKind layout = *getLayout(type);
  int64_t size = type.getDimSize(0);
  SmallVector<Value> values;
  if (layout == LayoutKind::warp) {
    Value lane = e.urem(e.threadIdAgain(), kLanes);
    Value first = e.add(base, e.opaque(e.mul(lane, 4)));
    for (int64_t i = 0; i < size; i += kLanes)
      values.push_back(e.loadShared(e.f32(), e.add(first, 4 * i)));
    return e.vectorOf(values);
  }
  AccPosition at = AccPosition::get(e);
  bool isOfRows = layout == LayoutKind::row;
  Value first = e.add(base, e.opaque(e.mul(isOfRows ? at.row0 : at.col0, 4)));
  if (isOfRows) {
    for (int64_t i = 0; i < size; i += kAccRows)
      for (int64_t half : {0, 8})
        values.push_back(e.loadShared(e.f32(), e.add(first, 4 * (i + half))));
    return e.vectorOf(values);
  }
  for (int64_t i = 0; i < size; i += 8)
    values.append(e.loadSharedVector(e.f32(), 2, first, 4 * i));
  return e.vectorOf(values);
}

/// Each element by one of the threads that hold it.
static void writeVector(Emitter &e, ArrayRef<Value> values, Value base,
                        LayoutKind layout) {
  AccPosition at = AccPosition::get(e);
  auto isZero = [&](Value value) {
    return e.cmp(LLVM::ICmpPredicate::eq, value, e.c32(0));
  };
  switch (layout) {
  case LayoutKind::warp:
    return e.ifThen(isZero(e.warpInGroup()), [&] {
      for (auto [i, value] : llvm::enumerate(values))
        e.storeShared(value, getAddress(e, base, e.laneId(), i * kLanes));
    });
  case LayoutKind::row:
    // The four lanes of a row hold the same.
    return e.ifThen(isZero(at.col0), [&] {
      for (auto [i, value] : llvm::enumerate(values))
        e.storeShared(
            value, getAddress(e, base, at.row0, i / 2 * kAccRows + i % 2 * 8));
    });
  case LayoutKind::col:
    // Row 0 holds all columns, in four lanes.
    return e.ifThen(isZero(at.row0), [&] {
      for (size_t i = 0; i < values.size(); i += 2)
        e.storeSharedVector(values.slice(i, 2),
                            getAddress(e, base, at.col0, 4 * i));
    });
  case LayoutKind::acc:
    break;
  }
  llvm_unreachable("a vector has no acc layout");
}

void tile::emitCopyToWarp(Emitter &e, ArrayRef<Value> values, Value base) {
  // Lanes may still read what the place held.
  syncWarp(e);
  Value first = e.add(base, e.opaque(e.mul(e.laneId(), 4)));
  for (auto [i, value] : llvm::enumerate(values))
    e.storeShared(value, e.add(first, 4 * i * kLanes));
  syncWarp(e);
}

//===----------------------------------------------------------------------===//
// Matrices
//===----------------------------------------------------------------------===//

namespace {
/// Where the pairs of neighbours lie that a thread holds of an acc tile. With
/// `transposed` the matrix in memory is the transpose, and neighbours lie a row
/// apart.
class PlainAccess {
public:
  PlainAccess(Emitter &e, Value base, SmemType tile, bool transposed,
              int64_t firstRow)
      : e(e), rowBytes(transposed ? 4 : tile.getPaddedRowBytes()),
        colBytes(transposed ? tile.getPaddedRowBytes() : 4),
        transposed(transposed) {
    AccPosition at = AccPosition::get(e);
    address0 = e.add(e.add(base, firstRow * rowBytes),
                     e.add(e.mul(at.row0, rowBytes), e.mul(at.col0, colBytes)));
  }

  /// Elements i and i + 1, for an even i.
  SmallVector<Value> load(int64_t i) {
    if (!transposed)
      return e.loadSharedVector(e.f32(), 2, address(i));
    return {e.loadShared(e.f32(), address(i)),
            e.loadShared(e.f32(), address(i + 1))};
  }

  void store(ArrayRef<Value> pair, int64_t i) {
    if (!transposed)
      return e.storeSharedVector(pair, address(i));
    e.storeShared(pair[0], address(i));
    e.storeShared(pair[1], address(i + 1));
  }

private:
  Value address(int64_t i) {
    return e.add(address0, AccPosition::rowOffset(i) * rowBytes +
                               AccPosition::colOffset(i) * colBytes);
  }

  Emitter &e;
  int64_t rowBytes, colBytes;
  bool transposed;
  Value address0;
};
} // namespace

Value tile::readPlain(Emitter &e, Value base, SmemType tile,
                      RankedTensorType type, bool transposed,
                      int64_t firstRow) {
  if (type.getRank() == 1)
    return readVector(e, base, type);
  PlainAccess access(e, base, tile, transposed, firstRow);
  int64_t count = type.getNumElements() / kWarpgroupThreads;
  SmallVector<Value> values;
  for (int64_t i = 0; i < count; i += 2)
    values.append(access.load(i));
  return e.vectorOf(values);
}

void tile::writePlain(Emitter &e, WriteOp op, WriteOp::Adaptor adaptor) {
  SmallVector<Value> values = e.elements(adaptor.getValue());
  SmemType tile = op.getTile().getType();
  if (tile.getShape().size() == 1)
    return writeVector(e, values, adaptor.getTile(),
                       *getLayout(op.getValue().getType()));
  writePlainMatrix(e, values, adaptor.getTile(), tile, op.getTranspose(),
                   op.getBlock() * kAccRows);
}

void tile::writePlainMatrix(Emitter &e, ArrayRef<Value> values, Value base,
                            SmemType tile, bool transposed, int64_t firstRow) {
  PlainAccess access(e, base, tile, transposed, firstRow);
  for (size_t i = 0; i < values.size(); i += 2)
    access.store(values.slice(i, 2), i);
}
