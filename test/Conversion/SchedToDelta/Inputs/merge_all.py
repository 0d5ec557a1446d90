# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Divides the rounded program of every spec into kernels, merges them, and compares.

Roles that share a program's outs change the order of its operations, and nothing else.
"""

import pathlib
import re
import subprocess
import sys

CLEAN = ["-canonicalize", "-cse"]


def run(command, text=None, check=True):
    return subprocess.run(command, input=text, check=check, capture_output=True, text=True)


def unordered(text):
    """The operations of each region without their order: a value's name is what computes it."""
    names, regions, programs = {}, [[]], 0

    def known(text):
        return re.sub(r"%\w+", lambda name: names.get(name[0], name[0]), text)

    for line in map(str.strip, text.splitlines()):
        results, equals, op = line.partition(" = ")
        if line.endswith("{"):  # a function or a program, whose tiles have names of their own
            made, programs = f"%program{programs}", programs + 1
            names |= {tile: tile for tile in re.findall(r"(%\w+) = %", line)} | {"%n": "%n"}
            regions += [[known(op)], []]
        elif not equals:  # the end of a region
            regions += [[known(line)], []]
            continue
        else:
            regions[-1].append(known(op))
            made = f"%{hash(known(op))}"
        if equals and "func.func" not in results:
            names |= {result: f"{made}.{i}" for i, result in enumerate(re.findall(r"%\w+", results))}
    return [sorted(region) for region in regions]


specs = sorted(pathlib.Path(sys.argv[1]).glob("*.yaml"))
compared = 0
for spec in specs:
    # The zeros that states with levels start from are made in kernels, and anew behind them:
    # what says how many there are has another name. test_schedules.py compares their bits.
    if "levels:" in spec.read_text():
        continue
    for training in ([], ["--training"]):
        rounded = run(["wyvernc", spec, "--emit=rounded", *training]).stdout
        merged = run(["wyvern-opt", "-", "-sched-separate", "-convert-sched-to-delta", *CLEAN], rounded, check=False)
        if merged.returncode:
            assert "multiple of 64" in merged.stderr, (spec, merged.stderr)
            continue
        given = run(["wyvern-opt", "-", *CLEAN], rounded)
        assert unordered(merged.stdout) == unordered(given.stdout), (spec, training)
        compared += 1
assert compared >= 28, compared
