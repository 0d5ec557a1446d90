# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""wyvern.torch.Decoder of specs that compute: steps and prompts on one pool, on CPU tensors.

Judged by the layer's op (test_compute.py) on the same operands."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("wyvern._compiler", reason="the compiler module is not built")

import wyvern
import wyvern.torch
from step_cases import small
from test_compute import LAYERS
from wyvern.torch import Decoder

NAMES = ("kda", "rwkv7", "products", "repeated")
SLOTS = torch.tensor([3, 1], dtype=torch.int32)


def make(name, tokens):
    """Returns a decoder, the op, and operands of both by name."""
    text = small(LAYERS[name], key=16, value=8, dtype="f32")
    op, decoder = wyvern.torch.op(text), Decoder(text, wyvern.Pool("kv"))
    torch.manual_seed(2)
    shape = lambda words: [int(n) for n in words.strip("[]").replace("B", "2").replace("T * 3", str(3 * tokens)).replace("T", str(tokens)).split(", ")]
    given = {x: torch.randn(shape(words)) / 2 for x, words in op.shapes.items()}
    if "g" in given:
        given["g"] = -given["g"].abs()
    assert set(decoder.operands) == set(op.operands)
    return decoder, op, given


def pool_of(op):
    heads, dims = op.spec["heads"]["value"], op.spec["dims"]
    return torch.randn(5, heads, dims["key"], dims["value"])


def cut(op, given, begin, end):
    def part(name, x):
        rows, _ = op.row_shape(name)
        return x[:, begin * rows : end * rows] if rows else x

    return {name: part(name, x) for name, x in given.items()}


def close(found, wanted, bar=2e-5):
    assert (found - wanted).norm() <= bar * wanted.norm(), (found - wanted).norm() / wanted.norm()


@pytest.mark.parametrize("name", NAMES)
def test_prompts_and_steps_go_on_from_each_other(name):
    tokens = 12
    decoder, op, given = make(name, tokens)
    pool = pool_of(op)
    state = pool[SLOTS.long()].clone()
    wanted, last = op(**given, initial_state=state, output_final_state=True)
    parts = [decoder.prefill(**cut(op, given, 0, 7), state=pool, read_slots=SLOTS)]
    parts += [decoder.step(**cut(op, given, t, t + 1), state=pool, read_slots=SLOTS) for t in range(7, 10)]
    draft = cut(op, given, 10, tokens)
    parts.append(decoder.verify(**draft, state=pool, read_slots=SLOTS))
    decoder.commit(**draft, state=pool, read_slots=SLOTS, lengths=torch.tensor([2, 2], dtype=torch.int32))
    close(torch.cat(parts, 1), wanted)
    close(pool[SLOTS.long()], last)


@pytest.mark.parametrize("every", [5, 64])
def test_states_are_kept_on_the_way(every):
    """Behind whole chunks by the kernel; else by the op, in pieces, in which parameters are whole."""
    tokens = 2 * every + 3
    decoder, op, given = make("kda", tokens)
    pool, keep = pool_of(op), torch.tensor([[0, 2], [4, -1]], dtype=torch.int32)
    state = pool[SLOTS.long()].clone()
    o = decoder.prefill(**given, state=pool, read_slots=SLOTS, keep_every=every, keep_slots=keep)
    wanted, last = op(**given, initial_state=state, output_final_state=True)
    close(o, wanted)
    close(pool[SLOTS.long()], last)
    for end, column in ((every, 0), (2 * every, 1)):
        _, after = op(**cut(op, given, 0, end), initial_state=state, output_final_state=True)
        close(pool[keep[0, column]], after[0])
    close(pool[4], op(**cut(op, given, 0, every), initial_state=state, output_final_state=True)[1][1])


def test_trees():
    """Parameters are those of all lines of a draft."""
    decoder, op, given = make("kda", 3)
    pool = pool_of(op)
    parents = torch.tensor([[-1, 0, 0], [-1, 0, 1]])
    o = decoder.verify_tree(**given, state=pool, read_slots=SLOTS, parents=parents)
    chain = decoder.verify(**given, state=pool, read_slots=SLOTS)
    assert torch.equal(o[1], chain[1]) and torch.equal(o[0, :2], chain[0, :2])
    other = decoder.path(**given, nodes=torch.tensor([[0, 2], [0, 2]]))
    assert other["A_log"] is given["A_log"]
    assert torch.equal(o[0, 2], decoder.verify(**other, state=pool, read_slots=SLOTS)[0, 1])
