# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The compiler of the package wyvern, which finds it here: use wyvern.compile, or wyvernc."""

import os
import sys
from pathlib import Path

__version__ = "0.1.0"

# The compiler driver.
WYVERNC = Path(__file__).with_name("bin") / "wyvernc"


def main() -> None:
    """Runs wyvernc with this process's arguments, in its place."""
    os.execv(WYVERNC, [os.fspath(WYVERNC), *sys.argv[1:]])
