//===- _rt_xla.cpp - GPU programs, called by XLA --------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Arguments are the inputs of the program in order, then cu_seqlens; results
// its outputs, then a workspace. What is not given or not wanted is absent
// (_xla_call.h). All memory is XLA's, so a captured call can be replayed;
// kernels are loaded in the stage before, which is never captured.
//
//===----------------------------------------------------------------------===//

#include "_rt_xla.h"

#include "_xla_call.h"

#include <vector>

namespace xla = wyvern::xla;

namespace {
struct Known {
  wyvern_program *program;
  const wyvern_program_desc *desc;
};

/// The tensors of a call in the order of the descriptor, cu_seqlens aside.
struct Tensors {
  std::vector<wyvern_tensor> values;
  wyvern_tensor offsets = {};
  bool isPacked = false;
};
} // namespace

static xla::Registry<Known> &getRegistry() {
  static xla::Registry<Known> registry;
  return registry;
}

/// The last error of the runtime as XLA's.
static xla::Error *failOfRuntime(const xla::CallFrame *frame) {
  return xla::fail(frame, wyvern_last_error(), xla::ErrorCode::internal);
}

static bool isOfDtype(xla::DataType found, wyvern_dtype expected) {
  switch (expected) {
  case WYVERN_BF16:
    return found == xla::DataType::bf16;
  case WYVERN_F16:
    return found == xla::DataType::f16;
  case WYVERN_F32:
    return found == xla::DataType::f32;
  case WYVERN_F64:
    return found == xla::DataType::f64;
  case WYVERN_I32:
    return found == xla::DataType::s32;
  case WYVERN_I64:
    return found == xla::DataType::s64;
  }
  return false;
}

/// Describes a buffer. A null pointer means to the runtime that a tensor is
/// absent, so one without an element gets an address that nobody reads.
static wyvern_tensor describe(const xla::Buffer &buffer, wyvern_dtype dtype,
                              int32_t device) {
  static char nothing alignas(16);
  void *data = buffer.data ? buffer.data : &nothing;
  return wyvern_tensor_dense(data, dtype, device,
                             static_cast<uint32_t>(buffer.rank), buffer.dims);
}

/// Adds the tensor of a descriptor to `tensors`.
static xla::Error *addTensor(const xla::CallFrame *frame, const Known &known,
                             const wyvern_tensor_desc &desc,
                             const xla::Buffer &buffer, int32_t device,
                             Tensors &tensors) {
  if (xla::isAbsent(buffer)) {
    tensors.values.push_back({});
    return nullptr;
  }
  if (!isOfDtype(buffer.dtype, desc.dtype) || buffer.rank > WYVERN_MAX_RANK)
    return xla::fail(frame, std::string(known.desc->name) + ": '" + desc.name +
                                "' has another type (" +
                                xla::getName(buffer.dtype) + " of rank " +
                                std::to_string(buffer.rank) +
                                ") than the program was compiled for");
  tensors.values.push_back(describe(buffer, desc.dtype, device));
  return nullptr;
}

/// Puts the arguments and results of a call into the descriptor's order.
static xla::Error *collect(const xla::CallFrame *frame, const Known &known,
                           int32_t device, Tensors &tensors) {
  const xla::Buffers &arguments = frame->arguments, &results = frame->results;
  int64_t numInputs = 0, numOutputs = 0;
  for (uint32_t i = 0; i < known.desc->num_tensors; ++i) {
    const wyvern_tensor_desc &desc = known.desc->tensors[i];
    bool isInput = desc.role == WYVERN_INPUT;
    const xla::Buffers &buffers = isInput ? arguments : results;
    int64_t at = isInput ? numInputs++ : numOutputs++;
    if (at + 1 >= buffers.size) // the last one is not of the descriptor
      return xla::fail(frame, std::string(known.desc->name) +
                                  ": the call has too few tensors");
    if (xla::Error *error = addTensor(frame, known, desc, *buffers.buffers[at],
                                      device, tensors))
      return error;
  }
  const xla::Buffer &offsets = *arguments.buffers[arguments.size - 1];
  tensors.isPacked = !xla::isAbsent(offsets);
  bool isWide = offsets.dtype == xla::DataType::s64;
  if (tensors.isPacked)
    tensors.offsets =
        describe(offsets, isWide ? WYVERN_I64 : WYVERN_I32, device);
  return nullptr;
}

static xla::Error *launch(const xla::CallFrame *frame, const Known &known,
                          int32_t device) {
  Tensors tensors;
  if (xla::Error *error = collect(frame, known, device, tensors))
    return error;
  xla::StreamGetArgs stream = {sizeof(stream), nullptr, frame->context,
                               nullptr};
  if (xla::Error *error = frame->api->getStream(&stream))
    return error;
  // XLA aligns its buffers to less than the runtime asks for.
  const xla::Buffer &scratch = *frame->results.buffers[frame->results.size - 1];
  constexpr uintptr_t kMask = WYVERN_WORKSPACE_ALIGNMENT - 1;
  auto address = reinterpret_cast<uintptr_t>(scratch.data);
  uintptr_t start = (address + kMask) & ~kMask;
  size_t size = static_cast<size_t>(scratch.dims[0]), skipped = start - address;
  if (wyvern_program_launch(known.program, tensors.values.data(),
                            tensors.isPacked ? &tensors.offsets : nullptr,
                            reinterpret_cast<void *>(start),
                            size > skipped ? size - skipped : 0,
                            stream.stream) != WYVERN_OK)
    return failOfRuntime(frame);
  return nullptr;
}

static xla::Error *handle(xla::CallFrame *frame) {
  if (xla::answerMetadata(frame, xla::kCommandBufferCompatible))
    return nullptr;
  const Known *known = getRegistry().find(xla::getProgramName(frame));
  if (!known)
    return xla::failUnknown(frame);
  xla::DeviceOrdinalGetArgs device = {sizeof(device), nullptr, frame->context,
                                      0};
  if (xla::Error *error = frame->api->getDeviceOrdinal(&device))
    return error;
  if (frame->stage == xla::Stage::execute)
    return launch(frame, *known, device.ordinal);
  if (wyvern_program_prepare(known->program, device.ordinal) != WYVERN_OK)
    return failOfRuntime(frame);
  return nullptr;
}

void wyvern::addForXla(const std::string &name, wyvern_program *program,
                       const wyvern_program_desc *desc) {
  getRegistry().add(name, {program, desc});
}

void *wyvern::getXlaHandler() { return reinterpret_cast<void *>(&handle); }
