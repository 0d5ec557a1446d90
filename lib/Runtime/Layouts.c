/*===- Layouts.c - What kernels ask of the strides of tensors -------------===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#include "Program.h"

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

/* What all variants ask: whether a tensor is copied first is then independent
   of the choice. */
static void find_layout(const wyvern_program_desc *desc, uint32_t t,
                        wyvern_layout *layout) {
  const wyvern_tensor_desc *tensor = &desc->tensors[t];
  uint32_t last = tensor->rank - 1;
  for (uint32_t v = 0; v < desc->num_variants; ++v)
    for (uint32_t k = 0; k < desc->variants[v].num_kernels; ++k) {
      int tensor_map = 0;
      layout->fixed |= fixed_dims(&desc->variants[v].kernels[k], t,
                                  tensor->rank, &tensor_map);
      layout->tensor_map |= tensor_map;
    }
  layout->whole_rows = tensor->dims[last].kind == WYVERN_DIM_WHOLE &&
                       (layout->fixed >> last & 1);
}

void wyvern_find_layouts(wyvern_program *program) {
  const wyvern_program_desc *desc = program->desc;
  program->main_tensor = desc->num_tensors;
  for (uint32_t t = 0; t < desc->num_tensors; ++t) {
    find_layout(desc, t, &program->layouts[t]);
    if (program->main_tensor == desc->num_tensors &&
        wyvern_is_main(&desc->tensors[t]))
      program->main_tensor = t;
  }
}
