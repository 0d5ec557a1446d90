# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""scripts/wheel: what fresh environments can do with the wheels, with and without the compiler."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

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


DESCRIBE = """
import os, sys, sysconfig
assert sys.implementation.name == "cpython" and os.path.exists(sysconfig.get_paths()["include"] + "/Python.h")
print("cp%d%d" % sys.version_info[:2])
"""
OWN = f"cp{sys.version_info.major}{sys.version_info.minor}"


def find_others():
    """Other CPythons of this machine that wheels can be made for: their interpreters by tag."""
    found = {}
    places = [*os.environ["PATH"].split(os.pathsep), *Path.home().glob(".pyenv/versions/3.1[0-3].*/bin")]
    for python in (Path(place) / f"python3.{minor}" for minor in (10, 11, 12, 13) for place in places):
        if python.exists():
            done = subprocess.run([python, "-c", DESCRIBE], capture_output=True, text=True)
            if done.returncode == 0 and done.stdout.strip() != OWN:
                found[done.stdout.strip()] = python
    return found


@pytest.fixture(scope="module")
def other():
    """The tag and the interpreter of the newest of them."""
    found = find_others()
    return max(found.items(), key=lambda item: item[0]) if found else (None, None)


@pytest.fixture(scope="module")
def made(root, build_dir, tmp_path_factory, other):
    """The wheels by tag and name; `wyvern` has the inference of one layer, which is all that --only names."""
    folder = tmp_path_factory.mktemp("wheel")
    environment = os.environ | {"WYVERN_BUILD_DIR": str(build_dir)}
    pythons = ["/usr/bin/python3", *([other[1]] if other[1] else [])]
    command = [root / "scripts/wheel", folder, "--only", "delta-8x8"]
    command += [argument for python in pythons for argument in ("--python", python)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    paths = list(folder.glob("*.whl"))
    assert len(paths) == 2 * len(pythons) and all(f"made {path}" in done.stdout for path in paths)
    return {(path.name.split("-")[2], path.name.split("-")[0]): path for path in paths}


@pytest.fixture(scope="module")
def wheels(made):
    """Those of the Python that runs the tests, by name."""
    found = {name: path for (tag, name), path in made.items() if tag == OWN}
    assert sorted(found) == ["wyvern", "wyvern_compiler"]
    return found


def pip_install(folder, *arguments):
    """Installs into an environment by its own pip: one of another Python may not know this one."""
    pip = [folder / "bin/python", "-m", "pip", "install", "--no-compile", "--disable-pip-version-check"]
    subprocess.run([*pip, *arguments], check=True, capture_output=True)


def make_environment(folder, python, *wheels):
    """A virtual environment of an interpreter with wheels; returns where its packages are."""
    subprocess.run([python, "-m", "venv", folder], check=True, capture_output=True)
    pip_install(folder, "--no-deps", "--no-index", *wheels)
    (packages,) = folder.glob("lib/python3*/site-packages")
    return packages


def install(folder, *wheels):
    """An environment of the Python that runs the tests, with NumPy from where that has it."""
    import numpy

    packages = make_environment(folder, sys.executable, *wheels)
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
def test_wheels_say_what_they_serve(made, name, oldest):
    for tag, path in ((tag, path) for (tag, what), path in made.items() if what == name):
        assert path.name == f"{name}-0.1.0-{tag}-{tag}-manylinux_{oldest}_x86_64.whl"


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


def test_another_python(root, made, other, tmp_path):
    tag, python = other
    if python is None:
        pytest.skip("there is one CPython with headers on this machine")
    make_environment(tmp_path / "venv", python, made[tag, "wyvern"], made[tag, "wyvern_compiler"])
    numpy = next(line for line in (root / "scripts/requirements/base.txt").read_text().split() if "numpy" in line)
    pip_install(tmp_path / "venv", numpy)
    done = run(tmp_path, [tmp_path / "venv/bin/python", "-c", FIND.split("try:")[0]])
    assert "'separate'" in done.stdout, done.stderr
    needs_ptxas = 'print(wyvern.compile(spec, variants="separate").name)\n'
    done = run(tmp_path, [tmp_path / "venv/bin/python", "-c", COMPILE.replace(needs_ptxas, "")])
    assert done.stdout.split("\n")[0] == "True", done.stderr


def test_versions_that_do_not_match(wheels, tmp_path):
    packages = install(tmp_path / "venv", *wheels.values())
    init = packages / "wyvern_compiler/__init__.py"
    init.write_text(init.read_text().replace('"0.1.0"', '"0.0.9"'))
    done = run(tmp_path, [tmp_path / "venv/bin/python", "-c", "import wyvern; wyvern.compile('a: b', target='cpu')"])
    assert "wyvern 0.1.0 needs wyvern-compiler of the same version, found 0.0.9" in done.stderr


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--only"], "--only needs a pattern"),
        (["--all"], "unknown option --all"),
        (["--python"], "--python needs an interpreter"),
        (["--python", "cat"], "--python cat: expected CPython 3.10 to 3.13, found nothing that runs"),
    ],
)
def test_wrong_options(root, arguments, words):
    done = subprocess.run([root / "scripts/wheel", *arguments], capture_output=True, text=True)
    assert done.returncode == 3 and words in done.stderr
