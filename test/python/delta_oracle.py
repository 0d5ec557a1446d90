# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The delta rule token by token in float64, written from the papers.

Yang et al. 2024, "Parallelizing Linear Transformers with the Delta Rule over Sequence
Length", eq. 2-4, and "Gated Delta Networks", eq. 10:

    S <- exp(g_t) S;  S <- S + k_t (beta_t (v_t - S^T k_t))^T;  o_t = scale S^T q_t

with S of shape K x V. Runs on any device, on all heads and sequences at once.
"""

import torch


def dense(q, k, v, beta, g=None, initial_state=None, scale=None):
    """q, k [B,T,H,K], v [B,T,HV,V], beta, g [B,T,HV] -> o [B,T,HV,V], S [B,HV,K,V]."""
    q, k, v, beta = (x.double() for x in (q, k, v, beta))
    batch, tokens, heads, dim = q.shape
    value_heads = v.shape[2]
    q, k = (x.repeat_interleave(value_heads // heads, 2) for x in (q, k))
    scale = dim**-0.5 if scale is None else scale
    state = torch.zeros(batch, value_heads, dim, v.shape[3], dtype=torch.float64, device=q.device)
    if initial_state is not None:
        state += initial_state.double()
    o = torch.empty_like(v)
    for t in range(tokens):
        if g is not None:
            state *= g[:, t].double().exp()[..., None, None]
        read = (k[:, t, :, None] @ state)[:, :, 0]
        update = beta[:, t, :, None] * (v[:, t] - read)
        state += k[:, t, :, :, None] * update[:, :, None]
        o[:, t] = scale * (q[:, t, :, None] @ state)[:, :, 0]
    return o, state


def packed(cu_seqlens, q, k, v, beta, g=None, initial_state=None, scale=None):
    """The same for sequences packed into one batch; rows past the last one are zero."""
    offsets = cu_seqlens.tolist()
    o = torch.zeros_like(v, dtype=torch.float64)
    states = []
    for n, (begin, end) in enumerate(zip(offsets, offsets[1:])):
        cut = slice(begin, end)
        o[:, cut], state = dense(
            *(x[:, cut] for x in (q, k, v, beta)),
            None if g is None else g[:, cut],
            None if initial_state is None else initial_state[n : n + 1],
            scale,
        )
        states.append(state)
    shape = (0, v.shape[2], q.shape[3], v.shape[3])
    return o, torch.cat(states) if states else q.new_zeros(shape, dtype=torch.float64)


def run(q, k, v, beta, g=None, initial_state=None, cu_seqlens=None, scale=None):
    if cu_seqlens is None:
        return dense(q, k, v, beta, g, initial_state, scale)
    return packed(cu_seqlens, q, k, v, beta, g, initial_state, scale)


def error(x, reference):
    """||x - ref|| / ||ref||, not a number if x has one."""
    difference = (x.double() - reference).norm().item()
    norm = reference.norm().item()
    return difference / norm if norm > 0 else difference
