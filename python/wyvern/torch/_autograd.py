# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Derivatives of the ops, outside of them: a `_forward` is differentiated by its
`_backward`, and by nothing further.

Saved are the operands, the initial state and what the forward returns for its backward.
"""

import torch

from wyvern._core.bundles import without_digest


def second_derivative(name):
    """What is said where one is asked for."""
    return (
        f"{without_digest(name)}: the second derivative is not supported: its backward has none. Leave "
        "create_graph=True out, or take it through a recurrence written in torch operations"
    )


def _setup_forward(totals):
    """What a forward with so many totals keeps."""

    def setup(ctx, inputs, output):
        *operands, initial_state, cu_seqlens, final = inputs
        residuals = output[2 + totals :]
        ctx.mark_non_differentiable(*residuals)
        ctx.set_materialize_grads(False)
        ctx.final, ctx.has_state, ctx.arity = final, initial_state is not None, len(inputs)
        ctx.save_for_backward(*operands, initial_state, cu_seqlens, *residuals)

    return setup


def _backward_of(name, totals):
    backward = getattr(torch.ops.wyvern, f"{name}_backward").default

    def differentiate(ctx, d_o, d_final_state, *more):
        if not ctx.final:
            d_final_state = None  # of an empty tensor
        d_totals = more[:totals]
        if all(d is None for d in (d_o, d_final_state, *d_totals)):
            return (None,) * ctx.arity
        # What is saved is in the order in which the backward takes it.
        *gradients, d_initial = backward(*ctx.saved_tensors, d_o, d_final_state, *d_totals)
        return *gradients, d_initial if ctx.has_state else None, None, None

    return differentiate


def refuse(message):
    def differentiate(ctx, *gradients):
        raise NotImplementedError(message)

    return differentiate


def register(library, name, totals=0):
    """Registers the derivatives of the ops of a layer, which returns so many totals beside a state."""

    def of(op, backward, setup=None):
        torch.library.register_autograd(f"wyvern::{op}", backward, setup_context=setup, lib=library)

    of(f"{name}_forward", _backward_of(name, totals), _setup_forward(totals))
    of(f"{name}_backward", refuse(second_derivative(name)))
    of(
        name,
        refuse(
            f"torch.ops.wyvern.{name} saves nothing for a backward; call the functions of "
            f"wyvern.torch, or torch.ops.wyvern.{name}_forward"
        ),
    )
