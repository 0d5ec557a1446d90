# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Times the variants of a bundle that trains: its forward and its backward, each apart.

    wyvernc layer.yaml --training --save=states -o layer.wyvern     # where the compiler is
    python -m benchmarks.variants layer.wyvern 4x4096 4x8192        # on the GPU machine

Inputs are those of cases.py, with a random initial state and random gradients. GPU time,
L2 flushed before each call, variants in turns, median of 30 (timing.py); * is what a
launch of that shape runs by itself. What a step takes is the sum of the two marked ones.
"""

import argparse
import sys

import torch

import wyvern

from .cases import Case, make_inputs
from .timing import measure

REPEATS = 30


def parse_shape(text):
    """`4x8192`: sequences of so many tokens."""
    sequences, tokens = (int(word) for word in text.split("x"))
    return (tokens,) * sequences


def make_operands(program, lengths):
    """The inputs of a forward by name, and the gradients that its backward takes."""
    heads = program.manifest["spec"]["heads"]
    rule = "gated" if "g" in program.inputs else "delta"
    case = Case(rule, lengths, heads["key"], heads["value"], "strong" if rule == "gated" else "", initial_state=True)
    drawn = make_inputs(case)
    inputs = {name: getattr(drawn, name) for name in program.inputs if getattr(drawn, name, None) is not None}
    gradients = {"d_o": torch.randn_like(drawn.v), "d_final_state": torch.randn_like(drawn.initial_state)}
    return inputs, gradients


def time_variants(program, operands):
    """{variant: ms} of a program."""

    def call(name):
        def forced():
            program.force_variant(name)
            program(**operands)

        return forced

    times = measure({name: call(name) for name in program.variants}, REPEATS)
    program.force_variant(None)
    return {name: time["gpu_ms"] for name, time in times.items()}


def compare(program, lengths):
    """The times of the forward's variants, then of the backward's, and what runs by itself."""
    inputs, gradients = make_operands(program, lengths)
    outputs = program(**inputs)
    known = {**inputs, **gradients, **{name: outputs[name] for name in program.residuals}}
    saved = {name: known[name] for name in program.backward.inputs if name in known}
    shape = (len(lengths), lengths[0])
    return [
        (time_variants(part, operands), part.choose(*shape))
        for part, operands in ((program, inputs), (program.backward, saved))
    ]


def show(times, chosen):
    """`separate 0.236, fused-warps 0.170*`."""
    return ", ".join(f"{name} {ms:.4f}{'*' if name == chosen else ''}" for name, ms in times.items())


def main():
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.variants", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", help="of --training")
    parser.add_argument("shapes", nargs="+", help="sequences x tokens, as 4x8192")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print(f"{parser.prog}: error: torch sees no GPU", file=sys.stderr)
        return 3
    program = wyvern.load(options.bundle)
    print(f"{torch.cuda.get_device_name()}, {program.name}, ms")
    for shape in options.shapes:
        forward, backward = compare(program, parse_shape(shape))
        step = sum(times[chosen] for times, chosen in (forward, backward))
        print(f"{shape:10} forward {show(*forward)}; backward {show(*backward)}; step {step:.4f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
