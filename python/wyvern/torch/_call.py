# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A call of a function with FLA's arguments: checked, and brought to what the ops take.

What FLA fuses into its kernels (L2 norm, gate and rate activations) is done with torch
operations in front of the op, and so are casts, padding and a scale that is not the
programs': autograd then has their gradients. The result is FLA's, in float32, rounded to
the dtype of q and k where FLA's is.
"""

import math
from typing import Any, Callable

import torch
import torch.nn.functional as F

from wyvern._core.rules import RULES

from . import _direct, _few, _ops, _transforms
from ._arguments import check_sequences, check_shapes, convert, expect_shape, expect_tensors
from ._gate import bounded_gate, log_decay
from ._l2norm import l2norm
from ._programs import kernel_dim
from ._ranks.context import read_context
from ._rules import family_of
from ._scale import rescaled

_SIDES = ("key_dim", "value_dim")
# What the L2 norm is of: q and keys, and not what scales these.
_NORMED = {
    rule.name: tuple(name for name, role in rule.roles().items() if role in ("query", "key")) for rule in RULES.values()
}


def call(
    name,
    rule,
    operands,
    scale=None,
    initial_state=None,
    output_final_state=False,
    cu_seqlens=None,
    cp_context=None,
    *,
    norm=False,
    sigmoid=False,
    doubled=False,
    state_v_first=False,
    recurrent=False,
    max_rate=1.0,
    repeat=1,
):
    """Returns o and the final state, or None, of the function `name`, which runs the rule of this name
    on its operands by their names. What is given besides: `norm`: the L2 norm of q and keys is taken
    here; `sigmoid`: beta holds logits; `doubled`: twice the sigmoid; `recurrent`: few tokens
    go to the program that decodes; `repeat`: steps a token."""
    expect_tensors(name, **operands)
    context, cu_seqlens = read_context(name, cp_context, cu_seqlens)
    if initial_state is not None:
        expect_tensors(name, initial_state=initial_state)
    if not max_rate <= 2:
        raise ValueError(f"{name}: max_rate is {max_rate}, expected at most 2: above it states grow")
    family = family_of(rule, 2.0 if doubled else max_rate, repeat)
    arguments = family.signature.operands
    tensors = tuple(operands[x.name] for x in arguments)
    _transforms.refuse_forward_mode(name, (*tensors, initial_state))
    q, v = operands["q"], operands["v"]
    few = recurrent and _few.takes(q, (q.shape[-1], v.shape[-1]), (*tensors, initial_state), cu_seqlens)
    own_scale = RULES[rule].scale
    if context is None and not few and _is_plain(scale, own_scale, q, norm, sigmoid, doubled, state_v_first):
        found = _direct.attempt(family, tensors, initial_state, cu_seqlens, output_final_state)
        if found is not None:
            return found
    sizes = _check_operands(name, arguments, operands)
    sizes |= {"sequences": check_sequences(name, q.shape[0], cu_seqlens)}
    scale = _scale(name, scale, q.shape[-1])
    if doubled and not sigmoid:
        raise ValueError(f"{name}: allow_neg_eigval needs use_beta_sigmoid_in_kernel")
    if initial_state is not None:
        shape = family.signature.initial_state.extents(sizes)
        expect_shape(name, "initial_state", initial_state, [*shape[:2], *shape[:1:-1]] if state_v_first else shape)
    final = bool(output_final_state)
    if few:
        given = _activated(_converted(name, arguments, operands), sigmoid, doubled)
        decoder = _few.of_family(family, given, scale, bool(norm), bool(state_v_first))
        if decoder is not None:
            return _few.run(decoder, given, initial_state, final)
    if norm:
        operands = operands | {x: l2norm(operands[x]) for x in _NORMED[rule]}
    operands = _activated(_converted(name, arguments, operands), sigmoid, doubled)
    state = None if initial_state is None else initial_state.to(_ops.compute_dtype(operands["q"]))
    turn: Callable[[Any], Any] = (lambda x: x if x is None else x.transpose(-1, -2)) if state_v_first else lambda x: x
    o, state = _padded(family, operands, turn(state), cu_seqlens, scale, own_scale, final, context)
    return o, turn(state).contiguous() if final else None


def _is_plain(scale, own_scale, q, *flags):
    """Whether the op is all that is asked for."""
    if any(flags):
        return False
    if own_scale is not None:
        return type(scale) is float and scale == own_scale
    return scale is None or (type(scale) is float and scale == q.shape[-1] ** -0.5)


def _check_operands(name, arguments, operands):
    """The sizes that the operands tell: q, keys and values first, and by them the rates."""
    wide = [x for x in arguments if x.is_narrow]
    rates = [x for x in arguments if not x.is_narrow]
    sizes = check_shapes(name, wide, [operands[x.name] for x in wide])
    for what in ("q", "v"):
        if operands[what].shape[3] == 0:
            shape = list(operands[what].shape)
            raise ValueError(f"{name}: {what} has shape {shape}, expected a head dim of 1 or more")
    heads, value_heads = sizes["key_heads"], sizes["value_heads"]
    if heads == 0 or value_heads == 0 or value_heads % heads != 0:
        raise ValueError(
            f"{name}: v has {value_heads} heads, expected a multiple of q's and k's {heads}"
        )
    return check_shapes(name, rates, [operands[x.name] for x in rates], sizes)


def _scale(name, scale, key_dim):
    if isinstance(scale, torch.Tensor):
        raise TypeError(
            f"{name}: scale is a tensor, expected a float: it would have to be read from the "
            "device, and would get no gradient; multiply q or o by it"
        )
    scale = key_dim**-0.5 if scale is None else float(scale)
    if not math.isfinite(scale):
        raise ValueError(f"{name}: scale is {scale}, expected a finite number")
    return scale


def _converted(name, arguments, operands):
    """The operands by name, in order and in the types of the op."""
    converted = convert(name, arguments, [operands[x.name] for x in arguments])
    return {x.name: tensor for x, tensor in zip(arguments, converted)}


def _activated(operands, sigmoid, doubled):
    if not sigmoid:
        return operands
    beta = operands["beta"].sigmoid()
    return operands | {"beta": 2 * beta if doubled else beta}


# === Head dims between those of the kernels ===


def _takes_any(x):
    """Whether there is a program for any heads and head dims."""
    return x.device.type in ("cpu", "meta")


def _kernel_dims(q, v):
    """The head dims of the program."""
    dims = q.shape[3], v.shape[3]
    return dims if _takes_any(q) else tuple(kernel_dim(n) for n in dims)


def _pad(tensor, *dims):
    """Zeros up to `dims` behind the last dimensions."""
    missing = [n - have for n, have in zip(dims, tensor.shape[-len(dims) :])]
    return F.pad(tensor, [side for n in reversed(missing) for side in (0, n)])


def _padded(family, operands, state, cu_seqlens, scale, own_scale, final, context):
    """The op on head dims between those of the kernels: channels of zeros change nothing,
    at the price of a copy of each tensor."""
    q, v = operands["q"], operands["v"]
    dims, wide = (q.shape[3], v.shape[3]), _kernel_dims(q, v)
    if wide == dims:
        return _run(family, operands, state, cu_seqlens, scale, own_scale, final, context)
    sides = {x.name: x.shape[-1][0] for x in family.signature.operands}
    operands = {
        name: _pad(x, wide[_SIDES.index(sides[name])]) if sides[name] in _SIDES else x for name, x in operands.items()
    }
    state = None if state is None else _pad(state, *wide)
    o, state = _run(family, operands, state, cu_seqlens, scale, own_scale, final, context)
    o = o[..., : dims[1]].contiguous()
    return o, state[..., : dims[0], : dims[1]] if final else state


def _run(family, operands, state, cu_seqlens, scale, own_scale, final, context):
    """The op, and a scale that is not its own."""

    def run(q):
        tensors = tuple((operands | {"q": q}).values())
        if context is None:
            return _transforms.call(family.name, tensors, state, cu_seqlens, final)
        return context.call(family, tensors, state, cu_seqlens, final)

    q = operands["q"]
    ratio = scale * q.shape[3] ** 0.5 if own_scale is None else scale / own_scale
    return rescaled(run, q, ratio, operands["v"].shape[2])


# === What functions have in front ===


def check_kwargs(name, kwargs):
    """Refuses keyword arguments that are none of FLA's. chunk_size has no effect."""
    kwargs = dict(kwargs)
    if "head_first" in kwargs:
        raise ValueError(f"{name}: head_first is gone; pass [B, T, H, D] tensors")
    chunk_size = kwargs.pop("chunk_size", 64)
    if chunk_size not in (16, 32, 64):
        raise ValueError(f"{name}: chunk_size is {chunk_size}, expected 16, 32 or 64")
    if kwargs:
        raise TypeError(f"{name}: unexpected arguments: {', '.join(sorted(kwargs))}")


