# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiled bundles, called with a framework's tensors by name.

    program = wyvern.load("delta_net.wyvern")
    out = program(q=q, k=k, v=v, beta=beta)       # {"o": ..., "final_state": ...}

Nothing here waits for the GPU or reads device data; a call can be captured into a
CUDA graph once the program has been prepared on the device (the first call does it).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterable, Mapping, Optional, Union

from .. import _rt
from .manifest import BundleError, Folder, Manifest, backward_manifest, check_images, read_manifest
from .pieces import InPieces
from .programs import HasBackward, TensorInfo, refuse_grad, wants_grad
from .prompts import Prefills
from .signature import count_slots
from .steps import Decodes
from .tensors import TensorAdaptor, adaptor_of, installed_adaptor

# What a dimension's extent is a multiple of: a count by its name, or slots of some chunks.
_Count = Union[str, tuple[str, int]]


def load(folder: Folder, variant: Optional[str] = None) -> "Program":
    """Loads a bundle folder. Needs no GPU and no framework before the first call.

    variant
        The one that every call runs, by name; without it each call runs the one that is
        estimated to be the fastest for its shapes (`Program.choose`). Within a variant a
        sequence gives the same bits alone, in a batch and packed.

    Raises BundleError for a folder that is no bundle, is damaged or of another version,
    ValueError for a variant that it does not have.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    try:
        check_images(manifest, folder)
        backward = None
        if manifest["backward"] is not None:
            backward = Program(backward_manifest(manifest), folder)
        program = Program(manifest, folder, backward)
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, BundleError):
            raise
        what = f"no {error}" if isinstance(error, KeyError) else error
        raise BundleError(f"{folder / 'manifest.json'} is malformed: {what}") from error
    if variant is not None:
        program.force_variant(variant)
    return program


def _extents(desc: Mapping[str, Any]) -> list[tuple[_Count, int]]:
    """The dimensions of a tensor as (what is counted, factor)."""
    timed = any(dim["kind"] == "time" for dim in desc["dims"])
    counted = {"seq": "batch" if timed else "sequences", "time": "tokens"}
    return [
        (("slots", dim["multiple"]), 1)
        if dim["kind"] == "chunk"
        else (counted.get(dim["kind"], "one"), dim.get("size") or dim.get("multiple") or 1)
        for dim in desc["dims"]
    ]


def _info(desc: Mapping[str, Any], decay: Optional[str]) -> TensorInfo:
    return TensorInfo(
        name=desc["name"],
        dtype=desc["dtype"],
        shape=[dim.get("size", -1) for dim in desc["dims"]],
        dims=[(dim["kind"], dim.get("multiple", 1)) for dim in desc["dims"]],
        is_gate=None if decay is None else desc["name"] == "g" and decay != "none",
        is_residual=bool(desc.get("residual")),
        optional=bool(desc.get("optional")),
        in_place=bool(desc.get("in_place")),
    )


def _infos(
    arguments: Iterable[Mapping[str, Any]], role: str, decay: Optional[str]
) -> Mapping[str, TensorInfo]:
    return {t["name"]: _info(t, decay) for t in arguments if t["role"] == role}


class Program(HasBackward, Decodes, Prefills, InPieces):
    """A compiled program. Call it with its inputs by name."""

    # Tests put a function here that poisons the memory; None is the framework's own.
    _empty: Any = None

    def __init__(self, manifest: Manifest, folder: Path, backward: Optional["Program"] = None):
        self.manifest = manifest
        self.folder = folder
        self._backward = backward
        self._pieces = {}
        self.name: str = manifest["name"]
        self.target: str = manifest["target"]
        self._rt = _rt.Program(manifest, str(folder))
        arguments = manifest["tensors"]
        self.variants: list[str] = [variant["name"] for variant in manifest["variants"]]
        spec = manifest.get("spec")
        decay = spec.get("decay") if isinstance(spec, dict) else None
        self.inputs = _infos(arguments, "input", decay)
        self.outputs = _infos(arguments, "output", decay)
        self._state_layout = manifest.get("state_layout", "any (strides)")
        kept = self.inputs.get("keep_slots")
        self.kept_chunk: int = kept.dims[0][1] * manifest["chunk"] if kept else 0
        self.residuals: list[str] = [residual["name"] for residual in manifest["residuals"]]
        self._main = next(
            t
            for t in self.inputs.values()
            if not t.optional and {"seq", "time"} <= {kind for kind, _ in t.dims}
        )
        self._plan = [
            (t["name"], t["role"] == "input", t["dtype"], _extents(t)) for t in arguments
        ]
        self._slots = {
            count for *_, dims in self._plan for count, _ in dims if isinstance(count, tuple)
        }
        self._bits = {name: 1 << i for i, name in enumerate(self.outputs)}
        # Rates, gates and states may come narrower; what a forward has saved may not.
        self._widened = {
            t.name
            for t in self.inputs.values()
            if t.dtype == "f32" and not t.is_residual and not t.in_place
        }

    def __repr__(self) -> str:
        inputs = ", ".join(self.inputs)
        return f"<wyvern program {self.name} for {self.target}: {inputs}, cu_seqlens>"

    def prepare(self, device: Any = None) -> None:
        """Loads the kernels onto a device (the framework's own name for it, default the
        current one) ahead of the first call there."""
        self._rt.prepare(installed_adaptor().prepare(device))
        if self._backward is not None:
            self._backward.prepare(device)

    def choose(self, batch: int, tokens: int, packed_sequences: int = -1) -> str:
        """Returns the name of the variant that a call of these shapes runs: a function of
        these numbers alone, and of the variant that is forced. `batch` and `tokens` are B
        and T of the inputs; `packed_sequences` is len(cu_seqlens) - 1, or -1 without
        cu_seqlens. Raises wyvern.RuntimeError for numbers that no call has."""
        return self._rt.choose(batch, tokens, packed_sequences)

    def force_variant(self, name: Optional[str]) -> None:
        """Has every call from now on run the variant of this name, one of `variants`; None:
        by shapes again. Behind "segments" or "parts" may stand how many tokens segments are
        to have ("fused-warps-segments-4096"). Raises ValueError for another name."""
        known, _, tokens = (name or "").rpartition("-")
        sized = known.endswith(("segments", "parts")) and known in self.variants and tokens.isdigit() and int(tokens) > 0
        if name is not None and name not in self.variants and not sized:
            raise ValueError(
                f"{self.name} has no variant {name!r}; its variants are {', '.join(self.variants)}"
            )
        self._rt.force_variant(name)

    def __call__(
        self, /, *, cu_seqlens: Any = None, out: Optional[Mapping[str, Any]] = None, **inputs: Any
    ) -> dict[str, Any]:
        """Runs the program on the current stream of the inputs' device.

        `cu_seqlens` (int32 or int64, on the device): the inputs are one batch of
        packed sequences. `out` maps output names to tensors to write into, or to
        None for an optional output that is not wanted; all others are allocated.
        Returns the outputs by name.

        Inputs may be views: those that the kernels cannot take (last stride not 1,
        rows not at multiples of 16 bytes) are copied. bf16 and fp16 values for an
        fp32 input (rates, gates, states) are converted.

        Raises TypeError for names, dtypes and devices, ValueError and
        wyvern.RuntimeError for shapes.
        """
        out = out or {}
        self._check_names(inputs, out)
        main = inputs[self._main.name]
        adaptor = self._adaptor(main)
        refuse_grad(self.name, inputs.values())
        if cu_seqlens is not None:
            self._check_device("cu_seqlens", cu_seqlens, main.device)
            adaptor.expect_zero_first(cu_seqlens)
        if all(x is None for x in out.values()):
            given = tuple(map(inputs.get, self.inputs))
            results = self.run_as_is(adaptor, given, cu_seqlens, out)
            if results is not None:
                return dict(zip(self.outputs, results))
        return self._run_on_copies(adaptor, inputs, cu_seqlens, out)

    def run_as_is(
        self,
        adaptor: TensorAdaptor,
        inputs: tuple[Any, ...],
        cu_seqlens: Any,
        skipped: Iterable[str] = (),
    ) -> Optional[tuple[Any, ...]]:
        """Runs the program on inputs in its order, tensors [B, T, heads, dim] of the
        framework that `adaptor` is for, None where one is left out, without asking what a
        call asks. Returns the outputs in order, None in the place of those that are
        skipped; or None where an input is not as the kernels take it, after which nothing has
        been run. cu_seqlens starts with 0."""
        if adaptor.exchange is None or self._empty is not None:
            return None
        bits = 0
        for name in skipped:
            bits |= self._bits[name]
        return self._rt.run_as_is(adaptor.exchange, inputs, cu_seqlens, bits)

    def _advance(
        self,
        state: Any,
        read_slots: Any,
        write_slots: Any,
        lengths: Any,
        inputs: Mapping[str, Any],
        out: Any = None,
    ) -> Any:
        """As Decodes: the shortest way to the kernel, and the long one to say what is wrong."""
        given = {
            **inputs,
            "state": state,
            "read_slots": read_slots,
            "write_slots": write_slots,
            "lengths": lengths,
        }
        o = self.advance_as_is(given, out)
        if o is not None:
            return o
        refuse_grad(self.name, (*given.values(), out))
        return super()._advance(state, read_slots, write_slots, lengths, inputs, out)

    def advance_as_is(self, given: dict[str, Any], out: Any = None) -> Any:
        """Runs a program that decodes on `given`, all its inputs by name, None where one is left out,
        and returns o: `out`, if there is one. Returns None where one of them is not as the kernel takes it, is
        missing or requires grad, after which nothing has been run."""
        adaptor = adaptor_of(given.get(self._main.name))
        if adaptor is None or adaptor.exchange is None or self._empty is not None or not self.decodes:
            return None
        return self._rt.advance(adaptor.exchange, given, wants_grad(), out)

    def _run_on_copies(
        self,
        adaptor: TensorAdaptor,
        inputs: Mapping[str, Any],
        cu_seqlens: Any,
        out: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Runs the program on what it can be brought to take, or says what is wrong."""
        main = inputs[self._main.name]
        device = main.device
        batch, tokens = self._batch_and_tokens(main)
        packed = -1 if cu_seqlens is None else cu_seqlens.numel() - 1
        sizes: dict[_Count, int] = {"batch": batch, "tokens": tokens, "one": 1}
        sizes["sequences"] = batch if cu_seqlens is None else packed
        for slots in self._slots:
            sizes[slots] = self._count_slots(slots[1], batch, tokens, packed)
        empty = self._empty or adaptor.empty
        arguments, outputs = [], {}
        for name, is_input, dtype, extents in self._plan:
            if is_input:
                tensor = inputs.get(name)
                if tensor is not None:
                    self._check_device(name, tensor, device)
                    if name in self._widened:
                        tensor = adaptor.widen(tensor)
            elif name in out:
                tensor = outputs[name] = out[name]
                if tensor is not None:
                    self._check_device(name, tensor, device)
            else:
                shape = [sizes[count] * factor for count, factor in extents]
                tensor = outputs[name] = empty(shape, dtype=adaptor.dtypes[dtype], device=device)
            arguments.append(tensor)
        size = self.workspace_size(batch, tokens, packed)
        workspace = empty(size, dtype=adaptor.dtypes["u8"], device=device)
        self._rt.launch(
            adaptor.framework,
            arguments,
            device.index,
            cu_seqlens,
            workspace.data_ptr(),
            size,
            adaptor.stream(device),
        )
        return outputs

    def add_for_xla(self, name: str) -> None:
        """Makes it known to XLA's handler (_rt.xla_handler) by this name, for good."""
        self._rt.add_for_xla(name)

    def workspace_size(self, batch: int, tokens: int, packed: int) -> int:
        """Returns the bytes of memory that a call of B = batch, T = tokens needs, at a
        multiple of _rt.WORKSPACE_ALIGNMENT; `packed` is the number of packed sequences, or -1.
        Raises wyvern.RuntimeError for numbers that no call has."""
        return self._rt.workspace_size(batch, tokens, packed)

    def _adaptor(self, main: Any) -> TensorAdaptor:
        adaptor = adaptor_of(main)
        if adaptor is not None and adaptor.is_gpu(main.device):
            return adaptor
        kind = type(main)
        found = f"on {main.device}" if adaptor else f"a {kind.__module__}.{kind.__qualname__}"
        raise TypeError(
            f"{self.name}: '{self._main.name}' is {found}, but the program was "
            f"compiled for {self.target}: expected CUDA tensors of torch (JAX's arrays are taken by "
            "wyvern.jax.op(program))"
        )

    def _count_slots(self, chunks: int, batch: int, tokens: int, packed: int) -> int:
        length = chunks * int(self.manifest["chunk"])
        return int(count_slots(length, batch, tokens, packed if packed >= 0 else None))

    def _check_names(self, inputs: Mapping[str, Any], out: Mapping[str, Any]) -> None:
        for given, known, what in ((inputs, self.inputs, "input"), (out, self.outputs, "output")):
            for name in given:
                if name not in known:
                    more = " and cu_seqlens" if what == "input" else ""
                    raise TypeError(
                        f"{self.name} has no {what} '{name}'; its {what}s are "
                        f"{', '.join(known)}{more}"
                    )
        for name, tensor in self.inputs.items():
            if inputs.get(name) is None and not tensor.optional:
                raise TypeError(f"{self.name}: '{name}' is missing")
        for name, given in out.items():
            if given is None and not self.outputs[name].optional:
                raise TypeError(f"{self.name}: '{name}' is missing")

    def _check_device(self, name: str, tensor: Any, device: Any) -> None:
        if getattr(tensor, "device", None) != device:
            raise TypeError(
                f"{self.name}: '{name}' is on {getattr(tensor, 'device', 'no device')}, "
                f"'{self._main.name}' on {device}; expected one device"
            )

    def _batch_and_tokens(self, main: Any) -> tuple[int, int]:
        dims = self._main.dims
        if len(main.shape) != len(dims):
            raise ValueError(
                f"{self.name}: '{self._main.name}' has {len(main.shape)} dimensions, "
                f"expected {len(dims)}"
            )
        sizes = {kind: n // rows for (kind, rows), n in zip(dims, main.shape)}
        return sizes["seq"], sizes["time"]
