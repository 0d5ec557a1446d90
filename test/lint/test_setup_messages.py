# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What scripts/ say when something is missing: what failed, and what to type."""

import os
import subprocess


def run(root, tmp_path, commands):
    """Runs commands after scripts/lib.sh, in a build folder of their own."""
    script = f"source {root}/scripts/lib.sh\n{commands}\necho NOT REACHED"
    environment = {**os.environ, "WYVERN_BUILD_DIR": str(tmp_path / "build")}
    done = subprocess.run(["bash", "-c", script, "scripts/setup"], capture_output=True, text=True, env=environment)
    assert done.returncode == 3, done
    assert "NOT REACHED" not in done.stdout
    assert "scripts/setup: error: " in done.stderr
    return done.stderr


def test_not_root(root, tmp_path):
    said = run(root, tmp_path, "missing_packages() { echo cmake; }; id() { echo 1000; }; setup_packages")
    assert "only root can install them: cmake" in said
    assert "Type: sudo apt-get install -y --no-install-recommends cmake" in said


def test_wrong_llvm(root, tmp_path):
    fake = tmp_path / "llvm/bin/llvm-config"
    fake.parent.mkdir(parents=True)
    fake.write_text("#!/bin/sh\necho 21.1.0\n")
    fake.chmod(0o755)
    said = run(root, tmp_path, f"missing_packages() {{ :; }}; LLVM={tmp_path}/llvm; setup_packages")
    assert "wrong LLVM: need 22.1.x" in said and "found 21.1.0" in said
    assert "Type: apt-get update && apt-get install" in said


def test_package_sources_without_llvm(root, tmp_path):
    stubs = "missing_packages() { echo libmlir-22-dev; }; id() { echo 0; }; apt-get() { :; }; apt-cache() { :; }"
    assert "these package sources have no LLVM/MLIR 22" in run(root, tmp_path, f"{stubs}; setup_packages")


def test_no_network(root, tmp_path):
    stubs = "missing_packages() { echo cmake; }; id() { echo 0; }; apt-get() { echo 'Could not resolve'; return 100; }"
    said = run(root, tmp_path, f"{stubs}; setup_packages")
    assert "apt-get update failed" in said and "Could not resolve" in said and "Check the network" in said
    write_pip(tmp_path, "echo No matching distribution >&2; exit 1")
    said = run(root, tmp_path, "pip_install base")
    assert "pip could not install scripts/requirements/base.txt" in said and "Check the network" in said


def write_pip(tmp_path, commands):
    pip = tmp_path / "build/venv/bin/pip"
    pip.parent.mkdir(parents=True)
    pip.write_text(f"#!/bin/sh\n{commands}\n")
    pip.chmod(0o755)


def test_no_network_beside_the_build(root, tmp_path):
    """What is downloaded in the background comes in order; what fails there fails later."""
    write_pip(tmp_path, f'echo "$@" >> {tmp_path}/calls; case "$*" in *transformers.txt) echo No route >&2; exit 1;; esac')
    said = run(root, tmp_path, "start_tested_with; wait_for_tested_with")
    assert "pip could not install scripts/requirements/transformers.txt" in said and "No route" in said
    calls = [line.split("/")[-1] for line in (tmp_path / "calls").read_text().splitlines()]
    assert calls == ["torch.txt", "examples.txt", "jax.txt", "tvm-ffi.txt", "transformers.txt"]


def test_no_ptxas(root, tmp_path):
    said = run(root, tmp_path, "find_cuda_tool() { :; }; pip_install() { :; }; unset WYVERN_PTXAS; setup_ptxas")
    assert "ptxas of the nvidia-cuda-nvcc wheel does not run" in said and "WYVERN_PTXAS=/path/to/ptxas" in said
    said = run(root, tmp_path, "WYVERN_PTXAS=/bin/true; setup_ptxas")
    assert "WYVERN_PTXAS=/bin/true is no ptxas of CUDA 12.9 or newer" in said
