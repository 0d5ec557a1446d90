/*===- Graphs.c - Calls that come again, as graphs ------------------------===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|*===----------------------------------------------------------------------===*|
|*                                                                            *|
|* A launch takes the driver longer than all that the runtime does for it,    *|
|* and an executable graph of any number of kernels less than one launch. A   *|
|* model calls a program with the same tensors over and over (the allocator   *|
|* hands the same ones out), so a call that comes a second time becomes a     *|
|* graph. Its kernels, their parameters and their order are those of the      *|
|* launches; what is captured, or goes to a stream with a priority, which a   *|
|* graph would not have, is launched. With WYVERN_GRAPHS=1 in the             *|
|* environment, when a program is loaded.                                     *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#include "Program.h"

#include <stdlib.h>
#include <string.h>

/* All that the kernels of a call are told: of each tensor an address, a type, a
   rank, sizes and strides. */
#define MAX_WORDS (16 + WYVERN_MAX_TENSORS * (2 + 2 * WYVERN_MAX_RANK))

typedef struct graph_key {
  size_t count;
  uint64_t words[MAX_WORDS];
} graph_key;

struct wyvern_graph {
  uint64_t hash, used; /* used: of two, the one used later has the more */
  size_t count;        /* of words; 0 for no call */
  uint64_t *words;
  CUgraphExec graph;
  int is_refused; /* no graph is made of it */
};

static void add(graph_key *key, uint64_t word) {
  key->words[key->count++] = word;
}

static void add_tensor(graph_key *key, const wyvern_tensor *tensor) {
  add(key, (uintptr_t)tensor->data);
  add(key, (uint64_t)tensor->dtype << 32 | tensor->rank);
  for (uint32_t i = 0; i < tensor->rank; ++i) {
    add(key, (uint64_t)tensor->sizes[i]);
    add(key, (uint64_t)tensor->strides[i]);
  }
}

static void fill_key(const wyvern_program *program, const wyvern_call *call,
                     CUcontext context, CUstream stream, graph_key *key) {
  const wyvern_variant_desc *variant = &program->desc->variants[call->variant];
  key->count = 0;
  add(key, (uintptr_t)context);
  add(key, (uintptr_t)stream);
  add(key, call->variant);
  add(key, (uint64_t)call->extents.tokens);
  add(key, (uint64_t)call->extents.sequences);
  add(key, (uint64_t)call->extents.packed);
  add(key, (uint64_t)call->extents.segment);
  if (call->cu_seqlens)
    add_tensor(key, call->cu_seqlens);
  uint32_t tensors = program->desc->num_tensors + variant->num_workspace;
  for (uint32_t t = 0; t < tensors; ++t)
    if (call->tensors[t].data)
      add_tensor(key, &call->tensors[t]);
    else
      add(key, 0);
}

/* Four sums of every fourth word, which a processor multiplies at once. */
static uint64_t hash_words(const graph_key *key) {
  uint64_t sums[4] = {1, 2, 3, 4};
  for (size_t i = 0; i < key->count; ++i)
    sums[i % 4] = (sums[i % 4] ^ key->words[i]) * UINT64_C(1099511628211);
  uint64_t hash = sums[0] ^ sums[1] << 1 ^ sums[2] << 2 ^ sums[3] << 3;
  return hash ^ hash >> 32;
}

static int is_same(const wyvern_graph *entry, uint64_t hash,
                   const graph_key *key) {
  return entry->hash == hash && entry->count == key->count &&
         memcmp(entry->words, key->words, key->count * sizeof(uint64_t)) == 0;
}

/* Calls whose hashes are alike share a few places. */
enum { WAYS = 4 };

/* Returns the place of a call: its own, or the one that has been used least
   lately of those that it may have. */
static wyvern_graph *find(wyvern_graph *graphs, uint64_t hash,
                          const graph_key *key) {
  wyvern_graph *first = &graphs[hash % (WYVERN_GRAPHS / WAYS) * WAYS];
  wyvern_graph *oldest = first;
  for (wyvern_graph *entry = first; entry < first + WAYS; ++entry) {
    if (is_same(entry, hash, key))
      return entry;
    if (entry->used < oldest->used)
      oldest = entry;
  }
  return oldest;
}

static void forget(const wyvern_driver *driver, wyvern_graph *entry) {
  /* The driver keeps what is running until it has ended. */
  if (entry->graph)
    driver->GraphExecDestroy(entry->graph);
  free(entry->words);
  memset(entry, 0, sizeof(*entry));
}

