/*===- fake_cuda.c - A libcuda.so.1 that writes down what it is asked -----===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|*===----------------------------------------------------------------------===*|
|*                                                                            *|
|* Stands in for the driver in the tests of the runtime, on machines without a
*|
|* GPU. An image is an ELF header followed by one line "<kernel> <layout>",   *|
|* where the layout has one letter a parameter: m (tensor map), p (pointer) or
*|
|* i (i64). Environment: FAKE_DEVICES ("90,80": one compute capability a      *|
|* device), FAKE_FAIL ("cuLaunchKernelEx=701": that call's status).           *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char journal[1 << 16];
static size_t used;
static _Thread_local uintptr_t current; /* device + 1; 0: no context */
static int maps;
static const char *images[64];
static int num_images;

static pthread_mutex_t journal_lock = PTHREAD_MUTEX_INITIALIZER;

static void note(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  pthread_mutex_lock(&journal_lock);
  if (used > sizeof(journal) - 4096)
    used = 0; /* nobody reads it */
  used += (size_t)vsnprintf(journal + used, sizeof(journal) - used, format,
                            arguments);
  pthread_mutex_unlock(&journal_lock);
  va_end(arguments);
}

/* What a driver may not be asked, and how often kernels were launched, as
   graphs or by themselves. */
static _Atomic int wrongs, launched;
static void wrong(const char *what) {
  ++wrongs;
  note("WRONG: %s\n", what);
}

/* For the tests. */
int fake_wrongs(void) { return wrongs; }
int fake_launched(void) { return launched; }
const char *fake_journal(void) {
  journal[used] = 0;
  used = 0;
  return journal;
}
void fake_set_context(int device) { current = (uintptr_t)(device + 1); }
int fake_context(void) { return (int)current - 1; }

static int status(const char *function) {
  const char *fail = getenv("FAKE_FAIL");
  size_t length = strlen(function);
  if (fail && !strncmp(fail, function, length) && fail[length] == '=')
    return atoi(fail + length + 1);
  return 0;
}

static int capability(int device) {
  const char *list = getenv("FAKE_DEVICES");
  if (!list)
    list = "90";
  for (; *list && device > 0; --device)
    list = strchr(list, ',') ? strchr(list, ',') + 1 : "";
  return atoi(list);
}

int cuInit(unsigned flags) {
  (void)flags;
  return capability(0) ? status("cuInit") : 100;
}
int cuGetErrorName(int error, const char **name) {
  *name = error == 209 ? "CUDA_ERROR_NO_BINARY_FOR_GPU" : "CUDA_ERROR_FAKE";
  return 0;
}
int cuGetErrorString(int error, const char **text) {
  (void)error;
  *text = "made up";
  return 0;
}
int cuDeviceGetCount(int *count) {
  for (*count = 0; capability(*count); ++*count)
    ;
  return 0;
}
int cuDeviceGet(int *device, int ordinal) {
  *device = ordinal;
  return 0;
}
int cuDeviceGetName(char *name, int length, int device) {
  snprintf(name, (size_t)length, "Fake %d", device);
  return 0;
}
int cuDeviceGetAttribute(int *value, int attribute, int device) {
  *value = attribute == 75   ? capability(device) / 10
           : attribute == 76 ? capability(device) % 10
                             : 232448;
  return 0;
}
int cuDevicePrimaryCtxRetain(void **context, int device) {
  note("retain %d\n", device);
  *context = (void *)(uintptr_t)(device + 1);
  return 0;
}
int cuCtxGetCurrent(void **context) {
  *context = (void *)current;
  return 0;
}
int cuCtxGetDevice(int *device) {
  *device = (int)current - 1;
  return 0;
}
static _Thread_local uintptr_t below;
int cuCtxPushCurrent_v2(void *context) {
  note("push %d\n", (int)(uintptr_t)context - 1);
  below = current;
  current = (uintptr_t)context;
  return 0;
}
int cuCtxPopCurrent_v2(void **context) {
  note("pop\n");
  *context = (void *)current;
  current = below;
  return 0;
}
static _Thread_local int held; /* this thread's mode of capture */
static int is_capture_elsewhere;

