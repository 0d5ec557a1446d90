# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Takes every spec of a folder to its rounded program."""

import pathlib
import subprocess
import sys

specs = sorted(pathlib.Path(sys.argv[1]).glob("*.yaml"))
assert len(specs) >= 11, specs
for spec in specs:
    text = subprocess.run(["wyvernc", spec, "--emit=rounded"], check=True, capture_output=True, text=True).stdout
    assert "delta.chunk_scan forward" in text, spec
    assert "delta.recurrence" not in text, spec
