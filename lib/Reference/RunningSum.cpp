//===- RunningSum.cpp - delta.running_sum, token by token -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Evaluate.h"

#include <cmath>

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::reference;

FailureOr<std::pair<NDArray, NDArray>>
mlir::wyvern::reference::evaluateRunningSum(delta::RunningSumOp op,
                                            const Environment &env) {
  if (op.getReadSlots())
    return op.emitError() << "has a pool, which the reference does not; it "
                             "takes an init and a total of sequences";
  auto lookup = [&](Value value) {
    return value ? &env.find(value)->second : nullptr;
  };
  const NDArray &x = *lookup(op.getX());
  const NDArray *init = lookup(op.getInit());
  FailureOr<SmallVector<Sequence>> sequences =
      getSequences(op, x.shape[0], x.shape[1], lookup(op.getCuSeqlens()));
  if (failed(sequences))
    return failure();
  auto count = static_cast<int64_t>(sequences->size());
  if (init && init->shape[0] != count)
    return op.emitError() << "expected what each of " << count
                          << " sequences starts from, found an array of shape "
                          << shapeString(*init);
  NDArray sums(x.shape), total({count, x.shape[2], x.shape[3]});
  if (init)
    total.data = init->data;
  int64_t width = x.shape[2] * x.shape[3];
  for (auto [n, sequence] : llvm::enumerate(*sequences)) {
    double *sum = total.data.data() + n * width;
    for (int64_t i = sequence.begin; i < sequence.end; ++i) {
      int64_t t = op.getReverse() ? sequence.begin + sequence.end - 1 - i : i;
      const double *added = x.row(sequence.batch, t, 0);
      double *into = sums.row(sequence.batch, t, 0);
      for (int64_t k = 0; k < width; ++k) {
        sum[k] += added[k];
        if (op.getWrapped())
          sum[k] = std::remainder(sum[k], 2 * M_PI);
        into[k] = sum[k];
      }
    }
  }
  return std::pair(std::move(sums), std::move(total));
}
