# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""flash-linear-attention: Triton kernels, tuned for 80 to 100 s at the first call of
each new head count."""

import functools
import os

from .base import Refused, Run, autograd_step


def function(rule):
    """The public function of a rule; its arguments are q, k, v, g if gated, beta."""
    os.environ.setdefault("FLA_FLASH_QLA", "0")  # FLA would call FlashQLA by itself
    if rule == "delta":
        from fla.ops.delta_rule import chunk_delta_rule

        return chunk_delta_rule
    from fla.ops.gated_delta_rule import chunk_gated_delta_rule

    return chunk_gated_delta_rule


def _call(inputs):
    """FLA's function of the operands (q, k, v, g if gated, beta) for a case."""
    case = inputs.case
    if case.rule == "delta" and case.key_heads != case.value_heads:
        raise Refused("FLA's DeltaNet has no groups of value heads")
    return functools.partial(
        function(case.rule),
        scale=inputs.scale,
        initial_state=inputs.initial_state,
        output_final_state=True,
        cu_seqlens=inputs.cu_seqlens,
    )


def prepare(inputs):
    call = _call(inputs)
    return Run(lambda: call(*inputs.operands.values()), lambda result: result)


def prepare_step(inputs):
    return autograd_step(_call(inputs), inputs)
