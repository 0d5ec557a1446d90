/*===- Parts.c - Sequences of which kernels have parts --------------------===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|*===----------------------------------------------------------------------===*|
|*                                                                            *|
|* Segments need an end and a transition each, but the first one, which knows *|
|* its start, and the last one, whose end nobody asks for. So a variant may   *|
|* cut a sequence in four: the first two parts and the last one go through    *|
|* the kernel of whole sequences, what lies between through those of          *|
|* segments, and each begins with the state in which the one before has       *|
|* ended. It is what four calls would compute, in an order in which kernels   *|
|* of two parts run at once.                                                  *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#include "Program.h"

/* The first part runs beside the ends of the segments, the second one beside
   their transitions and the last one beside their last chain, and none of them
   should be what the kernels behind wait for: the compiler says how many
   sixteenths of a segment each has, a chunk at least. */
static int64_t share_of(int64_t segment, uint32_t share) {
  int64_t chunks = segment * share / 16;
  return chunks < 1 ? 1 : chunks;
}

/* The chunks of a sequence in parts with so many segments between them. */
int64_t wyvern_count_in_parts(const wyvern_variant_desc *variant,
                              int64_t segment, int64_t segments) {
  const wyvern_cut_desc *cut = &variant->cut;
  return share_of(segment, cut->first) + share_of(segment, cut->second) +
         segments * segment + share_of(segment, cut->last);
}

/* True if the kernels of the variant go through parts of sequences. */
int wyvern_has_parts(const wyvern_variant_desc *variant) {
  for (uint32_t k = 0; k < variant->num_kernels; ++k)
    if (variant->kernels[k].part != WYVERN_PART_ALL)
      return 1;
  return 0;
}

static int64_t at_most(int64_t tokens, int64_t most) {
  return tokens < most ? tokens : most;
}

/* Sets the tokens of parts from those of a segment, and from nothing else: the
   bits of a result depend on no more. The middle is whole segments, and the
   last part what is left. All parts begin where a chunk of the sequence does:
   one that is not full belongs, in reverse, to the first part. */
void wyvern_cut(const wyvern_variant_desc *variant, wyvern_extents *extents) {
  const wyvern_cut_desc *cut = &variant->cut;
  extents->first = extents->second = extents->last = 0;
  extents->reverse = (int)cut->reverse;
  if (!wyvern_has_parts(variant) || extents->packed)
    return;
  int64_t chunk = extents->chunk, chunks = extents->segment;
  int64_t segment = chunks * chunk;
  int64_t missing =
      cut->reverse ? (chunk - extents->tokens % chunk) % chunk : 0;
  int64_t rest = extents->tokens + missing;
  int64_t first = at_most(share_of(chunks, cut->first) * chunk, rest);
  rest -= first;
  extents->first = first - missing;
  extents->second = at_most(share_of(chunks, cut->second) * chunk, rest);
  rest -= extents->second;
  int64_t last = at_most(share_of(chunks, cut->last) * chunk, rest);
  int64_t segments = (rest - last + segment - 1) / segment;
  extents->last = rest - at_most(segments * segment, rest);
}

/* The first token of a part, and how many it has. */
static int64_t locate_part(const wyvern_extents *extents, wyvern_part part,
                           int64_t *tokens) {
  int64_t before = 0;
  int64_t middle =
      extents->tokens - extents->first - extents->second - extents->last;
  const int64_t sizes[] = {extents->first, extents->second, middle,
                           extents->last};
  for (int p = WYVERN_PART_FIRST; p < (int)part; ++p)
    before += sizes[p - WYVERN_PART_FIRST];
  *tokens = sizes[part - WYVERN_PART_FIRST];
  return extents->reverse ? extents->tokens - before - *tokens : before;
}

/* The extents that the kernels of a part see. */
wyvern_extents wyvern_part_extents(const wyvern_extents *extents,
                                   wyvern_part part) {
  wyvern_extents own = *extents;
  int isFirst = part == WYVERN_PART_FIRST;
  own.part = part;
  if (part == WYVERN_PART_ALL || (extents->packed && isFirst))
    return own;
  if (extents->packed) {
    /* As many sequences, of no tokens: states are handed on. */
    own.packed = 0;
    own.batch = extents->sequences;
    own.tokens = own.slot_tokens = 0;
    return own;
  }
  locate_part(extents, part, &own.tokens);
  return own;
}

/* The extents that the workspace of a variant is laid out by. */
wyvern_extents wyvern_workspace_extents(const wyvern_variant_desc *variant,
                                        const wyvern_extents *extents) {
  return wyvern_part_extents(extents, wyvern_has_parts(variant)
                                          ? WYVERN_PART_MIDDLE
                                          : WYVERN_PART_ALL);
}

/* A tensor of the caller without the tokens of parts in front of this one and,
   where it has a row a token, of those behind it. Slots of chunks are numbered
   as those of the whole sequence: what is in front of the first one is left
   out. */
static void take_tokens(const wyvern_tensor_desc *desc, int64_t chunk,
                        int64_t start, int64_t tokens, wyvern_tensor *tensor) {
  for (uint32_t i = 0; i < desc->rank && tensor->data; ++i) {
    int64_t multiple = desc->dims[i].multiple, front;
    if (desc->dims[i].kind == WYVERN_DIM_TIME) {
      front = start * multiple;
      tensor->sizes[i] = tokens * multiple;
    } else if (desc->dims[i].kind == WYVERN_DIM_CHUNK) {
      front = start / (chunk * multiple);
      tensor->sizes[i] -= front;
    } else {
      continue;
    }
    tensor->data = (char *)tensor->data +
                   front * tensor->strides[i] * wyvern_dtype_size(desc->dtype);
  }
}

/* The call that the kernels of a part, which is not all, are of. */
void wyvern_take_part(const wyvern_program_desc *desc, const wyvern_call *call,
                      wyvern_part part, wyvern_call *out) {
  *out = *call;
  out->extents = wyvern_part_extents(&call->extents, part);
  if (!out->extents.packed)
    out->cu_seqlens = NULL;
  int64_t tokens, start = 0;
  if (!call->extents.packed)
    start = locate_part(&call->extents, part, &tokens);
  for (uint32_t t = 0; t < desc->num_tensors; ++t)
    take_tokens(&desc->tensors[t], desc->chunk, start, out->extents.tokens,
                &out->tensors[t]);
}
