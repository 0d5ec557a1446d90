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

import argparse
import fnmatch
import sys

import torch

from forward import PEERS, make_inputs, median_ms, show, wyvern_call

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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="*", help="rows to run, as a pattern")
    parser.add_argument("--peers", default=",".join(TRAINED_PEERS), help="peers to time, of " + ", ".join(TRAINED_PEERS))
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("benchmarks/training.py: error: torch sees no GPU", file=sys.stderr)
        return 3
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, CUDA {torch.version.cuda}")
    for shape in SHAPES:
        rule, batch, tokens, heads, value_heads = shape
        row = f"{rule} {batch}x{tokens} {heads}/{value_heads}"
        if fnmatch.fnmatch(row, options.only):
            times = compare(shape, [x for x in options.peers.split(",") if x])
            print(f"{row:24} {show(times)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
