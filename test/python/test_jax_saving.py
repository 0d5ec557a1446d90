# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a call of wyvern.jax.op with gradients saves: states where a program does, on a GPU.

What the programs compute is judged in test_jax_op.py, and on a GPU by test/Integration/gpu_jax.py; here JAX is told
that it traces for a GPU, and then runs the CPU's programs, which save the same.
"""

import warnings

import pytest

jax = pytest.importorskip("jax")
pytest.importorskip("wyvern._compiler", reason="the compiler module is not built")

import jax.numpy as jnp
import numpy as np
import wyvern
from saving_cases import refuse_states
from jax.sharding import PartitionSpec as P
from wyvern._core import bundles
from wyvern.jax import _programs, _saving, op

jax.config.update("jax_num_cpu_devices", 4)  # virtual ones, for shard_map
LAYER = {
    "name": "mine",
    "heads": {"key": 2, "value": 4},
    "dims": {"key": 16, "value": 16},
    "decay": "head",
    "steps": [{"write": "k", "value": "v", "rate": "beta"}],
}
NAMES = ["factor", "rows", "state", "mapped", "mapped_1", "mapped_2"]


@pytest.fixture(autouse=True)
def as_if_for_a_gpu(monkeypatch, tmp_path, wyvernc):
    monkeypatch.setenv("WYVERN_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(_saving, "_expects_gpu", lambda: True)
    monkeypatch.setattr(_saving, "_made", {})
    monkeypatch.setattr(_programs, "architecture", lambda: "sm_90a")
    jax.clear_caches()  # what was traced before has decided
    # One variant is compiled in a fifth of the time.
    compile = wyvern.compile

    def compile_one(*args, target, **options):
        only = {"schedule": "separate"} if target != "cpu" else {}
        return compile(*args, target=target, **options, **only)

    monkeypatch.setattr(bundles.wyvern, "compile", compile_one)


def make(batch=2, tokens=70, dim=16, dtype=jnp.bfloat16):
    keys = jax.random.split(jax.random.key(0), 5)
    rows = lambda key, *sizes: jax.random.normal(key, (batch, tokens, *sizes))
    x = {"q": rows(keys[0], 2, dim), "k": rows(keys[1], 2, dim), "v": rows(keys[2], 4, dim)}
    x = {name: (y / jnp.linalg.norm(y, axis=-1, keepdims=True)).astype(dtype) for name, y in x.items()}
    return x | {"g": -jnp.abs(rows(keys[3], 4)), "beta": jax.nn.sigmoid(rows(keys[4], 4))}


def loss(layer, x, **options):
    o, state = layer(**x, output_final_state=True, **options)
    return (o.astype(jnp.float32) ** 2).sum() + (state**2).sum()


def gradients_of(layer, x, **options):
    return jax.jit(jax.grad(lambda x: loss(layer, x, **options)))(x)


def saved_by(layer, x):
    """What the forward of a call with gradients returns behind o and the final state, by name."""
    calls = [e.params["call"] for e in jax.make_jaxpr(jax.grad(lambda x: loss(layer, x)))(x).eqns if "call" in e.params]
    (forward,) = (call for call in calls if call.part == "forward")
    return [x.name for x in forward.family.signature.residuals]


def by_the_factor(monkeypatch, function):
    with monkeypatch.context() as patch:
        patch.setattr(_saving, "_expects_gpu", lambda: False)
        jax.clear_caches()
        found = function()
    jax.clear_caches()
    return found


def close(found, expected):
    for name, x in found.items():
        wanted = np.asarray(expected[name], np.float64)
        assert np.linalg.norm(np.asarray(x, np.float64) - wanted) <= 2e-2 * np.linalg.norm(wanted), name


def test_states_are_saved(monkeypatch):
    layer, x = op(LAYER), make()
    assert saved_by(layer, x) == NAMES
    found = gradients_of(layer, x)
    assert by_the_factor(monkeypatch, lambda: saved_by(layer, x)) == ["factor"]
    close(found, by_the_factor(monkeypatch, lambda: gradients_of(layer, x)))
    assert len(_saving._made) == 1
    # The same bits without jit, and from a batch that is mapped.
    plain = jax.grad(lambda x: loss(layer, x))(x)
    assert all((plain[name] == y).all() for name, y in found.items())
    rows = {name: y[:, None] for name, y in x.items()}
    mapped = jax.jit(jax.vmap(jax.grad(lambda x: loss(layer, x))))(rows)
    assert all((mapped[name][:, 0] == y).all() for name, y in found.items())


def test_packed(monkeypatch):
    layer, x, cu_seqlens = op(LAYER), make(batch=1, tokens=140), jnp.array([0, 70, 70, 133])
    found = gradients_of(layer, x, cu_seqlens=cu_seqlens)
    close(found, by_the_factor(monkeypatch, lambda: gradients_of(layer, x, cu_seqlens=cu_seqlens)))


def test_operands_in_another_order():
    """A program that takes operands in another order than the layer does gives gradients in the layer's."""
    chosen = _saving.Saving(None, (2, 0, 1))
    assert chosen.arrange(("a", "b", "c")) == ("c", "a", "b")
    assert chosen.put_back(chosen.arrange(("a", "b", "c"))) == ("a", "b", "c")


