# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Times a training step of the delta rules, forward and backward, against the peers that are installed.

    python -m benchmarks.bundles --rows training factor.zip --training    # where the compiler is
    python -m benchmarks.training --ours factor=factor.zip --kernels           # on the GPU machine
    python -m benchmarks.training --ours family=family.zip --rows family-training --peers jla
    WYVERN_CACHE_DIR=bundles python -m benchmarks.training --peers fla

One process, the same inputs for all, taking turns (timing.py): one autograd step, the
final state requested, a random gradient of o. Gradients are compared with those of the
same rule in float64 first (comparing.py). `wyvern` are the public functions, with bundles
of their cache; each of --ours is the op of a bundle.
"""

import sys

from . import comparing, report
from .peers import TRAINED_PEERS
from .peers.base import STEP_RESULTS
from .reference import gradients
from .steps import of_bundles, of_functions

WORK = comparing.Work(
    name="forward + backward",
    results=lambda case: tuple(f"d{name}" for name in STEP_RESULTS if name in case.shapes),
    reference=gradients,
    tolerance=3e-2,  # of dg in bf16 where gates are strong; the others are at 3e-3 to 6e-3
    bytes=lambda case: case.training_bytes,
)


def parse(arguments):
    return comparing.parse(arguments, "benchmarks.training", __doc__, TRAINED_PEERS, rows="training", repeats=15)


def main(arguments=None):
    options = parse(arguments)
    public = {} if options.ours else {report.OURS: of_functions}
    return comparing.run(WORK, options, public | comparing.choose(options, of_bundles, TRAINED_PEERS))


if __name__ == "__main__":
    sys.exit(main())
