/*===- host_time.c - What a launch costs the host, from C -----------------===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|*===----------------------------------------------------------------------===*|
|*                                                                            *|
|* The part of host_time.py that is C, which builds it: launches of a bundle, *|
|* and of kernels that do nothing and take as many bytes of parameters, by    *|
|* the driver alone. A line is a way, us of a call in a row of 20, and us of  *|
|* one behind a wait, medians.                                                *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#include "delta_rule.h"
#include "device.h"

#include <string.h>
#include <time.h>

enum { TOKENS = 64, HEADS = 16, DIM = 128, ROW = 20, ROUNDS = 61 };

static void check(wyvern_status status) {
  if (status == WYVERN_OK)
    return;
  fprintf(stderr, "%s: %s\n", wyvern_status_name(status), wyvern_last_error());
  exit(1);
}

static double now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return 1e6 * (double)now.tv_sec + 1e-3 * (double)now.tv_nsec;
}

static int compare(const void *x, const void *y) {
  double a = *(const double *)x, b = *(const double *)y;
  return (a > b) - (a < b);
}

/* Returns the median over rounds of what one of `calls` calls takes until it
   returns; the GPU has nothing to do as a round begins. */
static double median_us(void (*call)(void *), void *of, int calls) {
  double times[ROUNDS];
  for (int round = -1; round < ROUNDS; ++round) {
    DRIVER(cuCtxSynchronize, (void), );
    double start = now_us();
    for (int i = 0; i < calls; ++i)
      call(of);
    if (round >= 0)
      times[round] = (now_us() - start) / calls;
  }
  qsort(times, ROUNDS, sizeof(*times), compare);
  return times[ROUNDS / 2];
}

static void report(const char *name, void (*call)(void *), void *of) {
  double row = median_us(call, of, ROW);
  printf("%s\t%.2f\t%.2f\n", name, row, median_us(call, of, 1));
}

/* === Kernels that do nothing ============================================= */

typedef int launch_function(void *, unsigned, unsigned, unsigned, unsigned,
                            unsigned, unsigned, unsigned, void *, void **,
                            void **);

typedef struct empty_kernel {
  launch_function *launch;
  void *function;
  char bytes[4096]; /* its parameter */
} empty_kernel;

static empty_kernel make_empty(size_t bytes) {
  static const char *form = ".version 8.0\n.target sm_90\n.address_size 64\n"
                            ".visible .entry empty(.param .align 64 .b8 p[%zu])"
                            " { ret; }\n";
  char text[512];
  void *module;
  empty_kernel kernel = {0};
  snprintf(text, sizeof(text), form, bytes);
  *(void **)&kernel.launch = device_find("cuLaunchKernel");
  DRIVER(cuModuleLoadData, (void **, const void *), &module, text);
  DRIVER(cuModuleGetFunction, (void **, void *, const char *), &kernel.function,
         module, "empty");
  return kernel;
}

static void launch_empty(void *of) {
  empty_kernel *kernel = of;
  void *params[] = {kernel->bytes};
  device_check("cuLaunchKernel", kernel->launch(kernel->function, 1, 1, 1, 32,
                                                1, 1, 0, NULL, params, NULL));
}

/* === The bundle ========================================================== */

typedef struct bundle {
  wyvern_program *program;
  void *q, *k, *v, *beta, *o, *workspace;
  size_t bytes;
} bundle;

static void launch_bundle(void *of) {
  bundle *b = of;
  check(delta_rule_launch(b->program, 0, 1, TOKENS, -1, b->q, b->k, b->v,
                          b->beta, NULL, b->o, NULL, NULL, b->workspace,
                          b->bytes, NULL));
}

static size_t param_bytes(const wyvern_kernel_desc *kernel) {
  size_t bytes = 0;
  for (uint32_t i = 0; i < kernel->num_params; ++i)
    bytes += kernel->params[i].kind == WYVERN_PARAM_TENSOR_MAP ? 128 : 8;
  return bytes;
}

/* A variant, and beside it empty kernels of the sizes of its own. */
static void report_variant(bundle *b, const wyvern_variant_desc *variant) {
  char name[128];
  check(wyvern_program_force_variant(b->program, variant->name));
  check(wyvern_program_workspace_size(b->program, 1, TOKENS, -1, &b->bytes));
  b->workspace = device_make(b->bytes, NULL);
  snprintf(name, sizeof(name), "C, %s (kernels: %u)", variant->name,
           variant->num_kernels);
  report(name, launch_bundle, b);
  for (uint32_t i = 0; i < variant->num_kernels; ++i) {
    size_t bytes = param_bytes(&variant->kernels[i]);
    empty_kernel kernel = make_empty(bytes);
    snprintf(name, sizeof(name), "an empty kernel of %zu bytes", bytes);
    report(name, launch_empty, &kernel);
  }
}

int main(int argc, char **argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: %s <bundle> <variant> ...\n", argv[0]);
    return 2;
  }
  const size_t size = TOKENS * HEADS * DIM * sizeof(uint16_t);
  device_open();
  bundle b = {.q = device_make(size, NULL), .k = device_make(size, NULL)};
  b.v = device_make(size, NULL), b.o = device_make(size, NULL);
  b.beta = device_make(TOKENS * HEADS * sizeof(float), NULL);
  check(delta_rule_load(argv[1], &b.program));
  for (int i = 2; i < argc; ++i)
    for (uint32_t v = 0; v < delta_rule_program.num_variants; ++v)
      if (strcmp(delta_rule_program.variants[v].name, argv[i]) == 0)
        report_variant(&b, &delta_rule_program.variants[v]);
  wyvern_program_free(b.program);
  return 0;
}
