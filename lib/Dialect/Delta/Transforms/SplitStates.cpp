//===- SplitStates.cpp - States that meet a state, in two 16-bit parts ----===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A scan over segments multiplies whole states, and what it rounds there is in
// every chunk of all later segments. Its products are few: one a segment, where
// the chains have some for each chunk. So they are made of two parts of each
// operand, all but the product of the two small ones.
//
//===----------------------------------------------------------------------===//

#include "SplitStates.h"

#include "NarrowStorage.h"
#include "SplitStorage.h"

#include "wyvern/Dialect/Delta/Utils/ExtendProgram.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

/// Returns the operand of a program whose tile is `tile`, a matrix of a slot
/// that another program stores for this one alone; null for every other tile.
static OpOperand *findStoredState(Value tile) {
  Value in = ChunkProgramOpInterface::getInOfTile(tile);
  if (!in || getTileRank(tile) != 2 || !in.hasOneUse() ||
      !in.getDefiningOp<ChunkProgramOpInterface>())
    return nullptr;
  OpOperand &use = *in.use_begin();
  auto program = cast<ChunkProgramOpInterface>(use.getOwner());
  BindingAttr binding = program.getInBinding(use.getOperandNumber());
  return binding.has(DimKind::chunk) ? &use : nullptr;
}

namespace {
/// A product of the state that a scan carries and one that it loads.
struct StateProduct {
  linalg::ContractOp op;
  unsigned carried;

  Value getCarried() { return op.getInputs()[carried]; }
  Value getLoaded() { return op.getInputs()[1 - carried]; }
};
} // namespace

/// Returns a product of a state by a state that is not split; none if there is
/// none.
static std::optional<StateProduct> findStateProduct(Operation *root,
                                                    FloatType type) {
  std::optional<StateProduct> found;
  root->walk([&](linalg::ContractOp op) {
    auto scan = dyn_cast<ChunkScanOp>(op->getParentOp());
    if (!scan)
      return WalkResult::advance();
    for (unsigned i : {0u, 1u}) {
      StateProduct product{op, i};
      auto carry = dyn_cast<BlockArgument>(product.getCarried());
      bool isCarried = carry && carry.getArgNumber() > scan.getIns().size();
      if (isCarried && getElementTypeOrSelf(carry) != type &&
          findStoredState(product.getLoaded())) {
        found = product;
        return WalkResult::interrupt();
      }
    }
    return WalkResult::advance();
  });
  return found;
}

static Value truncate(OpBuilder &builder, Value tile, FloatType type) {
  auto wide = cast<RankedTensorType>(tile.getType());
  return arith::TruncFOp::create(builder, tile.getLoc(), wide.clone(type),
                                 tile);
}

/// Stores the state that `use` reads in two parts of `type`. Returns the tile
/// of the second; that of the first is what `use` had.
static Value splitStored(RewriterBase &rewriter, OpOperand &use,
                         FloatType type) {
  auto reader = cast<ChunkProgramOpInterface>(use.getOwner());
  BlockArgument tile = getTileOf(use);
  BindingAttr binding = reader.getInBinding(use.getOperandNumber());
  auto stored = cast<OpResult>(use.get());
  auto writer = cast<ChunkProgramOpInterface>(stored.getOwner());
  unsigned number = stored.getResultNumber();
  Value whole = writer.getYield().getOuts()[number];
  rewriter.setInsertionPoint(writer.getYield());
  Value rest =
      createRemainder(rewriter, whole, truncate(rewriter, whole, type));
  RankedTensorType narrow =
      cast<RankedTensorType>(stored.getType()).clone(type);
  stored.setType(narrow);
  Value low =
      addOut(rewriter, writer, rest, {narrow, writer.getOutBinding(number)});
  return addIn(rewriter, reader, low, binding, tile.getType());
}

/// Replaces the product by three: all pairs of parts but the small ones.
static void splitProduct(RewriterBase &rewriter, StateProduct product,
                         FloatType type) {
  linalg::ContractOp op = product.op;
  Value state = product.getCarried(), loaded = product.getLoaded();
  Value low = splitStored(rewriter, *findStoredState(loaded), type);
  Value sum = op.getOutputs().front();
  Value sumLow;
  if (OpOperand *stored = findStoredState(sum))
    sumLow = splitStored(rewriter, *stored, type);
  rewriter.setInsertionPoint(op);
  Location loc = op.getLoc();
  if (sumLow)
    sum = arith::AddFOp::create(rewriter, loc, sum, sumLow);
  Value high = truncate(rewriter, state, type);
  Value rest = truncate(rewriter, createRemainder(rewriter, state, high), type);
  Value a = truncate(rewriter, loaded, type), b = truncate(rewriter, low, type);
  for (auto [stateFactor, loadedFactor] :
       {std::pair(high, b), std::pair(rest, a), std::pair(high, a)}) {
    SmallVector<Value, 2> factors(2, stateFactor);
    factors[1 - product.carried] = loadedFactor;
    sum = linalg::ContractOp::create(rewriter, loc, op->getResultTypes(),
                                     factors, sum, op.getIndexingMaps())
              .getResult(0);
  }
  rewriter.replaceOp(op, sum);
}

unsigned delta::splitStates(RewriterBase &rewriter, Operation *root,
                            FloatType type) {
  unsigned number = 0;
  // Programs are made anew on the way, so each is looked for from the start.
  while (std::optional<StateProduct> product = findStateProduct(root, type)) {
    splitProduct(rewriter, *product, type);
    ++number;
  }
  return number;
}
