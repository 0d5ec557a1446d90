# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`wyvern.compile` and `wyvern.reference`: from a layer spec to something to call."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import weakref
from pathlib import Path
from typing import Any, Mapping, NamedTuple, Optional, Union

import numpy as np

from . import _arrays
from ._training import HasBackward, check_choice, refuse_grad

Spec = Union[str, "os.PathLike[str]", Mapping[str, Any]]

# Where a precision leaves the pipeline, without and with training. Both form the
# triangular factor of a chunk, so that a layer gives the same bits.
_PHASES = {
    "f32": ("staged", "differentiated"),
    "f64": ("staged", "differentiated"),
    "rounded": ("rounded", "rounded"),
}
# How chunk programs are divided into kernels, as wyvernc's --schedule.
_SCHEDULES = ("separate", "fused-blocks", "fused-warps")
# Inputs of which None means zeros, or no packing.
_OPTIONAL = ("initial_state", "d_final_state", "cu_seqlens")
_SUFFIXES = {".yaml": "yaml", ".yml": "yaml", ".json": "json", ".mlir": "mlir"}


class CompileError(ValueError):
    """A spec that does not compile; the message has the compiler's diagnostics."""


class _Source(NamedTuple):
    text: str
    name: str  # of the file, for diagnostics
    format: str  # yaml, json (a model's config) or mlir


class _Layer(NamedTuple):
    name: str  # empty for the only function of MLIR text
    module: str  # MLIR
    text: str  # its own spec, as YAML


def _compiler() -> Any:
    try:
        from . import _compiler
    except ImportError as error:
        raise ImportError(
            "this installation of wyvern has no compiler module (wyvern._compiler: "
            f"{error}); build with WYVERN_ENABLE_COMPILER=ON, or use wyvern.load on a bundle "
            "that wyvernc has made elsewhere"
        ) from None
    return _compiler


def _read_source(spec: Spec) -> _Source:
    if isinstance(spec, Mapping):
        is_model = "model_type" in spec
        return _Source(json.dumps(spec), "<dict>", "json" if is_model else "yaml")
    if not isinstance(spec, (str, os.PathLike)):
        raise TypeError(
            f"spec: expected a path, YAML or MLIR text, or a dict, found {type(spec).__name__}"
        )
    text = os.fspath(spec)
    if isinstance(spec, str) and ("\n" in text or ":" in text and not Path(text).exists()):
        is_mlir = "func.func" in text
        return _Source(text, "<string>", "mlir" if is_mlir else "yaml")
    path = Path(text)
    if path.suffix not in _SUFFIXES:
        raise CompileError(
            f"{path}: expected a file that ends in {', '.join(_SUFFIXES)}, or a spec as text"
        )
    try:
        return _Source(path.read_text(), str(path), _SUFFIXES[path.suffix])
    except OSError as error:
        raise CompileError(f"cannot read {path}: {error.strerror}") from None


def _read_layer(source: _Source, layer: Optional[str], dtype: str = "") -> _Layer:
    """The one layer of a spec, or the one of that name."""
    if source.format == "mlir":
        try:
            _compiler().check_mlir(source.text)
        except ValueError as error:
            raise CompileError(f"{source.name}: {error}") from None
        return _Layer(layer or "", source.text, "")
    try:
        layers = _compiler().read_spec(source.text, source.name, source.format, dtype)
    except ValueError as error:
        raise CompileError(str(error)) from None
    for name, module, text in layers:
        if name == layer or layer is None and len(layers) == 1:
            return _Layer(name, module, text)
    names = ", ".join(name for name, _, _ in layers)
    wanted = "one layer; say which with layer=" if layer is None else f"a layer {layer!r}"
    raise CompileError(f"{source.name}: expected {wanted}, found {names}")


