//===- FusedProgram.cpp - A map and the scan it feeds, as one -----*- C++
//-*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "FusedProgram.h"

#include "OwnMap.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;
using namespace mlir::wyvern::sched;

/// Returns the only map whose outs `scan` reads, and no other program: what
/// others read has to be in memory before they run.
static ChunkMapOp findMap(ChunkScanOp scan, std::string &why) {
  ChunkMapOp found;
  why = "no map computes an in of it";
  for (Value in : scan.getIns()) {
    auto map = in.getDefiningOp<ChunkMapOp>();
    if (!map || map == found)
      continue;
    if (feedsOthers(map, scan)) {
      why = "other programs read what its map computes too";
      continue;
    }
    if (found) {
      why = "it reads what two maps compute";
      return {};
    }
    found = map;
  }
  return found;
}

std::optional<FusedProgram> FusedProgram::match(ChunkScanOp scan,
                                                std::string &why) {
  ChunkMapOp map = findMap(scan, why);
  if (!map)
    return std::nullopt;
  if (map.getChunk() != scan.getChunk() || map.getHeads() != scan.getHeads() ||
      map.getCuSeqlens() != scan.getCuSeqlens() ||
      map.getCompute() != scan.getCompute()) {
    why = "its map has other chunks, heads or sequences";
    return std::nullopt;
  }
  for (auto [i, in] : llvm::enumerate(scan.getIns()))
    if (auto result = dyn_cast<OpResult>(in);
        result && result.getOwner() == map &&
        map.getOutBinding(result.getResultNumber()) != scan.getInBinding(i)) {
      why = "it reads an out of its map in another way than it is written";
      return std::nullopt;
    }
  FusedProgram program(map, scan);
  program.collectIns();
  return program;
}

unsigned FusedProgram::addIn(Value tensor, BindingAttr binding) {
  for (auto [i, in] : llvm::enumerate(ins))
    if (in.tensor == tensor && in.binding == binding)
      return i;
  ins.push_back({tensor, binding});
  return ins.size() - 1;
}

void FusedProgram::collectIns() {
  for (auto [i, in] : llvm::enumerate(map.getIns()))
    inOfTile[map.getInArg(i)] = addIn(in, map.getInBinding(i));
  for (auto [i, in] : llvm::enumerate(scan.getIns()))
    if (in.getDefiningOp() != map.getOperation())
      inOfTile[scan.getInArg(i)] = addIn(in, scan.getInBinding(i));
  for (OpResult out : map->getResults())
    if (llvm::any_of(out.getUsers(), [&](Operation *user) {
          return user != scan.getOperation();
        }))
      keptOuts.push_back(out.getResultNumber());
}

FusedProgram::Source FusedProgram::resolve(Value operand) const {
  if (auto it = inOfTile.find(operand); it != inOfTile.end())
    return {{}, it->second, {}};
  auto arg = dyn_cast<BlockArgument>(operand);
  if (!arg || arg.getOwner() != &scan.getBlock())
    return {operand, std::nullopt, {}};
  unsigned number = arg.getArgNumber();
  if (number == 0 || number > scan.getIns().size())
    return {operand, std::nullopt, {}}; // the valid tokens, or a carry
  auto out = cast<OpResult>(scan.getIns()[number - 1]);
  return {map.getYield().getOuts()[out.getResultNumber()], std::nullopt,
          getElementTypeOrSelf(out)};
}

bool FusedProgram::isFree(Operation *op) const {
  if (op->hasTrait<OpTrait::ConstantLike>() ||
      isa<tensor::EmptyOp, linalg::FillOp>(op))
    return true;
  auto rounded = dyn_cast<arith::TruncFOp>(op);
  if (!rounded)
    return false;
  Source source = resolve(rounded.getIn());
  Type to = getElementTypeOrSelf(rounded.getType());
  return source.in ? getElementTypeOrSelf(ins[*source.in].tensor) == to
                   : source.stored == to;
}
