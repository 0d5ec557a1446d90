/*===- Descriptor.c - Is a program well formed? ---------------------------===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|*===----------------------------------------------------------------------===*|
|*                                                                            *|
|* Checked once, so that a launch can trust every index and size.             *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#include "Program.h"

#define MALFORMED(...) wyvern_fail(WYVERN_ERROR_INVALID_DESCRIPTOR, __VA_ARGS__)

static wyvern_status check_tensor(const char *program,
                                  const wyvern_tensor_desc *tensor) {
  if (!tensor->name)
    return MALFORMED("%s: a tensor has no name", program);
  if (tensor->rank < 1 || tensor->rank > WYVERN_MAX_RANK)
    return MALFORMED("%s: tensor '%s' has rank %u, expected 1 to %d", program,
                     tensor->name, tensor->rank, WYVERN_MAX_RANK);
  if (wyvern_dtype_size(tensor->dtype) == 0)
    return MALFORMED("%s: tensor '%s' has the unknown dtype %d", program,
                     tensor->name, (int)tensor->dtype);
  if ((unsigned)tensor->role > WYVERN_WORKSPACE ||
      (tensor->optional && tensor->role == WYVERN_WORKSPACE))
    return MALFORMED("%s: tensor '%s' has the role %d%s", program, tensor->name,
                     (int)tensor->role, tensor->optional ? ", optional" : "");
  for (uint32_t i = 0; i < tensor->rank; ++i) {
    const wyvern_dim_desc *dim = &tensor->dims[i];
    int counted = dim->kind == WYVERN_DIM_TIME || dim->kind == WYVERN_DIM_CHUNK;
    int sized = dim->kind == WYVERN_DIM_HEAD || dim->kind == WYVERN_DIM_WHOLE;
    /* How long segments are is known once a variant has been chosen. */
    int early =
        dim->kind == WYVERN_DIM_SEGMENT && tensor->role != WYVERN_WORKSPACE;
    if ((unsigned)dim->kind > WYVERN_DIM_SEGMENT || early ||
        (sized && dim->size < 1) ||
        (counted && (dim->multiple < 1 || dim->size < 0)))
      return MALFORMED("%s: dimension %u of tensor '%s' is ill formed (kind "
                       "%d, size %lld, multiple %u)",
                       program, i, tensor->name, (int)dim->kind,
                       (long long)dim->size, dim->multiple);
  }
  return WYVERN_OK;
}

const wyvern_tensor_desc *wyvern_find_tensor(const wyvern_program_desc *desc,
                                             const wyvern_variant_desc *variant,
                                             uint32_t index) {
  return index < desc->num_tensors
             ? &desc->tensors[index]
             : &variant->workspace[index - desc->num_tensors];
}

/* The constraints of cuTensorMapEncodeTiled that do not depend on a call. */
static wyvern_status check_box(const char *program, const char *kernel,
                               const wyvern_tensor_desc *tensor,
                               const wyvern_param_desc *param) {
  for (uint32_t i = 0; i < tensor->rank; ++i)
    if (param->box[i] < 1 || param->box[i] > 256)
      return MALFORMED("%s: %s takes '%s' in boxes with extent %u in dimension "
                       "%u, expected 1 to 256",
                       program, kernel, tensor->name, param->box[i], i);
  if (param->swizzle != 0 && param->swizzle != 32 && param->swizzle != 64 &&
      param->swizzle != 128)
    return MALFORMED("%s: %s takes '%s' with a swizzle of %u bytes, expected "
                     "0, 32, 64 or 128",
                     program, kernel, tensor->name, param->swizzle);
  int64_t row = param->box[tensor->rank - 1] * wyvern_dtype_size(tensor->dtype);
  if (row % 16 != 0 || (param->swizzle && row > param->swizzle))
    return MALFORMED("%s: %s takes '%s' in boxes with rows of %lld bytes, "
                     "expected a multiple of 16 and at most the swizzle, %u",
                     program, kernel, tensor->name, (long long)row,
                     param->swizzle);
  return WYVERN_OK;
}

