# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Times a training step of the delta rules, forward and backward, against FLA.

    WYVERN_CACHE_DIR=bundles python -m benchmarks.training
    python -m benchmarks.training --only 'delta 4x4096*' --peers ''

One process, the same inputs for all (cases.py), final state requested, random gradients
of o. One autograd step through the public functions; GPU time, L2 flushed before each,
median of 30 (timing.py). FLA's gradients are compared with ours before it is timed.
"""

import argparse
import fnmatch
import sys

import torch

from .cases import Case, make_inputs
from .functions import TRAINED_PEERS, wyvern_call
from .timing import median_ms

CASES = [
    Case("delta", (4096,) * 4, 16, 16),
    Case("delta", (2048,) * 8, 16, 16),
    Case("delta", (32768,), 16, 16),
    Case("gated", (4096,) * 4, 16, 16, "strong"),
    Case("gated", (8192,) * 4, 16, 32, "strong"),
    Case("gated", (32768,), 16, 16, "strong"),
]


def step(call, leaves, d_o):
    """One forward and backward; the gradients of the leaves."""
    o = call(*leaves)[0]
    return torch.autograd.grad(o, leaves, d_o)


def compare(case, peers):
    """{name: ms, or a reason why not}; ours first."""
    inputs = make_inputs(case)
    tensors = (inputs.q, inputs.k, inputs.v, inputs.g, inputs.beta)
    leaves = [x.requires_grad_() for x in tensors if x is not None]
    d_o = torch.randn_like(inputs.v)
    ours = wyvern_call(case.rule)
    gradients = step(ours, leaves, d_o)
    times = {"wyvern": median_ms(lambda: step(ours, leaves, d_o))}
    for name in peers:
        try:
            call = TRAINED_PEERS[name](case.rule)
            for x, y in zip(gradients, step(call, leaves, d_o)):
                difference = ((x - y).float().norm() / y.float().norm()).item()
                if not difference < 3e-2:
                    raise ValueError(f"a gradient differs from ours by {difference:.1e}")
            times[name] = median_ms(lambda: step(call, leaves, d_o))
        except Exception as error:  # a peer that is missing or broken is no failure
            times[name] = f"{type(error).__name__}: {error}".splitlines()[0][:80]
    return times


def show(times):
    """`wyvern 0.2 ms, fla 0.5 ms (2.50x ours)`."""
    ours = times["wyvern"]
    words = [f"wyvern {ours:.4f} ms"]
    for name, value in times.items():
        if name != "wyvern":
            numeric = isinstance(value, float)
            words.append(f"{name} {value:.4f} ms ({value / ours:.2f}x ours)" if numeric else f"{name}: {value}")
    return ", ".join(words)


def main():
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="*", help="rows to run, as a pattern")
    parser.add_argument("--peers", default="fla", help="peers to time, of " + ", ".join(TRAINED_PEERS))
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print(f"{parser.prog}: error: torch sees no GPU", file=sys.stderr)
        return 3
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, CUDA {torch.version.cuda}")
    for case in CASES:
        if fnmatch.fnmatch(case.name, options.only):
            times = compare(case, [x for x in options.peers.split(",") if x])
            print(f"{case.name:28} {show(times)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
