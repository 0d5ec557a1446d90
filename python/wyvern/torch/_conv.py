# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The short convolution in front of prompts, with the windows that steps go on from. Nothing is read on
the host."""

from typing import Optional

import torch


class Tokens:
    """Which sequence each token of [B, T] is of, and which one of it: a batch row each, or packed ones."""

    def __init__(self, x: torch.Tensor, cu_seqlens: Optional[torch.Tensor]):
        batch, tokens = x.shape[:2]
        number = torch.arange(batch * tokens, device=x.device)
        if cu_seqlens is None:
            self.starts = torch.arange(batch, device=x.device) * tokens
            self.lengths = torch.full_like(self.starts, tokens)
            self.sequence = number // tokens if tokens else number
        else:
            bounds = cu_seqlens.long()
            self.starts, self.lengths = bounds[:-1], bounds[1:] - bounds[:-1]
            # Behind the last sequence are rows of nobody, which nobody reads.
            self.sequence = torch.searchsorted(bounds[1:], number, right=True).clamp(max=len(bounds) - 2)
        self.number = number
        self.place = number - self.starts[self.sequence]


def convolve(x: torch.Tensor, window: torch.Tensor, filters: torch.Tensor, tokens: Tokens) -> torch.Tensor:
    """Returns what rows x [B, T, H, D] are behind their convolution and SiLU, in float32 and rounded once.
    window [N, w - 1, H, D] is what is in front of each sequence, oldest row first; filters [H, D, w]."""
    wide = torch.promote_types(x.dtype, torch.float32)
    rows, front, factors = x.flatten(0, 1), window.to(wide), filters.to(wide)
    width = filters.shape[-1]
    sums = torch.zeros(rows.shape, dtype=wide, device=x.device)
    for j in range(width):
        back = width - 1 - j
        own = rows[(tokens.number - back).clamp(min=0)].to(wide)
        before = front[tokens.sequence, (width - 1 + tokens.place - back).clamp(0, width - 2)]
        # By selection: a row of another sequence may hold a NaN.
        row = torch.where((tokens.place >= back)[:, None, None], own, before)
        sums = sums + factors[..., j] * row
    return torch.nn.functional.silu(sums).to(x.dtype).view(x.shape)


def window_behind(x: torch.Tensor, window: torch.Tensor, tokens: Tokens, ends: torch.Tensor) -> torch.Tensor:
    """Returns the window [N, w - 1, H, D] behind the first `ends` [N] tokens of each sequence."""
    rows, count = x.flatten(0, 1), window.shape[1]
    if rows.shape[0] == 0:
        return window
    place = ends[:, None] - count + torch.arange(count, device=x.device)
    own = rows[(tokens.starts[:, None] + place).clamp(0, rows.shape[0] - 1)]
    number = torch.arange(window.shape[0], device=x.device)[:, None]
    before = window[number, (place + count).clamp(0, count - 1)]
    return torch.where((place >= 0)[..., None, None], own, before)
