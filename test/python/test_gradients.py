# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The backward of every recurrence, on the CPU.

In float64 against finite differences of the compiled forward and against autograd of
the token recurrence (gradient_oracle.py); in float32 where a mask after an exponential
would give NaN that float64 never shows. Differentiated, staged and rounded programs.
"""

import functools
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import wyvern
from test_family_specs import SPECS, small
from test_random_recurrences import RandomRecurrence

_compiler = pytest.importorskip("wyvern._compiler", reason="built without the compiler")
torch = pytest.importorskip("torch")

from gradient_oracle import Recurrence, gradients

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("WYVERN_BUILD_DIR", ROOT / "build"))


TIME = 83  # one chunk of 64 rows and a part
PACKED = np.array([0, 1, 1, 66, 80])  # lengths 1, 0, 65, 14; three rows that nobody owns
KINDS = {"f64": np.float64, "f32": np.float32, "f16": np.float16}


def read_spec(name, dtype, value_heads=2, channels=8):
    """The sequence-level module of a spec, with 8 channels, of keys so many, and one key head; of "name of n" with n rows a token."""
    name, _, repeat = name.partition(" of ")
    text = small((ROOT / "specs" / f"{name}.yaml").read_text())
    text = text.replace("value: 10}", "value: 8}").replace("key: 12,", f"key: {channels},")
    text = text.replace("{key: 2, value: 4}", f"{{key: 1, value: {value_heads}}}").replace("dtype: f64", f"dtype: {dtype}")
    text = text.replace("repeat: 2", f"repeat: {repeat or 2}")
    return _compiler.read_spec(text, name, "yaml", "")[0][1]


@functools.lru_cache(maxsize=None)
def compile_pair(text, phase="differentiated", save="factor"):
    compile = lambda backward: _compiler.compile_cpu(text, "", phase, "f16", True, save, backward)
    with ThreadPoolExecutor(2) as pool:
        forward, backward = pool.map(compile, (False, True))
    return wyvern.CpuProgram(forward, phase, wyvern.CpuProgram(backward, phase))


def opt(text, *flags):
    command = [BUILD / "bin" / "wyvern-opt", "-", *flags]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


def run_backward(program, inputs, seeds, cu_seqlens=None):
    """The gradients of `inputs` that are float tensors."""
    out = program(**inputs, cu_seqlens=cu_seqlens)
    given = {**inputs, **seeds, **{name: out[name] for name in program.residuals}, "cu_seqlens": cu_seqlens}
    return program.backward(**{name: x for name, x in given.items() if name in program.backward.inputs})


# === Inputs ===


class Law:
    """How the tensors of a layer are drawn, by name."""

    def __init__(self, seed, strong=False):
        self.random = np.random.default_rng(seed)
        self.strong = strong

    def key(self, shape):
        # In one orthant, so that to erase with one key and write with another shrinks the state.
        x = np.abs(self.random.standard_normal(shape))
        return x / np.linalg.norm(x, axis=-1, keepdims=True)

    def __call__(self, name, shape, largest_rate):
        if name == "g":
            return self.random.uniform(-60 if self.strong else -2, -1e-3, shape)
        if name == "beta":
            # Weak gates: from one up to two. Strong ones: half of the rates are zero.
            if not self.strong:
                return self.random.uniform(largest_rate - 1, largest_rate, shape)
            return np.maximum(0, self.random.uniform(-1, 1, shape))
        if name in ("b", "w", "m", "a"):
            return self.random.uniform(0.5, 1, shape)
        return self.key(shape) if name in ("q", "k", "p", "r") else self.random.standard_normal(shape)


def draw(text, law, batch, sequences, time=TIME):
    recurrence = Recurrence(text)
    # With one key a step is a reflection at rate 2; with two it may grow above 1.
    one_key = all(step.operands.get("erase") in (None, step.operands["write"]) for step in recurrence.steps)
    inputs = {}
    for name, (shape, _) in recurrence.types.items():
        if name == "cu_seqlens":
            continue
        if name == "initial_state":
            inputs[name] = law.random.standard_normal([sequences, *shape[1:]])
        else:
            rows = time * recurrence.rows_a_token(name)
            inputs[name] = law(name, [batch, rows, *shape[2:]], largest_rate=2 if one_key else 1)
    if "p" in inputs and "r" in inputs:
        inputs["p"] = -0.9 * inputs["r"] * inputs["p"]  # rate -1 adds it: RWKV-7 takes off a * kappa
    return inputs


def draw_seeds(random, text, inputs):
    heads, _, value_dim = inputs["initial_state"].shape[1:]
    batch, time = inputs[Recurrence(text).names[Recurrence(text).clauses["query"]]].shape[:2]
    return {"d_o": random.standard_normal((batch, time, heads, value_dim)),
            "d_final_state": random.standard_normal(inputs["initial_state"].shape)}


def cast(program, arrays):
    """To the types of the program's inputs, so that the other side sees what it sees."""
    return {name: x.astype(KINDS[program.inputs[name].dtype]) for name, x in arrays.items() if name in program.inputs}


