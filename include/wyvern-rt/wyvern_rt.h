/*===- wyvern_rt.h - Launching compiled Wyvern programs -----------*- C -*-===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|*===----------------------------------------------------------------------===*|
|*                                                                            *|
|* The C11 interface of libwyvern_rt. It needs no CUDA header and links no    *|
|* CUDA library: the driver is opened when a program is first prepared.       *|
|*                                                                            *|
|* A program is a list of kernels that run one after another on the caller's  *|
|* stream, or several such lists, its variants, of which a launch picks one   *|
|* by the shapes of its tensors. The descriptors below mirror manifest.json   *|
|* (docs/abi.md); the compiler writes them into the bundle's C header, and    *|
|* the Python package builds them from the manifest.                          *|
|*                                                                            *|
|* The runtime creates no context, allocates no device memory of its own but  *|
|* for graphs of calls that come again, never waits for the device, reads no  *|
|* device data and never aborts: every failure is a status, and               *|
|* wyvern_last_error() says what happened on this thread. A launch may be     *|
|* captured into a CUDA graph; one that has come often goes to the driver as  *|
|* a graph (docs/abi.md). All functions may be called from several threads at *|
|* once.                                                                      *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#ifndef WYVERN_RT_H
#define WYVERN_RT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define WYVERN_API __attribute__((visibility("default")))
#else
#define WYVERN_API
#endif

/* Raised when a descriptor or a function changes its meaning. */
#define WYVERN_ABI_VERSION 6u

/* cuTensorMapEncodeTiled takes at most five dimensions. */
#define WYVERN_MAX_RANK 5

/* A workspace starts at a multiple of this many bytes. */
#define WYVERN_WORKSPACE_ALIGNMENT 256

typedef enum wyvern_status {
  WYVERN_OK = 0,
  WYVERN_ERROR_INVALID_DESCRIPTOR = 1, /* the program is not well formed */
  WYVERN_ERROR_INVALID_ARGUMENT = 2,   /* null or out-of-range argument */
  WYVERN_ERROR_INVALID_TENSOR = 3, /* dtype, shape, stride, alignment, device */
  WYVERN_ERROR_WORKSPACE = 4,      /* workspace too small or unaligned */
  WYVERN_ERROR_FILE = 5,           /* an image cannot be read */
  WYVERN_ERROR_NO_DRIVER = 6,      /* libcuda.so.1 missing or too old */
  WYVERN_ERROR_NO_DEVICE = 7,      /* no such GPU */
  WYVERN_ERROR_WRONG_ARCH = 8,     /* built for another architecture */
  WYVERN_ERROR_BAD_IMAGE = 9,      /* the driver refuses an image */
  WYVERN_ERROR_DRIVER = 10,        /* any other driver error */
  WYVERN_ERROR_OUT_OF_MEMORY = 11  /* host memory */
} wyvern_status;

typedef enum wyvern_dtype {
  WYVERN_BF16 = 0,
  WYVERN_F16 = 1,
  WYVERN_F32 = 2,
  WYVERN_F64 = 3,
  WYVERN_I32 = 4,
  WYVERN_I64 = 5
} wyvern_dtype;

/*===----------------------------------------------------------------------===*\
|* Descriptors: what the compiler says about a program.                       *|
\*===----------------------------------------------------------------------===*/

/* What one dimension of a tensor counts. B is the batch, T the tokens (all
   packed tokens if cu_seqlens is given), N the sequences (B, or
   len(cu_seqlens) - 1). */
typedef enum wyvern_dim_kind {
  WYVERN_DIM_SEQ = 0,    /* B beside a time dimension, else N */
  WYVERN_DIM_TIME = 1,   /* T * multiple */
  WYVERN_DIM_CHUNK = 2,  /* slots of multiple * chunk = C tokens: B * ceil(T /
                            C); packed: floor(T / C) + N */
  WYVERN_DIM_HEAD = 3,   /* size */
  WYVERN_DIM_WHOLE = 4,  /* size */
  WYVERN_DIM_SLOT = 5,   /* slots of a pool of states: as many as the caller has
                          */
  WYVERN_DIM_SEGMENT = 6 /* WORKSPACE: slots of a segment, as CHUNK, of as many
                            tokens as the launch has chosen */
} wyvern_dim_kind;