/* Remembers a call, in the place of another. */
static void remember(const wyvern_driver *driver, wyvern_graph *entry,
                     uint64_t hash, const graph_key *key) {
  forget(driver, entry);
  size_t bytes = key->count * sizeof(uint64_t);
  entry->words = malloc(bytes);
  if (!entry->words)
    return; /* it is launched next time, too */
  memcpy(entry->words, key->words, bytes);
  entry->hash = hash;
  entry->count = key->count;
}

static wyvern_status instantiate(const wyvern_program *program,
                                 const wyvern_driver *driver, CUgraph graph,
                                 CUgraphExec *made) {
  CUresult result = driver->GraphInstantiateWithFlags(made, graph, 0);
  if (result == CUDA_SUCCESS)
    return WYVERN_OK;
  *made = NULL;
  return wyvern_driver_failed(result, "%s: cannot instantiate a graph",
                              program->desc->name);
}

/* Makes the graph of a call. */
static wyvern_status make(wyvern_program *program, const wyvern_driver *driver,
                          const wyvern_call *call, CUgraphExec *made) {
  CUgraph graph;
  CUresult result = driver->GraphCreate(&graph, 0);
  if (result != CUDA_SUCCESS)
    return wyvern_driver_failed(result, "%s: cannot make a graph",
                                program->desc->name);
  wyvern_status status = wyvern_add_kernels(program, driver, call, graph);
  if (status == WYVERN_OK)
    status = instantiate(program, driver, graph, made);
  driver->GraphDestroy(graph);
  return status;
}

static int has_priority(const wyvern_driver *driver, CUstream stream) {
  int priority = 0;
  return driver->StreamGetPriority(stream, &priority) != CUDA_SUCCESS ||
         priority != 0;
}

/* With graph_lock held: an executable graph is for one thread at a time. */
static wyvern_status launch_locked(wyvern_program *program,
                                   const wyvern_driver *driver,
                                   const wyvern_call *call,
                                   const graph_key *key, CUstream stream,
                                   int *launched) {
  uint64_t hash = hash_words(key);
  wyvern_graph *entry = find(program->graphs, hash, key);
  int is_again = is_same(entry, hash, key);
  if (!is_again)
    remember(driver, entry, hash, key);
  entry->used = ++program->graph_clock;
  if (!is_again)
    return WYVERN_OK;
  /* A driver that makes no graph, of memory that is out, say, may still launch
     kernels, and if not it says why. */
  if (!entry->graph && !entry->is_refused)
    entry->is_refused = has_priority(driver, stream) ||
                        make(program, driver, call, &entry->graph) != WYVERN_OK;
  if (!entry->graph)
    return WYVERN_OK;
  CUresult result = driver->GraphLaunch(entry->graph, stream);
  if (result != CUDA_SUCCESS)
    return wyvern_driver_failed(result, "%s: cannot launch a graph",
                                program->desc->name);
  *launched = 1;
  return WYVERN_OK;
}

wyvern_status wyvern_launch_graph(wyvern_program *program,
                                  const wyvern_driver *driver,
                                  const wyvern_call *call, CUstream stream,
                                  int *launched) {
  *launched = 0;
  if (!program->graphs)
    return WYVERN_OK;
  int capturing = 0;
  CUcontext context = NULL;
  /* An error is one of a stream that cannot be asked, nor take a graph. */
  if (driver->StreamIsCapturing(stream, &capturing) != CUDA_SUCCESS ||
      capturing || driver->CtxGetCurrent(&context) != CUDA_SUCCESS)
    return WYVERN_OK;
  graph_key key;
  fill_key(program, call, context, stream, &key);
  /* As loading code, a graph that goes to the device is harmless while another
     thread captures. */
  int mode = CU_STREAM_CAPTURE_MODE_RELAXED;
  pthread_mutex_lock(&program->graph_lock);
  driver->ThreadExchangeStreamCaptureMode(&mode);
  wyvern_status status =
      launch_locked(program, driver, call, &key, stream, launched);
  driver->ThreadExchangeStreamCaptureMode(&mode);
  pthread_mutex_unlock(&program->graph_lock);
  return status;
}

wyvern_graph *wyvern_make_graphs(void) {
  const char *wanted = getenv("WYVERN_GRAPHS");
  return wanted && strcmp(wanted, "1") == 0
             ? calloc(WYVERN_GRAPHS, sizeof(wyvern_graph))
             : NULL;
}

void wyvern_free_graphs(wyvern_graph *graphs) {
  const wyvern_driver *driver;
  for (uint32_t i = 0; graphs && i < WYVERN_GRAPHS; ++i)
    /* Where there are calls there is a driver. */
    if (graphs[i].count && wyvern_driver_open(&driver) == WYVERN_OK)
      forget(driver, &graphs[i]);
  free(graphs);
}
