# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The norm and the gate behind a step: against float64, beside a prologue, and what is refused."""

import pathlib

import numpy as np
import pytest
import step_cases
import wyvern

ROOT = pathlib.Path(__file__).resolve().parents[2]
READ = np.array([4, -1, 0], np.int32)


def text_of(name, **sizes):
    return step_cases.small((ROOT / "specs" / f"{name}.yaml").read_text(), **sizes)


def given_to(program, tokens=3):
    """Operands of three sequences, of which number 1 is padding; z to where its sigmoid is 0 or 1, and rows of v that are nearly zero."""
    rng = np.random.default_rng(2)
    drawn = step_cases.draw(rng, program.inputs, len(READ), tokens)
    drawn["v"][:, :1] *= 1e-4
    if "norm_weight" in program.inputs:
        drawn["norm_weight"] = rng.standard_normal(program.inputs["norm_weight"].shape).astype(np.float32)
    if "z" in program.inputs:
        drawn["z"] = (8 * rng.standard_normal(drawn["z"].shape)).astype(np.float32)
    pool = rng.standard_normal([5, *program.inputs["state"].shape[1:]]).astype(np.float32)
    pool[0] *= 1e-3
    return {n: wyvern.to_bf16(x) if program.inputs[n].dtype == "bf16" else x for n, x in drawn.items()}, pool


def applied(o, given, epilogue):
    """What an epilogue makes of o, in float64."""
    o = np.float64(o)
    if epilogue.norm:
        o = o / np.sqrt((o * o).mean(-1, keepdims=True) + epilogue.epsilon) * given["norm_weight"]
    if epilogue.gate:
        z = np.float64(wyvern.from_bf16(given["z"]))
        o = o * z / (1 + np.exp(-z))
    return o


@pytest.mark.parametrize(
    "epilogue", [wyvern.Epilogue(), wyvern.Epilogue(gate=False, epsilon=1e-3), wyvern.Epilogue(norm=False)]
)
@pytest.mark.parametrize("name", ["gated_deltanet", "kda", "deltaproduct"])
@pytest.mark.parametrize("precision", ["f32", "rounded"])
def test_against_float64(name, epilogue, precision):
    text = text_of(name)
    program = wyvern.compile(text, target="cpu", serving=True, epilogue=epilogue, precision=precision)
    assert ("norm_weight" in program.inputs, "z" in program.inputs) == (epilogue.norm, epilogue.gate)
    given, pool = given_to(program)
    before = pool.copy()
    o = wyvern.from_bf16(program.step(state=pool, read_slots=READ, **given))
    layer = {n: x for n, x in given.items() if n not in ("z", "norm_weight")}
    exact = wyvern.reference(text, initial_state=before[READ].swapaxes(-1, -2), **layer)
    wanted, live = applied(exact["o"], given, epilogue), [0, 2]
    assert step_cases.error(o[live], wanted[live]) < 2.5e-3  # rounded to bf16, once
    for n in live:
        assert step_cases.error(o[n], wanted[n]) < 4e-3
    assert not o[1].any()
    # The state knows nothing of it.
    plain = wyvern.compile(text, target="cpu", serving=True, precision=precision)
    other = before.copy()
    plain.step(state=other, read_slots=READ, **layer)
    assert (other == pool).all()


def test_a_draft_has_the_bits_of_steps():
    program = wyvern.compile(text_of("gated_deltanet"), target="cpu", serving=True, epilogue=wyvern.Epilogue())
    given, pool = given_to(program)
    draft = program.verify(state=pool, read_slots=READ, **given)
    timed = [n for n, info in program.inputs.items() if "time" in dict(info.dims)]
    for t in range(3):
        one = {n: x[:, t : t + 1] if n in timed else x for n, x in given.items()}
        o = program.step(state=pool, read_slots=READ, **one)
        assert (o[:, 0] == draft[:, t]).all()


def test_beside_a_prologue():
    """Raw operands in front, an epilogue behind: what the two make apart."""
    text, parts = text_of("gated_deltanet"), ["norm", "gates"]
    program = wyvern.compile(text, target="cpu", serving=True, prologue=parts, epilogue=wyvern.Epilogue())
    plain = wyvern.compile(text, target="cpu", serving=True, prologue=parts)
    raw, _ = step_cases.raw_operands(np.random.default_rng(4), program.inputs, len(READ), 2)
    given = {n: wyvern.to_bf16(x) if program.inputs[n].dtype == "bf16" else x for n, x in raw.items()}
    pool = np.random.default_rng(5).standard_normal([5, *program.inputs["state"].shape[1:]]).astype(np.float32)
    o = wyvern.from_bf16(program.step(state=pool.copy(), read_slots=READ, **given))
    layer = {n: x for n, x in given.items() if n not in ("z", "norm_weight")}
    before = wyvern.from_bf16(plain.step(state=pool.copy(), read_slots=READ, **layer))
    assert step_cases.error(o, applied(before, given, wyvern.Epilogue())) < 4e-3  # rounded twice


def test_what_is_refused():
    text = text_of("gated_deltanet")
    with pytest.raises(ValueError, match="it is a step's; add serving=True"):
        wyvern.compile(text, target="cpu", epilogue=wyvern.Epilogue())
    for epsilon in (-1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=f"epsilon: expected a finite f32 of at least 0, found {epsilon}"):
            wyvern.compile(text, target="cpu", serving=True, epilogue=wyvern.Epilogue(epsilon=epsilon))
    with pytest.raises(TypeError, match="norm_weight"):
        program = wyvern.compile(text, target="cpu", serving=True, epilogue=wyvern.Epilogue())
        given, pool = given_to(program)
        program.step(state=pool, read_slots=READ, **{n: x for n, x in given.items() if n != "norm_weight"})


def test_a_decoder_has_it():
    """In steps, and behind prompts, where torch computes it."""
    torch = pytest.importorskip("torch")
    from wyvern.torch import Decoder

    text = text_of("gated_deltanet")
    decoder = Decoder(text, epilogue=wyvern.Epilogue(epsilon=1e-3))
    program = wyvern.compile(text, target="cpu", serving=True, epilogue=wyvern.Epilogue(epsilon=1e-3))
    given, pool = given_to(program)

    def tensor(x):
        return torch.from_numpy(x.view(np.int16)).view(torch.bfloat16) if x.dtype == np.uint16 else torch.from_numpy(x)

    operands, state, slots = {n: tensor(x) for n, x in given.items()}, torch.from_numpy(pool.copy()), torch.from_numpy(READ)
    o = decoder.step(**operands, state=state, read_slots=slots)
    expected = program.step(state=pool, read_slots=READ, **given)
    assert (o.view(torch.int16).numpy() == expected.view(np.int16)).all() and (state.numpy() == pool).all()
    again = torch.from_numpy(pool.copy())
    prompt = decoder.prefill(**operands, state=again, read_slots=slots)
    wanted = decoder.step(**operands, state=state, read_slots=slots)
    live = [0, 2]
    assert step_cases.error(prompt[live].float().numpy(), wanted[live].float().numpy()) < 8e-3  # o is rounded in between
    with pytest.raises(ValueError, match="epsilon"):
        Decoder(text, epilogue=wyvern.Epilogue(epsilon=-1))