typedef struct wyvern_dim_desc {
  wyvern_dim_kind kind;
  uint32_t multiple; /* TIME: rows a token, CHUNK: chunks a slot; at least 1 */
  int64_t size;      /* HEAD, WHOLE: the extent; TIME: the most tokens, or 0 for
                        any number; else 0 */
} wyvern_dim_desc;

typedef enum wyvern_role {
  WYVERN_INPUT = 0,
  WYVERN_OUTPUT = 1,
  WYVERN_WORKSPACE = 2 /* carved out of the caller's workspace */
} wyvern_role;

typedef struct wyvern_tensor_desc {
  const char *name;
  wyvern_role role;
  wyvern_dtype dtype;
  uint32_t optional; /* 1: the caller may pass a null tensor */
  uint32_t rank;
  wyvern_dim_desc dims[WYVERN_MAX_RANK]; /* slowest first */
} wyvern_tensor_desc;

typedef enum wyvern_param_kind {
  WYVERN_PARAM_TENSOR_MAP = 0, /* CUtensorMap, 128 bytes by value */
  WYVERN_PARAM_POINTER = 1,    /* device pointer; null if absent */
  WYVERN_PARAM_STRIDE = 2, /* i64 elements of dimension `dim`; 0 if absent */
  WYVERN_PARAM_CU_SEQLENS = 3,  /* device pointer; null if not packed */
  WYVERN_PARAM_CU_WIDTH = 4,    /* i64 bytes an entry: 4, 8; 0 if not packed */
  WYVERN_PARAM_TOKENS = 5,      /* i64: T */
  WYVERN_PARAM_SEQUENCES = 6,   /* i64: N */
  WYVERN_PARAM_SEGMENT = 7,     /* i64: the tokens of a segment */
  WYVERN_PARAM_SLOT_TOKENS = 8, /* i64: the T by which slots of chunks are
                                   numbered, also in a part of sequences */
  WYVERN_PARAM_PART = 9 /* i64: the kernel's part. States of a pool are read in
                           slots by all and the first part alone, written into
                           slots by all and the last part alone: the others have
                           a row a sequence */
} wyvern_param_kind;

typedef struct wyvern_param_desc {
  wyvern_param_kind kind;
  uint32_t tensor;  /* TENSOR_MAP, POINTER, STRIDE: index into the program's
                       tensors, then the variant's workspace */
  uint32_t dim;     /* STRIDE */
  uint32_t swizzle; /* TENSOR_MAP: 0, 32, 64 or 128 bytes */
  uint32_t box[WYVERN_MAX_RANK]; /* TENSOR_MAP: as dims, slowest first */
} wyvern_param_desc;

typedef enum wyvern_count {
  WYVERN_COUNT_SLOTS = 0,     /* as WYVERN_DIM_CHUNK of grid_chunks chunks */
  WYVERN_COUNT_SEQUENCES = 1, /* N */
  WYVERN_COUNT_SEGMENTS = 2   /* as WYVERN_DIM_SEGMENT */
} wyvern_count;

/* When the blocks of a kernel may start, if not behind the one before it. */
typedef enum wyvern_waits {
  WYVERN_WAITS_NOT = 0,   /* it does not wait itself */
  WYVERN_WAITS_FIRST = 1, /* it waits for all before it, then begins */
  WYVERN_WAITS_LAST = 2   /* it needs nothing of the kernel listed before it,
                             runs beside that, and waits for it in the end */
} wyvern_waits;

/* Which tokens of a sequence a kernel goes through, as if they were all that
   there is, but for the numbers of slots, which are those of the whole
   sequence: where each part begins and ends the launch chooses. Packed
   sequences have all their tokens in the first part. */
typedef enum wyvern_part {
  WYVERN_PART_ALL = 0,
  WYVERN_PART_FIRST = 1,
  WYVERN_PART_SECOND = 2,
  WYVERN_PART_MIDDLE = 3, /* the workspace too is that of these tokens */
  WYVERN_PART_LAST = 4
} wyvern_part;

/* What a block of a kernel costs on the target, as the compiler estimates it;
   cycles are an SM's. A block takes a step for each chunk that it goes through,
   or for several chunks at once. Not read in a program of one variant without
   segments. */
