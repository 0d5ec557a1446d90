# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The accuracy of each run over the length of words, as SVG.

    python3 -m examples.state_tracking.plot state_tracking_out -o accuracy.svg
"""

import argparse
import json
from pathlib import Path

from wyvern import plot

NAMES = {"two": "two steps", "one": "one step", "two_positive": "two, rates to 1", "one_positive": "one, rates to 1"}


def draw(folder, output):
    summary = json.loads((folder / "summary.json").read_text())
    curves = {}
    for kind, found in summary["accuracy"].items():
        for seed, curve in enumerate(found):
            curves[f"{NAMES[kind]} #{seed}"] = [(letters, 100 * right) for letters, right in curve]
    corners, letters = (int(summary["options"][name]) for name in ("corners", "letters"))
    title = f"word problem of D_{corners}, trained on {letters} letters: right answers, %"
    output.write_text(plot.lines(curves, title=title, x="letters", y="%", log_x=True, y_range=(0, 100)))


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="--out of train.py")
    parser.add_argument("-o", "--output", type=Path, default=Path("accuracy.svg"))
    options = parser.parse_args(arguments)
    draw(options.folder, options.output)


if __name__ == "__main__":
    main()
