# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The short convolution in a step: against float64, its windows as a pool, drafts, and what is refused."""

import pathlib

import numpy as np
import pytest
import step_cases
import wyvern

ROOT = pathlib.Path(__file__).resolve().parents[2]
PARTS = ["conv", "norm", "gates"]
ROWS, SLOTS, WIDTH = ("q", "k", "v"), 7, 4
# Sequence 1 is padding, number 2 forks slot 4 to 6.
READ, WRITE, LIVE = np.array([3, -1, 4, 0], np.int32), np.array([3, -1, 6, 0], np.int32), [0, 2, 3]


def compiled(name="gated_deltanet", prologue=PARTS, serving=True, **more):
    text = step_cases.small((ROOT / "specs" / f"{name}.yaml").read_text(), **{"dtype": "f32", **more})
    return text, wyvern.compile(text, target="cpu", serving=serving, prologue=prologue)


class Call:
    """Raw operands, pools with NaN in the slots that nobody has, and the same in float64."""

    def __init__(self, program, tokens=3, seed=0):
        rng = np.random.default_rng(seed)
        self.tokens = tokens
        self.names = [n for n, info in program.inputs.items() if "time" in dict(info.dims)]
        self.inputs, self.pools = {}, {}
        for name, info in program.inputs.items():
            kinds = dict(info.dims)
            if info.in_place:
                pool = rng.standard_normal([SLOTS, *info.shape[1:]])
                pool[[s for s in range(SLOTS) if s not in READ]] = np.nan
                self.pools[name] = self.rounded(pool, info.dtype)
            elif info.dtype not in ("i32", "i64"):
                sizes = {"seq": len(READ), "time": tokens}
                shape = [sizes.get(kind, size) for (kind, _), size in zip(info.dims, info.shape)]
                self.inputs[name] = self.rounded(rng.standard_normal(shape), info.dtype)
            assert kinds

    @staticmethod
    def rounded(x, dtype):
        return wyvern.to_bf16(x.astype(np.float32)) if dtype == "bf16" else x.astype(np.float32)

    def arguments(self, first=0, last=None, pools=None):
        rows = {n: x[:, first:last] if n in self.names else x for n, x in self.inputs.items()}
        return {**rows, **(self.copies() if pools is None else pools)}

    def copies(self):
        return {n: x.copy() for n, x in self.pools.items()}


def exact(x):
    return np.float64(wyvern.from_bf16(x) if x.dtype == np.uint16 else x)


def convolved(call, name):
    """x of every live sequence behind its convolution, and the window that follows."""
    x, window, filters = (exact(a) for a in (call.inputs[name], call.pools[f"{name}_window"][READ], call.inputs[f"{name}_filter"]))
    rows = np.concatenate([window, x], 1)
    z = sum(filters[..., j] * rows[:, j : j + call.tokens] for j in range(WIDTH))
    return z / (1 + np.exp(-z)), rows[:, -(WIDTH - 1) :]


@pytest.mark.parametrize("name", ["gated_deltanet", "kda", "delta_net-1.3B", "gla"])
def test_against_float64(name):
    text, program = compiled(name, ["conv", "norm", "gates"] if name != "gla" else ["conv"])
    call = Call(program)
    if name == "gla":
        call.inputs["g"] = -np.abs(call.inputs["g"])
    pools = call.copies()
    o = program.step(read_slots=READ, write_slots=WRITE, **call.arguments(pools=pools))
    made = {n: exact(x) for n, x in call.inputs.items() if not n.endswith("_filter")}
    for row in ROWS:
        made[row], after = convolved(call, row)
        found = exact(pools[f"{row}_window"])
        # The rows of tokens, bit for bit, and nothing else.
        assert (found[WRITE[LIVE]] == after[LIVE]).all()
        others = [s for s in range(SLOTS) if s not in WRITE[LIVE]]
        assert np.array_equal(found[others], exact(call.pools[f"{row}_window"])[others], equal_nan=True)
    if name != "gla":
        made = step_cases.make_operands(made)
    state = np.nan_to_num(exact(call.pools["state"])[READ]).swapaxes(-1, -2)
    wanted = wyvern.reference(text, initial_state=state[LIVE], **{n: x[LIVE] for n, x in made.items()})
    assert step_cases.error(o[LIVE], wanted["o"]) < 2e-6 and not o[1].any()
    assert step_cases.error(pools["state"][WRITE[LIVE]].swapaxes(-1, -2), wanted["final_state"]) < 2e-6


