# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A few seconds of fuzz.py, and that it sees what it looks for."""

import pathlib
import random
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import layers
from fuzz import Fuzzer, Wrong
from mutate import mutate

FUZZ = pathlib.Path(__file__).with_name("fuzz.py")


def test_some_cases(wyvernc, build_dir, tmp_path):
    command = [sys.executable, FUZZ, "--build", build_dir, "--count", "25", "--out", tmp_path, "7", "8"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and "50 cases, 0 wrong" in done.stdout, done.stdout


def test_cases_are_reproducible():
    for make in (layers.spec, layers.config, lambda rng: mutate(rng, FUZZ.read_text())):
        assert make(random.Random("7:1")) == make(random.Random("7:1"))
    made = [layers.spec(random.Random(i))[1] for i in range(40)]
    assert 5 < sum(made) < 35


@pytest.mark.parametrize(
    "script, what",
    [
        ("kill -SEGV $$", "crashed with status -11"),
        ("echo 'LLVM ERROR: out of memory' >&2; exit 1", "crashed with status 1"),
        ("echo 'error: no' >&2; exit 1", "refused without an error at a place"),
        ("while :; do :; done", "no answer within 1 s of a processor"),
        ("sleep 30", "no answer within 5 s of the clock"),
    ],
)
def test_what_is_wrong_is_seen(tmp_path, monkeypatch, script, what):
    monkeypatch.setattr("fuzz.LIMIT", 1)
    fuzzer = Fuzzer.__new__(Fuzzer)
    fuzzer.bin = fuzzer.folder = tmp_path
    (tmp_path / "wyvernc").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "wyvernc").chmod(0o755)
    with pytest.raises(Wrong, match=what):
        fuzzer.run("x")
