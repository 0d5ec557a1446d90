//===- TileDialect.cpp - Registration of the tile dialect ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Tile/IR/Tile.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::wyvern::tile;

#include "wyvern/Dialect/Tile/IR/TileDialect.cpp.inc"
#include "wyvern/Dialect/Tile/IR/TileEnums.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "wyvern/Dialect/Tile/IR/TileAttrs.cpp.inc"

#define GET_TYPEDEF_CLASSES
#include "wyvern/Dialect/Tile/IR/TileTypes.cpp.inc"

#define GET_OP_CLASSES
#include "wyvern/Dialect/Tile/IR/Tile.cpp.inc"

void TileDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "wyvern/Dialect/Tile/IR/TileAttrs.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "wyvern/Dialect/Tile/IR/TileTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "wyvern/Dialect/Tile/IR/Tile.cpp.inc"
      >();
}
