# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The runs of tokens that a program sees as sequences of their own: slots.

A slot ends where a sequence ends, where a segment ends and where the rank's part ends.
Where slots are is known on the device alone if sequences are packed; how many there are,
and where segments begin, follows from shapes.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple, Optional, Sequence

import torch

from .plan import Part, Plan, segment_bounds


class Slots(NamedTuple):
    """Indices of slots. `rows` are those of the batch, 1 of a packed one."""

    count: int  # type: ignore[assignment]  # hides tuple.count
    # [count + 1]; None where all slots have as many tokens and are rows of a batch.
    offsets: Optional[torch.Tensor]
    # [rows, parts, segments]: the slot that begins with a segment and the one that ends with
    # it, whether a state arrives at the one, and whether the other's goes on.
    starts: torch.Tensor
    ends: torch.Tensor
    arrives: torch.Tensor
    leaves: torch.Tensor
    # [parts, sequences]: the slot that a sequence begins in and the one that it ends in, and
    # whether it does so in this part.
    first: torch.Tensor
    begins: torch.Tensor
    last: torch.Tensor
    finishes: torch.Tensor
    # By part and segment: which tokens of a row it has.
    bounds: list[list[int]]
    # Whether a segment may have tokens of sequences that begin in it.
    is_packed: bool
    # Tensors that follow from the above, made once.
    kept: dict[Any, torch.Tensor]


def find_slots(
    plan: Plan, parts: Sequence[Part], last_part: int, batch: int, cu_seqlens: Optional[torch.Tensor], device: torch.device
) -> Slots:
    """Returns the slots of a rank's tokens."""
    if cu_seqlens is None:
        return _dense(tuple(parts), plan.segments, last_part, batch, device)
    made = [_packed_part(plan, parts, i, last_part, cu_seqlens) for i in range(len(parts))]
    count, tables = made[0][0], [table for _, table in made]
    joined = {
        name: torch.stack([table[name] + i * count if name in _INDICES else table[name] for i, table in enumerate(tables)])
        for name in (*_INDICES, *_FLAGS)
    }
    for name in ("starts", "ends", "arrives", "leaves"):
        joined[name] = joined[name][None]
    # Parts lie one behind the other: the end of one is the start of the next.
    offsets = torch.cat([tables[0]["offsets"], *(table["offsets"][1:] for table in tables[1:])])
    bounds = [segment_bounds(part, plan.segments) for part in parts]
    return Slots(count * len(parts), offsets, **joined, bounds=bounds, is_packed=True, kept={})


_INDICES = ("starts", "ends", "first", "last")
_FLAGS = ("arrives", "leaves", "begins", "finishes")


@functools.lru_cache(maxsize=256)
def _dense(parts: tuple[Part, ...], segments: int, last_part: int, batch: int, device: torch.device) -> Slots:
    """The slots of rows that all go through all parts. They are kept: a table that is made
    on the host cannot be copied into a CUDA graph."""
    bounds = [segment_bounds(part, segments) for part in parts]
    lengths = {end - begin for part in bounds for begin, end in zip(part, part[1:])}
    tokens = sum(part.length for part in parts)
    flat = [begin for part in bounds for begin in part[:-1]]
    rows = [row * tokens for row in range(batch)]
    offsets = None
    if len(lengths) > 1:
        offsets = torch.tensor([row + x for row in rows for x in flat] + [batch * tokens], device=device)
    shape = (batch, len(parts), segments)
    index = torch.arange(batch * len(flat), device=device).view(shape)
    arrives = [[part.index > 0 or i > 0 for i in range(segments)] for part in parts]
    leaves = [[part.index < last_part or i + 1 < segments for i in range(segments)] for part in parts]
    flags = lambda x: torch.tensor(x, device=device).expand(shape).contiguous()
    owns = lambda wanted: torch.tensor([[part.index == wanted] for part in parts], device=device).expand(-1, batch)
    return Slots(
        count=batch * len(flat),
        offsets=offsets,
        starts=index,
        ends=index,
        arrives=flags(arrives),
        leaves=flags(leaves),
        first=index[:, :, 0].t(),
        begins=owns(0),
        last=index[:, :, -1].t(),
        finishes=owns(last_part),
        bounds=bounds,
        is_packed=False,
        kept={},
    )


@functools.lru_cache(maxsize=256)
def _constant(values: tuple[int, ...], device: torch.device) -> torch.Tensor:
    return torch.tensor(values, device=device, dtype=torch.int64)


