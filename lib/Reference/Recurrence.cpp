//===- Recurrence.cpp - delta.recurrence, token by token ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Written to be compared with the op's description by eye, not to be fast.
//
//===----------------------------------------------------------------------===//

#include "Evaluate.h"

#include "llvm/ADT/bit.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::reference;

namespace {
/// A step with its operands' arrays; absent ones are null.
struct Step {
  const NDArray *write, *erase, *value, *written, *rate;
  double constantRate;
  int64_t repeat;
  bool beforeDecay;
};

class RecurrenceEvaluator {
public:
  RecurrenceEvaluator(delta::RecurrenceOp op, const Environment &env);

  FailureOr<std::pair<NDArray, NDArray>> run();

private:
  const NDArray *lookup(Value value) const {
    return value ? &env.find(value)->second : nullptr;
  }
  LogicalResult verifyRows(const Twine &what, const NDArray *array,
                           int64_t repeat);
  LogicalResult verify();
  void runSequence(int64_t n, Sequence sequence, int64_t head);
  void runToken(int64_t batch, int64_t t, int64_t head, bool writes,
                std::vector<double> &state);
  void readState(int64_t batch, int64_t t, int64_t head, double scale,
                 const std::vector<double> &state);
  void runLevels(int64_t n, Sequence sequence, int64_t head);
  void resumeLevels(int64_t n, Sequence sequence, int64_t head);
  void decayState(std::vector<double> &state, const double *g);
  void applyStep(const Step &step, int64_t batch, int64_t row, int64_t head,
                 bool writes, const std::vector<double> &read,
                 std::vector<double> &state);
  /// Row `t` of `array` for a value head: heads come in equal groups.
  const double *row(const NDArray *array, int64_t batch, int64_t t,
                    int64_t head) const {
    return array->row(batch, t, head / (heads / array->shape[2]));
  }

  delta::RecurrenceOp op;
  const Environment &env;
  const NDArray *query, *decay, *init, *cuSeqlens, *levelScales, *positions;
  SmallVector<Step> steps;
  int64_t heads, K, V;
  double scale;
  NDArray output, finalState;
};
} // namespace

RecurrenceEvaluator::RecurrenceEvaluator(delta::RecurrenceOp op,
                                         const Environment &env)
    : op(op), env(env), query(lookup(op.getQuery())),
      decay(lookup(op.getDecay())), init(lookup(op.getInitialState())),
      cuSeqlens(lookup(op.getCuSeqlens())),
      levelScales(lookup(op.getLevelScales())),
      positions(lookup(op.getPositions())), heads(op.getValueHeads()),
      K(op.getKeyDim()), V(op.getValueDim()),
      scale(op.getScale().convertToDouble()) {
  for (const delta::RecurrenceOp::Step &step : op.getStepList())
    steps.push_back({lookup(step.write), lookup(step.erase), lookup(step.value),
                     lookup(step.written), lookup(step.rate), step.constantRate,
                     step.repeat, step.beforeDecay});
}

//===----------------------------------------------------------------------===//
// What types leave open: dynamic sizes and the contents of cu_seqlens
//===----------------------------------------------------------------------===//

LogicalResult RecurrenceEvaluator::verifyRows(const Twine &what,
                                              const NDArray *array,
                                              int64_t repeat) {
  if (!array || (array->shape[0] == query->shape[0] &&
                 array->shape[1] == query->shape[1] * repeat))
    return success();
  return op.emitError() << "expected " << what << " of batch size "
                        << query->shape[0] << " and "
                        << query->shape[1] * repeat
                        << " rows, as the query has, found an array of shape "
                        << shapeString(*array);
}

LogicalResult RecurrenceEvaluator::verify() {
  if (failed(verifyRows("decay", decay, 1)) ||
      failed(verifyRows("level scales", levelScales, 1)))
    return failure();
  for (auto [i, step] : llvm::enumerate(steps))
    for (const NDArray *operand :
         {step.write, step.erase, step.value, step.written, step.rate})
      if (failed(verifyRows("the operands of step #" + Twine(i), operand,
                            step.repeat)))
        return failure();
  return success();
}

