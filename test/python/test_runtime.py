# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The runtime, against a fake CUDA driver: no GPU is needed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import runtime_bundle_cases
import runtime_cases
import runtime_graph_cases
import runtime_part_cases
import runtime_step_cases
import runtime_variant_cases

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CASES = [
    (module, name)
    for module in (
        runtime_cases,
        runtime_bundle_cases,
        runtime_graph_cases,
        runtime_part_cases,
        runtime_step_cases,
        runtime_variant_cases,
    )
    for name in dir(module)
    if name.startswith("case_")
]


def compiler():
    found = next(filter(None, map(shutil.which, ("cc", "gcc", "clang", "clang-22"))), None)
    if found is None:
        pytest.fail("no C compiler (cc, gcc or clang) in PATH")
    return found


def environment(**more):
    return os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | more


def run(command, **more):
    done = subprocess.run(command, env=environment(**more), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def make_driver(folder, *flags):
    """Makes a libcuda.so.1 that writes down what it is asked, and returns its folder."""
    command = [compiler(), "-std=c11", "-Wall", "-Werror", "-fPIC", "-shared", *flags]
    run([*command, "-Wl,-soname,libcuda.so.1", HERE / "fake_cuda.c", "-o", folder / "libcuda.so.1"])
    return folder


@pytest.fixture(scope="session")
def driver(tmp_path_factory):
    return make_driver(tmp_path_factory.mktemp("driver"))


@pytest.mark.parametrize("module, case", CASES, ids=[name for _, name in CASES])
def test_driver_calls(module, case, driver, tmp_path):
    devices = getattr(getattr(module, case), "devices", "90")
    command = [sys.executable, module.__file__, case, tmp_path]
    run(command, LD_LIBRARY_PATH=str(driver), FAKE_DEVICES=devices)


def test_no_driver(tmp_path):
    """Loading works everywhere; the launch says what is missing."""
    broken = tmp_path / "libcuda.so.1"
    broken.write_text("not a library")
    script = (
        "import sys, runtime_cases as cases\n"
        "program = cases.load(sys.argv[1])\n"
        "with cases.refused('WYVERN_ERROR_NO_DRIVER', 'no NVIDIA driver'):\n"
        "    cases.launch(program, cases.arguments())\n"
    )
    run([sys.executable, "-c", script, tmp_path], LD_LIBRARY_PATH=str(tmp_path))


def test_old_driver(tmp_path):
    source = tmp_path / "old.c"
    source.write_text("int cuInit(unsigned flags) { return (int)flags; }\n")
    library = tmp_path / "libcuda.so.1"
    run([compiler(), "-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", source, "-o", library])
    script = (
        "import sys, runtime_cases as cases\n"
        "program = cases.load(sys.argv[1])\n"
        "with cases.refused('WYVERN_ERROR_NO_DRIVER', 'CUDA 12.0 or later'):\n"
        "    cases.launch(program, cases.arguments())\n"
    )
    run([sys.executable, "-c", script, tmp_path], LD_LIBRARY_PATH=str(tmp_path))


def test_the_first_driver_that_is_taken(tmp_path):
    """It has no graphs of kernels that overlap."""
    script = (
        "import sys, runtime_graph_cases as cases\n"
        "program, tensors = cases.load(sys.argv[1]), cases.arguments()\n"
        "lines = cases.again(program, tensors, cases.TIMES + 1)[-5:]\n"
        "assert cases.is_graph(lines) and all('attributes=none' in x for x in cases.launches(lines)), lines\n"
        "assert cases.driver().fake_wrongs() == 0\n"
    )
    run([sys.executable, "-c", script, tmp_path], LD_LIBRARY_PATH=str(make_driver(tmp_path, "-DCUDA_12_0")), FAKE_DEVICES="90")


@pytest.fixture(scope="session")
def example(tmp_path_factory):
    """runtime_example.c and the runtime's sources, built by a plain C compiler."""
    program = tmp_path_factory.mktemp("example") / "example"
    sources = [HERE / "runtime_example.c", *sorted((ROOT / "lib/Runtime").glob("*.c"))]
    flags = ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-I", ROOT / "include"]
    run([compiler(), *flags, *sources, "-o", program, "-ldl", "-lpthread"])
    return program


def test_c_example(example, driver, tmp_path):
    (tmp_path / "scale.cubin").write_bytes(runtime_cases.fake_image("scale", "mpipi"))
    done = subprocess.run(
        [example, tmp_path], env=environment(LD_LIBRARY_PATH=str(driver)), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"workspace {2 * 100 * 4 * 64 * 4}\n"
    assert "WYVERN_ERROR_INVALID_TENSOR: scale: 'y' is on device 1, 'x' on device 0" in done.stderr


def test_c_example_without_the_bundle(example, tmp_path):
    done = subprocess.run([example, tmp_path], capture_output=True, text=True)
    assert done.returncode == 1
    assert f"WYVERN_ERROR_FILE: scale: cannot open {tmp_path}/scale.cubin" in done.stderr


def test_threads(driver, tmp_path):
    """Launches of many threads at once, watched by ThreadSanitizer."""
    program = tmp_path / "threads"
    sources = [HERE / "runtime_threads.c", *sorted((ROOT / "lib/Runtime").glob("*.c"))]
    flags = ["-std=c11", "-D_GNU_SOURCE", "-g", "-O1", "-fsanitize=thread", "-I", ROOT / "include"]
    run([compiler(), *flags, *sources, "-o", program, driver / "libcuda.so.1", "-ldl", "-lpthread"])
    (tmp_path / "scale.cubin").write_bytes(runtime_cases.fake_image("scale", "mpi"))
    run([program, tmp_path], LD_LIBRARY_PATH=str(driver), TSAN_OPTIONS="halt_on_error=1")


def test_builds_and_installs_alone(driver, tmp_path):
    build, prefix = tmp_path / "build", tmp_path / "prefix"
    run(["cmake", "-S", ROOT / "lib/Runtime", "-B", build, f"-DCMAKE_INSTALL_PREFIX={prefix}", "-DCMAKE_INSTALL_LIBDIR=lib"])
    run(["cmake", "--build", build, "--target", "install"])
    exported = run(["nm", "-D", "--defined-only", prefix / "lib/libwyvern_rt.so"]).split()[2::3]
    assert exported and all(name.startswith("wyvern_") for name in exported), exported
    program = tmp_path / "example"
    flags = ["-I", prefix / "include", "-L", prefix / "lib", "-lwyvern_rt", f"-Wl,-rpath,{prefix}/lib"]
    run([compiler(), "-std=c11", HERE / "runtime_example.c", "-o", program, *flags])
    (tmp_path / "scale.cubin").write_bytes(runtime_cases.fake_image("scale", "mpipi"))
    run([program, tmp_path], LD_LIBRARY_PATH=str(driver))


def test_header_is_cxx(tmp_path):
    source = tmp_path / "header.cpp"
    source.write_text('#include "wyvern-rt/wyvern_rt.h"\nint main() { return sizeof(wyvern_tensor) == 0; }\n')
    cxx = next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))))
    run([cxx, "-std=c++11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-I", ROOT / "include", source])


def test_no_cuda_or_compiler_headers():
    """The runtime builds without a CUDA toolkit and without LLVM."""
    own = {path.name for path in (ROOT / "lib/Runtime").glob("*.h")}
    for path in [*(ROOT / "lib/Runtime").glob("*.[ch]"), ROOT / "include/wyvern-rt/wyvern_rt.h"]:
        for line in path.read_text().splitlines():
            if line.startswith("#include"):
                name = line.split()[1].strip('<">')
                assert name in own or name == "wyvern-rt/wyvern_rt.h" or "/" not in name, (path, name)
                assert not name.startswith(("cuda", "cu")), (path, name)
