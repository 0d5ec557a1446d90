//===- Tile.td - All of the tile dialect ----------------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_TILE_IR_TILE
#define WYVERN_DIALECT_TILE_IR_TILE

include "wyvern/Dialect/Tile/IR/TileDecayOps.td"
include "wyvern/Dialect/Tile/IR/TileEraseOps.td"
include "wyvern/Dialect/Tile/IR/TileLaunchOps.td"
include "wyvern/Dialect/Tile/IR/TileRegisterOps.td"
include "wyvern/Dialect/Tile/IR/TileRingOps.td"
include "wyvern/Dialect/Tile/IR/TileSpreadOps.td"
include "wyvern/Dialect/Tile/IR/TileTarget.td"
include "wyvern/Dialect/Tile/IR/TileTokenOps.td"

#endif // WYVERN_DIALECT_TILE_IR_TILE
