# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The ops under torch.func: grad, vjp, jacrev, vmap and what is made of them.

A derivative that is registered with an op is not seen by torch.func, and an
autograd.Function with a setup_context is. So there are both: outside of torch.func, and
in torch.compile, the ops are called as they are.
"""

import torch
import torch.autograd.forward_ad as forward_ad

from . import _direct, _ops
from ._autograd import second_derivative
from ._saving import saving

_OPS = torch.ops.wyvern


def refuse_forward_mode(name, tensors):
    """The ops have no rule for tangents, which would silently be zero."""
    if forward_ad._current_level < 0:
        return
    if any(x is not None and forward_ad.unpack_dual(x).tangent is not None for x in tensors):
        raise NotImplementedError(
            f"{name}: forward-mode derivatives (torch.func.jvp, jacfwd, forward_ad) are not "
            "supported: the programs compute gradients. Take torch.func.vjp or jacrev, or the "
            "recurrence in torch operations, wyvern.torch.reference"
        )


def call(name, operands, initial_state, cu_seqlens, final):
    """The op of a layer on its operands: the one that saves for a backward only where
    there will be one. Returns o and final_state, of which nothing is said unless `final`, and the totals."""
    saves = _direct.needs_gradient((*operands, initial_state))
    if saves:
        family, operands = saving(_ops.family_named(name), operands)
        name = family.name
    tensors = (*operands, initial_state)
    totals = len(_ops.family_named(name).signature.totals)
    if not totals and _direct.is_open(tensors):
        family = _ops.families[name]
        if saves:
            return _direct.Differentiable.apply(_ops.gpu_forward, family, cu_seqlens, final, initial_state, *operands)
        return _ops.gpu_call(family, operands, initial_state, cu_seqlens, final)
    inputs = (*tensors, cu_seqlens, final)
    # torch.compile traces neither the question nor what torch.func does.
    if not torch.compiler.is_compiling() and torch._C._functorch.peek_interpreter_stack():
        return (_Forward if saves else _Inference).apply(name, *inputs)[: 2 + totals]
    op = getattr(_OPS, f"{name}_forward" if saves else name)
    return op.default(*inputs)[: 2 + totals]


# === vmap ===


def _fold(x, dim, size):
    """The mapped dimension as a part of the batch, the first one."""
    if not isinstance(x, torch.Tensor):
        return x
    mapped = x.unsqueeze(0).expand(size, *x.shape) if dim is None else x.movedim(dim, 0)
    return mapped.flatten(0, 1)


def _unfold(y, size):
    # What is not wanted is empty, of one dimension.
    return y.unflatten(0, (size, -1)) if y.dim() > 1 else y.new_empty(size, 0)


def _select(x, dim, i):
    return x if dim is None else x.select(dim, i)


def _map(run, info, in_dims, name, inputs):
    """`run` on mapped inputs. Sequences are rows of the batch, and so are mapped ones; but
    packed ones (cu_seqlens is not None) are run one after the other, and so are layers with
    parameters."""
    size, in_dims = info.batch_size, in_dims[1:]
    signature = _ops.families[name].signature
    cu_seqlens = inputs[len(signature.operands) + 1]
    if cu_seqlens is None and not signature.has_parameters():
        outputs = run(name, *(_fold(x, dim, size) for x, dim in zip(inputs, in_dims)))
        return tuple(_unfold(y, size) for y in outputs), (0,) * len(outputs)
    each = [run(name, *(_select(x, dim, i) for x, dim in zip(inputs, in_dims))) for i in range(size)]
    return tuple(map(torch.stack, zip(*each))), (0,) * len(each[0])


# === The ops as functions that torch.func knows ===


class _Inference(torch.autograd.Function):
    """The op where nothing requires a gradient at the level of torch.func that calls it."""

    @staticmethod
    def forward(name, *inputs):
        return getattr(_OPS, name).default(*inputs)

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def vmap(info, in_dims, name, *inputs):
        # Below the level of a vmap something may require a gradient.
        run = lambda name, *inputs: call(name, inputs[:-3], *inputs[-3:])
        return _map(run, info, in_dims, name, inputs)


class _Forward(torch.autograd.Function):
    @staticmethod
    def forward(name, *inputs):
        return getattr(_OPS, f"{name}_forward").default(*inputs)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.name, *tensors, ctx.final = inputs
        ctx.totals = len(_ops.families[ctx.name].signature.totals)
        residuals = output[2 + ctx.totals :]
        ctx.has_state = tensors[-2] is not None
        ctx.mark_non_differentiable(*residuals)
        ctx.save_for_backward(*tensors, *residuals)

    @staticmethod
    def backward(ctx, d_o, d_final_state, *more):
        d_final_state = d_final_state if ctx.final else None  # else of an empty tensor
        d_totals = more[: ctx.totals]
        *gradients, d_initial = _Backward.apply(ctx.name, *ctx.saved_tensors, d_o, d_final_state, *d_totals)
        return None, *gradients, d_initial if ctx.has_state else None, None, None

    @staticmethod
    def vmap(info, in_dims, name, *inputs):
        return _map(_Forward.apply, info, in_dims, name, inputs)


class _Backward(torch.autograd.Function):
    @staticmethod
    def forward(name, *inputs):
        return getattr(_OPS, f"{name}_backward").default(*inputs)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.name = inputs[0]

    @staticmethod
    def backward(ctx, *_):
        raise NotImplementedError(second_derivative(ctx.name))

    @staticmethod
    def vmap(info, in_dims, name, *inputs):
        return _map(_Backward.apply, info, in_dims, name, inputs)
