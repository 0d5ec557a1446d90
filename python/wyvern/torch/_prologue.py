# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs that compute norms and gates themselves, in the place of torch operations in front of an op."""

import torch

import wyvern

from . import _direct
from ._programs import kernel_dims, program_for
from ._rules import family_of
from ._tensors import is_gpu


def normed(rule, max_rate, repeat, tensors):
    """Returns the ops of a rule whose program takes the L2 norm of q and keys itself, where there is one for
    these operands; else None."""
    if _direct.is_traced():
        return None
    family = family_of(rule, max_rate, repeat, ("norm",))
    v = tensors[family.signature.names.index("v")]
    return family if _has_program(family, tensors[0], v, tensors) else None


def attempt(rule, max_rate, norm, operands, scale, initial_state, cu_seqlens, final):
    """Returns o and the final state by a program that makes gates and rates of raw a, b, A_log and dt_bias, and takes
    the L2 norm if `norm`; None where there is none for these operands, or more than the program has to see them."""
    if _direct.is_traced() or not all(isinstance(x, torch.Tensor) for x in operands.values()):
        return None
    q, v, a, b = (operands[x] for x in ("q", "v", "a", "b"))
    heads = v.shape[2:3]
    if q.dim() != 4 or not (scale is None or (type(scale) is float and scale == q.shape[3] ** -0.5)):
        return None
    if a.dtype != q.dtype or b.dtype != q.dtype or a.shape != v.shape[:3] or b.shape != a.shape:
        return None
    if operands["A_log"].shape != heads or operands["dt_bias"].shape != heads:
        return None
    family = family_of(rule, max_rate, 1, ("norm", "gates") if norm else ("gates",))
    tensors = tuple(operands[x] for x in family.signature.names)
    if not _has_program(family, q, v, (*tensors, initial_state)):
        return None
    return _direct.attempt(family, tensors, initial_state, cu_seqlens, final)


def _has_program(family, q, v, tensors):
    """Whether there is a program for operands of these types and sizes. In fp16 there is none: scaled gradients of raw
    rows may leave its range."""
    if not is_gpu(q.device) or q.dtype != torch.bfloat16:
        return False
    if q.dim() != 4 or v.dim() != 4 or kernel_dims(q.shape[3], v.shape[3]) != (q.shape[3], v.shape[3]):
        return False
    try:
        program_for(family, tensors, _direct.needs_gradient(tensors))
    except (wyvern.CompileError, NotImplementedError):
        return False
    return True
