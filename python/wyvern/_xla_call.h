//===- _xla_call.h - What our handlers of XLA's FFI share -------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A handler serves all programs of its kind. Which one a call is of stands in
// its attribute `program`: a name and not an address, since XLA may keep an
// executable for another process.
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_PYTHON_XLA_CALL_H
#define WYVERN_PYTHON_XLA_CALL_H

#include "_xla_ffi.h"

#include <algorithm>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace wyvern::xla {

/// Programs by name. They stay for as long as the process, as executables that
/// call them may.
template <typename Program> class Registry {
public:
  void add(const std::string &name, Program program) {
    std::lock_guard<std::mutex> lock(mutex);
    programs.emplace(name, program);
  }

  /// Returns null where there is no program of this name.
  const Program *find(std::string_view name) {
    std::lock_guard<std::mutex> lock(mutex);
    auto found = programs.find(std::string(name));
    return found == programs.end() ? nullptr : &found->second;
  }

private:
  std::mutex mutex;
  std::unordered_map<std::string, Program> programs;
};

/// Answers what XLA asks before it uses a handler, and returns whether this is
/// such a call.
inline bool answerMetadata(CallFrame *frame, uint32_t traits) {
  if (!frame->extensions || frame->extensions->type != kMetadata)
    return false;
  auto *asked = reinterpret_cast<MetadataExtension *>(frame->extensions);
  // A newer XLA takes what we know, an older one has no more than it has.
  int minor = frame->api ? std::min(frame->api->version.minor, kMinorVersion)
                         : kMinorVersion;
  asked->metadata->apiVersion = {sizeof(ApiVersion), nullptr, 0, minor};
  asked->metadata->traits = traits;
  return true;
}

inline Error *fail(const CallFrame *frame, const std::string &message,
                   ErrorCode code = ErrorCode::invalidArgument) {
  ErrorCreateArgs args = {sizeof(args), nullptr, message.c_str(), code};
  return frame->api->createError(&args);
}

/// Returns the attribute `program`; empty if there is none.
inline std::string_view getProgramName(const CallFrame *frame) {
  const Attributes &attributes = frame->attributes;
  for (int64_t i = 0; i < attributes.size; ++i) {
    const ByteSpan &name = *attributes.names[i];
    if (std::string_view(name.data, name.size) != "program" ||
        attributes.types[i] != kStringAttribute)
      continue;
    auto *value = static_cast<const ByteSpan *>(attributes.values[i]);
    return {value->data, value->size};
  }
  return {};
}

/// The error of a program that nobody has registered in this process.
inline Error *failUnknown(const CallFrame *frame) {
  return fail(frame,
              "the program '" + std::string(getProgramName(frame)) +
                  "' is not known in this process: an executable that was "
                  "made by another one needs the same wyvern.jax.op(spec), "
                  "traced once, before it runs");
}

/// Whether a buffer stands for a tensor that is not given, or not wanted: it
/// has the one dimension 0, as no tensor of a program has.
inline bool isAbsent(const Buffer &buffer) {
  return buffer.rank == 1 && buffer.dims[0] == 0;
}

inline const char *getName(DataType dtype) {
  switch (dtype) {
  case DataType::s32:
    return "i32";
  case DataType::s64:
    return "i64";
  case DataType::u8:
    return "u8";
  case DataType::f16:
    return "f16";
  case DataType::f32:
    return "f32";
  case DataType::f64:
    return "f64";
  case DataType::bf16:
    return "bf16";
  }
  return "another type";
}

} // namespace wyvern::xla

#endif // WYVERN_PYTHON_XLA_CALL_H
