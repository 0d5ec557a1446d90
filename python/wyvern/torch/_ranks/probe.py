# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the state that enters a run of tokens does to it, found by the layer's own program.

With values of zero and the identity as initial state a program computes the transition M as
its final state, and as its outputs what the columns of a state are multiplied with: the
outputs of tokens whose states begin with S are o + probe S, and the gradient of S by them
is probe^T d_o. So neither the forward nor the backward runs twice.
"""

from __future__ import annotations

from typing import Any

import torch

from .slots import Rows, Slots


def run_probe(
    run: Any, operands: dict[str, torch.Tensor], values: set[str], slots: Slots, state_shape: tuple[int, ...]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns probes [batch, tokens, heads, K] and transitions [slots, heads, K, K] by
    `run(operands, initial_state)`, which returns o and final_state. A transition is zero in
    slots that no state enters.

    A program has V columns: it runs as often as the K of the identity need.
    """
    heads, keys, columns = state_shape
    zeroed = {name: torch.zeros_like(x) if name in values else x for name, x in operands.items()}
    dtype = torch.float64 if operands["q"].dtype == torch.float64 else torch.float32
    identity = torch.eye(keys, dtype=dtype, device=operands["q"].device)
    probes, transitions = [], []
    for begin in range(0, keys, columns):
        block = identity[:, begin : begin + columns]
        used = block.shape[1]
        entering = block.new_zeros(heads, keys, columns)
        entering[:, :, :used] = block
        everywhere = entering.expand(slots.arrives.numel(), heads, keys, columns)
        o, final = run(zeroed, Rows(slots, entering.shape, entering).at_starts(everywhere).tensor)
        probes.append(o[..., :used])
        transitions.append(final[..., :used])
    if len(probes) == 1:
        return probes[0].contiguous(), transitions[0].contiguous()
    return torch.cat(probes, -1), torch.cat(transitions, -1)


def _segments(slots: Slots, rows: int) -> Any:
    """Yields the index of each segment that has tokens, and where they are in its row."""
    for row in range(rows):
        for part, bounds in enumerate(slots.bounds):
            for i, (begin, end) in enumerate(zip(bounds, bounds[1:])):
                if begin < end:
                    yield (row, part, i), begin, end


def _reached(slots: Slots, at: Any, begin: int, end: int) -> Any:
    """Which tokens of a segment belong to the sequence that comes into it; None for all."""
    if not slots.is_packed:
        return None
    # Not by indexing, which would read the number on the host.
    stop = slots.offsets.index_select(0, slots.starts[at].view(1) + 1)  # type: ignore[union-attr]
    return (torch.arange(begin, end, device=stop.device) < stop)[:, None]


def add_states(o: torch.Tensor, probes: torch.Tensor, states: torch.Tensor, slots: Slots) -> torch.Tensor:
    """Adds to o [rows, tokens, heads, V] what the states that enter segments, [rows, parts,
    segments, heads, K, V], make of it; o is changed."""
    states = states.to(o.dtype)
    for at, begin, end in _segments(slots, o.shape[0]):
        mine = o[at[0], begin:end].transpose(0, 1)
        probe = probes[at[0], begin:end].transpose(0, 1)
        reached = _reached(slots, at, begin, end)
        if reached is None:
            mine.baddbmm_(probe, states[at])
        else:  # by selection: a state may be NaN, and others' tokens are not to be
            mine.copy_(torch.where(reached, torch.baddbmm(mine, probe, states[at]), mine))
    return o


def state_gradients(
    d_o: torch.Tensor, probes: torch.Tensor, slots: Slots, shape: tuple[int, ...], dtype: torch.dtype
) -> torch.Tensor:
    """Returns the gradients of the states that enter segments by the outputs of these."""
    out = d_o.new_zeros(*slots.starts.shape, *shape, dtype=dtype)
    for at, begin, end in _segments(slots, d_o.shape[0]):
        given = d_o[at[0], begin:end].transpose(0, 1)
        probe = probes[at[0], begin:end].permute(1, 2, 0)
        reached = _reached(slots, at, begin, end)
        if reached is not None:
            given = torch.where(reached, given, 0.0)
        out[at] = _product(probe, given, dtype)
    return out


def _product(a: torch.Tensor, b: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """a b in a wider type: sums over all tokens of a segment."""
    if a.dtype == dtype:
        return torch.bmm(a, b)
    if a.device.type == "cuda":
        return torch.bmm(a, b, out_dtype=dtype)
    return torch.bmm(a.to(dtype), b.to(dtype))
