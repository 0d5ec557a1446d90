# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""x / sqrt(sum(x^2) + 1e-6) over the last dimension, as FLA's l2norm."""

import torch

EPS = 1e-6


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

    @staticmethod
    def forward(ctx, x):
        wide = _wide(x)
        r = torch.rsqrt(wide.square().sum(-1, keepdim=True) + EPS)
        y = (wide * r).to(x.dtype) if _is_narrow(x) else wide * r
        ctx.save_for_backward(y, r)
        return y

    @staticmethod
    def backward(ctx, dy):
        saved, r = ctx.saved_tensors
        y, dy = _wide(saved), _wide(dy)
        dx = r * (dy - y * (y * dy).sum(-1, keepdim=True))
        return dx.to(saved.dtype) if _is_narrow(saved) else dx


def l2norm(x):
    """In the dtype of x."""
    return _L2Norm.apply(x)
