# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Drafts that are trees: each token names the token that it follows on.

A path from the root is a draft that is a line, and a state that is only read may be read by many
sequences at once. So a tree of T tokens is T sequences of one pool, each with the tokens before
its own: every token has the bits of steps along its path. A line would read the state once.
"""

from collections.abc import Mapping
from typing import Any

import torch


def paths_of(parents: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns for each token of trees [B, T] the tokens from the root to it [B, T, T], oldest first,
    and how many these are [B, T]. What is behind a path's end is 0."""
    batch, tokens = parents.shape
    node = torch.arange(tokens, device=parents.device).expand(batch, tokens)
    upward = []
    for _ in range(tokens):
        upward.append(node)
        node = torch.where(node < 0, node, parents.long().gather(1, node.clamp(min=0)))
    chain = torch.stack(upward, 2)  # the token, its parent, ..., -1, ...
    lengths = (chain >= 0).sum(2)
    place = lengths[..., None] - 1 - torch.arange(tokens, device=parents.device)
    return chain.gather(2, place.clamp(min=0)).where(place >= 0, 0), lengths


def take(x: torch.Tensor, tokens: int, nodes: torch.Tensor) -> torch.Tensor:
    """Returns the rows of tokens `nodes` [B, N] of an operand [B, T rows, ...]: [B, N rows, ...]."""
    rows = x.unflatten(1, (tokens, -1))
    index = nodes.view(*nodes.shape, *(1 for _ in rows.shape[2:])).expand(*nodes.shape, *rows.shape[2:])
    return rows.gather(1, index).flatten(1, 2)


def verify(
    call: Any, operands: Mapping[str, torch.Tensor], timed: frozenset[str], read_slots: torch.Tensor, parents: torch.Tensor
) -> torch.Tensor:
    """Returns o of trees by `call` of lines: operands, read_slots, lengths. `timed`: the operands
    that have tokens."""
    batch, tokens = parents.shape
    paths, lengths = paths_of(parents)
    lines = {
        name: take(x, tokens, paths.flatten(1)).unflatten(1, (tokens, -1)).flatten(0, 1) if name in timed else x
        for name, x in operands.items()
    }
    slots = read_slots.repeat_interleave(tokens)
    o = call(lines, slots, lengths.flatten().to(read_slots.dtype))
    last = (lengths.flatten() - 1).view(-1, 1, 1, 1).expand(-1, 1, *o.shape[2:])
    return o.gather(1, last).squeeze(1).unflatten(0, (batch, tokens))
