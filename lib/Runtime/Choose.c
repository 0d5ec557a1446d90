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
#include <stdlib.h>
#include <string.h>

/* A segment has at least so many chunks: shorter ones are not worth a join. */
#define LEAST_SEGMENT 4

/* Segments are so long that their blocks fill all SMs once, or up to so many
   times. */
#define MOST_ROUNDS 3

/* Double, since products of extents may pass 64 bits; exact as long as the
   numbers are of this world. */
static double ceil_div(double a, double b) {
  double quotient = a / b;
  double whole = (double)(int64_t)quotient;
  return whole < quotient ? whole + 1 : whole;
}

/* The chunks of all sequences on average. */
static double mean_chunks(const wyvern_extents *extents) {
  double tokens = (double)extents->tokens;
  if (extents->packed)
    tokens /= (double)extents->sequences;
  return ceil_div(tokens, (double)extents->chunk);
}

/* The chunks of the longest sequence. How long packed ones are, the host does
   not know: of N lengths drawn at random the longest has 1 + 1/2 + .. + 1/N
   times the mean, about .65 more each time that N doubles. */
static double longest_chunks(const wyvern_extents *extents) {
  double all = ceil_div((double)extents->tokens, (double)extents->chunk);
  if (!extents->packed)
    return all;
  double mean = mean_chunks(extents), longest = mean;
  for (int64_t n = extents->sequences; n > 1; n /= 2)
    longest += 0.65 * mean;
  return longest < all ? longest : all;
}

/* The steps that a block takes through `chunks` chunks of a sequence, or
   through a slot if that is shorter. */
static double count_steps(const wyvern_kernel_desc *kernel,
                          const wyvern_extents *extents, double chunks) {
  double slot = chunks, segment = (double)extents->segment;
  if (kernel->grid_count == WYVERN_COUNT_SLOTS)
    slot = kernel->grid_chunks;
  if (kernel->grid_count == WYVERN_COUNT_SEGMENTS)
    slot = segment;
  double step = kernel->cost.step_chunks ? kernel->cost.step_chunks : segment;
  return ceil_div(slot < chunks ? slot : chunks, step);
}

/* The cycles of `count` blocks that share an SM. */
static double block_cycles(const wyvern_cost_desc *cost, double steps,
                           double count) {
  double shared = count * cost->step_work;
  double step = shared > cost->step_cycles ? shared : cost->step_cycles;
  return cost->block_cycles + steps * step;
}

/* The cycles of all blocks, where SMs take them in rounds. */
static double rounds_cycles(const wyvern_machine_desc *machine,
                            const wyvern_cost_desc *cost, double blocks,
                            double steps) {
  double waves =
      ceil_div(blocks, (double)machine->sms); /* of one block an SM */
  double full = (double)(int64_t)(waves / cost->residents);
  double rest = waves - full * cost->residents;
  double cycles = full * block_cycles(cost, steps, cost->residents);
  if (rest > 0)
    cycles += block_cycles(cost, steps, rest);
  return cycles;
}

/* The cycles of all blocks of packed sequences: some are shorter than others,
   and an SM that has done with one takes the next. Of their segments most are
   equally long: half of one more than there is stands for those that come
   last. */
static double uneven_cycles(const wyvern_machine_desc *machine,
                            const wyvern_kernel_desc *kernel,
                            const wyvern_extents *extents) {
  const wyvern_cost_desc *cost = &kernel->cost;
  double sequences = (double)extents->sequences, blocks = sequences;
  double steps = blocks * count_steps(kernel, extents, mean_chunks(extents));
  if (kernel->grid_count == WYVERN_COUNT_SEGMENTS) {
    double segment = (double)extents->segment;
    double chunks = ceil_div((double)extents->tokens, (double)extents->chunk);
    blocks = chunks / segment + sequences / 2;
    steps = chunks + segment / 2;
  }
  /* Of each SM. */
  double factor = (double)kernel->grid_factor / machine->sms;
  double share = blocks * factor;
  if (share > cost->residents)
    share = cost->residents;
  if (share < 1)
    share = 1;
  double step = block_cycles(cost, 1, share) - cost->block_cycles;
  return factor * (blocks * cost->block_cycles + steps * step) / share;
}

