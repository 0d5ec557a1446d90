# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The machine code of kernels."""

import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import sass_check  # noqa: E402

INPUTS = pathlib.Path(__file__).parent / "Inputs"


def assemble(name, folder):
    ptxas = os.environ.get("WYVERN_PTXAS") or shutil.which("ptxas")
    assert ptxas, "no ptxas; type: scripts/test"
    cubin = folder / f"{name}.cubin"
    subprocess.run([ptxas, "-arch=sm_90a", INPUTS / f"{name}.ptx", "-o", cubin], check=True)
    return cubin


def test_local_memory_is_seen(tmp_path):
    (counts,) = sass_check.opcodes(assemble("local_memory", tmp_path)).values()
    assert counts["STL"] == 1 and counts["LDL"] == 1
    assert len(sass_check.problems(counts)) == 3
    assert len(sass_check.problems(counts, wants_wgmma=False)) == 2


def test_wgmma_is_seen(tmp_path):
    functions = sass_check.opcodes(assemble("wgmma", tmp_path))
    assert list(functions) == ["multiplies"]
    assert functions["multiplies"]["HGMMA"] == 1
    assert sass_check.problems(functions["multiplies"]) == []


def test_the_program_fails_on_a_bad_cubin(tmp_path, capsys):
    assert sass_check.main([assemble("wgmma", tmp_path)]) == 0
    assert sass_check.main([assemble("local_memory", tmp_path)]) == 1
    assert "local memory" in capsys.readouterr().out
