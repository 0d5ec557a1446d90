# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The checks of gpu_check.py and gpu_training.py; they need an NVIDIA GPU (sm_90)."""

import pathlib
import subprocess
import sys

import pytest

pytest.importorskip("torch")
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import gpu_cases  # noqa: E402
import gpu_check  # noqa: E402

FLAGS = ["--no-speed", "--no-large"]


def names():
    options = gpu_check.parse(["--bundles", ".", *FLAGS])
    first_calls = ["first_call-none", "first_call-head"]
    return first_calls + [name for name, *_ in gpu_check.make_tasks(options, gpu_cases, {})]


@pytest.fixture(scope="session")
def bundles(tmp_path_factory):
    """Everything compiled once, with the errors of the rounded programs on the CPU."""
    folder = str(tmp_path_factory.mktemp("bundles"))
    assert gpu_check.main(["--bundles", folder, "--prepare", *FLAGS]) == 0
    return folder


@pytest.mark.gpu
@pytest.mark.parametrize("name", names())
def test_on_gpu(name, bundles):
    assert gpu_check.main(["--bundles", bundles, "--only", name, *FLAGS]) == 0


@pytest.mark.gpu
def test_module_on_gpu(tmp_path):
    """A module of tvm-ffi has the bundle's bits."""
    pytest.importorskip("tvm_ffi")
    command = [sys.executable, pathlib.Path(gpu_check.__file__).parent / "gpu_module.py", "--folder", tmp_path]
    subprocess.run([*command, "--prepare"], check=True)
    subprocess.run(command, check=True)


@pytest.mark.gpu
def test_graphs_on_gpu(tmp_path):
    """Calls that come again have the bits of launches, beside captures, threads and contexts that end."""
    command = [sys.executable, pathlib.Path(gpu_check.__file__).parent / "gpu_graphs.py", "--folder", tmp_path / "layer"]
    subprocess.run([*command, "--prepare"], check=True)
    subprocess.run(command, check=True)


@pytest.mark.gpu
def test_training_on_gpu(tmp_path):
    """All of them in two processes: it is the bundles that take the time."""
    command = [sys.executable, str(pathlib.Path(__file__).parent / "gpu_training.py"), "--bundles", str(tmp_path)]
    for flags in (["--prepare"], []):
        done = subprocess.run(command + flags, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
