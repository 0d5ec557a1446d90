# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Prompts on a pool of states: the layer's program of whole sequences between reads and writes of
slots. Nothing is read on the host."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional

import torch

from wyvern._core.layers import PlainSpec, operand_roles
from wyvern._core.steps import Epilogue

from . import _conv
from ._gate import log_decay
from ._l2norm import l2norm


def operands_of(
    spec: PlainSpec, names: Sequence[str], prologue: Sequence[str], given: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Returns the layer's operands of a step's, of which a prologue is computed here."""
    roles = operand_roles(spec)
    # Rates come raw as b, b1, ... in the order of the steps, which is that of their roles.
    rates = [name for name, role in roles.items() if role == "rate"]
    raw = {name: f"b{i or ''}" for i, name in enumerate(rates)}
    most = {step["rate"]: step.get("max_rate", 1) for step in spec["steps"] if "rate" in step}
    made = {}
    for name in names:
        role = roles[name]
        if "gates" in prologue and role == "rate":
            made[name] = most[name] * given[raw[name]].float().sigmoid()
        elif "gates" in prologue and role == "decay":
            logs = given["A_log"].view(-1, *(1 for _ in given["dt_bias"].shape[1:]))
            made[name] = log_decay(given["a"].float(), logs, given["dt_bias"])
        elif "norm" in prologue and role in ("query", "key"):
            made[name] = l2norm(given[name])
        else:
            made[name] = given[name]
    return made


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


def read_states(pool: torch.Tensor, slots: torch.Tensor, first_slot: int, v_first: bool) -> torch.Tensor:
    """Returns the states of slots as [N, HV, K, V]; zeros where a slot is none."""
    states = read_slots(pool, slots, first_slot)
    states = states.transpose(-1, -2) if v_first else states
    return states.to(torch.promote_types(pool.dtype, torch.float32))


def write_states(
    pool: torch.Tensor, slots: torch.Tensor, first_slot: int, v_first: bool, states: torch.Tensor
) -> None:
    """Writes states [N, HV, K, V] to slots, those of none to nowhere."""
    write_slots(pool, slots, first_slot, (states.transpose(-1, -2) if v_first else states).to(pool.dtype))


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


_WINDOW, _FILTER = "_window", "_filter"


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
        for i, end in enumerate(kept.ends if kept else ()):
            made = _conv.window_behind(x, window, tokens, torch.full_like(tokens.lengths, end))
            write_slots(pool, kept.slots[:, i], first_slot, made)  # type: ignore[union-attr]
        made = _conv.window_behind(x, window, tokens, tokens.lengths)
        write_slots(pool, slots, first_slot, made)


class Kept(NamedTuple):
    """States to write on the way: behind tokens `ends` of the call, to slots [B, number of ends]."""

    ends: tuple[int, ...]
    slots: torch.Tensor


def kept_at(name: str, shape: Sequence[int], every: int, position: int, slots: torch.Tensor) -> Kept:
    """Returns where sequences [B, T] of which the first token is at `position` pass multiples of
    `every` tokens."""
    if every < 1 or position < 0:
        raise ValueError(f"{name}: keep_every is {every} and position {position}, expected at least 1 and 0")
    last = position + shape[1]
    ends = tuple(n * every - position for n in range(position // every + 1, last // every + 1))
    if list(slots.shape) != [shape[0], len(ends)]:
        raise ValueError(
            f"{name}: keep_slots has shape {list(slots.shape)}, expected {[shape[0], len(ends)]}: a slot for each "
            f"multiple of {every} tokens in ({position}, {last}]"
        )
    return Kept(ends, slots)


def prefill(
    op: Any,
    operands: Mapping[str, torch.Tensor],
    pool: torch.Tensor,
    slots: tuple[torch.Tensor, torch.Tensor],
    form: tuple[int, bool],
    cu_seqlens: Optional[torch.Tensor],
    kept: Optional[Kept] = None,
) -> torch.Tensor:
    """Runs `op` from the states of slots[0] and writes where they end to slots[1]; in pieces, where
    states are kept on the way."""
    state = read_states(pool, slots[0], *form)
    if kept is None:
        o, state = op(**operands, initial_state=state, cu_seqlens=cu_seqlens, output_final_state=True)
        write_states(pool, slots[1], *form, state)
        return o
    outputs: list[torch.Tensor] = []
    tokens, begin = operands["q"].shape[1], 0
    for i, end in enumerate((*kept.ends, tokens)):
        if end > begin or not outputs:
            piece = {n: _rows(x, begin, end, tokens) for n, x in operands.items()}
            o, state = op(**piece, initial_state=state, output_final_state=True)
            outputs.append(o)
        target = kept.slots[:, i] if i < len(kept.ends) else slots[1]
        write_states(pool, target, *form, state)
        begin = end
    return torch.cat(outputs, 1)


def _rows(x: torch.Tensor, begin: int, end: int, tokens: int) -> torch.Tensor:
    rows = x.shape[1] // tokens if tokens else 0
    return x[:, begin * rows : end * rows]
