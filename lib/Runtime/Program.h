/*===- Program.h - A loaded program and one call of it ------------*- C -*-===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#ifndef WYVERN_RUNTIME_PROGRAM_H
#define WYVERN_RUNTIME_PROGRAM_H

#include "Driver.h"
#include "Error.h"

#include <pthread.h>

/* Bounds of a program, so that a call needs no allocation. */
#define WYVERN_MAX_TENSORS 64 /* a variant's workspace among them */
#define WYVERN_MAX_VARIANTS 8
#define WYVERN_MAX_KERNELS 24
#define WYVERN_MAX_PARAMS 128

/* Tensor maps kept per program; a power of two. */
#define WYVERN_MAP_CACHE 256

/* What a tensor's accesses ask of its layout, over all kernels. */
typedef struct wyvern_layout {
  uint32_t fixed; /* bit i: the stride of dimension i must be the dense one */
  int tensor_map; /* read through a tensor map: 16-byte strides */
  int whole_rows; /* rows of a fixed whole dimension: 16-byte strides */
} wyvern_layout;

typedef struct wyvern_kernel {
  void *owned_image; /* read from a file */
  const void *image;
  CUlibrary library;
  CUkernel kernel;
} wyvern_kernel;

/* All that cuTensorMapEncodeTiled is told; also the key of the cache. Memory is
   zeroed before it is filled, so keys compare as bytes. */
typedef struct wyvern_map_key {
  void *address;
  uint64_t sizes[WYVERN_MAX_RANK];       /* fastest first */
  uint64_t strides[WYVERN_MAX_RANK - 1]; /* bytes */
  uint32_t box[WYVERN_MAX_RANK];
  uint32_t rank;
  uint32_t dtype;
  uint32_t swizzle;
} wyvern_map_key;

typedef struct wyvern_map_entry {
  CUtensorMap map;
  wyvern_map_key key;
  int valid;
} wyvern_map_entry;

typedef struct wyvern_graphs wyvern_graphs;

struct wyvern_program {
  const wyvern_program_desc *desc;
  uint32_t main_tensor;   /* the input that tells B and T */
  _Atomic int32_t forced; /* the variant that every launch runs, or -1 */
  _Atomic int64_t forced_segment; /* chunks of its segments; 0: by shapes */
  wyvern_layout layouts[WYVERN_MAX_TENSORS]; /* of the desc's tensors */
  wyvern_kernel kernels[WYVERN_MAX_VARIANTS][WYVERN_MAX_KERNELS];
  int loaded; /* guarded by lock, as the fields of kernels */
  _Atomic int ready[WYVERN_MAX_DEVICES];
  pthread_mutex_t lock;
  pthread_mutex_t map_lock;
  wyvern_map_entry *maps; /* guarded by map_lock */
  wyvern_graphs *graphs;  /* or null, where none are wanted */
};

typedef struct wyvern_extents {
  int64_t batch, tokens, sequences;
  int64_t slot_tokens; /* that slots of chunks are numbered by */
  int64_t chunk;       /* tokens */
  int64_t segment;     /* chunks; 0 where the chosen variant has no segments */
  int64_t first, second, last; /* tokens of these parts; 0 without */
  int reverse;                 /* the first part is a sequence's last tokens */
  int packed;
  wyvern_part part; /* of the sequences that all of this is of */
} wyvern_extents;

/* What a launch is given. */
typedef struct wyvern_given {
  const wyvern_tensor *tensors;
  const wyvern_tensor *cu_seqlens; /* null if not packed */
  void *workspace;
  size_t workspace_bytes;
} wyvern_given;

/* One launch, resolved: its variant, and every tensor, the variant's workspace
   among them, with its shape and strides. */
typedef struct wyvern_call {
  wyvern_extents extents;
  uint32_t variant;
  int device;
  size_t workspace_bytes;          /* that are needed */
  const wyvern_tensor *cu_seqlens; /* null if not packed */
  wyvern_tensor tensors[WYVERN_MAX_TENSORS];
} wyvern_call;

/* A kernel parameter by value. */
typedef union wyvern_value {
  CUtensorMap map;
  uint64_t pointer;
  int64_t integer;
} wyvern_value;