static double count_blocks(const wyvern_kernel_desc *kernel,
                           const wyvern_extents *extents) {
  return (double)wyvern_count_grid(kernel, extents) * kernel->grid_factor;
}

static double kernel_cycles(const wyvern_machine_desc *machine,
                            const wyvern_kernel_desc *kernel,
                            const wyvern_extents *extents) {
  const wyvern_cost_desc *cost = &kernel->cost;
  double blocks = count_blocks(kernel, extents);
  double steps = count_steps(kernel, extents, mean_chunks(extents));
  double longest = block_cycles(
      cost, count_steps(kernel, extents, longest_chunks(extents)), 1);
  int is_uneven = extents->packed && kernel->grid_count != WYVERN_COUNT_SLOTS;
  double cycles = is_uneven ? uneven_cycles(machine, kernel, extents)
                            : rounds_cycles(machine, cost, blocks, steps);
  double transfer =
      blocks * steps * cost->step_bytes / machine->bytes_per_cycle;
  if (cycles < longest)
    cycles = longest;
  return machine->launch_cycles + (cycles > transfer ? cycles : transfer);
}

/* What two kernels beside each other take longer than the longer one, in
   launches: the second one begins late, and both use the memory. Measured
   (docs/performance/training.md, "training in parts"). */
#define BESIDE_LAUNCHES 3

/* A kernel beside the one before it adds what it takes longer, if SMs have room
   for both, and the other one has twice as many blocks at least: else most of
   what it does is the work of a sequence of its own, and no part of one. */
static double variant_cycles(const wyvern_program_desc *desc, uint32_t variant,
                             const wyvern_extents *extents) {
  double cycles = 0, previous = 0, previous_blocks = 0;
  if (extents->sequences == 0)
    return cycles;
  for (uint32_t k = 0; k < desc->variants[variant].num_kernels; ++k) {
    const wyvern_kernel_desc *kernel = &desc->variants[variant].kernels[k];
    wyvern_extents part = wyvern_part_extents(extents, kernel->part);
    double own = kernel_cycles(&desc->machine, kernel, &part);
    double blocks = count_blocks(kernel, &part);
    int is_beside = kernel->waits == WYVERN_WAITS_LAST &&
                    blocks + previous_blocks <= desc->machine.sms &&
                    2 * blocks <= previous_blocks;
    double longer = own > previous ? own : previous;
    double beside =
        longer + (double)BESIDE_LAUNCHES * desc->machine.launch_cycles;
    cycles += is_beside ? beside - previous : own;
    previous = own;
    previous_blocks = blocks;
  }
  return cycles;
}

/* The chunks of a segment with which `blocks` blocks take all segments at
   once. Of a sequence in parts the first and the last one run beside the
   segments between them, so there is room for one segment more. */
static int64_t segment_of(const wyvern_variant_desc *variant,
                          const wyvern_extents *extents, double blocks,
                          double factor) {
  int has_parts = wyvern_has_parts(variant);
  double all = ceil_div((double)extents->tokens, (double)extents->chunk);
  double each = (double)(int64_t)(blocks / factor);
  if (!extents->packed)
    each = (double)(int64_t)(each / (double)extents->sequences);
  each = each < 1 ? 1 : each;
  int64_t chunks = (int64_t)ceil_div(all, each + has_parts);
  while (has_parts && (double)wyvern_count_in_parts(variant, chunks,
                                                    (int64_t)each - 1) < all)
    ++chunks;
  return chunks < LEAST_SEGMENT ? LEAST_SEGMENT : chunks;
}