typedef struct wyvern_cost_desc {
  uint32_t step_chunks;  /* chunks a step; 0: those of a segment */
  uint32_t residents;    /* blocks that an SM holds at once; at least 1 */
  uint32_t block_cycles; /* before the first step and after the last */
  uint32_t step_cycles;  /* a step of a block that is alone on its SM */
  uint32_t step_work;    /* cycles a step of what blocks of an SM share */
  uint32_t step_bytes;   /* of device memory, read or written in a step */
} wyvern_cost_desc;

typedef struct wyvern_kernel_desc {
  const char *symbol;
  const char *file;  /* image within the bundle folder; used if image is null */
  const void *image; /* cubin bytes, or null */
  size_t image_size;
  wyvern_count grid_count; /* gridDim.x = grid_factor * count */
  uint32_t grid_factor;
  uint32_t grid_chunks;    /* SLOTS: chunks a slot, at least 1; else 0 */
  uint32_t block;          /* threads a block */
  uint32_t dynamic_shared; /* bytes */
  wyvern_waits waits;
  wyvern_part part; /* of all kernels of a variant one, or of none */
  uint32_t num_params;
  const wyvern_param_desc *params;
  wyvern_cost_desc cost;
} wyvern_kernel_desc;

/* How a launch cuts sequences in parts, in sixteenths of a segment, of which
   each is at least a chunk; 0 where no kernel has a part. */
typedef struct wyvern_cut_desc {
  uint32_t reverse; /* 1: the first part is a sequence's last tokens */
  uint32_t first;
  uint32_t second;
  uint32_t last; /* at most so many */
} wyvern_cut_desc;

/* One way to compute the program: its kernels, and what they hand each other.
 */
typedef struct wyvern_variant_desc {
  const char *name; /* "separate" */
  uint32_t num_workspace;
  const wyvern_tensor_desc *workspace;
  uint32_t num_kernels;
  const wyvern_kernel_desc *kernels; /* in launch order */
  wyvern_cut_desc cut;
} wyvern_variant_desc;

/* The GPU that costs are estimated for. Not read in a program of one variant
   without segments. */
typedef struct wyvern_machine_desc {
  uint32_t sms;             /* at least 1 */
  uint32_t bytes_per_cycle; /* of device memory, all SMs together; at least 1 */
  uint32_t launch_cycles; /* from the end of a kernel to the next one's work */
} wyvern_machine_desc;

typedef struct wyvern_program_desc {
  uint32_t abi_version; /* WYVERN_ABI_VERSION */
  const char *name;
  const char *target; /* "sm_90a" */
  int64_t chunk;      /* tokens a chunk */
  uint32_t num_tensors;
  const wyvern_tensor_desc *tensors; /* inputs and outputs */
  wyvern_machine_desc machine;
  uint32_t num_variants;
  const wyvern_variant_desc *variants; /* the first of the fastest is taken */
} wyvern_program_desc;

/*===----------------------------------------------------------------------===*\
|* Calls                                                                      *|
\*===----------------------------------------------------------------------===*/

/* A tensor of the caller; sizes and strides in elements, slowest dimension
   first. Null data means that an optional tensor is not given. */
typedef struct wyvern_tensor {
  void *data;
  wyvern_dtype dtype;
  int32_t device; /* CUDA ordinal */
  uint32_t rank;
  int64_t sizes[WYVERN_MAX_RANK];
  int64_t strides[WYVERN_MAX_RANK];
} wyvern_tensor;

typedef struct wyvern_program wyvern_program;

/* Checks the descriptors and reads the images that are files of `directory`
   (null: the working directory). Needs no GPU. The descriptors must outlive the
   program. */
WYVERN_API wyvern_status wyvern_program_load(const wyvern_program_desc *desc,
                                             const char *directory,
                                             wyvern_program **program);

/* Unloads the kernels; null is fine. No launch may be running, and no CUDA
   graph that captured one may be replayed afterwards. */
WYVERN_API void wyvern_program_free(wyvern_program *program);

/* Loads the kernels onto a device ahead of the first launch there, which does
   the same when it has to. */
WYVERN_API wyvern_status wyvern_program_prepare(wyvern_program *program,
                                                int device);