static wyvern_status check_params(const wyvern_program_desc *desc,
                                  const wyvern_variant_desc *variant,
                                  const wyvern_kernel_desc *kernel) {
  uint32_t tensors = desc->num_tensors + variant->num_workspace;
  for (uint32_t p = 0; p < kernel->num_params; ++p) {
    const wyvern_param_desc *param = &kernel->params[p];
    if ((unsigned)param->kind > WYVERN_PARAM_PART)
      return MALFORMED("%s: parameter %u of %s has the unknown kind %d",
                       desc->name, p, kernel->symbol, (int)param->kind);
    if (param->kind > WYVERN_PARAM_STRIDE)
      continue;
    if (param->tensor >= tensors)
      return MALFORMED("%s: parameter %u of %s names tensor %u of %u",
                       desc->name, p, kernel->symbol, param->tensor, tensors);
    const wyvern_tensor_desc *tensor =
        wyvern_find_tensor(desc, variant, param->tensor);
    if (param->kind == WYVERN_PARAM_STRIDE && param->dim >= tensor->rank)
      return MALFORMED("%s: parameter %u of %s is stride %u of '%s', which has "
                       "rank %u",
                       desc->name, p, kernel->symbol, param->dim, tensor->name,
                       tensor->rank);
    if (param->kind == WYVERN_PARAM_TENSOR_MAP)
      WYVERN_TRY(check_box(desc->name, kernel->symbol, tensor, param));
  }
  return WYVERN_OK;
}

static wyvern_status check_kernel(const wyvern_program_desc *desc,
                                  const wyvern_variant_desc *variant,
                                  const wyvern_kernel_desc *kernel) {
  if (!kernel->symbol || (!kernel->image && !kernel->file))
    return MALFORMED("%s: a kernel has no symbol or no image", desc->name);
  if (kernel->num_params > WYVERN_MAX_PARAMS ||
      (kernel->num_params && !kernel->params))
    return MALFORMED("%s: %s has %u parameters, expected at most %d",
                     desc->name, kernel->symbol, kernel->num_params,
                     WYVERN_MAX_PARAMS);
  if (kernel->block < 1 || kernel->block > 1024 || kernel->grid_factor < 1 ||
      (unsigned)kernel->grid_count > WYVERN_COUNT_SEGMENTS)
    return MALFORMED("%s: %s has the block %u, the grid factor %u and the "
                     "count %d",
                     desc->name, kernel->symbol, kernel->block,
                     kernel->grid_factor, (int)kernel->grid_count);
  if ((unsigned)kernel->waits > WYVERN_WAITS_LAST)
    return MALFORMED("%s: %s has waits %d, expected 0, 1 or 2", desc->name,
                     kernel->symbol, (int)kernel->waits);
  int is_all = kernel->part == WYVERN_PART_ALL;
  if ((unsigned)kernel->part > WYVERN_PART_LAST ||
      (is_all && wyvern_has_parts(variant)))
    return MALFORMED("%s: %s has the part %d of sequences, expected 1 to 4%s",
                     desc->name, kernel->symbol, (int)kernel->part,
                     is_all ? ", as other kernels of its variant have one"
                            : " or 0, all of them");
  if ((kernel->grid_count == WYVERN_COUNT_SLOTS) != (kernel->grid_chunks > 0))
    return MALFORMED("%s: %s has %u chunks a slot of its grid, expected %s",
                     desc->name, kernel->symbol, kernel->grid_chunks,
                     kernel->grid_chunks ? "0, since it counts no slots"
                                         : "at least 1");
  return check_params(desc, variant, kernel);
}

/* The input that says how large B and T are. */
int wyvern_is_main(const wyvern_tensor_desc *tensor) {
  int seq = 0, time = 0;
  for (uint32_t i = 0; i < tensor->rank; ++i) {
    seq |= tensor->dims[i].kind == WYVERN_DIM_SEQ;
    time |= tensor->dims[i].kind == WYVERN_DIM_TIME;
  }
  return tensor->role == WYVERN_INPUT && !tensor->optional && seq && time;
}

/* True if each launch chooses how long the variant's segments are. */
int wyvern_has_segments(const wyvern_variant_desc *variant) {
  for (uint32_t k = 0; k < variant->num_kernels; ++k)
    if (variant->kernels[k].grid_count == WYVERN_COUNT_SEGMENTS)
      return 1;
  return 0;
}

/* An estimate divides by some of these. */
wyvern_status wyvern_check_costs(const wyvern_program_desc *desc) {
  const wyvern_machine_desc *machine = &desc->machine;
  if (machine->sms < 1 || machine->bytes_per_cycle < 1)
    return MALFORMED("%s: found a machine of %u SMs and %u bytes a cycle, "
                     "expected at least 1 to estimate variants for",
                     desc->name, machine->sms, machine->bytes_per_cycle);
  for (uint32_t v = 0; v < desc->num_variants; ++v)
    for (uint32_t k = 0; k < desc->variants[v].num_kernels; ++k) {
      const wyvern_kernel_desc *kernel = &desc->variants[v].kernels[k];
      int has_step = kernel->cost.step_chunks > 0 ||
                     wyvern_has_segments(&desc->variants[v]);
      if (!has_step || kernel->cost.residents < 1)
        return MALFORMED("%s: %s has a cost with %u chunks a step and %u "
                         "blocks an SM, expected at least 1 to estimate "
                         "variants by",
                         desc->name, kernel->symbol, kernel->cost.step_chunks,
                         kernel->cost.residents);
    }
  return WYVERN_OK;
}

