# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""States from segment to segment, and from rank to rank.

What a run of tokens does to the state S that enters it is M S + E: E is its end state from
zero, M its transition. In reverse, to the gradient D of the state behind it, M^T D + F. All
of it is in float64, of which no setting takes digits away, and every rank computes the same.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.distributed as dist
import torch.nn.functional as F

from .plan import Plan, group_of, indices


class Segments(NamedTuple):
    """What the first 0, 1, ... segments do together: E and M side by side, a list of
    [rows, parts, heads, K, V + K] in float64; of the first 0 it is None."""

    runs: list[torch.Tensor | None]
    columns: int  # V

    @property
    def whole(self) -> torch.Tensor:
        """What all segments do."""
        run = self.runs[-1]
        assert run is not None
        return run

    def spread(self, first: torch.Tensor) -> torch.Tensor:
        """Returns the states that enter segments, of the one that enters the first."""
        states = [first]
        for run in self.runs[1:-1]:
            assert run is not None
            states.append(run[..., : self.columns] + run[..., self.columns :] @ first)
        return torch.stack(states, 2)


def fold(ends: torch.Tensor, transitions: torch.Tensor) -> Segments:
    """Returns what segments do, of E and M of each: [rows, parts, segments, heads, K, V and K]."""
    columns, transitions = ends.shape[-1], transitions.double()
    ends = F.pad(ends.double(), (0, transitions.shape[-1]))
    run = torch.cat([ends[:, :, 0, ..., :columns], transitions[:, :, 0]], -1)
    runs = [None, run]
    for i in range(1, ends.shape[2]):
        run = ends[:, :, i] + transitions[:, :, i] @ run
        runs.append(run)
    return Segments(runs, columns)


def gather(plan: Plan, x: torch.Tensor) -> torch.Tensor:
    """Returns what every part has, [all parts, rows, ...] in order, of this rank's
    [rows, parts, ...]: the one collective of a direction."""
    group = group_of(plan)
    size = group.size()
    x = x.transpose(0, 1).contiguous()
    out = x.new_empty(size * x.shape[0], *x.shape[1:])
    dist.all_gather_into_tensor(out, x, group=group)
    if plan.parts == 1:
        return out
    held = [index for rank in range(size) for index in indices(rank, size, plan.parts)]
    return torch.stack([out[held.index(i)] for i in range(len(held))])


def enter(ends: torch.Tensor, transitions: torch.Tensor, wanted: list[int]) -> torch.Tensor:
    """Returns the states that enter the wanted parts, [rows, wanted, heads, K, V] in float64,
    of E and M of all parts, [parts, rows, ...]; zero enters the first one."""
    before = max(wanted)  # what is behind has no part in it
    found = [torch.zeros_like(ends[0], dtype=torch.float64)]
    ends, transitions = ends[:before].double(), transitions[:before].double()
    for i in range(before):
        found.append(ends[i] + transitions[i] @ found[i] if i else ends[i])
    return torch.stack([found[i] for i in wanted], 1)
