# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The loss curves of runs as a picture. Needs matplotlib.

    python3 -m examples.language_model.plot -o loss.png language_model_out [more folders]
"""

import argparse
from pathlib import Path

from examples.common import read_log


def smooth(values, window):
    """The mean of the last `window` values, or of what there is."""
    sums = [0.0]
    for value in values:
        sums.append(sums[-1] + value)
    return [(sums[i] - sums[max(0, i - window)]) / min(i, window) for i in range(1, len(sums))]


def plot(folders, output):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    for folder in folders:
        records = read_log(folder / "log.jsonl")
        training = [(r["step"], r["loss"]) for r in records if "loss" in r]
        validation = [(r["step"], r["validation"]) for r in records if "validation" in r]
        steps, losses = zip(*training)
        (line,) = axes.plot(steps, smooth(losses, max(1, len(losses) // 50)), label=f"{folder.name}: training")
        axes.plot(*zip(*validation), "o--", color=line.get_color(), label=f"{folder.name}: validation")
    axes.set(xlabel="step", ylabel="loss, nats a byte")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(output, dpi=150)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, help="--out of train.py")
    parser.add_argument("-o", "--output", type=Path, default=Path("loss.png"))
    options = parser.parse_args(arguments)
    plot(options.folders, options.output)


if __name__ == "__main__":
    main()