def test_local_heads():
    """Under shard_map over heads the layer of the local heads has a program that saves states."""
    layer, x = op(LAYER), make()
    mesh = jax.make_mesh((2,), ("heads",), axis_types=(jax.sharding.AxisType.Auto,))
    part = P(None, None, "heads")
    spread = jax.shard_map(
        lambda x: layer(**x)[0], mesh=mesh, in_specs=({name: part for name in x},), out_specs=part
    )
    square = lambda function: lambda x: (function(x).astype(jnp.float32) ** 2).sum()
    found = jax.jit(jax.grad(square(spread)))(x)
    expected = jax.jit(jax.grad(square(lambda x: layer(**x)[0])))(x)
    assert all((found[name] == y).all() for name, y in expected.items())
    assert sorted(family.spec["heads"]["key"] for family, _ in _saving._made) == [1, 2]


def test_checkpointed():
    layer, x = op(LAYER), make()
    again = jax.jit(jax.grad(jax.checkpoint(lambda x: loss(layer, x))))(x)
    assert all((again[name] == y).all() for name, y in gradients_of(layer, x).items())


def test_other_types_and_bundles_save_what_they_did(tmp_path):
    layer = op(LAYER)
    assert saved_by(layer, make(dtype=jnp.float32)) == ["factor"]
    own = {"training": True, "save": "factor", "output": tmp_path / "bundle"}
    program = wyvern.compile(LAYER | {"dtype": "bf16"}, target="sm_90a", **own)
    assert saved_by(op(program), make()) == ["factor"]
    assert not _saving._made


def test_the_environment_s_choice(monkeypatch):
    monkeypatch.setenv("WYVERN_SAVE", "factor")
    assert saved_by(op(LAYER), make()) == ["factor"]
    monkeypatch.setattr(_saving, "_made", {})
    monkeypatch.setenv("WYVERN_SAVE", "all")
    with pytest.raises(ValueError, match="WYVERN_SAVE: expected auto .*, states or factor, found 'all'"):
        gradients_of(op(LAYER), make())


def test_a_program_that_does_not_compile(monkeypatch):
    refuse_states(monkeypatch)
    with pytest.warns(UserWarning, match="mine.*: the factor is saved .* slower: it spills$"):
        assert saved_by(op(LAYER), make()) == ["factor"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gradients_of(op(LAYER), make())


def test_no_kernels_for_the_gpu(monkeypatch):
    def other():
        raise NotImplementedError("sm_80")

    monkeypatch.setattr(_programs, "architecture", other)
    assert saved_by(op(LAYER), make()) == ["factor"]


def test_what_jax_takes(monkeypatch):
    monkeypatch.undo()
    assert not _saving._expects_gpu()
    monkeypatch.setattr(_saving.jax, "default_backend", lambda: "gpu")
    assert _saving._expects_gpu()
    with jax.default_device(jax.devices("cpu")[0]):
        assert not _saving._expects_gpu()
