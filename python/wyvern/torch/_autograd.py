# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Derivatives of the ops, outside of them: a `_forward` is differentiated by its
`_backward`, and by nothing further.

Saved are the operands, the initial state and the factor that the forward returns.
"""

import torch

from ._ops import OPERANDS, _library
from ._transforms import second_derivative


def _setup_forward(ctx, inputs, output):
    *operands, initial_state, cu_seqlens, final, v_first = inputs
    factor = output[2]
    ctx.mark_non_differentiable(factor)
    ctx.set_materialize_grads(False)
    ctx.final, ctx.v_first = final, v_first
    ctx.save_for_backward(*operands, initial_state, cu_seqlens, factor)


def _backward_of(name):
    backward = getattr(torch.ops.wyvern, f"{name}_backward").default

    def differentiate(ctx, d_o, d_final_state, _):
        *operands, initial_state, cu_seqlens, factor = ctx.saved_tensors
        if not ctx.final:
            d_final_state = None  # of an empty tensor
        if d_o is None and d_final_state is None:
            return (None,) * (len(operands) + 4)
        *gradients, d_initial = backward(
            *operands, initial_state, cu_seqlens, factor, d_o, d_final_state, ctx.v_first
        )
        d_initial = None if initial_state is None else d_initial
        return *gradients, d_initial, None, None, None

    return differentiate


def _refuse(message):
    def differentiate(ctx, *gradients):
        raise NotImplementedError(message)

    return differentiate


def _register(name):
    def register(op, backward, setup=None):
        torch.library.register_autograd(
            f"wyvern::{op}", backward, setup_context=setup, lib=_library
        )

    register(f"{name}_forward", _backward_of(name), _setup_forward)
    register(
        f"{name}_backward",
        _refuse(second_derivative(name)),
    )
    register(
        name,
        _refuse(
            f"torch.ops.wyvern.{name} saves nothing for a backward; call the functions of "
            f"wyvern.torch, or torch.ops.wyvern.{name}_forward"
        ),
    )


for _name in OPERANDS:
    _register(_name)
