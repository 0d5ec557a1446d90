# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The tokens before a part, which the ranks before it hold.

Every part sends its last tokens to all: parts may be shorter than what is looked back at,
or empty. The gradients go the same way back and are added in the order of the parts.
"""

from __future__ import annotations

from typing import Any

import torch

from .. import _ops
from .agree import agree
from .join import gather
from .plan import SCHEMA, Part, Plan, all_lengths, group_of, parts_of, plan_of

_NAME = "ranks_halo"


def _begin(x: torch.Tensor, tokens: int, fields: tuple[Any, ...]) -> tuple[Plan, list[int], list[Part]]:
    plan = plan_of(fields)
    group = group_of(plan)
    agree(
        group,
        _NAME,
        shape=(x.shape[0], *x.shape[2:]),
        dtype=x.dtype,
        halo=tokens,
        parts=plan.parts,
        tokens=plan.lengths or x.shape[1],
    )
    parts = parts_of(plan, group.rank(), group.size(), x.shape[1])
    return plan, all_lengths(plan, group.size(), x.shape[1]), parts


def _sources(index: int, tokens: int, lengths: list[int]) -> list[tuple[int, int, int]]:
    """Returns where the tokens before a part are: (part, tokens of it, how many tokens lie
    between these and the part asked for)."""
    found, near = [], 0
    for i in range(index - 1, -1, -1):
        count = min(tokens - near, lengths[i])
        if count:
            found.append((i, count, near))
            near += count
    return found


def _gather(plan: Plan, x: torch.Tensor) -> torch.Tensor:
    """What every part has, [all parts, rows, ...], of this rank's [rows, parts, ...]."""
    rows, parts, *rest = x.shape
    out = x.new_empty(group_of(plan).size() * parts, rows, *rest)
    return gather(plan, out, x)[0]


def _forward(x: torch.Tensor, tokens: int, *fields: Any) -> torch.Tensor:
    plan, lengths, parts = _begin(x, tokens, fields)
    tails = x.new_zeros(x.shape[0], len(parts), tokens, *x.shape[2:])
    for i, part in enumerate(parts):
        count = min(tokens, part.length)
        end = part.offset + part.length
        tails[:, i, tokens - count :] = x[:, end - count : end]
    everybodys = _gather(plan, tails)
    halo = torch.zeros_like(tails)
    for i, part in enumerate(parts):
        for source, count, near in _sources(part.index, tokens, lengths):
            end = tokens - near
            halo[:, i, end - count : end] = everybodys[source, :, tokens - count :]
    return halo


def _backward(d_halo: torch.Tensor, x: torch.Tensor, tokens: int, *fields: Any) -> torch.Tensor:
    plan, lengths, parts = _begin(x, tokens, fields)
    everybodys = _gather(plan, d_halo)
    d_x = torch.zeros_like(x)
    for part in parts:
        for index in range(part.index + 1, len(lengths)):
            for source, count, near in _sources(index, tokens, lengths):
                if source == part.index:
                    end, to = tokens - near, part.offset + part.length
                    d_x[:, to - count : to] += everybodys[index, :, end - count : end]
    return d_x


def _fake(x: torch.Tensor, tokens: int, *fields: Any) -> torch.Tensor:
    return x.new_empty((x.shape[0], Plan(*fields).parts, tokens, *x.shape[2:]))


def _setup(ctx: Any, inputs: Any, output: Any) -> None:
    x, *ctx.rest = inputs
    ctx.save_for_backward(x)


def _differentiate(ctx: Any, d_halo: torch.Tensor) -> Any:
    d_x = torch.ops.wyvern.ranks_halo_backward.default(d_halo, *ctx.saved_tensors, *ctx.rest)
    return d_x, *[None] * len(ctx.rest)


def _register() -> None:
    _ops.define_op(f"{_NAME}(Tensor x, int tokens, {SCHEMA}) -> Tensor", _forward, _fake)
    _ops.define_op(
        f"{_NAME}_backward(Tensor d_halo, Tensor x, int tokens, {SCHEMA}) -> Tensor",
        _backward,
        lambda d_halo, x, *_: torch.empty_like(x),
    )
    torch.library.register_autograd(f"wyvern::{_NAME}", _differentiate, setup_context=_setup, lib=_ops.library)


_register()


def exchange(x: torch.Tensor, tokens: int, plan: Plan) -> torch.Tensor:
    """Returns the tokens before each part of this rank, [B, parts, tokens, ...]."""
    halo: torch.Tensor = torch.ops.wyvern.ranks_halo.default(x, tokens, *plan)
    return halo
