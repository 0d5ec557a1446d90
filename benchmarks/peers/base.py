# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What an adapter returns, and what several of them need."""

from dataclasses import dataclass
from typing import Any, Callable, Optional


class Refused(Exception):
    """Why a peer does not take a case."""


@dataclass
class Run:
    """A peer with the inputs of a case, ready to be called."""

    call: Callable[[], Any]  # what is timed
    read: Callable[[Any], tuple]  # its result as o [B, T, HV, V], states [N, HV, K, V]
    exact: bool = True  # False where the peer may drop what has decayed
    # Times itself, in ms; for a peer on a stream that CUDA events of torch do not see.
    clock: Optional[Callable[[], float]] = None


def packed(*tensors):
    """Tensors [B, T, ...] as [all tokens, ...]; None stays None."""
    return [None if x is None else x.flatten(0, 1) for x in tensors]


def refuse_delta(inputs, name):
    if inputs.g is None:
        raise Refused(f"{name} has no rule without a gate")
