//===- SpreadToNVVM.cpp - Sums and systems on the CUDA cores ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A thread's part of a spread tile is a vector, row-major, so that all but the
// sums over lanes is bookkeeping of registers.
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"

#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

namespace {
/// The elements of a spread tile that this thread holds, by their place.
class ThreadTile {
public:
  ThreadTile(Emitter &e, Type type, Value vector)
      : shape(getSpread(type).getThreadShape(
            cast<RankedTensorType>(type).getShape())),
        strides(computeStrides(shape)), elements(e.elements(vector)) {}

  Value operator()(ArrayRef<int64_t> at) const {
    return elements[linearize(at, strides)];
  }

private:
  SmallVector<int64_t> shape, strides;
  SmallVector<Value> elements;
};
} // namespace

/// Calls `body` with every place of a shape, the last dimension fastest.
static void forEachPlace(ArrayRef<int64_t> shape,
                         function_ref<void(ArrayRef<int64_t>)> body) {
  SmallVector<int64_t> strides = computeStrides(shape);
  for (int64_t n = 0, end = ShapedType::getNumElements(shape); n < end; ++n)
    body(delinearize(n, strides));
}

static SmallVector<int64_t> getThreadShape(Type type) {
  return getSpread(type).getThreadShape(
      cast<RankedTensorType>(type).getShape());
}

//===----------------------------------------------------------------------===//
// tile.contract
//===----------------------------------------------------------------------===//

static constexpr int64_t kBytes = 4; // of an f32

namespace {
class ContractEmitter {
public:
  ContractEmitter(Emitter &e, ContractOp op, ContractOp::Adaptor adaptor)
      : e(e), op(op), a(e, op.getA().getType(), adaptor.getA()),
        b(e, op.getB().getType(), adaptor.getB()),
        c(e, op.getC().getType(), adaptor.getC()),
        scratch(adaptor.getScratch()),
        maps(op.getMaps().getAsValueRange<AffineMapAttr>()),
        loops(op.getLoopSpreads()), summed(op.getSummedLoops()) {
    for (unsigned loop : summed)
      extents.push_back(loops[loop].second /
                        (loops[loop].first.lanes * loops[loop].first.warps));
  }

  Value emit();

private:
  /// The place in an operand where the loops are at `at`.
  SmallVector<int64_t> getPlace(unsigned operand, ArrayRef<int64_t> at) {
    return llvm::map_to_vector(
        maps[operand].getResults(), [&](AffineExpr expr) {
          return at[cast<AffineDimExpr>(expr).getPosition()];
        });
  }
  bool areLanesSummed() {
    return scratch || llvm::any_of(summed, [&](unsigned loop) {
             return loops[loop].first.lanes > 1;
           });
  }
  /// What this thread holds of the sum for one element, added to `sum` if there
  /// is one.
  Value sumOwn(SmallVector<int64_t> at, Value sum);
  /// The sum over the lanes that share what is summed over.
  Value sumLanes(Value sum);
  /// Sums of all warps of all blocks, in their order, of those of each.
  SmallVector<Value> sumWarps(ArrayRef<Value> sums);
  void storeSums(ArrayRef<Value> sums, Value to);
  void sendSums(ArrayRef<Value> sums, Value offset);

  Emitter &e;
  ContractOp op;
  ThreadTile a, b, c;
  Value scratch;
  SmallVector<AffineMap> maps;
  SmallVector<std::pair<DimSpread, int64_t>> loops;
  SmallVector<unsigned> summed;
  SmallVector<int64_t> extents; ///< of the summed loops in this thread
};
} // namespace

Value ContractEmitter::sumOwn(SmallVector<int64_t> at, Value sum) {
  forEachPlace(extents, [&](ArrayRef<int64_t> place) {
    for (auto [loop, index] : llvm::zip_equal(summed, place))
      at[loop] = index;
    Value x = a(getPlace(0, at)), y = b(getPlace(1, at));
    sum = sum ? LLVM::FMAOp::create(e.builder, e.loc, x, y, sum).getResult()
              : LLVM::FMulOp::create(e.builder, e.loc, x, y).getResult();
  });
  return sum;
}

Value ContractEmitter::sumLanes(Value sum) {
  for (unsigned loop : summed) {
    const DimSpread &dim = loops[loop].first;
    for (int64_t distance = 1; distance < dim.lanes; distance *= 2)
      sum = LLVM::FAddOp::create(e.builder, e.loc, sum,
                                 e.shuffleXor(sum, distance * dim.step));
  }
  return sum;
}

/// The sums of a warp, one behind the other, in its place of `to`.
void ContractEmitter::storeSums(ArrayRef<Value> sums, Value to) {
  for (auto [i, sum] : llvm::enumerate(sums))
    e.storeShared(sum, e.add(to, static_cast<int64_t>(i) * kBytes));
}

/// The same in the scratch of each block that sums with this one: lane i has
/// that of number i.
void ContractEmitter::sendSums(ArrayRef<Value> sums, Value offset) {
  auto blocks = static_cast<int64_t>(op.getBlocks());
  Value rank =
      e.ptx("mov.u32 $0, %cluster_ctarank;", "=r", {}, e.i32()).front();
  Value own = e.urem(rank, blocks);
  Value lane = e.laneId();
  Value place = e.add(scratch, offset);
  place =
      e.add(place, e.mul(own, op.getSummedWarps() *
                                  static_cast<int64_t>(sums.size()) * kBytes));
  Value isSender = e.cmp(LLVM::ICmpPredicate::ult, lane, e.c32(blocks));
  e.ifThen(isSender, [&] {
    Value target = e.add(e.sub(rank, own), lane);
    Value there = e.ptx("mapa.shared::cluster.u32 $0, $1, $2;", "=r,r,r",
                        {place, target}, e.i32())
                      .front();
    for (auto [i, sum] : llvm::enumerate(sums))
      e.ptx("st.shared::cluster.f32 [$0], $1;", "r,f,~{memory}",
            {e.add(there, static_cast<int64_t>(i) * kBytes), sum}, {});
  });
}

