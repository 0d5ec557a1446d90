# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Layers with levels (`levels: log`) on the CPU, against the definition in levels_oracle.py:
the reference, programs and their backward, on lengths that are no multiples of anything."""

import functools
import pathlib

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("wyvern._compiler", reason="the compiler module is not built")

import wyvern
import wyvern.torch
from levels_oracle import dense

ROOT = pathlib.Path(__file__).resolve().parents[2]
MOST = 256  # 9 levels
ERASING = {"write": "k", "value": "v", "rate": "beta"}
LAYERS = {
    "log_linear_gdn": {"decay": "head", "steps": [ERASING]},
    "log_linear_mamba2": {"decay": "head", "steps": [{"write": "k", "erase": "none", "value": "v"}]},
    "no_decay": {"decay": "none", "steps": [ERASING]},
    "channel_decay": {"decay": "channel", "steps": [ERASING]},
    "two_rows": {"decay": "head", "steps": [ERASING | {"repeat": 2}]},
    "two_steps": {"decay": "head", "steps": [ERASING, {"write": "m * k", "erase": "none", "value": "w * v", "rate": "c"}]},
}
PACKED = (1, 140, [0, 1, 1, 66, 135])  # lengths 1, 0, 65, 69; five rows that nobody owns
# Of a token, of a block of two, around a chunk, past two chunks.
PLACES = [(2, 1, None), (1, 2, None), (1, 63, None), (2, 65, None), (1, 150, None), PACKED]
PAPER = ("log_linear_gdn", "log_linear_mamba2")


def spec(name, dtype="f64", heads=(1, 2), most=MOST, **changes):
    layer = {"name": name, "heads": {"key": heads[0], "value": heads[1]}, "dims": {"key": 12, "value": 10}}
    return layer | LAYERS[name] | {"dtype": dtype, "levels": "log", "max_tokens": most} | changes


@functools.lru_cache(maxsize=None)
def compiled(name, dtype="f64", precision=None, training=False):
    return wyvern.compile(spec(name, dtype), target="cpu", precision=precision, training=training)


def draw(program, batch, tokens, strong=False, seed=0):
    """Float64 inputs: unit keys in one orthant, rates to 2, gates to -3 or -60 a token."""
    rng, inputs = np.random.default_rng(seed), {}
    for name, tensor in program.inputs.items():
        if name == "cu_seqlens" or name.startswith("d_"):
            continue
        sizes = {"seq": batch, "time": tokens}
        shape = [sizes[kind] * rows if kind in sizes else size for size, (kind, rows) in zip(tensor.shape, tensor.dims)]
        x = rng.standard_normal(shape)
        if name == "g":
            x = -rng.uniform(0, 60 if strong else 0.3, shape)
        elif name in ("beta", "c"):
            x = rng.uniform(0, 2, shape)
        elif name in ("k", "q"):
            x = np.abs(x) / np.linalg.norm(x, axis=-1, keepdims=True)
        inputs[name] = x
    return inputs


def expected(name, inputs, cu_seqlens=None, gradient=None):
    """o by the definition; with a gradient of o also those of the inputs."""
    tensors = {n: torch.tensor(x, dtype=torch.float64, requires_grad=gradient is not None) for n, x in inputs.items()}
    o = dense(tensors, LAYERS[name]["steps"], 12**-0.5, cu_seqlens)
    if gradient is None:
        return o.numpy()
    found = torch.autograd.grad((o * torch.tensor(gradient)).sum(), list(tensors.values()))
    return o.detach().numpy(), {f"d_{n}": x.numpy() for n, x in zip(tensors, found)}


def offsets(cu):
    return None if cu is None else np.array(cu, np.int64)


def error(found, wanted):
    return np.linalg.norm(np.asarray(found, np.float64) - wanted) / (np.linalg.norm(wanted) + 1e-30)


@pytest.mark.parametrize("name, batch, tokens, cu", [(name, *place) for name in LAYERS for place in PLACES if name in PAPER or place == PACKED])
def test_reference_and_program_are_the_definition(name, batch, tokens, cu):
    program = compiled(name)
    inputs = draw(program, batch, tokens, strong=tokens == 65)
    wanted = expected(name, inputs, cu)
    reference = wyvern.reference(spec(name), cu_seqlens=offsets(cu), **inputs)
    assert error(reference["o"], wanted) < 1e-13
    assert error(program(cu_seqlens=offsets(cu), **inputs)["o"], wanted) < 1e-11


def test_as_many_tokens_as_there_are_levels_for():
    """Every level is read, and the last token's first one."""
    program = compiled("log_linear_gdn")
    inputs = draw(program, 1, MOST)
    assert error(program(**inputs)["o"], expected("log_linear_gdn", inputs)) < 1e-11


