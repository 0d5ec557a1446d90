/*===- Graphs.c - Calls that come again, as graphs ------------------------===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|*===----------------------------------------------------------------------===*|
|*                                                                            *|
|* A launch takes the driver longer than all that the runtime does for it,    *|
|* and an executable graph of any number of kernels less than one launch. A   *|
|* model calls a program with the same tensors over and over (the allocator   *|
|* hands the same ones out), so a call that has come a few times becomes a    *|
|* graph. Its kernels, their parameters and their order are those of the      *|
|* launches.                                                                  *|
|*                                                                            *|
|* Kernels are launched as before: in a capture, of which they become part;   *|
|* on a stream with a priority, of another context or of a part of the        *|
|* device, none of which a graph would have; where another thread has the     *|
|* graph in hand. With WYVERN_GRAPHS=0 in the environment as a program is     *|
|* loaded, always.                                                            *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#include "Program.h"

#include <stdlib.h>
#include <string.h>

enum {
  SEEN = 512,   /* calls whose times are counted */
  GRAPHS = 128, /* calls that are graphs; of about .1 MiB of the device each */
  WAYS = 4,     /* calls whose hashes are alike share so many places */
  TIMES = 16    /* launches by which a graph has saved what it costs to make */
};

/* All that the kernels of a call follow from but the workspace: of each tensor
   an address, a type, a device, a rank, sizes and strides. */
#define MAX_WORDS (8 + (WYVERN_MAX_TENSORS + 1) * (2 + 2 * WYVERN_MAX_RANK))

typedef struct graph_key {
  uint64_t hash;
  size_t count;
  uint64_t words[MAX_WORDS];
} graph_key;

/* Of the current context and of a stream. */
typedef struct call_numbers {
  unsigned long long context, stream;
} call_numbers;

/* A call that has come, of which only the hash is kept: to count one too many
   times is no harm. */
typedef struct seen_call {
  uint64_t hash, used, times;
} seen_call;

/* A call that is a graph. While it is busy, it belongs to one thread, but for
   the hash: an executable graph is for one thread at a time. */
typedef struct graph_call {
  uint64_t hash, used; /* used: of two, the one used later has the more */
  _Atomic int is_busy;
  size_t count; /* of words */
  uint64_t *words;
  void *workspace;        /* null, where none is needed */
  size_t workspace_bytes; /* that are needed */
  CUgraphExec exec;       /* null: none is made of this call */
  int device;             /* of exec, as its context */
  uint64_t context;
} graph_call;

struct wyvern_graphs {
  pthread_mutex_t lock; /* held for no call of the driver */
  uint64_t clock;
  int64_t credit;      /* launches; TIMES of them for a graph */
  _Atomic int is_used; /* a graph has been made */
  seen_call seen[SEEN];
  graph_call calls[GRAPHS];
};

/* === What tells calls apart ============================================== */

static void add(graph_key *key, uint64_t word) {
  key->words[key->count++] = word;
}

static void add_tensor(graph_key *key, const wyvern_tensor *tensor) {
  add(key, (uintptr_t)tensor->data);
  add(key, (uint64_t)tensor->dtype << 48 | (uint64_t)tensor->rank << 32 |
               (uint32_t)tensor->device);
  for (uint32_t i = 0; i < tensor->rank && i < WYVERN_MAX_RANK; ++i) {
    add(key, (uint64_t)tensor->sizes[i]);
    add(key, (uint64_t)tensor->strides[i]);
  }
}

/* Four sums of every fourth word, which a processor multiplies at once. */
typedef struct word_sums {
  uint64_t sums[4];
  size_t count;
} word_sums;

static void count_in(word_sums *all, uint64_t word) {
  uint64_t *sum = &all->sums[all->count++ % 4];
  *sum = (*sum ^ word) * UINT64_C(1099511628211);
}

