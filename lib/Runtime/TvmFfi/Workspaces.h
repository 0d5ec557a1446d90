/*===- Workspaces.h - Memory that a module keeps for its calls ----*- C -*-===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#ifndef WYVERN_RUNTIME_TVMFFI_WORKSPACES_H
#define WYVERN_RUNTIME_TVMFFI_WORKSPACES_H

#include <stddef.h>

typedef struct wyvern_kept wyvern_kept;

/* Lends so many bytes of the module's for kernels on a stream. Null where it
   keeps none: of too many bytes, in a capture, on too many streams, with the
   memory out. Until it is returned, once the kernels have been enqueued, other
   calls on the stream wait. */
wyvern_kept *wyvern_borrow_workspace(int device, void *stream, size_t bytes,
                                     void **data);
void wyvern_return_workspace(wyvern_kept *kept); /* null is none */

#endif
