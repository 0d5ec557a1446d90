# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a forward saves for its backward where nobody says: what the compiler chooses (wyvernc --save=auto), the state of
every chunk if it is not too much.

With the states no chain of chunks runs again in the backward (docs/performance.md), at some eight times the memory
of the triangular factors alone.
"""

from __future__ import annotations

import os

from .layers import CHOSEN, STATES

FACTOR = "factor"


def wanted_save() -> str:
    """Returns WYVERN_SAVE of the environment: auto, the compiler's choice, where it is not there, states or factor.
    Raises ValueError for another."""
    wanted = os.environ.get("WYVERN_SAVE", CHOSEN)
    if wanted not in (CHOSEN, STATES, FACTOR):
        raise ValueError(f"WYVERN_SAVE: expected auto (the default), states or factor, found {wanted!r}")
    return wanted
