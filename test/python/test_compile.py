# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""wyvern.compile and wyvern.reference: what they take, and what they refuse."""

import gc
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import pytest

import wyvern

ROOT = pathlib.Path(__file__).resolve().parents[2]
SPEC = {
    "name": "small",
    "heads": {"key": 1, "value": 2},
    "dims": {"key": 8, "value": 6},
    "dtype": "f32",
    "decay": "head",
    "steps": [{"write": "k", "value": "v", "rate": "beta"}],
}
TEXT = """name: small
heads: {key: 1, value: 2}
dims: {key: 8, value: 6}
dtype: f32
decay: head
steps:
  - {write: k, value: v, rate: beta}
"""
MODEL = {
    "model_type": "gated_deltanet",
    "hidden_size": 64,
    "num_heads": 2,
    "head_dim": 16,
    "expand_v": 1,
    "num_hidden_layers": 2,
}


@pytest.fixture(scope="module")
def program():
    return wyvern.compile(SPEC, target="cpu")


@pytest.fixture
def inputs():
    rng = np.random.default_rng(0)
    f32 = lambda *shape: rng.standard_normal(shape).astype(np.float32)
    return {
        "q": f32(2, 10, 1, 8),
        "g": -np.abs(f32(2, 10, 2)),
        "k": 0.3 * f32(2, 10, 1, 8),
        "v": f32(2, 10, 2, 6),
        "beta": rng.random((2, 10, 2), dtype=np.float32),
        "initial_state": f32(2, 2, 8, 6),
    }


def refused(kind, words, function, *args, **kwargs):
    with pytest.raises(kind, match=words):
        function(*args, **kwargs)


# === Specs ===


def test_every_form_of_a_spec_is_the_same_program(tmp_path, inputs, program):
    path = tmp_path / "small.yaml"
    path.write_text(TEXT)
    expected = program(**inputs)
    for form in (TEXT, path, str(path)):
        found = wyvern.compile(form, target="cpu")(**inputs)
        assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_mlir(tmp_path, inputs, program, wyvernc):
    """The sequence level and the chunk program of it, from a file and as text."""
    spec, expected = tmp_path / "small.yaml", program(**inputs)
    spec.write_text(TEXT)
    for phase in ("input", "wy", "staged"):
        path = tmp_path / f"{phase}.mlir"
        subprocess.run([wyvernc, spec, f"--emit={phase}", "-o", path], check=True)
        for form in (path, path.read_text()):
            found = wyvern.compile(form, target="cpu")(**inputs)
            assert np.allclose(found["o"], expected["o"], rtol=1e-4, atol=1e-5)


def test_model_config(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(MODEL))
    for form in (MODEL, path):
        program = wyvern.compile(form, target="cpu", layer="gated_deltanet")
        assert program.inputs["q"][2] == [-1, -1, 2, 16]
    refused(wyvern.CompileError, "expected a layer 'x', found gated_deltanet", wyvern.compile, path, "cpu", layer="x")


