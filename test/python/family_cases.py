# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Operands of the functions with FLA's names, and what they mean, by the recurrence in float64.

Each case draws what a function takes and says which arguments of delta_oracle.run these are.
"""

from typing import Any, Callable, NamedTuple

import torch

import delta_oracle

F = torch.nn.functional
H, HV, K, V = 2, 4, 8, 6


def draw(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def keys(batch, tokens):
    """Unit keys, of which every third is the one before again, or nearly."""
    k = draw(batch, tokens, H, K)
    k[:, 1::3] = k[:, : k[:, 1::3].shape[1] * 3 : 3] + 0.1 * k[:, 1::3]
    return F.normalize(k, dim=-1)


def decays(*shape):
    """Log decays of any strength: mostly weak, some down to -60, some that reset."""
    g = -torch.exp(2 * draw(*shape) - 2)
    chance = torch.rand(shape)
    g = torch.where(chance < 0.05, torch.full_like(g, -60.0), g)
    return torch.where(chance > 0.98, torch.full_like(g, -torch.inf), g)


def rates(*shape, most=1.0):
    return most * torch.rand(shape, dtype=torch.float64)


class Case(NamedTuple):
    """names: of the functions that it is of. draw: operands of a batch and so many tokens. mean: from them
    what delta_oracle.run takes. options: arguments that all of its calls have."""

    names: tuple[str, ...]
    draw: Callable[[int, int], dict[str, torch.Tensor]]
    mean: Callable[..., dict[str, Any]]
    options: dict[str, Any] = {}
    heads: int = HV  # of values


def qkv(batch, tokens, heads=HV, repeat=1):
    """q, k and v for so many value heads; as many key heads where these are H."""
    rows = tokens * repeat
    return {"q": keys(batch, tokens), "k": keys(batch, rows), "v": draw(batch, rows, heads, V)}


def gated(channels=False, heads=HV, beta=True):
    def operands(batch, tokens):
        shape = (batch, tokens, heads)
        found = qkv(batch, tokens, heads) | {"g": decays(*shape, *([K] if channels else []))}
        return found | ({"beta": rates(*shape)} if beta else {})

    return operands


def product(repeat, has_decay):
    def operands(batch, tokens):
        found = qkv(batch, tokens, HV, repeat) | {"beta": rates(batch, tokens * repeat, HV, most=2)}
        return found | {"g": decays(batch, tokens, HV) if has_decay else None}

    return operands


def gdn2(batch, tokens):
    found = gated(True, H, beta=False)(batch, tokens)
    return found | {"b": rates(batch, tokens, H, K, most=2), "w": rates(batch, tokens, H, V)}


def comba(batch, tokens):
    found = gated()(batch, tokens)
    return found | {"p": 0.7 * found["k"] + 0.1 * draw(batch, tokens, H, K)}


def dplr(batch, tokens):
    a, rate = keys(batch, tokens), rates(batch, tokens, H, K)
    found = qkv(batch, tokens, H) | {"a": -a, "b": rate * a, "gk": decays(batch, tokens, H, K)}
    return found


def iplr(batch, tokens):
    found = dplr(batch, tokens)
    del found["gk"]
    return found


def rwkv7(batch, tokens):
    found = dplr(batch, tokens)
    return {"r": found.pop("q"), "w": found.pop("gk")} | found


def mean_dplr(q, k, v, a, b, gk=None, scale=None):
    """S <- Diag(exp(gk)) S' + b (a^T S') + k v^T, as erasing at rate -1."""
    minus = -torch.ones(v.shape[:3], dtype=torch.float64)
    call = {"q": q, "k": b, "erase_key": a, "v": torch.zeros_like(v), "beta": minus, "also_k": k, "also_v": v}
    return call | {"g": gk, "before_decay": True, "scale": scale}


def precond(channels, heads):
    def operands(batch, tokens):
        found = gated(channels, heads)(batch, tokens)
        own = {"g_atk": decays(batch, tokens, H), "beta_atk": rates(batch, tokens, H), "log_atk_scale": draw(H)}
        return found | own | {"k": 3 * found["k"], "q": 2 * found["q"]}

    return operands


def norm(x):
    return x * torch.rsqrt(x.square().sum(-1, keepdim=True) + 1e-6)


def running_squares(k, g, beta, initial):
    """A_t = exp(g_t) A_(t-1) + beta_t k_t^2, token by token."""
    state, found = initial, []
    for t in range(k.shape[1]):
        state = g[:, t, :, None].exp() * state + beta[:, t, :, None] * k[:, t].square()
        found.append(state)
    return torch.stack(found, 1) if found else k, state


def multipliers(k, g_atk, beta_atk, log_atk_scale, initial, offsets):
    """m [B, T, H, K] of normalized keys, and A after each sequence."""
    parts = [slice(None)] if offsets is None else [slice(*x) for x in zip(offsets, offsets[1:])]
    found = []
    for n, part in enumerate(parts):
        own = initial if offsets is None else initial[n : n + 1]
        found.append(running_squares(k[:, part], g_atk[:, part], beta_atk[:, part], own))
    sums = torch.cat([a for a, _ in found], 1)
    sums = torch.cat([sums, torch.ones_like(k[:, sums.shape[1] :])], 1)
    r = (sums + 1e-6).log() - log_atk_scale[:, None]
    return 1.5 ** (-r / (1 + r.abs())), torch.cat([state for _, state in found])


def mean_precond(q, k, v, g, beta, g_atk, beta_atk, log_atk_scale, initial_A_state, offsets):
    q, k = norm(q), norm(k)
    m, last = multipliers(k, g_atk, beta_atk, log_atk_scale, initial_A_state, offsets)
    return {"q": q, "k": m * k, "erase_key": k, "v": v, "beta": beta, "g": g}, last


def same(**operands):
    return operands


CASES = {
    "kda": Case(("chunk_kda", "fused_recurrent_kda"), gated(True), same),
    "gdn2": Case(
        ("chunk_gdn2", "fused_recurrent_gdn2"),
        gdn2,
        lambda b, w, k, v, **x: x | {"k": k, "erase_key": b * k, "v": w * v},
        heads=H,
    ),
    "comba": Case(
        ("chunk_comba", "fused_recurrent_comba"), comba, lambda p, **x: x | {"erase_key": p, "before_decay": True}
    ),
    "product": Case(
        ("chunk_gated_delta_product",), product(3, True), lambda **x: x | {"repeat": 3}, {"num_householder": 3}
    ),
    "product_of_four": Case(
        ("chunk_gated_delta_product",), product(4, True), lambda **x: x | {"repeat": 4}, {"num_householder": 4}
    ),
    "product_without_decay": Case(
        ("chunk_gated_delta_product",), product(2, False), lambda **x: x | {"repeat": 2}, {"num_householder": 2}
    ),
    "dplr": Case(("chunk_dplr_delta_rule", "fused_recurrent_dplr_delta_rule"), dplr, mean_dplr, heads=H),
    "iplr": Case(("chunk_iplr_delta_rule", "fused_recurrent_iplr_delta_rule"), iplr, mean_dplr, heads=H),
    "rwkv7": Case(
        ("chunk_rwkv7", "fused_recurrent_rwkv7"),
        rwkv7,
        lambda r, w, **x: mean_dplr(q=r, gk=w, **x),
        {"scale": 1.0},
        heads=H,
    ),
    "gla": Case(("chunk_gla",), gated(True, beta=False), lambda **x: x | {"erase": False}),
    "simple_gla": Case(
        ("chunk_simple_gla", "fused_recurrent_simple_gla"), gated(beta=False), lambda **x: x | {"erase": False}
    ),
    "linear_attention": Case(("chunk_simple_gla",), qkv, lambda **x: x | {"erase": False}),
}


def expected(case, operands, cu_seqlens=None, initial_state=None, scale=None):
    """o and the final state of a case."""
    scale = case.options.get("scale") if scale is None else scale
    meant = case.mean(**operands) | {"initial_state": initial_state}
    return delta_oracle.run(cu_seqlens, **meant | ({} if scale is None else {"scale": scale}))
