# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""scripts/wheel: what fresh environments can do with the wheels, with and without the compiler."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile

import pytest

MODULE = "_compiler" + sysconfig.get_config_var("EXT_SUFFIX")
LAYER = "delta_rule_spec('none', 8, 8, 128, 128, 'bf16')"
FIND = f"""
import wyvern
from wyvern._core import serving
from wyvern._core.rules import delta_rule_spec

print(serving.for_gpu({LAYER}, "sm_90a", None).variants)
try:
    serving.for_gpu({LAYER}, "sm_90a", ["factor"])
except NotImplementedError as error:
    print(error)
print(wyvern.__file__)
"""


COMPILE = f"""
import numpy as np
import wyvern
from wyvern._core.compile import find_wyvernc
from wyvern._core.rules import delta_rule_spec

spec = {LAYER}
print(wyvern.compile(spec, variants="separate").name)
cpu = wyvern.compile(spec, target="cpu", precision="f64")
rng = np.random.default_rng(0)
inputs = dict(zip(("q", "k", "v"), rng.standard_normal((3, 1, 70, 8, 128)) / 12), beta=rng.random((1, 70, 8)))
error = cpu(**inputs)["o"] - wyvern.reference(spec, **inputs)["o"]
print(np.abs(error).max() < 1e-12)
print(find_wyvernc())
"""
# Runs a command where neither LLVM nor a CUDA toolkit is installed.
BARE = """
for folder in /usr/lib/llvm-22 /usr/local/cuda; do
  [ ! -d $folder ] || mount -t tmpfs none $(realpath $folder) || exit 99
done
exec "$@"
"""


@pytest.fixture(scope="module")
def wheels(root, build_dir, tmp_path_factory):
    """The wheels by name; `wyvern` has the inference of one layer, which is all that --only names."""
    folder = tmp_path_factory.mktemp("wheel")
    environment = os.environ | {"WYVERN_BUILD_DIR": str(build_dir)}
    command = [root / "scripts/wheel", folder, "--only", "delta-8x8"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {path.name.split("-")[0]: path for path in folder.glob("*.whl")}
    assert sorted(found) == ["wyvern", "wyvern_compiler"]
    assert all(f"made {path}" in done.stdout for path in found.values())
    return found


def install(folder, *wheels):
    """A virtual environment with wheels, and NumPy from where the tests have it."""
    import numpy

    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    pip = [sys.executable, "-m", "pip", "--python", folder / "bin/python", "install"]
    pip += ["--no-deps", "--no-index", "--no-compile", "--disable-pip-version-check"]
    subprocess.run([*pip, *wheels], check=True, capture_output=True)
    (packages,) = folder.glob("lib/python3*/site-packages")
    (packages / "numpy").symlink_to(os.path.dirname(numpy.__file__))
    (packages / "numpy.libs").symlink_to(os.path.dirname(numpy.__file__) + ".libs")
    return packages


def run(folder, command, *, bare=False):
    """Runs a command with nothing of this machine's but what every Debian has."""
    if bare:
        unshare = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
        command = [*unshare, "sh", "-c", BARE, "sh", *command]
    clean = {"PATH": "/usr/bin:/bin", "HOME": str(folder)}
    return subprocess.run(command, env=clean, cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize("name, oldest", [("wyvern", "2_34"), ("wyvern_compiler", "2_34")])
def test_wheels_say_what_they_serve(wheels, name, oldest):
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    assert wheels[name].name == f"{name}-0.1.0-{python}-{python}-manylinux_{oldest}_x86_64.whl"


def test_what_is_inside(wheels):
    names = zipfile.ZipFile(wheels["wyvern"]).namelist()
    assert {"wyvern/bundles/delta-8x8/manifest.json", "wyvern/py.typed", "wyvern/torch/__init__.py"} <= set(names)
    assert not any("_compiler.a" in name or name.endswith(("wyvernc", ".cpp")) for name in names)
    compiler = zipfile.ZipFile(wheels["wyvern_compiler"])
    inside = {"bin/wyvernc", MODULE, "licenses/llvm-22-dev", "licenses/libzstd-dev"}
    assert {f"wyvern_compiler/{name}" for name in inside} <= set(compiler.namelist())
    (metadata,) = (compiler.read(name).decode() for name in compiler.namelist() if name.endswith("/METADATA"))
    assert "Requires-Dist: nvidia-cuda-nvcc" in metadata and "Requires-Dist: wyvern==0.1.0" in metadata


def test_a_prebuilt_layer_needs_no_compiler(wheels, tmp_path):
    install(tmp_path / "venv", wheels["wyvern"])
    done = run(tmp_path, [tmp_path / "venv/bin/python", "-c", FIND])
    assert done.returncode == 0, done.stderr
    variants, refusal, place = done.stdout.splitlines()
    assert "'separate'" in variants
    assert "no prebuilt training kernels for delta_rule: decay none, heads 8/8" in refusal
    assert "the compiler is not installed" in refusal and "pip install wyvern-compiler" in refusal
    assert place.startswith(str(tmp_path))


def test_the_compiler_needs_no_llvm(wheels, tmp_path):
    packages = install(tmp_path / "venv", *wheels.values())
    for file in ("bin/wyvernc", MODULE):
        needed = subprocess.run(["ldd", packages / "wyvern_compiler" / file], capture_output=True, text=True, check=True).stdout
        names = {line.split(".so")[0].strip() for line in needed.splitlines()}
        assert names <= {"linux-vdso", "libm", "libz", "libgcc_s", "libc", "/lib64/ld-linux-x86-64"}
    # ptxas where the wheel nvidia-cuda-nvcc has it.
    ptxas = packages / "nvidia/cu13/bin/ptxas"
    ptxas.parent.mkdir(parents=True)
    shutil.copy(os.environ["WYVERN_PTXAS"], ptxas)
    done = run(tmp_path, [tmp_path / "venv/bin/python", "-c", COMPILE], bare=True)
    if done.returncode == 99 or "unshare failed" in done.stderr:
        pytest.skip("this user cannot hide LLVM")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["delta_rule", "True", str(packages / "wyvern_compiler/bin/wyvernc")]
    done = run(tmp_path, [tmp_path / "venv/bin/wyvernc", "--version"], bare=True)
    assert f"({ptxas})" in done.stdout, done.stderr


def test_versions_that_do_not_match(wheels, tmp_path):
    packages = install(tmp_path / "venv", *wheels.values())
    init = packages / "wyvern_compiler/__init__.py"
    init.write_text(init.read_text().replace('"0.1.0"', '"0.0.9"'))
    done = run(tmp_path, [tmp_path / "venv/bin/python", "-c", "import wyvern; wyvern.compile('a: b', target='cpu')"])
    assert "wyvern 0.1.0 needs wyvern-compiler of the same version, found 0.0.9" in done.stderr


@pytest.mark.parametrize("arguments, words", [(["--only"], "--only needs a pattern"), (["--all"], "unknown option --all")])
def test_wrong_options(root, arguments, words):
    done = subprocess.run([root / "scripts/wheel", *arguments], capture_output=True, text=True)
    assert done.returncode == 3 and words in done.stderr