/* For the tests: whether another thread captures, in the mode "global". */
void fake_capture_elsewhere(int is_so) { is_capture_elsewhere = is_so; }

/* What may take memory ends such a capture, but for a thread that is exempt. */
static void unsafe(void) {
  if (is_capture_elsewhere && held != 2)
    wrong("ends the capture of another thread");
}

int cuThreadExchangeStreamCaptureMode(int *mode) {
  int old = held;
  held = *mode;
  *mode = old;
  note("capture mode %d\n", held);
  return 0;
}
int cuLibraryLoadData(void **library, const char *image, void *a, void *b,
                      unsigned c, void *d, void *e, unsigned f) {
  (void)a, (void)b, (void)c, (void)d, (void)e, (void)f;
  unsafe();
  if (status("cuLibraryLoadData"))
    return status("cuLibraryLoadData");
  images[num_images] = image + 64;
  *library = &images[num_images++];
  note("load %.*s\n", (int)strcspn(image + 64, "\n"), image + 64);
  return 0;
}
int cuLibraryUnload(const char **library) {
  note("unload %.*s\n", (int)strcspn(*library, " "), *library);
  return 0;
}
int cuLibraryGetKernel(void **kernel, const char **library, const char *name) {
  if (strncmp(*library, name, strlen(name)))
    return 500;
  *kernel = library;
  return 0;
}
int cuKernelGetFunction(void **function, void *kernel) {
  *function = kernel;
  return 0;
}
int cuKernelSetAttribute(int attribute, int value, const char **kernel,
                         int device) {
  note("attribute %d = %d for %.*s on %d\n", attribute, value,
       (int)strcspn(*kernel, " "), *kernel, device);
  return 0;
}

int cuTensorMapEncodeTiled(uint64_t *map, int dtype, uint32_t rank,
                           void *address, const uint64_t *sizes,
                           const uint64_t *strides, const uint32_t *box,
                           const uint32_t *steps, int interleave, int swizzle,
                           int promotion, int fill) {
  if ((uintptr_t)map % 64 || !address || (uintptr_t)address % 16)
    return 1;
  note("map %d dtype=%d address=0x%llx sizes=", ++maps, dtype,
       (unsigned long long)(uintptr_t)address);
  for (uint32_t i = 0; i < rank; ++i)
    note("%llu%c", (unsigned long long)sizes[i], i + 1 < rank ? ',' : ' ');
  note("strides=");
  for (uint32_t i = 0; i + 1 < rank; ++i)
    note("%llu%c", (unsigned long long)strides[i], i + 2 < rank ? ',' : ' ');
  note("box=");
  for (uint32_t i = 0; i < rank; ++i)
    note("%u%c", box[i], i + 1 < rank ? ',' : ' ');
  note("steps=%u swizzle=%d modes=%d,%d,%d\n", steps[0], swizzle, interleave,
       promotion, fill);
  memset(map, 0, 128);
  map[0] = (uint64_t)maps;
  map[15] = (uint64_t)maps;
  return status("cuTensorMapEncodeTiled");
}

struct attribute {
  _Alignas(8) int id;
  _Alignas(8) int value[16];
};

struct config {
  unsigned grid[3], block[3], shared;
  void *stream;
  struct attribute *attributes;
  unsigned num_attributes;
};

/* CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION, allowed. */
static const char *name_attributes(const struct config *c) {
  int overlaps = c->num_attributes == 1 && c->attributes->id == 6 &&
                 c->attributes->value[0] == 1;
  return overlaps ? "overlap" : c->num_attributes ? "unknown" : "none";
}

