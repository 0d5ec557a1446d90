/*===- delta_net.c - A layer's forward and backward from C ----------------===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|*===----------------------------------------------------------------------===*|
|*                                                                            *|
|* Runs a bundle on random data, and checks it by a property that every       *|
|* recurrence of this kind has: o is linear in v, so that the gradient of     *|
|* |o|^2 / 2 by v, times v, is |o|^2. README.md says how to build it. *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#include "delta_net_340m.h"
#include "device.h"

#include <math.h>
#include <string.h>
#include <time.h>

enum { BATCH = 2, TOKENS = 1000, HEADS = 8, DIM = 128, CHUNK = 64 };
enum { RATES = BATCH * TOKENS * HEADS, ROWS = RATES * DIM, LAUNCHES = 200 };

static void check(wyvern_status status) {
  if (status == WYVERN_OK)
    return;
  fprintf(stderr, "%s: %s\n", wyvern_status_name(status), wyvern_last_error());
  exit(1);
}

/* Between -1 and 1, the same in every run. */
static float next_random(void) {
  static uint64_t state = 1;
  state = state * 6364136223846793005u + 1442695040888963407u;
  return (float)(state >> 40) / (1 << 23) - 1;
}

static uint16_t to_bf16(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof(bits));
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static float from_bf16(uint16_t x) {
  uint32_t bits = (uint32_t)x << 16;
  float value;
  memcpy(&value, &bits, sizeof(value));
  return value;
}

/* A tensor [BATCH, TOKENS, HEADS, DIM] of rows of a length of about 1, on the
   host. */
static uint16_t *make_rows(void) {
  uint16_t *rows = malloc(ROWS * sizeof(*rows));
  for (int i = 0; i < ROWS; ++i)
    rows[i] = to_bf16(next_random() * sqrtf(3.0f / DIM));
  return rows;
}

static void *to_device(const uint16_t *rows) {
  return device_make(ROWS * sizeof(*rows), rows);
}

static double seconds(void) {
  struct timespec now;
  timespec_get(&now, TIME_UTC);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: %s <bundle of --training --save=factor>\n", argv[0]);
    return 2;
  }
  wyvern_program *forward, *backward;
  check(delta_net_340m_load(argv[1], &forward));
  check(delta_net_340m_backward_load(argv[1], &backward));

  device_open();
  static float rates[RATES];
  for (int i = 0; i < RATES; ++i)
    rates[i] = 0.5f + 0.5f * next_random();
  uint16_t *v = make_rows(), *o = make_rows(), *d_v = make_rows();
  void *dq = to_device(o), *dk = to_device(d_v), *dv = to_device(v);
  float *beta = device_make(sizeof(rates), rates);
  void *out = to_device(o),
       *grads[3] = {to_device(o), to_device(o), to_device(o)};
  void *factor = device_make(RATES * CHUNK * sizeof(uint16_t), NULL);
  float *d_beta = device_make(sizeof(rates), NULL);

  size_t bytes, backward_bytes;
  check(wyvern_program_workspace_size(forward, BATCH, TOKENS, -1, &bytes));
  check(wyvern_program_workspace_size(backward, BATCH, TOKENS, -1,
                                      &backward_bytes));
  void *workspace =
      device_make(bytes > backward_bytes ? bytes : backward_bytes, NULL);

  check(delta_net_340m_launch(forward, 0, BATCH, TOKENS, -1, dq, dk, dv, beta,
                              NULL, out, NULL, factor, NULL, workspace, bytes,
                              NULL));
  check(delta_net_340m_backward_launch(
      backward, 0, BATCH, TOKENS, -1, dq, dk, dv, beta, NULL, factor, out, NULL,
      grads[0], grads[1], grads[2], d_beta, NULL, NULL, workspace,
      backward_bytes, NULL));
  device_read(o, out, ROWS * sizeof(*o));
  device_read(d_v, grads[2], ROWS * sizeof(*d_v));
  double squares = 0, product = 0;
  for (int i = 0; i < ROWS; ++i) {
    squares += from_bf16(o[i]) * from_bf16(o[i]);
    product += from_bf16(d_v[i]) * from_bf16(v[i]);
  }
  printf("|o|^2 = %.4f, <d_v, v> = %.4f\n", squares, product);

  double start = seconds();
  for (int i = 0; i < LAUNCHES; ++i)
    check(delta_net_340m_launch(forward, 0, 1, CHUNK, -1, dq, dk, dv, beta,
                                NULL, out, NULL, factor, NULL, workspace, bytes,
                                NULL));
  printf("host time of a launch: %.1f us\n",
         (seconds() - start) / LAUNCHES * 1e6);
  device_read(o, out, sizeof(*o));
  wyvern_program_free(forward);
  wyvern_program_free(backward);
  return squares > 0 && fabs(product / squares - 1) < 1e-2 ? 0 : 1;
}
