# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The delta rule in float64, chunk by chunk, fast enough to judge every timed row.

    S <- exp(g_t) S;  S <- S + k_t (beta_t (v_t - S^T k_t))^T;  o_t = scale S^T q_t

With G the running sum of g in a chunk and D_ij = exp(G_i - G_j) for j <= i, the updates
U of a chunk solve (I + tril(diag(beta) (K K^T o D), -1)) U = diag(beta) (V - diag(exp G) K S);
then o = scale (diag(exp G) Q S + tril(Q K^T o D) U) and S <- exp(G_last) S + (diag(exp(G_last - G)) K)^T U.
A test holds it against the recurrence token by token.
"""

from dataclasses import replace

import torch

from .cases import gradient_of_o
from .peers.base import in_step_order

CHUNK = 64


def delta_rule(inputs):
    """o [B, T, HV, V] and the final states [N, HV, K, V], in float64."""
    batch = inputs.q.shape[0]
    if inputs.case.dense:
        return _sequences(inputs, slice(0, batch), slice(None), slice(0, batch))
    o, states, begin = [], [], 0
    for n, tokens in enumerate(inputs.case.lengths):
        outputs = _sequences(inputs, slice(0, 1), slice(begin, begin + tokens), slice(n, n + 1))
        o.append(outputs[0])
        states.append(outputs[1])
        begin += tokens
    return torch.cat(o, 1), torch.cat(states)


def gradients(inputs):
    """What a training step is to give (base.STEP_RESULTS), in float64, by autograd."""
    leaves = {name: x.double().requires_grad_() for name, x in inputs.operands.items()}
    with torch.enable_grad():
        o, _ = delta_rule(replace(inputs, **leaves))
    found = torch.autograd.grad(o, list(leaves.values()), gradient_of_o(inputs).double())
    return in_step_order(dict(zip(leaves, found)))


def _sequences(inputs, rows, tokens, states):
    """The same for sequences of one length: some rows and tokens of the inputs."""
    q, k, v, beta = (x[rows, tokens] for x in (inputs.q, inputs.k, inputs.v, inputs.beta))
    g = torch.zeros_like(beta) if inputs.g is None else inputs.g[rows, tokens]
    heads, value_heads = q.shape[2], v.shape[2]
    state = torch.zeros(q.shape[0], value_heads, q.shape[3], v.shape[3], dtype=torch.float64, device=q.device)
    if inputs.initial_state is not None:
        state = state + inputs.initial_state[states]
    o = torch.empty(v.shape, dtype=torch.float64, device=v.device)
    for begin in range(0, q.shape[1], CHUNK):
        chunk = slice(begin, begin + CHUNK)
        # [B, HV, C, ...], in float64
        q_c, k_c, v_c = (x[:, chunk].transpose(1, 2).double() for x in (q, k, v))
        q_c, k_c = (x.repeat_interleave(value_heads // heads, 1) for x in (q_c, k_c))
        g_c, beta_c = (x[:, chunk].transpose(1, 2).double() for x in (g, beta))
        o_c, state = _chunk(q_c, k_c, v_c, g_c, beta_c[..., None], state, inputs.scale)
        o[:, chunk] = o_c.transpose(1, 2)
    return o, state


def _chunk(q, k, v, g, beta, state, scale):
    total = g.cumsum(-1)
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


def error(x, reference):
    """||x - reference|| / ||reference||; infinite if x is not finite."""
    difference = x.double() - reference
    ratio = (difference.norm() / reference.norm()).item()
    return ratio if ratio == ratio else float("inf")
