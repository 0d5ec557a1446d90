# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The handlers of XLA's FFI: their declarations against jaxlib's, and what the GPU's asks
of a fake driver. test_jax_op.py has the CPU's, called by XLA itself."""

import shutil
import sys

import pytest

jax = pytest.importorskip("jax")

import xla_cases
from test_runtime import HERE, driver, run  # noqa: F401 (a fixture)

CASES = [name for name in dir(xla_cases) if name.startswith("case_")]


@pytest.fixture(scope="session")
def caller(tmp_path_factory):
    """A library that calls handlers. That it compiles is a test: of the declarations."""
    compiler = next(filter(None, map(shutil.which, ("c++", "g++", "clang++", "clang++-22"))), None)
    if compiler is None:
        pytest.fail("no C++ compiler (c++, g++ or clang++) in PATH")
    library = tmp_path_factory.mktemp("caller") / "caller.so"
    command = [compiler, "-std=c++17", "-Wall", "-Wno-invalid-offsetof", "-fPIC", "-shared", "-I", jax.ffi.include_dir()]
    run([*command, HERE / "xla_ffi_caller.cpp", "-o", library])
    return library


@pytest.mark.parametrize("case", CASES)
def test_calls(case, caller, driver, tmp_path):  # noqa: F811
    command = [sys.executable, HERE / "xla_cases.py", case, tmp_path, caller]
    run(command, LD_LIBRARY_PATH=str(driver), FAKE_DEVICES="90,90")