# === The two sides ===


def check(text, inputs, cu_seqlens=None, bound=1e-10, phase="differentiated", save="factor", against=gradients):
    """Compares with autograd; gives the gradients found and those of the outputs."""
    program = compile_pair(text, phase, save)
    inputs = cast(program, inputs)
    seeds = draw_seeds(np.random.default_rng(7), text, inputs)
    seeds |= cast(program.backward, seeds)
    found = run_backward(program, inputs, seeds, cu_seqlens)
    expected = against(Recurrence(text), inputs, seeds, cu_seqlens)
    assert set(found) == set(expected) == {f"d_{name}" for name in inputs}
    sizes = {name: max(np.linalg.norm(x), 1e-6) for name, x in expected.items()}
    if "d_g" in sizes:
        # The difference of what queries and keys add, however strongly it decays.
        sizes["d_g"] = max(sizes["d_g"], np.linalg.norm(inputs["q"] * expected["d_q"]))
    errors = {name: np.linalg.norm(x.astype(np.float64) - expected[name]) / sizes[name] for name, x in found.items()}
    assert all(e <= bound for e in errors.values()), errors
    return found, seeds


def check_finite_differences(text, inputs, found, seeds, cu_seqlens=None):
    """Along two random directions of all inputs at once."""
    program, random = compile_pair(text), np.random.default_rng(8)
    for _ in range(2):
        steps = {name: random.standard_normal(x.shape) for name, x in inputs.items()}
        at = lambda eps: program(**{name: x + eps * steps[name] for name, x in inputs.items()}, cu_seqlens=cu_seqlens)
        up, down = at(1e-6), at(-1e-6)
        slope = sum(((up[name[2:]] - down[name[2:]]) / 2e-6 * seed).sum() for name, seed in seeds.items())
        expected = [(found[f"d_{name}"] * step).sum() for name, step in steps.items()]
        assert abs(slope - sum(expected)) <= 1e-6 * np.linalg.norm(expected)


