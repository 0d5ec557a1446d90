# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""torch.ops.wyvern: of each layer three more ops, which run it over the ranks of a group.
`<name>_ranks` saves nothing, `<name>_ranks_forward` what `<name>_ranks_backward` takes. What sequences start from beside
a state has a row for each slot of the rank here (sums.py), and what they end in is not returned.
"""

from __future__ import annotations

import functools
from typing import Any, Optional

import torch

from .. import _autograd, _direct, _ops
from . import runs
from .plan import SCHEMA, Plan, group_of

_SAVED = ("probes", "entering", "inner", "all_transitions")
_FIELDS = len(Plan._fields)


def _define(family: Any) -> None:
    name, signature = family.name, family.signature
    tensors = ", ".join(f"Tensor {x}" for x in signature.names)
    states = "Tensor? initial_state, Tensor? cu_seqlens"
    saved = "".join(f", Tensor {x}" for x in (*_SAVED, *(x.name for x in signature.residuals)))
    gradients = ", ".join(f"Tensor d_{x}" for x in (*signature.names, "initial_state"))
    call = f"({tensors}, {states}, bool output_final_state, {SCHEMA}) -> (Tensor o, Tensor final_state"
    for definition in (
        f"{name}_ranks{call})",
        f"{name}_ranks_forward{call}{saved})",
        f"{name}_ranks_backward({tensors}, {states}{saved}, Tensor? d_o, Tensor? d_final_state, {SCHEMA}) "
        f"-> ({gradients})",
    ):
        _ops.library.define(definition, tags=(torch.Tag.pt2_compliant_tag,))


def _fake_call(family: Any, operands: Any, initial_state: Any, cu_seqlens: Any, final: bool, *fields: Any) -> Any:
    return _ops.RUNS[""][""](family, operands, initial_state, cu_seqlens, final)[:2]


def _fake_forward(family: Any, operands: Any, initial_state: Any, cu_seqlens: Any, final: bool, *fields: Any) -> Any:
    o, state, *more = _ops.RUNS["_forward"][""](family, operands, initial_state, cu_seqlens, final)
    residuals = more[len(family.signature.totals) :]
    plan, sizes = Plan(*fields), _ops.sizes_of(family.signature, operands, cu_seqlens)
    _, heads, keys, columns = family.signature.initial_state.extents(sizes)
    segments = (sizes["batch"], plan.parts, plan.segments)
    wide = functools.partial(o.new_empty, dtype=_ops.compute_dtype(operands[0]))
    return (
        o,
        state,
        o.new_empty((*o.shape[:3], keys)),
        wide((*segments, heads, keys, columns)),
        wide((*segments, heads, keys, keys)),
        wide((group_of(plan).size() * plan.parts, sizes["batch"], heads, keys, keys)),
        *residuals,
    )


def _fake_backward(family: Any, operands: Any, initial_state: Any, *rest: Any) -> Any:
    return _ops.RUNS["_backward"][""](family, operands, initial_state, *rest)


def _setup(ctx: Any, inputs: Any, output: Any) -> None:
    *operands, initial_state, cu_seqlens, final = inputs[:-_FIELDS]
    saved = output[2:]
    ctx.mark_non_differentiable(*saved)
    ctx.set_materialize_grads(False)
    ctx.final, ctx.has_state, ctx.fields = final, initial_state is not None, inputs[-_FIELDS:]
    ctx.save_for_backward(*operands, initial_state, cu_seqlens, *saved)


def _differentiate(name: str, ctx: Any, d_o: Any, d_final_state: Any, *_: Any) -> Any:
    backward = getattr(torch.ops.wyvern, f"{name}_ranks_backward").default
    if not ctx.final:
        d_final_state = None  # of an empty tensor
    # Also without any gradient: the others wait for what this rank sends.
    *gradients, d_initial = backward(*ctx.saved_tensors, d_o, d_final_state, *ctx.fields)
    return *gradients, d_initial if ctx.has_state else None, None, None, *[None] * _FIELDS


def register(family: Any) -> Any:
    """Defines the ops of a layer that run over ranks, with fakes and derivatives."""
    _define(family)
    runs_of: dict[str, tuple[Any, Any]] = {
        "_ranks": (functools.partial(runs.forward, False), _fake_call),
        "_ranks_forward": (functools.partial(runs.forward, True), _fake_forward),
        "_ranks_backward": (runs.backward, _fake_backward),
    }
    for suffix, (run, fake) in runs_of.items():
        name = family.name + suffix
        for key in ("CUDA", "CPU"):
            _ops.library.impl(name, _ops.of_family(run, family), key)
        torch.library.register_fake(f"wyvern::{name}", _ops.of_family(fake, family), lib=_ops.library)
    of = functools.partial(torch.library.register_autograd, lib=_ops.library)
    name = f"wyvern::{family.name}_ranks"
    of(f"{name}_forward", functools.partial(_differentiate, family.name), setup_context=_setup)
    of(f"{name}_backward", _autograd.refuse(_autograd.second_derivative(family.name)))
    of(name, _autograd.refuse(f"torch.ops.{name.replace('::', '.')} saves nothing for a backward"))
    return family


def call(
    family: Any, operands: Any, initial_state: Optional[torch.Tensor], cu_seqlens: Any, final: bool, plan: Plan
) -> tuple[torch.Tensor, torch.Tensor]:
    """The op of a layer over the ranks of a plan; what it saves, it saves if there will be
    a backward."""
    if not torch.compiler.is_compiling() and torch._C._functorch.peek_interpreter_stack():
        raise NotImplementedError(
            f"{family.title}: torch.func with cp_context is not supported: ranks would not know of one another's "
            "transforms. Take torch.autograd"
        )
    tensors = (*operands, initial_state)
    saves = _direct.needs_gradient(tensors)
    if _direct.is_open(tensors) and not torch._C._is_any_autocast_enabled():
        if saves:
            return _Differentiable.apply(family, plan, cu_seqlens, final, initial_state, *operands)
        o, state = runs.forward(False, family, operands, initial_state, cu_seqlens, final, *plan)
        return o, state
    op = getattr(torch.ops.wyvern, family.name + ("_ranks_forward" if saves else "_ranks")).default
    o, state = op(*tensors, cu_seqlens, final, *plan)[:2]
    return o, state


class _Differentiable(torch.autograd.Function):
    """The op that saves for a backward, and its derivative, past torch's dispatcher (_direct.py)."""

    @staticmethod
    def forward(
        ctx: Any, family: Any, plan: Plan, cu_seqlens: Any, final: bool, initial_state: Any, *operands: Any
    ) -> Any:
        o, state, *saved = runs.forward(True, family, operands, initial_state, cu_seqlens, final, *plan)
        ctx.set_materialize_grads(False)
        ctx.family, ctx.plan, ctx.has_state = family, plan, initial_state is not None
        ctx.save_for_backward(*operands, initial_state, cu_seqlens, *saved)
        return o, state if final else None

    @staticmethod
    def backward(ctx: Any, d_o: Any, d_final_state: Any) -> Any:
        inputs, count = (*ctx.saved_tensors, d_o, d_final_state), len(ctx.family.signature.operands)
        # With create_graph the op has to say that there is no second derivative.
        if not torch.is_grad_enabled() and _direct.is_open(inputs):
            found = runs.backward(ctx.family, inputs[:count], *inputs[count:], *ctx.plan)
        else:
            found = getattr(torch.ops.wyvern, f"{ctx.family.name}_ranks_backward").default(*inputs, *ctx.plan)
        *gradients, d_initial = found
        return None, None, None, None, d_initial if ctx.has_state else None, *gradients
