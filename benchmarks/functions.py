# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The public functions that train, Wyvern's and its peers', with one signature:
f(rule)(q, k, v, (g,) beta, **options) -> o, final state."""

from .peers import fla


def wyvern_call(rule):
    from wyvern.torch import chunk_delta_rule, chunk_gated_delta_rule

    function = chunk_delta_rule if rule == "delta" else chunk_gated_delta_rule
    return lambda *inputs, **options: function(*inputs, **options, output_final_state=True)


def fla_call(rule):
    function = fla.function(rule)
    return lambda *inputs, **options: function(*inputs, **options, output_final_state=True)


PEER_FUNCTIONS = {"fla": fla_call}
