# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Layers on a few tokens, as functions of states: by the program that decodes.

A chunk program computes 64 tokens for one; a step reads the state, goes through its tokens and
writes it. States here are one a sequence: a pool of the call's own.
"""

from collections.abc import Callable, Mapping
from typing import Any, Optional

import torch

import wyvern
from wyvern._core.layers import PlainSpec

from . import _direct
from ._decoder import Decoder, own_slots
from ._op import Op
from ._ops import Family
from ._tensors import NAMES

MOST = 16  # tokens; more are faster in chunks
GPU_ROWS = 32  # what a step's kernel divides head dims by

_decoders: dict[Any, Optional[Decoder]] = {}


def takes(
    q: torch.Tensor,
    dims: tuple[int, int],
    tensors: tuple[Optional[torch.Tensor], ...],
    cu_seqlens: Optional[torch.Tensor],
) -> bool:
    """Whether a call is one of a step: dense, of few tokens, without gradients, and nothing looks
    on that has to see the op of whole sequences. dims: K and V."""
    if q.dim() != 4 or cu_seqlens is not None or not 1 <= q.shape[1] <= MOST:
        return False
    if _direct.is_traced():
        return False
    if q.device.type not in ("cpu", "cuda") or _direct.needs_gradient(tensors):
        return False
    return q.device.type == "cpu" or not any(n % GPU_ROWS for n in dims)


def decoder_of(
    make_spec: Callable[[], PlainSpec], key: tuple[Any, ...], kind: str, norm: bool, v_first: bool
) -> Optional[Decoder]:
    """Returns the step of a layer, which `key` stands for; None where it does not compile here,
    which is found out once."""
    key = (*key, kind, norm, v_first)
    if key not in _decoders:
        _decoders[key] = _make(make_spec(), kind, norm, v_first)
    return _decoders[key]


def _make(spec: PlainSpec, kind: str, norm: bool, v_first: bool) -> Optional[Decoder]:
    try:
        decoder = Decoder(spec, wyvern.Pool("vk" if v_first else "kv"), prologue=("norm",) if norm else ())
        decoder.compile(kind)
    except (wyvern.CompileError, NotImplementedError, ImportError, FileNotFoundError):
        return None
    return decoder


def of_family(
    family: Family, operands: Mapping[str, torch.Tensor], scale: float, norm: bool, v_first: bool
) -> Optional[Decoder]:
    """Returns the step of a layer of the functions with FLA's signatures, on these operands."""
    q = operands["q"]
    sizes, dtype = family.sizes_of(tuple(operands.values())), NAMES[q.dtype]
    make = lambda: family.spec(sizes, dtype) | {"scale": scale}
    return decoder_of(make, (family.name, *sizes, dtype, scale), q.device.type, norm, v_first)


def run(
    decoder: Decoder, operands: Mapping[str, torch.Tensor], state: Optional[torch.Tensor], final: bool
) -> tuple[torch.Tensor, Optional[torch.Tensor]]:
    """Returns o and, if it is wanted, the states after the tokens. `state` stays as it is."""
    q, spec = operands["q"], decoder.spec
    dims = spec["dims"]["key"], spec["dims"]["value"]
    shape = (q.shape[0], spec["heads"]["value"], *(dims[::-1] if decoder.pool.layout == "vk" else dims))
    wide = torch.promote_types(q.dtype, torch.float32)
    if state is None:
        pool = torch.zeros(shape, dtype=wide, device=q.device)
    else:
        pool = torch.empty(shape, dtype=wide, device=q.device).copy_(state)
    call = decoder.step if final else decoder.verify
    with torch.no_grad():
        o = call(state=pool, read_slots=own_slots(q.shape[0], q.device), **operands)
    return o, pool if final else None


def advance(
    op: Op, operands: Mapping[str, torch.Tensor], state: Any, cu_seqlens: Optional[torch.Tensor]
) -> tuple[torch.Tensor, Any]:
    """Returns o and the states after the tokens of a layer, by its step or by its op: the op alone goes
    on from more than matrices."""
    tensors, spec = tuple(operands[x] for x in op.operands), op.spec
    dims = spec["dims"]["key"], spec["dims"]["value"]
    if not op.carries and takes(operands["q"], dims, (*tensors, state), cu_seqlens):
        given = op.convert(tensors)
        dtype, kind = NAMES[given["q"].dtype], given["q"].device.type
        decoder = decoder_of(lambda: spec | {"dtype": dtype}, (op.ops.inference, dtype), kind, False, False)
        if decoder is not None:
            o, after = run(decoder, given, state, True)
            assert after is not None
            return o, after
    o, after = op(**operands, initial_state=state, cu_seqlens=cu_seqlens, output_final_state=True)
    assert after is not None
    return o, after
