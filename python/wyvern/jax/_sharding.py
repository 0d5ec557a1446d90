# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What shard_map asks of a function: arrays that differ along the same axes of the mesh,
and a layer of the heads that a device has."""

from __future__ import annotations

import math
from typing import Any

import jax

from ._family import Family, family_of


def _varying(x: Any) -> frozenset[Any]:
    """Returns the axes of a shard_map along which an array differs."""
    aval = jax.typeof(x)
    kinds = getattr(aval, "manual_axis_type", None)
    return frozenset(getattr(aval, "vma", ()) if kinds is None else kinds.varying)


def align(*arrays: Any) -> tuple[Any, ...]:
    """Returns arrays that differ along the same axes of a shard_map, as a primitive's
    arguments have to. None stays."""
    given = [x for x in arrays if x is not None]
    axes = frozenset().union(*map(_varying, given))

    def spread(x: Any) -> Any:
        missing = tuple(axes - _varying(x))
        return jax.lax.pcast(x, missing, to="varying") if missing else x

    return tuple(None if x is None else spread(x) for x in arrays)


def of_local_heads(family: Family, q: Any) -> Family:
    """Returns the layer of as many heads as q has inside of a shard_map over heads, with
    equally fewer key and value heads; elsewhere the layer as it is, which refuses q."""
    heads = family.spec["heads"]
    local = q.shape[2] if len(q.shape) == 4 else 0
    if local == 0 or heads["key"] % local or local == heads["key"]:
        return family
    parts = heads["key"] // local
    mesh = jax.sharding.get_abstract_mesh()
    if math.prod(mesh.shape[axis] for axis in mesh.manual_axes) % parts:
        return family
    if family.bundle is not None:
        raise ValueError(
            f"{family.spec['name']}: q has {local} heads on a device, but the bundle was compiled for "
            f"{heads['key']}: make the op of the spec, or of a bundle with {local} key heads"
        )
    fewer = {"key": local, "value": heads["value"] // parts}
    return family_of({**family.spec, "heads": fewer})
