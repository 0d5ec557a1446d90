# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""cuDNN's frontend: packed sequences, a logarithmic decay, states [N, HV, V, K]; on
Hopper its engine is cuTile, compiled at the first call."""

from .base import Run, packed, take_only


def prepare(inputs):
    take_only(inputs, "cuDNN", "gated")
    from cudnn.linear_attention import gated_delta_net

    q, k, v, g, beta = packed(inputs.q, inputs.k, inputs.v, inputs.g, inputs.beta)
    state = inputs.initial_state
    state = None if state is None else state.transpose(-1, -2).contiguous()
    offsets = inputs.offsets.int()

    def call():
        return gated_delta_net(
            q, k, v, g, beta, offsets, scale=inputs.scale, initial_state=state, output_final_state=True
        )

    return Run(call, lambda result: (result[0].view_as(inputs.v), result[1].transpose(-1, -2)))