@pytest.mark.parametrize("dtype, precision", [("bf16", "f32"), ("bf16", "rounded"), ("f32", "f32")])
def test_drafts_have_the_bits_of_steps(dtype, precision):
    """verify leaves the pools; commit, of any number of tokens, and steps of one token each give one result."""
    text, _ = compiled(dtype=dtype)
    program = wyvern.compile(text, target="cpu", serving=True, prologue=PARTS, precision=precision)
    call = Call(program, tokens=6)
    pools = call.copies()
    o = program.verify(read_slots=READ, **call.arguments(pools=pools))
    for name, pool in pools.items():
        assert np.array_equal(pool, call.pools[name], equal_nan=True)
    accepted = np.array([6, 3, 2, 0], np.int32)
    program.commit(read_slots=READ, write_slots=WRITE, lengths=accepted, **call.arguments(pools=pools))
    steps, read = call.copies(), READ
    for t in range(call.tokens):
        goes_on = (t < accepted) & (READ >= 0)
        out = program.step(
            read_slots=np.where(goes_on, read, -1),
            write_slots=np.where(goes_on, WRITE, -1),
            **call.arguments(t, t + 1, steps),
        )
        assert (out[goes_on, 0] == o[goes_on, t]).all()
        read = np.where(goes_on, WRITE, read)
    written = WRITE[[0, 2]]
    for name, pool in pools.items():
        assert np.array_equal(pool[written], steps[name][written])
    # Nothing was accepted of number 3: its window stays.
    assert np.array_equal(pools["q_window"][0], call.pools["q_window"][0])


def test_one_draw_of_strided_pools():
    """Windows as views of one pool of all channels, oldest row last in memory or first."""
    _, program = compiled()
    call = Call(program)
    wanted = call.copies()
    o = program.step(read_slots=READ, **call.arguments(pools=wanted))
    sizes = {row: call.pools[f"{row}_window"].shape[2:] for row in ROWS}
    channels = sum(h * d for h, d in sizes.values())
    for shape, order in (((SLOTS, channels, WIDTH - 1), (0, 2, 1)), ((SLOTS, WIDTH - 1, channels), (0, 1, 2))):
        joined = np.zeros(shape, np.float32).transpose(order)
        views, first = {"state": call.pools["state"].copy()}, 0
        for row, (h, d) in sizes.items():
            part = joined[:, :, first : first + h * d]
            views[f"{row}_window"] = np.lib.stride_tricks.as_strided(
                part, (SLOTS, WIDTH - 1, h, d), (*part.strides[:2], d * part.strides[2], part.strides[2])
            )
            views[f"{row}_window"][...] = call.pools[f"{row}_window"]
            first += h * d
        found = program.step(read_slots=READ, **call.arguments(pools=views))
        assert (found == o).all()
        for name, pool in wanted.items():
            assert np.array_equal(views[name], pool, equal_nan=True)


def test_what_is_refused():
    text, program = compiled()
    with pytest.raises(wyvern.CompileError, match="a step that repeats 2 times"):
        compiled("deltaproduct")
    with pytest.raises(wyvern.CompileError, match="which only a step of decoding computes"):
        wyvern.compile(text, target="cpu", prologue=["conv"])
    call = Call(program)
    pools = call.copies()
    pools["k_window"] = pools["k_window"][:-1]
    with pytest.raises(ValueError, match="k_window: expected shape"):
        program.step(read_slots=READ, **call.arguments(pools=pools))
    with pytest.raises(TypeError, match="'v_window' is missing"):
        program.step(read_slots=READ, **{n: x for n, x in call.arguments().items() if n != "v_window"})


# === From torch ===


def tensors(call):
    torch = pytest.importorskip("torch")
    return {n: torch.from_numpy(x.copy()) for n, x in (*call.inputs.items(), *call.pools.items())}


def decoder_of(call_tokens, seed=0):
    pytest.importorskip("torch")
    from wyvern.torch import Decoder

    text, program = compiled()
    return Decoder(text, prologue=PARTS), program, Call(program, call_tokens, seed)


