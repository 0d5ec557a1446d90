# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Times the delta rules' forward against the peers that are installed.

    python -m benchmarks.forward --ours fused=bundles/fused.zip --json forward.json
    python -m benchmarks.forward --ours fused=bundles/fused.zip --rows paper --json paper.json --resume
    python -m benchmarks.forward --ours family=family.zip --rows family --peers jla

One process, the same inputs for all, taking turns (timing.py). First every result is
compared with the same rule in float64 (comparing.py). The table comes last, and again from
`python -m benchmarks.report forward.json`.
"""

import sys

from . import comparing
from .bundles import contestant
from .peers import PEERS
from .reference import outputs

WORK = comparing.Work(
    name="forward",
    results=lambda case: ("o", "state"),
    reference=outputs,
    tolerance=1e-2,  # ours and the exact peers are at 3e-3 to 5e-3 in bf16
    bytes=lambda case: case.bytes,
    flops=lambda case: case.flops,
)


def parse(arguments):
    return comparing.parse(arguments, "benchmarks.forward", __doc__, PEERS, rows="bars", repeats=25)


def main(arguments=None):
    options = parse(arguments)
    return comparing.run(WORK, options, comparing.choose(options, contestant, PEERS))


if __name__ == "__main__":
    sys.exit(main())
