//===- ChunkOpsNames.cpp - Names of tensors and tiles in printed IR -------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A result has the name under which its function returns it. A tile has the
// name of its tensor, in capitals where it is a matrix: %K is the tile of the
// argument "k". The tensor between two programs is called as the tile that is
// yielded for it: %Z is read as %Z again.
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/IR/Delta.h"

#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

/// Returns `name` as papers write it: with a capital for a matrix (Q, and dQ
/// for the gradient d_q) and a small letter for others.
static std::string nameTile(StringRef name, Value tile) {
  bool isMatrix = getTileRank(tile) >= 2;
  StringRef prefix = isMatrix && name.consume_front("d_") ? "d" : "";
  if (name.empty())
    return {};
  char first =
      isMatrix ? llvm::toUpper(name.front()) : llvm::toLower(name.front());
  return (prefix + Twine(first) + name.drop_front()).str();
}

void delta::nameTiles(Operation *op, ArrayRef<StringRef> names,
                      OpAsmSetValueNameFn setName) {
  for (auto [result, name] : llvm::zip(op->getResults(), names))
    setName(result, nameTile(name, result));
}

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

/// Returns the name under which a function returns `tensor`; empty if none.
static StringRef getReturnedName(Value tensor) {
  for (OpOperand &use : tensor.getUses()) {
    auto function =
        dyn_cast_or_null<FunctionOpInterface>(use.getOwner()->getParentOp());
    if (!function || !use.getOwner()->hasTrait<OpTrait::ReturnLike>())
      continue;
    if (auto name = function.getResultAttrOfType<StringAttr>(
            use.getOperandNumber(), kNameAttr))
      return name;
  }
  return {};
}

static std::string nameTensor(Value tensor);

/// Returns the name of a tile in a program's region; empty if it has none.
static std::string getTileName(Value tile) {
  if (Value in = ChunkProgramOpInterface::getInOfTile(tile))
    return nameTensor(in);
  std::string name;
  if (auto def = tile.getDefiningOp<OpAsmOpInterface>())
    def.getAsmResultNames([&](Value result, StringRef given) {
      if (result == tile)
        name = given.lower();
    });
  return name;
}

/// Returns the name of a tensor; empty if it has none.
static std::string nameTensor(Value tensor) {
  if (auto arg = dyn_cast<BlockArgument>(tensor)) {
    auto function =
        dyn_cast_or_null<FunctionOpInterface>(arg.getOwner()->getParentOp());
    auto name = function ? function.getArgAttrOfType<StringAttr>(
                               arg.getArgNumber(), kNameAttr)
                         : StringAttr();
    return name ? name.str() : std::string();
  }
  if (StringRef name = getReturnedName(tensor); !name.empty())
    return name.str();
  // IR that does not verify is printed too, and may have no such tile.
  auto program = tensor.getDefiningOp<ChunkProgramOpInterface>();
  auto yield = program && !program.getBlock().empty()
                   ? dyn_cast<YieldOp>(program.getBlock().back())
                   : YieldOp();
  unsigned number = cast<OpResult>(tensor).getResultNumber();
  if (!yield || number >= program.getOuts().size() ||
      number >= yield.getOuts().size())
    return {};
  return getTileName(yield.getOuts()[number]);
}

//===----------------------------------------------------------------------===//
// Chunk programs
//===----------------------------------------------------------------------===//

static void nameArguments(ChunkProgramOpInterface program,
                          OpAsmSetValueNameFn setName) {
  if (program.getBlock().getNumArguments() !=
      1 + program.getIns().size() + program.getInits().size())
    return; // does not verify
  setName(program.getValid(), "n");
  for (auto [i, in] : llvm::enumerate(program.getIns()))
    if (std::string name = nameTensor(in); !name.empty())
      setName(program.getInArg(i), nameTile(name, program.getInArg(i)));
  for (unsigned i = 0; i < program.getInits().size(); ++i)
    setName(program.getCarryArg(i), nameTile("s", program.getCarryArg(i)));
}

/// Names the returned ones of `results`, and groups of others by `kind`.
static void nameResults(ValueRange results, StringRef kind,
                        OpAsmSetValueNameFn setName) {
  bool inGroup = false;
  for (Value result : results) {
    StringRef name = getReturnedName(result);
    if (!name.empty() || !inGroup)
      setName(result, name.empty() ? kind : name);
    inGroup = name.empty();
  }
}

void ChunkScanOp::getAsmBlockArgumentNames(Region &,
                                           OpAsmSetValueNameFn setName) {
  nameArguments(*this, setName);
}
void ChunkScanOp::getAsmResultNames(OpAsmSetValueNameFn setName) {
  nameResults(getOuts(), "outs", setName);
  nameResults(getFinals(), "finals", setName);
  if (Value kept = getKept())
    nameResults(kept, "kept", setName);
}

void ChunkMapOp::getAsmBlockArgumentNames(Region &,
                                          OpAsmSetValueNameFn setName) {
  nameArguments(*this, setName);
}
void ChunkMapOp::getAsmResultNames(OpAsmSetValueNameFn setName) {
  nameResults(getOuts(), "outs", setName);
}
