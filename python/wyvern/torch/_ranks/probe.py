# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the state that enters a run of tokens does to it, found by the layer's own program.

With values of zero and the identity as initial state a program computes the transition M as
its final state, and as its outputs what the columns of a state are multiplied with: the
outputs of tokens whose states begin with S are o + probe S, and the gradient of S by them
is probe^T d_o. So neither the forward nor the backward runs twice.
"""

from __future__ import annotations

import itertools
from collections.abc import Set
from typing import Any

import torch

from .slots import Rows, Slots


def run_probe(
    run: Any, operands: dict[str, torch.Tensor], values: Set[str], slots: Slots, state_shape: tuple[int, ...]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns probes [batch, tokens, heads, K] and transitions [slots, heads, K, K] by
    `run(operands, initial_state)`, which returns o and final_state. A transition is zero in
    slots that no state enters.

    A program has V columns: it runs as often as the K of the identity need.
    """
    heads, keys, columns = state_shape
    zeroed = {name: torch.zeros_like(x) if name in values else x for name, x in operands.items()}
    dtype = torch.float64 if operands["q"].dtype == torch.float64 else torch.float32
    probes, transitions = [], []
    for begin in range(0, keys, columns):
        used = min(columns, keys - begin)
        o, final = run(zeroed, _identity(slots, state_shape, begin, dtype))
        probes.append(o[..., :used])
        transitions.append(final[..., :used])
    if len(probes) == 1:
        return probes[0].contiguous(), transitions[0].contiguous()
    return torch.cat(probes, -1), torch.cat(transitions, -1)


def _identity(slots: Slots, state_shape: tuple[int, ...], begin: int, dtype: torch.dtype) -> torch.Tensor:
    """The columns of the identity from `begin` on, for every slot that a state enters."""
    heads, keys, columns = state_shape
    key = (keys, columns, begin, dtype)
    found = slots.kept.get(key)
    if found is None:
        block = torch.eye(keys, dtype=dtype, device=slots.arrives.device)[:, begin : begin + columns]
        entering = block.new_zeros(1, keys, columns)
        entering[0, :, : block.shape[1]] = block
        everywhere = entering.expand(slots.arrives.numel(), 1, keys, columns)
        found = Rows(slots, entering.shape, entering).at_starts(everywhere).tensor
        # What is made in a CUDA graph is the graph's.
        if not (found.is_cuda and torch.cuda.is_current_stream_capturing()):
            slots.kept[key] = found
    return found.expand(-1, heads, -1, -1)


def _segments(slots: Slots, *tensors: torch.Tensor) -> Any:
    """Yields the index of each segment that has tokens, and these of tensors [rows, tokens,
    heads, ...], as [heads, tokens, ...]."""
    if slots.offsets is None and slots.count:  # in a few views of all
        shape = slots.starts.shape
        cut = [x.reshape(slots.count, -1, *x.shape[2:]).transpose(1, 2).unbind(0) for x in tensors]
        for at, *segment in zip(itertools.product(*map(range, shape)), *cut):
            if segment[0].shape[1]:
                yield at, *segment
        return
    for row in range(tensors[0].shape[0]):
        for part, bounds in enumerate(slots.bounds):
            for i, (begin, end) in enumerate(zip(bounds, bounds[1:])):
                if begin < end:
                    yield (row, part, i), *(x[row, begin:end].transpose(0, 1) for x in tensors)


def _reached(slots: Slots, at: Any, count: int) -> Any:
    """Which of the `count` tokens of a segment belong to the sequence that comes into it; None
    for all."""
    if not slots.is_packed:
        return None
    # Not by indexing, which would read the number on the host.
    part, i = at[1:]
    stop = slots.offsets.index_select(0, slots.starts[at].view(1) + 1)  # type: ignore[union-attr]
    begin = slots.bounds[part][i]
    return (torch.arange(begin, begin + count, device=stop.device) < stop)[:, None]


def add_states(o: torch.Tensor, probes: torch.Tensor, states: torch.Tensor, slots: Slots) -> torch.Tensor:
    """Adds to o [rows, tokens, heads, V] what the states that enter segments, [rows, parts,
    segments, heads, K, V], make of it; o, which is dense, is changed."""
    flat = states.to(o.dtype).flatten(0, 2).unbind(0)
    for at, mine, probe in _segments(slots, o, probes):
        state, reached = flat[_number(slots, at)], _reached(slots, at, mine.shape[1])
        if reached is None:
            mine.baddbmm_(probe, state)
        else:  # by selection: a state may be NaN, and others' tokens are not to be
            mine.copy_(torch.where(reached, torch.baddbmm(mine, probe, state), mine))
    return o


def state_gradients(
    d_o: torch.Tensor, probes: torch.Tensor, slots: Slots, shape: tuple[int, ...], dtype: torch.dtype
) -> torch.Tensor:
    """Returns the gradients of the states that enter segments by the outputs of these."""
    found: list[Any] = [None] * slots.starts.numel()
    for at, given, probe in _segments(slots, d_o, probes):
        reached = _reached(slots, at, given.shape[1])
        if reached is not None:
            given = torch.where(reached, given, 0.0)
        found[_number(slots, at)] = _product(probe.mT, given, dtype)
    if any(x is None for x in found):
        nothing = d_o.new_zeros(shape, dtype=dtype)
        found = [nothing if x is None else x for x in found]
    return torch.stack(found).view(*slots.starts.shape, *shape)


def _number(slots: Slots, at: tuple[int, int, int]) -> int:
    """The number of a segment in order."""
    _, parts, segments = slots.starts.shape
    row, part, i = at
    return (row * parts + part) * segments + i


def _product(a: torch.Tensor, b: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """a b in a wider type: sums over all tokens of a segment."""
    if a.dtype == dtype:
        return torch.bmm(a, b)
    if a.device.type == "cuda":
        return torch.bmm(a, b, out_dtype=dtype)
    return torch.bmm(a.to(dtype), b.to(dtype))
