//===- TileStorage.cpp - How a tile lies in memory ------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/Analysis/TileStorage.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

TileStorage delta::getStorage(Value value, ChunkProgramOpInterface program,
                              const TimeDims &timeDims, bool headsApart) {
  auto tile = cast<RankedTensorType>(value.getType());
  int time = timeDims.get(value).find_first();
  SmallVector<BoundDim> dims;
  SmallVector<int64_t> shape;
  auto add = [&](DimKind kind, int64_t size, int64_t multiple = 1) {
    dims.push_back({kind, multiple});
    shape.push_back(size);
  };
  // Without rows there is one slot a chunk.
  add(time < 0 ? DimKind::chunk : DimKind::seq, ShapedType::kDynamic);
  bool isHeadFirst = time != 0 || (headsApart && tile.getRank() == 1);
  if (isHeadFirst)
    add(DimKind::head, program.getHeads());
  for (auto [i, size] : llvm::enumerate(tile.getShape())) {
    if (static_cast<int>(i) != time) {
      add(DimKind::whole, size);
      continue;
    }
    int64_t chunk = program.getChunk(), rows = timeDims.getRows(value, i);
    if (rows == TimeDims::kUnknown)
      rows = size / chunk;
    add(DimKind::time, ShapedType::kDynamic, rows);
    if (size != chunk * rows)
      dims.back().rows = size;
    if (!isHeadFirst)
      add(DimKind::head, program.getHeads());
  }
  return {RankedTensorType::get(shape, tile.getElementType()),
          BindingAttr::get(value.getContext(), dims)};
}

int64_t delta::countFilledElements(Value tile) {
  constexpr int64_t kColumns = 64, kLeast = 32;
  int64_t count = 1;
  for (int64_t size : cast<RankedTensorType>(tile.getType()).getShape())
    count *= size > kLeast ? llvm::alignTo(size, kColumns) : size;
  return count;
}
