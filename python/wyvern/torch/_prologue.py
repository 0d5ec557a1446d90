# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs that compute norms and gates themselves, in the place of torch operations in front of an op."""

import math
from typing import Any

import torch

import wyvern

from . import _direct
from ._programs import kernel_dims, program_for
from ._rules import family_of
from ._saving import saving
from ._tensors import is_gpu


def with_parts(rule, max_rate, repeat, tensors, norm, factor):
    """Returns the ops of a rule whose program takes the L2 norm of q and keys itself, and with a `factor` scales its
    output by that, where there is one for these operands; else None."""
    if _direct.is_traced():
        return None
    family = family_of(rule, max_rate, repeat, ("norm",) * bool(norm) + ("scale",) * (factor is not None))
    v = tensors[family.signature.names.index("v")]
    return family if _has_program(family, tensors[0], v, tensors) else None


_factors: dict[tuple[Any, ...], torch.Tensor] = {}


def factor_of(scale, own, q, v):
    """Returns a scale that is a number and not a program's own as what a program takes, a number a head in device
    memory; None for others."""
    is_number = isinstance(scale, (int, float)) and math.isfinite(scale)
    if not is_number or q.dim() != 4 or v.dim() != 4 or not is_gpu(q.device):
        return None
    if scale == (q.shape[3] ** -0.5 if own is None else own):
        return None
    key = (float(scale), v.shape[2], q.device)
    factor = _factors.get(key)
    if factor is None:
        with torch.inference_mode(False):
            factor = torch.full(key[1:2], key[0], dtype=torch.float32, device=key[2])
        # What is made while a graph is captured is the graph's.
        if not (factor.is_cuda and torch.cuda.is_current_stream_capturing()):
            _factors[key] = factor
    return factor


def parts_of(norm, decay, rates):
    """Returns the parts of a prologue by name."""
    gates = ("gates",) if decay and rates else ("decay",) if decay else ("rates",) if rates else ()
    return ("norm", *gates) if norm else gates


def attempt_gates(rule, operands, gate, rate, norm, call, lower_bound=None):
    """As `attempt`, of a function's arguments: `gate` g, whether it is raw, A_log and dt_bias; `rate` beta, whether it
    holds logits, whether its rates are doubled, and what they reach at most."""
    g, raw_gate, A_log, dt_bias = gate
    beta, raw_rate, doubled, max_rate = rate
    # What is no gate, or makes no sense, is told in front of a plain program.
    if not (raw_gate or raw_rate) or g is None or (doubled and not raw_rate) or (raw_rate and max_rate > 1):
        return None
    if raw_gate:
        operands = operands | {"a": g, "A_log": A_log, "dt_bias": dt_bias}
    elif A_log is not None or dt_bias is not None:
        return None
    else:
        operands = operands | {"g": g}
    operands = operands | {"b" if raw_rate else "beta": beta}
    parts = parts_of(norm, raw_gate, raw_rate)
    most = 2 if doubled or max_rate > 1 else 1
    scale, initial_state, cu_seqlens, final = call
    return attempt(rule, most, parts, operands, scale, initial_state, cu_seqlens, final, lower_bound)


def attempt(rule, max_rate, parts, operands, scale, initial_state, cu_seqlens, final, lower_bound=None):
    """Returns o and the final state by a program that makes gates and rates of raw a, b, A_log and dt_bias, as far as
    `parts` say; None where there is none for these operands, or more than the program has to see them."""
    if _direct.is_traced() or not all(isinstance(x, torch.Tensor) for x in operands.values()):
        return None
    q = operands["q"]
    factor = None if scale is None else factor_of(scale, None, q, operands["v"])
    if factor is not None:
        parts, operands = (*parts, "scale"), operands | {"scale": factor}
    elif q.dim() != 4 or not (scale is None or (type(scale) is float and scale == q.shape[3] ** -0.5)):
        return None
    family = family_of(rule, max_rate, 1, parts, None if lower_bound is None else float(lower_bound))
    tensors = tuple(operands[x] for x in family.signature.names)
    if not _fits(family.signature.operands, tensors):
        return None
    if not _has_program(family, q, operands["v"], (*tensors, initial_state)):
        return None
    return _direct.attempt(family, tensors, initial_state, cu_seqlens, final)


def per_head(x, *shape):
    """Returns a parameter of a number a head, or a row a head, in the shape that programs take; as it is if it is none."""
    forms = (list(shape), [*shape, 1], [math.prod(shape)])
    return x.reshape(shape) if isinstance(x, torch.Tensor) and list(x.shape) in forms else x


def _fits(arguments, tensors):
    """Whether tensors have the shapes of a program's operands, and raw ones the type of q."""
    sizes = {"one": 1}
    try:
        for argument, x in zip(arguments, tensors):
            sizes = argument.fit(x.shape, sizes)
    except ValueError:
        return False
    return all(x.dtype == tensors[0].dtype for argument, x in zip(arguments, tensors) if argument.is_narrow)


def _has_program(family, q, v, tensors):
    """Whether there is a program for operands of these types and sizes. In fp16 there is none with a norm: scaled
    gradients of raw rows may leave its range."""
    kinds = (torch.bfloat16,) if "_norm" in family.name else (torch.bfloat16, torch.float16)
    if not is_gpu(q.device) or q.dtype not in kinds:
        return False
    if q.dim() != 4 or v.dim() != 4 or kernel_dims(q.shape[3], v.shape[3]) != (q.shape[3], v.shape[3]):
        return False
    saves = _direct.needs_gradient(tensors)
    if saves:
        family, tensors = saving(family, tensors)
    try:
        program_for(family, tensors, saves)
    except (wyvern.CompileError, NotImplementedError):
        return False
    return True
