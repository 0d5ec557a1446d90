//===- DimClasses.cpp - Which dimensions range over the same thing --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/Analysis/DimClasses.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

DimClasses::DimClasses(ChunkProgramOpInterface program) {
  addBlock(program.getBlock());
  ValueRange carried = program.getYield().getCarries();
  for (auto [i, tile] : llvm::enumerate(carried))
    join(program.getCarryArg(i), tile);
}

//===----------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------===//

void DimClasses::addBlock(Block &block) {
  for (Operation &op : block)
    if (auto tileOp = dyn_cast<ChunkRegionOpInterface>(op))
      addOp(tileOp);
}

/// A result varies along a loop if some operand does, or the place along it
/// matters; its other dimensions are uniform.
void DimClasses::markUniform(Operation *op, ArrayRef<TileLoop> loops) {
  for (Value result : op->getResults())
    for (int64_t dim = 0; dim < getTileRank(result); ++dim)
      uniform.insert({result, dim});
  auto isResult = [&](Dim dim) { return dim.first.getDefiningOp() == op; };
  for (const TileLoop &loop : loops)
    if (loop.isTime || loop.isPlaced || llvm::any_of(loop.dims, [&](Dim dim) {
          return !isResult(dim) && !isUniform(dim);
        }))
      for (Dim dim : loop.dims)
        if (isResult(dim))
          uniform.erase(dim);
}

void DimClasses::addOp(ChunkRegionOpInterface op) {
  SmallVector<TileLoop> loops = op.getLoops();
  markUniform(op, loops);
  for (const TileLoop &loop : loops) {
    auto isVarying = [&](Dim dim) { return !isUniform(dim); };
    const Dim *first = llvm::find_if(loop.dims, isVarying);
    if (first != loop.dims.end()) {
      for (Dim dim : loop.dims)
        join(*first, dim);
      if (loop.isMixed)
        mixed[op].push_back(number(*first));
      continue;
    }
    for (Dim operand : loop.dims)
      for (Dim result : loop.dims)
        if (operand.first.getDefiningOp() != op &&
            result.first.getDefiningOp() == op)
          met[operand].push_back(result);
  }
}

//===----------------------------------------------------------------------===//
// Classes
//===----------------------------------------------------------------------===//

unsigned DimClasses::number(Dim dim) {
  auto [it, isNew] =
      numbers.try_emplace(dim, static_cast<unsigned>(numbers.size()));
  if (isNew)
    classes.insert(it->second);
  return it->second;
}

void DimClasses::join(Dim a, Dim b) {
  if (isUniform(a) && isUniform(b))
    return;
  if (isUniform(a))
    met[a].push_back(b);
  else if (isUniform(b))
    met[b].push_back(a);
  else
    classes.unionSets(number(a), number(b));
}

void DimClasses::join(Value a, Value b) {
  for (int64_t dim = 0; dim < getTileRank(a); ++dim)
    join(Dim{a, dim}, Dim{b, dim});
}

bool DimClasses::areSame(Dim a, Dim b) const {
  auto first = numbers.find(a), second = numbers.find(b);
  if (first == numbers.end() || second == numbers.end())
    return a == b;
  return classes.isEquivalent(first->second, second->second);
}

bool DimClasses::meets(Dim dim, Dim other) const {
  auto it = met.find(dim);
  return areSame(dim, other) ||
         (it != met.end() && llvm::any_of(it->second, [&](Dim next) {
            return meets(next, other);
          }));
}

bool DimClasses::mixes(Operation *op, Dim dim) const {
  auto it = numbers.find(dim);
  if (it == numbers.end())
    return false;
  return llvm::any_of(mixed.lookup(op), [&](unsigned other) {
    return classes.isEquivalent(it->second, other);
  });
}
