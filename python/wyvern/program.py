# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiled bundles, called with torch tensors by name.

    program = wyvern.load("delta_net.wyvern")
    out = program(q=q, k=k, v=v, beta=beta)       # {"o": ..., "final_state": ...}

Nothing here waits for the GPU or reads device data; a call can be captured into a
CUDA graph once the program has been prepared on the device (the first call does it).
"""

import hashlib
import json
from pathlib import Path

import torch
from torch.utils.weak import WeakTensorKeyDictionary

from . import _rt
from ._training import HasBackward, refuse_grad

SCHEMA = 2

DTYPES = {
    torch.bfloat16: "bf16",
    torch.float16: "f16",
    torch.float32: "f32",
    torch.float64: "f64",
    torch.int32: "i32",
    torch.int64: "i64",
}
_TORCH_DTYPES = {name: dtype for dtype, name in DTYPES.items()}
_NARROW = (torch.bfloat16, torch.float16)
_OF_A_PROGRAM = ("chunk", "tensors", "kernels")


class BundleError(ValueError):
    """A bundle folder that cannot be used: what is wrong, and where."""


def read_manifest(folder):
    """Reads and checks `manifest.json` of a bundle, without reading the images."""
    path = Path(folder) / "manifest.json"
    try:
        manifest = json.loads(path.read_text())
    except OSError as error:
        raise BundleError(
            f"{folder} is no bundle: cannot read manifest.json ({error.strerror})"
        ) from None
    except ValueError as error:
        raise BundleError(f"{path} is damaged: {error}; compile the bundle again") from None
    if not isinstance(manifest, dict) or "schema" not in manifest:
        raise BundleError(f"{path} is no manifest: it has no 'schema'")
    if manifest["schema"] != SCHEMA:
        raise BundleError(
            f"{path} has schema {manifest['schema']}, this version of wyvern reads "
            f"schema {SCHEMA}: compile the bundle again or install a matching wyvern"
        )
    for key in ("name", "target", "residuals", "backward", *_OF_A_PROGRAM):
        if key not in manifest:
            raise BundleError(f"{path} has no '{key}': compile the bundle again")
    for key in _OF_A_PROGRAM:
        if manifest["backward"] is not None and key not in manifest["backward"]:
            raise BundleError(f"{path} has no '{key}' in 'backward': compile the bundle again")
    return manifest


def _check_images(manifest, folder):
    backward = manifest["backward"] or {"kernels": []}
    for kernel in manifest["kernels"] + backward["kernels"]:
        path = folder / kernel["image"]
        try:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise BundleError(f"cannot read {path} ({error.strerror})") from None
        if digest != kernel["sha256"]:
            raise BundleError(
                f"{path} is damaged: its sha256 is {digest[:16]}..., the manifest says "
                f"{kernel['sha256'][:16]}...; compile the bundle again"
            )


def load(folder):
    """Loads a bundle folder. Needs no GPU before the first call."""
    folder = Path(folder)
    manifest = read_manifest(folder)
    try:
        _check_images(manifest, folder)
        program = Program(manifest, folder)
        if manifest["backward"] is not None:
            program._backward = Program(_backward_manifest(manifest), folder)
        return program
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, BundleError):
            raise
        what = f"no {error}" if isinstance(error, KeyError) else error
        raise BundleError(f"{folder / 'manifest.json'} is malformed: {what}") from error


def _backward_manifest(manifest):
    """The manifest of the backward, as if it stood alone."""
    own = {"name": manifest["name"] + "_backward", "residuals": [], "backward": None}
    return manifest | manifest["backward"] | own


def _fresh(tensor, copy):
    """A dense tensor like `tensor`, with its values if `copy`."""
    dense = torch.empty(tensor.shape, dtype=tensor.dtype, device=tensor.device)
    return dense.copy_(tensor) if copy else dense


# The cu_seqlens that have been looked at, and the version of their values then: the
# layers of a model, and its backward, get the same tensor.
_looked_at = WeakTensorKeyDictionary()


def expect_zero_first(cu_seqlens):
    """Raises RuntimeError if cu_seqlens does not start with 0, which is where kernels
    count chunks from. On a GPU it is the device that looks, and the error is one of its
    stream, as a kernel's: nothing is read on the host."""
    version = -1 if cu_seqlens.is_inference() else cu_seqlens._version
    if cu_seqlens.numel() == 0 or _looked_at.get(cu_seqlens) == version:
        return
    torch._assert_async(cu_seqlens[0] == 0, "wyvern: expected cu_seqlens to start with 0")
    _looked_at[cu_seqlens] = version


def _extents(desc):
    """The dimensions of a tensor as (what is counted, factor)."""
    timed = any(dim["kind"] == "time" for dim in desc["dims"])
    counted = {"seq": "batch" if timed else "sequences", "time": "tokens"}
    return [
        (("slots", dim["multiple"]), 1)
        if dim["kind"] == "chunk"
        else (counted.get(dim["kind"], "one"), dim.get("size") or dim.get("multiple") or 1)
        for dim in desc["dims"]
    ]