@pytest.mark.parametrize("name, batch, tokens, cu", [*((name, *PACKED) for name in LAYERS), *((name, 2, 65, None) for name in PAPER)])
def test_gradients_are_those_of_the_definition(name, batch, tokens, cu):
    program = compiled(name, training=True)
    inputs = draw(program, batch, tokens)
    out = program(cu_seqlens=offsets(cu), **inputs)
    d_o = np.random.default_rng(1).standard_normal(out["o"].shape)
    o, wanted = expected(name, inputs, cu, d_o)
    assert error(out["o"], o) < 1e-11
    saved = {n: out[n] for n in program.residuals}
    given = {n: x for n, x in (inputs | saved | {"d_o": d_o}).items() if n in program.backward.inputs}
    found = program.backward(cu_seqlens=offsets(cu), **given)
    assert found.keys() == wanted.keys() and "d_level_scales" in wanted
    for gradient, x in found.items():
        assert error(x, wanted[gradient]) < 1e-9, gradient


@pytest.mark.parametrize("name", PAPER)
def test_rounded_programs_lose_what_rounding_takes(name):
    """Of bf16, which the kernels of a GPU compute with."""
    program = compiled(name, "bf16", "rounded")
    inputs = draw(compiled(name), 1, 150)
    given = {n: wyvern.to_bf16(x) if program.inputs[n].dtype == "bf16" else x.astype(np.float32) for n, x in inputs.items()}
    wanted = wyvern.reference(spec(name, "bf16"), **given)["o"]
    assert 1e-4 < error(wyvern.from_bf16(program(**given)["o"]), wanted) < 8e-3


@pytest.mark.parametrize("name", PAPER)
def test_scales_of_one_are_the_layer_without_levels(name):
    plain = {key: x for key, x in spec(name).items() if key not in ("levels", "max_tokens")}
    inputs = draw(compiled(name), 2, 150)
    inputs["level_scales"] = np.ones_like(inputs["level_scales"])
    found = compiled(name)(**inputs)["o"]
    del inputs["level_scales"]
    assert error(found, wyvern.compile(plain, target="cpu")(**inputs)["o"]) < 1e-11


@pytest.mark.parametrize("cu", [None, [0, 100, MOST + 1]])
def test_refuses_more_tokens_than_there_are_levels_for(cu):
    """Of packed sequences all tokens count: on a GPU nobody reads how long each is."""
    program = compiled("log_linear_gdn")
    inputs = draw(program, 1, MOST + 1)
    with pytest.raises(ValueError, match=rf"at most {MOST} tokens .*found {MOST + 1}; compile the layer with a larger max_tokens"):
        program(cu_seqlens=offsets(cu), **inputs)
    with pytest.raises(ValueError, match=f"at most {MOST} tokens"):
        compiled("log_linear_gdn", training=True)(cu_seqlens=offsets(cu), **inputs)


def cut(inputs, tokens, part):
    """The tokens of a part of unpacked sequences."""
    rows = lambda x: x.shape[1] // tokens
    return {n: x[:, part.start * rows(x) : part.stop * rows(x)] for n, x in inputs.items()}


@pytest.mark.parametrize(
    "name, places",
    [
        ("log_linear_gdn", (0, 1, 2, 64, 65, 90)),
        ("log_linear_mamba2", (0, 63, 90)),
        ("no_decay", (0, 33, 40)),
        ("channel_decay", (0, 33, 40)),
        ("two_rows", (0, 31, 40)),
        ("two_steps", (0, 33, 40)),
    ],
)
def test_calls_go_on_where_others_ended(name, places):
    """The parts are the definition of the whole, forward and backward, and what the reference makes of them."""
    layer = spec(name, resume=True)
    program = wyvern.compile(layer, target="cpu", training=True)
    inputs = draw(compiled(name), 1, places[-1])
    d_o = np.random.default_rng(1).standard_normal((1, places[-1], 2, 10))
    o, wanted = expected(name, inputs, None, d_o)
    parts = [slice(*ends) for ends in zip(places, places[1:])]
    calls, state = [], np.zeros((1, 2 * 9, 12, 10))
    for part in parts:
        given = cut(inputs, places[-1], part) | {"initial_state": state, "positions": np.full(1, part.start, np.float64)}
        calls.append((given, program(**given)))
        reference = wyvern.reference(layer, **given)
        assert error(calls[-1][1]["final_state"], reference["final_state"]) < 1e-11
        state = calls[-1][1]["final_state"]
    assert error(np.concatenate([out["o"] for _, out in calls], 1), o) < 1e-11
    found, d_state = [], np.zeros_like(state)
    for part, (given, out) in reversed(list(zip(parts, calls))):
        given = given | {n: out[n] for n in program.residuals} | {"d_o": d_o[:, part], "d_final_state": d_state}
        found.insert(0, program.backward(**{n: x for n, x in given.items() if n in program.backward.inputs}))
        d_state = found[0].pop("d_initial_state")
    for gradient, x in wanted.items():
        assert error(np.concatenate([part[gradient] for part in found], 1), x) < 1e-9, gradient


