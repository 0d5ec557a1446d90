# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""vLLM's module of Qwen's Gated DeltaNet, as far as a plug-in sees it: the names and signatures of commit
00545a8, and their meaning in plain torch."""

import engine_reference
import torch
from vllm.model_executor.custom_op import CustomOp


def fused_recurrent_gated_delta_rule_packed_decode(
    mixed_qkv, a, b, A_log, dt_bias, scale, initial_state, out, ssm_state_indices, use_qk_l2norm_in_kernel=False
):
    heads, values, keys = initial_state.shape[1:]
    for n, slot in enumerate(ssm_state_indices.tolist()):
        out[n] = 0
        if slot <= 0:
            continue
        wide = (mixed_qkv.shape[1] - heads * values) // 2
        q, k, v = mixed_qkv[n].split([wide, wide, heads * values])
        o, state = engine_reference.step(
            initial_state[slot], q.view(-1, keys), k.view(-1, keys), v.view(heads, values), a[n], b[n], A_log, dt_bias, scale,
            use_qk_l2norm_in_kernel,
        )
        out[n, 0], initial_state[slot] = o, state
    return out, initial_state


def fused_sigmoid_gating_delta_rule_update(
    A_log, a, b, dt_bias, q, k, v, beta=1.0, threshold=20.0, scale=None, initial_state=None, inplace_final_state=True,
    cu_seqlens=None, ssm_state_indices=None, num_accepted_tokens=None, use_qk_l2norm_in_kernel=False, is_kda=False,
):
    o = torch.zeros_like(v)
    indices = ssm_state_indices if ssm_state_indices.dim() == 2 else ssm_state_indices[:, None]
    for n in range(cu_seqlens.shape[0] - 1):
        last = 0 if num_accepted_tokens is None else int(num_accepted_tokens[n]) - 1
        if indices[n, last] <= 0:
            continue
        state = initial_state[indices[n, last]]
        for t, row in enumerate(range(int(cu_seqlens[n]), int(cu_seqlens[n + 1]))):
            found, state = engine_reference.step(
                state, q[0, row], k[0, row], v[0, row], a[row], b[row], A_log, dt_bias, scale or q.shape[3] ** -0.5,
                use_qk_l2norm_in_kernel,
            )
            o[0, row] = found
            state = state.to(initial_state.dtype)
            if indices[n, t] > 0:
                initial_state[indices[n, t]] = state
    return o, initial_state


class ChunkGatedDeltaRule(CustomOp):
    """Prompts; what vLLM has chosen is a token after the other here."""

    def forward_native(
        self, q, k, v, g, beta, initial_state, output_final_state, cu_seqlens=None, chunk_indices=None, chunk_offsets=None,
        use_qk_l2norm_in_kernel=True, core_attn_out=None,
    ):
        from wyvern.torch import reference

        o, state = reference.delta_rule(
            q, k, v, beta, g, initial_state=initial_state.transpose(-1, -2), output_final_state=output_final_state,
            use_qk_l2norm_in_kernel=use_qk_l2norm_in_kernel, cu_seqlens=cu_seqlens,
        )
        return o, state.transpose(-1, -2)


class QwenGatedDeltaNetAttention:
    """The layer's calls of a step, behind its convolution."""

    def __init__(self, A_log, dt_bias):
        self.A_log, self.dt_bias = A_log, dt_bias
        self.chunk_gated_delta_rule = ChunkGatedDeltaRule()

    def decode(self, mixed_qkv, b, a, core_attn_out, ssm_state, indices, head_k_dim):
        fused_recurrent_gated_delta_rule_packed_decode(
            mixed_qkv=mixed_qkv, a=a, b=b, A_log=self.A_log, dt_bias=self.dt_bias, scale=head_k_dim**-0.5,
            initial_state=ssm_state, out=core_attn_out.unsqueeze(1), ssm_state_indices=indices, use_qk_l2norm_in_kernel=True,
        )

    def update(self, q, k, v, b, a, ssm_state, **more):
        return fused_sigmoid_gating_delta_rule_update(
            A_log=self.A_log, a=a, b=b, dt_bias=self.dt_bias, q=q, k=k, v=v, initial_state=ssm_state, inplace_final_state=True,
            use_qk_l2norm_in_kernel=True, **more,
        )