def compile(
    spec: Spec,
    target: str = "sm_90a",
    *,
    precision: Optional[str] = None,
    layer: Optional[str] = None,
    output: Optional[Union[str, "os.PathLike[str]"]] = None,
    training: bool = False,
    save: Optional[str] = None,
    schedule: Optional[str] = None,
    segment_tokens: int = 0,
) -> Any:
    """Compiles one layer to a program that is called with its tensors by name.

    spec
        A path to a spec (.yaml), a model's config.json or MLIR (.mlir); YAML or MLIR
        text; or a dict with a spec's keys.
    target
        "sm_90a" (a GPU program, called with CUDA tensors) or "cpu" (`CpuProgram`).
    precision
        For the CPU: "f32" (the default) computes in float32 on inputs of the spec's
        dtype, "f64" has every tensor in float64, "rounded" rounds matmul operands
        where the GPU program does and is the judge of its error.
    layer
        Which layer, by name, where a config.json has several.
    output
        For a GPU: the bundle folder to write; without it, one that goes away with
        the program.
    training
        Derives the backward too. The program then returns its residuals as further
        outputs (`program.residuals` has their names), and `program.backward` is the
        program that takes them and `d_o` (and `d_final_state`) to `d_q`, `d_k`, ...
    save
        What the residuals are: "factor" (the default: the triangular factor of each
        chunk), "checkpoints" (that, and the states that enter every 8th chunk) or "none"
        (the backward computes everything again).
    schedule
        For the CPU, with precision "rounded": runs the kernels of that strategy
        ("separate", "fused-blocks", "fused-warps"; wyvernc --schedule) instead of the
        chunk programs that they are made of. The bits are the same, or the schedule is
        wrong. MLIR that holds kernels already needs no schedule.
    segment_tokens
        Cuts sequences into segments of so many tokens that run at once, exactly
        (wyvernc --segment-tokens): for few long sequences with few heads. 0: none.

    Raises CompileError (a ValueError) with the compiler's diagnostics, and ImportError
    or FileNotFoundError where the compiler is not installed.
    """
    save = check_choice(training, save)
    if segment_tokens < 0:
        raise ValueError(f"segment_tokens: expected at least 0, found {segment_tokens}")
    if target == "cpu":
        if output is not None:
            raise ValueError("output: a CPU program has no bundle; leave it out")
        return _compile_cpu(
            _read_source(spec),
            precision or "f32",
            layer,
            training,
            save,
            schedule,
            segment_tokens,
        )
    if schedule is not None:
        raise ValueError("schedule: only target='cpu' has a choice; leave it out")
    if precision is not None:
        raise ValueError("precision: only target='cpu' has a choice; leave it out")
    flags = ["--training", f"--save={save}"] if training else []
    flags += [f"--segment-tokens={segment_tokens}"] if segment_tokens else []
    return _compile_bundle(_read_source(spec), target, layer, output, flags)


def _compile_cpu(
    source: _Source,
    precision: str,
    layer: Optional[str],
    training: bool,
    save: str,
    schedule: Optional[str],
    segment_tokens: int,
) -> "CpuProgram":
    if precision not in _PHASES:
        raise ValueError(f"precision: expected {', '.join(_PHASES)}, found {precision!r}")
    if precision == "f64" and source.format == "mlir":
        raise ValueError("precision: MLIR says its own types; write f64 there")
    if schedule is not None and schedule not in _SCHEDULES:
        raise ValueError(f"schedule: expected {', '.join(_SCHEDULES)}, found {schedule!r}")
    if schedule is not None and precision != "rounded":
        raise ValueError("schedule: kernels round, so it needs precision='rounded'")
    name, module, _ = _read_layer(source, layer, "f64" if precision == "f64" else "")
    operand_type = "bf16"
    if precision == "rounded":
        operand_type = "f16" if "xf16>" in module else "bf16"
        if "xf16>" not in module and "xbf16>" not in module:
            raise CompileError(
                f"{source.name}: precision='rounded' needs a spec with dtype bf16 or f16"
            )
    phase = "scheduled" if schedule else _PHASES[precision][training]
    if segment_tokens and phase in ("wy", "differentiated"):
        phase = "staged"

    def compile_part(backward: bool) -> Any:
        try:
            return _compiler().compile_cpu(
                module,
                name,
                phase,
                operand_type,
                training,
                save,
                backward,
                schedule or "separate",
                segment_tokens,
            )
        except ValueError as error:
            raise CompileError(str(error)) from None

    forward = compile_part(False)
    backward = CpuProgram(compile_part(True), precision) if forward.has_backward else None
    return CpuProgram(forward, precision, backward)


