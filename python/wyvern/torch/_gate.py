# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Log decays: of a raw gate, and such that sums of them are exact enough."""

import torch
import torch.nn.functional as F

# Below, softplus(x) is exp(x) to the last digit.
_EXPONENTIAL = {torch.float32: -17.0, torch.float64: -37.0}


def _clamp(g):
    # exp of what is below is 0. Literals, as in _l2norm.py.
    return g.clamp(min=-746.0 if g.dtype == torch.float64 else -104.0)


class _Bounded(torch.autograd.Function):
    """clamp(min=floor), which saves its result, as the delta rule does, and not its input."""

    generate_vmap_rule = True

    @staticmethod
    def forward(g):
        return _clamp(g)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx, d):
        (g,) = ctx.saved_tensors
        # One kernel for a comparison, a copy and a fill: of decays a channel these are as long as q.
        return torch.ops.aten.threshold_backward(d, g, -746.0 if g.dtype == torch.float64 else -104.0)


def bounded(g):
    """Returns a log decay g, of any shape, of which exp is the same, but that is finite: -inf resets the state,
    and a chunk adds up its decays. The gradient of what is below the floor is 0."""
    # The Function alone costs as much host time as the rest of a call.
    return _Bounded.apply(g) if g.requires_grad and torch.is_grad_enabled() else _clamp(g)


def log_decay(g, A_log, dt_bias):
    """-exp(A_log) softplus(g + dt_bias), in the dtype of g: float32 or float64.

    As one exponential of a sum of logarithms, since either factor may leave the range of
    floats where the product does not, and then so would the gradients.
    """
    x = g if dt_bias is None else g + dt_bias.to(g.dtype)
    edge = _EXPONENTIAL[g.dtype]
    log_softplus = torch.where(x < edge, x, F.softplus(x.clamp(min=edge)).log())
    # exp(80) is finite in either dtype, and beyond the floor.
    return -(A_log.to(g.dtype) + log_softplus).clamp(max=80).exp()


def bounded_gate(g, A_log, dt_bias, lower_bound):
    """lower_bound sigmoid(exp(A_log) (g + dt_bias)), in the dtype of g; either parameter may be None, for 0."""
    x = g if dt_bias is None else g + dt_bias.to(g.dtype)
    return lower_bound * torch.sigmoid(x if A_log is None else A_log.to(g.dtype).exp() * x)
