/*===- wyvern_tvm_ffi.h - A program as functions of tvm-ffi -------*- C -*-===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|*===----------------------------------------------------------------------===*|
|*                                                                            *|
|* What is below the functions of a module that wyvernc --emit=tvm-ffi has    *|
|* made. docs/tvm-ffi.md says what these take.                                *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#ifndef WYVERN_TVM_FFI_H
#define WYVERN_TVM_FFI_H

#include "wyvern-rt/wyvern_rt.h"

typedef struct wyvern_tvm_any wyvern_tvm_any;

/* A program of a module: its images are in memory. */
typedef struct wyvern_tvm_program {
  const wyvern_program_desc *desc;
  const char *doc;                 /* what its arguments are */
  wyvern_program *_Atomic program; /* loaded at the first call, null before */
} wyvern_tvm_program;

/* The functions of a module return 0, or -1 with an error of tvm-ffi raised. */

/* Launches: the tensors of the descriptor in order, cu_seqlens, workspace. */
int wyvern_tvm_launch(wyvern_tvm_program *program,
                      const wyvern_tvm_any *arguments, int32_t count);

/* Returns the bytes of workspace of a launch: batch, tokens, packed. */
int wyvern_tvm_workspace_size(wyvern_tvm_program *program,
                              const wyvern_tvm_any *arguments, int32_t count,
                              wyvern_tvm_any *result);

/* Returns a text. */
int wyvern_tvm_text(const char *text, wyvern_tvm_any *result);

/* Defines the functions of a program: NAME, its documentation, and
   NAME_workspace_size. */
#define WYVERN_TVM_FUNCTIONS(NAME, PROGRAM)                                    \
  WYVERN_API int __tvm_ffi_##NAME(void *self, const wyvern_tvm_any *arguments, \
                                  int32_t count, wyvern_tvm_any *result) {     \
    (void)self, (void)result;                                                  \
    return wyvern_tvm_launch(PROGRAM, arguments, count);                       \
  }                                                                            \
  WYVERN_API int __tvm_ffi__doc_##NAME(                                        \
      void *self, const wyvern_tvm_any *arguments, int32_t count,              \
      wyvern_tvm_any *result) {                                                \
    (void)self, (void)arguments, (void)count;                                  \
    return wyvern_tvm_text((PROGRAM)->doc, result);                            \
  }                                                                            \
  WYVERN_API int __tvm_ffi_##NAME##_workspace_size(                            \
      void *self, const wyvern_tvm_any *arguments, int32_t count,              \
      wyvern_tvm_any *result) {                                                \
    (void)self;                                                                \
    return wyvern_tvm_workspace_size(PROGRAM, arguments, count, result);       \
  }

/* Defines a function without arguments that returns a text. */
#define WYVERN_TVM_TEXT(NAME, TEXT)                                            \
  WYVERN_API int __tvm_ffi_##NAME(void *self, const wyvern_tvm_any *arguments, \
                                  int32_t count, wyvern_tvm_any *result) {     \
    (void)self, (void)arguments, (void)count;                                  \
    return wyvern_tvm_text(TEXT, result);                                      \
  }

#endif
