# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""mypy on the Python packages, as [tool.mypy] in pyproject.toml says."""

import os
import subprocess
import sys

import pytest


def run_mypy(root, build_dir, *arguments):
    pytest.importorskip("mypy", reason="mypy is not installed; scripts/test installs it")
    command = [sys.executable, "-m", "mypy", "--cache-dir", build_dir / "mypy", *arguments]
    environment = os.environ | {"MYPYPATH": str(root / "python")}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)


def test_packages(root, build_dir):
    done = run_mypy(root, build_dir)
    assert done.returncode == 0 and "Success: no issues found" in done.stdout, done.stdout + done.stderr


def test_callers_see_types(root, build_dir, tmp_path):
    """What a caller's own mypy says of a wrong call."""
    file = tmp_path / "caller.py"
    file.write_text("import wyvern\nwyvern.compile('layer.yaml', segment_tokens='many')\n")
    done = run_mypy(root, build_dir, file)
    assert done.returncode == 1
    assert 'caller.py:2: error: Argument "segment_tokens" to "compile" has incompatible type "str"' in done.stdout