def assert_unowned_rows_are_zero(found):
    for name, x in found.items():
        if name != "d_initial_state":
            assert not x[:, x.shape[1] // TIME * PACKED[-1] :].any(), f"{name} of rows that nobody owns"


# === float64 ===


@pytest.mark.parametrize("name", SPECS)
def test_spec(name):
    """Rates up to 2 where the layer takes them; then rates of 0, gates down to -60, packed sequences."""
    text = read_spec(name, "f64")
    inputs = draw(text, Law(1), batch=2, sequences=2)
    check_finite_differences(text, inputs, *check(text, inputs))
    inputs = draw(text, Law(2, strong=True), batch=1, sequences=4)
    assert_unowned_rows_are_zero(check(text, inputs, PACKED)[0])


@pytest.mark.parametrize("seed", range(5))
def test_random(seed):
    recurrence = RandomRecurrence(seed)
    text = recurrence.text("f64")
    packed = seed % 2 == 1
    inputs = recurrence.arrays(batch=1 if packed else 2, sequences=4 if packed else 2)
    cu_seqlens = PACKED if packed else None
    found, seeds = check(text, inputs, cu_seqlens)
    if "g" not in inputs or inputs["g"].max() < -1e-4:  # a step must not make a gate positive
        check_finite_differences(text, inputs, found, seeds, cu_seqlens)


@pytest.mark.parametrize("value_heads", [11, 12])
def test_large_group(value_heads):
    """Summed at once, and in two steps."""
    text = read_spec("gated_deltanet", "f64", value_heads)
    inputs = draw(text, Law(11), batch=1, sequences=4)
    assert_unowned_rows_are_zero(check(text, inputs, PACKED)[0])


@pytest.mark.parametrize("name, save", [("gated_deltanet", "factor"), ("gated_deltaproduct", "none"), ("gated_deltaproduct of 3", "factor"), ("kda", "factor")])
def test_staged(name, save):
    text = read_spec(name, "f64")
    inputs = draw(text, Law(5, strong=True), batch=1, sequences=4)
    assert_unowned_rows_are_zero(check(text, inputs, PACKED, phase="staged", save=save)[0])


# === float32 and rounded ===


@pytest.mark.parametrize("gates", ["-8 and below", "-8, then weak"])
@pytest.mark.parametrize("name", ["gated_deltanet", "gated_deltaproduct", "gated_deltaproduct of 5", "kda", "rwkv7"])
def test_float32(name, gates):
    """Where a mask after an exponential gives NaN, and at rates of 0, which nothing may divide by."""
    text = read_spec(name, "f32")
    inputs = draw(text, Law(3), batch=1, sequences=1)
    below = np.random.default_rng(4).uniform(-12, -8, inputs["g"].shape)
    if "weak" in gates:
        below[:, 30:] = -0.01
    inputs["g"] = below
    if "beta" in inputs:
        inputs["beta"][:, ::3] = 0
    found, _ = check(text, inputs, bound=1e-5)
    assert all(np.isfinite(x).all() for x in found.values())


@pytest.mark.parametrize("name", ["gated_deltanet", "deltaproduct"])
def test_rounded(name):
    """In fp16, which keeps 11 bits of each operand."""
    text = read_spec(name, "f16")
    check(text, draw(text, Law(6), batch=1, sequences=4), PACKED, phase="rounded", bound=2e-3)


@pytest.mark.parametrize("name, channels", [("kda", 192), ("rwkv7", 128)])
def test_rounded_channels_in_parts(name, channels):
    """Each block has 64 of the channels, whose heads share what has none (delta-split-maps)."""
    text = read_spec(name, "f16", channels=channels)
    check(text, draw(text, Law(6), batch=1, sequences=4), PACKED, phase="rounded", bound=2e-3)


@pytest.mark.parametrize("name", ["gated_deltanet", "gated_deltaproduct"])
def test_checkpoints_are_the_states_of_the_forward(name):
    """The backward runs the chain again from them, or from the start, with the same bits."""
    text = read_spec(name, "f16")
    inputs = draw(text, Law(8), batch=1, sequences=1, time=700)
    seeds = draw_seeds(np.random.default_rng(7), text, inputs)
    found = []
    for save in ("factor", "checkpoints"):
        program = compile_pair(text, "rounded", save)
        found.append(run_backward(program, cast(program, inputs), seeds | cast(program.backward, seeds)))
    assert "d_k" in found[0]
    for name, x in found[0].items():
        np.testing.assert_array_equal(x, found[1][name], err_msg=name)


@pytest.mark.parametrize(
    "name, phase, dtype, cu_seqlens",
    [
        ("delta_net-1.3B", "differentiated", "f64", None),
        ("gated_deltaproduct", "staged", "f64", PACKED),
        ("gated_deltanet", "rounded", "f16", PACKED),
        ("kda", "rounded", "f16", None),
        ("linear_attention", "rounded", "f16", None),
    ],
)
def test_saved_states_are_those_of_the_replay(name, phase, dtype, cu_seqlens):
    """The backward reads what the forward's chain made in the place of running it again, with the same bits.

    Rounded, the rows R are stored in 16 bits, while a replay hands them over in two parts for the
    gradient of a rate, which sums products with them.
    """
    text = read_spec(name, dtype)
    inputs = draw(text, Law(8), batch=2 if cu_seqlens is None else 1, sequences=2 if cu_seqlens is None else 4)
    seeds = draw_seeds(np.random.default_rng(7), text, inputs)
    found = []
    for save in ("factor", "states"):
        program = compile_pair(text, phase, save)
        found.append(run_backward(program, cast(program, inputs), seeds | cast(program.backward, seeds), cu_seqlens))
    replayed, saved = found
    assert set(replayed) == set(saved) and "d_k" in saved
    for gradient, x in replayed.items():
        if phase == "rounded" and gradient == "d_beta":
            np.testing.assert_allclose(saved[gradient], x, rtol=0, atol=2e-3 * np.abs(x).max())
        else:
            np.testing.assert_array_equal(saved[gradient], x, err_msg=gradient)


# === Who sees what ===


@pytest.mark.parametrize("phase, dtype", [("differentiated", "f64"), ("staged", "f64"), ("rounded", "f16")])
def test_nan_stays_in_its_sequence(phase, dtype):
    text = read_spec("gated_deltanet", dtype)
    program = compile_pair(text, phase)
    inputs = draw(text, Law(9), batch=1, sequences=4)
    seeds = draw_seeds(np.random.default_rng(7), text, inputs)
    inputs, seeds = cast(program, inputs), cast(program.backward, seeds)
    before = run_backward(program, inputs, seeds, PACKED)
    for name, x in (inputs | seeds).items():
        if "state" in name:
            x[2] = np.nan
        else:
            x[:, PACKED[2] : PACKED[3]] = np.nan
            x[:, PACKED[4] :] = np.nan
    after = run_backward(program, inputs, seeds, PACKED)
    owned = np.r_[PACKED[0] : PACKED[2], PACKED[3] : TIME]
    for name, x in before.items():
        rows = (slice(None), owned) if name != "d_initial_state" else [0, 1, 3]
        assert np.array_equal(x[rows], after[name][rows]), name
        assert np.isnan(after[name]).any(), name


def test_delta_product_has_no_padding():
    """Two rows a token of k, v and beta; one of q, d_o and d_q, in every chunk program."""
    module = read_spec("deltaproduct", "f64")
    text = opt(module, "--wyvern-to-staged=training=true save=factor")
    backward = text[text.index("@deltaproduct_bwd") :]
    assert "chunk = 32 heads = 2" in backward
    one, two = ("[seq, time, head, _] : tensor<?x?x{}x8xf64>", "[seq, time * 2, head, _] : tensor<?x?x{}x8xf64>")
    for name, heads in (("q", 1), ("d_o", 2), ("k", 1), ("v", 2)):
        argument = re.search(rf'%(\w+): [^%]*"{name}"', backward)[1]
        bindings = set(re.findall(rf"= %{argument}(\[.*?\] : .*?>)", backward))
        assert bindings == {(one if name in ("q", "d_o") else two).format(heads)}, name


# === A gate that is computed in the scan ===

GATE_IN_SCAN = """
#mk = affine_map<(m, n, k) -> (m, k)>
#km = affine_map<(m, n, k) -> (k, m)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>
func.func @gate_in_scan(%q: tensor<?x?x1x4xf64> {delta.name = "q"}, %k: tensor<?x?x1x4xf64> {delta.name = "k"},
    %v: tensor<?x?x2x4xf64> {delta.name = "v"}, %beta: tensor<?x?x2xf64> {delta.name = "beta"},
    %x: tensor<?x?x2xf64> {delta.name = "x"}, %A_log: tensor<2xf64> {delta.name = "A_log"},
    %dt_bias: tensor<1xf64> {delta.name = "dt_bias"}, %s0: tensor<?x2x4x4xf64> {delta.name = "initial_state"},
    %cu: tensor<?xi64> {delta.name = "cu_seqlens"})
    -> (tensor<?x?x2x4xf64> {delta.name = "o"}, tensor<?x2x4x4xf64> {delta.name = "final_state"}) {
  %o, %sT = delta.chunk_scan forward chunk = 16 heads = 2 compute = f64
      ins(%Q = %q[seq, time, head, _] : tensor<?x?x1x4xf64>, %K = %k[seq, time, head, _] : tensor<?x?x1x4xf64>,
          %V = %v[seq, time, head, _] : tensor<?x?x2x4xf64>, %c = %beta[seq, time, head] : tensor<?x?x2xf64>,
          %X = %x[seq, time, head] : tensor<?x?x2xf64>, %A = %A_log[head] : tensor<2xf64>, %bias = %dt_bias[head] : tensor<1xf64>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x2x4x4xf64>) cu_seqlens(%cu : tensor<?xi64>)
      outs([seq, time, head, _] : tensor<?x?x2x4xf64>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<16x4xf64>
    %none = arith.constant dense<0.0> : tensor<16xf64>
    %one = arith.constant dense<0.0> : tensor<f64>
    %e = tensor.empty() : tensor<16xf64>
    %E = tensor.empty() : tensor<16x4xf64>
    %ES = tensor.empty() : tensor<4x4xf64>
    // g = -exp(A_log) softplus(x + dt_bias): not zero in rows past the end, so these are masked.
    %B = linalg.broadcast ins(%bias : tensor<f64>) outs(%e : tensor<16xf64>) dimensions = [0]
    %y = arith.addf %X, %B : tensor<16xf64>
    %positive = arith.maximumf %y, %none : tensor<16xf64>
    %abs = math.absf %y : tensor<16xf64>
    %neg = arith.negf %abs : tensor<16xf64>
    %exp = math.exp %neg : tensor<16xf64>
    %log = math.log1p %exp : tensor<16xf64>
    %softplus = arith.addf %positive, %log : tensor<16xf64>
    %a = math.exp %A : tensor<f64>
    %na = arith.negf %a : tensor<f64>
    %NA = linalg.broadcast ins(%na : tensor<f64>) outs(%e : tensor<16xf64>) dimensions = [0]
    %all = arith.mulf %NA, %softplus : tensor<16xf64>
    %g = delta.mask_rows %all, %n : tensor<16xf64>
    // The gated delta rule.
    %before = delta.cumsum %g : tensor<16xf64>
    %alpha = math.exp %before : tensor<16xf64>
    %after = delta.cumsum reverse exclusive %g : tensor<16xf64>
    %omega = math.exp %after : tensor<16xf64>
    %sum = linalg.reduce {arith.addf} ins(%g : tensor<16xf64>) outs(%one : tensor<f64>) dimensions = [0]
    %decay = math.exp %sum : tensor<f64>
    %Alpha = linalg.broadcast ins(%alpha : tensor<16xf64>) outs(%E : tensor<16x4xf64>) dimensions = [1]
    %Omega = linalg.broadcast ins(%omega : tensor<16xf64>) outs(%E : tensor<16x4xf64>) dimensions = [1]
    %Decay = linalg.broadcast ins(%decay : tensor<f64>) outs(%ES : tensor<4x4xf64>) dimensions = [0, 1]
    %L = delta.decay_dot before_row %K, %K decay(%g : tensor<16xf64>) : tensor<16x4xf64>, tensor<16x4xf64> -> tensor<16x16xf64>
    %P = delta.decay_dot upto_token %Q, %K decay(%g : tensor<16xf64>) : tensor<16x4xf64>, tensor<16x4xf64> -> tensor<16x16xf64>
    %KA = arith.mulf %K, %Alpha : tensor<16x4xf64>
    %KS = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%KA, %S : tensor<16x4xf64>, tensor<4x4xf64>) outs(%zero : tensor<16x4xf64>) -> tensor<16x4xf64>
    %W = arith.subf %V, %KS : tensor<16x4xf64>
    %R, %U = delta.erase_solve %L, %c, %W : tensor<16x16xf64>, tensor<16xf64>, tensor<16x4xf64> -> tensor<16x4xf64>, tensor<16x4xf64>
    %QA = arith.mulf %Q, %Alpha : tensor<16x4xf64>
    %QS = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%QA, %S : tensor<16x4xf64>, tensor<4x4xf64>) outs(%zero : tensor<16x4xf64>) -> tensor<16x4xf64>
    %O = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%P, %U : tensor<16x16xf64>, tensor<16x4xf64>) outs(%QS : tensor<16x4xf64>) -> tensor<16x4xf64>
    %DS = arith.mulf %Decay, %S : tensor<4x4xf64>
    %KO = arith.mulf %K, %Omega : tensor<16x4xf64>
    %S1 = linalg.contract indexing_maps = [#km, #kn, #mn] ins(%KO, %U : tensor<16x4xf64>, tensor<16x4xf64>) outs(%DS : tensor<4x4xf64>) -> tensor<4x4xf64>
    delta.yield outs(%O : tensor<16x4xf64>) carry(%S1 : tensor<4x4xf64>)
  }
  return %o, %sT : tensor<?x?x2x4xf64>, tensor<?x2x4x4xf64>
}
"""


def gated_delta_rule(tensors, cu_seqlens=None):
    tensors = dict(tensors)
    softplus = torch.nn.functional.softplus(tensors.pop("x") + tensors.pop("dt_bias"))
    tensors["g"] = -tensors.pop("A_log").exp() * softplus
    recurrence = Recurrence(read_spec("gated_deltanet", "f64"))
    recurrence.scale = 1.0
    return recurrence(cu_seqlens, **tensors)


def compile_gate_in_scan(choice):
    if choice != "checkpoints":
        return compile_pair(GATE_IN_SCAN, choice)
    plan = "-delta-plan-residuals=save=checkpoints interval=2"
    return wyvern.compile(opt(GATE_IN_SCAN, "-delta-differentiate", "-delta-simplify", plan, "-delta-stage"), "cpu")


@pytest.mark.parametrize("choice", ["differentiated", "checkpoints"])
def test_gate_in_scan(choice):
    """A_log and dt_bias have no time and no sequence: their gradients are carried, then summed."""
    program = compile_gate_in_scan(choice)
    assert program.residuals == ["factor"] + ["state"] * (choice == "checkpoints")
    check_gate_in_scan(program, batch=2, sequences=2, time=85)
    check_gate_in_scan(program, batch=1, sequences=4, time=90, cu_seqlens=np.array([0, 1, 1, 66, 80]))


def check_gate_in_scan(program, batch, sequences, time, cu_seqlens=None):
    random, key = np.random.default_rng(10), Law(10).key
    normal = random.standard_normal
    inputs = {
        "q": key((batch, time, 1, 4)), "k": key((batch, time, 1, 4)), "v": normal((batch, time, 2, 4)),
        "beta": random.uniform(0, 2, (batch, time, 2)), "x": normal((batch, time, 2)),
        "A_log": normal(2), "dt_bias": normal(1), "initial_state": normal((sequences, 2, 4, 4)),
    }  # fmt: skip
    inputs["x"][0, 5] = -inputs["dt_bias"]  # where max(y, 0) and |y| have no slope, but softplus has
    seeds = {"d_o": normal((batch, time, 2, 4)), "d_final_state": normal((sequences, 2, 4, 4))}
    found = run_backward(program, inputs, seeds, cu_seqlens)
    expected = gradients(lambda cu_seqlens, **tensors: gated_delta_rule(tensors, cu_seqlens), inputs, seeds, cu_seqlens)
    errors = {name: np.linalg.norm(x - expected[name]) / np.linalg.norm(expected[name]) for name, x in found.items()}
    assert set(found) == set(expected) and max(errors.values()) < 1e-10, errors