def test_packed_sequences_go_on_from_places_of_their_own():
    layer = spec("log_linear_gdn", resume=True)
    program = wyvern.compile(layer, target="cpu")
    inputs = draw(compiled("log_linear_gdn"), 1, 140)
    bounds, starts = [0, 30, 30, 101, 135], [5, 77, 64, 0]
    state = np.random.default_rng(2).standard_normal((4, 2 * 9, 12, 10))
    found = program(cu_seqlens=offsets(bounds), initial_state=state, positions=np.array(starts, np.float64), **inputs)
    for n, (begin, end) in enumerate(zip(bounds, bounds[1:])):
        own = cut(inputs, 140, slice(begin, end)) | {"initial_state": state[n : n + 1], "positions": np.array([starts[n]], np.float64)}
        alone = program(**own)
        assert error(found["final_state"][n : n + 1], alone["final_state"]) < 1e-12
        assert begin == end or error(found["o"][:, begin:end], alone["o"]) < 1e-12
    assert not found["o"][:, bounds[-1] :].any()


def test_reference_refuses_a_sequence_without_levels():
    inputs = draw(compiled("log_linear_gdn"), 1, MOST + 1)
    with pytest.raises(ValueError, match=f"at most {MOST} tokens, of which 9 levels are, found one of {MOST + 1}"):
        wyvern.reference(spec("log_linear_gdn"), **inputs)


# === torch ===


@pytest.mark.parametrize("name", PAPER)
def test_torch_op(name):
    function = wyvern.torch.op(spec(name))
    assert function.operands[-1] == "level_scales" and function.shapes["level_scales"] == "[B, T, 18]"
    inputs = draw(compiled(name), 2, 71)
    tensors = {n: torch.tensor(x, requires_grad=True) for n, x in inputs.items()}
    o, state = function(**tensors)
    assert state is None
    d_o = np.random.default_rng(1).standard_normal(o.shape)
    found = torch.autograd.grad((o * torch.tensor(d_o)).sum(), list(tensors.values()))
    wanted, gradients = expected(name, inputs, gradient=d_o)
    assert error(o.detach(), wanted) < 1e-11
    for operand, x in zip(tensors, found):
        assert error(x, gradients[f"d_{operand}"]) < 1e-9, operand
    packed = {n: x[:1] for n, x in tensors.items()}
    o, _ = function(**packed, cu_seqlens=torch.tensor([0, 3, 71]))
    assert error(o.detach(), expected(name, {n: x.detach().numpy() for n, x in packed.items()}, [0, 3, 71])) < 1e-11


def test_torch_op_has_no_states():
    function = wyvern.torch.op(spec("log_linear_gdn"))
    tensors = {n: torch.tensor(x) for n, x in draw(compiled("log_linear_gdn"), 1, 5).items()}
    with pytest.raises(TypeError, match="initial_state is given, but a layer with levels or running sums has no states"):
        function(**tensors, initial_state=torch.zeros(1, 2, 12, 10))
    with pytest.raises(TypeError, match="output_final_state is given"):
        function(**tensors, output_final_state=True)
    with pytest.raises(ValueError, match=f"at most {MOST} tokens"):
        function(**{n: torch.tensor(x) for n, x in draw(compiled("log_linear_gdn"), 1, MOST + 1).items()})


