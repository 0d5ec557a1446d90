# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""examples/state_tracking: the group, what one step can and cannot do, and the gap at a
tiny size."""

import json

import pytest

torch = pytest.importorskip("torch")

from examples.state_tracking import plot, train
from examples.state_tracking.data import BEGIN, FLIP, IGNORE, TURN, word_batch
from examples.state_tracking.model import MODELS, Tracker


def matrix(corners, element):
    """A turn by `angle` corners behind a flip over the first axis, if there is one."""
    flip, angle = divmod(element, corners)
    turned = torch.tensor(2 * torch.pi * angle / corners)
    turn = torch.stack([turned.cos(), -turned.sin(), turned.sin(), turned.cos()]).view(2, 2)
    return turn @ torch.diag(torch.tensor([1.0, 1 - 2 * flip]))


@pytest.mark.parametrize("corners", [3, 5])
def test_labels_are_the_symmetry_that_a_word_makes(corners):
    """Letter by letter, with matrices."""
    inputs, labels = word_batch(20, 30, corners, torch.Generator().manual_seed(0))
    assert inputs.shape == labels.shape == (20, 31)
    assert (inputs[:, 0] == BEGIN).all() and (labels[:, 0] == IGNORE).all()
    assert set(inputs[:, 1:].unique().tolist()) == {TURN, FLIP}
    assert labels[:, 1:].unique().tolist() == list(range(2 * corners))
    letters = {TURN: matrix(corners, 1), FLIP: matrix(corners, corners)}
    for word, answers in zip(inputs[:, 1:].tolist(), labels[:, 1:].tolist()):
        so_far = torch.eye(2)
        for letter, element in zip(word, answers):
            so_far = letters[letter] @ so_far
            torch.testing.assert_close(so_far, matrix(corners, element), atol=1e-4, rtol=0)


def test_a_polygon_has_corners():
    with pytest.raises(ValueError, match="expected at least 3"):
        word_batch(1, 3, 2, torch.Generator())


def test_a_rotation_is_two_reflections_and_not_one():
    """What the models differ in, without training: the transition of one token."""
    keys = torch.tensor([[1.0, 0.0], [0.5, 0.75**0.5]])  # 60 degrees apart
    first, second = (torch.eye(2) - 2 * torch.outer(k, k) for k in keys)
    torch.testing.assert_close((first @ second).matrix_power(3), torch.eye(2))  # a third of a turn
    for beta in torch.linspace(0, 2, 9):
        for k in keys:
            assert torch.linalg.eigvals(torch.eye(2) - beta * torch.outer(k, k)).imag.abs().max() == 0


@pytest.mark.parametrize("kind", MODELS)
def test_models_differ_in_steps_and_rates(kind, monkeypatch):
    steps, negative = MODELS[kind]
    mixer, seen = Tracker(kind, 6, 32, 2, 16).mixer, {}
    call = type(mixer.op).__call__
    monkeypatch.setattr(type(mixer.op), "__call__", lambda *given, **operands: seen.update(operands) or call(*given, **operands))
    mixer(100 * torch.randn(1, 50, 32))
    assert mixer.op.spec["steps"][0]["repeat"] == steps and seen["beta"].shape == (1, 50 * steps, 2)
    assert 0.9 * (1 + negative) < seen["beta"].max() <= 1 + negative


def test_the_gap_is_there(tmp_path):
    """Tiny, on the compiled CPU program: two steps follow a word, one knows a flip."""
    pytest.importorskip("wyvern._compiler", reason="the compiler module is not built")
    options = ["--size", "tiny", "--steps", "200", "--models", "two", "one", "--device", "cpu", "--out", str(tmp_path)]
    assert train.main(options) == 0
    found = json.loads((tmp_path / "summary.json").read_text())["accuracy"]
    (two,), (one,) = found["two"], found["one"]
    assert [letters for letters, _ in two] == [32, 64, 128, 256]
    assert two[0][1] > 0.95 and two[1][1] > 0.9 and one[0][1] < 0.6
    plot.main([str(tmp_path), "-o", str(tmp_path / "accuracy.svg")])
    text = (tmp_path / "accuracy.svg").read_text()
    assert text.count("<polyline") == 2 and "two steps" in text and "D_3, trained on 31 letters" in text
