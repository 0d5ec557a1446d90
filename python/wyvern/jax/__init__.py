# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Layers as JAX functions, served by compiled Wyvern programs: `op` of any spec.

With gradients, but for second derivatives; under jit, grad, vmap, scan, checkpoint and
shard_map. XLA calls the programs through its FFI, on its own stream or thread: nothing
goes through Python when a compiled function runs.
"""

from ._op import Op, op

__all__ = ["Op", "op"]
