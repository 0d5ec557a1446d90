# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The accuracy of each run over its steps as a picture. Needs matplotlib.

    python3 -m examples.recall.plot recall_out -o recall.png
"""

import argparse
from pathlib import Path

from examples.common import read_log


def plot(folder, output):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    curves = {}
    for record in read_log(folder / "log.jsonl"):
        points = curves.setdefault((record["model"], record["seed"]), [])
        points.append((record["step"], 100 * record["accuracy"]))
    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    colors = {kind: f"C{index}" for index, kind in enumerate(dict.fromkeys(kind for kind, _ in curves))}
    for (kind, seed), points in curves.items():
        axes.plot(*zip(*points), color=colors[kind], label=kind if seed == 0 else None)
    axes.set(xlabel="step", ylabel="right answers, %", ylim=(0, 102))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(output, dpi=150)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="--out of train.py")
    parser.add_argument("-o", "--output", type=Path, default=Path("recall.png"))
    options = parser.parse_args(arguments)
    plot(options.folder, options.output)


if __name__ == "__main__":
    main()
