# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The delta rule on a few tokens, as a function of states: by the program that decodes.

A chunk program computes 64 tokens for one; a step reads the state, goes through its tokens and
writes it. States here are one a sequence: a pool of the call's own.
"""

import functools
from typing import Any, Optional

import torch

import wyvern
from wyvern._core.layers import delta_rule_spec

from . import _direct
from ._decoder import Decoder, own_slots
from ._tensors import NAMES

MOST = 16  # tokens; more are faster in chunks
_GPU_ROWS = 32  # what a step's kernel divides head dims by

_decoders: dict[Any, Optional[Decoder]] = {}


def takes(operands: tuple[torch.Tensor, ...], state: Optional[torch.Tensor], cu_seqlens: Any) -> bool:
    """Whether a call is one of a step: dense, of few tokens, without gradients, and nothing looks
    on that has to see the op of whole sequences."""
    q, _, v, *_ = operands
    if q.dim() != 4 or v.dim() != 4 or cu_seqlens is not None or not 1 <= q.shape[1] <= MOST:
        return False
    if torch.compiler.is_compiling() or torch._C._functorch.peek_interpreter_stack():
        return False
    if q.device.type not in ("cpu", "cuda") or _direct.needs_gradient((*operands, state)):
        return False
    return q.device.type == "cpu" or not (q.shape[3] % _GPU_ROWS or v.shape[3] % _GPU_ROWS)


def decoder_of(operands: tuple[torch.Tensor, ...], scale: float, norm: bool, v_first: bool) -> Optional[Decoder]:
    """Returns the step of operands (q, k, v, beta) or (q, k, v, g, beta); None where it does not
    compile here, which is found out once."""
    q, _, v, *rates = operands
    key = (len(rates), *q.shape[2:], *v.shape[2:], q.dtype, q.device.type, scale, norm, v_first)
    if key not in _decoders:
        _decoders[key] = _make(*key)
    return _decoders[key]


def _make(
    rates: int, heads: int, key_dim: int, value_heads: int, value_dim: int, dtype: torch.dtype,
    kind: str, scale: float, norm: bool, v_first: bool,
) -> Optional[Decoder]:
    decay = "head" if rates == 2 else "none"
    spec = delta_rule_spec(decay, heads, value_heads, key_dim, value_dim, NAMES[dtype]) | {"scale": scale}
    pool = wyvern.Pool("vk" if v_first else "kv")
    try:
        decoder = Decoder(spec, pool, prologue=("norm",) if norm else ())
        decoder.compile(kind)
    except (wyvern.CompileError, NotImplementedError, ImportError, FileNotFoundError):
        return None
    return decoder


def run(
    decoder: Decoder, operands: tuple[torch.Tensor, ...], state: Optional[torch.Tensor], final: bool
) -> tuple[torch.Tensor, Optional[torch.Tensor]]:
    """Returns o and, if it is wanted, the states after the tokens. `state` stays as it is."""
    q, k, v, *rates = operands
    names = ("q", "k", "v", "g", "beta") if len(rates) == 2 else ("q", "k", "v", "beta")
    wide = torch.promote_types(q.dtype, torch.float32)
    dims = (v.shape[3], q.shape[3]) if decoder.pool.layout == "vk" else (q.shape[3], v.shape[3])
    shape = (q.shape[0], v.shape[2], *dims)
    if state is None:
        pool = torch.zeros(shape, dtype=wide, device=q.device)
    else:
        pool = torch.empty(shape, dtype=wide, device=q.device).copy_(state)
    call = functools.partial(decoder.step if final else decoder.verify, state=pool)
    with torch.no_grad():
        o = call(read_slots=own_slots(q.shape[0], q.device), **dict(zip(names, operands)))
    return o, pool if final else None
