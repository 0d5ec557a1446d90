# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A layer as all of its calls share it, and what its calls return."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, Optional

import jax.numpy as jnp

from wyvern._core.bundles import digest
from wyvern._core.gpu import Program
from wyvern._core.layers import PlainSpec
from wyvern._core.op import sign
from wyvern._core.signature import Argument, Count, Signature

# By the dtype of q, k and v.
DTYPES = {"bfloat16": "bf16", "float16": "f16", "float32": "f32", "float64": "f64"}


class Family:
    """A layer. There is one of each in a process: JAX's caches compare by identity."""

    def __init__(self, name: str, spec: PlainSpec, bundle: Optional[Program]):
        self.name, self.spec, self.bundle = name, spec, bundle
        self.signature = sign(spec, bundle)

    def __repr__(self) -> str:
        return self.name


_families: dict[str, Family] = {}
_lock = threading.Lock()


def family_of(spec: PlainSpec, bundle: Optional[Program] = None) -> Family:
    """Returns the family of a spec, or of a loaded bundle that has this spec."""
    name = f"{spec['name']}_{digest(spec if bundle is None else bundle.manifest)}"
    with _lock:
        if name not in _families:
            _families[name] = Family(name, spec, bundle)
        return _families[name]


def compute_dtype(q: Any) -> Any:
    """Returns what rates, gates and states are in beside q."""
    return jnp.dtype(jnp.float64 if q.dtype == jnp.float64 else jnp.float32)


def sizes_of(signature: Signature, arrays: Sequence[Any], cu_seqlens: Any) -> dict[Count, int]:
    """Returns the sizes of a call, of which nothing is checked. A cu_seqlens without an
    element is none."""
    sizes: dict[Count, int] = {"one": 1}
    for argument, x in zip(signature.operands, arrays):
        for (count, rows), n in zip(argument.shape, x.shape):
            sizes.setdefault(count, n // rows)
    return signature.add_counts(sizes, cu_seqlens.shape[0] - 1 if cu_seqlens.shape[0] > 0 else None)


def type_of(argument: Argument, q: Any, sizes: Mapping[Count, int]) -> tuple[tuple[int, ...], Any]:
    """Returns the shape and the dtype of a tensor in a call with this q."""
    dtype = q.dtype if argument.is_narrow else compute_dtype(q)
    return tuple(argument.extents(sizes)), dtype
