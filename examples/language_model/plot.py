# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The loss curves of runs as a picture.

    python3 -m examples.language_model.plot -o loss.svg language_model_out [more folders]
"""

import argparse
from pathlib import Path

from examples.common import read_log
from wyvern import plot


def smooth(values, window):
    """The mean of the last `window` values, or of what there is."""
    sums = [0.0]
    for value in values:
        sums.append(sums[-1] + value)
    return [(sums[i] - sums[max(0, i - window)]) / min(i, window) for i in range(1, len(sums))]


def draw(folders, output):
    curves = {}
    for folder in folders:
        records = read_log(folder / "log.jsonl")
        steps, losses = zip(*((r["step"], r["loss"]) for r in records if "loss" in r))
        curves[f"{folder.name} #training"] = list(zip(steps, smooth(losses, max(1, len(losses) // 50))))
        curves[f"{folder.name} #validation"] = [(r["step"], r["validation"]) for r in records if "validation" in r]
    output.write_text(plot.lines(curves, title="loss of training, and (dots) validation", x="step", y="nats a byte"))


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, help="--out of train.py")
    parser.add_argument("-o", "--output", type=Path, default=Path("loss.svg"))
    options = parser.parse_args(arguments)
    draw(options.folders, options.output)


if __name__ == "__main__":
    main()
