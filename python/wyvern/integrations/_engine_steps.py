# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The step of Gated DeltaNet as inference engines have it: raw q, k and logits of gates in, and a
pool of states that is written in place."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple, Optional

import torch
from torch.utils.weak import WeakTensorKeyDictionary

import wyvern
from wyvern.torch import Decoder
from wyvern.torch._few import GPU_ROWS

NAMES = {torch.bfloat16: "bf16", torch.float16: "f16", torch.float32: "f32"}


class Tensors(NamedTuple):
    """Operands of a step: q, k [B, T, H, K], v [B, T, HV, V], a and b [B, T, HV], all of one type;
    A_log and dt_bias [HV]."""

    q: torch.Tensor
    k: torch.Tensor
    v: torch.Tensor
    a: torch.Tensor
    b: torch.Tensor
    A_log: torch.Tensor
    dt_bias: torch.Tensor


class Rule(NamedTuple):
    """What is part of a kernel and not of its tensors."""

    layout: str  # of the pool: "vk" or "kv"
    first_slot: int
    scale: float
    norm: bool  # q and k come raw


@functools.lru_cache(maxsize=None)
def decoder_of(
    decay: str,
    heads: tuple[int, int],
    dims: tuple[int, int],
    dtype: torch.dtype,
    pool: wyvern.Pool,
    prologue: tuple[str, ...],
    scale: float,
) -> Decoder:
    """Returns the step of the gated delta rule with a decay a head or a channel. Compiled when it
    is first called, once a process."""
    spec = {
        "name": "kda" if decay == "channel" else "gated_delta_rule",
        "heads": {"key": heads[0], "value": heads[1]},
        "dims": {"key": dims[0], "value": dims[1]},
        "dtype": NAMES[dtype],
        "decay": decay,
        "scale": scale,
        "steps": [{"write": "k", "value": "v", "rate": "beta"}],
    }
    return Decoder(spec, pool, prologue=prologue)


def why_not(given: Tensors, state: torch.Tensor, layout: str = "vk") -> Optional[str]:
    """Returns why there is no step for these tensors, or None."""
    q, v = given.q, given.v
    if q.dtype not in NAMES or given.k.dtype != q.dtype or v.dtype != q.dtype:
        return f"q, k and v are {q.dtype}, {given.k.dtype}, {v.dtype}: expected one of bf16, fp16, float32"
    if state.dtype not in (torch.float32, torch.bfloat16):
        return f"states are {state.dtype}: expected float32 or bf16"
    dims = (v.shape[3], q.shape[3]) if layout == "vk" else (q.shape[3], v.shape[3])
    if tuple(state.shape[1:]) != (v.shape[2], *dims):
        return f"states have the shape {list(state.shape[1:])}: expected {[v.shape[2], *dims]}"
    if q.device.type == "cuda" and (q.shape[3] % GPU_ROWS or v.shape[3] % GPU_ROWS):
        return f"head dims of {q.shape[3]} and {v.shape[3]}: the kernel takes multiples of {GPU_ROWS}"
    return None


def step(
    given: Tensors,
    state: torch.Tensor,
    read: torch.Tensor,
    write: Optional[torch.Tensor],
    rule: Rule,
    writes: bool = True,
    out: Optional[torch.Tensor] = None,
) -> torch.Tensor:
    """Advances sequences whose states are in slots `read` of a pool; they go to slots `write`, None
    for where they were. Returns o [B, T, HV, V], in `out` if there is one; with writes False nothing else changes."""
    q, _, v, *_ = given
    slots = "i64" if read.dtype == torch.int64 else "i32"
    pool = wyvern.Pool(rule.layout, NAMES[state.dtype], slots, rule.first_slot)
    heads, dims = (q.shape[2], v.shape[2]), (q.shape[3], v.shape[3])
    prologue = ("norm", "gates") if rule.norm else ("gates",)
    decoder = decoder_of("head", heads, dims, q.dtype, pool, prologue, rule.scale)
    operands = given._replace(
        a=given.a.to(q.dtype), b=given.b.to(q.dtype), A_log=_wide(given.A_log), dt_bias=_wide(given.dt_bias)
    )._asdict()
    if writes:
        return decoder.step(state=state, read_slots=read, write_slots=write, out=out, **operands)
    return decoder.verify(state=state, read_slots=read, out=out, **operands)


# Parameters in float32, and the version of the values that they were made of.
_widened: Any = WeakTensorKeyDictionary()


def _wide(parameter: torch.Tensor) -> torch.Tensor:
    """Returns a parameter of a layer in float32, without a kernel a call where it is not."""
    if parameter.dtype == torch.float32:
        return parameter.detach()
    if parameter.is_inference() or (parameter.is_cuda and torch.cuda.is_current_stream_capturing()):
        return parameter.detach().float()
    version, wide = _widened.get(parameter, (None, None))
    if version != parameter._version:
        wide = parameter.detach().float()
        _widened[parameter] = parameter._version, wide
    return wide