/* A part is at most so many sixteenths of a segment: less than 64 bits count
   all of its tokens. */
#define MOST_SHARE 64

static int is_no_share(uint32_t share) {
  return share < 1 || share > MOST_SHARE;
}

static wyvern_status check_variant(const wyvern_program_desc *desc,
                                   const wyvern_variant_desc *variant) {
  if (!variant->name)
    return MALFORMED("%s: a variant has no name", desc->name);
  if (variant->num_workspace > WYVERN_MAX_TENSORS - desc->num_tensors ||
      variant->num_kernels > WYVERN_MAX_KERNELS ||
      (variant->num_workspace && !variant->workspace) ||
      (variant->num_kernels && !variant->kernels))
    return MALFORMED(
        "%s: variant '%s' has %u workspace tensors and %u kernels, "
        "expected at most %u and %d",
        desc->name, variant->name, variant->num_workspace, variant->num_kernels,
        WYVERN_MAX_TENSORS - desc->num_tensors, WYVERN_MAX_KERNELS);
  for (uint32_t t = 0; t < variant->num_workspace; ++t) {
    const wyvern_tensor_desc *tensor = &variant->workspace[t];
    WYVERN_TRY(check_tensor(desc->name, tensor));
    if (tensor->role != WYVERN_WORKSPACE)
      return MALFORMED("%s: tensor '%s' of variant '%s' is no workspace tensor",
                       desc->name, tensor->name, variant->name);
  }
  for (uint32_t k = 0; k < variant->num_kernels; ++k)
    WYVERN_TRY(check_kernel(desc, variant, &variant->kernels[k]));
  const wyvern_cut_desc *cut = &variant->cut;
  if (wyvern_has_parts(variant) &&
      (is_no_share(cut->first) || is_no_share(cut->second) ||
       is_no_share(cut->last) || cut->reverse > 1))
    return MALFORMED("%s: variant '%s' cuts sequences in parts of %u, %u and "
                     "%u sixteenths of a segment, reverse %u, expected 1 to "
                     "%d, and 0 or 1",
                     desc->name, variant->name, cut->first, cut->second,
                     cut->last, cut->reverse, MOST_SHARE);
  if (wyvern_has_parts(variant) && !wyvern_has_segments(variant))
    return MALFORMED("%s: variant '%s' has parts of sequences, whose tokens "
                     "follow from those of segments, and no segments",
                     desc->name, variant->name);
  return WYVERN_OK;
}

static wyvern_status check_tensors(const wyvern_program_desc *desc) {
  int has_main = 0;
  for (uint32_t t = 0; t < desc->num_tensors; ++t) {
    const wyvern_tensor_desc *tensor = &desc->tensors[t];
    WYVERN_TRY(check_tensor(desc->name, tensor));
    has_main |= wyvern_is_main(tensor);
    if (tensor->role == WYVERN_WORKSPACE)
      return MALFORMED("%s: workspace tensor '%s' is among the program's "
                       "tensors, expected it in a variant",
                       desc->name, tensor->name);
  }
  if (!has_main)
    return MALFORMED("%s: no input has a seq and a time dimension", desc->name);
  return WYVERN_OK;
}

wyvern_status wyvern_check_desc(const wyvern_program_desc *desc) {
  if (desc->abi_version != WYVERN_ABI_VERSION)
    return MALFORMED("the program was built for ABI version %u of the runtime, "
                     "this one has %u: compile it again",
                     desc->abi_version, WYVERN_ABI_VERSION);
  if (!desc->name || !desc->target || desc->chunk < 1 ||
      desc->chunk > INT32_MAX)
    return MALFORMED("a program needs a name, a target and a chunk of at least "
                     "one token and below 2^31");
  if (desc->num_tensors < 1 || desc->num_tensors > WYVERN_MAX_TENSORS ||
      desc->num_variants < 1 || desc->num_variants > WYVERN_MAX_VARIANTS ||
      !desc->tensors || !desc->variants)
    return MALFORMED("%s: found %u tensors and %u variants, expected 1 to %d "
                     "and 1 to %d",
                     desc->name, desc->num_tensors, desc->num_variants,
                     WYVERN_MAX_TENSORS, WYVERN_MAX_VARIANTS);
  WYVERN_TRY(check_tensors(desc));
  for (uint32_t v = 0; v < desc->num_variants; ++v)
    WYVERN_TRY(check_variant(desc, &desc->variants[v]));
  int estimates =
      desc->num_variants > 1 || wyvern_has_segments(&desc->variants[0]);
  return estimates ? wyvern_check_costs(desc) : WYVERN_OK;
}
