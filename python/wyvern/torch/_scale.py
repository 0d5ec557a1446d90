# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A scale that is not the programs' own."""

import torch

# The largest number of a row of q that goes into a program in float16: between these
# powers of two, far from both ends of the type's range.
_SMALLEST, _LARGEST = -6, 14


def _excess(q, ratio):
    """By which powers of two the rows of ratio * q leave the range, [B, T, H, 1]."""
    largest = q.detach().float().abs().amax(-1, keepdim=True) * abs(ratio)
    # A row of zeros, and a ratio of 0, leave nothing.
    exponent = largest.clamp(min=2.0**-100).log2().floor()
    return (exponent - exponent.clamp(_SMALLEST, _LARGEST)) * (largest > 0)


def rescaled(call, q, ratio, values):
    """Returns what `call(q)` gives, an o and a state, with o times ratio. `values` is the
    number of value heads, a multiple of q's heads.

    In float16 the ratio goes into q: o, which is linear in q, is rounded where it has its
    size, and neither overflows nor loses digits on the way to it. What a row of q has no
    room for is a power of two, which o takes exactly. Other types have room for any o.
    """
    if abs(ratio - 1) < 1e-6:
        return call(q)
    if q.dtype != torch.float16:
        o, state = call(q)
        return o * ratio, state
    excess = _excess(q, ratio)
    o, state = call((q.float() * ratio * torch.exp2(-excess)).to(q.dtype))
    excess = excess.repeat_interleave(values // q.shape[2], 2)
    return (o.float() * torch.exp2(excess)).to(o.dtype), state
