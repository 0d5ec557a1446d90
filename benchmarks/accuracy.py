# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compares the errors of the delta rules' results and gradients with FLA's.

    WYVERN_CACHE_DIR=bundles python -m benchmarks.accuracy
    python -m benchmarks.accuracy --only 'gated*' --peers ''

B4 T1024 H4 K = V = 128 in bf16, random initial state and random gradients of o and of
the final state, through the public functions. An error is ||x - r|| / ||r||, r by
float64 autograd of the token recurrence on the same rounded inputs. The laws of keys,
rates and gates are those of test/Integration/gpu_cases.py. The exit status is 1 if an
error of ours is more than 2 % above a peer's.
"""

import argparse
import fnmatch
import sys
from dataclasses import replace
from pathlib import Path

import torch

from .functions import PEER_FUNCTIONS, wyvern_call

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "test/Integration"))

import gpu_cases as cases  # noqa: E402
from gpu_training import make_gradients  # noqa: E402

RULES = {"none": "delta", "head": "gated"}
TOLERANCE = 1.02


def make_cases():
    for decay, rule in RULES.items():
        case = cases.Case(rule, cases.bar_layer(decay, "bf16"), seed=41, tokens=1024, batch=4)
        yield replace(case, name=f"{rule} random")
        yield replace(case, name=f"{rule} correlated", keys="correlated", rates="unit")
        yield replace(case, name=f"{rule} beta near 2", rates="double")
        yield replace(case, name=f"{rule} correlated, beta near 2", keys="correlated", rates="double")
        if decay == "head":
            yield replace(case, name="gated strong", gates="strong")
            yield replace(case, name="gated strong, then weak", gates="mixed")
        grouped = replace(case.layer, key_heads=2)
        yield replace(case, name=f"{rule} grouped", layer=grouped)


def differentiate(call, inputs, upstream):
    """o, the final state and the gradients of the inputs, by name."""
    leaves = {name: x.detach().requires_grad_() for name, x in inputs.items()}
    order = [name for name in ("q", "k", "v", "g", "beta") if name in leaves]
    o, state = call(*(leaves[name] for name in order), initial_state=leaves["initial_state"])
    torch.autograd.backward((o, state), upstream)
    gradients = {f"d_{name}": x.grad for name, x in leaves.items()}
    return {"o": o.detach(), "final_state": state.detach()} | gradients


def reference(case, inputs, upstream):
    def call(*tensors, initial_state):
        order = [name for name in inputs if name != "initial_state"]
        return cases.reference(case, dict(zip(order, tensors)) | {"initial_state": initial_state}, None)

    return differentiate(call, {name: x.double() for name, x in inputs.items()}, [x.double() for x in upstream])


def find_errors(call, inputs, upstream, wanted):
    found = differentiate(call, inputs, upstream)
    return {name: cases.delta_oracle.error(found[name].cpu(), x.cpu()) for name, x in wanted.items()}


def compare(case, peers):
    """Prints a line for each library; true if ours is nowhere worse."""
    inputs = {name: x.cuda() for name, x in cases.make_inputs(case).items()}
    upstream = [x.cuda() for x in make_gradients(case).values()]
    wanted = reference(case, inputs, upstream)
    rule = RULES[case.layer.decay]
    ours = find_errors(wyvern_call(rule), inputs, upstream, wanted)
    print(f"{case.name}\n  {'wyvern':8}", *(f"{name} {error:.2e}" for name, error in ours.items()), flush=True)
    worse = False
    for peer in peers:
        try:
            theirs = find_errors(PEER_FUNCTIONS[peer](rule), inputs, upstream, wanted)
        except Exception as error:  # a peer that is missing or broken is no failure
            print(f"  {peer:8}", f"{type(error).__name__}: {error}".splitlines()[0][:80], flush=True)
            continue
        marks = {name: "*" if ours[name] > TOLERANCE * error else "" for name, error in theirs.items()}
        worse |= any(marks.values())
        print(f"  {peer:8}", *(f"{name} {error:.2e}{marks[name]}" for name, error in theirs.items()), flush=True)
    return not worse


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="*", help="cases to run, as a pattern")
    parser.add_argument("--peers", default="fla", help="peers to compare with, of " + ", ".join(PEER_FUNCTIONS))
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print(f"{parser.prog}: error: torch sees no GPU", file=sys.stderr)
        return 3
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}; * marks where ours is worse")
    peers = [x for x in options.peers.split(",") if x]
    worse = [case.name for case in make_cases() if fnmatch.fnmatch(case.name, options.only) and not compare(case, peers)]
    print(f"worse than a peer: {', '.join(worse) or 'nowhere'}")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
