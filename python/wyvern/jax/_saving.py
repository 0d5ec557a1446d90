# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a call with gradients saves for its backward.

A layer saves the triangular factor of each chunk, whatever its sizes. The program of a GPU that saves states too
(wyvern._core.saving) is a layer of its own here, that of its bundle, since what is saved depends on the compiler and on
the sizes. Which of the two a call is has to be known when JAX traces it, when the platform is not: it is the one that
JAX says it takes unless it is told otherwise. On another one the same call is right too, and saves the same.
"""

from __future__ import annotations

import dataclasses
import threading
from typing import Any, Optional

import jax
import numpy as np

from wyvern._core.saving import states_for_gpu

from . import _programs
from ._family import DTYPES, Family, family_of


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Saving:
    """The layer whose forward and backward a call runs."""

    family: Family
    order: tuple[int, ...]  # where each of its operands stands among those of the call

    def arrange(self, operands: tuple[Any, ...]) -> tuple[Any, ...]:
        """Returns the operands of the call in the layer's order."""
        return tuple(operands[i] for i in self.order)

    def put_back(self, gradients: tuple[Any, ...]) -> tuple[Any, ...]:
        """Returns gradients of the layer's operands in the call's order."""
        return tuple(gradients[self.order.index(i)] for i in range(len(self.order)))


_made: dict[tuple[Family, str], Optional[Saving]] = {}
_lock = threading.Lock()


def saving(family: Family, q: Any) -> Saving:
    """Returns what a call of a layer with this q runs, compiled where there is no program yet."""
    kind = DTYPES[np.dtype(q.dtype).name]
    found = None
    # What a bundle saves is settled.
    if family.bundle is None and kind in ("bf16", "f16") and _expects_gpu():
        key = family, kind
        with _lock:
            if key not in _made:
                _made[key] = _make(family, kind)
            found = _made[key]
    return found or Saving(family, tuple(range(len(family.signature.names))))


def _expects_gpu() -> bool:
    """Whether what JAX traces now is for a GPU, if nothing else is said later."""
    device = getattr(jax.config, "jax_default_device", None)
    platform = getattr(device, "platform", device) or jax.default_backend()
    return platform in ("gpu", "cuda")


def _make(family: Family, kind: str) -> Optional[Saving]:
    spec = family.spec | {"dtype": kind}
    try:
        target = _programs.architecture()
    except NotImplementedError:
        return None  # what there is no program for is said when JAX lowers the call
    program = states_for_gpu(family.name, spec, target)
    if program is None:
        return None
    made = family_of(spec, program)
    return Saving(made, tuple(map(family.signature.names.index, made.signature.names)))
