# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""scripts/wheel: what a fresh environment without the compiler can do with the wheel."""

import os
import subprocess
import sys
import zipfile

import pytest

LAYER = "delta_rule_spec('none', 8, 8, 128, 128, 'bf16')"
FIND = f"""
import wyvern
from wyvern._core import serving
from wyvern._core.layers import delta_rule_spec

print(serving.for_gpu({LAYER}, "sm_90a", None).variants)
try:
    serving.for_gpu({LAYER}, "sm_90a", ["factor"])
except NotImplementedError as error:
    print(error)
print(wyvern.__file__)
"""


@pytest.fixture(scope="module")
def wheel(root, build_dir, tmp_path_factory):
    """A wheel with the inference of one layer, which is all that --only names."""
    folder = tmp_path_factory.mktemp("wheel")
    environment = os.environ | {"WYVERN_BUILD_DIR": str(build_dir)}
    command = [root / "scripts/wheel", folder, "--only", "delta-8x8"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = folder.glob("*.whl")
    assert f"made {wheel}" in done.stdout
    return wheel


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """A virtual environment with the wheel, and NumPy from where the tests have it."""
    import numpy

    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin/python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "--disable-pip-version-check"]
    subprocess.run([*pip, wheel], check=True, capture_output=True)
    (packages,) = folder.glob("lib/python3*/site-packages")
    (packages / "numpy").symlink_to(os.path.dirname(numpy.__file__))
    (packages / "numpy.libs").symlink_to(os.path.dirname(numpy.__file__) + ".libs")
    return folder


def test_what_is_inside(wheel):
    assert "-manylinux_2_" in wheel.name
    names = zipfile.ZipFile(wheel).namelist()
    assert {"wyvern/bundles/delta-8x8/manifest.json", "wyvern/py.typed", "wyvern/torch/__init__.py"} <= set(names)
    assert not any("_compiler.c" in name or name.endswith(("wyvernc", ".cpp")) for name in names)


def test_a_prebuilt_layer_needs_no_compiler(environment, tmp_path):
    clean = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run([environment / "bin/python", "-c", FIND], env=clean, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    variants, refusal, place = done.stdout.splitlines()
    assert "'separate'" in variants
    assert "no prebuilt training kernels for delta_rule: decay none, heads 8/8" in refusal
    assert "the compiler is not installed" in refusal
    assert place.startswith(str(environment))


@pytest.mark.parametrize("arguments, words", [(["--only"], "--only needs a pattern"), (["--all"], "unknown option --all")])
def test_wrong_options(root, arguments, words):
    done = subprocess.run([root / "scripts/wheel", *arguments], capture_output=True, text=True)
    assert done.returncode == 3 and words in done.stderr
