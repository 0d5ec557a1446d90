# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A running sum that decays, of every channel on its own, in torch operations."""

import torch
import torch.nn.functional as F

from .._gate import bounded

_BLOCK = 64  # tokens


def decayed_sums(u, g, initial=None, cu_seqlens=None):
    """Returns a_t = exp(g_t) a_(t-1) + u_t [B, T, H, K] of u [B, T, H, K] and log decays g [B, T, H], and the
    last a of each sequence [N, H, K]. Before its first token it is `initial` [N, H, K], or 0. With cu_seqlens
    the one row holds N sequences, and nothing of it is read on the host."""
    tokens = u.shape[1]
    if cu_seqlens is None:
        cu_seqlens = torch.arange(u.shape[0] + 1, device=u.device) * tokens
        a, last = _packed(u.flatten(0, 1)[None], g.flatten(0, 1)[None], initial, cu_seqlens)
        return a[0].unflatten(0, (-1, tokens)) if tokens else u, last
    return _packed(u, g, initial, cu_seqlens)


def _packed(u, g, initial, cu_seqlens):
    starts, ends = cu_seqlens[:-1].long(), cu_seqlens[1:].long()
    if initial is None:
        initial = u.new_zeros(starts.shape[0], *u.shape[2:])
    # One row more, for the sequences without tokens.
    u, g = F.pad(u, (0, 0, 0, 0, 0, 1)), F.pad(g, (0, 0, 0, 1))
    first = torch.where(ends > starts, starts, u.shape[1] - 1)
    entering = bounded(g[0, first]).exp()[..., None] * initial
    a = _scan(u.index_add(1, first, entering[None]), bounded(g.index_fill(1, first, float("-inf"))))
    last = torch.where((ends > starts)[:, None, None], a[0, ends - 1], initial)
    return a[:, :-1], last


def _scan(u, g):
    """The sums of one sequence a row: of each block by decays between any two of its tokens, which are at most 1,
    and of what enters the blocks, which follow on one another as tokens do."""
    tokens = u.shape[1]
    missing = -tokens % _BLOCK
    u = F.pad(u, (0, 0, 0, 0, 0, missing)).unflatten(1, (-1, _BLOCK))
    g = F.pad(g, (0, 0, 0, missing)).unflatten(1, (-1, _BLOCK)).transpose(2, 3)
    within = torch.einsum("bnhij,bnjhk->bnihk", _between(g), u)
    if u.shape[1] == 1:
        return within[:, 0, :tokens]
    since = g.cumsum(-1)
    leaving = _scan(within[:, :, -1], since[..., -1])
    entering = F.pad(leaving[:, :-1], (0, 0, 0, 0, 1, 0))
    a = within + since.exp().transpose(2, 3)[..., None] * entering[:, :, None]
    return a.flatten(1, 2)[:, :tokens]


def _between(g):
    """exp of the sum of g behind token j up to token i, [..., i, j] of g [..., i]; 0 for i < j. Sums of their own,
    since a difference of two that begin together has lost what is small."""
    size = g.shape[-1]
    lower = torch.ones(size, size, dtype=torch.bool, device=g.device).tril()
    sums = g[..., None].expand(*g.shape, size).masked_fill(~lower.tril(-1), 0).cumsum(-2)
    return sums.masked_fill(~lower, float("-inf")).exp()