/* A hash of addresses and of the sizes of the main tensor: calls of a loop over
   layers differ in the former, those of batches of other sizes in the latter.
   What is alike in both is told apart by all words. */
static uint64_t hash_call(const wyvern_program *program, const graph_key *key,
                          const wyvern_given *given) {
  word_sums all = {{1, 2, 3, 4}, 0};
  for (size_t i = 0; i < 4; ++i)
    count_in(&all, key->words[i]);
  for (uint32_t t = 0; t < program->desc->num_tensors; ++t)
    count_in(&all, (uintptr_t)given->tensors[t].data);
  const wyvern_tensor *main = &given->tensors[program->main_tensor];
  for (uint32_t i = 0; i < main->rank && i < WYVERN_MAX_RANK; ++i)
    count_in(&all, (uint64_t)main->sizes[i]);
  if (given->cu_seqlens) {
    count_in(&all, (uintptr_t)given->cu_seqlens->data);
    count_in(&all, (uint64_t)given->cu_seqlens->sizes[0]);
  }
  const uint64_t *sums = all.sums;
  uint64_t hash = sums[0] ^ sums[1] << 1 ^ sums[2] << 2 ^ sums[3] << 3;
  return hash ^ hash >> 32;
}

/* Handles of contexts and streams are given out anew, their numbers are not.
   The context is the first word. Variant and extents follow from the tensors
   and from what is forced. */
static void fill_key(const wyvern_program *program, const wyvern_given *given,
                     const call_numbers *numbers, graph_key *key) {
  key->count = 0;
  add(key, numbers->context);
  add(key, numbers->stream);
  add(key, (uint64_t)program->forced);
  add(key, (uint64_t)program->forced_segment);
  add(key, given->cu_seqlens != NULL);
  if (given->cu_seqlens)
    add_tensor(key, given->cu_seqlens);
  for (uint32_t t = 0; t < program->desc->num_tensors; ++t)
    if (given->tensors[t].data)
      add_tensor(key, &given->tensors[t]);
    else
      add(key, 0);
  key->hash = hash_call(program, key, given);
}

static int is_same(const graph_call *call, const graph_key *key,
                   const wyvern_given *given) {
  return call->hash == key->hash && call->count == key->count &&
         (call->workspace_bytes == 0 ||
          (call->workspace == given->workspace &&
           call->workspace_bytes <= given->workspace_bytes)) &&
         memcmp(call->words, key->words, key->count * sizeof(uint64_t)) == 0;
}

/* === Which calls are graphs ============================================== */

/* Counts a call, in the place of the one that came least lately of those that
   share its places, and returns whether it is to be a graph: it has come as
   often as pays for one, and so have those that are graphs already, or few of
   them were made for nothing. */
static int is_due(wyvern_graphs *graphs, uint64_t hash) {
  seen_call *first = &graphs->seen[hash % (SEEN / WAYS) * WAYS], *own = first;
  for (seen_call *call = first; call < first + WAYS; ++call) {
    if (call->hash == hash) {
      own = call;
      break;
    }
    if (call->used < own->used)
      own = call;
  }
  if (own->hash != hash)
    *own = (seen_call){.hash = hash};
  own->used = ++graphs->clock;
  if (++own->times <= TIMES || graphs->credit < TIMES)
    return 0;
  graphs->credit -= TIMES;
  own->times = 0;
  return 1;
}

/* Makes a call this thread's. */
static void hold(wyvern_graphs *graphs, graph_call *call) {
  call->used = ++graphs->clock;
  call->is_busy = 1;
}

/* A graph that is launched saves a launch. */
static void count_saved(wyvern_graphs *graphs, const graph_call *call) {
  if (call->exec && graphs->credit < GRAPHS * TIMES)
    ++graphs->credit;
}

/* With the lock held: returns the graph of a call, busy now, or null where
   kernels are to be launched. `*is_new` says that it has still to be made, in
   the place of one that has been used least lately. */
