# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Modules of tvm-ffi: the runtime's part against a fake driver, and what wyvernc writes, as
far as that goes without a GPU."""

import json
import sys
from pathlib import Path

import pytest

tvm_ffi = pytest.importorskip("tvm_ffi")

import tvm_ffi_cases
from test_runtime import HERE, ROOT, compiler, driver, run  # noqa: F401 (a fixture)

CASES = [name for name in dir(tvm_ffi_cases) if name.startswith("case_")]
FLAGS = ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-I", ROOT / "include"]


@pytest.fixture(scope="session")
def module(tmp_path_factory):
    """tvm_ffi_module.c, compiled as wyvernc compiles what it writes."""
    path = tmp_path_factory.mktemp("module") / "module.so"
    runtime = ROOT / "lib/Runtime"
    sources = [HERE / "tvm_ffi_module.c", *sorted(runtime.glob("**/*.c"))]
    run([compiler(), *FLAGS, "-fPIC", "-shared", "-fvisibility=hidden", *sources, "-o", path, "-ldl", "-lpthread"])
    return path


def call(case, module, driver, **environment):  # noqa: F811
    command = [sys.executable, HERE / "tvm_ffi_cases.py", case, module]
    return run(command, LD_LIBRARY_PATH=str(driver), FAKE_DEVICES="90,90", **environment)


@pytest.mark.parametrize("case", CASES)
def test_calls(case, module, driver):  # noqa: F811
    fail = {"FAKE_FAIL": "cuMemAlloc_v2=2"} if case == "case_no_memory_to_keep" else {}
    call(case, module, driver, **fail)


def test_kept_workspaces_are_freed(module, driver):  # noqa: F811
    taken, *freed = call("case_unloaded", module, driver, FAKE_TELLS_FREES="1").splitlines()
    assert freed == [taken]


def test_declarations():
    """That it compiles is the test."""
    folder = Path(tvm_ffi.__file__).parent
    theirs = [folder / "include", folder / "3rdparty/dlpack/include"]
    includes = [flag for path in theirs for flag in ("-isystem", path)]
    run([compiler(), *FLAGS, *includes, "-fsyntax-only", HERE / "tvm_ffi_layout.c"])


@pytest.fixture(scope="session")
def compiled(wyvernc, tmp_path_factory):
    """A layer with its backward."""
    path = tmp_path_factory.mktemp("compiled") / "layer.so"
    run([wyvernc, ROOT / "specs/linear_attention.yaml", "--training", "--save=factor", "--emit=tvm-ffi", "-o", path])
    return path


def test_a_compiled_layer(compiled):
    """Its functions are there and say what they take."""
    layer = tvm_ffi.load_module(str(compiled))
    manifest = json.loads(layer.linear_attention_manifest())
    assert manifest["name"] == "linear_attention" and manifest["backward"] is not None
    for program, tensors in (("linear_attention", manifest["tensors"]), ("linear_attention_backward", manifest["backward"]["tensors"])):
        doc = layer.get_function_doc(program)
        names = [tensor["name"] for tensor in tensors]
        assert doc.startswith(f"{program}({', '.join(names)}, cu_seqlens=None, workspace=None)\n")
        assert "\nq: bf16 [batch, tokens, " in doc
        with pytest.raises(TypeError, match=f"there are 0 arguments, expected the {len(names)} tensors"):
            layer[program]()
    assert layer.linear_attention_workspace_size(1, 64, -1) > 0


def test_two_modules_do_not_share_a_runtime(compiled, module):
    """What is exported are functions of tvm-ffi alone."""
    for path in (compiled, module):
        names = run(["nm", "-D", "--defined-only", path]).split()[2::3]
        assert names and all(name.startswith("__tvm_ffi_") for name in names if "wyvern_" not in name)
    assert not any("wyvern_" in name for name in run(["nm", "-D", "--defined-only", compiled]).split()[2::3])
