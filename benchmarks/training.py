#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Times a training step of the delta rules, forward and backward, against FLA.

    WYVERN_CACHE_DIR=bundles python3 benchmarks/training.py
    python3 benchmarks/training.py --only 'delta 4x4096*' --peers ''

One process, the same inputs for all: bf16, K = V = 128, unit-norm q and k, beta uniform
in (0, 1), the gate logsigmoid(N(0, 1) + 3), final state requested, random gradients of
o. One autograd step through the public functions; CUDA events, L2 flushed before each,
median of 30 (forward.py). FLA's gradients are compared with ours before it is timed.
$PEERS_A may name a folder with FLA's unpacked wheels.
"""

import sys

import torch

from forward import PEERS, make_inputs, median_ms, run_rows, wyvern_call

# rule, sequences, tokens, key heads, value heads
SHAPES = [
    ("delta", 4, 4096, 16, 16),
    ("delta", 8, 2048, 16, 16),
    ("delta", 1, 32768, 16, 16),
    ("gated", 4, 4096, 16, 16),
    ("gated", 4, 8192, 16, 32),
    ("gated", 1, 32768, 16, 16),
]
TRAINED_PEERS = ("fla",)


def step(call, leaves, d_o):
    """One forward and backward; the gradients of the leaves."""
    o = call(*leaves)[0]
    return torch.autograd.grad(o, leaves, d_o)


def compare(shape, peers):
    """{name: ms, or a reason why not}; ours first."""
    leaves = [x.requires_grad_() for x in make_inputs(*shape)]
    d_o = torch.randn_like(leaves[2])
    ours = wyvern_call(shape[0])
    gradients = step(ours, leaves, d_o)
    times = {"wyvern": median_ms(lambda: step(ours, leaves, d_o))}
    for name in peers:
        try:
            call = PEERS[name](shape[0])
            for x, y in zip(gradients, step(call, leaves, d_o)):
                difference = ((x - y).float().norm() / y.float().norm()).item()
                if not difference < 3e-2:
                    raise ValueError(f"a gradient differs from ours by {difference:.1e}")
            times[name] = median_ms(lambda: step(call, leaves, d_o))
        except Exception as error:  # a peer that is missing or broken is no failure
            times[name] = f"{type(error).__name__}: {error}".splitlines()[0][:80]
    return times


def main():
    return run_rows(__doc__, SHAPES, TRAINED_PEERS, compare)


if __name__ == "__main__":
    sys.exit(main())
