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

from . import _direct, _few, _ops, _prologue, _transforms
from ._arguments import check_sequences, check_shapes, convert, expect_device, expect_floats, expect_shape, expect_tensors
from ._l2norm import l2norm
from ._programs import kernel_dims
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
    family = family_of(rule, 2 if doubled or max_rate > 1 else 1, repeat)
    arguments = family.signature.operands
    tensors = tuple(operands[x.name] for x in arguments)
    _transforms.refuse_forward_mode(name, (*tensors, initial_state))
    q, v = operands["q"], operands["v"]
    few = recurrent and _few.takes(q, (q.shape[-1], v.shape[-1]), (*tensors, initial_state), cu_seqlens)
    own_scale = RULES[rule].scale
    if context is None and not few and not (sigmoid or doubled or state_v_first):
        factor = _prologue.factor_of(scale, own_scale, q, v)
        if (norm or factor is not None) and (factor is not None or _is_plain(scale, own_scale, q)):
            most = 2 if max_rate > 1 else 1
            other = _prologue.with_parts(rule, most, repeat, (*tensors, initial_state), norm, factor)
            if other is not None:
                given = tensors if factor is None else (*tensors, factor)
                found = _direct.attempt(other, given, initial_state, cu_seqlens, output_final_state)
                if found is not None:
                    return found
                if factor is None:
                    family, norm = other, False
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
        expect_floats(name, "initial_state", initial_state)
        expect_device(name, q, initial_state=initial_state)
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
    if heads == 0:
        raise ValueError(f"{name}: q has shape {list(operands['q'].shape)}, expected 1 head or more")
    if value_heads == 0 or value_heads % heads != 0:
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
    try:
        scale = key_dim**-0.5 if scale is None else float(scale)
    except (TypeError, ValueError):
        raise TypeError(f"{name}: scale is {scale!r}, expected a number") from None
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
    return dims if _takes_any(q) else kernel_dims(*dims)


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
