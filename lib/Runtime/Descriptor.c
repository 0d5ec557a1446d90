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
    if ((unsigned)dim->kind > WYVERN_DIM_WHOLE || (sized && dim->size < 1) ||
        (counted && dim->multiple < 1))
      return MALFORMED("%s: dimension %u of tensor '%s' is ill formed (kind "
                       "%d, size %lld, multiple %u)",
                       program, i, tensor->name, (int)dim->kind,
                       (long long)dim->size, dim->multiple);
  }
  return WYVERN_OK;
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

static wyvern_status check_kernel(const wyvern_program_desc *desc,
                                  const wyvern_kernel_desc *kernel) {
  if (!kernel->symbol || (!kernel->image && !kernel->file))
    return MALFORMED("%s: a kernel has no symbol or no image", desc->name);
  if (kernel->num_params > WYVERN_MAX_PARAMS ||
      (kernel->num_params && !kernel->params))
    return MALFORMED("%s: %s has %u parameters, expected at most %d",
                     desc->name, kernel->symbol, kernel->num_params,
                     WYVERN_MAX_PARAMS);
  if (kernel->block < 1 || kernel->block > 1024 || kernel->grid_factor < 1 ||
      (unsigned)kernel->grid_count > WYVERN_COUNT_SEQUENCES)
    return MALFORMED("%s: %s has the block %u, the grid factor %u and the "
                     "count %d",
                     desc->name, kernel->symbol, kernel->block,
                     kernel->grid_factor, (int)kernel->grid_count);
  if ((kernel->grid_count == WYVERN_COUNT_SLOTS) != (kernel->grid_chunks > 0))
    return MALFORMED("%s: %s has %u chunks a slot of its grid, expected %s",
                     desc->name, kernel->symbol, kernel->grid_chunks,
                     kernel->grid_chunks ? "0, since it counts sequences"
                                         : "at least 1");
  for (uint32_t p = 0; p < kernel->num_params; ++p) {
    const wyvern_param_desc *param = &kernel->params[p];
    if ((unsigned)param->kind > WYVERN_PARAM_SEQUENCES)
      return MALFORMED("%s: parameter %u of %s has the unknown kind %d",
                       desc->name, p, kernel->symbol, (int)param->kind);
    if (param->kind > WYVERN_PARAM_STRIDE)
      continue;
    if (param->tensor >= desc->num_tensors)
      return MALFORMED("%s: parameter %u of %s names tensor %u of %u",
                       desc->name, p, kernel->symbol, param->tensor,
                       desc->num_tensors);
    const wyvern_tensor_desc *tensor = &desc->tensors[param->tensor];
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

/* The input that says how large B and T are. */
static int is_main(const wyvern_tensor_desc *tensor) {
  int seq = 0, time = 0;
  for (uint32_t i = 0; i < tensor->rank; ++i) {
    seq |= tensor->dims[i].kind == WYVERN_DIM_SEQ;
    time |= tensor->dims[i].kind == WYVERN_DIM_TIME;
  }
  return tensor->role == WYVERN_INPUT && !tensor->optional && seq && time;
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
      desc->num_kernels > WYVERN_MAX_KERNELS || !desc->tensors ||
      (desc->num_kernels && !desc->kernels))
    return MALFORMED(
        "%s: found %u tensors and %u kernels, expected 1 to %d and "
        "at most %d",
        desc->name, desc->num_tensors, desc->num_kernels, WYVERN_MAX_TENSORS,
        WYVERN_MAX_KERNELS);
  int has_main = 0, workspace = 0;
  for (uint32_t t = 0; t < desc->num_tensors; ++t) {
    WYVERN_TRY(check_tensor(desc->name, &desc->tensors[t]));
    has_main |= is_main(&desc->tensors[t]);
    if (workspace && desc->tensors[t].role != WYVERN_WORKSPACE)
      return MALFORMED("%s: tensor '%s' follows a workspace tensor; those come "
                       "last",
                       desc->name, desc->tensors[t].name);
    workspace = desc->tensors[t].role == WYVERN_WORKSPACE;
  }
  if (!has_main)
    return MALFORMED("%s: no input has a seq and a time dimension", desc->name);
  for (uint32_t k = 0; k < desc->num_kernels; ++k)
    WYVERN_TRY(check_kernel(desc, &desc->kernels[k]));
  return WYVERN_OK;
}

/* A dimension whose stride a kernel is not told must be dense: through a tensor
   map that is the last one, through a pointer every one without a STRIDE. */
static uint32_t fixed_dims(const wyvern_kernel_desc *kernel, uint32_t tensor,
                           uint32_t rank, int *tensor_map) {
  uint32_t told = 0;
  int pointer = 0;
  for (uint32_t p = 0; p < kernel->num_params; ++p) {
    const wyvern_param_desc *param = &kernel->params[p];
    if (param->kind > WYVERN_PARAM_STRIDE || param->tensor != tensor)
      continue;
    if (param->kind == WYVERN_PARAM_STRIDE)
      told |= 1u << param->dim;
    *tensor_map |= param->kind == WYVERN_PARAM_TENSOR_MAP;
    pointer |= param->kind == WYVERN_PARAM_POINTER;
  }
  uint32_t fixed = *tensor_map ? 1u << (rank - 1) : 0;
  return pointer ? fixed | (~told & ((1u << rank) - 1)) : fixed;
}

void wyvern_find_layouts(wyvern_program *program) {
  const wyvern_program_desc *desc = program->desc;
  program->main_tensor = desc->num_tensors;
  for (uint32_t t = 0; t < desc->num_tensors; ++t) {
    const wyvern_tensor_desc *tensor = &desc->tensors[t];
    wyvern_layout *layout = &program->layouts[t];
    uint32_t last = tensor->rank - 1;
    for (uint32_t k = 0; k < desc->num_kernels; ++k) {
      int tensor_map = 0;
      layout->fixed |=
          fixed_dims(&desc->kernels[k], t, tensor->rank, &tensor_map);
      layout->tensor_map |= tensor_map;
    }
    layout->whole_rows = tensor->dims[last].kind == WYVERN_DIM_WHOLE &&
                         (layout->fixed >> last & 1);
    if (tensor->role != WYVERN_WORKSPACE)
      program->num_arguments = t + 1;
    if (program->main_tensor == desc->num_tensors && is_main(tensor))
      program->main_tensor = t;
  }
}
