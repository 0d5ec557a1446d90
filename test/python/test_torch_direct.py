# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Calls past torch's dispatcher: when they are, and what they ask of a fake driver."""

import shutil
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

import torch.autograd.forward_ad as forward_ad
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import direct_cases
from test_runtime import HERE, driver, run  # noqa: F401 (a fixture)
from wyvern.torch import _direct, _tensors

CASES = [name for name in dir(direct_cases) if name.startswith("case_")]


@pytest.mark.parametrize("case", CASES)
def test_driver_calls(case, driver, tmp_path):  # noqa: F811
    command = [sys.executable, HERE / "direct_cases.py", case, tmp_path]
    run(command, LD_LIBRARY_PATH=str(driver), FAKE_DEVICES="90")


@pytest.fixture
def x(monkeypatch):
    """A tensor of what counts as a GPU."""
    monkeypatch.setattr(_tensors, "is_gpu", lambda device: device.type == "cpu")
    return torch.zeros(3)


def test_open(x):
    assert _direct.is_open((x, None, torch.nn.Parameter(x)))
    with torch.no_grad(), torch.autocast("cpu"):
        assert _direct.is_open((x,))


def test_closed_by_tensors(x):
    assert not _direct.is_open((x.to("meta"),))
    assert not _direct.is_open((x, x.as_subclass(type("Mine", (torch.Tensor,), {}))))
    assert not _direct.is_open((x, torch.zeros(3, dtype=torch.complex64).conj().imag))


@pytest.mark.parametrize("mode", [FakeTensorMode, TorchDispatchMode, TorchFunctionMode, torch.profiler.profile])
def test_closed_by_modes(x, mode):
    with mode():
        assert not _direct.is_open((x,))
    assert _direct.is_open((x,))


def test_closed_by_transforms(x):
    seen = []
    look = lambda x: seen.append(_direct.is_open((x,))) or x.sum()
    torch.func.vmap(look)(x)
    torch.func.grad(look)(x)
    with forward_ad.dual_level():
        look(x)
    torch.jit.trace(look, x, check_trace=False)
    assert seen and not any(seen)


def test_closed_by_the_compiler(x):
    def look(x):
        return x + (1 if _direct.is_open((x,)) else 0)

    compiled = torch.compile(look, backend="eager", fullgraph=True)
    assert torch.equal(compiled(x), x) and torch.equal(look(x), x + 1)


def test_declarations_of_dlpack(tmp_path):
    """That it compiles is the test."""
    compiler = next(filter(None, map(shutil.which, ("c++", "g++", "clang++", "clang++-22"))), None)
    if compiler is None:
        pytest.fail("no C++ compiler (c++, g++ or clang++) in PATH")
    folder = Path(torch.__file__).parent / "include"
    command = [compiler, "-std=c++17", "-Wno-invalid-offsetof", "-fsyntax-only", "-I", folder]
    run([*command, HERE / "exchange_layout.cpp"])
