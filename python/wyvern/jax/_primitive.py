# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The JAX primitive that is a call of a program.

    inference   (operands, initial_state, cu_seqlens) -> (o, final_state, totals)
    forward     the same                              -> (o, final_state, totals, what is saved)
    backward    (operands, initial_state, cu_seqlens, what is saved, d_o, d_final_state, d_totals)
                -> (d_operands, d_initial_state)

The arity is fixed: what is not given, or not wanted, has the shape [0]. A primitive of
our own and not jax.ffi.ffi_call, since the platform is known only where JAX lowers, and
since a mapped dimension becomes a part of the batch.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple, Optional

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from wyvern import _rt
from wyvern._core.signature import Argument

from . import _programs
from ._family import Family, compute_dtype, sizes_of, type_of

call_p = Primitive("wyvern_call")
call_p.multiple_results = True


class Call(NamedTuple):
    """What is known of a call when it is traced."""

    family: Family
    part: str  # inference, forward or backward
    final: bool  # the final state, or its gradient, is wanted or given
    state: bool  # there is an initial state

    @property
    def operand_names(self) -> tuple[str, ...]:
        """The names of the arguments, in their order."""
        signature = self.family.signature
        names = (*signature.names, "initial_state", "cu_seqlens")
        if self.part != "backward":
            return names
        totals = (f"d_{x.name}" for x in signature.totals)
        return (*names, *(x.name for x in signature.residuals), "d_o", "d_final_state", *totals)

    @property
    def results(self) -> tuple[tuple[str, Optional[Argument], bool], ...]:
        """The results in their order: the name, what it has the type of, whether it is wanted. Of a layer without states
        theirs are not, and have no type."""
        signature = self.family.signature
        if self.part == "backward":
            gradients = [(f"d_{x.name}", x, not x.is_constant) for x in signature.operands]
            return (*gradients, ("d_initial_state", signature.initial_state, self.state))
        saved = signature.residuals if self.part == "forward" else ()
        own = [("o", signature.o, True), ("final_state", signature.final_state, self.final)]
        return (*own, *((x.name, x, True) for x in (*signature.totals, *saved)))


def absent(dtype: Any) -> jax.Array:
    """Returns what stands for an array that is not given."""
    return jnp.zeros((0,), dtype)


def _types(call: Call, arguments: Sequence[Any]) -> list[tuple[tuple[int, ...], Any]]:
    """Returns the shapes and dtypes of the results."""
    signature = call.family.signature
    sizes = sizes_of(signature, arguments, arguments[len(signature.operands) + 1])
    q = arguments[0]
    return [
        type_of(argument, q, sizes) if wanted and argument else ((0,), compute_dtype(q))
        for _, argument, wanted in call.results
    ]


@call_p.def_abstract_eval
def _abstract_eval(*arguments: Any, call: Call) -> list[Any]:
    # From q's, so that what shard_map knows of it is known of the results.
    mesh = jax.sharding.NamedSharding(jax.sharding.get_abstract_mesh(), jax.sharding.PartitionSpec())
    return [
        arguments[0].update(shape=shape, dtype=dtype, weak_type=False, sharding=mesh)
        for shape, dtype in _types(call, arguments)
    ]


@functools.lru_cache(maxsize=None)
def _compiled(call: Call) -> Any:
    return jax.jit(lambda *arguments: call_p.bind(*arguments, call=call))


@call_p.def_impl
def _run(*arguments: Any, call: Call) -> Any:
    return _compiled(call)(*arguments)


# === Lowering ===


def _lower(target: str, call: Call, registered: Any, scratch: Sequence[Any], ctx: Any, values: Any) -> Any:
    """Lowers to XLA's custom call, with the program's tensors in the program's order."""
    program = registered.program
    given = dict(zip(call.operand_names, zip(values, ctx.avals_in)))
    results = [name for name, *_ in call.results]
    wanted = dict(zip(results, ctx.avals_out))
    # Those of a GPU's program do not name cu_seqlens, which is last there.
    inputs = [given[name] for name in dict.fromkeys((*program.inputs, "cu_seqlens"))]
    outputs = [*(wanted[name] for name in program.outputs), *scratch]
    lowered = jax.ffi.ffi_lowering(target)(
        ctx.replace(avals_in=[aval for _, aval in inputs], avals_out=outputs),
        *(value for value, _ in inputs),
        program=registered.name,
    )
    by_name = dict(zip(program.outputs, lowered))
    # What has no gradient is not wanted, and no program gives it.
    for name in wanted.keys() - by_name.keys():
        by_name[name] = mlir.ir_constant(np.zeros((0,), wanted[name].dtype))
    return [by_name[name] for name in results]