static graph_call *take(wyvern_graphs *graphs, const graph_key *key,
                        const wyvern_given *given, int *is_new) {
  graph_call *first = &graphs->calls[key->hash % (GRAPHS / WAYS) * WAYS];
  graph_call *found = NULL;
  *is_new = 0;
  for (graph_call *call = first; call < first + WAYS; ++call) {
    int is_busy = call->is_busy;
    if (is_busy && call->hash == key->hash)
      return NULL;
    if (is_busy)
      continue;
    if (is_same(call, key, given)) {
      found = call;
      break;
    }
    if (!found || call->used < found->used)
      found = call;
  }
  if (!found)
    return NULL;
  if (!is_same(found, key, given)) {
    if (!is_due(graphs, key->hash))
      return NULL;
    *is_new = 1;
    found->hash = key->hash;
  } else {
    count_saved(graphs, found);
  }
  hold(graphs, found);
  return found;
}

/* The same of a call that is a graph; null for others, and where it is busy. */
static graph_call *take_again(wyvern_graphs *graphs, const graph_key *key,
                              const wyvern_given *given) {
  graph_call *first = &graphs->calls[key->hash % (GRAPHS / WAYS) * WAYS];
  for (graph_call *call = first; call < first + WAYS; ++call)
    if (!call->is_busy && call->exec && is_same(call, key, given)) {
      count_saved(graphs, call);
      hold(graphs, call);
      return call;
    }
  return NULL;
}

/* === Making and launching ================================================ */

/* Adds a kernel to a graph, behind another one if that is not null. A kernel
   that waits itself for those before it starts beside the other, as a launch
   does; `follows`: the other is the one listed before it. */
static CUresult add_kernel(const wyvern_driver *driver,
                           wyvern_kernel_call *kernel, CUgraph graph,
                           CUgraphNode before, int follows, CUgraphNode *made) {
  const CUkernelNodeParams node = {.gridDimX = kernel->blocks,
                                   .gridDimY = 1,
                                   .gridDimZ = 1,
                                   .blockDimX = kernel->desc->block,
                                   .blockDimY = 1,
                                   .blockDimZ = 1,
                                   .sharedMemBytes =
                                       kernel->desc->dynamic_shared,
                                   .kernelParams = kernel->params,
                                   .kern = kernel->kernel};
  const CUgraphEdgeData beside = {.from_port = CU_GRAPH_PORT_PROGRAMMATIC,
                                  .type = CU_GRAPH_TYPE_PROGRAMMATIC};
  int overlaps = before && wyvern_overlaps(kernel->desc, follows) &&
                 driver->GraphAddDependencies;
  CUresult result = driver->GraphAddKernelNode(
      made, graph, &before, before && !overlaps ? 1 : 0, &node);
  if (result == CUDA_SUCCESS && overlaps)
    result = driver->GraphAddDependencies(graph, &before, made, &beside, 1);
  return result;
}

/* Adds the kernels of a call to a graph, in their order. */
static wyvern_status add_kernels(wyvern_program *program,
                                 const wyvern_driver *driver,
                                 const wyvern_call *call, CUgraph graph) {
  CUgraphNode last = NULL;
  int follows = 0;
  const uint32_t count = program->desc->variants[call->variant].num_kernels;
  for (uint32_t k = 0; k < count; ++k) {
    wyvern_kernel_call kernel;
    WYVERN_TRY(wyvern_fill_kernel(program, driver, call, k, &kernel));
    int was_launched = follows;
    follows = kernel.blocks > 0;
    if (kernel.blocks == 0)
      continue;
    CUgraphNode before = last;
    CUresult result =
        add_kernel(driver, &kernel, graph, before, was_launched, &last);
    if (result != CUDA_SUCCESS)
      return wyvern_driver_failed(result, "%s: cannot add %s to a graph",
                                  program->desc->name, kernel.desc->symbol);
  }
  return WYVERN_OK;
}