static int note_params(const char *layout, void **params) {
  for (int i = 0; layout[i] && layout[i] != '\n'; ++i) {
    uint64_t words[16];
    if ((uintptr_t)params[i] % (layout[i] == 'm' ? 64 : 8))
      return 1;
    memcpy(words, params[i], layout[i] == 'm' ? 128 : 8);
    if (layout[i] == 'm' && words[15] != words[0])
      return 1;
    note(layout[i] == 'm'   ? " map%llu"
         : layout[i] == 'p' ? " 0x%llx"
                            : " %lld",
         (unsigned long long)words[0]);
  }
  note("\n");
  return 0;
}

static int note_launch(const struct config *c, const char **kernel,
                       void **params) {
  ++launched;
  note("launch %.*s grid=%u,%u,%u block=%u,%u,%u shared=%u stream=%p "
       "attributes=%s context=%d",
       (int)strcspn(*kernel, " "), *kernel, c->grid[0], c->grid[1], c->grid[2],
       c->block[0], c->block[1], c->block[2], c->shared, c->stream,
       name_attributes(c), (int)current - 1);
  return note_params(strchr(*kernel, ' ') + 1, params);
}

int cuLaunchKernelEx(const struct config *c, const char **kernel, void **params,
                     void **extra) {
  (void)extra;
  if (status("cuLaunchKernelEx"))
    return status("cuLaunchKernelEx");
  return note_launch(c, kernel, params);
}

/* Graphs: a node keeps a copy of its parameters, and is noted as a launch
   whenever its graph is launched. */
struct node {
  unsigned grid[3], block[3], shared;
  void **params, **extra;
  const char **kernel;
  void *context;
};
struct node_params {
  void *function;
  struct node rest;
};
struct graph {
  int count;
  _Atomic int is_running;
  unsigned long long context;
  struct {
    struct node node;
    _Alignas(128) char values[64][128];
    void *params[64];
    int edges; /* from the one before */
    struct attribute attribute;
  } nodes[8];
};
static int capturing, priority;
static unsigned long long generation; /* of handles */
static void *context_of_stream;       /* null: the current one */

/* For the tests. */
void fake_set_stream(int is_capturing, int stream_priority, int device) {
  capturing = is_capturing;
  priority = stream_priority;
  context_of_stream = (void *)(uintptr_t)(device + 1);
}
/* Contexts and streams end, and others get their handles. */
void fake_renew_handles(void) { ++generation; }

int cuCtxGetId(void *context, unsigned long long *id) {
  *id = generation << 32 | (context ? (uintptr_t)context : current);
  return 0;
}
int cuStreamIsCapturing(void *stream, int *is_capturing) {
  (void)stream;
  *is_capturing = capturing;
  return 0;
}
int cuStreamGetPriority(void *stream, int *found) {
  (void)stream;
  *found = priority;
  return 0;
}
int cuStreamGetCtx(void *stream, void **context) {
  (void)stream;
  *context = context_of_stream ? context_of_stream : (void *)current;
  return 0;
}
int cuStreamGetId(void *stream, unsigned long long *id) {
  *id = generation << 32 | (uintptr_t)stream;
  return capturing ? 900 : 0;
}
int cuMemAlloc_v2(uintptr_t *address, size_t bytes) {
  static uintptr_t next = 0x40000000;
  unsafe();
  note("allocate %zu at %#zx\n", bytes, (size_t)next);
  *address = next;
  next += bytes;
  return status("cuMemAlloc_v2");
}
int cuMemFree_v2(uintptr_t address) {
  unsafe();
  note("free %#zx\n", (size_t)address);
  if (getenv("FAKE_TELLS_FREES")) { /* at the end of the process too */
    printf("free %#zx\n", (size_t)address);
    fflush(stdout);
  }
  return 0;
}
int cuGraphCreate(struct graph **graph, unsigned flags) {
  unsafe();
  *graph = aligned_alloc(128, sizeof(**graph));
  memset(*graph, 0, sizeof(**graph));
  return (int)flags;
}
int cuGraphDestroy(struct graph *graph) {
  (void)graph; /* what has been instantiated reads it */
  return 0;
}
int cuGraphAddKernelNode_v2(void **made, struct graph *graph,
                            void *const *before, size_t count,
                            const struct node_params *params) {
  unsafe();
  int last = graph->count - 1;
  if (params->function || (count && before[0] != &graph->nodes[last]) ||
      last == 7)
    return 1;
  const char *layout = strchr(*params->rest.kernel, ' ') + 1;
  *made = &graph->nodes[++last];
  graph->nodes[last].node = params->rest;
  graph->nodes[last].edges = (int)count;
  for (int i = 0; i < 64 && layout[i] && layout[i] != '\n'; ++i) {
    graph->nodes[last].params[i] = graph->nodes[last].values[i];
    memcpy(graph->nodes[last].values[i], params->rest.params[i],
           layout[i] == 'm' ? 128 : 8);
  }
  graph->count = last + 1;
  return 0;
}
#ifndef CUDA_12_0
/* Of the one before, from the port where it lets the next one start beside it.
 */
