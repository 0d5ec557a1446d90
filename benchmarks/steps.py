# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Wyvern's training steps (base.py of peers has what is a step)."""

import functools

from .bundles import bundle_name, unpacked
from .functions import wyvern_call
from .peers.base import autograd_step


def of_functions(inputs):
    """The public functions."""
    call = wyvern_call(inputs.case.rule)
    return autograd_step(functools.partial(call, initial_state=inputs.initial_state, cu_seqlens=inputs.cu_seqlens), inputs)


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