class Program(HasBackward):
    """A compiled program. Call it with its inputs by name."""

    _empty = staticmethod(torch.empty)  # tests put one here that poisons the memory

    def __init__(self, manifest, folder):
        self.manifest = manifest
        self.name = manifest["name"]
        self.target = manifest["target"]
        self._rt = _rt.Program(manifest, str(folder), DTYPES, _fresh)
        arguments = [t for t in manifest["tensors"] if t["role"] != "workspace"]
        inputs = [t for t in arguments if t["role"] == "input"]
        self.inputs = [t["name"] for t in inputs]
        self.outputs = [t["name"] for t in arguments if t["role"] == "output"]
        self.residuals = [residual["name"] for residual in manifest["residuals"]]
        self._required = [t["name"] for t in inputs if not t.get("optional")]
        self._optional = {t["name"] for t in arguments if t.get("optional")}
        self._main = next(
            t
            for t in inputs
            if not t.get("optional") and {"seq", "time"} <= {d["kind"] for d in t["dims"]}
        )
        self._plan = [
            (t["name"], t["role"] == "input", _TORCH_DTYPES[t["dtype"]], _extents(t))
            for t in arguments
        ]
        extents = (extent for *_, dims in self._plan for extent, _ in dims)
        self._slots = {extent for extent in extents if isinstance(extent, tuple)}
        # Rates, gates and states may come narrower; what a forward has saved may not.
        self._widened = {t["name"] for t in inputs if not t.get("residual")}

    def __repr__(self):
        inputs = ", ".join(self.inputs)
        return f"<wyvern program {self.name} for {self.target}: {inputs}, cu_seqlens>"

    def prepare(self, device=None):
        """Loads the kernels onto a device ahead of the first call there."""
        device = torch.device("cuda" if device is None else device)
        torch.empty(0, device=device)  # the context is torch's, not ours
        index = device.index if device.index is not None else torch.cuda.current_device()
        self._rt.prepare(index)
        if self._backward is not None:
            self._backward.prepare(device)

    def __call__(self, /, *, cu_seqlens=None, out=None, **inputs):
        """Runs the program on the current stream of the inputs' device.

        `cu_seqlens` (int32 or int64, on the device): the inputs are one batch of
        packed sequences. `out` maps output names to tensors to write into, or to
        None for an optional output that is not wanted; all others are allocated.
        Returns the outputs by name.

        Inputs may be views: those that the kernels cannot take (last stride not 1,
        rows not at multiples of 16 bytes) are copied. bf16 and fp16 values for an
        fp32 input (rates, gates, states) are converted.
        """
        out = out or {}
        self._check_names(inputs, out)
        main = inputs[self._main["name"]]
        device = main.device
        if device.type != "cuda":
            raise TypeError(
                f"{self.name}: '{self._main['name']}' is on {device}, but the program was "
                f"compiled for {self.target}: expected CUDA tensors"
            )
        refuse_grad(self.name, inputs.values())
        batch, tokens = self._batch_and_tokens(main)
        packed = -1
        if cu_seqlens is not None:
            self._check_device("cu_seqlens", cu_seqlens, device)
            expect_zero_first(cu_seqlens)
            packed = cu_seqlens.numel() - 1
        sizes = {"batch": batch, "tokens": tokens, "one": 1}
        sizes["sequences"] = batch if cu_seqlens is None else packed
        for slots in self._slots:
            sizes[slots] = self._count_slots(slots[1], batch, tokens, packed)
        arguments, outputs = [], {}
        for name, is_input, dtype, extents in self._plan:
            if is_input:
                tensor = inputs.get(name)
                if tensor is not None:
                    self._check_device(name, tensor, device)
                    if dtype is torch.float32 and tensor.dtype in _NARROW and name in self._widened:
                        tensor = tensor.float()
            elif name in out:
                tensor = outputs[name] = out[name]
            else:
                shape = [sizes[what] * factor for what, factor in extents]
                tensor = outputs[name] = self._empty(shape, dtype=dtype, device=device)
            arguments.append(tensor)
        size = self._rt.workspace_size(batch, tokens, packed)
        workspace = self._empty(size, dtype=torch.uint8, device=device)
        stream = torch.cuda.current_stream(device).cuda_stream
        self._rt.launch(
            arguments, device.index, cu_seqlens, workspace.data_ptr(), size, stream
        )
        return outputs

    def _count_slots(self, chunks, batch, tokens, packed):
        tokens_a_slot = chunks * self.manifest["chunk"]
        if packed >= 0:
            return tokens // tokens_a_slot + packed
        return batch * -(-tokens // tokens_a_slot)

    def _check_names(self, inputs, out):
        for given, known, what in ((inputs, self.inputs, "input"), (out, self.outputs, "output")):
            for name in given:
                if name not in known:
                    more = " and cu_seqlens" if what == "input" else ""
                    raise TypeError(
                        f"{self.name} has no {what} '{name}'; its {what}s are "
                        f"{', '.join(known)}{more}"
                    )
        for name in self._required:
            if inputs.get(name) is None:
                raise TypeError(f"{self.name}: '{name}' is missing")
        for name, tensor in out.items():
            if tensor is None and name not in self._optional:
                raise TypeError(f"{self.name}: '{name}' is missing")

    def _check_device(self, name, tensor, device):
        if tensor.device != device:
            raise TypeError(
                f"{self.name}: '{name}' is on {tensor.device}, "
                f"'{self._main['name']}' on {device}; expected one device"
            )

    def _batch_and_tokens(self, main):
        dims = self._main["dims"]
        if main.dim() != len(dims):
            raise ValueError(
                f"{self.name}: '{self._main['name']}' has {main.dim()} dimensions, "
                f"expected {len(dims)}"
            )
        sizes = {d["kind"]: (n, d.get("multiple", 1)) for d, n in zip(dims, main.shape)}
        tokens, multiple = sizes["time"]
        return sizes["seq"][0], tokens // multiple
