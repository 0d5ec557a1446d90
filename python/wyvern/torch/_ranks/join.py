# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""States from segment to segment, and from rank to rank.

What a run of tokens does to the state S that enters it is M S + E: E is its end state from
zero, M its transition. In reverse, to the gradient D of the state behind it, M^T D + F. All
of it is in float64, of which no setting takes digits away, and every rank computes the same.
"""

from __future__ import annotations

import torch
import torch.distributed as dist

from .plan import Alone, Plan, group_of, indices


class Segments:
    """What segments do, one behind the other; in reverse the last is the first. A matrix has
    the shape [rows, parts, heads, K, K or V], and there is one for each segment."""

    def __init__(self, transitions: torch.Tensor, is_reverse: bool = False) -> None:
        """Of M of each, [rows, parts, segments, heads, K, K]."""
        self.is_reverse = is_reverse
        self._steps = transitions.movedim(2, 0).double()
        self._count = self._steps.shape[0]
        self._first = self._count - 1 if is_reverse else 0
        self._transitions = torch.empty(self._steps.shape, dtype=torch.float64, device=transitions.device)

    def _order(self) -> list[tuple[int, int]]:
        """Each segment but the first, with the one before it."""
        numbers = range(self._count)
        order = numbers[::-1] if self.is_reverse else numbers
        return list(zip(order[1:], order))

    def multiply(self) -> torch.Tensor:
        """Returns M of all segments together, and keeps that of the first 1, 2, ..."""
        runs, steps = self._transitions.flatten(1, -3), self._steps.flatten(1, -3)
        runs[self._first] = steps[self._first]
        for i, before in self._order():
            torch.bmm(steps[i], runs[before], out=runs[i])
        return self._transitions[-1 - self._first]

    def fold(self, ends: torch.Tensor) -> torch.Tensor:
        """Returns E of all segments together, of E of each, and keeps that of the first 1, 2, ..."""
        ends = ends.movedim(2, 0)
        self._ends = torch.empty(ends.shape, dtype=torch.float64, device=ends.device)
        self._ends.copy_(ends)
        runs, steps = self._ends.flatten(1, -3), self._steps.flatten(1, -3)
        for i, before in self._order():
            runs[i].baddbmm_(steps[i], runs[before])
        return self._ends[-1 - self._first]

    def spread(self, first: torch.Tensor, out: torch.Tensor) -> None:
        """Writes into `out` [rows, parts, segments, heads, K, V] the states that enter segments, of
        the one that enters the first."""
        out[:, :, self._first] = first
        if self._count == 1:
            return
        runs, others = (slice(1, None), slice(0, -1)) if self.is_reverse else (slice(0, -1), slice(1, None))
        ends, transitions = (x[runs].flatten(0, -3) for x in (self._ends, self._transitions))
        state = first.expand(self._count - 1, *first.shape).reshape(ends.shape)
        found = torch.baddbmm(ends, transitions, state)
        out[:, :, others] = found.view(self._count - 1, *first.shape).movedim(0, 2)


def room(plan: Plan, like: torch.Tensor, columns: int) -> torch.Tensor:
    """Returns memory for what all parts send, [all parts, rows, ..., columns], of what has rows,
    parts and segments as `like`, [rows, parts, segments, ..., columns]."""
    rows, parts, _, *rest, _ = like.shape
    return like.new_empty(group_of(plan).size() * parts, rows, *rest, columns)


def gather(plan: Plan, out: torch.Tensor, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Writes into `out` [all parts, rows, ...] what every part has in order, of this rank's
    [rows, parts, ...], side by side; returns each. One collective."""
    group = group_of(plan)
    size, widths = group.size(), [x.shape[-1] for x in tensors]
    mine = out.new_empty(out.shape[0] // size, *out.shape[1:])
    for part, x in zip(mine.split(widths, -1), tensors):
        part.copy_(x.transpose(0, 1))
    if isinstance(group, Alone):
        out.copy_(mine)
    elif plan.parts == 1:
        dist.all_gather_into_tensor(out, mine, group=group)
    else:
        held = torch.empty_like(out)
        dist.all_gather_into_tensor(held, mine, group=group)
        order = [index for rank in range(size) for index in indices(rank, size, plan.parts)]
        torch.stack([held[order.index(i)] for i in range(len(order))], out=out)
    return out.split(widths, -1)


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
