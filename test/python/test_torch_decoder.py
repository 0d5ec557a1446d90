# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""wyvern.torch.Decoder on CPU tensors: the calls of a program for serving as a torch op."""

import pathlib

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("wyvern._compiler", reason="the compiler module is not built")

import step_cases
import wyvern
from wyvern.torch import Decoder, op

ROOT = pathlib.Path(__file__).resolve().parents[2]
SPEC = step_cases.small((ROOT / "specs/gated_deltanet.yaml").read_text())


def make(tokens=2):
    """A decoder, its operands, a pool and slots; sequence 1 is padding."""
    decoder = Decoder(SPEC)
    program = wyvern.compile(SPEC, target="cpu", serving=True)
    rng = np.random.default_rng(0)
    drawn = step_cases.draw(rng, program.inputs, 3, tokens)
    narrow = {name for name, info in program.inputs.items() if info.dtype == "bf16"}
    tensors = [torch.from_numpy(drawn[name]).to(torch.bfloat16 if name in narrow else torch.float32) for name in decoder.operands]
    pool = torch.from_numpy(rng.standard_normal([5, *program.inputs["state"].shape[1:]]).astype(np.float32))
    return decoder, tensors, pool, torch.tensor([4, -1, 2], dtype=torch.int32)


def test_it_is_the_program():
    decoder, tensors, pool, slots = make()
    assert decoder.operands == ("q", "g", "k", "v", "beta") and decoder.pool == wyvern.Pool()
    program = wyvern.compile(SPEC, target="cpu", serving=True)
    wanted_pool = pool.clone()
    wanted = program.step(state=wanted_pool, read_slots=slots, **dict(zip(decoder.operands, tensors)))
    drafted, left = decoder.verify(*tensors, state=pool, read_slots=slots), pool.clone()
    assert torch.equal(drafted, wanted) and torch.equal(left, pool)
    decoder.commit(*tensors, state=left, read_slots=slots, lengths=torch.full_like(slots, 2))
    o = decoder.step(*tensors[:2], state=pool, read_slots=slots, **dict(zip(decoder.operands[2:], tensors[2:])))
    assert torch.equal(o, wanted) and torch.equal(pool, wanted_pool) and torch.equal(left, pool)
    assert Decoder(SPEC).op is decoder.op and Decoder(SPEC, wyvern.Pool("kv")).op is not decoder.op


def test_torch_knows_what_it_does():
    decoder, tensors, pool, slots = make()
    torch.library.opcheck(decoder.op, (*tensors, pool, slots, slots, None))
    torch.library.opcheck(decoder.op, (*tensors, pool, slots, None, torch.full_like(slots, 1)))


def test_a_prologue():
    decoder = Decoder(SPEC, prologue=("norm", "gates"))
    assert decoder.operands == ("q", "a", "k", "v", "b", "A_log", "dt_bias")


@pytest.mark.parametrize(
    "read, write, message",
    [
        ([4, -1, 5], None, "read_slots: expected slots below 5"),
        ([4, -1, 2], [4, -1, 7], "write_slots: expected slots below 5"),
        ([4, 1, 2], [3, 0, 3], "write_slots: expected no slot twice"),
        ([4, 1, 2], [4, 2, 0], "write_slots: expected no slot that another sequence reads"),
        ([4, -1, 2], [3, 3, 0], None),  # padding writes nothing
        ([4, 4, 2], [-1, -1, 2], None),  # a state may be read by many
    ],
)
def test_slots_that_are_checked(read, write, message, monkeypatch):
    from wyvern.torch import _slot_checks

    decoder, tensors, pool, _ = make()
    monkeypatch.setattr(_slot_checks, "is_on", True)
    slots = {"read_slots": torch.tensor(read, dtype=torch.int32)}
    slots |= {} if write is None else {"write_slots": torch.tensor(write, dtype=torch.int32)}
    if message is None:
        assert decoder.step(*tensors, state=pool, **slots).isfinite().all()
        return
    with pytest.raises(RuntimeError, match=message):
        decoder.step(*tensors, state=pool, **slots)


def test_it_compiles_whole():
    decoder, tensors, pool, slots = make()

    @torch.compile(fullgraph=True, backend="aot_eager")
    def model(*tensors, state):
        return 2 * decoder.step(*tensors, state=state, read_slots=slots) + state[4].sum()

    other = pool.clone()
    o = model(*tensors, state=pool)
    assert torch.equal(o, 2 * decoder.step(*tensors, state=other, read_slots=slots) + other[4].sum())
    assert torch.equal(pool, other)


def test_what_is_refused(tmp_path):
    decoder, tensors, pool, slots = make()
    with pytest.raises(NotImplementedError, match="a step has no backward"):
        decoder.step(tensors[0].clone().requires_grad_(), *tensors[1:], state=pool, read_slots=slots)
    with pytest.raises(TypeError, match="beta is missing"):
        decoder.step(*tensors[:4], state=pool, read_slots=slots)
    with pytest.raises(TypeError, match="read_slots is a list, expected a tensor"):
        decoder.step(*tensors, state=pool, read_slots=[1, 2])
    with pytest.raises(TypeError, match="Decoder: pool is 'vk', expected a wyvern.Pool"):
        Decoder(SPEC, "vk")
    with pytest.raises(TypeError, match="^gated_deltanet: lengths is a list, expected a tensor"):
        decoder.verify(*tensors, state=pool, read_slots=slots, lengths=[1, 2])
    with pytest.raises(ValueError, match="dtype: expected f32 or bf16, found 'f64'"):
        Decoder(SPEC, wyvern.Pool(dtype="f64"))
    wide = step_cases.small((ROOT / "specs/gated_deltanet.yaml").read_text(), key=64, value=64)
    bundle = wyvern.compile(wide, serving=wyvern.Pool("kv", first_slot=1), output=tmp_path / "step")
    assert Decoder(bundle).pool == wyvern.Pool("kv", first_slot=1)
    with pytest.raises(TypeError, match="a bundle says what its pool, its prologue and its epilogue are"):
        Decoder(bundle, wyvern.Pool())
    with pytest.raises(TypeError, match="is a layer's step of decoding; pass it to wyvern.torch.Decoder"):
        op(bundle)
    layer = wyvern.compile(wide, variants="separate", output=tmp_path / "layer")
    with pytest.raises(TypeError, match="was not compiled for serving"):
        Decoder(layer)
