# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""wyvern.integrations.fla: the cases of fla_cases.py and fla_family_cases.py, on the CPU, with FLA itself."""

import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

pytest.importorskip("torch")
pytest.importorskip("wyvern._compiler", reason="the compiler module is not built")

FILES = [pathlib.Path(__file__).with_name(name) for name in ("fla_cases.py", "fla_family_cases.py")]
CASES = {case: file for file in FILES for case in re.findall(r"^def (case_\w+)", file.read_text(), re.M)}


@pytest.fixture(scope="module")
def results(build_dir):
    """What went wrong, by case; those of a file share a process since FLA is long in importing."""
    folder = build_dir / "fla"
    if not folder.is_dir():
        pytest.skip(f"no FLA in {folder}: scripts/test installs it")
    path = os.pathsep.join([str(folder), *sys.path])
    found = {}
    for file in FILES:
        done = subprocess.run(
            [sys.executable, str(file)], capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path}
        )
        assert done.returncode == 0, done.stderr
        found |= json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("case", CASES)
def test_case(results, case):
    assert results[case] == "", results[case]
