# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The probe of a layer that computes what it writes.

A probe writes nothing (probe.py). Where values are operands, these are zero. Computed ones may come out of
any operand, also of one that keys are made of: then a layer of its own is run, in which values are operands.
"""

from __future__ import annotations

import functools
from typing import Any

import torch

from wyvern._core.bundles import digest
from wyvern._core.layers import computes_values, with_given_values

from .. import _ops
from .._tensors import NAMES
from .stages import Layer


def of_given_values(layer: Layer) -> Layer:
    """Returns the layer that is probed, in which values are operands, here zeros."""
    q = layer.operands[0]
    spec = layer.family.spec(layer.family.sizes_of(layer.operands), NAMES[q.dtype])
    if not computes_values(spec):
        return layer
    family = _family(layer.family.name, layer.family.spec)
    given = dict(zip(layer.family.signature.names, layer.operands))
    sizes = {"one": 1, "batch": q.shape[0], "tokens": q.shape[1]}

    def operand(argument: Any) -> torch.Tensor:
        return given[argument.name] if argument.name in given else q.new_zeros(argument.extents(sizes))

    return Layer(family, tuple(map(operand, family.signature.operands)), layer.offsets)


@functools.lru_cache(maxsize=256)
def _family(name: str, spec: Any) -> _ops.Family:
    """The ops of the layer that is probed in the place of that of this name."""
    made = with_given_values(spec((), "bf16"))
    name = f"{made['name']}_{digest(made)}"
    return _ops.families.get(name) or _ops.register(_ops.of_spec(name, made))