def _packed_part(
    plan: Plan, parts: Sequence[Part], number: int, last_part: int, cu_seqlens: torch.Tensor
) -> tuple[int, dict[str, torch.Tensor]]:
    """How many slots a part of packed sequences has, and what they are, counted from 0."""
    part = parts[number]
    device, cu = cu_seqlens.device, cu_seqlens.to(torch.int64)
    count = cu.shape[0] - 1
    # Tokens behind the last sequence are in no slot.
    valid = torch.stack([(cu[-1] - x.start).clamp(0, x.length) for x in parts]).sum()
    place = torch.minimum((cu - part.start).clamp(0, part.length) + part.offset, valid)
    inner = segment_bounds(part, plan.segments)[1:-1]
    cuts = torch.minimum(_constant(tuple(inner), device), valid)
    # Offsets of sequences and of segments in one order: where they are equal a sequence
    # begins before a segment does, and the last one ends behind all segments.
    before = torch.cat([torch.searchsorted(cuts, place[:-1]), cu.new_full((1,), len(inner))])
    entry = torch.arange(count + 1, device=device) + before
    cut = torch.arange(len(inner), device=device) + torch.searchsorted(place[:-1].contiguous(), cuts, right=True)
    offsets = torch.empty(count + 1 + len(inner), dtype=torch.int64, device=device)
    offsets = offsets.index_copy(0, entry, place).index_copy(0, cut, cuts)
    arriving, arrives, leaving, leaves = _crossings(plan, part, number, cu)
    true = torch.ones_like(cut, dtype=torch.bool)
    is_last = number + 1 == len(parts) if plan.borders else part.index == last_part
    begins, finishes = _owns(part, is_last, cu)
    if plan.borders:  # else these are other parts' anyway
        begins = begins.index_fill(0, arriving, False).where(arrives, begins)
        finishes = finishes.index_fill(0, leaving, False).where(leaves, finishes)
    return count + len(inner), {
        "offsets": offsets,
        "starts": torch.cat([entry[arriving], cut]),
        "ends": torch.cat([cut, entry[leaving + 1]]) - 1,
        "arrives": torch.cat([arrives, true]),
        "leaves": torch.cat([true, leaves]),
        "first": entry[:-1],
        "begins": begins,
        "last": entry[1:] - 1,
        "finishes": finishes,
    }


def _crossings(plan: Plan, part: Part, number: int, cu: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The sequence that comes in at the start of a part, whether there is one, and the same
    of its end; each of shape [1]."""
    if plan.borders:
        comes, goes = (cu.new_full((1,), x, dtype=torch.bool) for x in plan.borders[number :: plan.parts])
        first = torch.searchsorted(cu, cu.new_full((1,), part.start), right=True) - 1
        last = torch.searchsorted(cu, cu.new_full((1,), part.start + part.length)) - 1
        return first.clamp(0, cu.shape[0] - 2), comes, last.clamp(0, cu.shape[0] - 2), goes
    found: list[torch.Tensor] = []
    for border in (part.start, part.start + part.length):
        at = cu.new_full((1,), border)
        sequence = torch.searchsorted(cu, at) - 1  # the last one that begins before
        inside = (sequence >= 0) & (sequence < cu.shape[0] - 1)
        sequence = sequence.clamp(0, cu.shape[0] - 2)
        found += [sequence, inside & (cu[sequence + 1] > at)]
    return tuple(found)


def _owns(part: Part, is_last: bool, cu: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Whether sequences begin, and whether they end, in a part: where their first and their
    last token is. An empty one does both in one part."""
    first, last = cu[:-1], torch.maximum(cu[1:] - 1, cu[:-1])
    # What begins at the end of all tokens is empty, and the last part's.
    end = part.start + part.length
    begins, finishes = ((x >= part.start) & ((x < end) | is_last) for x in (first, last))
    return begins, finishes


# === Rows of tensors that have one a slot ===


def at_starts(slots: Slots, x: torch.Tensor) -> torch.Tensor:
    """Returns the rows [rows, parts, segments, ...] of the slots that segments begin with."""
    return _take(x, slots.starts, slots.arrives) if slots.is_packed else x.unflatten(0, slots.starts.shape)


def at_ends(slots: Slots, x: torch.Tensor) -> torch.Tensor:
    """Returns the rows of the slots that go on behind segments."""
    return _take(x, slots.ends, slots.leaves) if slots.is_packed else x.unflatten(0, slots.ends.shape)


def of_first(slots: Slots, x: torch.Tensor) -> torch.Tensor:
    """Returns rows of the slots that sequences begin in; zeros of what begins elsewhere."""
    return _take(x, slots.first, slots.begins).sum(0)


def of_last(slots: Slots, x: torch.Tensor) -> torch.Tensor:
    """Returns rows of the slots that sequences end in; zeros of what ends elsewhere."""
    return _take(x, slots.last, slots.finishes).sum(0)


def _take(x: torch.Tensor, index: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    # By selection: what is not taken may be NaN.
    rows = x.index_select(0, index.flatten()).unflatten(0, index.shape)
    return torch.where(mask.view(*mask.shape, *[1] * (x.dim() - 1)), rows, 0.0)


class Rows:
    """A tensor of zeros with a row for each slot, of `shape`, to put rows into."""

    def __init__(self, slots: Slots, shape: Sequence[int], like: torch.Tensor) -> None:
        self._slots = slots
        self._rows = like.new_zeros(slots.count + 1, *shape)  # the last is for what is masked

    def at_starts(self, x: torch.Tensor) -> "Rows":
        return self._put(x, self._slots.starts, self._slots.arrives)

    def at_ends(self, x: torch.Tensor) -> "Rows":
        return self._put(x, self._slots.ends, self._slots.leaves)

    def of_first(self, x: torch.Tensor) -> "Rows":
        """Puts rows of sequences where they begin on this rank."""
        return self._put(x.expand(self._slots.first.shape[0], *x.shape), self._slots.first, self._slots.begins)

    def of_last(self, x: torch.Tensor) -> "Rows":
        """Puts rows of sequences where they end on this rank."""
        return self._put(x.expand(self._slots.last.shape[0], *x.shape), self._slots.last, self._slots.finishes)

    def _put(self, x: torch.Tensor, index: torch.Tensor, mask: torch.Tensor) -> "Rows":
        where = torch.where(mask, index, self._slots.count).flatten()
        self._rows.index_copy_(0, where, x.reshape(where.shape[0], *self._rows.shape[1:]).to(self._rows.dtype))
        return self

    @property
    def tensor(self) -> torch.Tensor:
        return self._rows[:-1]