//===----------------------------------------------------------------------===//
// The recurrence
//===----------------------------------------------------------------------===//

/// S <- Diag(exp(g)) S
void RecurrenceEvaluator::decayState(std::vector<double> &state,
                                     const double *g) {
  bool channel = decay->getRank() == 4;
  for (int64_t k = 0; k < K; ++k) {
    double alpha = std::exp(g[channel ? k : 0]);
    for (int64_t v = 0; v < V; ++v)
      state[k * V + v] *= alpha;
  }
}

/// S <- S + x (y - b e^T S*), where S* is `read`; without y unless it `writes`.
void RecurrenceEvaluator::applyStep(const Step &step, int64_t batch,
                                    int64_t row, int64_t head, bool writes,
                                    const std::vector<double> &read,
                                    std::vector<double> &state) {
  double b =
      step.rate ? *this->row(step.rate, batch, row, head) : step.constantRate;
  std::vector<double> u(V, 0.0);
  if (step.erase) {
    const double *e = this->row(step.erase, batch, row, head);
    for (int64_t k = 0; k < K; ++k)
      for (int64_t v = 0; v < V; ++v)
        u[v] -= b * e[k] * read[k * V + v];
  }
  if (writes && (step.value || step.written)) {
    const double *y =
        this->row(step.value ? step.value : step.written, batch, row, head);
    for (int64_t v = 0; v < V; ++v)
      u[v] += step.value ? b * y[v] : y[v];
  }
  const double *x = this->row(step.write, batch, row, head);
  for (int64_t k = 0; k < K; ++k)
    for (int64_t v = 0; v < V; ++v)
      state[k * V + v] += x[k] * u[v];
}

/// The decay and the steps of token `t`.
void RecurrenceEvaluator::runToken(int64_t batch, int64_t t, int64_t head,
                                   bool writes, std::vector<double> &state) {
  std::vector<double> previous;
  if (llvm::any_of(steps, [](const Step &step) { return step.beforeDecay; }))
    previous = state;
  if (decay)
    decayState(state, row(decay, batch, t, head));
  for (const Step &step : steps)
    for (int64_t i = 0; i < step.repeat; ++i)
      applyStep(step, batch, t * step.repeat + i, head, writes,
                step.beforeDecay ? previous : state, state);
}

/// o <- o + scale q^T S
void RecurrenceEvaluator::readState(int64_t batch, int64_t t, int64_t head,
                                    double scale,
                                    const std::vector<double> &state) {
  const double *q = row(query, batch, t, head);
  double *o = output.row(batch, t, head);
  for (int64_t k = 0; k < K; ++k)
    for (int64_t v = 0; v < V; ++v)
      o[v] += scale * q[k] * state[k * V + v];
}

void RecurrenceEvaluator::runSequence(int64_t n, Sequence sequence,
                                      int64_t head) {
  std::vector<double> state(K * V, 0.0);
  if (init) {
    const double *from = init->data.data() + (n * heads + head) * K * V;
    state.assign(from, from + K * V);
  }
  for (int64_t t = sequence.begin; t < sequence.end; ++t) {
    runToken(sequence.batch, t, head, /*writes=*/true, state);
    readState(sequence.batch, t, head, scale, state);
  }
  llvm::copy(state, finalState.data.begin() + (n * heads + head) * K * V);
}

