# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""examples/recall: the data, the baseline, and the gap at a tiny size."""

import json

import pytest

torch = pytest.importorskip("torch")

from examples.recall import train
from examples.recall.data import IGNORE, recall_batch
from examples.recall.model import LinearAttention


@pytest.mark.parametrize("writes", [1, 3])
def test_the_last_value_of_a_key_is_asked(writes):
    keys, tokens, vocabulary = 5, 50, 40
    generator = torch.Generator().manual_seed(0)
    inputs, labels = recall_batch(100, keys, writes, tokens, vocabulary, generator)
    context = 2 * keys * writes
    for sequence, answers in zip(inputs.tolist(), labels.tolist()):
        pairs = list(zip(sequence[:context:2], sequence[1:context:2]))
        assert all(key < vocabulary // 2 <= value for key, value in pairs)
        last = dict(pairs)
        assert len(last) == keys and all(sum(key == k for k, _ in pairs) == writes for key in last)
        asked = {sequence[t]: answer for t, answer in enumerate(answers) if answer != IGNORE}
        assert asked == last
        assert not any(answer != IGNORE for answer in answers[:context])
        others = [token for token, answer in zip(sequence[context:], answers[context:]) if answer == IGNORE]
        assert min(others) >= vocabulary // 2, "a gap holds a key"


def test_early_questions_are_likelier():
    generator = torch.Generator().manual_seed(0)
    _, labels = recall_batch(500, 4, 1, 108, 20, generator)
    asked = (labels != IGNORE).float().mean(0)
    assert asked[8:28].sum() > 2 * asked[28:48].sum() > 2 * asked[88:].sum()


@pytest.mark.parametrize("sizes, message", [((9, 1, 50, 16), "8 keys"), ((4, 2, 23, 16), "need 24")])
def test_impossible_sizes_are_refused(sizes, message):
    with pytest.raises(ValueError, match=message):
        recall_batch(1, *sizes, torch.Generator())


def test_linear_attention_is_the_sum_of_outer_products():
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 9, 4, 8).unbind()
    beta = torch.rand(2, 9, 4)
    o, _ = LinearAttention(hidden_size=32, num_heads=4).recurrence(q, k, v, beta, True, None)
    unit = torch.nn.functional.normalize
    state = torch.zeros(2, 4, 8, 8)
    for t in range(9):
        state += unit(k[:, t], dim=-1)[..., None] * (beta[:, t, :, None] * v[:, t])[..., None, :]
        expected = (unit(q[:, t], dim=-1)[..., None, :] @ state)[..., 0, :] * 8**-0.5
        torch.testing.assert_close(o[:, t], expected)


def test_the_gap_is_there(tmp_path):
    """Tiny: in the direction of the full size, on the compiled CPU program."""
    pytest.importorskip("wyvern._compiler", reason="the compiler module is not built")
    train.main(["--size", "tiny", "--steps", "120", "--device", "cpu", "--out", str(tmp_path)])
    scores = json.loads((tmp_path / "summary.json").read_text())["accuracy"]
    assert scores["delta"][0] > 0.9 and scores["linear"][0] < 0.6


def test_picture(tmp_path):
    pytest.importorskip("matplotlib")
    from examples.recall import plot

    options = ["--size", "tiny", "--steps", "4", "--models", "linear", "--device", "cpu", "--out", str(tmp_path)]
    assert train.main(options) == 0
    plot.main([str(tmp_path), "-o", str(tmp_path / "recall.png")])
    assert (tmp_path / "recall.png").read_bytes().startswith(b"\x89PNG")
