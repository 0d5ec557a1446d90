# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""jax-linear-attention: Pallas Mosaic GPU kernels, compiled at the first call of each
shape. JAX has a stream of its own: its time is the wall time of calls in a row, the L2
cache not flushed, which is in its favour."""

import os
import time

from .base import Refused, Run

CALLS = 10


def prepare(inputs):
    case = inputs.case
    if not case.dense:
        raise Refused("jla takes packed sequences by segment numbers alone")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    import jax
    import torch
    from jla.ops import linear_attention

    kind = "deltanet" if inputs.g is None else "gated_deltanet"
    tensors = {"q": inputs.q, "k": inputs.k, "v": inputs.v, "beta": inputs.beta}
    tensors |= {"g": inputs.g, "initial_state": inputs.initial_state}
    arrays = {name: jax.dlpack.from_dlpack(x) for name, x in tensors.items() if x is not None}

    @jax.jit
    def run(arrays):
        return linear_attention(
            kind, **arrays, impl="mosaic_gpu", scale=inputs.scale, output_final_state=True
        )

    def call():
        return jax.block_until_ready(run(arrays))

    def clock():
        start = time.perf_counter()
        results = [run(arrays) for _ in range(CALLS)]
        jax.block_until_ready(results)
        return (time.perf_counter() - start) / CALLS * 1e3

    return Run(call, lambda result: tuple(torch.from_dlpack(x) for x in result), clock=clock)
