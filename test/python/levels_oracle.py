# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Log-linear attention by its definition, in float64.

Guo et al. 2025, "Log-Linear Attention", for any list of steps of a spec: with Phi(t, s) the
product of the decays and erasures of tokens s + 1 to t,

    o_t = scale * sum over s <= t of lam_t[level(t, s)] q_t^T Phi(t, s) W_s
    level(t, t) = 0,  level(t, s) = bit_length(t xor s)

W_s is what token s writes to an empty state. Every W_s is kept apart to the end, so that
nothing here knows of trees, states of levels or chunks. Autograd goes through all of it.
"""

import torch


def level(t, s):
    return (t ^ s).bit_length()


def spread(x, heads):
    return x.repeat_interleave(heads // x.shape[1], 1)


def run(tensors, steps, scale, heads):
    """One sequence: tensors [T, heads, ...] by name -> o [T, heads, V]."""
    tokens, lam = tensors["q"].shape[0], tensors["level_scales"]
    lam = lam.unflatten(1, (heads, -1))
    rows = {name: spread(x, heads) for name, x in tensors.items() if name != "level_scales"}
    product = lambda text, row: torch.stack([rows[name][row] for name in text.split(" * ")]).prod(0)
    key_dim, value_dim = rows["q"].shape[2], rows[steps[0]["value"].split(" * ")[0]].shape[2]
    parts, outputs = rows["q"].new_zeros(0, heads, key_dim, value_dim), []
    for t in range(tokens):
        parts = torch.cat([parts, parts.new_zeros(1, heads, key_dim, value_dim)])
        if "g" in rows:
            factor = rows["g"][t].exp()
            parts = parts * (factor[..., None] if factor.dim() == 2 else factor[..., None, None])
        for step in steps:
            for row in range(t * step.get("repeat", 1), (t + 1) * step.get("repeat", 1)):
                parts = advance(parts, step, lambda key: product(step[key], row))
        levels = torch.tensor([level(t, s) for s in range(t + 1)])
        reads = torch.einsum("hk,shkv->shv", rows["q"][t], parts)
        outputs.append(scale * torch.einsum("hs,shv->hv", lam[t][:, levels], reads))
    return torch.stack(outputs) if outputs else rows["q"].new_zeros(0, heads, value_dim)


def advance(parts, step, term):
    """All parts by one row of a step; the last one is the token's own, which is written to."""
    write = term("write")
    rate = term("rate")[..., None] if "rate" in step else 1.0
    update = torch.zeros_like(parts[:, :, 0])
    if step.get("erase") != "none":
        erase = term("erase") if "erase" in step else write
        update = update - rate * torch.einsum("hk,shkv->shv", erase, parts)
    own = torch.zeros_like(update)
    own[-1] = rate * term("value")
    return parts + torch.einsum("hk,shv->shkv", write, update + own)


def dense(tensors, steps, scale, cu_seqlens=None):
    """Tensors [B, T, heads, ...] by name -> o [B, T, heads, V]."""
    batch, tokens, heads = tensors["q"].shape[0], tensors["q"].shape[1], tensors["v"].shape[2]
    cut = lambda b, begin, end: {n: x[b, begin * (x.shape[1] // tokens) : end * (x.shape[1] // tokens)] for n, x in tensors.items()}
    if cu_seqlens is None:
        return torch.stack([run(cut(b, 0, tokens), steps, scale, heads) for b in range(batch)])
    offsets = [int(x) for x in cu_seqlens]
    parts = [run(cut(0, begin, end), steps, scale, heads) for begin, end in zip(offsets, offsets[1:])]
    unowned = tensors["v"].new_zeros(tokens - offsets[-1], heads, tensors["v"].shape[3])
    return torch.cat([*parts, unowned])[None]