static wyvern_status make_exec(wyvern_program *program,
                               const wyvern_driver *driver,
                               const wyvern_call *call, CUgraphExec *exec) {
  CUgraph graph;
  CUresult result = driver->GraphCreate(&graph, 0);
  if (result != CUDA_SUCCESS)
    return wyvern_driver_failed(result, "%s: cannot make a graph",
                                program->desc->name);
  wyvern_status status = add_kernels(program, driver, call, graph);
  if (status == WYVERN_OK) {
    result = driver->GraphInstantiateWithFlags(exec, graph, 0);
    if (result != CUDA_SUCCESS)
      status = wyvern_driver_failed(result, "%s: cannot instantiate a graph",
                                    program->desc->name);
  }
  driver->GraphDestroy(graph);
  if (status != WYVERN_OK)
    *exec = NULL;
  return status;
}

/* A graph runs in the context that was current, on the whole device, at the
   priority of the kernels' nodes. */
static int is_plain(const wyvern_driver *driver, CUstream stream) {
  int priority = 0;
  CUcontext own = NULL, current = NULL;
  return driver->StreamGetPriority(stream, &priority) == CUDA_SUCCESS &&
         priority == 0 && driver->StreamGetCtx(stream, &own) == CUDA_SUCCESS &&
         driver->CtxGetCurrent(&current) == CUDA_SUCCESS && own == current;
}

/* Destroys a graph; the driver keeps what is running until it has ended. Of a
   context that has ended nothing is left to destroy, and the driver would fault
   on it. Of one that is not the device's current or primary one nobody can
   tell: the graph is left to it. */
static void destroy(const wyvern_driver *driver, graph_call *call) {
  int pushed;
  unsigned long long context;
  if (call->exec && wyvern_driver_enter(call->device, &pushed) == WYVERN_OK) {
    if (driver->CtxGetId(NULL, &context) == CUDA_SUCCESS &&
        context == call->context)
      driver->GraphExecDestroy(call->exec);
    wyvern_driver_leave(pushed);
  }
  call->exec = NULL;
}

/* Empties a place. */
static void forget(const wyvern_driver *driver, graph_call *call) {
  destroy(driver, call);
  free(call->words);
  call->words = NULL;
  call->count = 0;
}

/* Makes a graph of a call in its place. A driver that makes none, of memory
   that is out, say, may still launch kernels, and if not it says why. */
static void make(wyvern_program *program, const wyvern_driver *driver,
                 const wyvern_given *given, const wyvern_call *call,
                 const graph_key *key, CUstream stream, graph_call *place) {
  forget(driver, place);
  size_t bytes = key->count * sizeof(uint64_t);
  place->words = malloc(bytes);
  if (!place->words)
    return;
  memcpy(place->words, key->words, bytes);
  place->count = key->count;
  place->workspace = given->workspace;
  place->workspace_bytes = call->workspace_bytes;
  place->device = call->device;
  place->context = key->words[0];
  if (is_plain(driver, stream))
    make_exec(program, driver, call, &place->exec);
}

/* Launches a graph. The first launch takes memory of the device, of which
   kernels need none. */
static wyvern_status launch(const wyvern_program *program,
                            const wyvern_driver *driver, graph_call *call,
                            CUstream stream, int *launched) {
  CUresult result = driver->GraphLaunch(call->exec, stream);
  *launched = result == CUDA_SUCCESS;
  if (*launched)
    return WYVERN_OK;
  destroy(driver, call);
  if (result == CUDA_ERROR_OUT_OF_MEMORY)
    return WYVERN_OK;
  return wyvern_driver_failed(result, "%s: cannot launch a graph",
                              program->desc->name);
}

/* Finds out the numbers that a call has; 0 where it is captured, or of a stream
   that cannot be asked, nor take a graph. */
