# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Softmax attention of the hybrid models: torch's own, rotary positions, all of the past
or a sliding window of it."""

import torch
import torch.nn.functional as F
from torch import nn


def rotate(x, base=10000.0):
    """Rotary positions (Su et al. 2021) on x [B, H, T, D]: channels i and i + D/2 turn by
    t base^(-2i/D)."""
    half = x.shape[-1] // 2
    time = torch.arange(x.shape[-2], device=x.device, dtype=torch.float32)
    speed = base ** (-torch.arange(half, device=x.device, dtype=torch.float32) / half)
    angle = time[:, None] * speed
    a, b = x.float().chunk(2, -1)
    cos, sin = angle.cos(), angle.sin()
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1).to(x.dtype)


class Attention(nn.Module):
    """Causal attention. With a window a token sees itself and the window - 1 before it."""

    def __init__(self, hidden_size, heads, window=None):
        super().__init__()
        self.heads = heads
        self.window = window
        self.qkv_proj = nn.Linear(hidden_size, 3 * hidden_size, bias=False)
        self.o_proj = nn.Linear(hidden_size, hidden_size, bias=False)

    def forward(self, x):
        q, k, v = (y.unflatten(-1, (self.heads, -1)).transpose(1, 2) for y in self.qkv_proj(x).chunk(3, -1))
        q, k = rotate(q), rotate(k)
        if self.window is None or self.window >= x.shape[1]:
            o = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            seen = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device)
            seen = seen.tril().triu(1 - self.window)
            o = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
        return self.o_proj(o.transpose(1, 2).flatten(2))
