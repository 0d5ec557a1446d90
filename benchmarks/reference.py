# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The rules in float64, chunk by chunk, fast enough to judge every timed row.

The delta rule, with a gate a head or none:

    S <- exp(g_t) S;  S <- S + k_t (beta_t (v_t - S^T k_t))^T;  o_t = scale S^T q_t

With G the running sum of g in a chunk and D_ij = exp(G_i - G_j) for j <= i, the updates
U of a chunk solve (I + tril(diag(beta) (K K^T o D), -1)) U = diag(beta) (V - diag(exp G) K S);
then o = scale (diag(exp G) Q S + tril(Q K^T o D) U) and S <- exp(G_last) S + (diag(exp(G_last - G)) K)^T U.
A test holds it against the recurrence token by token. The other rules (rules.py) are
computed token by token; a backward computes each chunk again, and keeps the states between.
"""

from dataclasses import replace

import torch
from torch.utils.checkpoint import checkpoint

from .cases import CHUNK, gradient_of_o
from .peers.base import in_step_order


def outputs(inputs):
    """o [B, T, HV, V] and the final states [N, HV, K, V], in float64."""
    batch = inputs.q.shape[0]
    if inputs.case.dense:
        return _sequences(inputs, slice(0, batch), 0, inputs.q.shape[1], slice(0, batch))
    o, states, begin = [], [], 0
    for n, tokens in enumerate(inputs.case.lengths):
        found = _sequences(inputs, slice(0, 1), begin, begin + tokens, slice(n, n + 1))
        o.append(found[0])
        states.append(found[1])
        begin += tokens
    return torch.cat(o, 1), torch.cat(states)


def gradients(inputs):
    """What a training step is to give (base.STEP_RESULTS), in float64, by autograd."""
    leaves = {name: x.double().requires_grad_() for name, x in inputs.operands.items()}
    with torch.enable_grad():
        o, _ = outputs(replace(inputs, operands=leaves))
    found = torch.autograd.grad(o, list(leaves.values()), gradient_of_o(inputs).double())
    return in_step_order(dict(zip(leaves, found)))


def _sequences(inputs, rows, begin, end, states):
    """The same for sequences of one length: some rows, and the tokens from `begin` to `end`."""
    case = inputs.case
    state = torch.zeros(1, case.value_heads, *case.dims, dtype=torch.float64, device=inputs.q.device)
    state = state.expand(inputs.q[rows].shape[0], -1, -1, -1)
    if inputs.initial_state is not None:
        state = state + inputs.initial_state[states]
    o = []
    for first in range(begin, end, CHUNK):
        last = min(first + CHUNK, end)
        tiles = {name: _tile(case, name, x[rows], first, last) for name, x in inputs.operands.items()}
        if case.rule in ("delta", "gated"):
            o_c, state = _chunk(tiles, state, inputs.scale)
        else:
            o_c, state = checkpoint(_tokens, tiles, case.rows, state, inputs.scale, use_reentrant=False)
        o.append(o_c.transpose(1, 2))
    return torch.cat(o, 1), state


def _tile(case, name, x, first, last):
    """Some tokens of an operand as [B, HV, rows, ...] in float64."""
    rows, heads, *_ = case.shapes[name]
    tile = x[:, first * rows : last * rows].transpose(1, 2).double()
    return tile.repeat_interleave(case.value_heads // heads, 1)


def _chunk(tiles, state, scale):
    """The delta rule on a chunk: its outputs, and the state behind it."""
    q, k, v, beta = (tiles[name] for name in ("q", "k", "v", "beta"))
    total = tiles["g"].cumsum(-1) if "g" in tiles else torch.zeros_like(beta)
    beta = beta[..., None]
    # Masked before exp: above the diagonal the difference is positive and may overflow.
    decay = (total[..., :, None] - total[..., None, :]).tril().exp().tril()
    grown = total.exp()[..., None]
    factor = (beta * (k @ k.transpose(-1, -2)) * decay).tril(-1)
    updates = torch.linalg.solve_triangular(
        factor, beta * (v - grown * (k @ state)), upper=False, unitriangular=True
    )
    o = scale * (grown * (q @ state) + ((q @ k.transpose(-1, -2)) * decay) @ updates)
    left = (total[..., -1:] - total).exp()[..., None]
    return o, grown[..., -1:, :] * state + (left * k).transpose(-1, -2) @ updates


def _tokens(tiles, rows, state, scale):
    """Any rule on some tokens, one after the other: their outputs, and the state behind them."""
    o = []
    for t in range(tiles["q"].shape[2]):
        before = state
        if "g" in tiles:
            decay = tiles["g"][:, :, t].exp()
            state = state * (decay[..., None] if decay.dim() == 3 else decay[..., None, None])
        if "a" in tiles:
            read = _read(before, tiles["a"][:, :, t])
            state = state + _outer(tiles["b"][:, :, t], read) + _outer(tiles["k"][:, :, t], tiles["v"][:, :, t])
        else:
            for row in range(t * rows, (t + 1) * rows):
                k, v, beta = (tiles[name][:, :, row] for name in ("k", "v", "beta"))
                state = state + _outer(k, beta[..., None] * (v - _read(state, k)))
        o.append(scale * _read(state, tiles["q"][:, :, t]))
    return torch.stack(o, 2), state


def _read(state, key):
    """S^T k."""
    return (key[..., None, :] @ state).squeeze(-2)


def _outer(key, value):
    """k v^T."""
    return key[..., None] * value[..., None, :]


def error(x, reference):
    """||x - reference|| / ||reference||; infinite if x is not finite."""
    difference = x.double() - reference
    ratio = (difference.norm() / reference.norm()).item()
    return ratio if ratio == ratio else float("inf")