def test_torch_layer():
    """Its scales are not negative, and it learns them."""
    torch.manual_seed(7)
    layer = wyvern.torch.Layer(spec("log_linear_gdn"), hidden_size=16).double()
    x = torch.randn(2, 70, 16, dtype=torch.float64)
    y = layer(x)
    (gradient,) = torch.autograd.grad(y.square().sum(), [layer.level_scales_proj.weight])
    assert y.shape == x.shape and gradient.abs().sum() > 0
    assert layer.roles["level_scales"] == "level"
    # A token sees nothing behind it.
    torch.testing.assert_close(layer(x[:, :50]), y[:, :50], rtol=0, atol=1e-12)


def test_what_needs_states_is_refused():
    function = wyvern.torch.op(spec("log_linear_gdn"))
    tensors = {n: torch.tensor(x) for n, x in draw(compiled("log_linear_gdn"), 1, 5).items()}
    with pytest.raises(NotImplementedError, match="cp_context with levels is not supported"):
        function(**tensors, cp_context=wyvern.torch.ContextParallel.alone(segments=2))
    resumed = wyvern.torch.op(spec("log_linear_gdn", resume=True))
    with pytest.raises(NotImplementedError, match="cp_context with levels is not supported"):
        resumed(**tensors, cp_context=wyvern.torch.ContextParallel.alone(segments=2))
    layer = wyvern.torch.Layer(spec("log_linear_gdn"), hidden_size=16).double()
    with pytest.raises(NotImplementedError, match="past_key_values with levels needs resume: true"):
        layer(torch.zeros(1, 3, 16, dtype=torch.float64), past_key_values=[])
    with pytest.raises(wyvern.CompileError, match="has level scales; a step of decoding has one state a head"):
        wyvern.compile(spec("log_linear_gdn", "f32"), target="cpu", serving=True)


def test_jax_op_has_no_states():
    """Values and gradients are torch's; the layer has nothing to go on from."""
    jax = pytest.importorskip("jax")
    import wyvern.jax

    theirs, function = wyvern.torch.op(spec("log_linear_gdn")), wyvern.jax.op(spec("log_linear_gdn"))
    tensors = {n: torch.tensor(x, requires_grad=True) for n, x in draw(compiled("log_linear_gdn"), 2, 33).items()}
    o, _ = theirs(**tensors)
    wanted = torch.autograd.grad(o.square().sum(), list(tensors.values()))
    with jax.enable_x64(True):
        arrays = {n: jax.numpy.asarray(x.detach().numpy()) for n, x in tensors.items()}
        loss = lambda x: (function(**x)[0] ** 2).sum()
        found = jax.jit(jax.grad(loss))(arrays)
        np.testing.assert_allclose(np.asarray(function(**arrays)[0]), o.detach().numpy(), rtol=1e-12)
        for name, gradient in zip(tensors, wanted):
            np.testing.assert_allclose(np.asarray(found[name]), gradient.numpy(), rtol=1e-9, atol=1e-12)
        mapped = jax.vmap(lambda v: function(**arrays | {"v": v})[0])(jax.numpy.stack([arrays["v"], 2 * arrays["v"]]))
        np.testing.assert_allclose(np.asarray(mapped[0]), o.detach().numpy(), rtol=1e-12)
        with pytest.raises(TypeError, match="initial_state is given, but a layer with levels or running sums has no states"):
            function(**arrays, initial_state=jax.numpy.zeros((2, 2, 12, 10)))
        with pytest.raises(TypeError, match="output_final_state is given"):
            function(**arrays, output_final_state=True)


@pytest.mark.parametrize("most", [1, 2, 3, 64])
def test_few_tokens(most):
    """One level, and numbers that are no powers of two."""
    name, few = "log_linear_gdn", spec("log_linear_gdn", most=most)
    program = wyvern.compile(few, target="cpu")
    tokens = 1 << (most - 1).bit_length()  # as many as there are levels for
    assert program.inputs["level_scales"].shape[-1] == 2 * (1 + (most - 1).bit_length())
    inputs = draw(program, 2, tokens)
    assert error(program(**inputs)["o"], expected(name, inputs)) < 1e-11


@pytest.mark.parametrize("cu", [None, [0, 70, 71, 200]])
def test_segments(cu):
    """Positions go on from one segment to the next."""
    program = wyvern.compile(spec("log_linear_gdn"), target="cpu", segment_tokens=64)
    inputs = draw(program, 1, 200)
    assert error(program(cu_seqlens=offsets(cu), **inputs)["o"], expected("log_linear_gdn", inputs, cu)) < 1e-10
