# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Running sums over ranks: what a rank's tokens start from are sums over those of ranks before it.

A run of tokens adds to the sum that enters it, or begins one: as of states (join.py) with transitions of one number, 1
where a sequence goes through the whole run, so the same join takes both from run to run. It needs no program, so a layer
has these sums before it runs, as an operand with a row for each of its slots. Their gradients come from behind.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Optional

import torch

from wyvern._core.bundles import digest
from wyvern._core.layers import running_sums
from wyvern._core.op import part_of

from .. import _autograd, _ops
from . import join, ops
from .agree import agree
from .plan import SCHEMA, Plan, group_of, parts_of, plan_of
from .slots import Rows, Slots, at_ends, at_starts, find_slots, of_first, of_last

_NAME = "ranks_sums"


class _Call(NamedTuple):
    plan: Plan
    slots: Slots
    wanted: list[int]  # the parts of this rank
    passes: torch.Tensor  # of slots: 1 where a sum enters

    def rows(self, x: torch.Tensor) -> Rows:
        """Rows of slots, to put rows like those of `x` into."""
        return Rows(self.slots, x.shape[-1:], x)

    def enter(self, outer: torch.Tensor, segments: join.Segments, ends: torch.Tensor) -> torch.Tensor:
        """Returns what enters segments [rows, parts, segments, W], in reverse from behind, of what they end in."""
        first = segments.fold(_as_matrix(ends))
        width = first.shape[-1]
        room = join.room(self.plan, first[:, :, None], width + 1)
        everybodys, transitions = join.gather(self.plan, room, first, join.Segments(outer).multiply())
        entering = torch.empty_like(_as_matrix(ends))
        is_reverse = segments.is_reverse
        segments.multiply()
        segments.spread(join.enter(everybodys, transitions, self.wanted, is_reverse), entering)
        return entering.flatten(-3)


def _begin(x: torch.Tensor, initial: torch.Tensor, cu_seqlens: Optional[torch.Tensor], fields: tuple[Any, ...]) -> _Call:
    plan = plan_of(fields)
    group = group_of(plan)
    own = "of each rank's own" if plan.borders else None
    agree(
        group,
        _NAME,
        batch=x.shape[0],
        sequences=own or initial.shape[0],
        width=x.shape[2],
        parts=plan.parts,
        tokens=own or plan.lengths or x.shape[1],
    )
    parts = parts_of(plan, group.rank(), group.size(), x.shape[1])
    last = group.size() * plan.parts - 1
    slots = find_slots(plan, tuple(parts), last, x.shape[0], cu_seqlens, x.device)
    ones = x.new_ones((*slots.starts.shape, 1), dtype=torch.float64)
    return _Call(plan, slots, [part.index for part in parts], Rows(slots, (1,), ones).at_starts(ones).tensor)


def _as_matrix(x: torch.Tensor) -> torch.Tensor:
    """Rows as matrices of one row, of one head."""
    return x.unflatten(-1, (1, 1, x.shape[-1]))


