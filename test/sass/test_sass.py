# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The machine code of kernels: first that the check sees what it looks for, then every
spec that is compiled for the GPU, in both 16-bit types and all head dims."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import sass_check  # noqa: E402

INPUTS = pathlib.Path(__file__).parent / "Inputs"


def run_ptxas(ptx, cubin, *flags):
    ptxas = os.environ.get("WYVERN_PTXAS") or shutil.which("ptxas")
    assert ptxas, "no ptxas; type: scripts/test"
    subprocess.run([ptxas, "-arch=sm_90a", *flags, ptx, "-o", cubin], check=True)
    return cubin


def assemble(name, folder):
    return run_ptxas(INPUTS / f"{name}.ptx", folder / f"{name}.cubin")


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


# Specs that differ in their kernels by more than constants: delta_net-340M has other numbers of heads than
# delta_net-1.3B, and is left out.
SHIPPED = [
    "delta_net-1.3B",
    "deltaproduct",
    "gated_deltanet",
    "gated_deltaproduct",
    "linear_attention",
    "qwen3-next",
    "qwen3.5-27B",
    "ssd",
]
# (spec, type, key dim, value dim)
VARIANTS = [
    ("delta_net-1.3B", "f16", 128, 128),
    ("delta_net-1.3B", "bf16", 64, 64),
    ("delta_net-1.3B", "bf16", 64, 128),
    ("gated_deltanet", "f16", 128, 64),
]


# Forward and backward; linear attention's maps hold the most registers at K 128, V 64.
TRAINED = [
    ("gated_deltanet", "f16", 128, 128),
    ("gated_deltanet", "bf16", 128, 64),
    ("gated_deltaproduct", "bf16", 128, 64),
    ("linear_attention", "bf16", 128, 64),
    ("ssd", "bf16", 128, 64),
    ("qwen3-next", "bf16", 128, 128),
]


def check_bundle(wyvernc, spec, folder, *flags):
    bundle = folder / "bundle"
    done = subprocess.run([wyvernc, spec, "--strict", "-o", bundle, *flags], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    manifest = json.loads((bundle / "manifest.json").read_text())
    programs = filter(None, (manifest, manifest["backward"]))
    kernels = [k for program in programs for variant in program["variants"] for k in variant["kernels"]]
    assert {kernel["image"] for kernel in kernels} == {path.name for path in bundle.glob("*.cubin")}
    for kernel in kernels:
        functions = sass_check.opcodes(bundle / kernel["image"])
        assert list(functions) == [kernel["symbol"]]
        # Some maps of a backward make gates, or sum a group of heads, and multiply nothing;
        # nor do the transitions of segments, and what is made for them, if the layer erases nothing.
        multiplies = not flags or "_scan" in kernel["symbol"]
        if "segments" in kernel["image"] and kernel["symbol"].endswith(("_scan", "_scan1", "_map")):
            multiplies = any(step["erase"] != "none" for step in manifest["spec"]["steps"])
        assert sass_check.problems(functions[kernel["symbol"]], wants_wgmma=multiplies) == []
        assert kernel["spill_stores"] == kernel["spill_loads"] == 0


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_kernels(name, wyvernc, root, tmp_path):
    check_bundle(wyvernc, root / "specs" / f"{name}.yaml", tmp_path)


def write_variant(root, folder, name, dtype, key, value):
    text = (root / "specs" / f"{name}.yaml").read_text()
    text, types = re.subn(r"^dtype:.*", f"dtype: {dtype}", text, flags=re.M)
    text, dims = re.subn(r"^dims:.*", f"dims: {{key: {key}, value: {value}}}", text, flags=re.M)
    assert types == dims == 1
    spec = folder / "variant.yaml"
    spec.write_text(text)
    return spec


@pytest.mark.parametrize("variant", VARIANTS)
def test_types_and_dims(variant, wyvernc, root, tmp_path):
    check_bundle(wyvernc, write_variant(root, tmp_path, *variant), tmp_path)


@pytest.mark.parametrize("variant", TRAINED)
def test_training(variant, wyvernc, root, tmp_path):
    check_bundle(wyvernc, write_variant(root, tmp_path, *variant), tmp_path, "--training")


def test_sums_are_read_again_behind_a_product(wyvernc, root, tmp_path):
    """Asked for less reuse, ptxas 13.0 takes rates times a sum before a product for those
    behind it, where PTX has the same factors: multiplications are missing then."""
    spec = root / "specs" / "delta_net-1.3B.yaml"
    flags = ["--training", "--save=states", "--schedule=fused-backward", "--emit=ptx"]
    subprocess.run([wyvernc, spec, *flags, "-o", tmp_path / "ptx"], check=True)
    for ptx in (tmp_path / "ptx").glob("*_fused.ptx"):
        usual, less = (
            next(iter(sass_check.opcodes(run_ptxas(ptx, tmp_path / "out.cubin", "-O3", *level)).values()))
            for level in ([], ["--register-usage-level=3"])
        )
        assert usual["FMUL"] == less["FMUL"] > 400


def test_kernels_that_are_just_full(wyvernc, root, tmp_path):
    """In f16, with two value heads a key head, a backward in one kernel spills as it is first assembled, and so does a
    map of gated DeltaProduct: with less reuse they hold all in registers."""
    spec = write_variant(root, tmp_path, "delta_net-1.3B", "f16", 128, 128)
    text, heads = re.subn(r"^heads:.*", "heads: {key: 16, value: 32}", spec.read_text(), flags=re.M)
    assert heads == 1
    spec.write_text(text)
    check_bundle(wyvernc, spec, tmp_path, "--training", "--save=states", "--schedule=fused-backward")
    manifest = json.loads((tmp_path / "bundle" / "manifest.json").read_text())
    assert "fused-backward" in [variant["name"] for variant in manifest["backward"]["variants"]]
    spec = write_variant(root, tmp_path, "gated_deltaproduct", "bf16", 128, 128)
    spec.write_text(re.sub(r"^heads:.*", "heads: {key: 2, value: 4}", spec.read_text(), flags=re.M))
    check_bundle(wyvernc, spec, tmp_path, "--training", "--schedule=separate")
