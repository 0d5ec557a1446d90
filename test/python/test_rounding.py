# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Pools of bf16 that are rounded at random, on the CPU: the bits that the documents say, their expectation, and what
they are for."""

import pathlib

import numpy as np
import pytest
import step_cases
import wyvern
from rounding_oracle import rounded

ROOT = pathlib.Path(__file__).resolve().parents[2]
SLOTS = 8


def text_of(name, **sizes):
    return step_cases.small((ROOT / "specs" / f"{name}.yaml").read_text(), dtype="f32", **sizes)


def compiled(text, pool, **options):
    return wyvern.compile(text, target="cpu", serving=pool, **options)


def draw(program, batch, tokens):
    rng = np.random.default_rng(0)
    states = rng.standard_normal([SLOTS, *program.inputs["state"].shape[1:]]).astype(np.float32)
    return step_cases.draw(rng, program.inputs, batch, tokens), wyvern.to_bf16(states)


@pytest.mark.parametrize("layout, slots", [("vk", "i32"), ("kv", "i64")])
@pytest.mark.parametrize("name", ["gated_deltanet", "deltaproduct"])
def test_a_step_rounds_as_documented(name, layout, slots):
    """What would be there in f32, by the seeds; also of a draft's commit, and wherever a sequence is."""
    text = text_of(name)
    exact = compiled(text, wyvern.Pool(layout, slots=slots))
    program = compiled(text, wyvern.Pool(layout, "bf16", slots, rounding="stochastic"))
    inputs, pool = draw(exact, 3, 3)
    index = np.int64 if slots == "i64" else np.int32
    read, seeds = np.array([7, 2, -1], index), np.array([5, -(2**31), 3], index)
    if slots == "i64":
        seeds[0] = 2**40 + 5
    wide, found, drafted = wyvern.from_bf16(pool), pool.copy(), pool.copy()
    exact.step(state=wide, read_slots=read, **inputs)
    o = program.step(state=found, read_slots=read, seeds=seeds, **inputs)
    for n in range(2):
        assert (found[read[n]] == rounded(wide[read[n]], seeds[n])).all()
        below = (wide[read[n]].view(np.uint32) >> 16).astype(np.uint16)
        assert np.isin(found[read[n]] - below, [0, 1]).all() and (found[read[n]] != below).any()
    others = [0, 1, 3, 4, 5, 6]
    assert (found[others] == pool[others]).all()
    assert (program.verify(state=drafted, read_slots=read, **inputs) == o).all() and (drafted == pool).all()
    program.commit(state=drafted, read_slots=read, lengths=np.full_like(read, 3), seeds=seeds, **inputs)
    assert (drafted == found).all()
    turned = pool.copy()
    program.step(state=turned, read_slots=read[::-1], seeds=seeds[::-1], **{n: x[::-1] for n, x in inputs.items()})
    assert (turned == found).all()


@pytest.mark.parametrize("layout", ["vk", "kv"])
@pytest.mark.parametrize("precision", [None, "rounded"])
def test_a_prompt_rounds_as_documented(layout, precision):
    """States on the way too."""
    text = text_of("gated_deltanet") if precision is None else step_cases.small((ROOT / "specs/gated_deltanet.yaml").read_text())
    options = {"entry": "prefill-keep", "precision": precision}
    exact = compiled(text, wyvern.Pool(layout), **options)
    program = compiled(text, wyvern.Pool(layout, "bf16", rounding="stochastic"), **options)
    inputs, pool = draw(exact, 2, 150)
    if layout == "vk":
        pool = np.ascontiguousarray(pool.swapaxes(-1, -2))
    inputs = {n: wyvern.to_bf16(x) if exact.inputs[n].dtype == "bf16" else x for n, x in inputs.items()}
    read, seeds = np.array([3, -1], np.int32), np.array([11, 12], np.int32)
    given = {"read_slots": read, "write_slots": np.array([3, 4], np.int32), "keep_slots": np.array([-1, 6, -1, 7, -1, -1], np.int32)}
    wide, found = wyvern.from_bf16(pool), pool.copy()
    o = exact.prefill(state=wide, **given, **inputs)
    assert (program.prefill(state=found, seeds=seeds, **given, **inputs) == o).all()
    turn = (lambda x: x.swapaxes(-1, -2)) if layout == "vk" else (lambda x: x)
    for slot, n in ((3, 0), (4, 1), (6, 0), (7, 1)):
        assert (turn(found[slot]) == rounded(turn(wide[slot]), seeds[n])).all()
    others = [0, 1, 2, 5]
    assert (found[others] == pool[others]).all()