int cuGraphAddDependencies_v2(struct graph *graph, void *const *from,
                              void *const *to, const unsigned char *data,
                              size_t count) {
  unsafe();
  int last = graph->count - 1;
  if (count != 1 || last < 1 || from[0] != &graph->nodes[last - 1] ||
      to[0] != &graph->nodes[last] || data[0] != 1 || data[2] != 1)
    return 1;
  ++graph->nodes[last].edges;
  graph->nodes[last].attribute = (struct attribute){6, {1}};
  return 0;
}
#endif
int cuGraphInstantiateWithFlags(struct graph **made, struct graph *graph,
                                unsigned long long flags) {
  unsafe();
  for (int i = 1; i < graph->count; ++i)
    if (graph->nodes[i].edges != 1)
      wrong("kernels of a graph are not one behind the other");
  cuCtxGetId(NULL, &graph->context);
  *made = graph;
  note("graph of %d\n", graph->count);
  return flags ? 1 : status("cuGraphInstantiateWithFlags");
}

/* For the tests: a stream that is full, on which launches wait. */
static _Atomic uintptr_t full_stream;
static _Atomic int waiting;
void fake_set_full_stream(void *stream) { full_stream = (uintptr_t)stream; }
int fake_waiting(void) { return waiting; }

int cuGraphLaunch(struct graph *graph, void *stream) {
  unsafe();
  if (status("cuGraphLaunch"))
    return status("cuGraphLaunch");
  if (atomic_exchange(&graph->is_running, 1)) {
    wrong("two threads launch a graph");
    return 1;
  }
  ++waiting;
  while (full_stream && full_stream == (uintptr_t)stream)
    sched_yield();
  --waiting;
  note("graph launch\n");
  for (int i = 0; i < graph->count; ++i) {
    struct config c = {.stream = stream,
                       .shared = graph->nodes[i].node.shared,
                       .attributes = &graph->nodes[i].attribute,
                       .num_attributes = graph->nodes[i].attribute.id != 0};
    memcpy(c.grid, graph->nodes[i].node.grid, sizeof(c.grid));
    memcpy(c.block, graph->nodes[i].node.block, sizeof(c.block));
    if (note_launch(&c, graph->nodes[i].node.kernel, graph->nodes[i].params))
      return 1;
  }
  graph->is_running = 0;
  return 0;
}
int cuGraphExecDestroy(struct graph *graph) {
  unsafe();
  if (graph->is_running)
    wrong("a graph is destroyed while a thread launches it");
  unsigned long long context;
  cuCtxGetId(NULL, &context);
  if (graph->context != context)
    wrong("a graph is destroyed whose context is not there");
  note("graph destroyed\n");
  free(graph);
  return 0;
}

int cuMemsetD8Async(uint64_t address, unsigned char value, size_t bytes,
                    void *stream) {
  note("memset 0x%llx = %u x %zu stream=%p\n", (unsigned long long)address,
       value, bytes, stream);
  return status("cuMemsetD8Async");
}
