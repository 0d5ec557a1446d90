# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs with a backward: how they are compiled, called, and refused.

The module is written by hand (Inputs/training.mlir of wyvernc's tests), so these tests
are about what is around a backward and not about how one is derived.
"""

import json
import pathlib

import numpy as np
import pytest

import wyvern

pytest.importorskip("wyvern._compiler", reason="the compiler module is not built")

MODULE = pathlib.Path(__file__).parents[1] / "tools/wyvernc/Inputs/training.mlir"
SPEC = {
    "name": "small",
    "heads": {"key": 1, "value": 1},
    "dims": {"key": 8, "value": 8},
    "dtype": "f32",
    "steps": [{"write": "k", "value": "v", "rate": "beta"}],
}


def refused(kind, words, function, *args, **kwargs):
    with pytest.raises(kind, match=words):
        function(*args, **kwargs)


@pytest.fixture(scope="module")
def program():
    text = MODULE.read_text().replace("bf16", "f64").replace("f32", "f64")
    return wyvern.compile(text, target="cpu")


@pytest.fixture
def inputs():
    random = np.random.default_rng(1)
    rows = {name: random.standard_normal((2, 150, 1, 64)) for name in ("q", "k", "v")}
    return rows | {"initial_state": random.standard_normal((2, 1, 64, 64))}


@pytest.fixture
def gradients():
    random = np.random.default_rng(2)
    return {
        "d_o": random.standard_normal((2, 150, 1, 64)),
        "d_final_state": random.standard_normal((2, 1, 64, 64)),
    }


def call_backward(program, inputs, out, gradients):
    given = {name: x for name, x in inputs.items() if name in program.backward.inputs}
    return program.backward(**given, **{name: out[name] for name in program.residuals}, **gradients)


def test_forward_and_backward(program, inputs, gradients):
    """Directional derivatives of the forward: it is linear in each input."""
    assert program.name == "sums" and program.backward.name == "sums_backward"
    assert program.residuals == ["p"] and program.backward.residuals == []
    out = program(**inputs)
    assert list(out) == ["o", "final_state", "p"]
    found = call_backward(program, inputs, out, gradients)
    assert list(found) == ["d_q", "d_k", "d_v", "d_initial_state"]
    random = np.random.default_rng(3)
    for name, x in inputs.items():
        step = random.standard_normal(x.shape)
        up, down = (program(**{**inputs, name: x + sign * step}) for sign in (1, -1))
        slope = sum(((up[y] - down[y]) / 2 * gradients[f"d_{y}"]).sum() for y in ("o", "final_state"))
        assert np.isclose((found[f"d_{name}"] * step).sum(), slope, rtol=1e-9)


def test_states_default_to_zeros(program, inputs, gradients):
    del inputs["initial_state"], gradients["d_final_state"]
    zeros = np.zeros((2, 1, 64, 64))
    out = program(**inputs)
    found = call_backward(program, inputs, out, gradients)
    expected = call_backward(
        program, inputs | {"initial_state": zeros}, out, gradients | {"d_final_state": zeros}
    )
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_a_program_without_a_backward():
    program = wyvern.compile(SPEC, target="cpu")
    assert program.residuals == [] and not hasattr(program, "backward")
    words = r"small was compiled without its backward; compile it with wyvern.compile\(spec, training=True\)"
    refused(AttributeError, words, lambda: program.backward)


def test_mismatched_residuals(program, inputs, gradients):
    saved = program(**inputs)["p"]
    call = lambda p: call_backward(program, inputs, {"p": p}, gradients)
    refused(TypeError, "sums_backward: 'p' is missing", call, None)
    refused(ValueError, r"p: expected shape \[2, 150, 1, 64\], found \[1, 150, 1, 64\]", call, saved[:1])
    refused(ValueError, r"p: expected shape \[2, 150, 1, 64\], found \[2, 150, 1, 32\]", call, saved[..., :32])
    # A rate may come narrower; what was saved comes back as it is.
    refused(TypeError, "p: expected elements of f64, found f32", call, saved.astype(np.float32))
    refused(TypeError, "sums_backward has no input 'k'; its inputs are q, v, initial_state, p, d_o, d_final_state",
            program.backward, **inputs, p=saved, **gradients)


def test_options():
    refused(ValueError, "save: it says what training saves; add training=True", wyvern.compile, SPEC, "cpu", save="none")
    refused(ValueError, "save: expected auto, factor, checkpoints, states, none, found 'all'", wyvern.compile, SPEC, "cpu", training=True, save="all")
    refused(ValueError, "save_bytes: it says what training saves; add training=True", wyvern.compile, SPEC, "cpu", save_bytes=0)
    refused(ValueError, "save_bytes: .*, found save='factor'", wyvern.compile, SPEC, "cpu", training=True, save_bytes=0)
    refused(ValueError, "save_bytes: expected at least 0, found -1", wyvern.compile, SPEC, "cpu", training=True, save="auto", save_bytes=-1)
    refused(wyvern.CompileError, "has a backward already, @sums_bwd", wyvern.compile, MODULE, "cpu", training=True)
    nothing = "func.func @nothing() {\n return }"
    refused(wyvern.CompileError, "expected a recurrence or a chunk program to differentiate", wyvern.compile, nothing, "cpu", training=True)


SAVED = {"name": "saved", "heads": {"key": 1, "value": 1}, "dims": {"key": 64, "value": 64}, "dtype": "bf16",
         "steps": [{"write": "k", "value": "v", "rate": "beta"}]}


def test_save_bytes():
    """One byte has no room for states, 0 is any."""
    residuals = lambda **saved: wyvern.compile(SAVED, "cpu", training=True, **saved).residuals
    assert residuals(save="auto", save_bytes=1) == residuals(save="factor")
    assert residuals(save="auto", save_bytes=0) == residuals(save="states")


def test_save_bytes_on_a_gpu(wyvernc):
    program = wyvern.compile(SAVED, training=True, save_bytes=1)
    assert program.manifest["saved"] == {"what": "factor", "chosen": True}


def test_programs_refuse_autograd(program, inputs):
    torch = pytest.importorskip("torch")
    tensors = {name: torch.from_numpy(x) for name, x in inputs.items()}
    tensors["v"].requires_grad_()
    words = "sums: an input requires grad, but a program records no autograd graph.*wyvern.torch.*training=True"
    refused(NotImplementedError, words, program, **tensors)
    with torch.no_grad():
        assert torch.is_tensor(program(**tensors)["o"])


# === Bundles ===


@pytest.fixture(scope="module")
def bundle(tmp_path_factory, wyvernc):
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("bundle") / "sums.wyvern"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WYVERNC", str(wyvernc))
        wyvern.compile(MODULE, output=folder)
    return folder


def test_bundle(bundle):
    program = wyvern.load(bundle)
    assert repr(program) == "<wyvern program sums for sm_90a: q, k, v, initial_state, cu_seqlens>"
    assert program.residuals == ["p"]
    assert repr(program.backward) == (
        "<wyvern program sums_backward for sm_90a: q, v, initial_state, p, d_o, d_final_state, cu_seqlens>"
    )
    assert list(program.backward.outputs) == ["d_q", "d_k", "d_v", "d_initial_state"]
    refused(AttributeError, "sums_backward was compiled without its backward", lambda: program.backward.backward)


def test_damaged_bundle(bundle, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in bundle.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    image = copy / "sums_bwd_scan.cubin"
    image.write_bytes(image.read_bytes()[:-1])
    refused(wyvern.BundleError, "sums_bwd_scan.cubin is damaged", wyvern.load, copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    del manifest["backward"]["variants"]
    (copy / "manifest.json").write_text(json.dumps(manifest))
    refused(wyvern.BundleError, "has no 'variants' in 'backward'", wyvern.load, copy)


def test_the_compiler_s_choice():
    layer = {
        "name": "small",
        "heads": {"key": 1, "value": 2},
        "dims": {"key": 16, "value": 16},
        "dtype": "bf16",
        "decay": "none",
        "steps": [{"write": "k", "value": "v", "rate": "beta"}],
    }
    for save, saved in (("auto", ["factor", "rows", "state", "mapped"]), (None, ["factor"])):
        assert wyvern.compile(layer, target="cpu", training=True, save=save).residuals == saved
