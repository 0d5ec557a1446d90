# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""examples/language_model: its parts, and that a run is reproducible and resumable."""

import json

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("wyvern._compiler", reason="the compiler module is not built")

from examples.common import read_log
from examples.language_model import compare, plot, train
from examples.language_model.attention import Attention, rotate
from examples.language_model.mamba2 import Mamba2
from examples.language_model.model import LanguageModel, mixers
from examples.language_model.text import Text, text_files

TINY = ["--size=tiny", "--device=cpu", "--layers=1", "--tokens=70", "--batch=2", "--save-every=3"]


def losses(folder):
    """What was logged of each step, without the time."""
    records = [record for record in read_log(folder / "log.jsonl") if "step" in record]
    return [{name: value for name, value in record.items() if name != "seconds"} for record in records]


def test_text_is_held_out_by_file(tmp_path):
    for n in range(40):
        (tmp_path / f"{n:02}.txt").write_bytes(bytes([n]) * 10)
    assert [path.name for path in text_files(tmp_path)] == [f"{n:02}.txt" for n in range(40)]
    text = Text(tmp_path, "cpu")
    assert text.validation.unique().tolist() == [19, 39] and len(text.training) == 380
    inputs, labels = text.batch(text.training, 5, 30, torch.Generator().manual_seed(0))
    assert inputs.shape == labels.shape == (5, 30) and torch.equal(inputs[:, 1:], labels[:, :-1])
    with pytest.raises(ValueError, match="20 bytes, expected more than 30"):
        text.batch(text.validation, 5, 30, torch.Generator())
    one = Text(tmp_path / "07.txt", "cpu")
    assert (len(one.training), len(one.validation)) == (9, 1)
    with pytest.raises(FileNotFoundError, match="no text in"):
        text_files(tmp_path / "nothing")


def test_standard_library_is_there():
    text = Text(None, "cpu")
    assert len(text.training) > 5e6 and len(text.validation) > 1e5
    assert text.digest == Text(None, "cpu").digest


def test_attention():
    """Against softmax written out; a window is the same with more masked."""
    torch.manual_seed(0)
    x = torch.randn(2, 10, 32)
    time = torch.arange(10)
    for window in (None, 1, 4, 10):
        layer = Attention(32, 2, window)
        q, k, v = (y.unflatten(-1, (2, 16)).transpose(1, 2) for y in layer.qkv_proj(x).chunk(3, -1))
        scores = rotate(q) @ rotate(k).mT / 4
        age = time[:, None] - time
        scores[..., (age < 0) | (age >= (window or 99))] = -torch.inf
        expected = layer.o_proj((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))
        torch.testing.assert_close(layer(x), expected)


def test_rotary_positions_are_relative():
    torch.manual_seed(0)
    q, k = torch.randn(2, 1, 1, 1, 16).expand(2, 1, 1, 9, 16)
    scores = (rotate(q) @ rotate(k).mT)[0, 0]
    for offset in range(-8, 9):
        diagonal = scores.diagonal(offset)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal))
    torch.testing.assert_close(rotate(q).norm(dim=-1), q.norm(dim=-1))


def test_hybrids_have_mixers_where_the_papers_have():
    assert mixers("none", 2) == ["rule"] * 2
    assert mixers("sliding", 4) == ["rule", "attention"] * 2
    # Layers 2 and N/2 + 1, counted from 1.
    assert [index for index, kind in enumerate(mixers("global", 8)) if kind == "attention"] == [1, 4]
    assert mixers("mamba_sliding", 7) == ["mamba", "rule", "attention"] * 2 + ["mamba"]
    for hybrid, layers, least in (("global", 3, 4), ("mamba_sliding", 2, 3)):
        with pytest.raises(ValueError, match=f"expected at least {least}"):
            mixers(hybrid, layers)
    model = LanguageModel("gated", "sliding", 4, 64, 1, 32, "wyvern")
    assert [getattr(block.mixer, "window", None) for block in model.blocks] == [None, 32, None, 32]
    model = LanguageModel("gated", "global", 4, 64, 1, 32, "wyvern")
    assert [isinstance(block.mixer, Attention) for block in model.blocks] == [False, True, True, False]
    model = LanguageModel("gated", "mamba_sliding", 3, 64, 1, 32, "wyvern")
    assert [type(block.mixer).__name__ for block in model.blocks] == ["Mamba2", "GatedDeltaNet", "Attention"]
    assert model.blocks[2].mixer.window == 32


