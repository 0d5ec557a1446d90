//===- xla_ffi_caller.cpp - Calls a handler as XLA does
//--------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// For test_xla_ffi.py. Compiled against jaxlib's own header, which it compares
// with the declarations that the handlers are built against.
//
//===----------------------------------------------------------------------===//

#include "../../python/wyvern/_xla_ffi.h"

#include "xla/ffi/api/c_api.h"

#include <cstring>
#include <string>
#include <vector>

namespace ours = wyvern::xla;

//===----------------------------------------------------------------------===//
// The declarations
//===----------------------------------------------------------------------===//

#define SAME_FIELD(mine, field, theirs, other)                                 \
  static_assert(offsetof(ours::mine, field) == offsetof(theirs, other) &&      \
                sizeof(ours::mine::field) == sizeof(theirs::other))

SAME_FIELD(Extension, structSize, XLA_FFI_Extension_Base, struct_size);
SAME_FIELD(Extension, type, XLA_FFI_Extension_Base, type);
SAME_FIELD(Extension, next, XLA_FFI_Extension_Base, next);
SAME_FIELD(ApiVersion, major, XLA_FFI_Api_Version, major_version);
SAME_FIELD(ApiVersion, minor, XLA_FFI_Api_Version, minor_version);
SAME_FIELD(Metadata, apiVersion, XLA_FFI_Metadata, api_version);
SAME_FIELD(Metadata, traits, XLA_FFI_Metadata, traits);
SAME_FIELD(MetadataExtension, metadata, XLA_FFI_Metadata_Extension, metadata);
SAME_FIELD(ErrorCreateArgs, message, XLA_FFI_Error_Create_Args, message);
SAME_FIELD(ErrorCreateArgs, code, XLA_FFI_Error_Create_Args, errc);
SAME_FIELD(StreamGetArgs, context, XLA_FFI_Stream_Get_Args, ctx);
SAME_FIELD(StreamGetArgs, stream, XLA_FFI_Stream_Get_Args, stream);
SAME_FIELD(DeviceOrdinalGetArgs, context, XLA_FFI_DeviceOrdinal_Get_Args, ctx);
SAME_FIELD(DeviceOrdinalGetArgs, ordinal, XLA_FFI_DeviceOrdinal_Get_Args,
           device_ordinal);
SAME_FIELD(Api, version, XLA_FFI_Api, api_version);
SAME_FIELD(Api, createError, XLA_FFI_Api, XLA_FFI_Error_Create);
SAME_FIELD(Api, getStream, XLA_FFI_Api, XLA_FFI_Stream_Get);
SAME_FIELD(Api, getDeviceOrdinal, XLA_FFI_Api, XLA_FFI_DeviceOrdinal_Get);
SAME_FIELD(Buffer, dtype, XLA_FFI_Buffer, dtype);
SAME_FIELD(Buffer, data, XLA_FFI_Buffer, data);
SAME_FIELD(Buffer, rank, XLA_FFI_Buffer, rank);
SAME_FIELD(Buffer, dims, XLA_FFI_Buffer, dims);
SAME_FIELD(Buffers, size, XLA_FFI_Args, size);
SAME_FIELD(Buffers, buffers, XLA_FFI_Args, args);
SAME_FIELD(Buffers, buffers, XLA_FFI_Rets, rets);
SAME_FIELD(ByteSpan, data, XLA_FFI_ByteSpan, ptr);
SAME_FIELD(ByteSpan, size, XLA_FFI_ByteSpan, len);
SAME_FIELD(Attributes, size, XLA_FFI_Attrs, size);
SAME_FIELD(Attributes, types, XLA_FFI_Attrs, types);
SAME_FIELD(Attributes, names, XLA_FFI_Attrs, names);
SAME_FIELD(Attributes, values, XLA_FFI_Attrs, attrs);
SAME_FIELD(CallFrame, api, XLA_FFI_CallFrame, api);
SAME_FIELD(CallFrame, context, XLA_FFI_CallFrame, ctx);
SAME_FIELD(CallFrame, stage, XLA_FFI_CallFrame, stage);
SAME_FIELD(CallFrame, arguments, XLA_FFI_CallFrame, args);
SAME_FIELD(CallFrame, results, XLA_FFI_CallFrame, rets);
SAME_FIELD(CallFrame, attributes, XLA_FFI_CallFrame, attrs);

#define SAME_VALUE(mine, theirs)                                               \
  static_assert(static_cast<int>(ours::mine) == static_cast<int>(theirs))

SAME_VALUE(kMetadata, XLA_FFI_Extension_Metadata);
SAME_VALUE(kStringAttribute, XLA_FFI_AttrType_STRING);
SAME_VALUE(kCommandBufferCompatible,
           XLA_FFI_HANDLER_TRAITS_COMMAND_BUFFER_COMPATIBLE);
