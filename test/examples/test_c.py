# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""examples/c, built by a plain C compiler as its README says, and run as far as that goes
without a GPU; with one, to its end."""

import re
import shutil
import subprocess

import pytest

SOURCE = "examples/c/delta_net.c"


@pytest.fixture(scope="session")
def bundle(root, wyvernc, tmp_path_factory):
    folder = tmp_path_factory.mktemp("c") / "delta_net.wyvern"
    subprocess.run([wyvernc, root / "specs/delta_net-340M.yaml", "--training", "--save=factor", "-o", folder], check=True)
    return folder


@pytest.fixture(scope="session")
def example(root, build_dir, bundle):
    """The program, by the command of the README."""
    if not shutil.which("cc"):
        pytest.fail("no C compiler (cc) in PATH")
    (command,) = re.findall(r"^    cc (.*)$", (root / "examples/c/README.md").read_text(), re.M)
    program = bundle.parent / "delta_net"
    places = {"build": build_dir.resolve(), "include": root / "include", "examples": root / "examples"}
    for name, place in places.items():
        (bundle.parent / name).symlink_to(place)
    flags = ["-Wall", "-Wextra", "-Werror", "-O2"]
    subprocess.run(["cc", *flags, *command.split()], cwd=bundle.parent, check=True)
    return program


def run(*command, **environment):
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_usage(example):
    done = run(example)
    assert done.returncode == 2 and "usage: " in done.stderr


def test_a_folder_without_a_bundle(example, tmp_path):
    done = run(example, tmp_path)
    assert done.returncode == 1
    assert f"WYVERN_ERROR_FILE: delta_net_340m: cannot open {tmp_path}/delta_net_340m_fwd_map.cubin" in done.stderr


def test_no_driver(example, bundle, tmp_path):
    (tmp_path / "libcuda.so.1").write_text("not a library")
    done = run(example, bundle, LD_LIBRARY_PATH=str(tmp_path))
    assert done.returncode == 3 and "no NVIDIA driver: " in done.stderr


@pytest.mark.gpu
def test_forward_and_backward(example, bundle):
    done = run(example, bundle)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.fullmatch(r"\|o\|\^2 = \S+, <d_v, v> = \S+\nhost time of a launch: \S+ us\n", done.stdout)