def test_a_decoder_has_the_bits_of_the_program():
    torch = pytest.importorskip("torch")
    decoder, program, call = decoder_of(3)
    pools = call.copies()
    wanted = program.step(read_slots=READ, write_slots=WRITE, **call.arguments(pools=pools))
    given = tensors(call)
    o = decoder.step(**given, read_slots=torch.from_numpy(READ), write_slots=torch.from_numpy(WRITE))
    assert (o.numpy() == wanted).all()
    for name, pool in pools.items():
        assert np.array_equal(given[name].numpy(), pool, equal_nan=True)
    draft = decoder.verify(**given, read_slots=torch.from_numpy(WRITE))
    for name, pool in pools.items():
        assert np.array_equal(given[name].numpy(), pool, equal_nan=True)
    assert not torch.equal(draft, o)
    # Each pool is an argument that the op says it writes.
    schema = str(decoder.op._schema)
    assert all(f"!) {name}" in schema for name in call.pools)


def without_padding(call):
    """Slots 1, 3, 5, 0 for four sequences, of which the second starts anew."""
    torch = pytest.importorskip("torch")
    given = tensors(call)
    for name in call.pools:
        given[name][[1, 3, 5, 0]] = torch.randn(4, *given[name].shape[1:], generator=torch.Generator().manual_seed(1))
        given[name][3] = 0
    return given, torch.tensor([1, 3, 5, 0], dtype=torch.int32), torch.tensor([1, -1, 5, 0], dtype=torch.int32)


def close(x, y, bar=1e-5):
    return step_cases.error(x.numpy(), y.numpy()) < bar


def test_a_prompt_is_many_steps():
    """Of less tokens than a window has too; a sequence that begins has zeros in front."""
    torch = pytest.importorskip("torch")
    for tokens in (1, 2, 9):
        decoder, _, call = decoder_of(tokens)
        given, slots, read = without_padding(call)
        stepped = {n: x.clone() for n, x in given.items()}
        o = decoder.prefill(**given, read_slots=read, write_slots=slots)
        assert close(o, decoder.step(**stepped, read_slots=slots))
        for name in call.pools:
            found, wanted = given[name][slots.long()], stepped[name][slots.long()]
            assert close(found, wanted) if name == "state" else torch.equal(found, wanted)
            assert given[name][[2, 6]].isnan().all()


def test_prompts_that_are_packed_or_kept_on_the_way():
    torch = pytest.importorskip("torch")
    decoder, _, call = decoder_of(80)
    given, slots, _ = without_padding(call)
    rows = {n: x[:1] for n, x in given.items() if n in call.names}
    rest = {n: x for n, x in given.items() if n not in call.names}
    bounds = [0, 2, 2, 66, 80]
    packed, alone = ({n: x.clone() for n, x in rest.items()} for _ in range(2))
    o = decoder.prefill(**rows, **packed, read_slots=slots, cu_seqlens=torch.tensor(bounds))
    for n, (a, b) in enumerate(zip(bounds, bounds[1:])):
        piece = {x: y[:, a:b] for x, y in rows.items()}
        if a < b:
            assert close(decoder.prefill(**piece, **alone, read_slots=slots[n : n + 1]), o[:, a:b])
    for name in call.pools:
        found, wanted = packed[name][slots.long()], alone[name][slots.long()]
        assert close(found, wanted) if name == "state" else torch.equal(found, wanted)
    # The window behind every 32nd token, where the first one of the call is token 31.
    kept, cut = ({n: x.clone() for n, x in rest.items()} for _ in range(2))
    decoder.prefill(**rows, **kept, read_slots=slots[:1], keep_every=32, keep_slots=torch.tensor([[2, 4, 6]]).int(), position=31)
    for end, slot in ((1, 2), (33, 4), (65, 6)):
        fresh = {n: x.clone() for n, x in cut.items()}
        decoder.prefill(**{x: y[:, :end] for x, y in rows.items()}, **fresh, read_slots=slots[:1])
        for name in call.pools:
            assert close(kept[name][slot], fresh[name][1])
            assert name == "state" or torch.equal(kept[name][slot], fresh[name][1])
