# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What programs of both kinds say about gradients."""

import sys

# What a forward may save for its backward, as `wyvernc --save`.
SAVED = ("factor", "checkpoints", "none")


def refuse_grad(name, values):
    """A program is no autograd function: a gradient that silently goes missing must be
    an error."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.is_grad_enabled():
        return
    if any(isinstance(x, torch.Tensor) and x.requires_grad for x in values):
        raise NotImplementedError(
            f"{name}: an input requires grad, but a program records no autograd graph. For "
            "gradients call the functions of wyvern.torch, or compile with training=True and "
            "call program.backward; else call it under torch.no_grad(), or detach the inputs"
        )


class HasBackward:
    """The part of a program that is about its backward."""

    _backward = None

    @property
    def backward(self):
        """The program of the gradients: called with inputs, residuals and `d_<output>`
        by name, it returns `d_<input>` by name."""
        if self._backward is None:
            raise AttributeError(
                f"{self.name} was compiled without its backward; compile it with "
                "wyvern.compile(spec, training=True) or wyvernc --training"
            )
        return self._backward


def check_choice(training, save):
    """`save` for the compiler."""
    if save is None:
        return SAVED[0]
    if not training:
        raise ValueError("save: it says what training saves; add training=True, or leave it out")
    if save not in SAVED:
        raise ValueError(f"save: expected {', '.join(SAVED)}, found {save!r}")
    return save
