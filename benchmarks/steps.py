# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Wyvern's training steps (base.py of peers has what is a step)."""

from .bundles import bundle_name, unpacked
from .functions import wyvern_function
from .peers.base import autograd_step
from .rules import call_of


def of_functions(inputs):
    """The public functions."""
    options = {"initial_state": inputs.initial_state, "cu_seqlens": inputs.cu_seqlens}
    return autograd_step(call_of(wyvern_function(inputs.case.rule), inputs.case, inputs.scale, **options), inputs)


def of_bundles(path):
    """The function `prepare(inputs)` of a folder or .zip of training bundles."""
    folder = unpacked(path)

    def prepare(inputs):
        import wyvern
        from wyvern.torch import op

        layer = op(wyvern.load(folder / bundle_name(inputs.case)))
        order = [list(inputs.operands).index(name) for name in layer.operands]
        options = {"initial_state": inputs.initial_state, "cu_seqlens": inputs.cu_seqlens}

        def call(*operands):
            return layer(*(operands[i] for i in order), **options, output_final_state=True)

        return autograd_step(call, inputs)

    return prepare
