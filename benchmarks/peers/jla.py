# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""jax-linear-attention: Pallas Mosaic GPU kernels, compiled at the first call of each
shape. JAX has a stream of its own: its time is the wall time of calls in a row, the L2
cache not flushed, which is in its favour."""

import os
import time

import torch

from ..cases import gradient_of_o
from ..rules import RULES
from .base import Refused, Run, in_step_order

CALLS = 10


def _rule(inputs):
    """jla's function of {name: array}, and these arrays."""
    case = inputs.case
    if not case.dense:
        raise Refused("jla takes packed sequences by segment numbers alone")
    rule = RULES[case.rule]
    if not rule.jla:
        raise Refused(f"jla's rows of {case.rule} lie otherwise")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    import jax
    from jla.ops import linear_attention

    names = dict(rule.jla_names)
    options = {"impl": "mosaic_gpu", "scale": inputs.scale, "output_final_state": True}
    if inputs.initial_state is not None:
        options["initial_state"] = jax.dlpack.from_dlpack(inputs.initial_state)
    arrays = {name: jax.dlpack.from_dlpack(x) for name, x in inputs.operands.items()}

    def call(arrays):
        return linear_attention(rule.jla, **{names.get(name, name): x for name, x in arrays.items()}, **options)

    return call, arrays


def _run(function, arrays, read):
    """The `Run` of a jitted function of arrays."""
    import jax

    def call():
        return jax.block_until_ready(function(*arrays))

    def clock():
        start = time.perf_counter()
        results = [function(*arrays) for _ in range(CALLS)]
        jax.block_until_ready(results)
        return (time.perf_counter() - start) / CALLS * 1e3

    return Run(call, read, clock=clock)


def prepare(inputs):
    rule, arrays = _rule(inputs)
    import jax

    return _run(jax.jit(rule), (arrays,), lambda result: tuple(torch.from_dlpack(x) for x in result))


def prepare_step(inputs):
    rule, arrays = _rule(inputs)
    import jax

    @jax.jit
    def step(arrays, d_o):
        (_, states), backward = jax.vjp(rule, arrays)
        return backward((d_o, jax.numpy.zeros_like(states)))[0]

    d_o = jax.dlpack.from_dlpack(gradient_of_o(inputs))
    return _run(
        step, (arrays, d_o), lambda found: in_step_order({name: torch.from_dlpack(x) for name, x in found.items()})
    )
