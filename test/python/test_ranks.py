# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Context parallelism: layers over two processes of gloo (ranks_cases.py)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("wyvern._compiler", reason="the compiler module is not built")
if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
    pytest.skip("torch was built without gloo", allow_module_level=True)

HERE = Path(__file__).parent
SOURCE = HERE / "ranks_cases.py"
CASES = [line.split("(")[0][4:] for line in SOURCE.read_text().splitlines() if line.startswith("def case_")]


@pytest.fixture(scope="module")
def failures(tmp_path_factory):
    """What each case failed with, on both ranks; a pair of processes runs all of them."""
    folder = tmp_path_factory.mktemp("ranks")
    path = os.pathsep.join([str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    start = lambda rank: subprocess.Popen(
        [sys.executable, SOURCE, folder, *CASES], env=environment | {"RANK": str(rank)}, stderr=subprocess.STDOUT,
        stdout=open(folder / f"{rank}.log", "w"),
    )  # fmt: skip
    ranks = [start(rank) for rank in range(2)]
    for rank in ranks:
        rank.wait(timeout=240)
    found = {case: [] for case in CASES}
    for rank in range(2):
        done = [json.loads(line) for line in (folder / f"{rank}.jsonl").read_text().splitlines()]
        for record in done:
            found[record["case"]].append(record["failure"])
    return found


@pytest.mark.parametrize("case", CASES)
def test_on_two_ranks(case, failures):
    told = [f"rank {rank}: {failure}" for rank, failure in enumerate(failures[case]) if failure]
    assert not told, "\n".join(told)
    assert len(failures[case]) == 2, "not run: a case before it failed"


def test_without_a_group():
    from wyvern.torch import ContextParallel

    with pytest.raises(RuntimeError, match="init_process_group"):
        ContextParallel()