SAME_VALUE(ErrorCode::invalidArgument, XLA_FFI_Error_Code_INVALID_ARGUMENT);
SAME_VALUE(ErrorCode::internal, XLA_FFI_Error_Code_INTERNAL);
SAME_VALUE(DataType::s32, XLA_FFI_DataType_S32);
SAME_VALUE(DataType::s64, XLA_FFI_DataType_S64);
SAME_VALUE(DataType::u8, XLA_FFI_DataType_U8);
SAME_VALUE(DataType::f16, XLA_FFI_DataType_F16);
SAME_VALUE(DataType::f32, XLA_FFI_DataType_F32);
SAME_VALUE(DataType::f64, XLA_FFI_DataType_F64);
SAME_VALUE(DataType::bf16, XLA_FFI_DataType_BF16);
SAME_VALUE(Stage::initialize, XLA_FFI_ExecutionStage_INITIALIZE);
SAME_VALUE(Stage::execute, XLA_FFI_ExecutionStage_EXECUTE);

//===----------------------------------------------------------------------===//
// XLA, as far as a handler sees it
//===----------------------------------------------------------------------===//

static std::string message;

static XLA_FFI_Error *createError(XLA_FFI_Error_Create_Args *args) {
  message = args->message;
  return reinterpret_cast<XLA_FFI_Error *>(&message);
}

static XLA_FFI_Error *getStream(XLA_FFI_Stream_Get_Args *args) {
  args->stream = reinterpret_cast<void *>(0x77);
  return nullptr;
}

static XLA_FFI_Error *getDevice(XLA_FFI_DeviceOrdinal_Get_Args *args) {
  args->device_ordinal = 1;
  return nullptr;
}

static XLA_FFI_Api makeApi(int minor) {
  XLA_FFI_Api api = {};
  api.struct_size = sizeof(api);
  api.api_version = {sizeof(XLA_FFI_Api_Version), nullptr, 0, minor};
  api.XLA_FFI_Error_Create = createError;
  api.XLA_FFI_Stream_Get = getStream;
  api.XLA_FFI_DeviceOrdinal_Get = getDevice;
  return api;
}

extern "C" {

/// What a handler answers to an XLA of API version 0.`minor`: its own minor
/// version and its traits.
void ask_metadata(XLA_FFI_Handler *handler, int minor, int *version,
                  unsigned *traits) {
  XLA_FFI_Api api = makeApi(minor);
  XLA_FFI_Metadata metadata = {sizeof(metadata)};
  XLA_FFI_Metadata_Extension extension = {
      {sizeof(extension), XLA_FFI_Extension_Metadata, nullptr}, &metadata};
  XLA_FFI_CallFrame frame = {};
  frame.struct_size = sizeof(frame);
  frame.extension_start = &extension.extension_base;
  frame.api = &api;
  handler(&frame);
  *version = metadata.api_version.major_version == 0
                 ? metadata.api_version.minor_version
                 : -1;
  *traits = metadata.traits;
}

/// A buffer of the caller's.
struct TestBuffer {
  int dtype;
  void *data;
  int64_t rank;
  int64_t *dims;
};

/// Calls a handler on device 1 and stream 0x77. Returns its error, or "".
const char *call_handler(XLA_FFI_Handler *handler, int stage,
                         const char *program, int numArguments,
                         const TestBuffer *arguments, int numResults,
                         const TestBuffer *results) {
  XLA_FFI_Api api = makeApi(XLA_FFI_API_MINOR);
  std::vector<XLA_FFI_Buffer> buffers;
  for (int i = 0; i < numArguments + numResults; ++i) {
    const TestBuffer &one =
        i < numArguments ? arguments[i] : results[i - numArguments];
    buffers.push_back({sizeof(XLA_FFI_Buffer), nullptr,
                       static_cast<XLA_FFI_DataType>(one.dtype), one.data,
                       one.rank, one.dims});
  }
  std::vector<void *> pointers;
  for (XLA_FFI_Buffer &buffer : buffers)
    pointers.push_back(&buffer);
  XLA_FFI_ByteSpan name = {"program", 7}, value = {program, strlen(program)};
  XLA_FFI_ByteSpan *names[] = {&name};
  void *values[] = {&value};
  XLA_FFI_AttrType types[] = {XLA_FFI_AttrType_STRING};
  XLA_FFI_CallFrame frame = {};
  frame.struct_size = sizeof(frame);
  frame.api = &api;
  frame.stage = static_cast<XLA_FFI_ExecutionStage>(stage);
  frame.args = {sizeof(frame.args), nullptr, numArguments, nullptr,
                pointers.data()};
  frame.rets = {sizeof(frame.rets), nullptr, numResults, nullptr,
                pointers.data() + numArguments};
  frame.attrs = {sizeof(frame.attrs), nullptr, 1, types, names, values};
  message.clear();
  return handler(&frame) ? message.c_str() : "";
}

} // extern "C"
