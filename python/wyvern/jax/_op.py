# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`wyvern.jax.op`: any spec as a function of arrays."""

from __future__ import annotations

from typing import Any, Optional, Union

import jax
import jax.numpy as jnp

import wyvern
from wyvern._core.op import bind, own_names, part_of, python_signature, read_spec, refuse_states, shapes_in_words, split_state
from wyvern._core.specs import Spec

from ._arguments import check_sequences, check_shapes, convert, expect_arrays, start
from ._family import Family, compute_dtype, family_of
from ._sharding import align, of_local_heads
from ._vjp import call


class Op:
    """A layer as a function of arrays, made by `op`.

    op(*operands, initial_state=None, cu_seqlens=None, output_final_state=False)

    operands
        In the order of `op.operands`, or by name; the shapes are in `op.shapes`. Keys,
        values and q are of one type, bfloat16 or float16 (on the CPU also float32 and
        float64); rates and log decays of any floating-point type, none above 0 for a log
        decay.
    initial_state
        [N, value heads, K, V]; None is zeros. A layer whose spec says `resume: true` goes on from a
        dict, such as {"state": ..., "phi": ...} with the last angles of a running sum phi, or
        {"state": ..., "positions": ...} of a layer with levels, and so is final_state; what is left
        out is zero.
    cu_seqlens
        int32 or int64 [N + 1]: the one batch row holds N sequences. Rows of o past the
        last offset are zero.

    Returns (o [B, T, value heads, V] in q's type, final_state [N, value heads, K, V] in
    float32, or float64 beside float64; None without output_final_state).

    Raises TypeError for names and types, ValueError for shapes, NotImplementedError for
    second derivatives and where there is no program for the platform, and
    wyvern.CompileError where the layer has no kernel; the last two when JAX compiles.
    What only the values tell, offsets that leave the tokens and log decays above 0, the
    CPU refuses when it runs (jax.errors.JaxRuntimeError).
    """

    def __init__(self, family: Family, source: Any):
        self._family, self._source = family, source
        self.spec = family.spec
        self.__name__ = self.name = self.spec["name"]
        self.operands = own_names(family.signature)
        self.shapes = shapes_in_words(family.signature)
        self.__signature__ = python_signature(self.operands)

    def __repr__(self) -> str:
        return f"<wyvern op {self.name}{self.__signature__}>"

    def __reduce__(self) -> Any:
        return op, (self._source,)

    def __call__(
        self,
        /,
        *operands: Any,
        initial_state: Any = None,
        cu_seqlens: Any = None,
        output_final_state: bool = False,
        **named: Any,
    ) -> tuple[jax.Array, Any]:
        name = self.name
        arrays = bind(name, self.operands, operands, named)
        expect_arrays(name, **dict(zip(self.operands, arrays)))
        family = of_local_heads(self._family, arrays[0])
        refuse_states(name, family.signature, initial_state, output_final_state)
        initial_state, given = split_state(name, family.signature, initial_state)
        sizes = check_shapes(name, family.signature.operands, arrays)
        sizes["sequences"] = check_sequences(name, sizes["batch"], cu_seqlens)
        starts = start(name, family.signature.starts, given, arrays[0], sizes)
        arrays = convert(name, family.signature.operands, (*arrays, *starts))
        taken = family.signature.initial_state
        if initial_state is not None and taken is not None:
            expect_arrays(name, initial_state=initial_state)
            check_shapes(name, (taken,), (initial_state,), sizes)
            initial_state = jnp.asarray(initial_state, compute_dtype(arrays[0]))
        if cu_seqlens is not None:
            cu_seqlens = jnp.asarray(cu_seqlens)
        *aligned, initial_state, cu_seqlens = align(*arrays, initial_state, cu_seqlens)
        o, state, totals = call(family, bool(output_final_state), tuple(aligned), initial_state, cu_seqlens)
        if state is None or not starts:
            return o, state
        ends = {part_of(x.name): total for x, total in zip(family.signature.totals, totals)}
        if "positions" in family.signature.names:
            tokens = sizes["tokens"] if cu_seqlens is None else jnp.diff(cu_seqlens)
            ends["positions"] = aligned[-1] + tokens
        return o, {"state": state} | ends


def op(source: Union[Spec, "wyvern.Program"], *, layer: Optional[str] = None) -> Op:
    """Makes a layer a differentiable function of arrays, on a GPU and on the CPU.

    source
        A spec, as `wyvern.compile` takes it (a path to YAML or to a model's config.json,
        text, or a dict): programs are compiled when JAX first compiles a call of it, for
        the type of the arrays. Or a program that `wyvern.load` returned: it serves GPUs,
        and its spec the CPU.
    layer
        Which layer, by name, where a config.json has several.

    The same spec gives the same op. Raises wyvern.CompileError for the spec, ImportError
    where a spec needs the compiler and it is not installed, TypeError and ValueError for
    what is neither.
    """
    spec = read_spec(source, layer)
    bundle = source if isinstance(source, wyvern.Program) else None
    return Op(family_of(spec, bundle), spec if bundle is None else bundle)
