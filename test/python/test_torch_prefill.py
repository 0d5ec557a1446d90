# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""wyvern.torch.Decoder.prefill and verify_tree on CPU tensors: prompts and trees on the pool of steps."""

import pathlib

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("wyvern._compiler", reason="the compiler module is not built")

import step_cases
import wyvern
from wyvern.torch import Decoder
from wyvern.torch._trees import paths_of

ROOT = pathlib.Path(__file__).resolve().parents[2]
SLOTS = 7


def make(name, pool, tokens, batch=3, prologue=(), dtype="f32"):
    """A decoder, its operands, and a pool with NaNs where nobody's states are."""
    text = step_cases.small((ROOT / "specs" / f"{name}.yaml").read_text(), dtype=dtype)
    decoder = Decoder(text, pool, prologue=prologue)
    inputs = wyvern.compile(text, target="cpu", serving=pool, prologue=prologue).inputs
    rng = np.random.default_rng(0)
    drawn = step_cases.raw_operands(rng, inputs, batch, tokens)[0] if prologue else step_cases.draw(rng, inputs, batch, tokens)
    kinds = {"bf16": torch.bfloat16, "f32": torch.float32}
    operands = {x: torch.from_numpy(drawn[x]).to(kinds[inputs[x].dtype]) for x in decoder.operands}
    states = torch.from_numpy(rng.standard_normal([SLOTS, *inputs["state"].shape[1:]])).to(kinds[pool.dtype])
    states[[0, 6]] = float("nan")
    return decoder, operands, states


