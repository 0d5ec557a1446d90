# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A layer as a function that JAX differentiates: by its backward, and no further.

Saved are the operands, the initial state and what the forward returns for its backward, which _saving.py decides.
"""

from __future__ import annotations

import functools
from typing import Any, Optional

import jax
import jax.numpy as jnp

from ._family import Family, compute_dtype
from ._primitive import Call, absent, call_p
from ._saving import saving
from ._sharding import align


def _bind(call: Call, operands: tuple[Any, ...], state: Any, cu_seqlens: Any, *more: Any) -> Any:
    state = absent(compute_dtype(operands[0])) if state is None else state
    cu_seqlens = absent(jnp.int32) if cu_seqlens is None else cu_seqlens
    return call_p.bind(*align(*operands, state, cu_seqlens, *more), call=call)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def call(
    family: Family, final: bool, operands: tuple[Any, ...], state: Any, cu_seqlens: Any
) -> tuple[Any, Optional[Any], tuple[Any, ...]]:
    """Returns o, the final state or None, and the totals."""
    made = Call(family, "inference", final, state is not None)
    o, last, *totals = _bind(made, operands, state, cu_seqlens)
    return o, last if final else None, tuple(totals)


def _forward(family: Family, final: bool, operands: Any, state: Any, cu_seqlens: Any) -> Any:
    chosen = saving(family, operands[0])
    made = Call(chosen.family, "forward", final, state is not None)
    o, last, *more = _bind(made, chosen.arrange(operands), state, cu_seqlens)
    count = len(chosen.family.signature.totals)
    totals, saved = tuple(more[:count]), more[count:]
    return (o, last if final else None, totals), (chosen, operands, state, cu_seqlens, saved)


def _backward(family: Family, final: bool, kept: Any, gradients: Any) -> Any:
    chosen, operands, state, cu_seqlens, saved = kept
    d_o, d_final, d_totals = gradients
    d_final = d_final if final else absent(compute_dtype(operands[0]))
    made = Call(chosen.family, "backward", final, state is not None)
    *made_of, d_state = _bind(made, chosen.arrange(operands), state, cu_seqlens, *saved, d_o, d_final, *d_totals)
    given = chosen.put_back(tuple(made_of))
    arguments = family.signature.operands
    given = tuple(jnp.zeros_like(x) if of.is_constant else d for of, x, d in zip(arguments, operands, given))
    return given, None if state is None else d_state, None


call.defvjp(_forward, _backward)
