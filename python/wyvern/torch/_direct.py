# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Calls on a GPU that go to the program past torch's dispatcher.

An op of torch.library that is written in Python costs half of a call's host time. It is
there for what traces, transforms, records or intercepts calls; where none of that is at
work, the program is called as the op would call it, with the same bits.
"""

import operator

import torch
import torch.autograd.forward_ad as forward_ad

from . import _ops, _tensors
from ._gate import bounded
from ._programs import loaded
from ._saving import saving_if_known

# What is no subclass: a subclass may want to see the call.
_TYPES = (torch.Tensor, torch.nn.Parameter)


def is_traced():
    """Whether torch sees a call before it runs: a compiler has kernels of its own around an op, and of transformed
    tensors it is not known what gradients they want."""
    return torch.compiler.is_compiling() or torch._C._functorch.peek_interpreter_stack() is not None


def is_quiet():
    """Whether nothing but programs has to see what this thread does with tensors."""
    return (
        not torch.compiler.is_compiling()
        and not torch._C._len_torch_dispatch_stack()  # fake tensors, selective checkpoints, ...
        and not torch._C._len_torch_function_stack()
        and not torch._C._functorch.peek_interpreter_stack()
        and not torch._C._get_tracing_state()  # torch.jit.trace
        and not torch._C._autograd._profiler_enabled()  # which shows ops by name
        and forward_ad._current_level < 0
    )


def _is_plain(x):
    """Whether a tensor's memory holds its values, and no subclass has to see what is done with it."""
    return type(x) in _TYPES and not x.is_neg()


def is_open(tensors):
    """Whether these tensors of a GPU hold their values, and nothing but the program has to
    see what this thread does with them."""
    if not is_quiet() or not _tensors.is_gpu(tensors[0].device):
        return False
    for x in tensors:  # all() of a generator takes twice as long
        if x is not None and not _is_plain(x):
            return False
    return True


def needs_gradient(tensors):
    """Whether a backward has to be recorded."""
    if torch.is_grad_enabled():
        for x in tensors:
            if x is not None and x.requires_grad:
                return True
    return False


def attempt(family, operands, initial_state, cu_seqlens, final):
    """Returns o and final_state (None where it is not wanted) of operands of which nothing
    is known. Returns None where they are not the simplest that the layer takes, or its
    program has not been loaded: this checks nothing that the program does not, and so has
    nothing to say about what is wrong."""
    if family.signature.totals or not is_quiet() or torch._C._is_any_autocast_enabled():
        return None
    for x in operands:
        if not _is_plain(x):
            return None
    if not _tensors.is_gpu(operands[0].device) or (initial_state is not None and not _is_plain(initial_state)):
        return None
    tensors = (*operands, initial_state)
    saves = needs_gradient(tensors)
    if saves:
        ops = saving_if_known(family, operands)
        if ops is None:
            return None
        family, operands = ops
    program = loaded(family, operands, saves)
    if program is None:
        return None
    if cu_seqlens is not None:
        if not isinstance(cu_seqlens, torch.Tensor):
            return None
        _tensors.expect_zero_first(cu_seqlens)
    way = _way(family, program)
    operands = way.converted(operands)
    if initial_state is not None:
        initial_state = _tensors.widen(initial_state)
    try:
        if saves:
            return Differentiable.apply(way.run, family, cu_seqlens, final, initial_state, *operands)
        return way.run(family, operands, initial_state, cu_seqlens, final)[:2]
    except _NotAsIs:
        return None


class _NotAsIs(Exception):
    """The program does not take the operands as they are."""


class _Way:
    """How the operands of a layer go to its program, and what of its outputs comes back where: asked for
    once, since a call would take longer to find it out than the launch of a kernel."""

    def __init__(self, family, program):
        signature = family.signature
        given = (*signature.names, "initial_state")
        # What there is not is behind the last one.
        self._inputs = _picker([given.index(x) if x in given else len(given) for x in program.inputs])
        made = list(program.outputs)
        wanted = ("o", "final_state", *program.residuals)
        self._outputs = _picker([made.index(x) if x in made else len(made) for x in wanted])
        self._without_state = () if signature.final_state is None else ("final_state",)
        self._wide = [(i, x.needs_bound) for i, x in enumerate(signature.operands) if not x.is_narrow]
        self._program = program

    def converted(self, operands):
        """Returns operands with rates and log decays in the program's type, these made finite."""
        operands = list(operands)
        for i, needs_bound in self._wide:
            x = _tensors.widen(operands[i])
            operands[i] = bounded(x) if needs_bound else x
        return operands

    def run(self, family, operands, initial_state, cu_seqlens, final):
        """Returns o, final_state and what is saved; raises _NotAsIs."""
        inputs = self._inputs((*operands, initial_state, None))
        outputs = self._program.run_as_is(_tensors, inputs, cu_seqlens, () if final else self._without_state)
        if outputs is None:
            raise _NotAsIs
        return self._outputs((*outputs, None))


def _picker(indices):
    """Returns the function of a tuple that has its entries at two indices or more."""
    return operator.itemgetter(*indices)


_ways: dict[tuple[str, object], _Way] = {}  # by layer and program, which stay


def _way(family, program):
    key = family.name, program
    way = _ways.get(key)
    if way is None:
        way = _ways[key] = _Way(family, program)
    return way


class Differentiable(torch.autograd.Function):
    """The op that saves for a backward, and its derivative, as _autograd registers them."""

    @staticmethod
    def forward(ctx, run, family, cu_seqlens, final, initial_state, *operands):
        o, final_state, *residuals = run(family, operands, initial_state, cu_seqlens, final)
        ctx.set_materialize_grads(False)
        ctx.family, ctx.has_state = family, initial_state is not None
        ctx.save_for_backward(*operands, initial_state, cu_seqlens, *residuals)
        return o, final_state if final else None

    @staticmethod
    def backward(ctx, d_o, d_final_state):
        if d_o is None and d_final_state is None:
            return (None,) * (5 + len(ctx.family.signature.operands))
        *gradients, d_initial = _backward(ctx.family, (*ctx.saved_tensors, d_o, d_final_state))
        return None, None, None, None, d_initial if ctx.has_state else None, *gradients


def _backward(family, inputs):
    # With create_graph the op has to say that there is no second derivative.
    if not torch.is_grad_enabled() and is_open(inputs):
        count = len(family.signature.operands)
        return _ops.gpu_backward(family, inputs[:count], *inputs[count:])
    return getattr(torch.ops.wyvern, f"{family.name}_backward").default(*inputs)