/// As a Fenwick tree is kept: before token t the levels below the lowest set
/// bit of t fill, and go up into the level of that bit; every level then decays
/// and is erased from, and token t is written to level 0.
void RecurrenceEvaluator::runLevels(int64_t n, Sequence sequence,
                                    int64_t head) {
  int64_t count = op.getNumLevels();
  std::vector<std::vector<double>> levels(count,
                                          std::vector<double>(K * V, 0.0));
  auto moveUp = [&](int64_t from, int64_t to) {
    for (int64_t i = 0; i < K * V; ++i)
      levels[to][i] += std::exchange(levels[from][i], 0.0);
  };
  for (int64_t t = sequence.begin; t < sequence.end; ++t) {
    if (auto position = static_cast<uint64_t>(t - sequence.begin)) {
      int64_t bit = llvm::countr_zero(position);
      for (int64_t l = 0; l <= bit; ++l)
        moveUp(l, bit + 1);
    }
    const double *scales = levelScales->row(sequence.batch, t, head * count);
    for (int64_t l = 0; l < count; ++l) {
      runToken(sequence.batch, t, head, /*writes=*/l == 0, levels[l]);
      readState(sequence.batch, t, head, scale * scales[l], levels[l]);
    }
  }
  for (int64_t l = 0; l + 1 < count; ++l)
    moveUp(l, count - 1);
  llvm::copy(levels.back(),
             finalState.data.begin() + (n * heads + head) * K * V);
}

/// A state that goes on elsewhere is not moved up: what a level reads in the
/// second half of 2^l tokens it has been given in the first.
void RecurrenceEvaluator::resumeLevels(int64_t n, Sequence sequence,
                                       int64_t head) {
  int64_t count = op.getNumLevels();
  auto first = static_cast<int64_t>(positions->data[n]);
  for (int64_t l = 0; l < count; ++l) {
    int64_t number = ((n * heads + head) * count + l) * K * V;
    std::vector<double> state(K * V, 0.0);
    if (init)
      state.assign(init->data.data() + number,
                   init->data.data() + number + K * V);
    int64_t block = int64_t(1) << l;
    for (int64_t t = sequence.begin; t < sequence.end; ++t) {
      int64_t place = (first + t - sequence.begin) % block;
      if (place == 0)
        llvm::fill(state, 0.0);
      bool isFirst = 2 * place < block, reads = l == 0 || !isFirst;
      runToken(sequence.batch, t, head, /*writes=*/isFirst, state);
      double lam = levelScales->row(sequence.batch, t, head * count)[l];
      if (reads)
        readState(sequence.batch, t, head, scale * lam, state);
    }
    llvm::copy(state, finalState.data.begin() + number);
  }
}

FailureOr<std::pair<NDArray, NDArray>> RecurrenceEvaluator::run() {
  if (failed(verify()))
    return failure();
  FailureOr<SmallVector<Sequence>> sequences =
      getSequences(op, query->shape[0], query->shape[1], cuSeqlens);
  if (failed(sequences))
    return failure();
  int64_t count = sequences->size();
  if (init && init->shape[0] != count)
    return op.emitError() << "expected one initial state for each of " << count
                          << " sequences, found " << init->shape[0];
  for (const Sequence &sequence : *sequences)
    if (int64_t most = op.getMostTokens(); sequence.end - sequence.begin > most)
      return op.emitError()
             << "expected sequences of at most " << most << " tokens, of which "
             << op.getNumLevels() << " levels are, found one of "
             << sequence.end - sequence.begin;
  output = NDArray({query->shape[0], query->shape[1], heads, V});
  if (positions && positions->shape[0] != count)
    return op.emitError() << "expected one position for each of " << count
                          << " sequences, found " << positions->shape[0];
  int64_t states = heads * (positions ? op.getNumLevels() : 1);
  finalState = NDArray({count, states, K, V});
  for (auto [n, sequence] : llvm::enumerate(*sequences))
    for (int64_t head = 0; head < heads; ++head) {
      if (positions)
        resumeLevels(n, sequence, head);
      else if (levelScales)
        runLevels(n, sequence, head);
      else
        runSequence(n, sequence, head);
    }
  return std::pair(std::move(output), std::move(finalState));
}

FailureOr<std::pair<NDArray, NDArray>>
mlir::wyvern::reference::evaluateRecurrence(delta::RecurrenceOp op,
                                            const Environment &env) {
  return RecurrenceEvaluator(op, env).run();
}
