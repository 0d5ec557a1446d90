# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""torch.ops.wyvern.delta_rule and gated_delta_rule: the ops of the functions with FLA's
signatures, for any heads and head dims."""

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


def _spec(decay, sizes, dtype):
    heads, key_dim, value_heads, value_dim = sizes
    return delta_rule_spec(decay, heads, value_heads, key_dim, value_dim, dtype)


def _family(decay, name, *rates):
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
        residuals=(Argument("factor", (*_RATE, ("one", CHUNK)), True),),
    )
    family = Family(name, signature, _sizes, lambda sizes, dtype: _spec(decay, sizes, dtype))
    return ranks.register(_ops.register(family))


_BETA = Argument("beta", _RATE, False)
DELTA_RULE = _family("none", "delta_rule", _BETA)
GATED_DELTA_RULE = _family(
    "head", "gated_delta_rule", Argument("g", _RATE, False, is_gate=True), _BETA
)
