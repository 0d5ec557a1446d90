/*===- Choose.c - Which variant a launch runs -----------------------------===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|*===----------------------------------------------------------------------===*|
|*                                                                            *|
|* Time is waves of blocks times steps of a block times cycles a step, and no *|
|* less than the kernel's bytes take. All of it follows from shapes and from  *|
|* what the compiler wrote down; no device is asked, so that the workspace    *|
|* and the bits of a result do not depend on one.                             *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#include "Program.h"

#include <stdio.h>
#include <string.h>

/* Double, since products of extents may pass 64 bits; exact as long as the
   numbers are of this world. */
static double ceil_div(double a, double b) {
  double quotient = a / b;
  double whole = (double)(int64_t)quotient;
  return whole < quotient ? whole + 1 : whole;
}

/* The steps that a block takes: through a sequence, or through a slot if that
   is shorter. Packed, sequences count as equally long. */
static double count_steps(const wyvern_kernel_desc *kernel,
                          const wyvern_extents *extents) {
  double tokens = (double)extents->tokens;
  if (extents->packed)
    tokens = ceil_div(tokens, (double)extents->sequences);
  double chunks = ceil_div(tokens, (double)extents->chunk);
  if (kernel->grid_count == WYVERN_COUNT_SLOTS && kernel->grid_chunks < chunks)
    chunks = kernel->grid_chunks;
  return ceil_div(chunks, kernel->cost.step_chunks);
}

/* The cycles of `count` blocks that share an SM. */
static double block_cycles(const wyvern_cost_desc *cost, double steps,
                           double count) {
  double shared = count * cost->step_work;
  double step = shared > cost->step_cycles ? shared : cost->step_cycles;
  return cost->block_cycles + steps * step;
}

static double kernel_cycles(const wyvern_machine_desc *machine,
                            const wyvern_kernel_desc *kernel,
                            const wyvern_extents *extents) {
  const wyvern_cost_desc *cost = &kernel->cost;
  double count = kernel->grid_count == WYVERN_COUNT_SLOTS
                     ? (double)wyvern_count_slots(extents, kernel->grid_chunks)
                     : (double)extents->sequences;
  double blocks = count * kernel->grid_factor;
  double steps = count_steps(kernel, extents);
  double waves =
      ceil_div(blocks, (double)machine->sms); /* of one block an SM */
  double full = (double)(int64_t)(waves / cost->residents);
  double rest = waves - full * cost->residents;
  double cycles = full * block_cycles(cost, steps, cost->residents);
  if (rest > 0)
    cycles += block_cycles(cost, steps, rest);
  double transfer =
      blocks * steps * cost->step_bytes / machine->bytes_per_cycle;
  return machine->launch_cycles + (cycles > transfer ? cycles : transfer);
}

static double variant_cycles(const wyvern_program_desc *desc, uint32_t variant,
                             const wyvern_extents *extents) {
  double cycles = 0;
  if (extents->sequences == 0)
    return cycles;
  for (uint32_t k = 0; k < desc->variants[variant].num_kernels; ++k)
    cycles += kernel_cycles(&desc->machine, &desc->variants[variant].kernels[k],
                            extents);
  return cycles;
}

uint32_t wyvern_choose(const wyvern_program *program,
                       const wyvern_extents *extents) {
  const wyvern_program_desc *desc = program->desc;
  int32_t forced = program->forced;
  if (forced >= 0)
    return (uint32_t)forced;
  uint32_t best = 0;
  if (desc->num_variants == 1)
    return best;
  double least = variant_cycles(desc, 0, extents);
  for (uint32_t v = 1; v < desc->num_variants; ++v) {
    double cycles = variant_cycles(desc, v, extents);
    if (cycles < least) {
      least = cycles;
      best = v;
    }
  }
  return best;
}

wyvern_status wyvern_estimate_cycles(const wyvern_program_desc *desc,
                                     uint32_t variant, int64_t batch,
                                     int64_t tokens, int64_t packed_sequences,
                                     double *cycles) {
  if (!desc || !cycles)
    return wyvern_fail(WYVERN_ERROR_INVALID_ARGUMENT,
                       "wyvern_estimate_cycles: null descriptor or cycles");
  WYVERN_TRY(wyvern_check_costs(desc));
  if (variant >= desc->num_variants)
    return wyvern_fail(WYVERN_ERROR_INVALID_ARGUMENT,
                       "%s: there is no variant %u, for there are %u",
                       desc->name, variant, desc->num_variants);
  wyvern_extents extents;
  WYVERN_TRY(
      wyvern_get_extents(desc, batch, tokens, packed_sequences, &extents));
  *cycles = variant_cycles(desc, variant, &extents);
  return WYVERN_OK;
}

wyvern_status wyvern_program_choose(const wyvern_program *program,
                                    int64_t batch, int64_t tokens,
                                    int64_t packed_sequences,
                                    uint32_t *variant) {
  if (!program || !variant)
    return wyvern_fail(WYVERN_ERROR_INVALID_ARGUMENT,
                       "wyvern_program_choose: null program or variant");
  wyvern_extents extents;
  WYVERN_TRY(wyvern_get_extents(program->desc, batch, tokens, packed_sequences,
                                &extents));
  *variant = wyvern_choose(program, &extents);
  return WYVERN_OK;
}

/* Their names with commas, cut off at the end of `text`. */
static void list_variants(const wyvern_program_desc *desc, char *text,
                          size_t size) {
  size_t used = 0;
  text[0] = 0;
  for (uint32_t v = 0; v < desc->num_variants && used < size; ++v) {
    int length = snprintf(text + used, size - used, "%s%s", v ? ", " : "",
                          desc->variants[v].name);
    used += length > 0 ? (size_t)length : 0;
  }
}

wyvern_status wyvern_program_force_variant(wyvern_program *program,
                                           const char *name) {
  if (!program)
    return wyvern_fail(WYVERN_ERROR_INVALID_ARGUMENT,
                       "wyvern_program_force_variant: null program");
  const wyvern_program_desc *desc = program->desc;
  if (!name) {
    program->forced = -1;
    return WYVERN_OK;
  }
  for (uint32_t v = 0; v < desc->num_variants; ++v)
    if (strcmp(desc->variants[v].name, name) == 0) {
      program->forced = (int32_t)v;
      return WYVERN_OK;
    }
  char names[256];
  list_variants(desc, names, sizeof(names));
  return wyvern_fail(WYVERN_ERROR_INVALID_ARGUMENT,
                     "%s has no variant '%s'; its variants are %s", desc->name,
                     name, names);
}
