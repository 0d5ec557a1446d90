/*===- Workspaces.c - Memory that a module keeps for its calls ------------===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|*===----------------------------------------------------------------------===*|
|*                                                                            *|
|* A framework takes 2 us to allocate a workspace, about as long as the rest  *|
|* of a call, and hands out another address now and then, for which a call    *|
|* that comes again is no graph. So a module keeps one for each stream, which *|
|* the calls on that stream, forward and backward, share: they run one after  *|
|* the other.                                                                 *|
|*                                                                            *|
|* A large one is the framework's, so that it can have the memory for other   *|
|* things: what the kernels write and read of it takes them longer than the   *|
|* allocation. So is one in a capture, since a graph may be launched on any   *|
|* stream.                                                                    *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#include "Workspaces.h"

#include "../Driver.h"

#include <pthread.h>
#include <stdatomic.h>

enum { STREAMS = 16 }; /* on which a module keeps one */

/* Two MiB is what the driver allocates at least. */
#define LEAST_BYTES ((size_t)2 << 20)
#define MOST_BYTES ((size_t)32 << 20)

struct wyvern_kept {
  pthread_mutex_t lock; /* held until the call has been enqueued */
  CUdeviceptr data;
  size_t bytes;
  int device;
  unsigned long long context, stream; /* their numbers; handles come again */
};

/* Places are taken in their order and kept: below `taken` neither the context
   nor the stream of one changes. */
static wyvern_kept places[STREAMS];
static _Atomic int taken;
static pthread_mutex_t taking = PTHREAD_MUTEX_INITIALIZER;

static wyvern_kept *find(int count, unsigned long long context,
                         unsigned long long stream) {
  for (wyvern_kept *kept = places; kept < places + count; ++kept)
    if (kept->context == context && kept->stream == stream)
      return kept;
  return NULL;
}

/* Returns the place of a stream, or null where no place is left. */
static wyvern_kept *find_or_take(int device, unsigned long long context,
                                 unsigned long long stream) {
  wyvern_kept *found = find(atomic_load(&taken), context, stream);
  if (found)
    return found;
  pthread_mutex_lock(&taking);
  int count = atomic_load(&taken);
  found = find(count, context, stream);
  if (!found && count < STREAMS) {
    found = &places[count];
    pthread_mutex_init(&found->lock, NULL);
    found->device = device;
    found->context = context;
    found->stream = stream;
    atomic_store(&taken, count + 1);
  }
  pthread_mutex_unlock(&taking);
  return found;
}

/* Makes a place's memory large enough, with its lock held and its context
   current; returns whether it is. Freeing waits for the kernels that use it. */
static int grow(const wyvern_driver *driver, wyvern_kept *kept, size_t bytes) {
  if (kept->bytes >= bytes)
    return 1;
  size_t larger = LEAST_BYTES;
  while (larger < bytes)
    larger *= 2;
  /* Neither does harm to what another thread captures. */
  int mode = CU_STREAM_CAPTURE_MODE_RELAXED;
  driver->ThreadExchangeStreamCaptureMode(&mode);
  if (kept->data)
    driver->MemFree(kept->data);
  CUresult result = driver->MemAlloc(&kept->data, larger);
  driver->ThreadExchangeStreamCaptureMode(&mode);
  if (result != CUDA_SUCCESS)
    kept->data = 0;
  kept->bytes = kept->data ? larger : 0;
  return kept->data != 0;
}

/* The same with the device's context current. */
static wyvern_kept *borrow(const wyvern_driver *driver, int device,
                           CUstream stream, size_t bytes) {
  int capturing = 0;
  unsigned long long context_id, stream_id;
  /* An error is one of a stream that cannot be asked. */
  if (driver->StreamIsCapturing(stream, &capturing) != CUDA_SUCCESS ||
      capturing || driver->CtxGetId(NULL, &context_id) != CUDA_SUCCESS ||
      driver->StreamGetId(stream, &stream_id) != CUDA_SUCCESS)
    return NULL;
  wyvern_kept *kept = find_or_take(device, context_id, stream_id);
  if (!kept)
    return NULL;
  pthread_mutex_lock(&kept->lock);
  if (grow(driver, kept, bytes))
    return kept;
  pthread_mutex_unlock(&kept->lock);
  return NULL;
}

wyvern_kept *wyvern_borrow_workspace(int device, void *stream, size_t bytes,
                                     void **data) {
  const wyvern_driver *driver;
  int pushed;
  if (bytes > MOST_BYTES || wyvern_driver_open(&driver) != WYVERN_OK ||
      wyvern_driver_enter(device, &pushed) != WYVERN_OK)
    return NULL;
  wyvern_kept *kept = borrow(driver, device, stream, bytes);
  wyvern_driver_leave(pushed);
  if (kept)
    *data = (void *)(uintptr_t)kept->data;
  return kept;
}

void wyvern_return_workspace(wyvern_kept *kept) {
  if (kept)
    pthread_mutex_unlock(&kept->lock);
}

/* Frees a place's memory. Of a context that has ended nothing is left to free;
   at the end of the process the driver may be gone, and says so. */
static void release(const wyvern_driver *driver, wyvern_kept *kept) {
  int pushed;
  unsigned long long context;
  if (!kept->data || wyvern_driver_enter(kept->device, &pushed) != WYVERN_OK)
    return;
  if (driver->CtxGetId(NULL, &context) == CUDA_SUCCESS &&
      context == kept->context)
    driver->MemFree(kept->data);
  wyvern_driver_leave(pushed);
}

/* Frees all when the module is unloaded. */
__attribute__((destructor)) static void release_all(void) {
  const wyvern_driver *driver;
  int count = atomic_load(&taken);
  /* Where memory was taken there is a driver. */
  if (count == 0 || wyvern_driver_open(&driver) != WYVERN_OK)
    return;
  for (int i = 0; i < count; ++i)
    release(driver, &places[i]);
}
