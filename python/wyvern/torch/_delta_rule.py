# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""torch.ops.wyvern.delta_rule and gated_delta_rule, and both with _to_2 for rates up to 2:
the ops of the functions with FLA's signatures, for any heads and head dims."""

import functools

from wyvern._core.layers import delta_rule_spec
from wyvern._core.signature import Argument, Signature

from . import _ops
from ._ops import Family
from ._programs import CHUNK
from ._ranks import ops as ranks

_ROWS = (("batch", 1), ("tokens", 1))
_KEY = (*_ROWS, ("key_heads", 1), ("key_dim", 1))
_VALUE = (*_ROWS, ("value_heads", 1), ("value_dim", 1))
_RATE = (*_ROWS, ("value_heads", 1))
_STATE = (("sequences", 1), ("value_heads", 1), ("key_dim", 1), ("value_dim", 1))


def _sizes(operands):
    """Heads and head dim of the keys, then of the values; fewer of malformed operands."""
    q, _, v, *_ = operands
    return *q.shape[2:], *v.shape[2:]


def _spec(decay, max_rate, sizes, dtype):
    heads, key_dim, value_heads, value_dim = sizes
    return delta_rule_spec(decay, heads, value_heads, key_dim, value_dim, dtype, max_rate)


def _family(decay, max_rate, name, *rates):
    # Where rates may be above 1, the factor has two parts.
    parts = 2 if max_rate > 1 else 1
    signature = Signature(
        operands=(
            Argument("q", _KEY, True),
            Argument("k", _KEY, True),
            Argument("v", _VALUE, True),
            *rates,
        ),
        initial_state=Argument("initial_state", _STATE, False),
        o=Argument("o", _VALUE, True),
        final_state=Argument("final_state", _STATE, False),
        residuals=(Argument("factor", (*_RATE, ("one", parts * CHUNK)), True),),
    )
    family = Family(name, signature, _sizes, functools.partial(_spec, decay, max_rate))
    return ranks.register(_ops.register(family))


_RATES = {
    "delta_rule": (Argument("beta", _RATE, False),),
    "gated_delta_rule": (
        Argument("g", _RATE, False, is_gate=True),
        Argument("beta", _RATE, False),
    ),
}
_FAMILIES = {
    (len(rates) > 1, most): _family(
        "head" if len(rates) > 1 else "none",
        most,
        name if most == 1 else f"{name}_to_{most}",
        *rates,
    )
    for name, rates in _RATES.items()
    for most in (1, 2)
}


def family_of(is_gated: bool, max_rate: float) -> Family:
    """Returns the family that takes rates up to `max_rate`."""
    return _FAMILIES[is_gated, 2 if max_rate > 1 else 1]
