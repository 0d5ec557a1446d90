# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What is in front of a program of prompts and behind it: convolutions and their windows, epilogues, and
where states are kept on the way. Nothing is read on the host."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional, Union

import torch

from wyvern._core.steps import Epilogue

from . import _conv
from ._arguments import expect_integers


def finished(
    o: torch.Tensor, given: Mapping[str, torch.Tensor], epilogue: Optional[Epilogue]
) -> torch.Tensor:
    """Returns what a step's epilogue makes of o, in f32 and rounded once."""
    if epilogue is None:
        return o
    rows = o.to(torch.promote_types(o.dtype, torch.float32))
    if epilogue.norm:
        means = rows.square().mean(-1, keepdim=True)
        rows = rows * (means + epilogue.epsilon).rsqrt() * given["norm_weight"]
    if epilogue.gate:
        rows = rows * torch.nn.functional.silu(given["z"].to(rows.dtype))
    return rows.to(o.dtype)


def read_slots(pool: torch.Tensor, slots: torch.Tensor, first_slot: int) -> torch.Tensor:
    """Returns what lies in slots of a pool; zeros where a slot is none."""
    found = pool.index_select(0, slots.clamp(min=0).long())
    # By selection: a slot of nobody may hold a NaN.
    return torch.where((slots >= first_slot).view(-1, *[1] * (pool.dim() - 1)), found, 0.0)


def write_slots(pool: torch.Tensor, slots: torch.Tensor, first_slot: int, made: torch.Tensor) -> None:
    """Writes what was made of each sequence to slots of a pool, that of none to nowhere."""
    if slots.shape[0] == 0:
        return
    is_slot = slots >= first_slot
    # A row without a slot writes once more what the first one with a slot does.
    first = is_slot.to(torch.int32).argmax(0, keepdim=True)
    target = torch.where(is_slot, slots, slots[first]).clamp(min=0).long()
    values = torch.where(is_slot.view(-1, *[1] * (pool.dim() - 1)), made, made[first])
    kept = pool.index_select(0, target)
    pool.index_copy_(0, target, torch.where(is_slot.any(), values, kept))


_WINDOW, _FILTER = OF_CONVOLUTIONS = "_window", "_filter"


class Fronts(NamedTuple):
    """What is in front of a prompt's rows: windows [N, w - 1, H, D] by the rows' names, and the prompt's tokens."""

    windows: dict[str, torch.Tensor]
    tokens: _conv.Tokens


def fronts_of(
    given: Mapping[str, torch.Tensor], slots: torch.Tensor, first_slot: int, cu_seqlens: Optional[torch.Tensor]
) -> Fronts:
    """Returns what is in front of the rows that pass through a step's convolution, out of their pools."""
    names = [x.removesuffix(_FILTER) for x in given if x.endswith(_FILTER)]
    windows = {name: read_slots(given[name + _WINDOW], slots, first_slot) for name in names}
    return Fronts(windows, _conv.Tokens(given["q"], cu_seqlens))


def convolved(given: Mapping[str, torch.Tensor], fronts: Fronts) -> dict[str, torch.Tensor]:
    """Returns the rows that pass through a step's convolution behind that of a prompt, by name."""
    return {
        name: _conv.convolve(given[name], window, given[name + _FILTER], fronts.tokens)
        for name, window in fronts.windows.items()
    }


def write_windows(
    given: Mapping[str, torch.Tensor],
    fronts: Fronts,
    slots: torch.Tensor,
    first_slot: int,
    kept: "Optional[Kept]",
) -> None:
    """Writes the windows behind a prompt to their slots, and those behind what is kept on the way."""
    tokens = fronts.tokens
    for name, window in fronts.windows.items():
        pool, x = given[name + _WINDOW], given[name]
        for i in range(kept.slots.shape[1] if kept else 0):
            made = _conv.window_behind(x, window, tokens, kept.ends[:, i])  # type: ignore[union-attr]
            write_slots(pool, kept.slots[:, i], first_slot, made)  # type: ignore[union-attr]
        made = _conv.window_behind(x, window, tokens, tokens.lengths)
        write_slots(pool, slots, first_slot, made)


