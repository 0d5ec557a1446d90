# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""FlashQLA: FLA's arguments; TileLang kernels that are compiled at the first call.

With auto_cp it may cut sequences that are packed into one row into segments, and a
segment then starts from the last tokens before it alone once their decay adds up to
-10. Such a run is not exact; as a batch and with auto_cp off it is.
"""

from .base import Run, packed, refuse_delta


def prepare(inputs, context_parallel):
    refuse_delta(inputs, "FlashQLA")
    from flash_qla import chunk_gated_delta_rule

    tensors = (inputs.q, inputs.k, inputs.v, inputs.g, inputs.beta)
    offsets = inputs.cu_seqlens
    if context_parallel:
        tensors = [x[None] for x in packed(*tensors)]
        offsets = inputs.offsets

    def call():
        return chunk_gated_delta_rule(
            *tensors,
            scale=inputs.scale,
            initial_state=inputs.initial_state,
            output_final_state=True,
            cu_seqlens=offsets,
            auto_cp=context_parallel,
        )

    return Run(call, lambda result: (result[0].view_as(inputs.v), result[1]), exact=not context_parallel)
