# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""FlashInfer: packed sequences, a linear decay, states [N, HV, V, K]; CuTe DSL kernels
that are compiled at the first call. With context parallelism a sequence is cut into
segments, exactly; which is faster depends on the shape, so both are timed."""

from .base import Run, packed, take_only


def prepare(inputs, context_parallel):
    take_only(inputs, "FlashInfer", "delta", "gated")
    from flashinfer.gdn_prefill import chunk_gated_delta_rule

    q, k, v, g, beta = packed(inputs.q, inputs.k, inputs.v, inputs.g, inputs.beta)
    decay = None if g is None else g.exp()
    state = inputs.initial_state
    state = None if state is None else state.transpose(-1, -2).contiguous()
    offsets = inputs.offsets

    def call():
        return chunk_gated_delta_rule(
            q,
            k,
            v,
            g=decay,
            beta=beta,
            scale=inputs.scale,
            initial_state=state,
            output_final_state=True,
            cu_seqlens=offsets,
            use_cp=context_parallel,
            max_seqlen=max(inputs.case.lengths),
        )

    return Run(call, lambda result: (result[0].view_as(inputs.v), result[1].transpose(-1, -2)))