/* A kernel of a call, as the driver takes it. */
typedef struct wyvern_kernel_call {
  const wyvern_kernel_desc *desc;
  CUkernel kernel;
  unsigned blocks; /* 0: there is nothing to run */
  wyvern_value values[WYVERN_MAX_PARAMS];
  void *params[WYVERN_MAX_PARAMS];
} wyvern_kernel_call;

/* Descriptor.c */
wyvern_status wyvern_check_desc(const wyvern_program_desc *desc);
wyvern_status wyvern_check_costs(const wyvern_program_desc *desc);
int wyvern_has_segments(const wyvern_variant_desc *variant);
const wyvern_tensor_desc *wyvern_find_tensor(const wyvern_program_desc *desc,
                                             const wyvern_variant_desc *variant,
                                             uint32_t index);
int wyvern_is_main(const wyvern_tensor_desc *tensor);

/* Layouts.c */
void wyvern_find_layouts(wyvern_program *program);

/* Parts.c */
int64_t wyvern_count_in_parts(const wyvern_variant_desc *variant,
                              int64_t segment, int64_t segments);
int wyvern_has_parts(const wyvern_variant_desc *variant);
void wyvern_cut(const wyvern_variant_desc *variant, wyvern_extents *extents);
wyvern_extents wyvern_part_extents(const wyvern_extents *extents,
                                   wyvern_part part);
wyvern_extents wyvern_workspace_extents(const wyvern_variant_desc *variant,
                                        const wyvern_extents *extents);
void wyvern_take_part(const wyvern_program_desc *desc, const wyvern_call *call,
                      wyvern_part part, wyvern_call *out);

/* Choose.c */
uint32_t wyvern_choose(const wyvern_program *program, wyvern_extents *extents);

/* Extents.c */
wyvern_status wyvern_get_extents(const wyvern_program_desc *desc, int64_t batch,
                                 int64_t tokens, int64_t packed_sequences,
                                 wyvern_extents *extents);
int64_t wyvern_count_slots(const wyvern_extents *extents, int64_t chunks);
int64_t wyvern_count_grid(const wyvern_kernel_desc *kernel,
                          const wyvern_extents *extents);
int64_t wyvern_dim_extent(const wyvern_tensor_desc *tensor, uint32_t dim,
                          const wyvern_extents *extents);
int64_t wyvern_dtype_size(wyvern_dtype dtype);

/* Workspace.c */
wyvern_status wyvern_place_workspace(const wyvern_program_desc *desc,
                                     wyvern_call *call, char *base,
                                     size_t *bytes);

/* Arguments.c */
wyvern_status wyvern_resolve_call(const wyvern_program *program,
                                  const wyvern_given *given, wyvern_call *call);

/* Graphs.c */

/* Launches the graph of a call that is one already, with nothing checked again;
   `*launched` says whether it did. */
wyvern_status wyvern_launch_again(wyvern_program *program,
                                  const wyvern_given *given, CUstream stream,
                                  int *launched);
/* Launches a call as a graph, if it has come often enough; `*launched` says
   whether it did, and the caller launches the kernels if not. */
wyvern_status wyvern_launch_graph(wyvern_program *program,
                                  const wyvern_driver *driver,
                                  const wyvern_given *given,
                                  const wyvern_call *call, CUstream stream,
                                  int *launched);
wyvern_graphs *wyvern_make_graphs(void); /* null where none are wanted */
void wyvern_free_graphs(wyvern_graphs *graphs);

/* Params.c */
wyvern_status wyvern_fill_kernel(wyvern_program *program,
                                 const wyvern_driver *driver,
                                 const wyvern_call *call, uint32_t k,
                                 wyvern_kernel_call *out);
int wyvern_overlaps(const wyvern_kernel_desc *kernel, int follows);

/* Prepare.c */
wyvern_status wyvern_prepare_entered(wyvern_program *program,
                                     const wyvern_driver *driver, int device);

/* TensorMap.c */
wyvern_status wyvern_encode_map(wyvern_program *program,
                                const wyvern_driver *driver,
                                const wyvern_call *call,
                                const wyvern_param_desc *param,
                                CUtensorMap *map);

#endif