class _Tensor(NamedTuple):
    name: str
    dtype: str
    shape: list[int]  # -1 where only a call tells
    dims: list[tuple[str, int]]  # what each dimension is, and its rows a token
    is_gate: bool
    is_residual: bool


class CpuProgram(HasBackward):
    """A program for this machine's CPU. Call it with its inputs by name.

    Deterministic: the same inputs give the same bits, whatever else is in the batch.
    """

    target = "cpu"

    def __init__(self, compiled: Any, precision: str, backward: Optional["CpuProgram"] = None):
        self._compiled = compiled
        self._backward = backward
        self.name: str = compiled.name
        self.precision = precision
        self.inputs = {t.name: t for t in map(_Tensor._make, compiled.inputs)}
        self.outputs = {t.name: t for t in map(_Tensor._make, compiled.results)}
        self.residuals = [name for name, t in self.outputs.items() if t.is_residual]
        timed = (name for name, t in self.inputs.items() if "time" in dict(t.dims))
        self._main = next(timed, next(iter(self.inputs), ""))

    def __repr__(self) -> str:
        def show(tensors):
            return ", ".join(
                f"{t.name}: {t.dtype}[{', '.join('?' if n < 0 else str(n) for n in t.shape)}]"
                for t in tensors.values()
            )

        return f"<wyvern CPU program {self.name}({show(self.inputs)}) -> {show(self.outputs)}>"

    def __call__(self, /, *, cu_seqlens: Any = None, **inputs: Any) -> dict[str, Any]:
        """Runs the program; the outputs by name, as NumPy arrays (or as torch tensors,
        where the inputs are).

        Shapes are those of the spec's operands: q, k, v are [B, T, heads, dim] in the
        spec's dtype, rates and gates [B, T, heads] (a channel gate [B, T, heads, dim])
        and states [N, heads, K, V] in float32. Any strides do. bf16 arrays are uint16
        bits, ml_dtypes or torch (see `to_bf16`).

        initial_state and d_final_state default to zeros. cu_seqlens (int32 or int64 [N + 1]) says that
        the one batch row holds N sequences; rows past its last entry come out as zeros.

        Raises TypeError for names and dtypes, ValueError for shapes, for a cu_seqlens
        that leaves the tokens, and for a positive log decay (checked here and in
        `reference`; on a GPU it is a precondition).
        """
        self._check_names(inputs)
        refuse_grad(self.name, inputs.values())
        if cu_seqlens is not None:
            inputs["cu_seqlens"] = _check_cu_seqlens(self.name, cu_seqlens)
        arrays = []
        for name, tensor in self.inputs.items():
            if inputs.get(name) is None:
                inputs[name] = self._default(tensor, inputs)
            try:
                array = _arrays.as_storage(
                    name, inputs[name], tensor.dtype, exact=tensor.is_residual
                )
            except TypeError as error:
                raise TypeError(f"{self.name}: {error}") from None
            if tensor.is_gate:
                _check_gate(self.name, name, array)
            arrays.append(array)
        try:
            results = self._compiled.run(arrays)
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from None
        like = inputs[self._main]
        return {
            name: _arrays.as_result(result, self.outputs[name].dtype, like)
            for name, result in zip(self.outputs, results)
        }

    def _check_names(self, inputs: Mapping[str, Any]) -> None:
        for name in inputs:
            if name not in self.inputs:
                raise TypeError(
                    f"{self.name} has no input '{name}'; its inputs are {', '.join(self.inputs)}"
                )
        for name in self.inputs:
            if inputs.get(name) is None and name not in _OPTIONAL:
                raise TypeError(f"{self.name}: '{name}' is missing")

    def _default(self, tensor: _Tensor, inputs: Mapping[str, Any]) -> np.ndarray:
        """No packing, or zeros of one state a sequence."""
        dtype = _arrays.STORAGE[tensor.dtype]
        if tensor.name == "cu_seqlens":
            return np.zeros(0, dtype=dtype)
        offsets = inputs.get("cu_seqlens")
        is_packed = offsets is not None and len(offsets) > 0
        sequences = len(offsets) - 1 if is_packed else inputs[self._main].shape[0]
        return np.zeros([sequences, *tensor.shape[1:]], dtype=dtype)


