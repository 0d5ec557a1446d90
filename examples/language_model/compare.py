# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Whether training on the compiled kernels ends where training on the plain recurrence
does: the same model and data, over some seeds, with both backends.

    python3 -m examples.language_model.compare                # on a GPU: minutes
    python3 -m examples.language_model.compare --size tiny    # on a CPU

All but --seeds are options of train.py. The verdict: the mean final validation loss of
"wyvern" is within two standard deviations (over the seeds) of that of "torch", the
recurrence token by token in float32.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

from .train import Run, parse


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--size", default="small")
    parser.add_argument("--out", type=Path, default=Path("compare_out"), help="a folder for each run, and compare.json")
    options, others = parser.parse_known_args(arguments)
    if options.seeds < 2:
        parser.error("--seeds is below 2: one seed has no standard deviation")
    losses = {}
    for backend in ("torch", "wyvern"):
        for seed in range(options.seeds):
            folder = options.out / f"{backend}-{seed}"
            run = Run(parse([*others, f"--size={options.size}", f"--backend={backend}", f"--seed={seed}", f"--out={folder}"]))
            losses.setdefault(backend, []).append(run.train())
    difference = statistics.mean(losses["wyvern"]) - statistics.mean(losses["torch"])
    deviation = statistics.stdev(losses["torch"])
    within = abs(difference) <= 2 * deviation
    for backend, values in losses.items():
        print(f"{backend}: final validation loss " + ", ".join(f"{value:.4f}" for value in values))
    print(f"difference of the means {difference:+.4f}, standard deviation over the seeds {deviation:.4f}")
    print("within two standard deviations: " + ("yes" if within else "NO"))
    verdict = {"losses": losses, "difference": difference, "deviation": deviation, "within": within}
    (options.out / "compare.json").write_text(json.dumps(verdict, indent=2) + "\n")
    return 0 if within else 1


if __name__ == "__main__":
    sys.exit(main())