/* Returns the cycles of a variant with segments of the best length, and that
   length, 0 for a variant without, in `extents`. */
static double choose_segment(const wyvern_program_desc *desc, uint32_t number,
                             wyvern_extents *extents) {
  const wyvern_variant_desc *variant = &desc->variants[number];
  uint32_t factor = 0;
  for (uint32_t k = 0; k < variant->num_kernels; ++k)
    if (variant->kernels[k].grid_count == WYVERN_COUNT_SEGMENTS &&
        variant->kernels[k].grid_factor > factor)
      factor = variant->kernels[k].grid_factor;
  extents->segment = factor ? LEAST_SEGMENT : 0;
  wyvern_cut(variant, extents);
  if (factor == 0 || extents->sequences == 0)
    return variant_cycles(desc, number, extents);
  wyvern_extents trial = *extents;
  double least = 0;
  for (uint32_t rounds = 1; rounds <= MOST_ROUNDS; ++rounds) {
    trial.segment = segment_of(variant, extents,
                               (double)rounds * desc->machine.sms, factor);
    wyvern_cut(variant, &trial);
    double cycles = variant_cycles(desc, number, &trial);
    if (rounds == 1 || cycles < least) {
      least = cycles;
      *extents = trial;
    }
  }
  return least;
}

/* The variant that every launch is to run. */
static uint32_t take_forced(const wyvern_program *program, uint32_t forced,
                            wyvern_extents *extents) {
  if (program->forced_segment > 0) {
    extents->segment = program->forced_segment;
    wyvern_cut(&program->desc->variants[forced], extents);
  } else if (wyvern_has_segments(&program->desc->variants[forced])) {
    choose_segment(program->desc, forced, extents);
  }
  return forced;
}

/* The variant that a launch runs; `extents` gets the length of its segments. */
uint32_t wyvern_choose(const wyvern_program *program, wyvern_extents *extents) {
  const wyvern_program_desc *desc = program->desc;
  int32_t forced = program->forced;
  if (forced >= 0)
    return take_forced(program, (uint32_t)forced, extents);
  uint32_t best = 0;
  if (desc->num_variants == 1 && !wyvern_has_segments(&desc->variants[0]))
    return best;
  double least = choose_segment(desc, best, extents);
  for (uint32_t v = 1; v < desc->num_variants; ++v) {
    wyvern_extents trial = *extents;
    double cycles = choose_segment(desc, v, &trial);
    if (cycles < least) {
      least = cycles;
      best = v;
      *extents = trial;
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
  *cycles = choose_segment(desc, variant, &extents);
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

/* Whether `name` is that of a variant, with or without the tokens of its
   segments behind it (`segments-4096`); then these in chunks, or 0. */
static int is_called(const wyvern_program_desc *desc,
                     const wyvern_variant_desc *variant, const char *name,
                     int64_t *segment) {
  size_t length = strlen(variant->name);
  *segment = 0;
  if (strncmp(name, variant->name, length) != 0)
    return 0;
  if (name[length] == 0)
    return 1;
  char *end;
  long long tokens = strtoll(name + length, &end, 10);
  /* A number below 0 begins with the dash that is to stand there. */
  if (name[length] != '-' || *end || tokens >= 0 || tokens < -INT32_MAX ||
      !wyvern_has_segments(variant))
    return 0;
  *segment = (-tokens + desc->chunk - 1) / desc->chunk;
  return 1;
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
  for (uint32_t v = 0; v < desc->num_variants; ++v) {
    int64_t segment;
    if (!is_called(desc, &desc->variants[v], name, &segment))
      continue;
    program->forced_segment = segment;
    program->forced = (int32_t)v;
    return WYVERN_OK;
  }
  char names[256];
  list_variants(desc, names, sizeof(names));
  return wyvern_fail(WYVERN_ERROR_INVALID_ARGUMENT,
                     "%s has no variant '%s'; its variants are %s", desc->name,
                     name, names);
}
