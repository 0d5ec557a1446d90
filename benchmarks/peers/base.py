# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What an adapter returns, and what several of them need."""

from dataclasses import dataclass
from typing import Any, Callable, Optional

import torch

from ..cases import DIM, gradient_of_o


class Refused(Exception):
    """Why a peer does not take a case."""


@dataclass
class Run:
    """A peer with the inputs of a case, ready to be called."""

    call: Callable[[], Any]  # what is timed
    read: Callable[[Any], tuple]  # its result as a Work's (comparing.py): o [B, T, HV, V] and states [N, HV, K, V]
    exact: bool = True  # False where the peer may drop what has decayed
    # Times itself, in ms; for a peer on a stream that CUDA events of torch do not see.
    clock: Optional[Callable[[], float]] = None


def packed(*tensors):
    """Tensors [B, T, ...] as [all tokens, ...]; None stays None."""
    return [None if x is None else x.flatten(0, 1) for x in tensors]


def take_only(inputs, name, *rules):
    """Refuses the other rules, and head dims that `name` does not have."""
    case = inputs.case
    if case.rule == "delta" and "delta" not in rules:
        raise Refused(f"{name} has no rule without a gate")
    if case.rule not in rules or case.dims != (DIM, DIM):
        raise Refused(f"{name} is called for {' and '.join(rules)} with heads of {DIM} x {DIM} alone")


# Gradients in the order in which a step is read; no rule has all of them.
STEP_RESULTS = ("q", "k", "v", "beta", "g", "a", "b")


def in_step_order(gradients):
    """The gradients, of {operand: gradient}, as `Run.read` of a step returns them."""
    return tuple(gradients[name] for name in STEP_RESULTS if name in gradients)


def autograd_step(call, inputs):
    """The `Run` of a training step of call(*operands) -> o, final states, by autograd."""
    leaves = {name: x.detach().requires_grad_() for name, x in inputs.operands.items()}
    d_o = gradient_of_o(inputs)

    def step():
        with torch.enable_grad():
            o = call(*leaves.values())[0]
            return torch.autograd.grad(o, list(leaves.values()), d_o)

    return Run(step, lambda found: in_step_order(dict(zip(leaves, found))))
