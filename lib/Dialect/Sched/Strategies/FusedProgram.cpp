//===- FusedProgram.cpp - A map and a scan, seen as one -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "FusedProgram.h"

#include "OwnMap.h"

#include "wyvern/Dialect/Delta/Utils/Training.h"
#include "wyvern/Dialect/Tile/IR/Tile.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Remarks.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;
using namespace mlir::wyvern::sched;

/// Returns the only map whose outs `scan` reads, and nothing in front of it:
/// what is read there has to be in memory before.
static ChunkMapOp findMap(ChunkScanOp scan, std::string &why) {
  ChunkMapOp found;
  why = "no map computes an in of it";
  for (Value in : scan.getIns()) {
    auto map = in.getDefiningOp<ChunkMapOp>();
    if (!map || map == found)
      continue;
    if (isReadBefore(map, scan)) {
      why = "programs in front of it read what its map computes too";
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

/// Returns the only map that reads outs of `scan`.
static ChunkMapOp findMapBehind(ChunkScanOp scan, std::string &why) {
  ChunkMapOp found;
  for (Value out : scan.getOuts())
    for (Operation *user : out.getUsers()) {
      auto map = dyn_cast<ChunkMapOp>(user);
      if (map && found && map != found) {
        why = "two maps read what it computes";
        return {};
      }
      if (map)
        found = map;
    }
  if (!found)
    why = "no map reads an out of it";
  return found;
}

std::string FusedProgram::checkFit(ChunkMapOp map, ChunkScanOp scan,
                                   Program first, Program second) {
  if (map.getChunk() != scan.getChunk() || map.getHeads() != scan.getHeads() ||
      map.getCuSeqlens() != scan.getCuSeqlens() ||
      map.getCompute() != scan.getCompute())
    return "its map has other chunks, heads or sequences";
  for (auto [i, in] : llvm::enumerate(second.getIns()))
    if (auto result = dyn_cast<OpResult>(in);
        result && result.getOwner() == first &&
        (result.getResultNumber() >= first.getOuts().size() ||
         first.getOutBinding(result.getResultNumber()) !=
             second.getInBinding(i)))
      return first == map.getOperation()
                 ? "it reads an out of its map in another way than it is "
                   "written"
                 : "its map reads an out of it in another way than it is "
                   "written";
  return {};
}

std::optional<FusedProgram> FusedProgram::match(ChunkScanOp scan,
                                                std::string &why) {
  ChunkMapOp map = findMap(scan, why);
  if (!map)
    return std::nullopt;
  auto first = cast<Program>(map.getOperation());
  auto second = cast<Program>(scan.getOperation());
  why = checkFit(map, scan, first, second);
  if (!why.empty())
    return std::nullopt;
  return FusedProgram(map, scan, first, second);
}

std::optional<FusedProgram> FusedProgram::matchBehind(ChunkScanOp scan,
                                                      std::string &why) {
  ChunkMapOp map = findMapBehind(scan, why);
  if (!map)
    return std::nullopt;
  auto first = cast<Program>(scan.getOperation());
  auto second = cast<Program>(map.getOperation());
  why = checkFit(map, scan, first, second);
  if (!why.empty())
    return std::nullopt;
  return FusedProgram(map, scan, first, second);
}

void FusedProgram::decline(ChunkScanOp scan, StringRef name, StringRef why) {
  remark::missed(scan.getLoc(),
                 remark::RemarkOpts::name("NotFused").category(name))
      << ("the scan keeps a kernel of its own: " + why).str();
}

unsigned FusedProgram::addIn(Value tensor, BindingAttr binding) {
  for (auto [i, in] : llvm::enumerate(ins))
    if (in.tensor == tensor && in.binding == binding)
      return i;
  ins.push_back({tensor, binding});
  return ins.size() - 1;
}

void FusedProgram::collectIns() {
  for (Program program : {first, second})
    for (auto [i, in] : llvm::enumerate(program.getIns()))
      if (in.getDefiningOp() != first)
        inOfTile[program.getInArg(i)] = addIn(in, program.getInBinding(i));
}

void FusedProgram::addOuts(Program program) {
  // What a scan writes is its purpose; of the outs of a map that feeds it, and
  // of a scan that feeds a map, those that others read too.
  for (auto [i, out] : llvm::enumerate(program.getOuts()))
    if (program == second || llvm::any_of(out.getUsers(), [&](Operation *user) {
          return user != second;
        }))
      outs.push_back({program.getYield().getOuts()[i], cast<OpResult>(out),
                      program.getOutBinding(i)});
}

bool FusedProgram::Out::isSaved() const {
  return llvm::any_of(tensor.getUses(), delta::isSavedBy);
}

std::optional<unsigned> FusedProgram::getCarry(Value value) const {
  auto arg = dyn_cast_or_null<BlockArgument>(value);
  unsigned before = 1 + scan.getIns().size();
  if (!arg || arg.getOwner() != &scan.getBlock() || arg.getArgNumber() < before)
    return std::nullopt;
  return arg.getArgNumber() - before;
}

int64_t FusedProgram::countCarried(int64_t parts) const {
  constexpr int64_t kThreads = 32 * tile::kWarpgroupWarps;
  int64_t elements = 0;
  for (Value carry : scan.getYield().getCarries())
    elements += cast<RankedTensorType>(carry.getType()).getNumElements();
  return elements / parts / kThreads;
}

FusedProgram::Source FusedProgram::resolve(Value operand) const {
  if (auto it = inOfTile.find(operand); it != inOfTile.end())
    return {{}, it->second, {}};
  auto arg = dyn_cast<BlockArgument>(operand);
  if (!arg || arg.getOwner() != &second.getBlock())
    return {operand, std::nullopt, {}};
  unsigned number = arg.getArgNumber();
  if (number == 0 || number > second.getIns().size())
    return {operand, std::nullopt, {}}; // the valid tokens, or a carry
  auto out = cast<OpResult>(second.getIns()[number - 1]);
  return {first.getYield().getOuts()[out.getResultNumber()], std::nullopt,
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
