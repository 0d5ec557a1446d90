# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""wyvern.load and Program: what is refused and allocated before a GPU is asked for."""

import hashlib
import json
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")

from torch._subclasses.fake_tensor import FakeTensorMode

import runtime_cases
import wyvern
from wyvern.torch._tensors import expect_zero_first


@pytest.fixture
def bundle(tmp_path):
    """A whole bundle, with images that only the fake driver can run."""
    manifest = runtime_cases.manifest()
    for kernel in runtime_cases.kernels(manifest):
        image = runtime_cases.fake_image(kernel["symbol"], runtime_cases.letters(kernel))
        (tmp_path / kernel["image"]).write_bytes(image)
        kernel["sha256"] = hashlib.sha256(image).hexdigest()
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    return tmp_path


def change(bundle, **values):
    path = bundle / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def refused(bundle, words):
    with pytest.raises(wyvern.BundleError, match=words):
        wyvern.load(bundle)


def test_loads_without_a_gpu(bundle):
    program = wyvern.load(bundle)
    assert repr(program) == (
        "<wyvern program delta_net for sm_90a: q, k, v, beta, initial_state, cu_seqlens>"
    )


def test_no_bundle(tmp_path):
    refused(tmp_path, "is no bundle: cannot read manifest.json")
    refused(tmp_path / "missing", "is no bundle")


def test_damaged_manifest(bundle):
    (bundle / "manifest.json").write_text('{"schema": 3,')
    refused(bundle, "manifest.json is damaged")
    (bundle / "manifest.json").write_text("[]")
    refused(bundle, "has no 'schema'")


def test_another_schema(bundle):
    change(bundle, schema=2)
    refused(bundle, "has schema 2, this version of wyvern reads schema 3: compile the bundle again")


def test_missing_keys(bundle):
    manifest = json.loads((bundle / "manifest.json").read_text())
    for key in ("name", "target", "chunk", "tensors", "variants", "residuals", "backward"):
        (bundle / "manifest.json").write_text(json.dumps({k: v for k, v in manifest.items() if k != key}))
        refused(bundle, f"has no '{key}'")
    del runtime_cases.kernels(manifest)[0]["block"]
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    refused(bundle, "is malformed: manifest: expected the key 'block'")
    del runtime_cases.kernels(manifest)[0]["sha256"]
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    refused(bundle, "is malformed: no 'sha256'")


@pytest.mark.parametrize("key", ["name", "chunk"])
def test_null_in_the_place_of_a_value(bundle, key):
    change(bundle, **{key: None})
    refused(bundle, f"is malformed: manifest: expected another value of '{key}'")


def test_corrupted_image(bundle):
    path = bundle / "chain.cubin"
    image = bytearray(path.read_bytes())
    image[-3] ^= 1
    path.write_bytes(image)
    refused(bundle, "chain.cubin is damaged: its sha256 is")
    path.unlink()
    refused(bundle, "cannot read .*chain.cubin")


def test_allocates_slots_of_several_chunks(bundle, monkeypatch):
    manifest = json.loads((bundle / "manifest.json").read_text())
    for name, chunks in (("states", 1), ("kept", 2)):
        dims = runtime_cases.chunks(2, 64, multiple=chunks)
        tensor = {"name": name, "role": "output", "dtype": "f32", "residual": True, "dims": dims}
        manifest["tensors"].append(tensor)
    change(bundle, tensors=manifest["tensors"])
    program = wyvern.load(bundle)

    class Empty:
        def __init__(self, shape, dtype, device):
            self.shape = shape

        def data_ptr(self):
            return 0

    program._empty = Empty
    program._rt = SimpleNamespace(workspace_size=lambda *_: 0, launch=lambda *_: None)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: SimpleNamespace(cuda_stream=0))

    def slots(batch, tokens, packed=None):
        with FakeTensorMode():
            x = torch.empty(batch, tokens, 2, 64, dtype=torch.bfloat16, device="cuda")
            cu_seqlens = None if packed is None else torch.empty(packed + 1, dtype=torch.int32, device="cuda")
            out = program(q=x, k=x, v=x, beta=x, cu_seqlens=cu_seqlens)
        assert out["states"].shape[1:] == out["kept"].shape[1:] == [2, 64]
        return out["states"].shape[0], out["kept"].shape[0]

    assert slots(2, 64) == (2, 2)
    assert slots(2, 129) == (6, 4)
    assert slots(1, 257, packed=3) == (4 + 3, 2 + 3)
    assert slots(2, 0) == (0, 0)


def operands(device="cpu"):
    return {
        "q": torch.zeros(1, 4, 2, 64, dtype=torch.bfloat16, device=device),
        "k": torch.zeros(1, 4, 2, 64, dtype=torch.bfloat16, device=device),
        "v": torch.zeros(1, 4, 2, 128, dtype=torch.bfloat16, device=device),
        "beta": torch.zeros(1, 4, 2, device=device),
    }


def test_wrong_calls(bundle):
    program = wyvern.load(bundle)
    with pytest.raises(TypeError, match="has no input 'gate'; its inputs are q, k, v, beta, initial_state and cu_seqlens"):
        program(**operands(), gate=torch.zeros(1))
    with pytest.raises(TypeError, match="'beta' is missing"):
        program(**{name: x for name, x in operands().items() if name != "beta"})
    with pytest.raises(TypeError, match="has no output 'p'; its outputs are o, final_state"):
        program(**operands(), out={"p": None})
    with pytest.raises(TypeError, match="'o' is missing"):
        program(**operands(), out={"o": None})
    with pytest.raises(TypeError, match="'q' is on cpu, but the program was compiled for sm_90a: expected CUDA tensors"):
        program(**operands())


def test_cu_seqlens_starts_with_zero(monkeypatch):
    """Looked at once a tensor and version, without a copy to the host."""
    looks = []
    check = torch._assert_async
    monkeypatch.setattr(torch, "_assert_async", lambda *x: looks.append(x) or check(*x))
    cu = torch.tensor([0, 5, 9])
    expect_zero_first(cu)
    expect_zero_first(cu)
    assert len(looks) == 1
    cu += 5
    for offsets in (cu, torch.tensor([5, 9], dtype=torch.int32)):
        with pytest.raises(RuntimeError, match="wyvern: expected cu_seqlens to start with 0"):
            expect_zero_first(offsets)
    with torch.inference_mode():
        expect_zero_first(torch.tensor([0, 5]))
    expect_zero_first(torch.zeros(0, dtype=torch.int64))
