# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What scripts/demo runs after the build."""

import os
import re
import subprocess
import sys


def test_demo_prints_the_bundle_and_the_errors(wyvernc, root, tmp_path):
    spec, bundle = root / "specs/delta_net-1.3B.yaml", tmp_path / "bundle"
    subprocess.run([wyvernc, spec, "-o", bundle], check=True)
    command = [sys.executable, root / "scripts/demo.py", spec, bundle, "1234"]
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 0, done.stderr
    assert "1.23 s" in done.stdout and "manifest.json" in done.stdout
    # Each kernel with its registers and no spills; two rows of errors.
    rows = re.findall(r"^  (delta_net_[\w.-]+) +\d+ +\d+ +[\d,]+ +0$", done.stdout, re.M)
    assert {f"{row}.cubin" for row in rows} == {path.name for path in bundle.glob("*.cubin")}
    assert len(rows) == len(set(rows)) > 2
    assert len(re.findall(r"\d\.\de-0\d +\d\.\de-0\d +\d+\.\d\d$", done.stdout, re.M)) == 2
