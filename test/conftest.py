# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What all Python tests share: where things are, and which tests need a GPU."""

import ctypes
import os
import pathlib
import shutil

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("WYVERN_BUILD_DIR", ROOT / "build"))

# scripts/test names the tools; a pytest run by hand finds those of the build.
for variable, name in (("WYVERN_PTXAS", "ptxas"), ("WYVERN_NVDISASM", "nvdisasm")):
    wheels = sorted(BUILD.glob(f"venv/lib/python3*/site-packages/nvidia/cu13/bin/{name}"))
    tool = shutil.which(name) or (str(wheels[0]) if wheels else None)
    if tool:
        os.environ.setdefault(variable, tool)


def gpu_count():
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def pytest_collection_modifyitems(items):
    if gpu_count() == 0:
        skip = pytest.mark.skip(reason="needs an NVIDIA GPU")
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(skip)


@pytest.fixture(scope="session")
def root():
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def build_dir():
    """The build; scripts/test says which one."""
    return BUILD


@pytest.fixture(scope="session")
def wyvernc(build_dir):
    """The compiler driver."""
    path = build_dir / "bin" / "wyvernc"
    assert path.exists(), f"{path} is not built; type: scripts/setup"
    return path