def test_spec_errors_point_into_the_spec(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text(TEXT.replace("decay:", "decays:"))
    refused(wyvern.CompileError, r"bad.yaml:5:1: error: unknown key 'decays'.*did you mean 'decay'", wyvern.compile, path, "cpu")
    refused(wyvern.CompileError, r"<string>:2:8: error", wyvern.compile, "name: x\nheads: [", "cpu")
    refused(wyvern.CompileError, r"<dict>:1:\d+: error", wyvern.compile, {**SPEC, "dims": {"key": 0, "value": 6}}, "cpu")
    long = "name: x\nheads: {key: 1, valeu: 1} # " + 5000 * "a"
    refused(wyvern.CompileError, r"(?s)<string>:2:17: error.*\nheads: {key: 1, valeu: 1} # a{68}\.\.\.\n", wyvern.compile, long, "cpu")
    refused(wyvern.CompileError, r"^<mlir>:1:14: error: expected", wyvern.compile, "func.func @f( {\n}", "cpu")
    refused(wyvern.CompileError, "cannot read .*: No such file", wyvern.compile, tmp_path / "none.yaml", "cpu")
    refused(wyvern.CompileError, "expected a file that ends in .yaml", wyvern.compile, tmp_path / "none.txt", "cpu")
    refused(TypeError, "spec: expected a path", wyvern.compile, 3, "cpu")


def test_text_of_one_line():
    """Longer than a path may be; a dict as JSON is that."""
    spec = {"name": "small", "heads": {"key": 1, "value": 1}, "dims": {"key": 4, "value": 4}}
    spec["steps"] = [{"write": "k", "value": f"v{'_' * 300}"}]
    text = json.dumps(spec)
    assert str(wyvern.compile(text, target="cpu")) == str(wyvern.compile(spec, target="cpu"))


def test_files_are_utf8(tmp_path):
    """Wherever the compiler runs: containers often have no locale."""
    text = "# Schlag & Götz × 2\n{name: small, heads: {key: 1, value: 1}, dims: {key: 64, value: 64}, steps: [{write: k, value: v}]}"
    file, other = tmp_path / "layer.yaml", tmp_path / "other.yaml"
    file.write_bytes(text.encode())
    other.write_bytes(text.encode("latin-1"))
    code = f"import wyvern; wyvern.compile({str(file)!r}, target='cpu'); wyvern.compile({str(file)!r}, output={str(tmp_path / 'b')!r})"
    environment = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with pytest.raises(wyvern.CompileError, match="other.yaml: expected UTF-8, found a byte that is none at 12"):
        wyvern.compile(other, target="cpu")


def test_mlir_that_the_cpu_does_not_take():
    two = "func.func @a() { return }\nfunc.func @b() { return }\n"
    refused(wyvern.CompileError, "expected one function, found a, b", wyvern.compile, two, "cpu")
    refused(wyvern.CompileError, "expected a function @c, found a, b", wyvern.compile, two, "cpu", layer="c")
    nameless = "func.func @f(%x: tensor<?xf32>) -> tensor<?xf32> {\n return %x : tensor<?xf32> }"
    refused(wyvern.CompileError, "argument 0: expected a ranked tensor with the attribute delta.name", wyvern.compile, nameless, "cpu")


# What LLVM's parser crashes on; text too deep for it; a spec with a brace too many.
UNFINISHED = """func.func @f(%a: tensor<4xf32>, %b: tensor<4x2xf32>) -> tensor<4x2xf32> {
  %0 = linalg.broadcast ins(%a : tensor<4xf32>) outs(%b : tensor<4x2xf32>) dimensions =
"""
DEEP = "func.func @f() attributes {a = " + "[" * 100000 + "]" * 100000 + "} { return }\n"
BRACE = "{name: x, heads: {key: 1, value: 1}, dims: {key: 64, value: 64}, steps: [{write: k, value: v}]}}\n"


@pytest.mark.parametrize(
    "text, message",
    [
        (UNFINISHED, "LLVM's parser crashed on this text"),
        (DEEP, "nested deeper than 256 levels"),
        (BRACE, "<string>:1:96: error: Unexpected token"),
    ],
    ids=["unfinished", "deep", "brace"],
)
def test_text_that_crashes_a_parser_does_not_end_python(text, message):
    call = "import sys, wyvern\ntry: wyvern.compile(sys.stdin.read(), target='cpu')\nexcept wyvern.CompileError as e: print(e)"
    done = subprocess.run([sys.executable, "-c", call], input=text, capture_output=True, text=True)
    assert done.returncode == 0 and message in done.stdout, done


def test_names_that_clash():
    step = lambda **changes: SPEC | {"steps": [SPEC["steps"][0] | changes]}
    with pytest.raises(wyvern.CompileError, match="'d_o' is the name of the gradient of 'o'; use another name"):
        wyvern.compile(step(rate="d_o"), target="cpu", training=True)
    factor = step(rate="factor")
    wyvern.compile(factor, target="cpu")
    with pytest.raises(wyvern.CompileError, match="another tensor of @small_fwd has the delta.name 'factor' too"):
        wyvern.compile(factor, target="cpu", training=True)


def test_any_name_that_is_left_can_be_called(inputs, program):
    renamed = SPEC | {"steps": [SPEC["steps"][0] | {"rate": "self", "value": "spec"}]}
    given = inputs | {"self": inputs["beta"], "spec": inputs["v"]}
    del given["beta"], given["v"]
    found = wyvern.compile(renamed, target="cpu")(**given)
    assert np.array_equal(found["o"], program(**inputs)["o"])
    assert wyvern.reference(renamed, **given)["o"].shape == found["o"].shape


def test_precision():
    refused(ValueError, "precision: expected f32, f64, rounded, found 'f16'", wyvern.compile, SPEC, "cpu", precision="f16")
    refused(wyvern.CompileError, "needs a spec with dtype bf16 or f16", wyvern.compile, SPEC, "cpu", precision="rounded")
    refused(ValueError, "MLIR says its own types", wyvern.compile, "func.func @f() {\n return }", "cpu", precision="f64")
    refused(ValueError, "only target='cpu' has a choice", wyvern.compile, SPEC, precision="f32")
    refused(ValueError, "a CPU program has no bundle", wyvern.compile, SPEC, "cpu", output="x")
    assert wyvern.compile(SPEC, "cpu", precision="f64").inputs["q"][1] == "f64"


# === Calls ===


def test_names(program, inputs):
    refused(TypeError, "small has no input 'w'; its inputs are q, g, k, v, beta", program, **inputs, w=inputs["v"])
    del inputs["beta"]
    refused(TypeError, "small: 'beta' is missing", program, **inputs)


@pytest.mark.parametrize("name,dtype", [("q", np.float64), ("q", np.float16), ("v", np.int32), ("beta", np.float64), ("q", np.uint16)])
def test_dtypes(program, inputs, name, dtype):
    found = "f16" if dtype == np.float16 else "f64" if dtype == np.float64 else None
    if name == "q" and dtype == np.float16:
        # Narrower floats are exact in f32.
        exact = inputs["q"].astype(np.float16)
        widened = program(**{**inputs, "q": exact.astype(np.float32)})
        assert np.array_equal(program(**{**inputs, "q": exact})["o"], widened["o"])
        return
    words = f"small: {name}: expected elements of f32, found {found or ''}"
    refused(TypeError, words, program, **{**inputs, name: inputs[name].astype(dtype)})


def test_shapes(program, inputs):
    bad = lambda name, value: {**inputs, name: value}
    refused(ValueError, r"small: v: expected shape \[2, 10, 2, 6\], found \[2, 9, 2, 6\]", program, **bad("v", inputs["v"][:, :9]))
    refused(ValueError, r"small: k: expected shape \[2, 10, 1, 8\], found \[1, 10, 1, 8\]", program, **bad("k", inputs["k"][:1]))
    refused(ValueError, r"small: q: expected shape \[\?, \?, 1, 8\], found \[2, 10, 8\]", program, **bad("q", inputs["q"][:, :, 0]))
    refused(ValueError, r"initial_state: expected shape \[2, 2, 8, 6\], found \[3, 2, 8, 6\]", program, **bad("initial_state", np.zeros((3, 2, 8, 6), np.float32)))
    refused(ValueError, r"initial_state: expected shape \[2, 2, 8, 6\], found \[2, 2, 6, 8\]", program, **bad("initial_state", np.zeros((2, 2, 6, 8), np.float32)))


def test_cu_seqlens(program, inputs):
    one = {name: x[:1] for name, x in inputs.items() if name != "initial_state"}
    call = lambda cu, **more: program(**{**one, **more}, cu_seqlens=cu)
    for words, cu in (
        ("expected offsets that start at 0 or above, never decrease.*found 3 after 5 at entry 2", [0, 5, 3]),
        ("end within the 10 tokens; found 11", [0, 11]),
        ("found -1 after 0 at entry 0", [-1, 4]),
    ):
        refused(ValueError, words, call, np.array(cu))
    refused(TypeError, "cu_seqlens: expected int32 or int64", call, np.array([0.0, 5.0]))
    refused(TypeError, "cu_seqlens: expected int32 or int64", call, [0, 5])
    refused(TypeError, r"of shape \[sequences \+ 1\]", call, np.zeros((1, 2), np.int64))
    refused(ValueError, "expected one batch row of packed sequences, found 2", program, **inputs, cu_seqlens=np.array([0, 10]))
    assert np.array_equal(call(np.array([0, 4, 10], np.int32))["o"], call(np.array([0, 4, 10]))["o"])


def test_positive_gates_are_refused(program, inputs):
    inputs["g"][1, 3, 0] = 0.5
    words = r"small: g: expected log decays, none above 0, found 0.5; pass log\(alpha\)"
    refused(ValueError, words, program, **inputs)
    refused(ValueError, words, wyvern.reference, SPEC, **inputs)


def test_describes_itself(program):
    text = repr(program)
    assert text.startswith("<wyvern CPU program small(q: f32[?, ?, 1, 8], g: f32[?, ?, 2]")
    assert text.endswith("-> o: f32[?, ?, 2, 6], final_state: f32[?, 2, 8, 6]>")


# === The reference ===


def test_reference_takes_any_float(inputs, program):
    expected = wyvern.reference(SPEC, **{name: x.astype(np.float64) for name, x in inputs.items()})
    found = wyvern.reference(SPEC, **inputs)
    assert found["o"].dtype == np.float64 and found["o"].shape == (2, 10, 2, 6)
    assert all(np.array_equal(found[name], expected[name]) for name in ("o", "final_state"))
    bits = wyvern.to_bf16(inputs["v"])
    as_bits = wyvern.reference({**SPEC, "dtype": "bf16"}, **{**inputs, "v": bits})
    as_values = wyvern.reference(SPEC, **{**inputs, "v": wyvern.from_bf16(bits)})
    assert np.array_equal(as_bits["o"], as_values["o"])


def test_reference_refusals(inputs):
    refused(ValueError, r"<mlir>:\d+:\d+: error: expected the operands of step #0 .* found an array of shape \[2, 4, 2, 6\]$", wyvern.reference, SPEC, **{**inputs, "v": inputs["v"][:, :4]})
    refused(TypeError, "q: expected numbers", wyvern.reference, SPEC, **{**inputs, "q": np.array(["x"])})
    refused(wyvern.CompileError, "error", wyvern.reference, {**SPEC, "decay": "heads"}, **inputs)


# === bf16 and torch ===


def test_values_are_no_bits_of_bf16():
    with pytest.raises(TypeError, match="from_bf16: expected the bits, of dtype uint16, found float32"):
        wyvern.from_bf16(np.ones(3, np.float32))


def test_bf16_rounds_to_nearest_even():
    values = np.array([1.0, 1 + 2**-9, 1 + 2**-8, 1 + 3 * 2**-8, -0.0, np.inf, 3.4e38, np.nan], np.float32)
    expected = [1.0, 1.0, 1.0, 1 + 2**-6, -0.0, np.inf, np.inf, np.nan]
    found = wyvern.from_bf16(wyvern.to_bf16(values))
    assert np.array_equal(found, np.array(expected, np.float32), equal_nan=True)
    assert np.signbit(found[4])


def test_torch_tensors_in_and_out(inputs):
    torch = pytest.importorskip("torch")
    spec = {**SPEC, "dtype": "bf16"}
    program = wyvern.compile(spec, target="cpu")
    bits = {name: wyvern.to_bf16(x) if name in ("q", "k", "v") else x for name, x in inputs.items()}
    expected = program(**bits)
    tensors = {
        name: torch.from_numpy(wyvern.from_bf16(x)).to(torch.bfloat16) if x.dtype == np.uint16 else torch.from_numpy(x)
        for name, x in bits.items()
    }
    tensors["v"] = tensors["v"].transpose(1, 2).contiguous().transpose(1, 2)
    found = program(**tensors)
    assert found["o"].dtype == torch.bfloat16 and found["final_state"].dtype == torch.float32
    assert np.array_equal(found["o"].float().numpy(), wyvern.from_bf16(expected["o"]))
    refused(TypeError, "q: expected a CPU tensor", program, **{**tensors, "q": tensors["q"].to("meta")})


# === GPU programs ===


def test_wyvernc_runs_in_a_process_of_its_own(tmp_path, monkeypatch):
    fake = tmp_path / "wyvernc"
    fake.write_text('#!/bin/sh\necho "$1:1:2: error: expected a unicorn" >&2\nexit 1\n')
    fake.chmod(0o755)
    monkeypatch.setenv("WYVERNC", str(fake))
    refused(wyvern.CompileError, r"^<dict>:1:2: error: expected a unicorn$", wyvern.compile, SPEC)
    fake.write_text("#!/bin/sh\nkill -ABRT $$\n")
    refused(wyvern.CompileError, "wyvernc ended with status -6", wyvern.compile, SPEC)


def has_ptxas():
    places = [os.environ.get("WYVERN_PTXAS"), "/usr/local/cuda/bin/ptxas", shutil.which("ptxas")]
    return any(place and os.access(place, os.X_OK) for place in places)


@pytest.mark.skipif(not has_ptxas(), reason="needs ptxas")
def test_bundle(tmp_path, monkeypatch, wyvernc):
    """From a spec to a loaded program; the bundle stays only if it was asked for."""
    pytest.importorskip("torch")
    monkeypatch.setenv("WYVERNC", str(wyvernc))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    spec = {**SPEC, "dtype": "bf16", "dims": {"key": 64, "value": 64}}
    kept = wyvern.compile(spec, output=tmp_path / "small.wyvern")
    assert kept.target == "sm_90a" and kept.manifest["spec"]["steps"][0]["write"] == "k"
    assert (tmp_path / "small.wyvern" / "manifest.json").exists()
    scratch = wyvern.compile(spec, "sm_90a")
    assert repr(scratch).startswith("<wyvern program small for sm_90a")
    del kept, scratch
    gc.collect()
    assert not list((tmp_path / "scratch").iterdir())


def test_unknown_arch(wyvernc, monkeypatch):
    monkeypatch.setenv("WYVERNC", str(wyvernc))
    refused(wyvern.CompileError, "sm_20", wyvern.compile, {**SPEC, "dtype": "bf16"}, "sm_20")


def test_wyvernc_not_installed(tmp_path):
    """In another process: one without wyvernc on its PATH or in a build tree."""
    package = tmp_path / "lib" / "deep" / "wyvern"
    shutil.copytree(pathlib.Path(wyvern.__file__).parent, package, symlinks=False, ignore_dangling_symlinks=True)
    script = f"import wyvern; wyvern.compile({SPEC!r})"
    environment = {"PYTHONPATH": str(package.parent), "PATH": "/nowhere", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert "FileNotFoundError: wyvernc is not installed" in done.stderr
