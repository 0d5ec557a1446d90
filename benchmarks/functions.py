# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The public functions that train, Wyvern's and its peers', with one signature:
f(rule)(q, k, v, (g,) beta, **options) -> o, final state."""

from .peers import fla
from .rules import RULES


def wyvern_function(rule):
    """The public function of a rule."""
    import wyvern.torch

    return getattr(wyvern.torch, RULES[rule].public)


def _returning_states(function):
    return lambda *inputs, **options: function(*inputs, **options, output_final_state=True)


def wyvern_call(rule):
    return _returning_states(wyvern_function(rule))


def fla_call(rule):
    return _returning_states(fla.function(rule))


PEER_FUNCTIONS = {"fla": fla_call}
