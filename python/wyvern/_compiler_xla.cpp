//===- _compiler_xla.cpp - CPU programs, called by XLA --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Arguments are the inputs of the program in order, results its results. A
// state that is not given (_xla_call.h) is zeros, a result that is not wanted
// is not written. Runs on XLA's thread, without the interpreter's lock.
//
//===----------------------------------------------------------------------===//

#include "_compiler_xla.h"

#include "_xla_call.h"

#include "llvm/Support/Error.h"

#include <cstring>
#include <numeric>

using namespace mlir::wyvern;
namespace xla = wyvern::xla;

static xla::Registry<const CpuProgram *> &getRegistry() {
  static xla::Registry<const CpuProgram *> registry;
  return registry;
}

static int64_t getBytes(llvm::StringRef dtype) {
  return dtype.ends_with("64") ? 8 : dtype.ends_with("32") ? 4 : 2;
}

static llvm::ArrayRef<int64_t> getShape(const xla::Buffer &buffer) {
  return {buffer.dims, static_cast<size_t>(buffer.rank)};
}

static int64_t getSize(llvm::ArrayRef<int64_t> shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1},
                         std::multiplies<>());
}

static CpuBuffer makeDense(void *data, llvm::ArrayRef<int64_t> shape) {
  CpuBuffer buffer{data, shape.vec(), std::vector<int64_t>(shape.size())};
  int64_t stride = 1;
  for (size_t i = shape.size(); i-- > 0; stride *= shape[i])
    buffer.strides[i] = stride;
  return buffer;
}

namespace {
/// The inputs of a call as the program takes them, and what had to be made.
struct Inputs {
  std::vector<CpuBuffer> buffers;
  std::vector<std::vector<int64_t>> offsets;
  std::vector<std::vector<char>> zeros;
};
} // namespace

/// Returns how many states there are: one a sequence of cu_seqlens, or one a
/// row of the batch.
static int64_t countSequences(const CpuProgram &program,
                              const xla::Buffers &arguments) {
  int64_t batch = 0;
  for (auto [i, tensor] : llvm::enumerate(program.getInputs())) {
    const xla::Buffer &buffer = *arguments.buffers[i];
    if (tensor.name == "cu_seqlens" && !xla::isAbsent(buffer))
      return buffer.dims[0] - 1;
    bool timed = llvm::any_of(tensor.dims, [](delta::BoundDim dim) {
      return dim.kind == delta::DimKind::time;
    });
    if (timed && buffer.rank > 0)
      batch = buffer.dims[0];
  }
  return batch;
}

/// Adds an input to `inputs`. Offsets may come in 32 bits, which is all that
/// JAX has unless told otherwise; a state may be missing.
static llvm::Error addInput(const CpuTensor &tensor, const xla::Buffer &buffer,
                            int64_t sequences, Inputs &inputs) {
  llvm::StringRef found = xla::getName(buffer.dtype);
  if (tensor.name == "cu_seqlens" && found == "i32") {
    auto *data = static_cast<const int32_t *>(buffer.data);
    inputs.offsets.emplace_back(data, data + buffer.dims[0]);
    inputs.buffers.push_back(
        makeDense(inputs.offsets.back().data(), getShape(buffer)));
    return llvm::Error::success();
  }
  if (xla::isAbsent(buffer) && tensor.name != "cu_seqlens") {
    std::vector<int64_t> shape = tensor.shape;
    shape[0] = sequences;
    inputs.zeros.emplace_back(getSize(shape) * getBytes(tensor.dtype));
    inputs.buffers.push_back(makeDense(inputs.zeros.back().data(), shape));
    return llvm::Error::success();
  }
  if (found != tensor.dtype)
    return llvm::createStringError(tensor.name + ": expected elements of " +
                                   tensor.dtype + ", found " + found);
  inputs.buffers.push_back(makeDense(buffer.data, getShape(buffer)));
  return llvm::Error::success();
}

/// Refuses a log decay above 0, as a call from Python does.
static llvm::Error checkGate(const CpuTensor &tensor, const CpuBuffer &buffer) {
  auto isPositive = [&](auto *data) {
    return std::any_of(data, data + getSize(buffer.shape),
                       [](auto x) { return x > 0; });
  };
  if (tensor.dtype == "f64" ? isPositive(static_cast<double *>(buffer.data))
                            : isPositive(static_cast<float *>(buffer.data)))
    return llvm::createStringError(
        tensor.name + ": expected log decays, none above 0; pass log(alpha) "
                      "for a decay factor alpha");
  return llvm::Error::success();
}

static llvm::Error copyResult(const CpuTensor &tensor, const CpuResult &result,
                              const xla::Buffer &buffer) {
  if (xla::isAbsent(buffer))
    return llvm::Error::success();
  if (xla::getName(buffer.dtype) != tensor.dtype ||
      getShape(buffer) != llvm::ArrayRef(result.buffer.shape))
    return llvm::createStringError("the result " + tensor.name +
                                   " is not of the type that was announced");
  int64_t bytes = getSize(result.buffer.shape) * getBytes(tensor.dtype);
  if (bytes)
    std::memcpy(buffer.data, result.buffer.data, bytes);
  return llvm::Error::success();
}

static llvm::Error run(const CpuProgram &program, const xla::CallFrame &frame) {
  const xla::Buffers &arguments = frame.arguments, &results = frame.results;
  if (static_cast<size_t>(arguments.size) != program.getInputs().size() ||
      static_cast<size_t>(results.size) != program.getResults().size())
    return llvm::createStringError(
        "expected %zu arguments and %zu results, found %lld and %lld",
        program.getInputs().size(), program.getResults().size(),
        (long long)arguments.size, (long long)results.size);
  Inputs inputs;
  int64_t sequences = countSequences(program, arguments);
  for (auto [i, tensor] : llvm::enumerate(program.getInputs())) {
    if (llvm::Error error =
            addInput(tensor, *arguments.buffers[i], sequences, inputs))
      return error;
    if (tensor.isGate)
      if (llvm::Error error = checkGate(tensor, inputs.buffers.back()))
        return error;
  }
  llvm::Expected<std::vector<CpuResult>> made = program.run(inputs.buffers);
  if (!made)
    return made.takeError();
  for (auto [i, tensor] : llvm::enumerate(program.getResults()))
    if (llvm::Error error = copyResult(tensor, (*made)[i], *results.buffers[i]))
      return error;
  return llvm::Error::success();
}

static xla::Error *handle(xla::CallFrame *frame) {
  if (xla::answerMetadata(frame, /*traits=*/0))
    return nullptr;
  auto *program = getRegistry().find(xla::getProgramName(frame));
  if (!program)
    return xla::failUnknown(frame);
  if (llvm::Error error = run(**program, *frame))
    return xla::fail(frame, (*program)->getName().str() + ": " +
                                llvm::toString(std::move(error)));
  return nullptr;
}

void wyvern::addForXla(const std::string &name, const CpuProgram &program) {
  getRegistry().add(name, &program);
}

void *wyvern::getXlaHandler() { return reinterpret_cast<void *>(&handle); }