def test_the_expectation_is_the_state():
    """Of as many seeds the mean is within six standard deviations, and so is the mean of all elements."""
    count, text = 2000, text_of("gated_deltanet", key=16, value=16)
    program = compiled(text, wyvern.Pool("vk", "bf16", rounding="stochastic"))
    exact = compiled(text, wyvern.Pool())
    inputs, pool = draw(exact, 1, 1)
    inputs["g"] = np.full_like(inputs["g"], -0.3)
    many = np.zeros((count + 1, *pool.shape[1:]), np.uint16)
    many[0] = pool[3]
    wide = wyvern.from_bf16(many[:1])
    exact.step(state=wide, read_slots=np.zeros(1, np.int32), **inputs)
    program.step(
        state=many, read_slots=np.zeros(count, np.int32), write_slots=np.arange(1, count + 1, dtype=np.int32),
        seeds=np.arange(count, dtype=np.int32), **{n: np.repeat(x, count, 0) for n, x in inputs.items()},
    )
    state = wide[0].astype(np.float64)
    step = np.ldexp(1.0, np.frexp(state)[1] - 8)
    errors = (wyvern.from_bf16(many[1:]).astype(np.float64) - state) / step
    assert np.abs(errors).max() < 1
    assert np.abs(errors.mean(0)).max() < 6 * 0.5 / np.sqrt(count)
    assert abs(errors.mean()) < 6 * 0.5 / np.sqrt(errors.size)
    # Neighbours, and calls, do not go together.
    flat = errors.reshape(count, -1) - errors.reshape(count, -1).mean(0)
    for a, b in ((flat[:, :-1], flat[:, 1:]), (flat[:-1], flat[1:])):
        assert abs((a * b).mean()) < 6 * 0.25 / np.sqrt(a.size)


def test_what_is_not_finite_stays_so():
    program = compiled(text_of("linear_attention"), wyvern.Pool("kv", "bf16", rounding="stochastic"))
    inputs, pool = draw(program, 1, 1)
    inputs["k"][:] = 0
    kinds = np.array([0x7F80, 0xFF80, 0x7F81, 0xFFFF, 0x7F7F, 0x0001], np.uint16)
    pool[3, 0, 0, :6] = kinds
    for seed in range(20):
        found = pool.copy()
        program.step(state=found, read_slots=np.array([3], np.int32), seeds=np.array([seed], np.int32), **inputs)
        kept = found[3, 0, 0, :6]
        assert (kept[[0, 1, 4, 5]] == kinds[[0, 1, 4, 5]]).all() and (kept[2:4] == 0x7FC0).all()


def test_a_long_sequence_errs_less_than_rounded_to_nearest():
    """2000 steps of a state that decays slowly and takes little, against float64: what is less than half of a last bit
    is lost with every rounding to nearest."""
    text = text_of("gated_deltanet", key_heads=1, value_heads=1, key=128, value=128)
    rng, slot = np.random.default_rng(0), np.zeros(1, np.int32)
    begin = wyvern.to_bf16(rng.standard_normal((1, 1, 128, 128)).astype(np.float32))
    state = wyvern.from_bf16(begin)[0, 0].astype(np.float64)
    pools = {
        name: (compiled(text, wyvern.Pool("kv", "bf16", rounding=name)), begin.copy()) for name in ("nearest", "stochastic")
    }
    g, beta = np.float32(-5e-4), np.float32(0.02)
    gates = {"g": np.full((1, 1, 1), g), "beta": np.full((1, 1, 1), beta)}
    for t in range(2000):
        k, v = (rng.standard_normal(128) for _ in range(2))
        k, v = (k / np.linalg.norm(k)).astype(np.float32), v.astype(np.float32)
        state *= np.exp(np.float64(g))
        state += np.outer(k, np.float64(beta) * (v - k.astype(np.float64) @ state))
        rows = {n: x.reshape(1, 1, 1, 128) for n, x in {"q": k, "k": k, "v": v}.items()}
        for name, (program, pool) in pools.items():
            seeds = {"seeds": np.array([t], np.int32)} if name == "stochastic" else {}
            program.step(state=pool, read_slots=slot, **seeds, **rows, **gates)
    errors = {name: step_cases.error(wyvern.from_bf16(pool)[0, 0], state) for name, (_, pool) in pools.items()}
    assert errors["stochastic"] < 0.3 * errors["nearest"] and errors["stochastic"] < 0.15, errors


def test_what_is_refused():
    text = text_of("gated_deltanet")
    with pytest.raises(TypeError, match="serving: expected True, False or a wyvern.Pool, found 'bf16'"):
        compiled(text, "bf16")
    with pytest.raises(ValueError, match="rounding: stochastic is of bf16, found f32"):
        compiled(text, wyvern.Pool(rounding="stochastic"))
    with pytest.raises(ValueError, match="rounding: expected nearest or stochastic, found 'up'"):
        compiled(text, wyvern.Pool(dtype="bf16", rounding="up"))
    program = compiled(text, wyvern.Pool(dtype="bf16", rounding="stochastic"))
    inputs, pool = draw(program, 1, 1)
    call = {"state": pool, "read_slots": np.zeros(1, np.int32), **inputs}
    with pytest.raises(TypeError, match="'seeds' is missing, by which its pool is rounded"):
        program.step(**call)
    with pytest.raises(ValueError, match="seeds: expected one entry for each of 1 sequences, or none, found 2"):
        program.step(**call, seeds=np.zeros(2, np.int32))
    plain = compiled(text, wyvern.Pool(dtype="bf16"))
    with pytest.raises(TypeError, match="has no seeds: its pool is rounded to nearest, or not at all"):
        plain.step(**call, seeds=np.zeros(1, np.int32))
