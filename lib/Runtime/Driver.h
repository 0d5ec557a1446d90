/*===- Driver.h - The part of the CUDA driver that is used --------*- C -*-===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|*===----------------------------------------------------------------------===*|
|*                                                                            *|
|* Types, enumerators and signatures as documented in the CUDA Driver API     *|
|* reference (CUDA 13.0; but for WYVERN_LATER_DRIVER_FUNCTIONS all exist      *|
|* since 12.0): sections "Data types used by CUDA driver" (the values),       *|
|* "Library Management", "Execution Control", "Tensor Map Object Management", *|
|* "Primary Context Management", "Stream Management", "Graph Management",     *|
|* "Memory Management".                                                       *|
|* They are declared here so that the runtime builds without a CUDA toolkit;  *|
|* all are part of the driver's stable ABI.                                   *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#ifndef WYVERN_RUNTIME_DRIVER_H
#define WYVERN_RUNTIME_DRIVER_H

#include "wyvern-rt/wyvern_rt.h"

typedef int CUresult;
typedef int CUdevice;
typedef uint64_t CUdeviceptr;
typedef struct CUctx_st *CUcontext;
typedef struct CUstream_st *CUstream;
typedef struct CUlib_st *CUlibrary;
typedef struct CUkern_st *CUkernel;
typedef struct CUfunc_st *CUfunction;
typedef struct CUgraph_st *CUgraph;
typedef struct CUgraphExec_st *CUgraphExec;
typedef struct CUgraphNode_st *CUgraphNode;

/* CUresult */
enum {
  CUDA_SUCCESS = 0,
  CUDA_ERROR_OUT_OF_MEMORY = 2,
  CUDA_ERROR_NO_DEVICE = 100,
  CUDA_ERROR_INVALID_IMAGE = 200,
  CUDA_ERROR_NO_BINARY_FOR_GPU = 209,
  CUDA_ERROR_INVALID_SOURCE = 300,
  CUDA_ERROR_NOT_FOUND = 500
};

/* CUdevice_attribute, CUfunction_attribute, CUstreamCaptureMode */
enum {
  CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75,
  CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76,
  CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN = 97,
  CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES = 8,
  CU_STREAM_CAPTURE_MODE_RELAXED = 2
};

/* CUtensorMapDataType, CUtensorMapSwizzle, CUtensorMapL2promotion; interleave
   and out-of-bounds fill are NONE = 0. */
enum {
  CU_TENSOR_MAP_DATA_TYPE_INT32 = 3,
  CU_TENSOR_MAP_DATA_TYPE_INT64 = 5,
  CU_TENSOR_MAP_DATA_TYPE_FLOAT16 = 6,
  CU_TENSOR_MAP_DATA_TYPE_FLOAT32 = 7,
  CU_TENSOR_MAP_DATA_TYPE_FLOAT64 = 8,
  CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 = 9,
  CU_TENSOR_MAP_SWIZZLE_NONE = 0,
  CU_TENSOR_MAP_SWIZZLE_32B = 1,
  CU_TENSOR_MAP_SWIZZLE_64B = 2,
  CU_TENSOR_MAP_SWIZZLE_128B = 3,
  CU_TENSOR_MAP_L2_PROMOTION_L2_128B = 2
};

typedef struct CUtensorMap_st {
  _Alignas(128) uint64_t opaque[16];
} CUtensorMap;

/* CUlaunchAttributeID, CUlaunchAttribute */
enum { CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION = 6 };

typedef struct CUlaunchAttribute_st {
  _Alignas(8) int id;
  _Alignas(8) union {
    int programmaticStreamSerializationAllowed;
    char pad[64];
  } value;
} CUlaunchAttribute;

typedef struct CUlaunchConfig_st {
  unsigned int gridDimX, gridDimY, gridDimZ;
  unsigned int blockDimX, blockDimY, blockDimZ;
  unsigned int sharedMemBytes;
  CUstream hStream;
  CUlaunchAttribute *attrs;
  unsigned int numAttrs;
} CUlaunchConfig;

/* CUDA_KERNEL_NODE_PARAMS_v2; a kernel without a function is the current
   context's copy. */
typedef struct CUkernelNodeParams {
  CUfunction func;
  unsigned int gridDimX, gridDimY, gridDimZ;
  unsigned int blockDimX, blockDimY, blockDimZ;
  unsigned int sharedMemBytes;
  void **kernelParams, **extra;
  CUkernel kern;
  CUcontext ctx;
} CUkernelNodeParams;

/* CUgraphEdgeData, and of it CU_GRAPH_KERNEL_NODE_PORT_PROGRAMMATIC and
   CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC */
typedef struct CUgraphEdgeData_st {
  unsigned char from_port, to_port, type, reserved[5];
} CUgraphEdgeData;
enum { CU_GRAPH_PORT_PROGRAMMATIC = 1, CU_GRAPH_TYPE_PROGRAMMATIC = 1 };

/* X(return type, field, symbol, parameters): one line a driver function. The
   symbol carries the version that the reference's signature belongs to. */
