# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A layer over the ranks of a group: what its ops run, forward and backward.

Forward, on every rank: the program from zero (on the first part of a sequence from its
initial state), and once more as a probe (probe.py); one all-gather of end states and
transitions; the states that enter segments, by the join; their part of the outputs. Backward:
the gradients of these states by the outputs, one all-gather of them, the join from behind,
and the layer's backward with the right state at each end.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Optional

import torch

from wyvern._core.layers import operand_roles

from .. import _ops
from . import join
from .agree import agree
from .plan import Plan, group_of, parts_of
from .probe import add_states, run_probe, state_gradients
from .slots import Rows, Slots, at_ends, at_starts, find_slots, of_first, of_last


class Call(NamedTuple):
    """A call of a layer on a rank."""

    family: Any
    operands: tuple[torch.Tensor, ...]
    plan: Plan
    sizes: dict[str, int]
    state_shape: tuple[int, ...]  # heads, K, V
    slots: Slots
    wanted: list[int]  # the parts of this rank

    def run(self, suffix: str, operands: Any, initial_state: torch.Tensor, *rest: Any) -> tuple[Any, ...]:
        """Runs an op of the layer on slots."""
        function = _ops.RUNS[suffix]["CUDA" if operands[0].device.type == "cuda" else "CPU"]
        return function(self.family, tuple(map(self.pack, operands)), initial_state, self.slots.offsets, *rest)

    def pack(self, x: torch.Tensor) -> torch.Tensor:
        """The rows of a tensor as those of slots: each a row of a batch, or all in one."""
        rows = self.slots.count if self.slots.offsets is None else 1
        return x.reshape(rows, x.shape[0] * x.shape[1] // rows if rows else 0, *x.shape[2:])

    def unpack(self, x: torch.Tensor, argument: Any) -> torch.Tensor:
        return x.reshape(argument.extents(self.sizes))


def _values(family: Any, operands: tuple[torch.Tensor, ...]) -> set[str]:
    """The operands that are written into states. Without them a layer is linear."""
    spec = family.spec(family.key(operands), "f32")
    return {name for name, role in operand_roles(spec).items() if role == "value"}


def _begin(
    family: Any, operands: Any, initial_state: Any, cu_seqlens: Any, saves: bool, fields: tuple[Any, ...]
) -> Call:
    plan = Plan(*fields)
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
        tokens=own or list(plan.lengths) or tokens,
        gradients=saves,
    )
    parts = parts_of(plan, group.rank(), group.size(), tokens)
    last = group.size() * plan.parts - 1
    slots = find_slots(plan, parts, last, batch, cu_seqlens, q.device)
    return Call(family, tuple(operands), plan, sizes, tuple(shape), slots, [part.index for part in parts])


def _states(call: Call) -> Rows:
    like = torch.empty(0, dtype=_ops.compute_dtype(call.operands[0]), device=call.operands[0].device)
    return Rows(call.slots, call.state_shape, like)


def _begins_with(call: Call, initial_state: Optional[torch.Tensor], entering: Optional[torch.Tensor]) -> torch.Tensor:
    """The states that slots begin with: of segments, and of sequences."""
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
    call = _begin(family, operands, initial_state, cu_seqlens, saves, fields)
    slots, names = call.slots, family.signature.names
    probe = lambda given, states: call.run("", tuple(given[name] for name in names), states, True)
    probes, transitions = run_probe(
        probe, dict(zip(names, operands)), _values(family, operands), slots, call.state_shape
    )
    begins_with = _begins_with(call, initial_state, None)
    o, ends, *saved = call.run("_forward" if saves else "", operands, begins_with, True)
    segments = join.fold(at_ends(slots, ends), at_ends(slots, transitions))
    everybodys = join.gather(call.plan, segments.whole.to(ends.dtype))
    _, keys, columns = call.state_shape
    end_states, all_transitions = everybodys.split([columns, keys], -1)
    entering = segments.spread(join.enter(end_states, all_transitions, call.wanted)).to(ends.dtype)
    rows = (call.sizes["batch"], call.sizes["tokens"])
    o, probes = (x.reshape(*rows, *x.shape[2:]) for x in (o, probes))
    o = add_states(o, probes, entering, slots)
    inner = at_starts(slots, transitions)
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
    call = _begin(family, operands, initial_state, cu_seqlens, True, tuple(fields))
    slots, dtype = call.slots, entering.dtype
    if d_o is None:
        d_o = torch.zeros(family.signature.o.extents(call.sizes), dtype=operands[0].dtype, device=operands[0].device)
    behind = _states(call)  # gradients of the states that slots end with
    d_entering = state_gradients(d_o, probes, slots, call.state_shape, dtype)
    if d_final is not None:
        behind.of_last(d_final)
        d_entering = d_entering.double() + inner.double().mT @ at_starts(slots, behind.tensor).double()
    segments = join.fold(d_entering.flip(2), _passing(slots, inner).mT.flip(2))
    starts = join.gather(call.plan, segments.whole[..., : call.state_shape[2]].to(dtype))
    last = starts.shape[0] - 1
    from_behind = join.enter(starts.flip(0), all_transitions.mT.flip(0), [last - i for i in call.wanted])
    behind.at_ends(segments.spread(from_behind).flip(2))
    *gradients, d_states = call.run(
        "_backward",
        operands,
        _begins_with(call, initial_state, entering),
        *map(call.pack, (*saved, d_o)),
        behind.tensor,
    )
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
