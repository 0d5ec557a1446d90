# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""x / sqrt(sum(x^2) + 1e-6) over the last dimension, as FLA's l2norm."""

import torch

# A cast to the dtype that a tensor has already is left out: inside of a Function, torch
# 2.11 loses track of its result under torch.compile, and the gradient becomes zeros.


def _is_narrow(x):
    return x.dtype in (torch.bfloat16, torch.float16)


def _wide(x):
    return x.float() if _is_narrow(x) else x


class _L2Norm(torch.autograd.Function):
    """In float32 (float64 for float64) and rounded once. Saved are the result, which
    the delta rule saves anyway, and one number a row: y = r x gives
    dx = r (dy - y (y . dy)), with any eps."""

    # With a setup_context torch.func and torch.compile(dynamic=True) take it.
    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        wide = _wide(x)
        # A literal: of a global float torch.compile(dynamic=True) makes a symbol, which
        # it then fails to bring into the Function.
        r = torch.rsqrt(wide.square().sum(-1, keepdim=True) + 1e-6)
        return (wide * r).to(x.dtype) if _is_narrow(x) else wide * r, r

    @staticmethod
    def setup_context(ctx, inputs, output):
        y, r = output
        ctx.mark_non_differentiable(r)
        ctx.save_for_backward(y, r)

    @staticmethod
    def backward(ctx, dy, _):
        saved, r = ctx.saved_tensors
        y, dy = _wide(saved), _wide(dy)
        dx = r * (dy - y * (y * dy).sum(-1, keepdim=True))
        return dx.to(saved.dtype) if _is_narrow(saved) else dx


def l2norm(x):
    """In the dtype of x."""
    return _L2Norm.apply(x)[0]
