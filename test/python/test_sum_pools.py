# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Running sums that go on in a pool beside the states, on the CPU: steps, drafts, commits and prompts of Selective
RoPE, against float64, the whole sequence, and each other."""

import numpy as np
import pytest
import step_cases
import sum_cases
import wyvern
from sum_cases import cut, in_float64, off

KEY, VALUE, SLOTS = 32, 16, 12


def text(heads=(2, 4)):
    return sum_cases.text(heads, (KEY, VALUE))


def draw(rng, batch, tokens, heads=(2, 4)):
    return sum_cases.draw(rng, batch, tokens, heads, (KEY, VALUE))


def same(x, y):
    return np.array_equal(x.view(np.uint32), y.view(np.uint32))


class Pools:
    """Pools of states and of angles with NaNs where nobody's are."""

    def __init__(self, rng=None, slots=(), heads=(2, 4)):
        self.states = np.full((SLOTS, heads[1], VALUE, KEY), np.nan, np.float32)
        self.angles = np.full((SLOTS, heads[0], KEY // 2), np.nan, np.float32)
        for slot in slots:
            self.states[slot] = rng.standard_normal(self.states.shape[1:])
            self.angles[slot] = rng.uniform(-np.pi, np.pi, self.angles.shape[1:])

    def copy(self):
        other = Pools()
        other.states, other.angles = self.states.copy(), self.angles.copy()
        return other

    def given(self):
        return {"state": self.states, "phi": self.angles}

    def same(self, other):
        return same(self.states, other.states) and same(self.angles, other.angles)


def index(*numbers):
    return np.array(numbers, np.int32)


@pytest.fixture(scope="module")
def programs():
    compiled = {entry: wyvern.compile(text(), target="cpu", serving=True, entry=entry) for entry in ("step", "prefill", "prefill-keep")}
    return compiled | {"whole": wyvern.compile(text(), target="cpu")}


def test_what_programs_take(programs):
    for program in (programs["step"], programs["prefill"]):
        pool = program.inputs["phi"]
        assert pool.in_place and list(pool.shape) == [-1, 2, KEY // 2] and pool.dims[0] == ("slot", 1) and pool.dtype == "f32"
        assert not {"initial_phi", "initial_state"} & set(program.inputs)
    with pytest.raises(TypeError, match="'phi' is missing"):
        programs["step"].step(state=Pools().states, read_slots=index(0), **draw(np.random.default_rng(0), 1, 1))
    with pytest.raises(ValueError, match="phi: expected shape \\[12, 2, 16\\], found \\[3, 2, 16\\]"):
        programs["step"].step(state=Pools().states, phi=Pools().angles[:3], read_slots=index(0), **draw(np.random.default_rng(0), 1, 1))


def test_two_hundred_drafts_with_random_accepted_lengths(programs):
    """States and angles move to other slots in every round; verify and commit have the bits of a step, a draft those of
    its tokens one by one, and float64 is as near after the last round as after the first."""
    step, rng = programs["step"], np.random.default_rng(3)
    places = index(7, 2, 9)
    pools = Pools(rng, places)
    states, angles = np.float64(pools.states[places]).swapaxes(-1, -2), np.float64(pools.angles[places])
    worst = np.zeros(3)
    for _ in range(200):
        inputs, lengths = draw(rng, 3, 4), rng.integers(0, 5, 3).astype(np.int32)
        free = np.setdiff1d(np.arange(SLOTS), places)
        target = rng.permutation(free)[:3].astype(np.int32)
        before, stepped = pools.copy(), pools.copy()
        drafted = step.verify(read_slots=places, **pools.given(), **inputs)
        assert pools.same(before)
        step.commit(read_slots=places, write_slots=target, lengths=lengths, **pools.given(), **inputs)
        o = step.step(read_slots=places, write_slots=target, lengths=lengths, **stepped.given(), **inputs)
        assert pools.same(stepped)
        for t in range(4):
            one = step.step(read_slots=places, **before.given(), **cut(inputs, t, t + 1))
            assert same(one[:, 0], drafted[:, t])
        for n, length in enumerate(lengths):
            assert same(o[n, :length], drafted[n, :length]) and not o[n, length:].any()
            wanted, states[n : n + 1], angles[n : n + 1] = in_float64(cut(inputs, 0, length, slice(n, n + 1)), states[n : n + 1], angles[n : n + 1])
            worst[0] = max(worst[0], step_cases.error(o[n, :length], wanted[0]))
        pools.states[places] = pools.angles[places] = np.nan
        places = target
        worst[1] = max(worst[1], step_cases.error(pools.states[places].swapaxes(-1, -2), states))
        worst[2] = max(worst[2], off(pools.angles[places], angles))
        others = np.setdiff1d(np.arange(SLOTS), places)
        assert np.isnan(pools.states[others]).all() and np.isnan(pools.angles[others]).all()
    assert worst[0] < 3e-6 and worst[1] < 5e-6 and worst[2] < 2e-5


def test_angles_do_not_lose_digits(programs):
    """What a turn is off in f32 would add up, always the same way: after ten thousand turns it would be 1.7e-3."""
    rng = np.random.default_rng(0)
    inputs = draw(rng, 1, 4)
    pools, total = Pools(), 0.0
    pools.states[0] = pools.angles[0] = 0
    for _ in range(6000):
        inputs["theta"] = rng.uniform(0, 5, inputs["theta"].shape).astype(np.float32)
        total = total + np.float64(inputs["theta"]).sum((0, 1))
        programs["step"].step(read_slots=index(0), **pools.given(), **inputs)
    assert off(pools.angles[0], total) < 2e-4


def test_padding_and_forks(programs):
    """A sequence without a slot is padding; one slot is read by two sequences, of which one writes nowhere."""
    rng = np.random.default_rng(1)
    inputs, pools = draw(rng, 3, 2), Pools(rng, [4, 5])
    before = pools.copy()
    o = programs["step"].step(read_slots=index(-1, 4, 4), write_slots=index(5, 6, -1), **pools.given(), **inputs)
    assert not o[0].any() and same(pools.angles[[4, 5]], before.angles[[4, 5]])
    wanted = in_float64(cut(inputs, 0, 2, slice(1, 2)), np.float64(before.states[4:5]).swapaxes(-1, -2), np.float64(before.angles[4:5]))
    assert off(pools.angles[6], wanted[2][0]) < 1e-6 and step_cases.error(o[1], wanted[0][0]) < 1e-6


def test_a_prompt_has_the_bits_of_the_layer_and_goes_on_in_steps(programs):
    rng = np.random.default_rng(2)
    inputs, pools = draw(rng, 3, 150), Pools(rng, [4, 5])
    first = {"initial_state": np.zeros((3, 4, KEY, VALUE), np.float32), "initial_phi": np.zeros((3, 2, KEY // 2), np.float32)}
    first["initial_state"][1], first["initial_phi"][1] = pools.states[4].swapaxes(-1, -2), pools.angles[4]
    o = programs["prefill"].prefill(read_slots=index(-1, 4, -1), write_slots=index(8, 4, -1), **pools.given(), **inputs)
    whole = programs["whole"](**first, **inputs)
    assert same(o, whole["o"]) and same(pools.angles[[8, 4]], whole["final_phi"][:2])
    assert same(np.ascontiguousarray(pools.states[[8, 4]].swapaxes(-1, -2)), whole["final_state"][:2])
    others = np.setdiff1d(np.arange(SLOTS), [4, 5, 8])
    assert np.isnan(pools.angles[others]).all()

    # The same prompt, its last tokens by steps.
    short = Pools()
    programs["prefill"].prefill(read_slots=index(-1), write_slots=index(0), **short.given(), **cut(inputs, 0, 140, slice(1)))
    for t in range(140, 150):
        last = programs["step"].step(read_slots=index(0), **short.given(), **cut(inputs, t, t + 1, slice(1)))
    assert step_cases.error(short.states[0], pools.states[8]) < 1e-6 and off(short.angles[0], np.float64(pools.angles[8])) < 1e-6
    assert step_cases.error(last[0], o[:1, 149]) < 1e-5


@pytest.mark.parametrize("is_packed", [False, True])
def test_a_prompt_in_pieces_and_what_is_kept_on_the_way(programs, is_packed):
    """Cut at multiples of 64 it has the bits of the whole, and what is kept those of a prompt that ends there."""
    rng = np.random.default_rng(4)
    inputs = draw(rng, 1 if is_packed else 2, 400 if is_packed else 200)
    offsets = [0, 130, 130, 400] if is_packed else [0, 200, 400]
    cu = {"cu_seqlens": index(*offsets)} if is_packed else {}
    rows = lambda n: cut(inputs, offsets[n], offsets[n + 1]) if is_packed else cut(inputs, 0, 200, slice(n, n + 1))
    count = len(offsets) - 1
    none, target = index(*[-1] * count), index(*range(count))
    pools, kept = Pools(), Pools()
    o = programs["prefill"].prefill(read_slots=none, write_slots=target, **pools.given(), **inputs, **cu)
    slots = np.full(400 // 64 + 3 if is_packed else 8, -1, np.int32)
    slots[[0, 1, offsets[2] // 64 + 2 + 1 if is_packed else 5]] = 6, 7, 8
    again = programs["prefill-keep"].prefill(read_slots=none, write_slots=target, keep_slots=slots, **kept.given(), **inputs, **cu)
    assert same(o, again) and same(kept.angles[:count], pools.angles[:count])
    for slot, sequence, end in ((6, 0, 64), (7, 0, 128), (8, 2 if is_packed else 1, 128)):
        alone, own = Pools(), rows(sequence)
        programs["prefill"].prefill(read_slots=index(-1), write_slots=index(0), **alone.given(), **cut(own, 0, end))
        assert same(kept.angles[slot], alone.angles[0]) and same(kept.states[slot], alone.states[0])
        programs["prefill"].prefill(read_slots=index(0), **alone.given(), **cut(own, end, None))
        assert same(alone.angles[0], pools.angles[sequence]) and same(alone.states[0], pools.states[sequence])
    assert np.isnan(kept.angles[9:]).all()


@pytest.mark.parametrize("pool", [wyvern.Pool("kv", slots="i64", first_slot=1), wyvern.Pool("vk", "bf16")])
def test_other_pools(pool):
    """Angles are float32 whatever states are."""
    rng = np.random.default_rng(5)
    step = wyvern.compile(text((2, 2)), target="cpu", serving=pool)
    inputs = draw(rng, 1, 3, (2, 2))
    states = np.zeros((4, 2, KEY, VALUE) if pool.layout == "kv" else (4, 2, VALUE, KEY), np.float32)
    angles = np.zeros((4, 2, KEY // 2), np.float32)
    given = wyvern.to_bf16(states) if pool.dtype == "bf16" else states
    o = step.step(state=given, phi=angles, read_slots=np.array([2], f"int{pool.slots[1:]}"), **inputs)
    wanted, last, ends = in_float64(inputs, np.zeros((1, 2, KEY, VALUE)), np.zeros((1, 2, KEY // 2)))
    found = wyvern.from_bf16(given) if pool.dtype == "bf16" else given
    found = found[2] if pool.layout == "kv" else found[2].swapaxes(-1, -2)
    assert step_cases.error(o, wanted) < 1e-6 and off(angles[2], ends[0]) < 1e-6
    assert step_cases.error(found, last[0]) < (4e-3 if pool.dtype == "bf16" else 1e-6)


def test_a_sum_needs_resume():
    with pytest.raises(wyvern.CompileError, match="say resume: true in the spec"):
        wyvern.compile(text().replace("resume: true\n", ""), target="cpu", serving=True)


@pytest.mark.parametrize("every, position", [(64, 64), (50, 30)])
def test_a_decoder_of_torch(programs, every, position):
    """Steps, and prompts that keep states on the way, at multiples of a chunk and at others."""
    torch = pytest.importorskip("torch")
    from wyvern.torch import Decoder

    decoder, rng = Decoder(text()), np.random.default_rng(6)
    assert "phi" in decoder.operands
    put = lambda arrays: {name: torch.from_numpy(x) for name, x in arrays.items()}
    inputs, pools, wanted = draw(rng, 2, 130), Pools(rng, [4]), Pools()
    before = pools.copy()
    count = (position + 130) // every - position // every
    keep = torch.arange(5, 5 + 2 * count, dtype=torch.int32).view(2, count)
    read, write = index(4, -1), index(2, 3)
    o = decoder.prefill(
        **put(inputs), **put(pools.given()), read_slots=torch.from_numpy(read), write_slots=torch.from_numpy(write), keep_every=every, keep_slots=keep, position=position
    )
    wanted.states[4], wanted.angles[4] = before.states[4], before.angles[4]
    whole = programs["prefill"].prefill(read_slots=read, write_slots=write, **wanted.given(), **inputs)
    assert step_cases.error(o.numpy(), whole) < 1e-5
    assert step_cases.error(pools.states[[2, 3]], wanted.states[[2, 3]]) < 1e-6 and off(pools.angles[[2, 3]], np.float64(wanted.angles[[2, 3]])) < 1e-5
    for i in range(count):
        end = ((position // every) + 1 + i) * every - position
        ends = in_float64(cut(inputs, 0, end, slice(1, 2)), np.zeros((1, 4, KEY, VALUE)), np.zeros((1, 2, KEY // 2)))
        slot = int(keep[1, i])
        assert off(pools.angles[slot], ends[2][0]) < 1e-5 and step_cases.error(pools.states[slot].swapaxes(-1, -2), ends[1][0]) < 1e-5
    draft, stepped = draw(rng, 1, 2), wanted.copy()
    one = decoder.step(**put(draft), **put(wanted.given()), read_slots=torch.tensor([2], dtype=torch.int32))
    assert same(one.numpy(), programs["step"].step(read_slots=index(2), **stepped.given(), **draft)) and wanted.same(stepped)
