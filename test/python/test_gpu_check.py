# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""test/Integration/gpu_check.py notices what it has to: a check of the checks, with the
token recurrence in the place of the GPU."""

import json
import os
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")


@pytest.fixture
def worker(root, monkeypatch):
    monkeypatch.syspath_prepend(root / "test/Integration")
    import gpu_simulated
    import gpu_worker

    monkeypatch.setattr(gpu_worker, "DEVICE", "cpu")
    monkeypatch.setattr(gpu_worker, "program_for", gpu_worker.program_for)
    gpu_simulated.install(gpu_worker)
    return gpu_worker


def drawn(name):
    import gpu_cases

    return next(case for case in gpu_cases.draw_cases(1, 24) if case.name == name)


def small(decay):
    import gpu_cases

    return gpu_cases.Layer("delta", decay, 1, 1, 8, 8, "bf16")


CHECKS = ["repeat", "alone_batch_packed", "nan_isolation", "tail"]
LOOSE = [1e-2, 1e-2]


def test_right_programs_pass(worker):
    for name in ("02", "03", "04", "13", "17"):
        assert worker.check_case(drawn(name), LOOSE)["ok"]
    for check in CHECKS:
        assert getattr(worker, f"check_{check}")(small("head"))["ok"]


# Case 17 has no token, 13 is packed with rows past the end.
@pytest.mark.parametrize(
    "fault, case, problem",
    [
        ("wrong", "02", "o above 1.0e-02"),
        ("nan", "02", "not finite"),
        ("tail", "13", "rows past cu_seqlens[-1] are not zero"),
        ("state", "17", "its state changed"),
    ],
)
def test_wrong_results_are_noticed(worker, monkeypatch, fault, case, problem):
    monkeypatch.setenv("SIMULATED_FAULT", fault)
    result = worker.check_case(drawn(case), LOOSE)
    assert not result["ok"] and problem in "; ".join(result["problems"])


@pytest.mark.parametrize(
    "fault, check, problem",
    [
        ("leak", "tail", "reaches the results"),
        ("leak", "nan_isolation", "reaches others"),
        ("random", "alone_batch_packed", "differs"),
        ("random", "repeat", "differs"),
    ],
)
def test_broken_promises_are_noticed(worker, monkeypatch, fault, check, problem):
    monkeypatch.setenv("SIMULATED_FAULT", fault)
    result = getattr(worker, f"check_{check}")(small("none"))
    assert not result["ok"] and problem in "; ".join(result["problems"])


class Variants:
    variants = ("separate", "fused-warps-parts")
    forced = "nothing"

    def force_variant(self, name):
        self.forced = name


@pytest.mark.parametrize(
    "variant, forced",
    [("separate", "separate"), ("fused-warps-parts-256", "fused-warps-parts-256"), ("separate-256", None), ("other", None), (None, None)],
)
def test_a_variant_is_forced_where_a_bundle_has_it(worker, monkeypatch, variant, forced):
    monkeypatch.setattr(worker, "VARIANT", variant)
    program = Variants()
    worker.force(program)
    assert program.forced == forced


LOSSES = [("hang", "04", "no result within 10 s"), ("die", "04,20", "signal 6")]


@pytest.mark.parametrize("fault, names, problem", LOSSES)
def test_a_lost_process_is_one_failed_line(root, tmp_path, fault, names, problem):
    report = tmp_path / "report.json"
    command = [sys.executable, root / "test/Integration/gpu_check.py", "--simulate", "--bundles", tmp_path]
    command += ["--only", names, "--json", report, "--timeout", "10"]
    environment = os.environ | {"SIMULATED_FAULT": fault, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    results = json.loads(report.read_text())
    assert done.returncode == 1, done.stderr
    assert sorted(results) == names.split(",")
    assert all(problem in r["problems"][0] for r in results.values())
