# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""wyvern.integrations.fla: the cases of fla_cases.py, on the CPU, with FLA itself."""

import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

pytest.importorskip("torch")
pytest.importorskip("wyvern._compiler", reason="the compiler module is not built")

CASES = pathlib.Path(__file__).with_name("fla_cases.py")


@pytest.fixture(scope="module")
def results(build_dir):
    """What went wrong, by case; the cases share a process since FLA is long in importing."""
    folder = build_dir / "fla"
    if not folder.is_dir():
        pytest.skip(f"no FLA in {folder}: scripts/test installs it")
    path = os.pathsep.join([str(folder), *sys.path])
    done = subprocess.run(
        [sys.executable, str(CASES)], capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path}
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("case", re.findall(r"^def (case_\w+)", CASES.read_text(), re.M))
def test_case(results, case):
    assert results[case] == "", results[case]