def refuse(name, **arguments):
    """Raises NotImplementedError for an argument that is given and not served."""
    for what, value in arguments.items():
        if value is not None and value is not False:
            raise NotImplementedError(f"{name}: {what} is not supported: {_REFUSED[what]}")


_REFUSED = {
    "gk": "a decay a key channel is another recurrence; take a function that has it, as chunk_gla or chunk_kda",
    "gv": "a decay a value channel is a recurrence that there are no programs for",
    "reverse": "turn the tensors around (x.flip(1)) and o again",
    "return_intermediate_states": "programs keep no states of chunks; call once for each part and take its final state",
}


def ones_of(name, v):
    """Returns the rates of a function that was given none."""
    expect_tensors(name, v=v)
    return torch.ones(v.shape[:3], dtype=torch.float32, device=v.device)


def gate(name, q, v, g, use_gate_in_kernel, A_log, dt_bias, lower_bound=None, channels=False):
    """Returns the log decays of a function, which are g itself, or with use_gate_in_kernel what follows from
    raw g [B, T, HV], with a decay a key channel [B, T, HV, K]: -exp(A_log) softplus(g + dt_bias), and with
    a lower_bound lower_bound sigmoid(exp(A_log) (g + dt_bias)). A_log has HV numbers, dt_bias as many as a token's g."""
    if g is None:
        raise TypeError(f"{name}: g is None, expected [B, T, HV{', K' if channels else ''}]")
    expect_tensors(name, q=q, v=v, g=g)
    parameters = {"A_log": A_log, "dt_bias": dt_bias}
    given = {what: x for what, x in parameters.items() if x is not None}
    if not use_gate_in_kernel:
        for what in given:
            raise ValueError(f"{name}: {what} needs use_gate_in_kernel=True; else g is the log decay")
        return g
    if A_log is None and lower_bound is None:
        raise ValueError(f"{name}: use_gate_in_kernel needs A_log")
    if lower_bound is not None and not lower_bound < 0:
        raise ValueError(f"{name}: lower_bound is {lower_bound}, expected less than 0: g is a log decay")
    expect_tensors(name, **given)
    heads = list(v.shape[2:3])
    rows = {"A_log": [*heads, 1], "dt_bias": [*heads, q.shape[-1]]} if channels else dict.fromkeys(parameters, heads)
    for what, x in given.items():
        if x.numel() != math.prod(rows[what]) or not channels:
            expect_shape(name, what, x, [math.prod(rows[what])] if channels else heads)
    A_log, dt_bias = (None if x is None else x.reshape(rows[what]) for what, x in parameters.items())
    g = g.to(_ops.compute_dtype(q))
    return log_decay(g, A_log, dt_bias) if lower_bound is None else bounded_gate(g, A_log, dt_bias, lower_bound)
