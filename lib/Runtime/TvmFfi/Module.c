/*===- Module.c - A program as functions of tvm-ffi -----------------------===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#include "Abi.h"
#include "Workspaces.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* As the runtime's own bound. */
#define MAX_TENSORS 64

/* === Errors ============================================================== */

/* Raises an error of a Python exception's name, and returns -1. */
__attribute__((format(printf, 2, 3))) static int
raise_error(const char *kind, const char *format, ...) {
  char message[1024];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof(message), format, arguments);
  va_end(arguments);
  TVMFFIErrorSetRaisedFromCStr(kind, message);
  return -1;
}

static int raise_status(wyvern_status status) {
  int is_value = status == WYVERN_ERROR_INVALID_ARGUMENT ||
                 status == WYVERN_ERROR_INVALID_TENSOR ||
                 status == WYVERN_ERROR_WORKSPACE;
  return raise_error(is_value ? "ValueError" : "RuntimeError", "%s",
                     wyvern_last_error());
}

/* === The program ========================================================= */

/* Loads it at the first call; null after an error, which wyvern_last_error()
   tells. */
static wyvern_program *find_program(wyvern_tvm_program *module) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  wyvern_program *program = atomic_load(&module->program);
  if (program)
    return program;
  pthread_mutex_lock(&lock);
  program = atomic_load(&module->program);
  if (!program &&
      wyvern_program_load(module->desc, NULL, &program) == WYVERN_OK)
    atomic_store(&module->program, program);
  pthread_mutex_unlock(&lock);
  return program;
}

/* === Arguments =========================================================== */

static int read_dtype(wyvern_dl_dtype type, wyvern_dtype *dtype) {
  static const struct {
    uint8_t code, bits;
    wyvern_dtype dtype;
  } known[] = {
      {WYVERN_DL_BFLOAT, 16, WYVERN_BF16}, {WYVERN_DL_FLOAT, 16, WYVERN_F16},
      {WYVERN_DL_FLOAT, 32, WYVERN_F32},   {WYVERN_DL_FLOAT, 64, WYVERN_F64},
      {WYVERN_DL_INT, 32, WYVERN_I32},     {WYVERN_DL_INT, 64, WYVERN_I64}};
  for (size_t i = 0; i < sizeof(known) / sizeof(*known); ++i)
    if (type.lanes == 1 && type.code == known[i].code &&
        type.bits == known[i].bits) {
      *dtype = known[i].dtype;
      return 1;
    }
  return 0;
}

static const wyvern_dl_tensor *find_tensor(const wyvern_tvm_any *argument) {
  if (argument->type == WYVERN_TVM_TENSOR)
    return (const wyvern_dl_tensor *)(argument->object + 1);
  return argument->type == WYVERN_TVM_TENSOR_POINTER ? argument->pointer : NULL;
}

/* Reads an argument; an optional one that is None stays without data. */
static int read_tensor(const char *program, const char *name, int is_optional,
                       const wyvern_tvm_any *argument, wyvern_tensor *tensor) {
  if (argument->type == WYVERN_TVM_NONE)
    return is_optional
               ? 0
               : raise_error("TypeError", "%s: '%s' is None, expected a tensor",
                             program, name);
  const wyvern_dl_tensor *given = find_tensor(argument);
  if (!given)
    return raise_error("TypeError",
                       "%s: '%s' is a value of tvm-ffi's type %d, expected a "
                       "tensor or None",
                       program, name, argument->type);
  if (given->device.type != WYVERN_DL_CUDA)
    return raise_error("ValueError",
                       "%s: '%s' is on a device of DLPack's type %d, expected "
                       "CUDA, %d: move it to a GPU",
                       program, name, given->device.type, WYVERN_DL_CUDA);
  if (!read_dtype(given->dtype, &tensor->dtype))
    return raise_error("TypeError",
                       "%s: '%s' is of DLPack's type code %d with %d bits, "
                       "expected bf16, f16, f32, f64, i32 or i64",
                       program, name, given->dtype.code, given->dtype.bits);
  if (given->rank > WYVERN_MAX_RANK)
    return raise_error("ValueError",
                       "%s: '%s' has rank %d, expected at most %d", program,
                       name, given->rank, WYVERN_MAX_RANK);
  *tensor = wyvern_tensor_dense((char *)given->data + given->byte_offset,
                                tensor->dtype, given->device.index,
                                (uint32_t)given->rank, given->sizes);
  if (given->strides)
    memcpy(tensor->strides, given->strides,
           (size_t)given->rank * sizeof(int64_t));
  return 0;
}

/* === Functions =========================================================== */

/* Memory for the kernels of a call: the caller's, the module's or the
   framework's. */
typedef struct wyvern_scratch {
  int32_t device;
  void *stream;
  void *data;
  size_t bytes;
  wyvern_kept *kept; /* to be returned */
  void *object;      /* to be released */
} wyvern_scratch;

static int allocate(size_t needed, wyvern_scratch *scratch) {
  int64_t size = (int64_t)needed;
  wyvern_dl_tensor prototype = {.device = {WYVERN_DL_CUDA, scratch->device},
                                .rank = 1,
                                .dtype = {WYVERN_DL_UINT, 8, 1}};
  prototype.sizes = &size;
  if (TVMFFIEnvTensorAlloc(&prototype, &scratch->object) != 0)
    return -1;
  const wyvern_tvm_any made = {
      WYVERN_TVM_TENSOR, 0, {.object = scratch->object}};
  scratch->data = find_tensor(&made)->data;
  return 0;
}