def test_mamba2_is_one_spec():
    """The compiled program does what the recurrence says, forward and backward; a layer of it
    sees no later token."""
    torch.manual_seed(0)
    layer = Mamba2(64, head_dim=32, state_size=16)
    x = torch.randn(2, 70, 64)
    plain = Mamba2(64, head_dim=32, state_size=16, backend="torch")
    plain.load_state_dict(layer.state_dict())
    found, wanted = layer(x), plain(x)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    weight = torch.randn_like(found)
    for mixer, y in ((layer, found), (plain, wanted)):
        (y * weight).sum().backward()
    for (name, a), b in zip(layer.named_parameters(), plain.parameters()):
        assert (a.grad - b.grad).norm() <= 1e-4 * b.grad.norm(), name
    later = x.clone()
    later[:, 50:] += 1
    torch.testing.assert_close(layer(later)[:, :50], found[:, :50])


def test_norms_and_gates_do_not_decay():
    model = LanguageModel("gated", "none", 1, 64, 1, 32, "wyvern")
    decayed, others = (group["params"] for group in model.parameter_groups(0.1))
    names = {parameter: name for name, parameter in model.named_parameters()}
    assert len(decayed) + len(others) == len(names)
    assert {names[p].split(".")[-1] for p in decayed} == {"weight"}
    assert {names[p].split(".")[-2] for p in others} == {"mixer", "o_norm", "mixer_norm", "mlp_norm", "norm"}


def test_learning_rate():
    rates = [train.learning_rate(step, 100, 1.0) for step in range(100)]
    assert rates[0] == 0.2 and max(rates) == rates[5] == 1 and rates[4:] == sorted(rates[4:], reverse=True)
    assert 0.1 <= rates[-1] < 0.101


def test_a_run_repeats_and_resumes(tmp_path):
    """To the last bit: once more from the seed, and interrupted and resumed."""
    options = [*TINY, "--steps=6", "--deterministic"]
    first, again, parts = (tmp_path / name for name in ("first", "again", "parts"))
    train.main([*options, f"--out={first}"])
    train.main([*options, f"--out={again}"])
    train.main([*options, f"--out={parts}", "--stop-after=4"])
    (parts / "checkpoint.pt").rename(parts / "kept")  # interrupted after step 5, say
    train.main([*options, f"--out={parts}", "--stop-after=5"])
    (parts / "kept").rename(parts / "checkpoint.pt")
    train.main([*options, f"--out={parts}", "--resume"])
    assert len(losses(first)) == 6 + 2
    assert losses(first) == losses(again)
    without_stops = [record for record in losses(parts) if record.get("validation") is None or record["step"] in (3, 6)]
    assert losses(first) == without_stops
    other = tmp_path / "other"
    train.main([*options, f"--out={other}", "--seed=1", "--stop-after=1"])
    assert losses(other)[0] != losses(first)[0]
    with pytest.raises(ValueError, match="of another run .seed: 1, now 0"):
        train.main([*options, f"--out={other}", "--resume"])
    with pytest.raises(ValueError, match="nothing is left to train"):
        train.main([*options, f"--out={first}", "--resume"])
    with pytest.raises(FileNotFoundError, match="leave --resume out"):
        train.main([*options, f"--out={tmp_path / 'none'}", "--resume"])


LEARN = [("gated", "none"), ("delta", "none"), ("gated", "sliding"), ("delta", "global"), ("gated", "mamba_sliding")]


@pytest.mark.parametrize("layer, hybrid", LEARN)
def test_learns(layer, hybrid, tmp_path):
    layers = 1 if hybrid == "none" else 4
    options = [*TINY, f"--layers={layers}", "--steps=15", f"--layer={layer}", f"--hybrid={hybrid}", f"--out={tmp_path}"]
    train.main([*options, "--window=32"])
    seen = [record["loss"] for record in losses(tmp_path) if "loss" in record]
    assert len(seen) == 15 and 5.4 < seen[0] < 5.7 and seen[-1] < 4.6


def test_compare(tmp_path):
    """The backends differ in rounding only, the seeds in everything."""
    options = [*TINY, "--steps=3", "--tokens=20", f"--out={tmp_path}", "--seeds=2"]
    assert compare.main(options) == 0
    verdict = json.loads((tmp_path / "compare.json").read_text())
    assert verdict["within"] and abs(verdict["difference"]) < 1e-4 < verdict["deviation"]


def test_picture(tmp_path):
    train.main([*TINY, "--steps=3", f"--out={tmp_path}"])
    plot.main([str(tmp_path), "-o", str(tmp_path / "loss.svg")])
    assert (tmp_path / "loss.svg").read_text().count("<polyline") == 2  # training, validation
    assert plot.smooth([1, 2, 3, 4], 2) == [1, 1.5, 2.5, 3.5]