class Kept(NamedTuple):
    """States to write on the way: of each sequence behind its first `ends` tokens, to `slots`, both [N,
    multiples]. What its tokens do not reach has a slot that is none."""

    ends: torch.Tensor
    slots: torch.Tensor


def kept_at(
    name: str,
    tokens: _conv.Tokens,
    every: int,
    position: Union[int, torch.Tensor],
    slots: torch.Tensor,
    most: Optional[int],
) -> Kept:
    """Returns where sequences whose first token is at `position` pass multiples of `every` tokens, and
    the slots for that. `most` is how many tokens all of them have, if the host knows it."""
    count = tokens.lengths.shape[0]
    if not isinstance(every, int):
        raise TypeError(f"{name}: keep_every is {every!r}, expected a number of tokens")
    if not isinstance(position, int):
        expect_integers(name, "position", position, (count,))
    if every < 1 or (isinstance(position, int) and position < 0):
        raise ValueError(f"{name}: keep_every is {every} and position {position}, expected at least 1 and 0")
    expect_integers(name, "keep_slots", slots, (count, "multiples"))
    if most is not None and isinstance(position, int):
        last = position + most
        multiples = last // every - position // every
        if slots.shape[1] != multiples:
            raise ValueError(
                f"{name}: keep_slots has shape {list(slots.shape)}, expected {[count, multiples]}: a slot for each "
                f"multiple of {every} tokens in ({position}, {last}]"
            )
    place = torch.zeros_like(tokens.lengths) + position
    number = torch.arange(slots.shape[1], device=slots.device) + 1
    ends = ((place // every)[:, None] + number) * every - place[:, None]
    return Kept(ends, torch.where(ends <= tokens.lengths[:, None], slots, -1))


def by_chunks(kept: Kept, chunk: int, shape: Sequence[int], cu_seqlens: Optional[torch.Tensor]) -> torch.Tensor:
    """Returns the slots of what is kept as a program takes them, one for each chunk of sequences [B, T] or of
    packed ones; all ends are multiples of a chunk."""
    sequences = kept.slots.shape[0]
    if cu_seqlens is None:
        chunks = -(-shape[1] // chunk)
        first = torch.arange(sequences, device=kept.slots.device) * chunks
        total = sequences * chunks
    else:
        first = cu_seqlens[:-1].long() // chunk + torch.arange(sequences, device=kept.slots.device)
        total = shape[1] // chunk + sequences
    # What has no slot goes behind the last chunk.
    place = torch.where(kept.slots >= 0, first[:, None] + kept.ends // chunk - 1, total)
    slots = kept.slots.new_full((total + 1,), -1)
    return slots.scatter_(0, place.flatten(), kept.slots.flatten())[:total]


def in_pieces(
    call: Any,
    pools: Mapping[str, torch.Tensor],
    slots: tuple[torch.Tensor, torch.Tensor],
    first_slot: int,
    ends: Sequence[int],
    kept: Kept,
) -> torch.Tensor:
    """Runs a prompt from the states of slots[0], cut at `ends`, of which the last one is that of its tokens, and
    writes where the pieces end to the slots of `kept`, and the last one to slots[1]. `call` computes the tokens from
    one place to another of sequences that have states in pools of float32, in slots of their own."""
    count = slots[0].shape[0]

    def own_of(pool: torch.Tensor) -> torch.Tensor:
        # Between the pieces a state is not rounded to the pool's type.
        wide = torch.promote_types(pool.dtype, torch.float32)
        states = pool.new_zeros((first_slot + count, *pool.shape[1:]), dtype=wide)
        states[first_slot:] = read_slots(pool, slots[0], first_slot).to(wide)
        return states

    states = {name: own_of(pool) for name, pool in pools.items()}
    own = torch.arange(first_slot, first_slot + count, device=slots[0].device).to(slots[0].dtype)
    outputs: list[torch.Tensor] = []
    begin = 0
    for i, end in enumerate(ends):
        if end > begin or not outputs:
            outputs.append(call(begin, end, states, own))
        target = kept.slots[:, i] if i + 1 < len(ends) else slots[1]
        for name, pool in pools.items():
            write_slots(pool, target, first_slot, states[name][first_slot:].to(pool.dtype))
        begin = end
    return torch.cat(outputs, 1)
