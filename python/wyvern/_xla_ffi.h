/*===- _xla_ffi.h - The part of XLA's FFI that we speak -----------*- C -*-===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|*===----------------------------------------------------------------------===*|
|*                                                                            *|
|* XLA calls a handler through a C interface that only grows: structs carry   *|
|* their size, and XLA says which version it is. So these declarations of     *|
|* version 0.3 serve every jaxlib that has a version from 0.1 on, and a build *|
|* needs none. test/python/xla_ffi_layout.cpp compares them with jaxlib's own *|
|* header (xla/ffi/api/c_api.h), where what is said here is explained.        *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#ifndef WYVERN_PYTHON_XLA_FFI_H
#define WYVERN_PYTHON_XLA_FFI_H

#include <stddef.h>
#include <stdint.h>

namespace wyvern::xla {

/// The newest version whose structs are declared here, of major version 0.
constexpr int kMinorVersion = 3;

struct Error;            // XLA's
struct ExecutionContext; // XLA's

struct Extension {
  size_t structSize;
  int type; // kMetadata
  Extension *next;
};
constexpr int kMetadata = 1;

struct ApiVersion {
  size_t structSize;
  Extension *extensions;
  int major, minor;
};

/// What XLA asks of a handler before it calls it.
struct Metadata {
  size_t structSize;
  ApiVersion apiVersion;
  uint32_t traits;
};
/// The handler enqueues the same operations each time: they can be captured
/// into a command buffer (a CUDA graph) and replayed.
constexpr uint32_t kCommandBufferCompatible = 1;

struct MetadataExtension {
  Extension base;
  Metadata *metadata;
};

enum class ErrorCode : int { invalidArgument = 3, internal = 13 };

struct ErrorCreateArgs {
  size_t structSize;
  Extension *extensions;
  const char *message;
  ErrorCode code;
};

struct StreamGetArgs {
  size_t structSize;
  Extension *extensions;
  ExecutionContext *context;
  void *stream; // out: a CUstream
};

struct DeviceOrdinalGetArgs {
  size_t structSize;
  Extension *extensions;
  ExecutionContext *context;
  int32_t ordinal; // out
};

struct Api {
  size_t structSize;
  Extension *extensions;
  ApiVersion version;
  const void *internal;
  Error *(*createError)(ErrorCreateArgs *);
  void *skipped1[3]; // GetMessage, Destroy, Handler_Register
  Error *(*getStream)(StreamGetArgs *);
  void *skipped2[12]; // Type_Register to RunId_Get
  Error *(*getDeviceOrdinal)(DeviceOrdinalGetArgs *);
};

enum class DataType : int {
  s32 = 4,
  s64 = 5,
  u8 = 6,
  f16 = 10,
  f32 = 11,
  f64 = 12,
  bf16 = 16
};

/// A dense array, slowest dimension first.
struct Buffer {
  size_t structSize;
  Extension *extensions;
  DataType dtype;
  void *data;
  int64_t rank;
  int64_t *dims;
};

/// The arguments, or the results. `types` says of each that it is a buffer,
/// which there is no other kind of.
struct Buffers {
  size_t structSize;
  Extension *extensions;
  int64_t size;
  int *types;
  Buffer **buffers;
};

struct ByteSpan {
  const char *data;
  size_t size;
};
constexpr int kStringAttribute = 4;

struct Attributes {
  size_t structSize;
  Extension *extensions;
  int64_t size;
  int *types;
  ByteSpan **names;
  void **values; // a ByteSpan * for a string
};

enum class Stage : int { instantiate, prepare, initialize, execute };

struct CallFrame {
  size_t structSize;
  Extension *extensions;
  const Api *api;
  ExecutionContext *context;
  Stage stage;
  Buffers arguments, results;
  Attributes attributes;
};

using Handler = Error *(CallFrame *);

} // namespace wyvern::xla

#endif // WYVERN_PYTHON_XLA_FFI_H