def cut(operands, first, last, tokens):
    """Some tokens of operands; what has none stays."""
    return {
        n: x[:, first * (x.shape[1] // tokens) : last * (x.shape[1] // tokens)] if x.dim() > 2 else x
        for n, x in operands.items()
    }


def error(x, wanted):
    return step_cases.error(x.float().numpy(), wanted.float().numpy())


@pytest.mark.parametrize("pool", [wyvern.Pool(first_slot=1), wyvern.Pool("kv", "bf16", "i64")])
@pytest.mark.parametrize("name", ["gated_deltanet", "deltaproduct"])
def test_a_prompt_is_many_steps(name, pool):
    """From a state and from none, and to no slot: as steps, which begin with zeros in a slot."""
    decoder, operands, states = make(name, pool, 10)
    none = pool.first_slot - 1
    index = torch.int64 if pool.slots == "i64" else torch.int32
    read, write = torch.tensor([3, none, 5], dtype=index), torch.tensor([3, 2, none], dtype=index)
    found, stepped = states.clone(), states.clone()
    stepped[4] = 0
    o = decoder.prefill(**operands, state=found, read_slots=read, write_slots=write)
    wanted = decoder.step(
        **operands, state=stepped, read_slots=torch.tensor([3, 4, 5], dtype=index), write_slots=torch.tensor([3, 2, none], dtype=index)
    )
    assert error(o, wanted) < 1e-5 and error(found[[2, 3]], stepped[[2, 3]]) < (1e-5 if pool.dtype == "f32" else 4e-3)
    others = [0, 1, 4, 5, 6]
    assert torch.equal(found[others].nan_to_num(7.0), states[others].nan_to_num(7.0))
    nowhere = states.clone()
    decoder.prefill(**operands, state=nowhere, read_slots=read, write_slots=torch.full_like(read, none))
    assert torch.equal(nowhere.nan_to_num(7.0), states.nan_to_num(7.0))


@pytest.mark.parametrize("name", ["gated_deltanet", "delta_net-1.3B", "kda", "deltaproduct", "rwkv7"])
def test_cuts_at_multiples_of_64_do_not_change_a_bit(name):
    """A prompt in pieces, as engines run it; each piece's state may stay in a slot of its own, as a prefix that
    others go on from."""
    tokens = 200
    decoder, operands, states = make(name, wyvern.Pool(), tokens, batch=2, dtype="bf16")
    if "p" in operands:  # RWKV-7, with a transition that does not grow
        operands["p"] = -0.5 * operands["r"]
    first = torch.tensor([-1, 3], dtype=torch.int32)
    whole = states.clone()
    o = decoder.prefill(**operands, state=whole, read_slots=first, write_slots=torch.tensor([1, 2], dtype=torch.int32))
    for cuts in ((64, 200), (128, 192, 200), (64, 128, 192, 200)):
        pieces, pool, read, begin = [], states.clone(), first, 0
        for end in cuts:
            write = torch.tensor([1, 2] if (end // 64) % 2 else [4, 5], dtype=torch.int32)
            pieces.append(
                decoder.prefill(**cut(operands, begin, end, tokens), state=pool, read_slots=read, write_slots=write)
            )
            read, begin = write, end
        assert torch.equal(torch.cat(pieces, 1), o)
        assert torch.equal(pool[read.long()], whole[[1, 2]])


@pytest.mark.parametrize("position, count", [(0, 3), (64, 2), (120, 2)])
def test_states_at_multiples(position, count):
    """At absolute ones; a slot that is none keeps nothing. From a position of no multiple the bits are not those of
    the whole, but a state is what the tokens before it make."""
    tokens, every = 210, 64 if position == 0 else 128
    decoder, operands, states = make("gated_deltanet", wyvern.Pool(first_slot=1), tokens, batch=2)
    slots, kept = torch.tensor([3, 5], dtype=torch.int32), torch.tensor([[1, 0], [2, 4], [0, 6]], dtype=torch.int32)[:count].T
    pool, alone = states.clone(), states.clone()
    o = decoder.prefill(**operands, state=pool, read_slots=slots, keep_every=every, keep_slots=kept, position=position)
    wanted = decoder.prefill(**operands, state=alone, read_slots=slots)
    exact = position % 64 == 0
    assert torch.equal(o, wanted) if exact else error(o, wanted) < 1e-5
    close = torch.equal if exact else lambda x, y: error(x, y) < 1e-5
    assert close(pool[[3, 5]], alone[[3, 5]])
    multiples = [n for n in range(position + 1, position + tokens + 1) if n % every == 0]
    assert len(multiples) == count
    for i, place in enumerate(multiples):
        before = states.clone()
        decoder.prefill(**cut(operands, 0, place - position, tokens), state=before, read_slots=slots)
        for n in range(2):
            if kept[n, i] > 0:
                assert close(pool[kept[n, i]], before[slots[n]])
    assert pool[0].isnan().all()
    with pytest.raises(ValueError, match=r"keep_slots has shape \[2, 1\], expected \[2, .\]: a slot for each multiple"):
        decoder.prefill(**operands, state=pool, read_slots=slots, keep_every=every, keep_slots=kept[:, :1], position=position)
    with pytest.raises(ValueError, match="keep_every: expected keep_slots"):
        decoder.prefill(**operands, state=pool, read_slots=slots, keep_every=every)


@pytest.mark.parametrize("is_packed", [True, False])
def test_states_at_positions_that_the_device_knows(is_packed):
    """One position a sequence, packed or not; multiples that a sequence does not reach have no state."""
    tokens = 300 if is_packed else 200
    bounds = [(0, 200), (200, 300)] if is_packed else [(0, 200)] * 2
    decoder, operands, states = make("gated_deltanet", wyvern.Pool(first_slot=1), tokens, batch=1 if is_packed else 2)
    slots, kept = torch.tensor([3, 5], dtype=torch.int32), torch.tensor([[1, 2], [4, 6]], dtype=torch.int32)
    position = torch.tensor([64, 192])  # 128 and 256; 256, and 384 if there are 192 tokens
    pool, given = states.clone(), {"cu_seqlens": torch.tensor([0, 200, 300])} if is_packed else {}
    o = decoder.prefill(
        **operands, state=pool, read_slots=slots, keep_every=128, keep_slots=kept, position=position, **given
    )
    for n, (begin, end) in enumerate(bounds):
        row = {x: y[:1] if is_packed else y[n : n + 1] for x, y in operands.items()}
        for slot, place in ((kept[n, 0], 64), (kept[n, 1], 192), (slots[n], end - begin)):
            alone = states.clone()
            cut_o = decoder.prefill(**cut(row, begin, min(begin + place, end), tokens), state=alone, read_slots=slots[n : n + 1])
            if place <= end - begin:
                assert torch.equal(pool[slot], alone[slots[n]])
                assert torch.equal(cut_o[0], o[0 if is_packed else n, begin : begin + place])
            else:
                assert torch.equal(pool[slot].nan_to_num(7.0), states[slot].nan_to_num(7.0))
    with pytest.raises(ValueError, match="expected multiples of 64, the tokens of a chunk, for packed sequences and for positions on the device"):
        decoder.prefill(**operands, state=pool, read_slots=slots, keep_every=96, keep_slots=kept, position=position, **given)
    with pytest.raises(ValueError, match=r"keep_slots has shape \[4\], expected \[2, multiples\]"):
        decoder.prefill(**operands, state=pool, read_slots=slots, keep_every=64, keep_slots=kept.flatten(), **given)


def test_programs_that_are_given(tmp_path):
    """Only those of prompts on such a pool, of these operands."""
    text = step_cases.small((ROOT / "specs/gated_deltanet.yaml").read_text())
    decoder = Decoder(text)
    step = wyvern.compile(text, serving=True, output=tmp_path / "step")
    with pytest.raises(TypeError, match="prompts: expected programs that wyvernc --serving=prefill has made"):
        Decoder(text, prompts=[step])
    raw = wyvern.compile(text, serving=True, entry="prefill", prologue=["norm", "gates"], output=tmp_path / "raw")
    with pytest.raises(TypeError, match="prompts: gated_deltanet_prefill has no operand beta, g"):
        Decoder(text, prompts=[raw])
    plain = wyvern.compile(text, serving=True, entry="prefill", output=tmp_path / "plain")
    assert Decoder(text, prompts=[plain]).op is decoder.op


def test_torch_knows_what_a_prompt_does():
    decoder, operands, states = make("gated_deltanet", wyvern.Pool(), 70)
    slots = torch.tensor([3, 1, 5], dtype=torch.int32)
    prompts = decoder._programs.prompts()
    tensors = [operands[x] for x in prompts.operands]
    states = states.nan_to_num(1.0)
    torch.library.opcheck(prompts.op, (*tensors, states, slots, slots, None, None))
    keep = torch.tensor([2, -1, 4, -1, 0, -1], dtype=torch.int32)
    torch.library.opcheck(prompts.op, (*tensors, states, slots, None, keep, None))


def test_packed_prompts():
    decoder, operands, states = make("gated_deltanet", wyvern.Pool(), 90, batch=1)
    found, alone = states.clone(), states.clone()
    slots = torch.tensor([3, 1], dtype=torch.int32)
    o = decoder.prefill(**operands, state=found, read_slots=slots, cu_seqlens=torch.tensor([0, 70, 90]))
    for n, (a, b) in enumerate(((0, 70), (70, 90))):
        piece = decoder.prefill(**cut(operands, a, b, 90), state=alone, read_slots=slots[n : n + 1])
        assert torch.equal(piece, o[:, a:b])
    assert torch.equal(found[1:6], alone[1:6])


@pytest.mark.parametrize("name", ["gated_deltanet", "kda", "gated_deltaproduct"])
def test_a_prologue_in_front_of_a_prompt(name):
    decoder, operands, states = make(name, wyvern.Pool(), 9, prologue=("norm", "gates"))
    found, stepped, slots = states.clone(), states.clone(), torch.tensor([3, 1, 5], dtype=torch.int32)
    o = decoder.prefill(**operands, state=found, read_slots=slots)
    assert error(o, decoder.step(**operands, state=stepped, read_slots=slots)) < 1e-5
    assert error(found[1:6], stepped[1:6]) < 1e-5


PROLOGUES = {
    "gates": (("norm", "gates"), {}),
    "decay": (("decay",), {}),
    "rates": (("rates",), {}),
    "scale": (("norm", "scale"), {}),
    "bound": (("gates",), {"lower_bound": -5.0}),
    "bound a channel": (("gates",), {"lower_bound": -5.0, "decay": "channel"}),
}


@pytest.mark.parametrize("pool", [wyvern.Pool(), wyvern.Pool("kv", "bf16", first_slot=1)])
@pytest.mark.parametrize("name", PROLOGUES)
def test_a_prologue_in_front_of_pieces(name, pool):
    """States that are kept behind other numbers of tokens than a chunk's: what is in front of the layer is that of
    the whole prompt, and a state is rounded once."""
    prologue, more = PROLOGUES[name]
    spec = {"name": "layer", "heads": {"key": 1, "value": 2}, "dims": {"key": 16, "value": 8}, "dtype": "f32", "decay": "head"}
    spec |= {"steps": [{"write": "k", "value": "v", "rate": "beta"}]} | more
    decoder, tokens = Decoder(spec, pool, prologue=prologue), 25
    inputs = wyvern.compile(spec, target="cpu", serving=pool, prologue=prologue).inputs
    rng = np.random.default_rng(0)
    operands = {x: torch.from_numpy(step_cases.raw_operands(rng, inputs, 2, tokens)[0][x]) for x in decoder.operands}
    if "g" in operands:
        operands["g"] = -operands["g"].abs()
    if "norm" not in prologue:
        operands |= {x: torch.nn.functional.normalize(operands[x], dim=-1) for x in "qk"}
    states = torch.from_numpy(rng.standard_normal([SLOTS, *inputs["state"].shape[1:]])).to(
        torch.bfloat16 if pool.dtype == "bf16" else torch.float32
    )
    slots, kept = torch.tensor([3, 5], dtype=torch.int32), torch.tensor([[1, 2], [pool.first_slot - 1, 4]], dtype=torch.int32)
    found, wanted = states.clone(), states.clone()
    o = decoder.prefill(**operands, state=found, read_slots=slots, keep_every=10, keep_slots=kept)
    assert error(o, decoder.prefill(**operands, state=wanted, read_slots=slots)) < 1e-5
    bound = 1e-5 if pool.dtype == "f32" else 2e-3
    assert error(found[slots.long()], wanted[slots.long()]) < bound
    timed = [x for x in operands if "time" in dict(inputs[x].dims)]
    for i, (end, n) in enumerate([(10, 0), (20, 0), (20, 1)]):
        before = states.clone()
        decoder.prefill(**operands | {x: operands[x][:, :end] for x in timed}, state=before, read_slots=slots)
        assert error(found[[1, 2, 4][i]], before[slots[n]]) < bound
    untouched = [x for x in range(SLOTS) if x not in (1, 2, 3, 4, 5)]
    assert torch.equal(found[untouched], states[untouched])


# === Trees ===

# Row 0: 0 is the root of 1 and 2, 3 follows on 1, 4 on 3. Row 1: two roots. Row 2: a line.
PARENTS = [[-1, 0, 0, 1, 3], [-1, -1, 0, 1, 1], [-1, 0, 1, 2, 3]]


def test_paths():
    paths, lengths = paths_of(torch.tensor(PARENTS, dtype=torch.int32))
    assert lengths.tolist() == [[1, 2, 2, 3, 4], [1, 1, 2, 2, 2], [1, 2, 3, 4, 5]]
    assert paths[0, 4, :4].tolist() == [0, 1, 3, 4] and paths[1, 2, :2].tolist() == [0, 2] and paths[0, 2, :2].tolist() == [0, 2]


@pytest.mark.parametrize("name, prologue", [("gated_deltanet", ("norm", "gates")), ("deltaproduct", ())])
def test_a_token_of_a_tree_has_the_bits_of_its_path(name, prologue):
    decoder, operands, states = make(name, wyvern.Pool(first_slot=1), 5, prologue=prologue)
    slots, parents = torch.tensor([3, 0, 5], dtype=torch.int32), torch.tensor(PARENTS, dtype=torch.int32)
    pool = states.clone()
    o = decoder.verify_tree(**operands, state=pool, read_slots=slots, parents=parents)
    assert torch.equal(pool.nan_to_num(7.0), states.nan_to_num(7.0)) and not o[1].any()
    for n, row in ((0, [0, 1, 3, 4]), (2, [0, 1, 2, 3, 4])):
        nodes = torch.tensor([row] * 3)
        line = decoder.path(**operands, nodes=nodes)
        assert torch.equal(decoder.verify(**line, state=pool, read_slots=slots)[n], o[n, row])
    # The accepted paths are committed as lines are.
    nodes, lengths = torch.tensor([[0, 1, 3], [0, 0, 0], [0, 1, 2]]), torch.tensor([3, 0, 2], dtype=torch.int32)
    decoder.commit(**decoder.path(**operands, nodes=nodes), state=pool, read_slots=slots, lengths=lengths)
    stepped = states.clone()
    for t in range(3):
        decoder.step(
            **decoder.path(**operands, nodes=nodes[:, t : t + 1]), state=stepped,
            read_slots=torch.where(t < lengths, slots, 0).int(),
        )
    assert torch.equal(pool[[3, 5]], stepped[[3, 5]])


def test_what_is_refused():
    decoder, operands, states = make("gated_deltanet", wyvern.Pool(), 2)
    slots = torch.tensor([3, 1, 5], dtype=torch.int32)
    tokens = operands["q"].shape[1]
    given = {"state": states, "read_slots": slots}
    words = rf"expected \[3, {tokens}\]"
    for parents, kind, message in (
        (torch.zeros(5, dtype=torch.int32), ValueError, rf"gated_deltanet: parents has shape \[5\], {words}"),
        (torch.zeros(3, tokens + 1, dtype=torch.int32), ValueError, rf"parents has shape \[3, {tokens + 1}\], {words}"),
        (torch.zeros(3, tokens), TypeError, rf"parents is torch.float32, expected int32 or int64 of shape \[3, {tokens}\]"),
        ([[0] * tokens] * 3, TypeError, "parents is a list, expected a tensor"),
    ):
        with pytest.raises(kind, match=message):
            decoder.verify_tree(**operands, **given, parents=parents)
    with pytest.raises(ValueError, match=r"nodes has shape \[3\], expected \[3, N\]"):
        decoder.path(**operands, nodes=torch.zeros(3, dtype=torch.int32))
    kept = torch.full((3, tokens // 64), 7, dtype=torch.int32)
    for more, kind, message in (
        ({"keep_slots": kept}, ValueError, "keep_slots: expected keep_every, of which multiples states are kept"),
        ({"keep_every": 64}, ValueError, "keep_every: expected keep_slots"),
        ({"keep_every": 64.0, "keep_slots": kept}, TypeError, "keep_every is 64.0, expected a number of tokens"),
        ({"keep_every": 64, "keep_slots": kept[0]}, ValueError, r"keep_slots has shape \[.*\], expected \[3, multiples\]"),
        ({"keep_every": 64, "keep_slots": kept, "position": torch.zeros(3)}, TypeError, r"position is torch.float32, expected int32 or int64 of shape \[3\]"),
        ({"keep_every": 64, "keep_slots": kept, "position": [0, 64, 0]}, TypeError, "position is a list, expected a tensor"),
    ):
        with pytest.raises(kind, match=message):
            decoder.prefill(**operands, **given, **more)