static int find_numbers(const wyvern_driver *driver, CUstream stream,
                        call_numbers *numbers) {
  int capturing = 0;
  return driver->StreamIsCapturing(stream, &capturing) == CUDA_SUCCESS &&
         !capturing &&
         driver->CtxGetId(NULL, &numbers->context) == CUDA_SUCCESS &&
         driver->StreamGetId(stream, &numbers->stream) == CUDA_SUCCESS;
}

wyvern_status wyvern_launch_again(wyvern_program *program,
                                  const wyvern_given *given, CUstream stream,
                                  int *launched) {
  wyvern_graphs *graphs = program->graphs;
  const wyvern_driver *driver;
  call_numbers numbers;
  *launched = 0;
  if (!graphs || !graphs->is_used)
    return WYVERN_OK;
  WYVERN_TRY(wyvern_driver_open(&driver));
  if (!find_numbers(driver, stream, &numbers))
    return WYVERN_OK;
  graph_key key;
  fill_key(program, given, &numbers, &key);
  pthread_mutex_lock(&graphs->lock);
  graph_call *place = take_again(graphs, &key, given);
  pthread_mutex_unlock(&graphs->lock);
  if (!place)
    return WYVERN_OK;
  int mode = CU_STREAM_CAPTURE_MODE_RELAXED;
  driver->ThreadExchangeStreamCaptureMode(&mode);
  wyvern_status status = launch(program, driver, place, stream, launched);
  driver->ThreadExchangeStreamCaptureMode(&mode);
  place->is_busy = 0;
  return status;
}

wyvern_status wyvern_launch_graph(wyvern_program *program,
                                  const wyvern_driver *driver,
                                  const wyvern_given *given,
                                  const wyvern_call *call, CUstream stream,
                                  int *launched) {
  wyvern_graphs *graphs = program->graphs;
  *launched = 0;
  int is_new;
  call_numbers numbers;
  if (!graphs || !find_numbers(driver, stream, &numbers))
    return WYVERN_OK;
  graph_key key;
  fill_key(program, given, &numbers, &key);
  pthread_mutex_lock(&graphs->lock);
  graph_call *place = take(graphs, &key, given, &is_new);
  pthread_mutex_unlock(&graphs->lock);
  if (!place)
    return WYVERN_OK;
  /* As loading code, a graph that goes to the device is harmless while another
     thread captures. */
  int mode = CU_STREAM_CAPTURE_MODE_RELAXED;
  driver->ThreadExchangeStreamCaptureMode(&mode);
  if (is_new) {
    make(program, driver, given, call, &key, stream, place);
    graphs->is_used = 1;
  }
  wyvern_status status = WYVERN_OK;
  if (place->exec)
    status = launch(program, driver, place, stream, launched);
  driver->ThreadExchangeStreamCaptureMode(&mode);
  place->is_busy = 0;
  return status;
}

wyvern_graphs *wyvern_make_graphs(void) {
  const char *wanted = getenv("WYVERN_GRAPHS");
  if (wanted && strcmp(wanted, "0") == 0)
    return NULL;
  wyvern_graphs *graphs = calloc(1, sizeof(*graphs));
  if (!graphs)
    return NULL;
  pthread_mutex_init(&graphs->lock, NULL);
  graphs->credit = GRAPHS * TIMES;
  return graphs;
}

void wyvern_free_graphs(wyvern_graphs *graphs) {
  if (!graphs)
    return;
  const wyvern_driver *driver;
  int mode = CU_STREAM_CAPTURE_MODE_RELAXED;
  for (graph_call *call = graphs->calls; call < graphs->calls + GRAPHS; ++call)
    /* Where there are calls there is a driver. */
    if (call->words && wyvern_driver_open(&driver) == WYVERN_OK) {
      driver->ThreadExchangeStreamCaptureMode(&mode);
      forget(driver, call);
      driver->ThreadExchangeStreamCaptureMode(&mode);
    }
  pthread_mutex_destroy(&graphs->lock);
  free(graphs);
}