def _add_up(x: torch.Tensor, slots: Slots) -> torch.Tensor:
    """Returns the sums of x [B, T, W] over each slot, [slots, W] in float64."""
    if slots.offsets is None:
        rows = x.reshape(slots.count, x.shape[0] * x.shape[1] // max(1, slots.count), x.shape[2])
        return rows.sum(1, dtype=torch.float64)
    # Along the last dimension, where torch has many threads for each sum.
    columns = x.flatten(0, 1).t().double()
    is_finite = columns.isfinite()

    def between(y: torch.Tensor) -> torch.Tensor:
        sums = torch.nn.functional.pad(y.cumsum(1), (1, 0))
        return sums.index_select(1, slots.offsets).diff(dim=1).t()  # type: ignore[arg-type]

    # What is no number is not to reach the sequences behind its own.
    sums, others = between(columns.where(is_finite, 0.0)), between((~is_finite).long())
    return sums.where(others == 0, math.nan)


def _wrapped(x: torch.Tensor) -> torch.Tensor:
    """Angles between -pi and pi."""
    return x - 2 * math.pi * (x / (2 * math.pi)).round()


def _forward(x: torch.Tensor, initial: torch.Tensor, cu_seqlens: Any, *fields: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns what slots start from, [slots, W], and what sequences end in, [N, W]: on the rank with the last token,
    and zeros elsewhere. x [B, T, W], initial [N, W]."""
    call = _begin(x, initial, cu_seqlens, fields)
    slots, sums = call.slots, _add_up(x, call.slots)
    begun = call.rows(sums).of_first(initial.double()).tensor
    outer = _as_matrix(at_ends(slots, call.passes))
    entering = call.enter(outer, join.Segments(outer), at_ends(slots, sums + begun))
    starts = begun + call.rows(sums).at_starts(entering).tensor
    ends = of_last(slots, starts + sums)
    return _wrapped(starts).to(initial.dtype), _wrapped(ends).to(initial.dtype)


def _backward(
    d_starts: torch.Tensor, d_ends: torch.Tensor, x: torch.Tensor, initial: torch.Tensor, cu_seqlens: Any, *fields: Any
) -> tuple[torch.Tensor, torch.Tensor]:
    call = _begin(x, initial, cu_seqlens, fields)
    slots = call.slots
    starts = d_starts.double()
    behind = call.rows(starts).of_last(d_ends.double())  # of the sums that slots end in
    outer = _as_matrix(at_ends(slots, call.passes))
    own = at_starts(slots, starts + behind.tensor)
    passing = _as_matrix(_passing(slots, call.passes))
    behind.at_ends(call.enter(outer, join.Segments(passing, is_reverse=True), own))
    found = starts + behind.tensor
    return _spread(behind.tensor, x, slots), of_first(slots, found).to(initial.dtype)


def _passing(slots: Slots, passes: torch.Tensor) -> torch.Tensor:
    """1 of segments that one sequence goes through."""
    inner = at_starts(slots, passes)
    if not slots.is_packed:
        return inner
    is_one = slots.leaves & (slots.ends == slots.starts) & slots.arrives
    return inner * is_one[..., None]


def _spread(rows: torch.Tensor, x: torch.Tensor, slots: Slots) -> torch.Tensor:
    """Returns the rows of slots [slots, W] as those of their tokens, like x; zeros of what is in no slot."""
    rows = rows.to(x.dtype)
    if slots.offsets is None:
        tokens = x.shape[0] * x.shape[1] // max(1, slots.count)
        return rows[:, None].expand(-1, tokens, -1).reshape(x.shape)
    number = torch.arange(x.shape[0] * x.shape[1], device=x.device)
    slot = torch.searchsorted(slots.offsets, number, right=True) - 1
    padded = torch.nn.functional.pad(rows, (0, 0, 0, 1))
    return padded.index_select(0, slot.clamp(0, slots.count)).view(x.shape)


def _fake(x: torch.Tensor, initial: torch.Tensor, cu_seqlens: Any, *fields: Any) -> tuple[torch.Tensor, torch.Tensor]:
    plan = Plan(*fields)
    runs = plan.parts * plan.segments
    count = x.shape[0] * runs if cu_seqlens is None else plan.parts * (cu_seqlens.shape[0] - 1 + plan.segments - 1)
    return initial.new_empty(count, initial.shape[1]), torch.empty_like(initial)


def _setup(ctx: Any, inputs: Any, output: Any) -> None:
    x, initial, cu_seqlens, *ctx.rest = inputs
    ctx.save_for_backward(x, initial, cu_seqlens)


def _differentiate(ctx: Any, d_starts: torch.Tensor, d_ends: torch.Tensor) -> Any:
    gradients = torch.ops.wyvern.ranks_sums_backward.default(d_starts, d_ends, *ctx.saved_tensors, *ctx.rest)
    return *gradients, None, *[None] * len(ctx.rest)


def _register() -> None:
    given = f"Tensor x, Tensor initial, Tensor? cu_seqlens, {SCHEMA}"
    _ops.define_op(f"{_NAME}({given}) -> (Tensor starts, Tensor ends)", _forward, _fake)
    _ops.define_op(
        f"{_NAME}_backward(Tensor d_starts, Tensor d_ends, {given}) -> (Tensor d_x, Tensor d_initial)",
        _backward,
        lambda d_starts, d_ends, x, initial, *_: (torch.empty_like(x), torch.empty_like(initial)),
    )
    of = functools.partial(torch.library.register_autograd, lib=_ops.library)
    of(f"wyvern::{_NAME}", _differentiate, setup_context=_setup)
    of(f"wyvern::{_NAME}_backward", _autograd.refuse(_autograd.second_derivative(_NAME)))


_register()


# === Layers with running sums ===
#
# What is asked of a layer is asked by its name: torch.compile traces no properties of named tuples.


@torch.compiler.assume_constant_result
def has_levels(name: str) -> bool:
    """Whether the states of a layer belong to positions in the whole sequence."""
    family = _ops.families[name]
    if family.signature.initial_state is None and family.spec((), "bf16").get("levels", "none") != "none":
        return True
    return any(x.is_constant for x in family.signature.starts)


@torch.compiler.assume_constant_result
def _sums_of(name: str) -> tuple[tuple[int, int], ...]:
    """Returns, of each running sum that a layer goes on from, which of its operands it is of and which it starts from."""
    family = _ops.families[name]
    starts = family.signature.starts
    summed = running_sums(family.spec((), "bf16")) if starts else {}
    place = family.signature.names.index
    return tuple((place(summed[part_of(x.name)]), place(x.name)) for x in starts)


@torch.compiler.assume_constant_result
def _resumed(name: str) -> str:
    """Returns the name of the layer that is as this one, and has states."""
    spec = _ops.families[name].spec((), "bf16")
    made = spec | {"name": f"{spec['name']}_resumed", "resume": True}
    name = f"{made['name']}_{digest(made)}"
    if name not in _ops.families:
        ops.register(_ops.register(_ops.of_spec(name, made)))
    return name


def with_starts(family: Any, operands: Sequence[torch.Tensor], cu_seqlens: Any) -> tuple[Any, Sequence[torch.Tensor]]:
    """Returns a layer that goes on from what a call ends in, and its operands: of one that says nothing of it the same
    with `resume: true`, from zeros."""
    if family.signature.initial_state is not None:
        return family, operands
    name, q = _resumed(family.name), operands[0]
    sequences = q.shape[0] if cu_seqlens is None else cu_seqlens.shape[0] - 1
    dtype = _ops.compute_dtype(q)
    starts = [q.new_zeros(sequences, *operands[i].shape[2:], dtype=dtype) for i, _ in _sums_of(name)]
    return _ops.family_named(name), (*operands, *starts)


def enter(
    family: Any, operands: Sequence[torch.Tensor], cu_seqlens: Optional[torch.Tensor], plan: Plan
) -> tuple[Sequence[torch.Tensor], list[torch.Tensor]]:
    """Returns the operands of a layer with what the slots of a rank start from in the place of what sequences do, and
    what these end in: of each running sum."""
    sums = _sums_of(family.name)
    if not sums:
        return operands, []
    x, initial = [operands[i] for i, _ in sums], [operands[i] for _, i in sums]
    widths = [y.shape[1] * y.shape[2] for y in initial]
    side_by_side = [torch.cat([y.flatten(-2) for y in each], -1) for each in (x, initial)]
    starts, ends = (
        [y.unflatten(1, like.shape[1:]) for y, like in zip(rows.split(widths, -1), initial)]
        for rows in torch.ops.wyvern.ranks_sums.default(*side_by_side, cu_seqlens, *plan)
    )
    entering = dict(zip((i for _, i in sums), starts))
    return tuple(entering.get(i, y) for i, y in enumerate(operands)), ends