def _lower_for_cpu(ctx: Any, *operands: Any, call: Call) -> Any:
    registered = _programs.on_cpu(call.family, ctx.avals_in[0].dtype, call.part)
    return _lower(_programs.CPU_TARGET, call, registered, (), ctx, operands)


def _lower_for_gpu(ctx: Any, *operands: Any, call: Call) -> Any:
    """Adds a workspace to the results. XLA's scratch memory is no place for it: a captured
    call would be replayed when it is somebody else's."""
    registered = _programs.on_gpu(call.family, ctx.avals_in[0].dtype, call.part)
    cu_seqlens = ctx.avals_in[call.operand_names.index("cu_seqlens")]
    sizes = sizes_of(call.family.signature, ctx.avals_in, cu_seqlens)
    packed = cu_seqlens.shape[0] - 1
    if not all(isinstance(n, int) for n in (*sizes.values(), packed)):
        raise NotImplementedError(
            f"{call.family.spec['name']}: expected sizes that are known when JAX lowers for a GPU, since "
            f"the workspace is as large as they say; found {sizes['batch']} x {sizes['tokens']} tokens"
        )
    size = registered.program.workspace_size(sizes["batch"], sizes["tokens"], packed)
    scratch = jax.core.ShapedArray((size + _rt.WORKSPACE_ALIGNMENT,), jnp.uint8)
    return _lower(_programs.GPU_TARGET, call, registered, (scratch,), ctx, operands)


def _lower_for_others(ctx: Any, *operands: Any, call: Call) -> Any:
    raise NotImplementedError(
        f"{call.family.spec['name']}: expected the platform cpu or cuda, found "
        f"{', '.join(ctx.module_context.platforms)}, for which there are no programs"
    )


mlir.register_lowering(call_p, _lower_for_cpu, platform="cpu")
mlir.register_lowering(call_p, _lower_for_gpu, platform="cuda")
mlir.register_lowering(call_p, _lower_for_others)


# === Transformations ===


def _refuse_derivative(primals: Any, tangents: Any, *, call: Call) -> Any:
    raise NotImplementedError(
        f"{call.family.spec['name']}: the second derivative is not supported: its backward has none. "
        "Take it through a recurrence written in jax.numpy"
    )


ad.primitive_jvps[call_p] = _refuse_derivative


def _fold(x: Any, dim: Any, size: int) -> Any:
    """Returns the mapped dimension as a part of the batch, the first one."""
    if x.shape == (0,) and dim is None:
        return x
    x = jnp.broadcast_to(x, (size, *x.shape)) if dim is None else jnp.moveaxis(x, dim, 0)
    return x.reshape(-1, *x.shape[2:])


def _batch(arguments: Sequence[Any], dims: Sequence[Any], *, call: Call) -> Any:
    """Sequences are rows of the batch, and so are mapped ones; but packed ones are run one
    after the other, and so are layers with parameters."""
    size = next(x.shape[dim] for x, dim in zip(arguments, dims) if dim is not None)
    packed = arguments[call.operand_names.index("cu_seqlens")]
    if packed.size == 0 and not call.family.signature.has_parameters():
        outputs = call_p.bind(*(_fold(x, dim, size) for x, dim in zip(arguments, dims)), call=call)
        is_whole = [wanted for *_, wanted in call.results]
        outputs = [y.reshape(size, -1, *y.shape[1:]) if whole else y for y, whole in zip(outputs, is_whole)]
        return outputs, [0 if whole else None for whole in is_whole]
    mapped = [jnp.moveaxis(x, dim, 0) for x, dim in zip(arguments, dims) if dim is not None]

    def one(rows: list[Any]) -> Any:
        rest = iter(rows)
        return call_p.bind(*(x if dim is None else next(rest) for x, dim in zip(arguments, dims)), call=call)

    outputs = jax.lax.map(one, mapped)
    return outputs, [0] * len(outputs)


batching.primitive_batchers[call_p] = _batch
