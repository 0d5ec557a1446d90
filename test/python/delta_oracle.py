# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The delta rule token by token in float64, written from the papers.

Yang et al. 2024, "Parallelizing Linear Transformers with the Delta Rule over Sequence
Length", eq. 2-4, and "Gated Delta Networks", eq. 10:

    S <- exp(g_t) S;  S <- S + k_t (beta_t (v_t - S^T k_t))^T;  o_t = scale S^T q_t

with S of shape K x V. `repeat` steps a token before the read are DeltaProduct (Siems et
al. 2025); without `erase` it is linear attention. Runs on any device, on all heads and
sequences at once, and can be differentiated by autograd.
"""

import torch


def dense(q, k, v, beta=None, g=None, initial_state=None, scale=None, repeat=1, erase=True):
    """q [B,T,H,K], k [B,T*repeat,H,K], v [B,T*repeat,HV,V], beta [B,T*repeat,HV],
    g [B,T,HV] -> o [B,T,HV,V], S [B,HV,K,V]."""
    q, k, v = (x.double() for x in (q, k, v))
    batch, tokens, heads, dim = q.shape
    value_heads = v.shape[2]
    q, k = (x.repeat_interleave(value_heads // heads, 2) for x in (q, k))
    scale = dim**-0.5 if scale is None else scale
    state = torch.zeros(batch, value_heads, dim, v.shape[3], dtype=torch.float64, device=q.device)
    if initial_state is not None:
        state = state + initial_state.double()
    o = []
    for t in range(tokens):
        if g is not None:
            state = g[:, t].double().exp()[..., None, None] * state
        for row in range(t * repeat, (t + 1) * repeat):
            update = v[:, row]
            if erase:
                update = update - (k[:, row, :, None] @ state)[:, :, 0]
            if beta is not None:
                update = beta[:, row, :, None].double() * update
            state = state + k[:, row, :, :, None] * update[:, :, None]
        o.append(scale * (q[:, t, :, None] @ state)[:, :, 0])
    return torch.stack(o, 1) if o else v.new_empty(v.shape), state


def packed(cu_seqlens, q, k, v, beta=None, g=None, initial_state=None, scale=None, repeat=1, erase=True):
    """The same for sequences packed into one batch; rows past the last one are zero."""
    offsets = cu_seqlens.tolist()
    o = v.new_zeros(1, q.shape[1], *v.shape[2:], dtype=torch.float64)
    states = []
    for n, (begin, end) in enumerate(zip(offsets, offsets[1:])):
        tokens, rows = slice(begin, end), slice(begin * repeat, end * repeat)
        o[:, tokens], state = dense(
            q[:, tokens],
            k[:, rows],
            v[:, rows],
            None if beta is None else beta[:, rows],
            None if g is None else g[:, tokens],
            None if initial_state is None else initial_state[n : n + 1],
            scale,
            repeat,
            erase,
        )
        states.append(state)
    shape = (0, v.shape[2], q.shape[3], v.shape[3])
    return o, torch.cat(states) if states else q.new_zeros(shape, dtype=torch.float64)


def run(cu_seqlens=None, **inputs):
    return dense(**inputs) if cu_seqlens is None else packed(cu_seqlens, **inputs)


def error(x, reference):
    """||x - ref|| / ||ref||, not a number if x has one."""
    difference = (x.double() - reference).norm().item()
    norm = reference.norm().item()
    return difference / norm if norm > 0 else difference
