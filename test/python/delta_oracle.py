# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The delta rule token by token in float64, written from the papers.

Yang et al. 2024, "Parallelizing Linear Transformers with the Delta Rule over Sequence
Length", eq. 2-4, and "Gated Delta Networks", eq. 10:

    S <- exp(g_t) S;  S <- S + k_t (beta_t (v_t - S^T k_t))^T;  o_t = scale S^T q_t

with S of shape K x V. `repeat` steps a token before the read are DeltaProduct (Siems et
al. 2025); without `erase` it is linear attention. Gates may be one a key channel (Kimi
Delta Attention); `erase_key` is looked up in the place of k, with `before_decay` in the
state before the token's decay; `also_k`, `also_v` add k v^T besides (RWKV-7). Runs on any device, on all heads and
sequences at once, and can be differentiated by autograd.
"""

import torch


def dense(
    q,
    k,
    v,
    beta=None,
    g=None,
    initial_state=None,
    scale=None,
    repeat=1,
    erase=True,
    erase_key=None,
    before_decay=False,
    also_k=None,
    also_v=None,
):
    """q [B,T,H,K], k and erase_key [B,T*repeat,H,K], v [B,T*repeat,HV,V], beta
    [B,T*repeat,HV], g [B,T,HV] or [B,T,HV,K], also_k and also_v one row a token ->
    o [B,T,HV,V], S [B,HV,K,V]."""
    q, k, v = (x.double() for x in (q, k, v))
    batch, tokens, heads, dim = q.shape
    value_heads = v.shape[2]
    group = value_heads // heads
    erase_key = k if erase_key is None else erase_key.double()
    q, k, erase_key = (x.repeat_interleave(group, 2) for x in (q, k, erase_key))
    if also_k is not None:
        also = also_k.double().repeat_interleave(group, 2)[..., None] * also_v.double()[..., None, :]
    scale = dim**-0.5 if scale is None else scale
    state = torch.zeros(batch, value_heads, dim, v.shape[3], dtype=torch.float64, device=q.device)
    if initial_state is not None:
        state = state + initial_state.double()
    o = []
    for t in range(tokens):
        before = state
        if g is not None:
            factor = g[:, t].double().exp()
            state = (factor[..., None] if g.dim() == 4 else factor[..., None, None]) * state
        for row in range(t * repeat, (t + 1) * repeat):
            update = v[:, row]
            if erase:
                update = update - (erase_key[:, row, :, None] @ (before if before_decay else state))[:, :, 0]
            if beta is not None:
                update = beta[:, row, :, None].double() * update
            state = state + k[:, row, :, :, None] * update[:, :, None]
        if also_k is not None:
            state = state + also[:, t]
        o.append(scale * (q[:, t, :, None] @ state)[:, :, 0])
    return torch.stack(o, 1) if o else v.new_empty(v.shape), state


def packed(cu_seqlens, q, k, v, beta=None, g=None, initial_state=None, scale=None, repeat=1, **others):
    """The same for sequences packed into one batch; rows past the last one are zero."""
    offsets = cu_seqlens.tolist()
    inputs = {"q": q, "k": k, "v": v, "beta": beta, "g": g, "scale": scale, **others}
    o = v.new_zeros(1, q.shape[1], *v.shape[2:], dtype=torch.float64)
    states = []

    def part(name, x, begin, end):
        rows = repeat if name in ("k", "v", "beta", "erase_key") else 1
        return x[:, begin * rows : end * rows] if torch.is_tensor(x) else x

    for n, (begin, end) in enumerate(zip(offsets, offsets[1:])):
        own = {name: part(name, x, begin, end) for name, x in inputs.items()}
        init = None if initial_state is None else initial_state[n : n + 1]
        o[:, begin:end], state = dense(**own, initial_state=init, repeat=repeat)
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