SmallVector<Value> ContractEmitter::sumWarps(ArrayRef<Value> sums) {
  int64_t count = static_cast<int64_t>(sums.size()),
          warps = op.getSummedWarps();
  bool isOfBlocks = op.getBlocks() > 1;
  auto meet = [&] {
    if (!isOfBlocks) {
      e.ptx("bar.sync 0;", "~{memory}", {}, {});
      return;
    }
    emitClusterArrive(e);
    emitClusterWait(e);
  };
  // What was there has been read, and the blocks whose it is have begun.
  meet();
  Value offset = e.mul(e.udiv(e.threadId(), 32), count * kBytes);
  if (isOfBlocks)
    sendSums(sums, offset);
  else
    e.ifThen(e.cmp(LLVM::ICmpPredicate::eq, e.laneId(), e.c32(0)),
             [&] { storeSums(sums, e.add(scratch, offset)); });
  meet();
  SmallVector<Value> totals;
  int64_t parts = warps * static_cast<int64_t>(op.getBlocks());
  for (int64_t i = 0; i < count; ++i)
    for (int64_t part = 0; part < parts; ++part) {
      Value sum =
          e.loadShared(e.f32(), e.add(scratch, (part * count + i) * kBytes));
      if (part == 0)
        totals.push_back(sum);
      else
        totals.back() =
            LLVM::FAddOp::create(e.builder, e.loc, totals.back(), sum);
    }
  return totals;
}

Value ContractEmitter::emit() {
  SmallVector<Value> results, starts;
  bool exchanges = areLanesSummed();
  bool isFromZero = matchPattern(op.getC(), m_PosZeroFloat());
  forEachPlace(
      getThreadShape(op.getD().getType()), [&](ArrayRef<int64_t> place) {
        SmallVector<int64_t> at(loops.size(), 0);
        for (auto [expr, index] : llvm::zip_equal(maps[2].getResults(), place))
          at[cast<AffineDimExpr>(expr).getPosition()] = index;
        Value start = isFromZero ? Value() : c(place);
        if (!exchanges)
          return results.push_back(sumOwn(at, start));
        results.push_back(sumLanes(sumOwn(at, Value())));
        starts.push_back(start);
      });
  if (scratch)
    results = sumWarps(results);
  for (auto [result, start] : llvm::zip(results, starts))
    if (start)
      result = LLVM::FAddOp::create(e.builder, e.loc, result, start);
  return e.vectorOf(results);
}

namespace {
struct ContractPattern : OpConversionPattern<ContractOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(ContractOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    rewriter.replaceOp(op, ContractEmitter(e, op, adaptor).emit());
    return success();
  }
};

//===----------------------------------------------------------------------===//
// tile.rearrange, tile.solve_rows
//===----------------------------------------------------------------------===//

struct RearrangePattern : OpConversionPattern<RearrangeOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(RearrangeOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    auto source = cast<RankedTensorType>(op.getSource().getType());
    ThreadTile tile(e, source, adaptor.getSource());
    SmallVector<Value> results;
    forEachPlace(
        getThreadShape(op.getResult().getType()), [&](ArrayRef<int64_t> place) {
          SmallVector<int64_t> at(source.getRank(), 0);
          for (auto [dim, index] : llvm::zip_equal(op.getFrom(), place))
            if (dim >= 0)
              at[dim] = index;
          results.push_back(tile(at));
        });
    rewriter.replaceOp(op, e.vectorOf(results));
    return success();
  }
};

struct SolveRowsPattern : OpConversionPattern<SolveRowsOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(SolveRowsOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    ThreadTile l(e, op.getL().getType(), adaptor.getL());
    ThreadTile rate(e, op.getRate().getType(), adaptor.getRate());
    ThreadTile w(e, op.getW().getType(), adaptor.getW());
    SmallVector<int64_t> shape = getThreadShape(op.getW().getType());
    int64_t columns = shape[1];
    SmallVector<Value> u;
    forEachPlace(shape, [&](ArrayRef<int64_t> place) {
      int64_t row = place[0], column = place[1];
      Value value = w(place);
      for (int64_t earlier = 0; earlier < row; ++earlier) {
        Value factor =
            LLVM::FNegOp::create(rewriter, op.getLoc(), l({row, earlier}));
        value = LLVM::FMAOp::create(rewriter, op.getLoc(), factor,
                                    u[earlier * columns + column], value);
      }
      u.push_back(
          LLVM::FMulOp::create(rewriter, op.getLoc(), rate({row}), value));
    });
    rewriter.replaceOp(op, e.vectorOf(u));
    return success();
  }
};
} // namespace

void tile::populateSpreadPatterns(LLVMTypeConverter &converter,
                                  RewritePatternSet &patterns) {
  patterns.add<ContractPattern, RearrangePattern, SolveRowsPattern>(
      converter, patterns.getContext());
}
