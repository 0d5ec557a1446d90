# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The ops of the functions with FLA's signatures, for any heads and head dims:
torch.ops.wyvern.delta_rule, gated_delta_rule, kda and so on. `_to_2` is for rates up to 2,
`_times_n` for n steps a token, `_norm`, `_gates` and so on for programs with a prologue, `_from_5` for gates of a
lower bound of -5."""

import threading
from typing import Any, Optional

import torch

from wyvern._core.rules import RULES, Sizes

from . import _ops
from ._ops import Family
from ._ranks import ops as ranks

_families: dict[tuple[Any, ...], Family] = {}
_lock = threading.Lock()


def _make(name, max_rate, repeat, prologue, lower_bound):
    rule = RULES[name]._replace(max_rate=max_rate, repeat=repeat, prologue=prologue, lower_bound=lower_bound)
    signature = rule.signature()
    title = name + (f"_times_{repeat}" if repeat > 1 else "") + ("_to_2" if max_rate > 1 else "")
    title += "".join(f"_{part}" for part in prologue)
    if lower_bound is not None:
        title += "_from_" + f"{-lower_bound:g}".translate(str.maketrans(".-+", "pm_"))
    sized_by = (0, signature.names.index("v"))  # heads and head dim of q, then of the values
    family = Family(title, signature, sized_by, lambda sizes, dtype: rule.spec(Sizes(*sizes), dtype))
    return ranks.register(_ops.register(family))


# torch.compile does not trace how ops are registered.
@torch.compiler.assume_constant_result
def family_of(
    name: str, max_rate: int = 1, repeat: int = 1, prologue: tuple[str, ...] = (), lower_bound: Optional[float] = None
) -> Family:
    """Returns the ops of a rule that takes rates up to `max_rate`, 1 or 2, `repeat` steps a token, of operands as
    they are in front of a prologue, whose gates may have a lower bound; registered when they are first asked for."""
    key = (name, max_rate, repeat, prologue, lower_bound)
    family = _families.get(key)
    if family is None:
        with _lock:
            family = _families.get(key)
            if family is None:
                family = _families[key] = _make(*key)
    return family


# These are there to be called by name.
for _name in ("delta_rule", "gated_delta_rule"):
    for _most in (1, 2):
        family_of(_name, _most)
