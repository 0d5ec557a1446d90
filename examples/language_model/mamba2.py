# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Mamba-2's layer (Dao and Gu 2024, https://arxiv.org/abs/2405.21060), whose recurrence
is one spec: a step that erases nothing, behind a decay a head.

    S <- e^(dt A) S + B (dt x)^T,   y = C^T S

q is C, k is B, one head of keys for all heads of values; v is dt x, which torch computes.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from wyvern.torch import op


def spec(heads, head_dim, state_size):
    return {
        "name": "mamba2",
        "heads": {"key": 1, "value": heads},
        "dims": {"key": state_size, "value": head_dim},
        "dtype": "bf16",
        "decay": "head",
        "scale": 1,
        "steps": [{"write": "k", "erase": "none", "value": "v"}],
    }


def recurrence(q, k, v, g):
    """The spec token by token, in float32: q and k [B, T, 1, N], v [B, T, H, P], g [B, T, H]
    -> [B, T, H, P]."""
    state, outputs = 0, []
    for q_t, k_t, v_t, g_t in zip(*(x.float().unbind(1) for x in (q, k, v, g))):
        state = g_t.exp()[..., None, None] * state + k_t[..., None] * v_t[..., None, :]
        outputs.append((q_t[..., None, :] @ state)[..., 0, :])
    return torch.stack(outputs, 1).to(v.dtype)


class Mamba2(nn.Module):
    """[B, T, hidden_size] -> the same: a projection, a short convolution of x, B and C, the
    recurrence, x past it (D), a norm behind the gate, a projection."""

    def __init__(self, hidden_size, head_dim=64, state_size=64, expand=2, conv_size=4, backend="wyvern"):
        super().__init__()
        inner = expand * hidden_size
        self.heads, self.head_dim, self.conv_size = inner // head_dim, head_dim, conv_size
        self.sizes = (inner, inner, state_size, state_size, self.heads)  # z, x, B, C, dt
        self.in_proj = nn.Linear(hidden_size, sum(self.sizes), bias=False)
        channels = inner + 2 * state_size
        self.conv1d = nn.Conv1d(channels, channels, conv_size, groups=channels, padding=conv_size - 1)
        # A uniform in (1, 16), dt log-uniform in (1e-3, 1e-1): softplus(dt_bias) is dt.
        dt = torch.exp(math.log(1e-3) + torch.rand(self.heads) * math.log(100))
        self.dt_bias = nn.Parameter(dt + torch.log(-torch.expm1(-dt)))
        self.A_log = nn.Parameter(torch.empty(self.heads).uniform_(1, 16).log())
        self.D = nn.Parameter(torch.ones(self.heads))
        self.norm = nn.RMSNorm(inner, eps=1e-5)
        self.out_proj = nn.Linear(inner, hidden_size, bias=False)
        self.recurrence = op(spec(self.heads, head_dim, state_size)) if backend == "wyvern" else recurrence

    def forward(self, hidden_states):
        tokens = hidden_states.shape[1]
        z, x, B, C, dt = self.in_proj(hidden_states).split(self.sizes, -1)
        mixed = torch.cat((x, B, C), -1).transpose(1, 2)
        mixed = F.silu(self.conv1d(mixed)[..., :tokens]).transpose(1, 2)
        x, k, q = mixed.split(self.sizes[1:4], -1)
        x = x.unflatten(-1, (self.heads, self.head_dim))
        dt = F.softplus(dt.float() + self.dt_bias)
        v = dt.to(x.dtype)[..., None] * x
        o = self.recurrence(q=q.unsqueeze(2), k=k.unsqueeze(2), v=v, g=-self.A_log.exp() * dt)
        o = o[0] if isinstance(o, tuple) else o
        o = o + self.D.to(x.dtype)[:, None] * x
        return self.out_proj(self.norm(o.flatten(2) * F.silu(z)))
