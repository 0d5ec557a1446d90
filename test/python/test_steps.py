# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Steps of decoding on the CPU: right against float64, and the promises of docs/serving.md as equality of bits."""

import json
import pathlib

import numpy as np
import pytest
import step_cases
import wyvern

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Layers with levels have no step.
SPECS = sorted(path.stem for path in (ROOT / "specs").glob("*.yaml") if "levels:" not in path.read_text())
SLOTS = 9


def compiled(name, pool=wyvern.Pool(), precision=None, **sizes):
    text = step_cases.small((ROOT / "specs" / f"{name}.yaml").read_text(), **sizes)
    return text, wyvern.compile(text, target="cpu", serving=pool, precision=precision)


class Call:
    """Inputs of a step: 4 sequences, of which number 1 is padding; number 2 forks slot 5 to 8."""

    def __init__(self, program, first_slot=0, tokens=3, seed=0):
        rng = np.random.default_rng(seed)
        drawn = step_cases.draw(rng, program.inputs, 4, tokens)
        self.narrow = program.outputs["o"].dtype == "bf16"
        self.inputs = {n: wyvern.to_bf16(x) if program.inputs[n].dtype == "bf16" else x for n, x in drawn.items()}
        state = program.inputs["state"]
        self.bf16 = state.dtype == "bf16"
        pool = rng.standard_normal([SLOTS, *state.shape[1:]]).astype(np.float32)
        self.read = np.array([7, first_slot - 1, 5, 2], np.dtype(f"int{program.inputs['read_slots'].dtype[1:]}"))
        self.write = np.array([7, first_slot - 1, 8, 2], self.read.dtype)
        pool[[s for s in range(SLOTS) if s not in self.read and s not in self.write]] = np.nan
        self.pool = wyvern.to_bf16(pool) if self.bf16 else pool
        self.live = [0, 2, 3]

    def tokens(self, first, last, tokens=3):
        """The inputs of some tokens."""
        rows = {n: x.shape[1] // tokens for n, x in self.inputs.items()}
        return {n: x[:, first * rows[n] : last * rows[n]] for n, x in self.inputs.items()}

    def slots(self):
        return {"read_slots": self.read, "write_slots": self.write}


def bits(x):
    return np.ascontiguousarray(x).view(np.uint8)


def test_o_into_what_there_is():
    """It has the bits that are returned without; where it does not fit, the pool stays."""
    _, program = compiled("gated_deltanet", wyvern.Pool(first_slot=1), dtype="bf16")
    call = Call(program, first_slot=1)
    for run, more in ((program.step, call.slots()), (program.verify, {"read_slots": call.read})):
        pool, again = call.pool.copy(), call.pool.copy()
        o = run(state=pool, **more, **call.inputs)
        rows = np.empty_like(o)
        assert run(state=again, **more, **call.inputs, out=rows) is rows
        assert (bits(rows) == bits(o)).all() and (bits(again) == bits(pool)).all()
    pool = call.pool.copy()
    for wrong in (np.empty_like(o)[:2], np.empty(o.shape, np.float32)):
        with pytest.raises(ValueError, match=r"out: expected 'o' of uint16 \[4, 3, .*found (uint16|float32)"):
            program.step(state=pool, **call.slots(), **call.inputs, out=wrong)
    assert (bits(pool) == bits(call.pool)).all()
    with pytest.raises(TypeError, match="has no output 'x'; its outputs are o"):
        program(state=pool, lengths=None, **call.slots(), **call.inputs, out={"x": o})


@pytest.mark.parametrize("layout", ["vk", "kv"])
@pytest.mark.parametrize("name", SPECS)
def test_a_step_is_the_recurrence(name, layout):
    text, program = compiled(name, wyvern.Pool(layout=layout, first_slot=1))
    call = Call(program, first_slot=1)
    before, pool = call.pool.copy(), call.pool.copy()
    o = program.step(state=pool, **call.slots(), **call.inputs)
    turn = (lambda s: s.swapaxes(-1, -2)) if layout == "vk" else (lambda s: s)
    expected = wyvern.reference(text, initial_state=np.nan_to_num(turn(before[call.read])), **call.inputs)
    o = wyvern.from_bf16(o) if call.narrow else o
    assert step_cases.error(o[call.live], expected["o"][call.live]) < 2.5e-3  # rounded to bf16
    assert step_cases.error(turn(pool[call.write])[call.live], expected["final_state"][call.live]) < 1e-6
    assert not o[1].any()
    others = [s for s in range(SLOTS) if s not in call.write[call.live]]
    assert (bits(pool[others]) == bits(before[others])).all()


@pytest.mark.parametrize("name", ["gated_deltanet", "deltaproduct", "rwkv7", "kda"])
def test_verify_and_commit_are_a_step(name):
    _, program = compiled(name)
    call = Call(program)
    pool = call.pool.copy()
    o = program.step(state=pool, **call.slots(), **call.inputs)
    # A draft: the same outputs, and no state.
    left = call.pool.copy()
    draft = program.verify(state=left, read_slots=call.read, **call.inputs)
    assert (bits(draft) == bits(o)).all() and (bits(left) == bits(call.pool)).all()
    # What is accepted, and token by token.
    accepted = np.array([2, 3, 3, 0], call.read.dtype)
    program.commit(state=left, **call.slots(), lengths=accepted, **call.inputs)
    steps, read = call.pool.copy(), call.read.copy()
    for t in range(3):
        live = np.where(t < accepted, read, -1)
        out = program.step(
            state=steps, read_slots=live, write_slots=np.where(t < accepted, call.write, -1), **call.tokens(t, t + 1)
        )
        taken = [n for n in call.live if t < accepted[n]]
        assert (bits(out[taken, 0]) == bits(o[taken, t])).all()
        read = np.where(t < accepted, call.write, read)
    written = call.write[[0, 2, 3]]
    assert (bits(left[written]) == bits(steps[written])).all()


def test_rows_behind_a_length_are_zero():
    _, program = compiled("gated_deltanet")
    call = Call(program)
    o = program.step(state=call.pool.copy(), **call.slots(), lengths=np.array([1, 3, -5, 9], np.int32), **call.inputs)
    assert o[0, 0].any() and not o[0, 1:].any() and not o[2].any() and o[3, 2].any()


@pytest.mark.parametrize("name", ["gated_deltanet", "deltaproduct"])
def test_bits_do_not_depend_on_the_batch(name):
    _, program = compiled(name)
    call = Call(program)
    pool = call.pool.copy()
    o = program.step(state=pool, **call.slots(), **call.inputs)
    order = np.array([3, 0, 1, 2])
    moved = call.pool.copy()
    found = program.step(
        state=moved, read_slots=call.read[order], write_slots=call.write[order], **{n: x[order] for n, x in call.inputs.items()}
    )
    assert (bits(found) == bits(o[order])).all() and (bits(moved) == bits(pool)).all()
    alone = call.pool.copy()
    found = program.step(
        state=alone, read_slots=call.read[2:3], write_slots=call.write[2:3], **{n: x[2:3] for n, x in call.inputs.items()}
    )
    assert (bits(found) == bits(o[2:3])).all() and (bits(alone[8]) == bits(pool[8])).all()


@pytest.mark.parametrize("pool", [wyvern.Pool(dtype="bf16"), wyvern.Pool(slots="i64"), wyvern.Pool("kv", "bf16", "i64", 2)])
def test_pools_of_other_types(pool):
    text, program = compiled("gated_deltanet", pool)
    call = Call(program, first_slot=pool.first_slot)
    after = call.pool.copy()
    program.step(state=after, **call.slots(), **call.inputs)
    values = wyvern.from_bf16 if call.bf16 else np.array
    turn = (lambda s: s.swapaxes(-1, -2)) if pool.layout == "vk" else (lambda s: s)
    expected = wyvern.reference(text, initial_state=np.nan_to_num(turn(values(call.pool[call.read]))), **call.inputs)
    found = turn(values(after[call.write]))[call.live]
    assert step_cases.error(found, expected["final_state"][call.live]) < (3e-3 if call.bf16 else 1e-6)


@pytest.mark.parametrize("name", ["delta_net-1.3B", "gated_deltanet", "kda", "deltaproduct", "rwkv7"])
def test_many_drafts(name):
    """What gpu_steps.py does for 10 000 drafts, in the small."""
    torch = pytest.importorskip("torch")
    import long_steps

    torch.manual_seed(0)
    pool = wyvern.Pool("kv" if name == "kda" else "vk", first_slot=1)
    text, program = compiled(name, pool, key=32, value=32)
    scale = 1 if name == "rwkv7" else 32**-0.5
    drafts = long_steps.Long(program, pool.first_slot, pool.layout, scale, "cpu")
    long_steps.run(drafts, 40)
    assert not drafts.failures() and int(drafts.count) == 40
    # What is judged is what is there: another state beside the program's is found out.
    drafts.state *= 1.01
    drafts.round()
    assert any("the state is within" in what for what in drafts.failures())


def test_a_step_goes_on_where_a_prompt_ends():
    text, program = compiled("gated_deltanet")
    prompt = wyvern.compile(text, target="cpu")
    call = Call(program)
    inputs = {n: x[call.live] for n, x in call.inputs.items()}
    whole = prompt(**inputs)
    pool = np.zeros_like(call.pool)
    pool[[0, 1, 2]] = prompt(**{n: x[call.live] for n, x in call.tokens(0, 2).items()})["final_state"].swapaxes(-1, -2)
    slots = np.arange(3, dtype=np.int32)
    o = program.step(state=pool, read_slots=slots, **{n: x[call.live] for n, x in call.tokens(2, 3).items()})
    assert step_cases.error(pool[:3].swapaxes(-1, -2), whole["final_state"]) < 1e-6
    assert step_cases.error(wyvern.from_bf16(o[:, 0]), wyvern.from_bf16(whole["o"][:, 2])) < 4e-3


@pytest.mark.parametrize("name", ["gated_deltanet", "deltaproduct", "rwkv7"])
def test_the_schedule_of_a_gpu_gives_the_bits_of_the_program(name):
    call = Call(compiled(name)[1])
    pools = []
    for precision in ("f32", "rounded"):
        program = compiled(name, precision=precision)[1]
        pools.append(call.pool.copy())
        program.step(state=pools[-1], **call.slots(), **call.inputs)
    assert (bits(pools[0]) == bits(pools[1])).all()


@pytest.mark.parametrize("name", ["gated_deltanet", "kda", "deltaproduct", "gated_deltaproduct", "delta_net-1.3B"])
def test_a_prologue_is_what_engines_do_in_front(name):
    """Raw operands with a prologue, against the operands that it makes, in float64, without one."""
    text = step_cases.small((ROOT / "specs" / f"{name}.yaml").read_text(), dtype="f32")
    program = wyvern.compile(text, target="cpu", serving=True, prologue=["norm", "gates"])
    plain = wyvern.compile(text, target="cpu", serving=True)
    max_rate = 2 if "max_rate: 2" in text else 1
    raw, wanted = step_cases.raw_operands(np.random.default_rng(0), program.inputs, 3, 2, max_rate)
    assert set(raw) | {"state", "read_slots", "write_slots", "lengths"} == set(program.inputs)
    pool = np.random.default_rng(1).standard_normal([4, *program.inputs["state"].shape[1:]]).astype(np.float32)
    slots, other = np.array([2, 0, 3], np.int32), pool.copy()
    o = program.step(state=pool, read_slots=slots, **raw)
    expected = plain.step(state=other, read_slots=slots, **{n: x.astype(np.float32) for n, x in wanted.items()})
    assert step_cases.error(o, expected) < 2e-6 and step_cases.error(pool, other) < 2e-6


def test_prologues_that_are_refused():
    text = step_cases.small((ROOT / "specs/gdn2.yaml").read_text())
    with pytest.raises(wyvern.CompileError, match="expected q and the keys for the prologue 'norm'"):
        wyvern.compile(text, target="cpu", serving=True, prologue=["norm"])
    with pytest.raises(ValueError, match="prologue: expected a list of conv, norm, gates, decay, rates, scale, found 'norm'"):
        wyvern.compile(text, target="cpu", serving=True, prologue="norm")
    with pytest.raises(wyvern.CompileError, match="expected q and the keys for the prologue 'norm'"):
        wyvern.compile(text, target="cpu", prologue=["norm"])


def test_what_is_refused():
    text, program = compiled("gated_deltanet")
    call = Call(program)
    with pytest.raises(ValueError, match=r"read_slots: expected slots of a pool of 9, found 9 at entry 3"):
        program.step(state=call.pool, read_slots=np.array([0, 1, 2, 9], np.int32), **call.inputs)
    with pytest.raises(ValueError, match=r"read_slots: expected one entry for each of 4 sequences, found 3"):
        program.step(state=call.pool, read_slots=np.arange(3, dtype=np.int32), **call.inputs)
    with pytest.raises(ValueError, match=r"lengths: expected one entry for each of 4 sequences, or none, found 2"):
        program.step(state=call.pool, read_slots=call.read, lengths=np.ones(2, np.int32), **call.inputs)
    with pytest.raises(TypeError, match="state: expected elements of f32, found uint16"):
        program.step(state=wyvern.to_bf16(call.pool), read_slots=call.read, **call.inputs)
    with pytest.raises(TypeError, match="read_slots: expected elements of i32, found i64"):
        program.step(state=call.pool, read_slots=call.read.astype(np.int64), **call.inputs)
    with pytest.raises(ValueError, match="state: expected shape"):
        program.step(state=call.pool[:, :1], read_slots=call.read, **call.inputs)
    layer = wyvern.compile(text, target="cpu")
    assert not layer.decodes
    with pytest.raises(AttributeError, match="was not compiled for serving"):
        layer.step(state=call.pool, read_slots=call.read, **call.inputs)
    for pool, message in (
        (wyvern.Pool(layout="nhd"), "layout: expected vk or kv, found 'nhd'"),
        (wyvern.Pool(dtype="fp8"), "dtype: expected f32 or bf16, found 'fp8'"),
        (wyvern.Pool(slots="u8"), "slots: expected i32 or i64, found 'u8'"),
        (wyvern.Pool(first_slot=-1), "first_slot: expected 0 to 2147483647, slots of i32, found -1"),
        (wyvern.Pool(first_slot=2**31), "first_slot: expected 0 to 2147483647, slots of i32, found 2147483648"),
    ):
        with pytest.raises(ValueError, match=message):
            wyvern.compile(text, target="cpu", serving=pool)
    with pytest.raises(ValueError, match="a step has no backward"):
        wyvern.compile(text, target="cpu", serving=True, training=True)
    with pytest.raises(ValueError, match="a step has variants of its own"):
        wyvern.compile(text, serving=True, variants="separate")


def test_a_bundle_says_that_it_serves(tmp_path):
    text = step_cases.small((ROOT / "specs/gated_deltanet.yaml").read_text(), key=128, value=128)
    program = wyvern.compile(text, serving=wyvern.Pool("kv", "bf16", "i64", 1), output=tmp_path / "b")
    manifest = json.loads((tmp_path / "b/manifest.json").read_text())
    assert manifest["serving"] == {"entry": "step", "first_slot": 1} and manifest["state_layout"] == "kv"
    state = program.inputs["state"]
    assert program.decodes and state.in_place and (state.dtype, state.dims[0][0]) == ("bf16", "slot")
    assert program.inputs["read_slots"].dtype == "i64" and not program.inputs["read_slots"].optional
    assert program.inputs["write_slots"].optional and program.inputs["lengths"].optional
    assert list(program.outputs) == ["o"]
    header = (tmp_path / "b" / f"{program.name}.h").read_text()
    assert "int64_t pool_slots" in header and "uint16_t *state, /* [pool_slots, 2, 128, 128] bf16 */" in header
