# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a forward saves for its backward where nobody says: what the compiler chooses (wyvernc --save=auto), the state of
every chunk if it is not too much.

With the states no chain of chunks runs again in the backward (docs/performance/training.md), at some eight times the memory
of the triangular factors alone.
"""

from __future__ import annotations

import os
import warnings
from typing import Optional

import wyvern

from . import serving
from .gpu import Program
from .layers import CHOSEN, STATES, PlainSpec, saves_states

FACTOR = "factor"


def wanted_save() -> str:
    """Returns WYVERN_SAVE of the environment: auto, the compiler's choice, where it is not there, states or factor.
    Raises ValueError for another."""
    wanted = os.environ.get("WYVERN_SAVE", CHOSEN)
    if wanted not in (CHOSEN, STATES, FACTOR):
        raise ValueError(f"WYVERN_SAVE: expected auto (the default), states or factor, found {wanted!r}")
    return wanted


def states_for_gpu(name: str, spec: PlainSpec, target: str) -> Optional[Program]:
    """Returns the program of a GPU that saves states, for a call of this name with gradients, or None: it takes too much
    memory, or does not compile, or is not there where nothing compiles. Raises ValueError for another WYVERN_SAVE."""
    wanted = wanted_save()
    if wanted == FACTOR:
        return None
    try:
        program = serving.for_gpu(spec, target, wanted)
    except wyvern.CompileError as error:
        _warn(name, str(error).splitlines()[0])
        return None
    except NotImplementedError:
        return None
    if saves_states(program.manifest["tensors"]):
        return program
    if "refused" in program.manifest["saved"]:
        _warn(name, program.manifest["saved"]["refused"])
    return None


def _warn(name: str, reason: str) -> None:
    warnings.warn(f"{name}: the factor is saved for the backward, not states, which is slower: {reason}")
