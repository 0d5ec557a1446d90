# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The arrays of a call, checked and brought to what a layer takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from wyvern._core.signature import Argument, Count

from ._family import DTYPES, compute_dtype


def expect_arrays(name: str, **arrays: Any) -> None:
    """Raises TypeError for what is no array."""
    for what, array in arrays.items():
        if not isinstance(array, (jax.Array, np.ndarray)):
            found = "None" if array is None else f"a {type(array).__name__}"
            raise TypeError(f"{name}: {what} is {found}, expected a JAX or NumPy array")


def check_shapes(
    name: str, arguments: Sequence[Argument], arrays: Sequence[Any], sizes: Mapping[Count, int] = {}
) -> dict[Count, int]:
    """Returns the sizes that arrays tell, added to those that are known. Raises ValueError
    where they do not agree."""
    found: dict[Count, int] = {"one": 1, **sizes}
    for argument, x in zip(arguments, arrays):
        try:
            found = argument.fit(x.shape, found)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return found


def check_sequences(name: str, batch: int, cu_seqlens: Any) -> int:
    """Returns the number of sequences. Raises TypeError or ValueError for a cu_seqlens that
    is no vector of offsets into one batch row; the offsets themselves are not read."""
    if cu_seqlens is None:
        return batch
    expect_arrays(name, cu_seqlens=cu_seqlens)
    if cu_seqlens.dtype.name not in ("int32", "int64") or cu_seqlens.ndim != 1 or cu_seqlens.shape[0] == 0:
        raise TypeError(
            f"{name}: cu_seqlens is {cu_seqlens.dtype.name} of shape {list(cu_seqlens.shape)}, "
            "expected int32 or int64 of shape [N + 1]"
        )
    if batch != 1:
        raise ValueError(
            f"{name}: the batch size is {batch}, expected 1 with cu_seqlens: pack the sequences into one"
        )
    return int(cu_seqlens.shape[0]) - 1


def start(
    name: str, arguments: Sequence[Argument], given: Sequence[Any], q: Any, sizes: Mapping[Count, int]
) -> tuple[Any, ...]:
    """Returns what sequences start from beside a state, checked; zeros where nothing is given."""
    starts = [
        jnp.zeros(argument.extents(sizes), compute_dtype(q)) if x is None else x for argument, x in zip(arguments, given)
    ]
    expect_arrays(name, **{argument.name: x for argument, x in zip(arguments, starts)})
    check_shapes(name, arguments, starts, sizes)
    return tuple(starts)


def convert(name: str, arguments: Sequence[Argument], arrays: Sequence[Any]) -> tuple[Any, ...]:
    """Returns arrays in the types of a layer: those that are narrow in one, all others in
    float32 or float64. Log decays are made finite."""
    narrow = {x.name: array for x, array in zip(arguments, arrays) if x.is_narrow}
    _check_dtypes(name, narrow)
    wide = compute_dtype(next(iter(narrow.values())))

    def one(argument: Argument, x: Any) -> Any:
        if argument.is_narrow:
            return jnp.asarray(x)
        if not jnp.issubdtype(x.dtype, jnp.floating):
            raise TypeError(f"{name}: {argument.name} is {x.dtype.name}, expected a floating-point type")
        x = jnp.asarray(x, wide)
        return bounded(x) if argument.needs_bound else x

    return tuple(one(argument, x) for argument, x in zip(arguments, arrays))


def bounded(g: Any) -> Any:
    """Returns a log decay of which exp is the same, but that is finite: -inf resets the
    state, and a chunk adds up its decays. The gradient of what is below the floor is 0."""
    floor = -746.0 if g.dtype == jnp.float64 else -104.0  # exp of what is below is 0
    return jnp.where(g <= floor, floor, g)


def _check_dtypes(name: str, arrays: Mapping[str, Any]) -> None:
    (first, q), *others = arrays.items()
    for what, array in others:
        if array.dtype != q.dtype:
            raise TypeError(
                f"{name}: {first} is {q.dtype.name}, {what} is {array.dtype.name}; expected one dtype"
            )
    if q.dtype.name not in DTYPES:
        raise TypeError(
            f"{name}: {', '.join(arrays)} {'are' if others else 'is'} {q.dtype.name}, expected one of "
            f"{', '.join(DTYPES)}"
        )
