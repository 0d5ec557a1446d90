# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a forward saves for its backward where nobody says: the state of every chunk, if it is not too much.

With the states no chain of chunks runs again in the backward (docs/performance.md), at some eight times the memory
of the triangular factors alone.
"""

from __future__ import annotations

import os
import warnings
from typing import Optional

import wyvern

from . import serving
from .gpu import Program
from .layers import STATES, PlainSpec
from .rules import CHUNK

FACTOR = "factor"
MOST_BYTES = 1331  # 1.3 KB a row of a value head, for 1024 of DeltaNet at head dims of 128


def save_of(spec: PlainSpec) -> str:
    """Returns the `save` of `wyvern.compile` for a layer: WYVERN_SAVE of the environment, states or factor; states
    take no more than MOST_BYTES. Raises ValueError for another WYVERN_SAVE."""
    wanted = os.environ.get("WYVERN_SAVE", STATES)
    if wanted not in (STATES, FACTOR):
        raise ValueError(f"WYVERN_SAVE: expected states (the default) or factor, found {wanted!r}")
    return wanted if bytes_of_states(spec) <= MOST_BYTES else FACTOR


def bytes_of_states(spec: PlainSpec) -> float:
    """Returns what saved states take of memory, in bytes for a row of a value head: the state in front of each chunk, the
    rows that it takes, the attention within the chunk, and the factor, in 16 bits."""
    key, value = spec["dims"]["key"], spec["dims"]["value"]
    parts = max(step.get("max_rate", 1) for step in spec["steps"])
    # With levels a value head has a state, and all that goes with it, for each.
    has_levels = spec.get("levels", "none") != "none"
    levels = (spec["max_tokens"] - 1).bit_length() + 1 if has_levels else 1
    return float(2 * levels * (key * value / CHUNK + value + CHUNK + parts * CHUNK))


def states_for_gpu(name: str, spec: PlainSpec, target: str) -> Optional[Program]:
    """Returns the program of a GPU that saves states, for a call of this name with gradients, or None: it takes too much
    memory, or does not compile, or is not there where nothing compiles. Raises ValueError for another WYVERN_SAVE."""
    if save_of(spec) != STATES:
        return None
    try:
        return serving.for_gpu(spec, target, STATES)
    except wyvern.CompileError as error:
        reason = str(error).splitlines()[0]
        warnings.warn(f"{name}: the factor is saved for the backward, not states, which is slower: {reason}")
        return None
    except NotImplementedError:
        return None
