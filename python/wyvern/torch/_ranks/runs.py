# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A layer over the ranks of a group: what its ops run, forward and backward.

Forward, on every rank: the program once as a probe (probe.py), and from zero (on the first
part of a sequence from its initial state); an all-gather of end states and transitions; the
states that enter segments, by the join; their part of the outputs. Backward: the
gradients of these states by the outputs, an all-gather of them, the join from behind, and
the layer's backward with the right state at each end.

On GPUs ranks wait for one another beside those kernels of the layer that no state is needed for
(stages.py, beside.py; forward: exchange.py).
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple, Optional

import torch

from wyvern._core.layers import operand_roles

from .. import _ops
from . import join, stages
from .agree import agree
from .beside import beside
from .exchange import Exchange
from .given_values import of_given_values
from .plan import Part, Plan, group_of, parts_of, plan_of
from .probe import add_states, run_probe, state_gradients
from .slots import Rows, Slots, at_ends, at_starts, find_slots, of_first, of_last


class Call(NamedTuple):
    """A call of a layer on a rank."""

    family: Any
    layer: stages.Layer  # on slots
    plan: Plan
    sizes: dict[Any, int]  # by what is counted
    state_shape: tuple[int, ...]  # heads, K, V
    slots: Slots
    wanted: list[int]  # the parts of this rank

    def pack(self, x: torch.Tensor) -> torch.Tensor:
        return _pack(x, self.slots)

    def unpack(self, x: torch.Tensor, argument: Any) -> torch.Tensor:
        return x.reshape(argument.extents(self.sizes))


