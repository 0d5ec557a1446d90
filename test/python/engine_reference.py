# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Gated DeltaNet's step as inference engines define it, one token of one sequence in float64."""

import torch


def step(state, q, k, v, a, b, A_log, dt_bias, scale, norm=True):
    """state [HV, V, K], q, k [H, K], v [HV, V], a, b [HV]; returns o [HV, V] and the new state."""
    state, q, k, v, a, b, A_log, dt_bias = (x.double() for x in (state, q, k, v, a, b, A_log, dt_bias))
    if norm:
        q, k = (x / (x.square().sum(-1, keepdim=True) + 1e-6).sqrt() for x in (q, k))
    q, k = (x.repeat_interleave(v.shape[0] // x.shape[0], 0) for x in (q, k))
    state = state * torch.exp(-A_log.exp() * torch.nn.functional.softplus(a + dt_bias))[:, None, None]
    error = v - torch.einsum("hvk,hk->hv", state, k)
    state = state + torch.einsum("hv,hk->hvk", b.sigmoid()[:, None] * error, k)
    return scale * torch.einsum("hvk,hk->hv", state, q), state
