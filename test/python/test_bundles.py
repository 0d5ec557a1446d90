# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Which bundle is taken for a layer, and how a new one comes to be."""

import json
import pytest

import wyvern
from wyvern._core import bundles
from wyvern._core.bundles import find_bundle
from wyvern._core.layers import CHOSEN, STATES, serves
from wyvern._core.rules import delta_rule_spec

LAYER = delta_rule_spec("head", 2, 4, 64, 128, "bf16")
FACTOR = ("factor",)


def manifest(layer=LAYER, **spec):
    """As wyvernc writes it."""
    full = layer | {"name": "another_name"} | spec
    head = {"schema": 3, "name": "x", "target": "sm_90a", "spec": full, "residuals": [], "backward": None}
    return head | PROGRAM | {"compiler": {"wyvern": wyvern.__version__, "llvm": "22.1.8", "ptxas": "13.0"}}


PROGRAM = {"chunk": 64, "tensors": [], "variants": []}
TRAINING = {"residuals": [{"name": "factor", "bytes_per_token_head": 128}], "backward": PROGRAM}


def put(folder, name, content):
    (folder / name).mkdir(parents=True)
    (folder / name / "manifest.json").write_text(json.dumps(content))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("WYVERN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(bundles, "PREBUILT", tmp_path / "prebuilt")
    return tmp_path


def test_serves_exactly_its_layer():
    assert serves(manifest(), LAYER, "sm_90a", None)
    assert not serves(manifest(), LAYER, "sm_100a", None)
    for i, other in enumerate(("none", 4, 2, 128, 64, "f16")):
        sizes = ["head", 2, 4, 64, 128, "bf16"]
        sizes[i] = other
        assert not serves(manifest(), delta_rule_spec(*sizes), "sm_90a", None), other
    assert not serves(manifest(scale=1.0), LAYER, "sm_90a", None)
    step = manifest()["spec"]["steps"][0]
    for change in ({"repeat": 2}, {"erase": "p"}, {"rate": 1.0}, {"reads": "before_decay"}):
        assert not serves(manifest(steps=[step | change]), LAYER, "sm_90a", None), change
    assert not serves(manifest(steps=[step, step]), LAYER, "sm_90a", None)
    assert not serves(manifest() | {"spec": None}, LAYER, "sm_90a", None)


def test_training_is_served_by_training_bundles(cache):
    """And only by those that save what the ops pass on."""
    assert serves(manifest() | TRAINING, LAYER, "sm_90a", FACTOR)
    assert not serves(manifest() | TRAINING, LAYER, "sm_90a", None)
    assert not serves(manifest(), LAYER, "sm_90a", FACTOR)
    assert not serves(manifest() | TRAINING | {"residuals": []}, LAYER, "sm_90a", FACTOR)
    put(cache / "cache", "a", manifest())
    put(cache / "cache", "b", manifest() | TRAINING)
    assert find_bundle(LAYER, "sm_90a", FACTOR) == cache / "cache" / "b"
    assert find_bundle(LAYER, "sm_90a", None) == cache / "cache" / "a"


def test_what_the_compiler_chooses(cache):
    """States, if a bundle has them; the factor, if it was chosen."""
    states = {"residuals": [], "tensors": [{"residual": True, "dims": [{"kind": "chunk", "multiple": 1}]}]}
    for name, content, serves_it in (
        ("inference", manifest(), False),
        ("factor", manifest() | TRAINING, False),
        ("asked", manifest() | TRAINING | {"saved": {"what": "factor", "chosen": False}}, False),
        ("chosen", manifest() | TRAINING | {"saved": {"what": "factor", "chosen": True}}, True),
        ("states", manifest() | TRAINING | states, True),
    ):
        assert serves(content, LAYER, "sm_90a", CHOSEN) is serves_it, name
    assert not serves(manifest() | TRAINING | {"saved": {"what": "factor", "chosen": True}}, LAYER, "sm_90a", STATES)


@pytest.mark.parametrize("saved, asked", [(FACTOR, "factor"), ((), "factor"), (STATES, "states"), (CHOSEN, "auto")])
def test_what_is_compiled_into_the_cache(cache, monkeypatch, saved, asked):
    def compile(spec, target, output, training, save):
        assert training and save == asked
        put(output.parent, output.name, manifest())

    monkeypatch.setitem(vars(wyvern), "compile", compile)
    assert f"-training-{asked}-" in bundles.compile_into_cache(LAYER, "sm_90a", saved).name


def test_prebuilt_before_cache(cache):
    assert find_bundle(LAYER, "sm_90a", None) is None
    put(cache / "cache", "a", manifest())
    put(cache / "cache", "old", manifest() | {"schema": 0})
    assert find_bundle(LAYER, "sm_90a", None) == cache / "cache" / "a"
    put(cache / "prebuilt", "b", manifest())
    assert find_bundle(LAYER, "sm_90a", None) == cache / "prebuilt" / "b"


def test_head_dims_of_all_bundles(cache):
    assert bundles.find_head_dims() == set()
    put(cache / "cache", "a", manifest() | {"spec": None})
    put(cache / "cache", "b", manifest() | {"schema": 0})
    put(cache / "prebuilt", "c", manifest(dims={"key": 96, "value": 192}))
    put(cache / "cache", "d", manifest())
    assert bundles.find_head_dims() == {(96, 192), (64, 128)}


def test_bundles_of_another_compiler_are_not_taken(cache, monkeypatch):
    older = {"wyvern": "0.0.1", "llvm": "19.0.0", "ptxas": "12.0"}
    put(cache / "cache", "a", manifest() | {"compiler": older})
    put(cache / "cache", "b", {key: x for key, x in manifest().items() if key != "compiler"})
    assert find_bundle(LAYER, "sm_90a", None) is None
    # Another build of the same version: its name says so.
    monkeypatch.setattr(bundles, "compiler_id", lambda: "12345678")
    put(cache / "cache", "c-id00000000", manifest())
    assert find_bundle(LAYER, "sm_90a", None) is None
    put(cache / "cache", "d-id12345678", manifest())
    assert find_bundle(LAYER, "sm_90a", None) == cache / "cache" / "d-id12345678"


def test_the_compiler_s_id_is_of_its_build(tmp_path, monkeypatch):
    compiler = tmp_path / "wyvernc"
    compiler.write_text("#!/bin/sh\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("WYVERNC", str(compiler))
    first = bundles.compiler_id()
    assert first == bundles.compiler_id()
    compiler.write_text("#!/bin/sh\necho\n")
    assert bundles.compiler_id() != first


@pytest.mark.parametrize(
    "wrong", [{"residuals": None}, {"spec": "x"}, {"spec": {"scale": "x"}}, {"spec": {"scale": 0.125, "steps": 1}}]
)
def test_a_manifest_that_is_wrong_is_skipped(cache, wrong):
    put(cache / "cache", "a", manifest() | wrong)
    put(cache / "cache", "b", manifest())
    assert find_bundle(LAYER, "sm_90a", None) == cache / "cache" / "b"


def test_default_cache(monkeypatch):
    monkeypatch.delenv("WYVERN_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert str(bundles.cache_folder()) == "/somewhere/wyvern"


def test_without_a_home(cache, monkeypatch):
    """A user of a container often has none: what is in the package is found, and what is compiled has no place."""

    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("WYVERN_CACHE_DIR")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(bundles.Path, "home", no_home)
    put(cache / "prebuilt", "a", manifest())
    assert find_bundle(LAYER, "sm_90a", None) == cache / "prebuilt" / "a"
    assert bundles.find_head_dims() == {(64, 128)}
    assert find_bundle(LAYER, "sm_90a", FACTOR) is None
    with pytest.raises(OSError, match="no folder for compiled bundles .*; name one with WYVERN_CACHE_DIR"):
        bundles.compile_into_cache(LAYER, "sm_90a", FACTOR)


def test_a_cache_that_is_not_writable(cache, monkeypatch):
    (cache / "file").write_text("")
    monkeypatch.setenv("WYVERN_CACHE_DIR", str(cache / "file" / "cache"))
    with pytest.raises(OSError, match="cannot write compiled bundles to .*cache .Not a directory.; name another folder") as caught:
        bundles.compile_into_cache(LAYER, "sm_90a", None)
    assert type(caught.value) is OSError


def test_no_bundle_and_no_compiler(cache, monkeypatch):
    pytest.importorskip("torch")
    from wyvern.torch import _programs

    def missing(*args, **kwargs):
        raise ImportError("no module named wyvern._compiler")

    monkeypatch.setitem(vars(wyvern), "compile", missing)
    monkeypatch.setattr(_programs, "target_of", lambda device: "sm_90a")
    with pytest.raises(NotImplementedError, match="no prebuilt kernel for gated_delta_rule: decay head, heads 2/4, dims 64x128, bf16"):
        _programs._load_for_gpu(LAYER, "cuda", None)
    with pytest.raises(NotImplementedError, match="no prebuilt training kernels .* Compile it elsewhere with wyvernc --training"):
        _programs._load_for_gpu(LAYER, "cuda", FACTOR)


def test_a_stale_folder_makes_way(cache, monkeypatch):
    def compile(spec, target, output, training, save):
        put(output.parent, output.name, manifest())

    monkeypatch.setitem(vars(wyvern), "compile", compile)
    folder = bundles.compile_into_cache(LAYER, "sm_90a", None)
    assert find_bundle(LAYER, "sm_90a", None) == folder
    # Another process was faster: its bundle stays.
    stamp = (folder / "manifest.json").stat().st_ino
    assert bundles.compile_into_cache(LAYER, "sm_90a", None) == folder
    assert (folder / "manifest.json").stat().st_ino == stamp
    # One of another version does not.
    (folder / "manifest.json").write_text("{}")
    bundles.compile_into_cache(LAYER, "sm_90a", None)
    assert find_bundle(LAYER, "sm_90a", None) == folder
    assert [path.name for path in (cache / "cache").iterdir()] == [folder.name]


def test_two_layers_of_one_name(cache, monkeypatch):
    def compile(spec, target, output, training, save):
        put(output.parent, output.name, manifest(spec))

    monkeypatch.setitem(vars(wyvern), "compile", compile)
    layers = [LAYER, LAYER | {"scale": 1.0}]
    folders = [bundles.compile_into_cache(layer, "sm_90a", None) for layer in layers]
    assert folders[0] != folders[1]
    assert [find_bundle(layer, "sm_90a", None) for layer in layers] == folders


def test_compiles_what_it_needs(cache, wyvernc):
    pytest.importorskip("wyvern._compiler")
    folder = bundles.compile_into_cache(LAYER, "sm_90a", None)
    assert find_bundle(LAYER, "sm_90a", None) == folder
    program = wyvern.load(folder)
    assert program.manifest["spec"]["heads"] == {"key": 2, "value": 4}
