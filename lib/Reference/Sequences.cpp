//===- Sequences.cpp - Which tokens are of which sequence -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Evaluate.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::reference;

FailureOr<SmallVector<Sequence>>
mlir::wyvern::reference::getSequences(Operation *op, int64_t batch,
                                      int64_t time, const NDArray *cuSeqlens) {
  SmallVector<Sequence> sequences;
  if (!cuSeqlens || cuSeqlens->data.empty()) {
    for (int64_t n = 0; n < batch; ++n)
      sequences.push_back({n, 0, time});
    return sequences;
  }
  if (batch != 1)
    return op->emitError() << "packed sequences share batch row 0: expected "
                              "batch size 1 beside cu_seqlens, found "
                           << batch;
  int64_t last = 0;
  for (double entry : cuSeqlens->data) {
    auto at = static_cast<int64_t>(entry);
    if (at < last || at > time)
      return op->emitError()
             << "expected cu_seqlens that do not decrease, from "
                "0 or more to at most "
             << time << " tokens, found " << at << " after " << last;
    last = at;
  }
  for (size_t n = 0; n + 1 < cuSeqlens->data.size(); ++n)
    sequences.push_back({0, static_cast<int64_t>(cuSeqlens->data[n]),
                         static_cast<int64_t>(cuSeqlens->data[n + 1])});
  return sequences;
}
