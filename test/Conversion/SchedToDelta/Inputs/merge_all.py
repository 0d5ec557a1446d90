# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Divides the rounded program of every spec into kernels, merges them, and compares."""

import pathlib
import subprocess
import sys

CLEAN = ["-canonicalize", "-cse"]


def run(command, text=None, check=True):
    return subprocess.run(command, input=text, check=check, capture_output=True, text=True)


specs = sorted(pathlib.Path(sys.argv[1]).glob("*.yaml"))
compared = 0
for spec in specs:
    for training in ([], ["--training"]):
        rounded = run(["wyvernc", spec, "--emit=rounded", *training]).stdout
        merged = run(["wyvern-opt", "-", "-sched-separate", "-convert-sched-to-delta", *CLEAN], rounded, check=False)
        if merged.returncode:
            assert "multiple of 64" in merged.stderr, (spec, merged.stderr)
            continue
        assert merged.stdout == run(["wyvern-opt", "-", *CLEAN], rounded).stdout, (spec, training)
        compared += 1
assert compared >= 28, compared
