# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs of prompts on the CPU: the layer's own bits, between slots of a pool, and states on the way."""

import json
import pathlib

import numpy as np
import pytest
import step_cases
import wyvern

ROOT = pathlib.Path(__file__).resolve().parents[2]
SPECS = sorted(path.stem for path in (ROOT / "specs").glob("*.yaml") if "levels:" not in path.read_text())
SLOTS = 9


class Prompt:
    """A layer, its program of prompts, their inputs, and a pool of NaNs with states in some slots."""

    def __init__(self, name, pool=wyvern.Pool(), entry="prefill", batch=3, tokens=150, dtype="f32", precision=None):
        self.text = step_cases.small((ROOT / "specs" / f"{name}.yaml").read_text(), dtype=dtype)
        self.pool_kind = pool
        options = {"target": "cpu", "precision": precision}
        self.whole = wyvern.compile(self.text, **options)
        self.program = wyvern.compile(self.text, **options, serving=pool, entry=entry)
        rng = np.random.default_rng(0)
        drawn = step_cases.draw(rng, self.whole.inputs, batch, tokens)
        if name == "rwkv7":  # RWKV-7, with a transition that does not grow
            drawn["p"] = -0.5 * drawn["r"]
        self.inputs = {n: wyvern.to_bf16(x) if self.whole.inputs[n].dtype == "bf16" else x for n, x in drawn.items()}
        state = self.program.inputs["state"]
        states = rng.standard_normal([SLOTS, *state.shape[1:]]).astype(np.float32)
        states[[0, 8]] = np.nan
        self.states = wyvern.to_bf16(states) if pool.dtype == "bf16" else states
        self.index = np.dtype(f"int{pool.slots[1:]}")

    def slots(self, *numbers):
        return np.array(numbers, self.index)

    def lying(self):
        """The pool as the engine has it, in a copy."""
        turned = self.states.swapaxes(-1, -2) if self.pool_kind.layout == "vk" else self.states
        return np.ascontiguousarray(turned)

    def expected(self, read, **inputs):
        """o and the states of the layer's own program, which begins with copies."""
        states = wyvern.from_bf16(self.states) if self.pool_kind.dtype == "bf16" else self.states
        is_slot = (read >= self.pool_kind.first_slot)[:, None, None, None]
        out = self.whole(initial_state=np.where(is_slot, np.nan_to_num(states[read]), 0), **inputs)
        final = out["final_state"]
        final = wyvern.to_bf16(final) if self.pool_kind.dtype == "bf16" else final
        return out["o"], final.swapaxes(-1, -2) if self.pool_kind.layout == "vk" else final

    def tokens(self, first, last, tokens=150):
        rows = {n: x.shape[1] // tokens for n, x in self.inputs.items()}
        return {n: x[:, first * rows[n] : last * rows[n]] for n, x in self.inputs.items()}


def bits(x):
    return np.ascontiguousarray(x).view(np.uint8)


def same(x, y):
    return x.shape == y.shape and (bits(x) == bits(y)).all()


@pytest.mark.parametrize("name", SPECS)
def test_the_bits_are_the_layers(name):
    """Whatever lies in other slots; a sequence that reads no slot begins with zeros, and one that writes none has
    the same o."""
    prompt = Prompt(name, wyvern.Pool(first_slot=1))
    read, write = prompt.slots(3, 0, 5), prompt.slots(3, 2, -1)
    pool = prompt.lying()
    o = prompt.program.prefill(state=pool, read_slots=read, write_slots=write, **prompt.inputs)
    wanted, final = prompt.expected(read, **prompt.inputs)
    assert same(o, wanted) and same(pool[[3, 2]], final[:2])
    others = [0, 1, 4, 5, 6, 7, 8]
    assert same(pool[others], prompt.lying()[others])


@pytest.mark.parametrize("pool", [wyvern.Pool("kv"), wyvern.Pool("vk", "bf16", "i64"), wyvern.Pool("kv", "bf16")])
def test_pools_of_other_types(pool):
    """Also one that lies between other things, and without write_slots."""
    prompt = Prompt("gated_deltanet", pool, dtype="bf16")
    read = prompt.slots(7, 1, -1)
    wide = np.zeros((SLOTS, 3, *prompt.lying().shape[1:]), prompt.states.dtype)
    wide[:, 1] = prompt.lying()
    o = prompt.program.prefill(state=wide[:, 1], read_slots=read, write_slots=prompt.slots(2, 1, -1), **prompt.inputs)
    wanted, final = prompt.expected(read, **prompt.inputs)
    assert same(o, wanted) and same(wide[[2, 1], 1], final[:2]) and same(wide[7, 1], prompt.lying()[7])
    assert not wide[:, [0, 2]].any()
    again = prompt.lying()
    prompt.program.prefill(state=again, read_slots=read, **prompt.inputs)
    assert same(again[[7, 1]], final[:2])


@pytest.mark.parametrize("name", ["gated_deltanet", "kda", "deltaproduct"])
def test_rounded_programs_and_schedules(name):
    """What a GPU runs: the rounded program, and the kernels of each schedule, with states that are kept."""
    sizes = {"batch": 2, "tokens": 150, "dtype": "bf16", "precision": "rounded"}
    prompt = Prompt(name, entry="prefill-keep", **sizes)
    read = prompt.slots(3, -1)
    chunks = -(-150 // prompt.program.kept_chunk)
    keep = np.full((2, chunks), -1, prompt.index)
    keep[0, 0], keep[1, 1] = 6, 7
    pool = prompt.lying()
    given = {"read_slots": read, "write_slots": prompt.slots(3, 2), "keep_slots": keep.ravel()}
    o = prompt.program.prefill(state=pool, **given, **prompt.inputs)
    wanted, final = prompt.expected(read, **prompt.inputs)
    assert same(o, wanted) and same(pool[[3, 2]], final)
    for schedule in ("separate", "fused-warps", "fused-blocks"):
        scheduled = wyvern.compile(
            prompt.text, target="cpu", precision="rounded", schedule=schedule, serving=True, entry="prefill-keep"
        )
        again = prompt.lying()
        assert same(scheduled.prefill(state=again, **given, **prompt.inputs), o)
        assert same(again[1:8], pool[1:8])


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", ["gated_deltanet", "deltaproduct", "rwkv7"])
def test_states_behind_chunks(name, packed):
    """Each is what a prompt ends in that is cut there; of packed sequences too, whose chunks begin with them."""
    tokens = 150
    prompt = Prompt(name, entry="prefill-keep", batch=1 if packed else 2, tokens=tokens)
    chunk = prompt.program.kept_chunk
    bounds = np.array([0, 70, 90, 150]) if packed else None
    pieces = [(0, 70), (70, 90), (90, 150)] if packed else [(0, tokens)] * 2
    read = prompt.slots(*range(1, 1 + len(pieces)))
    first = [a // chunk + n if packed else n * -(-tokens // chunk) for n, (a, _) in enumerate(pieces)]
    keep = np.full(tokens // chunk + 3 if packed else 2 * -(-tokens // chunk), -1, prompt.index)
    keep[first[0]], keep[first[-1]] = 6, 7
    pool = prompt.lying()
    given = {"cu_seqlens": bounds} if packed else {}
    o = prompt.program.prefill(
        state=pool, read_slots=read, write_slots=np.full_like(read, -1), keep_slots=keep, **given, **prompt.inputs
    )
    for n, slot in ((0, 6), (len(pieces) - 1, 7)):
        row = 0 if packed else n
        begin = pieces[n][0]
        alone = prompt.lying()
        piece = {x: y[row : row + 1] for x, y in prompt.tokens(begin, begin + chunk, tokens).items()}
        out = prompt.program.prefill(state=alone, read_slots=read[n : n + 1], **piece)
        assert same(alone[read[n]], pool[slot]) and same(out[0], o[row, begin : begin + chunk])
    others = [0, 1, 2, 3, 4, 5, 8]
    assert same(pool[others], prompt.lying()[others])


def test_segments_begin_and_end_in_slots():
    prompt = Prompt("gated_deltanet", batch=2, tokens=300, dtype="bf16", precision="rounded")
    options = {"target": "cpu", "precision": "rounded", "segment_tokens": 128}
    cut = wyvern.compile(prompt.text, **options, serving=True, entry="prefill")
    whole = wyvern.compile(prompt.text, **options)
    read, pool = prompt.slots(3, -1), prompt.lying()
    o = cut.prefill(state=pool, read_slots=read, write_slots=prompt.slots(3, 2), **prompt.inputs)
    states = np.where((read >= 0)[:, None, None, None], prompt.states[read], 0)
    out = whole(initial_state=np.nan_to_num(states), **prompt.inputs)
    assert same(o, out["o"]) and same(pool[[3, 2]], out["final_state"].swapaxes(-1, -2))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", ["gated_deltanet", "kda"])
def test_segments_keep_states(name, packed):
    """The last chain keeps them: of a first segment what a shorter prompt ends in, of a later one what a prompt does
    that goes on from where segments have met. Each schedule has the bits of the program."""
    prompt = Prompt(name, entry="prefill-keep", batch=1 if packed else 2, tokens=330, dtype="bf16", precision="rounded")
    options = {"target": "cpu", "precision": "rounded", "serving": True}
    cut = wyvern.compile(prompt.text, **options, entry="prefill-keep", segment_tokens=128)
    bounds = np.array([0, 30, 330]) if packed else None
    begin = 30 if packed else 0
    given = {"cu_seqlens": bounds} if packed else {}
    read = prompt.slots(3, 1)
    # Of the second sequence the first chunk, of 64 tokens, and the third, which is the first of its second segment.
    first = 1 if packed else -(-330 // 64)
    keep = np.full(330 // 64 + 2 if packed else 2 * first, -1, prompt.index)
    keep[first], keep[first + 2] = 6, 7
    pool, plain = prompt.lying(), prompt.lying()
    given |= {"read_slots": read, "write_slots": prompt.slots(-1, 2)}
    o = cut.prefill(state=pool, keep_slots=keep, **given, **prompt.inputs)
    assert same(cut.prefill(state=plain, **given, **prompt.inputs), o)
    others = [0, 1, 2, 3, 4, 5, 8]
    assert same(pool[others], plain[others]) and not same(pool[2], prompt.lying()[2])

    row = 0 if packed else 1
    piece = lambda a, b: {x: y[row : row + 1] for x, y in prompt.tokens(begin + a, begin + b, 330).items()}
    alone = prompt.lying()
    prompt.program.prefill(state=alone, read_slots=read[1:], write_slots=prompt.slots(4), **piece(0, 64))
    assert same(alone[4], pool[6])
    cut.prefill(state=alone, read_slots=read[1:], write_slots=prompt.slots(4), **piece(0, 128))
    prompt.program.prefill(state=alone, read_slots=prompt.slots(4), **piece(128, 192))
    assert same(alone[4], pool[7])
    for schedule in ("separate", "fused-warps", "fused-blocks"):
        scheduled = wyvern.compile(prompt.text, **options, entry="prefill-keep", schedule=schedule, segment_tokens=128)
        again = prompt.lying()
        assert same(scheduled.prefill(state=again, keep_slots=keep, **given, **prompt.inputs), o)
        assert same(again[1:8], pool[1:8])


def test_what_is_refused():
    prompt = Prompt("gated_deltanet", entry="prefill-keep")
    read, pool = prompt.slots(3, 1, 2), prompt.lying()
    call = lambda **more: prompt.program.prefill(state=pool, **({"read_slots": read} | more), **prompt.inputs)
    with pytest.raises(ValueError, match="keep_slots: expected one entry for each of 9 slots of chunks, or none, found 3"):
        call(keep_slots=read)
    with pytest.raises(ValueError, match="keep_slots: expected slots of a pool of 9, found 9 at entry 8"):
        call(keep_slots=prompt.slots(*range(1, 10)))
    with pytest.raises(ValueError, match="read_slots: expected slots of a pool of 9, found 9"):
        call(read_slots=prompt.slots(3, 9, 1))
    with pytest.raises(AttributeError, match="was not compiled for serving"):
        prompt.program.step(state=pool, read_slots=read, **prompt.inputs)
    plain = wyvern.compile(prompt.text, target="cpu", serving=True, entry="prefill")
    with pytest.raises(TypeError, match='does not take keep_slots; compile it with entry="prefill-keep"'):
        plain.prefill(state=pool, read_slots=read, keep_slots=read, **prompt.inputs)
    with pytest.raises(AttributeError, match="was not compiled for prompts"):
        prompt.whole.prefill(state=pool, read_slots=read, **prompt.inputs)
    for options, message in (
        ({"entry": "prefill"}, "entry: it is of programs for serving"),
        ({"serving": True, "entry": "prompt"}, "entry: expected step, prefill, prefill-keep, found 'prompt'"),
        ({"serving": True, "entry": "prefill", "epilogue": wyvern.Epilogue()}, "epilogue: it is a step's"),
    ):
        with pytest.raises(ValueError, match=message):
            wyvern.compile(prompt.text, target="cpu", **options)
    with pytest.raises(TypeError, match="serving: expected True, False or a wyvern.Pool, found 'prefill'; entry= says what is made, step, prefill"):
        wyvern.compile(prompt.text, target="cpu", serving="prefill")


def test_a_bundle_says_what_it_is(tmp_path):
    text = step_cases.small((ROOT / "specs/gated_deltanet.yaml").read_text(), key=128, value=128)
    program = wyvern.compile(text, output=tmp_path / "b", serving=True, entry="prefill-keep")
    manifest = json.loads((tmp_path / "b" / "manifest.json").read_text())
    assert manifest["serving"] == {"entry": "prefill", "first_slot": 0} and manifest["state_layout"] == "vk"
    assert program.prefills and program.keeps and not program.decodes and program.kept_chunk == 64
    assert program.inputs["state"].in_place and program.inputs["keep_slots"].optional
    assert any("segments" in name for name in program.variants)
    plain = wyvern.compile(text, output=tmp_path / "p", serving=True, entry="prefill")
    assert plain.name == "gated_deltanet_prefill" and any("segments" in name for name in plain.variants)