def _check_cu_seqlens(program: str, value: Any) -> Any:
    dtype = str(getattr(value, "dtype", type(value).__name__)).replace("torch.", "")
    shape = tuple(getattr(value, "shape", ()))
    if dtype not in ("int32", "int64") or len(shape) != 1 or shape[0] == 0:
        raise TypeError(
            f"{program}: cu_seqlens: expected int32 or int64 of shape [sequences + 1], found "
            f"{dtype} of shape {list(shape)}"
        )
    return value


def _check_gate(program: str, name: str, gate: np.ndarray) -> None:
    if gate.size and (gate > 0).any():
        raise ValueError(
            f"{program}: {name}: expected log decays, none above 0, found {gate.max():g}; pass "
            "log(alpha) for a decay factor alpha"
        )


def reference(spec: Spec, /, *, layer: Optional[str] = None, **inputs: Any) -> dict[str, np.ndarray]:
    """The float64 reference: the layer's recurrence, token by token.

    Takes the spec and the inputs of `compile` and `CpuProgram.__call__`, in any float
    dtype (uint16 is read as bf16 bits where the spec's dtype is bf16). Returns float64
    arrays: o [B, T, heads, V] and final_state [N, heads, K, V].

    Raises CompileError for the spec, ValueError or TypeError for the inputs.
    """
    source = _read_source(spec)
    name, module, _ = _read_layer(source, layer)
    is_bf16 = "xbf16>" in module
    inputs = {key: value for key, value in inputs.items() if value is not None}
    if "cu_seqlens" in inputs:
        _check_cu_seqlens(name, inputs["cu_seqlens"])
    arrays = {
        key: _arrays.as_float64(key, value, is_bf16 and key != "cu_seqlens")
        for key, value in inputs.items()
    }
    if "g" in arrays:
        _check_gate(name, "g", arrays["g"])
    results = _compiler().interpret(module, arrays)
    return {key: np.asarray(result) for key, result in results.items()}


def _find_wyvernc() -> str:
    """$WYVERNC, beside the package, in the build tree, or on PATH."""
    package = Path(__file__).parent
    candidates = [
        os.environ.get("WYVERNC"),
        package / "bin" / "wyvernc",
        package.parent.parent / "bin" / "wyvernc",
        shutil.which("wyvernc"),
    ]
    for candidate in candidates:
        if candidate and os.access(candidate, os.X_OK):
            return os.fspath(candidate)
    raise FileNotFoundError(
        "wyvernc is not installed: expected it in $WYVERNC, beside the package or on PATH; "
        "build it with scripts/setup"
    )


def _compile_bundle(
    source: _Source,
    target: str,
    layer: Optional[str],
    output: Optional[Union[str, "os.PathLike[str]"]],
    flags: list[str],
) -> Any:
    # In a process of its own: an error inside LLVM's code generator ends it.
    wyvernc = _find_wyvernc()
    text, suffix = source.text, source.format
    if source.format == "json":
        text, suffix = _read_layer(source, layer).text, "yaml"
    scratch = tempfile.mkdtemp(prefix="wyvern-")
    try:
        file = Path(scratch) / f"input.{suffix}"
        file.write_text(text)
        folder = Path(output) if output is not None else Path(scratch) / "bundle"
        command = [wyvernc, str(file), f"--arch={target}", "--emit=bundle", "-o", str(folder)]
        command += flags
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            message = done.stderr.replace(str(file), source.name).strip()
            raise CompileError(message or f"wyvernc ended with status {done.returncode}")
        from .program import load

        program = load(folder)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    weakref.finalize(program, shutil.rmtree, scratch, ignore_errors=True)
    return program
