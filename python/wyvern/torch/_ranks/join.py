# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""States from segment to segment, and from rank to rank.

What a run of tokens does to the state S that enters it is M S + E: E is its end state from
zero, M its transition. In reverse, to the gradient D of the state behind it, M^T D + F. All
of it is in float64, of which no setting takes digits away, and every rank computes the same.
"""

from __future__ import annotations

from typing import NamedTuple, Optional

import torch
import torch.distributed as dist

from .plan import Plan, group_of, indices


class Segments(NamedTuple):
    """What the first 1, 2, ... segments do together, in reverse what the last do."""

    runs: torch.Tensor  # [segments, rows, parts, heads, K, V + K]: E and M side by side, in float64
    columns: int  # V
    is_reverse: bool

    @property
    def whole(self) -> torch.Tensor:
        """What all segments do."""
        return self.runs[0 if self.is_reverse else -1]

    def spread(self, first: torch.Tensor, out: torch.Tensor) -> None:
        """Writes into `out` [rows, parts, segments, heads, K, V] the states that enter segments, of
        the one that enters the first."""
        count, *_, keys, _ = self.runs.shape
        begin, others = (count - 1, slice(0, -1)) if self.is_reverse else (0, slice(1, None))
        out[:, :, begin] = first
        if count == 1:
            return
        runs = (self.runs[1:] if self.is_reverse else self.runs[:-1]).flatten(0, -3)
        state = first.expand(count - 1, *first.shape).reshape(-1, keys, self.columns)
        found = torch.baddbmm(runs[..., : self.columns], runs[..., self.columns :], state)
        out[:, :, others] = found.view(count - 1, *first.shape).movedim(0, 2)


def fold(ends: torch.Tensor, transitions: torch.Tensor, is_reverse: bool = False) -> Segments:
    """Returns what segments do, of E and M of each: [rows, parts, segments, heads, K, V and K].
    In reverse the last is the first."""
    columns, keys, count = ends.shape[-1], transitions.shape[-1], ends.shape[2]
    ends, transitions = ends.movedim(2, 0), transitions.movedim(2, 0)
    runs = torch.empty(*ends.shape[:-1], columns + keys, dtype=torch.float64, device=ends.device)
    runs[..., :columns] = ends
    begin, order = (count - 1, range(count - 2, -1, -1)) if is_reverse else (0, range(1, count))
    runs[begin, ..., columns:] = transitions[begin]
    if count > 1:
        (runs[:-1] if is_reverse else runs[1:])[..., columns:] = 0
        flat, steps = runs.flatten(1, -3), transitions.double().flatten(1, -3)
        for i in order:
            flat[i].baddbmm_(steps[i], flat[i + 1 if is_reverse else i - 1])
    return Segments(runs, columns, is_reverse)


def new_for_all(plan: Plan, x: torch.Tensor, dtype: Optional[torch.dtype] = None) -> torch.Tensor:
    """Returns memory for what every part has, [all parts, rows, ...], of which this rank has x,
    [rows, parts, ...]."""
    rows, parts, *rest = x.shape
    return x.new_empty(group_of(plan).size() * parts, rows, *rest, dtype=dtype)


def gather(plan: Plan, x: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    """Returns `out` with what every part has, [all parts, rows, ...] in order, of this rank's
    [rows, parts, ...]: the one collective of a direction."""
    group = group_of(plan)
    size = group.size()
    mine = out.new_empty(x.shape[1], x.shape[0], *x.shape[2:])
    mine.copy_(x.transpose(0, 1))
    if plan.parts == 1:
        dist.all_gather_into_tensor(out, mine, group=group)
        return out
    held = torch.empty_like(out)
    dist.all_gather_into_tensor(held, mine, group=group)
    order = [index for rank in range(size) for index in indices(rank, size, plan.parts)]
    return torch.stack([held[order.index(i)] for i in range(len(order))], out=out)


def enter(ends: torch.Tensor, transitions: torch.Tensor, wanted: list[int], is_reverse: bool = False) -> torch.Tensor:
    """Returns the states that enter the wanted parts, [rows, wanted, heads, K, V] in float64,
    of E and M of all parts, [parts, rows, ...]; zero enters the first one, in reverse the last."""
    count = ends.shape[0]
    # What is behind the last of the wanted has no part in it.
    begin, order = (count - 1, range(count - 1, min(wanted), -1)) if is_reverse else (0, range(max(wanted)))
    found = {begin: torch.zeros_like(ends[begin], dtype=torch.float64)} if begin in wanted else {}
    state = None
    for i in order:
        end = ends[i].double()
        if state is not None:
            step = transitions[i].double().flatten(0, 1)
            end = torch.baddbmm(end.flatten(0, 1), step, state.flatten(0, 1)).view_as(state)
        state = found[i - 1 if is_reverse else i + 1] = end
    return torch.stack([found[i] for i in wanted], 1) if len(wanted) > 1 else found[wanted[0]][:, None]