/* Cycles that one variant takes by the compiler's estimate (docs/abi.md has the
   formula). Needs no program. Packed sequences count as if their lengths were
   drawn at random: how long each is, only the device knows. */
WYVERN_API wyvern_status wyvern_estimate_cycles(const wyvern_program_desc *desc,
                                                uint32_t variant, int64_t batch,
                                                int64_t tokens,
                                                int64_t packed_sequences,
                                                double *cycles);

/* The variant that a launch of these shapes runs: the first of those with the
   lowest estimate, or the one that is forced. */
WYVERN_API wyvern_status wyvern_program_choose(const wyvern_program *program,
                                               int64_t batch, int64_t tokens,
                                               int64_t packed_sequences,
                                               uint32_t *variant);

/* Has every launch from now on run the variant of this name, whatever the
   shapes; null: by shapes again. Behind the name of one with segments may stand
   how many tokens these are to have ("segments-4096"), rounded up to chunks.
   Results have the same bits in every batch within a variant, and within one
   length of segments, and not across. */
WYVERN_API wyvern_status wyvern_program_force_variant(wyvern_program *program,
                                                      const char *name);

/* Bytes of workspace that a launch needs: a function of these numbers, and of
   the forced variant, alone. `packed_sequences` is len(cu_seqlens) - 1, or -1
   without cu_seqlens. */
WYVERN_API wyvern_status wyvern_program_workspace_size(
    const wyvern_program *program, int64_t batch, int64_t tokens,
    int64_t packed_sequences, size_t *bytes);

/* What a launch with these inputs takes. `expected` has one entry for each
   tensor of the descriptor and gets its dtype, sizes and dense strides, null
   data, and the device of the main tensor; that is the first input that has a
   batch and tokens and is not optional, and all that is read of `tensors`. Of
   cu_seqlens, which may be null, the shape is read. A pool's slots count 0:
   they are the caller's. `workspace_bytes`: as wyvern_program_workspace_size.
 */
WYVERN_API wyvern_status wyvern_program_expect(const wyvern_program *program,
                                               const wyvern_tensor *tensors,
                                               const wyvern_tensor *cu_seqlens,
                                               wyvern_tensor *expected,
                                               size_t *workspace_bytes);

/* Whether a launch takes this tensor's address and strides as they are; if not,
   the last error says why, and a dense copy at a multiple of 16 bytes will do.
   `index` counts as in wyvern_program_launch. */
WYVERN_API wyvern_status wyvern_program_check_layout(
    const wyvern_program *program, uint32_t index, const wyvern_tensor *tensor);

/* Enqueues the program on `stream` (a CUstream; null is the default stream).
   `tensors` has one entry for each tensor of the descriptor, in its order.
   `cu_seqlens`: null, or a rank-1
   WYVERN_I32 or WYVERN_I64 tensor of device memory with N + 1 offsets.
   Runs in the current context if it belongs to the tensors' device, else in
   that device's primary context. */
WYVERN_API wyvern_status wyvern_program_launch(wyvern_program *program,
                                               const wyvern_tensor *tensors,
                                               const wyvern_tensor *cu_seqlens,
                                               void *workspace,
                                               size_t workspace_bytes,
                                               void *stream);

/* What went wrong in this thread's last failed call; never null. */
WYVERN_API const char *wyvern_last_error(void);

/* The name of a status, as written above. */
WYVERN_API const char *wyvern_status_name(wyvern_status status);

/* WYVERN_ABI_VERSION of the library in use. */
WYVERN_API uint32_t wyvern_abi_version(void);

/* A dense row-major tensor; only the first `rank` sizes are read. */
static inline wyvern_tensor wyvern_tensor_dense(void *data, wyvern_dtype dtype,
                                                int32_t device, uint32_t rank,
                                                const int64_t *sizes) {
  wyvern_tensor tensor = {data, dtype, device, rank, {0}, {0}};
  int64_t stride = 1;
  for (uint32_t i = rank < WYVERN_MAX_RANK ? rank : WYVERN_MAX_RANK; i-- > 0;) {
    tensor.sizes[i] = sizes[i];
    tensor.strides[i] = stride;
    stride *= sizes[i];
  }
  return tensor;
}

#ifdef __cplusplus
}
#endif

#endif /* WYVERN_RT_H */