/* Finds what a call needs, for the device and the stream of `scratch`. */
static int find_workspace(const char *program, const wyvern_tvm_any *argument,
                          size_t needed, wyvern_scratch *scratch) {
  const wyvern_dl_tensor *given = argument ? find_tensor(argument) : NULL;
  if (given) {
    if (given->device.type != WYVERN_DL_CUDA ||
        given->device.index != scratch->device)
      return raise_error("ValueError",
                         "%s: the workspace is not on CUDA device %d, where "
                         "the tensors are",
                         program, scratch->device);
    int64_t count = 1;
    for (int32_t i = 0; i < given->rank; ++i)
      count *= given->sizes[i];
    scratch->data = (char *)given->data + given->byte_offset;
    scratch->bytes = (size_t)count * given->dtype.bits / 8;
    return 0;
  }
  if (argument && argument->type != WYVERN_TVM_NONE)
    return raise_error("TypeError",
                       "%s: the workspace is a value of tvm-ffi's type %d, "
                       "expected a tensor or None",
                       program, argument->type);
  if (needed == 0)
    return 0;
  scratch->bytes = needed;
  scratch->kept = wyvern_borrow_workspace(scratch->device, scratch->stream,
                                          needed, &scratch->data);
  return scratch->kept ? 0 : allocate(needed, scratch);
}

static void release_workspace(const wyvern_scratch *scratch) {
  wyvern_return_workspace(scratch->kept);
  if (scratch->object)
    TVMFFIObjectDecRef(scratch->object);
}

/* Reads the tensors, and cu_seqlens behind them. */
static int read_tensors(const wyvern_program_desc *desc,
                        const wyvern_tvm_any *arguments, int32_t count,
                        wyvern_tensor *values, wyvern_tensor *cu) {
  const int32_t tensors = (int32_t)desc->num_tensors;
  if (count < tensors || count > tensors + 2)
    return raise_error("TypeError",
                       "%s: there are %d arguments, expected the %d tensors, "
                       "then cu_seqlens and workspace, which may be left out",
                       desc->name, count, tensors);
  for (int32_t i = 0; i < tensors; ++i)
    if (read_tensor(desc->name, desc->tensors[i].name,
                    (int)desc->tensors[i].optional, &arguments[i],
                    &values[i]) != 0)
      return -1;
  return count == tensors ? 0
                          : read_tensor(desc->name, "cu_seqlens", 1,
                                        &arguments[tensors], cu);
}

int wyvern_tvm_launch(wyvern_tvm_program *module,
                      const wyvern_tvm_any *arguments, int32_t count) {
  const wyvern_program_desc *desc = module->desc;
  wyvern_program *program = find_program(module);
  if (!program)
    return raise_error("RuntimeError", "%s", wyvern_last_error());
  wyvern_tensor values[MAX_TENSORS] = {{0}}, expected[MAX_TENSORS], cu = {0};
  if (read_tensors(desc, arguments, count, values, &cu) != 0)
    return -1;
  const int32_t at = (int32_t)desc->num_tensors; /* of cu_seqlens */
  const int is_packed = count > at && arguments[at].type != WYVERN_TVM_NONE;
  const wyvern_tensor *packed = is_packed ? &cu : NULL;
  size_t needed = 0;
  wyvern_status status =
      wyvern_program_expect(program, values, packed, expected, &needed);
  if (status != WYVERN_OK)
    return raise_status(status);
  const int32_t device = expected[0].device;
  wyvern_scratch scratch = {
      .device = device, .stream = TVMFFIEnvGetStream(WYVERN_DL_CUDA, device)};
  if (find_workspace(desc->name, count > at + 1 ? &arguments[at + 1] : NULL,
                     needed, &scratch) != 0)
    return -1;
  status = wyvern_program_launch(program, values, packed, scratch.data,
                                 scratch.bytes, scratch.stream);
  release_workspace(&scratch);
  return status == WYVERN_OK ? 0 : raise_status(status);
}

int wyvern_tvm_workspace_size(wyvern_tvm_program *module,
                              const wyvern_tvm_any *arguments, int32_t count,
                              wyvern_tvm_any *result) {
  wyvern_program *program = find_program(module);
  if (!program)
    return raise_error("RuntimeError", "%s", wyvern_last_error());
  int integers = 0;
  for (int32_t i = 0; i < count; ++i)
    integers += arguments[i].type == WYVERN_TVM_INT;
  if (count != 3 || integers != 3)
    return raise_error("TypeError",
                       "%s_workspace_size: expected three integers, the batch, "
                       "the tokens, and the packed sequences or -1",
                       module->desc->name);
  size_t bytes = 0;
  wyvern_status status = wyvern_program_workspace_size(
      program, arguments[0].integer, arguments[1].integer, arguments[2].integer,
      &bytes);
  if (status != WYVERN_OK)
    return raise_status(status);
  *result = (wyvern_tvm_any){WYVERN_TVM_INT, 0, {.integer = (int64_t)bytes}};
  return 0;
}

int wyvern_tvm_text(const char *text, wyvern_tvm_any *result) {
  const wyvern_tvm_bytes bytes = {text, strlen(text)};
  return TVMFFIStringFromByteArray(&bytes, result);
}