#define WYVERN_DRIVER_FUNCTIONS(X)                                             \
  X(Init, "cuInit", (unsigned int))                                            \
  X(GetErrorName, "cuGetErrorName", (CUresult, const char **))                 \
  X(GetErrorString, "cuGetErrorString", (CUresult, const char **))             \
  X(DeviceGetCount, "cuDeviceGetCount", (int *))                               \
  X(DeviceGet, "cuDeviceGet", (CUdevice *, int))                               \
  X(DeviceGetName, "cuDeviceGetName", (char *, int, CUdevice))                 \
  X(DeviceGetAttribute, "cuDeviceGetAttribute", (int *, int, CUdevice))        \
  X(PrimaryCtxRetain, "cuDevicePrimaryCtxRetain", (CUcontext *, CUdevice))     \
  X(CtxGetCurrent, "cuCtxGetCurrent", (CUcontext *))                           \
  X(CtxGetDevice, "cuCtxGetDevice", (CUdevice *))                              \
  X(CtxGetId, "cuCtxGetId", (CUcontext, unsigned long long *))                 \
  X(CtxPushCurrent, "cuCtxPushCurrent_v2", (CUcontext))                        \
  X(CtxPopCurrent, "cuCtxPopCurrent_v2", (CUcontext *))                        \
  X(ThreadExchangeStreamCaptureMode, "cuThreadExchangeStreamCaptureMode",      \
    (int *))                                                                   \
  X(LibraryLoadData, "cuLibraryLoadData",                                      \
    (CUlibrary *, const void *, int *, void **, unsigned int, int *, void **,  \
     unsigned int))                                                            \
  X(LibraryUnload, "cuLibraryUnload", (CUlibrary))                             \
  X(LibraryGetKernel, "cuLibraryGetKernel",                                    \
    (CUkernel *, CUlibrary, const char *))                                     \
  X(KernelGetFunction, "cuKernelGetFunction", (CUfunction *, CUkernel))        \
  X(KernelSetAttribute, "cuKernelSetAttribute",                                \
    (int, int, CUkernel, CUdevice))                                            \
  X(TensorMapEncodeTiled, "cuTensorMapEncodeTiled",                            \
    (CUtensorMap *, int, uint32_t, void *, const uint64_t *, const uint64_t *, \
     const uint32_t *, const uint32_t *, int, int, int, int))                  \
  X(LaunchKernelEx, "cuLaunchKernelEx",                                        \
    (const CUlaunchConfig *, CUfunction, void **, void **))                    \
  X(StreamIsCapturing, "cuStreamIsCapturing", (CUstream, int *))               \
  X(StreamGetPriority, "cuStreamGetPriority", (CUstream, int *))               \
  X(StreamGetCtx, "cuStreamGetCtx", (CUstream, CUcontext *))                   \
  X(StreamGetId, "cuStreamGetId", (CUstream, unsigned long long *))            \
  X(GraphCreate, "cuGraphCreate", (CUgraph *, unsigned int))                   \
  X(GraphDestroy, "cuGraphDestroy", (CUgraph))                                 \
  X(GraphAddKernelNode, "cuGraphAddKernelNode_v2",                             \
    (CUgraphNode *, CUgraph, const CUgraphNode *, size_t,                      \
     const CUkernelNodeParams *))                                              \
  X(GraphInstantiateWithFlags, "cuGraphInstantiateWithFlags",                  \
    (CUgraphExec *, CUgraph, unsigned long long))                              \
  X(GraphLaunch, "cuGraphLaunch", (CUgraphExec, CUstream))                     \
  X(GraphExecDestroy, "cuGraphExecDestroy", (CUgraphExec))                     \
  X(MemAlloc, "cuMemAlloc_v2", (CUdeviceptr *, size_t))                        \
  X(MemFree, "cuMemFree_v2", (CUdeviceptr))                                    \
  X(MemsetD8Async, "cuMemsetD8Async",                                          \
    (CUdeviceptr, unsigned char, size_t, CUstream))

/* Those of later drivers: null where the installed one has none. */
#define WYVERN_LATER_DRIVER_FUNCTIONS(X)                                       \
  /* of 12.3 */                                                                \
  X(GraphAddDependencies, "cuGraphAddDependencies_v2",                         \
    (CUgraph, const CUgraphNode *, const CUgraphNode *,                        \
     const CUgraphEdgeData *, size_t))

typedef struct wyvern_driver {
#define X(field, symbol, parameters) CUresult(*field) parameters;
  WYVERN_DRIVER_FUNCTIONS(X)
  WYVERN_LATER_DRIVER_FUNCTIONS(X)
#undef X
} wyvern_driver;

typedef struct wyvern_device {
  CUdevice handle;
  int major, minor;
  int max_shared; /* bytes a block may opt in to */
  char name[96];
} wyvern_device;

#define WYVERN_MAX_DEVICES 64

/* Opens and initialises the driver; the table lives as long as the process. */
wyvern_status wyvern_driver_open(const wyvern_driver **driver);

/* What is known about a device, after wyvern_driver_open. */
wyvern_status wyvern_driver_device(int ordinal, const wyvern_device **device);

/* Makes a context of the device current. `*pushed` goes to wyvern_driver_leave.
 */
wyvern_status wyvern_driver_enter(int ordinal, int *pushed);
void wyvern_driver_leave(int pushed);

/* Records "<what>: CUDA_ERROR_.. (..)" for a driver status that is no success.
 */
wyvern_status wyvern_driver_failed(CUresult result, const char *what, ...)
    __attribute__((format(printf, 2, 3)));

#endif
