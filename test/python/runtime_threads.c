/*===- runtime_threads.c - One program, launched by many threads ----------===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|*===----------------------------------------------------------------------===*|
|*                                                                            *|
|* Calls that become graphs, on several streams at once and on one stream of  *|
|* several threads, beside a capture and beside a stream that is full; argv[1]
*|
|* is the folder of scale.cubin. Run by test_runtime.py against a fake driver,
*|
|* with ThreadSanitizer.                                                      *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#include "wyvern-rt/wyvern_rt.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Of the fake driver. */
int fake_wrongs(void);
int fake_launched(void);
int fake_waiting(void);
void fake_set_context(int);
void fake_set_full_stream(void *);
void fake_capture_elsewhere(int);

#define ROWS                                                                   \
  {                                                                            \
      {WYVERN_DIM_SEQ, 0, 0},                                                  \
      {WYVERN_DIM_TIME, 1, 0},                                                 \
      {WYVERN_DIM_WHOLE, 0, 64},                                               \
  }
static const wyvern_tensor_desc tensors[] = {
    {"x", WYVERN_INPUT, WYVERN_BF16, 0, 3, ROWS},
    {"y", WYVERN_OUTPUT, WYVERN_BF16, 0, 3, ROWS},
};
static const wyvern_param_desc params[] = {
    {WYVERN_PARAM_TENSOR_MAP, 0, 0, 128, {1, 64, 64}},
    {WYVERN_PARAM_POINTER, 1, 0, 0, {0}},
    {WYVERN_PARAM_TOKENS, 0, 0, 0, {0}},
};
static const wyvern_kernel_desc kernels[] = {{"scale",
                                              "scale.cubin",
                                              NULL,
                                              0,
                                              WYVERN_COUNT_SLOTS,
                                              1,
                                              1,
                                              128,
                                              1024,
                                              WYVERN_WAITS_NOT,
                                              WYVERN_PART_ALL,
                                              3,
                                              params,
                                              {0}}};
static const wyvern_variant_desc variants[] = {
    {"only", 0, NULL, 1, kernels, {0}}};
static const wyvern_program_desc desc = {
    WYVERN_ABI_VERSION, "scale", "sm_90a", 64, 2, tensors, {0}, 1, variants};

enum { THREADS = 8, LAUNCHES = 2000, CALLS = 40 };
static wyvern_program *program;
static _Atomic int failed;

static void check(int is_so, const char *what) {
  if (is_so)
    return;
  fprintf(stderr, "%s (%s)\n", what, wyvern_last_error());
  failed = 1;
}

/* Launches one of so many calls on a stream. */
static void launch(int call, void *stream) {
  const int64_t sizes[] = {1, 64 + call, 64};
  wyvern_tensor arguments[] = {
      wyvern_tensor_dense((void *)(intptr_t)(0x100000 + call * 0x1000),
                          WYVERN_BF16, 0, 3, sizes),
      wyvern_tensor_dense((void *)0x20000, WYVERN_BF16, 0, 3, sizes),
  };
  check(wyvern_program_launch(program, arguments, NULL, NULL, 0, stream) ==
            WYVERN_OK,
        "a launch fails");
}

/* Half of the threads have a stream of their own, half share one. */
static void *many(void *number) {
  intptr_t n = (intptr_t)number;
  fake_set_context(0);
  for (int i = 0; i < LAUNCHES; ++i)
    launch(i * (int)(n + 1) % CALLS, (void *)(n % 2 ? 0x100 : 0x100 + n));
  return NULL;
}

static void *one(void *stream) {
  fake_set_context(0);
  launch(0, stream);
  return NULL;
}

/* A launch waits on a full stream: others do not wait for it, neither on
   another stream nor, with kernels, on the same. */
static void beside_a_full_stream(void) {
  char full, other;
  pthread_t thread;
  for (int i = 0; i < 20; ++i)
    launch(0, &full), launch(0, &other);
  fake_set_full_stream(&full);
  pthread_create(&thread, NULL, one, &full);
  while (fake_waiting() == 0)
    usleep(100);
  int before = fake_launched();
  launch(0, &other);
  launch(0, &full);
  check(fake_launched() == before + 2, "launches wait for another stream");
  fake_set_full_stream(NULL);
  pthread_join(thread, NULL);
  check(fake_launched() == before + 3, "the launch that waited is lost");
}

int main(int argc, char **argv) {
  check(wyvern_program_load(&desc, argc > 1 ? argv[1] : NULL, &program) ==
            WYVERN_OK,
        "cannot load");
  fake_set_context(0);
  fake_capture_elsewhere(1);
  pthread_t threads[THREADS];
  for (intptr_t i = 0; i < THREADS; ++i)
    pthread_create(&threads[i], NULL, many, (void *)i);
  for (int i = 0; i < THREADS; ++i)
    pthread_join(threads[i], NULL);
  check(fake_launched() == THREADS * LAUNCHES, "launches are lost");
  beside_a_full_stream();
  wyvern_program_free(program);
  check(fake_wrongs() == 0, "the driver is asked what it may not be asked");
  return failed;
}
