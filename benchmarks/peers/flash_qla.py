# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""FlashQLA: FLA's arguments; TileLang kernels that are compiled at the first call.

With auto_cp it may cut sequences that are packed into one row into segments, and a
segment then starts from the last tokens before it alone once their decay adds up to
-10. Such a run is not exact; as a batch and with auto_cp off it is.
"""

import functools

from .base import Run, autograd_step, packed, take_only


def _call(inputs, **options):
    """FlashQLA's function of the operands (q, k, v, g, beta) for a case."""
    take_only(inputs, "FlashQLA", "gated")
    from flash_qla import chunk_gated_delta_rule

    options = {"cu_seqlens": inputs.cu_seqlens} | options
    return functools.partial(
        chunk_gated_delta_rule, scale=inputs.scale, initial_state=inputs.initial_state, output_final_state=True, **options
    )


def prepare(inputs, context_parallel):
    if context_parallel:
        call = _call(inputs, cu_seqlens=inputs.offsets, auto_cp=True)
        tensors = [x[None] for x in packed(*inputs.operands.values())]
    else:
        call, tensors = _call(inputs, auto_cp=False), list(inputs.operands.values())
    return Run(
        lambda: call(*tensors), lambda result: (result[0].view_as(inputs.v), result[1]), exact=not context_parallel
    )


def prepare_step(inputs):
    return autograd_step(_call(inputs, auto_cp=False), inputs)
