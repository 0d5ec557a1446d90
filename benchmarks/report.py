# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""From the JSON file of forward.py or training.py to a table, and to pictures (wyvern.plot).

    python -m benchmarks.report forward.json
    python -m benchmarks.report forward.json --pictures docs/images
    python -m benchmarks.report paper.json --matrix

Best peer: the fastest one that is exact. Floor: the fewest bytes that are moved
(Case.bytes and training_bytes in cases.py) over 4.2 TB/s, what a copy reaches on an H200.
"""

import argparse
import json
import math
import sys
from pathlib import Path

from wyvern import plot
from wyvern.plot._rows import OURS, best_peer, our_best, quantities_of, ratio, timed

BYTES_A_SECOND = 4.2e12
PICTURES = ("bars", "times", "errors", "roofline")


def floor_ms(bytes_moved):
    return bytes_moved / BYTES_A_SECOND * 1e3


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def line(row):
    """One line for the log while rows run."""
    times = ", ".join(f"{name} {ms:.4f}" for name, ms in timed(row).items())
    missing = "; ".join(f"{n}: {e['refused']}" for n, e in row["results"].items() if "refused" in e)
    value = ratio(row)
    return f"{row['name']:28} {times}" + (f" ({value:.2f}x)" if value else "") + (f" [{missing}]" if missing else "")


def cell(row, name):
    entry = row["results"].get(name, {})
    if "gpu_ms" not in entry:
        return ""
    words = f"{entry['gpu_ms']:.4f}"
    if best_peer(row) and name == best_peer(row)[0]:
        words = f"**{words}**"
    return words if entry["exact"] else f"({words})"


def markdown(result):
    """The table of all rows, and below it what they come to together."""
    rows = result["rows"]
    names = list(dict.fromkeys(name for row in rows for name in row["results"] if any(name in timed(r) for r in rows)))
    head = [f"{result.get('work', 'forward')}, ms", *names, "best exact peer / ours", "asked", "share of the floor"]
    table = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        value, ours, bar = ratio(row), our_best(row), row["case"]["bar"]
        cells = [row["name"], *(cell(row, name) for name in names)]
        cells += [f"{value:.2f}" if value else "", f"{bar}" if bar else ""]
        cells.append(f"{row['floor_ms'] / ours[1]:.2f}" if ours else "")
        table.append("| " + " | ".join(cells) + " |")
    return "\n".join(table + ["", *summary(rows), *kernels(rows)])


def matrix(rows):
    """Best exact peer / ours: a line for the tokens of all sequences, a column for the key and
    value heads, and the geometric mean of each column below it."""
    lengths, heads = {}, {}
    for row in rows:
        _, name, column, *_ = row["name"].split()  # as Case.name has them
        lengths.setdefault(name, {})[column] = ratio(row)
        heads.setdefault(column, []).append(ratio(row))
    table = ["| best exact peer / ours | " + " | ".join(heads) + " |", "|" + "---|" * (len(heads) + 1)]
    for name, ratios in lengths.items():
        cells = (f"{ratios[column]:.2f}" if ratios.get(column) else "" for column in heads)
        table.append(f"| {name} | " + " | ".join(cells) + " |")
    means = (list(filter(None, ratios)) for ratios in heads.values())
    cells = (f"{geometric_mean(ratios):.2f}" if ratios else "" for ratios in means)
    return "\n".join([*table, "| geometric mean | " + " | ".join(cells) + " |"])


def kernels(rows):
    """A line for each of ours whose kernels were timed: the time of each, in their order."""
    return [
        f"* {row['name']}, {name}, us: " + ", ".join(f"{kernel} {us:.1f}" for kernel, us in entry["kernels"].items())
        for row in rows
        for name, entry in row["results"].items()
        if "kernels" in entry
    ]


def largest_errors(rows, name):
    """{quantity: the largest error of it} of a contestant."""
    largest = {}
    for row in rows:
        for quantity, error in zip(quantities_of(row), row["results"][name]["errors"]):
            largest[quantity] = max(error, largest.get(quantity, 0.0))
    return largest


def summary(rows):
    """Geometric mean, worst row, bars; then host times and largest errors by name."""
    ratios = {row["name"]: ratio(row) for row in rows if ratio(row)}
    words = []
    if ratios:
        worst = min(ratios, key=ratios.get)
        words.append(f"* Geometric mean of {len(ratios)} rows: {geometric_mean(ratios.values()):.2f}; worst: {worst}, {ratios[worst]:.2f}.")
    asked = [row for row in rows if row["case"]["bar"] and ratio(row)]
    if asked:
        met = sum(ratio(row) >= row["case"]["bar"] for row in asked)
        words.append(f"* {met} of {len(asked)} rows reach what is asked of them.")
    for name in dict.fromkeys(name for row in rows for name in timed(row)):
        taking = [row for row in rows if name in timed(row)]
        hosts = sorted(row["results"][name]["host_ms"] for row in taking if row["results"][name]["host_ms"] is not None)
        host = f"host time of a call {hosts[len(hosts) // 2] * 1e3:.0f} us (median of its rows)" if hosts else "wall time of calls in a row"
        errors = ", ".join(f"{quantity} {x:.1e}" for quantity, x in largest_errors(taking, name).items())
        words.append(f"* {name}: {host}; largest errors: {errors}.")
    return words


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("json", type=Path)
    parser.add_argument("--matrix", action="store_true", help="only how much faster ours is, tokens by heads")
    parser.add_argument("--pictures", type=Path, help=f"a folder for {', '.join(PICTURES)} as .svg")
    options = parser.parse_args(arguments)
    result = json.loads(options.json.read_text())
    print(matrix(result["rows"]) if options.matrix else markdown(result))
    if options.pictures:
        options.pictures.mkdir(parents=True, exist_ok=True)
        for name in PICTURES:
            try:
                (options.pictures / f"{name}.svg").write_text(getattr(plot, name)(result))
            except ValueError as nothing:  # no peer took part, say
                print(f"no {name}.svg: {nothing}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