def _pack(x: torch.Tensor, slots: Slots) -> torch.Tensor:
    """The rows of a tensor as those of slots: each a row of a batch, or all in one."""
    rows = slots.count if slots.offsets is None else 1
    return x.reshape(rows, x.shape[0] * x.shape[1] // rows if rows else 0, *x.shape[2:])


def _values(family: Any, operands: tuple[torch.Tensor, ...]) -> frozenset[str]:
    """The operands that are written into states. Without them a layer is linear."""
    return _values_of(family.name, family.spec, family.sizes_of(operands))


@functools.lru_cache(maxsize=256)
def _values_of(name: str, spec: Any, key: Any) -> frozenset[str]:
    return frozenset(operand for operand, role in operand_roles(spec(key, "f32")).items() if role == "value")


@functools.lru_cache(maxsize=256)
def _parts(plan: Plan, rank: int, size: int, tokens: int) -> tuple[Part, ...]:
    return tuple(parts_of(plan, rank, size, tokens))


def _begin(family: Any, operands: Any, cu_seqlens: Any, saves: bool, fields: tuple[Any, ...]) -> Call:
    plan = plan_of(fields)
    group = group_of(plan)
    sizes = _ops.sizes_of(family.signature, operands, cu_seqlens)
    sequences, *shape = family.signature.initial_state.extents(sizes)
    batch, tokens, q = sizes["batch"], sizes["tokens"], operands[0]
    own = "of each rank's own" if plan.borders else None
    agree(
        group,
        family.name,
        batch=batch,
        sequences=own or sequences,
        heads=tuple(shape),
        dtype=q.dtype,
        parts=plan.parts,
        tokens=own or plan.lengths or tokens,
        gradients=saves,
    )
    parts = _parts(plan, group.rank(), group.size(), tokens)
    last = group.size() * plan.parts - 1
    slots = find_slots(plan, parts, last, batch, cu_seqlens, q.device)
    arguments = family.signature.operands
    is_packed = lambda argument: not argument.is_parameter and not argument.is_start
    packed = (_pack(x, slots) if is_packed(argument) else x for argument, x in zip(arguments, operands))
    layer = stages.Layer(family, tuple(packed), slots.offsets)
    return Call(family, layer, plan, sizes, tuple(shape), slots, [part.index for part in parts])


def _states(call: Call) -> Rows:
    q = call.layer.operands[0]
    return Rows(call.slots, call.state_shape, torch.empty(0, dtype=_ops.compute_dtype(q), device=q.device))


def _begins_with(
    call: Call, initial_state: Optional[torch.Tensor], entering: Optional[torch.Tensor]
) -> Optional[torch.Tensor]:
    """The states that slots begin with: of segments, and of sequences. None for zeros."""
    if initial_state is None and (entering is None or not call.slots.is_packed):
        # Zero enters the first of all segments.
        return None if entering is None else entering.flatten(0, 2)
    states = _states(call)
    if entering is not None:
        states.at_starts(entering)
    if initial_state is not None:
        states.of_first(initial_state)
    return states.tensor


def forward(
    saves: bool, family: Any, operands: Any, initial_state: Any, cu_seqlens: Any, final: bool, *fields: Any
) -> tuple[torch.Tensor, ...]:
    """Returns o and final_state; if it saves also probes, the states that enter segments, the
    transitions of their slots, those of all parts, and what the layer saves."""
    call = _begin(family, operands, cu_seqlens, saves, fields)
    slots, layer = call.slots, call.layer
    probed = of_given_values(layer)
    names = probed.family.signature.names
    probe = lambda given, states: probed.run("", [given[name] for name in names], states, True)[:2]
    values = _values(probed.family, operands)
    probes, transitions = run_probe(probe, dict(zip(names, probed.operands)), values, slots, call.state_shape)
    inner, outer = at_starts(slots, transitions), at_ends(slots, transitions)
    segments = join.Segments(outer)
    exchange = Exchange(call.plan, slots, stages.Forward(layer, saves), outer, segments, call.state_shape[2])
    o, ends, saved, end_states, all_transitions = exchange(_begins_with(call, initial_state, None))
    entering = ends.new_empty(*slots.starts.shape, *call.state_shape)
    segments.spread(join.enter(end_states, all_transitions, call.wanted), entering)
    rows = (call.sizes["batch"], call.sizes["tokens"])
    o, probes = (x.reshape(*rows, *x.shape[2:]) for x in (o, probes))
    o = add_states(o, probes, entering, slots)
    state = _final_states(call, ends, inner, entering) if final else _ops.absent(operands[0])
    if not saves:
        return o, state
    residuals = (call.unpack(x, argument) for x, argument in zip(saved, family.signature.residuals))
    return o, state, probes, entering, inner, all_transitions.contiguous(), *residuals


def _final_states(call: Call, ends: torch.Tensor, inner: torch.Tensor, entering: torch.Tensor) -> torch.Tensor:
    """The states of sequences that end on this rank; zeros of others."""
    of_entering = _states(call).at_starts(inner.double() @ entering.double()).tensor
    return of_last(call.slots, ends + of_entering)


def backward(
    family: Any, operands: Any, initial_state: Any, cu_seqlens: Any, *rest: Any
) -> tuple[torch.Tensor, ...]:
    """Returns the gradients of operands and of initial_state."""
    count = len(family.signature.residuals)
    (probes, entering, inner, all_transitions), saved = rest[:4], rest[4 : 4 + count]
    d_o, d_final, *fields = rest[4 + count :]
    call = _begin(family, operands, cu_seqlens, True, tuple(fields))
    slots, columns, dtype = call.slots, call.state_shape[2], entering.dtype
    if d_o is None:
        d_o = torch.zeros(family.signature.o.extents(call.sizes), dtype=operands[0].dtype, device=operands[0].device)
    begins_with = _begins_with(call, initial_state, entering)
    run = stages.Backward(call.layer, begins_with, [call.pack(x) for x in saved], call.pack(d_o))
    run.begin()
    behind = None  # gradients of the states that slots end with
    if d_final is not None or slots.is_packed:
        behind = _states(call)
    d_entering = state_gradients(d_o, probes, slots, call.state_shape, dtype)
    if behind is not None and d_final is not None:
        behind.of_last(d_final)
        d_entering = d_entering.double() + inner.double().mT @ at_starts(slots, behind.tensor).double()
    segments = join.Segments(_passing(slots, inner).mT, is_reverse=True)
    start = segments.fold(d_entering)
    from_behind, everybodys = torch.empty_like(entering), join.room(call.plan, entering, columns)
    with beside(operands[0].device, run.is_apart) as wait:
        (starts,) = join.gather(call.plan, everybodys, start)
        segments.multiply()
        segments.spread(join.enter(starts, all_transitions.mT, call.wanted, is_reverse=True), from_behind)
    run.maps()
    wait()
    # Else zero is behind the last of all segments.
    ends = from_behind.flatten(0, 2) if behind is None else behind.at_ends(from_behind).tensor
    *gradients, d_states = run.end(ends)
    gradients = [x.reshape(operand.shape) for x, operand in zip(gradients, operands)]
    if initial_state is None:
        return *gradients, _ops.absent(operands[0])
    return *gradients, of_first(slots, d_states)


def _passing(slots: Slots, inner: torch.Tensor) -> torch.Tensor:
    """The transitions of segments that one sequence goes through, zeros of others."""
    if not slots.is_packed:
        return inner
    passes = slots.leaves & (slots.ends == slots.starts) & slots.arrives
    return torch.where(passes.view(*passes.shape, 1, 1, 1), inner, 0.0)
