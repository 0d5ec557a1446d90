# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`wyvern.compile`: from a layer spec to a program."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import weakref
from pathlib import Path
from typing import Any, Mapping, Optional, Sequence, Union

from .asked import Asked, pool_of, saved
from .cpu import CpuProgram, describe_tensors
from .gpu import Program, load
from .programs import CompiledProgram, TensorInfo
from .specs import (
    CompileError,
    Source,
    Spec,
    compiler_module,
    compiler_package,
    read_layer,
    read_source,
)
from .steps import Epilogue, Pool

# Where a precision leaves the pipeline, without and with training. Both form the
# triangular factor of a chunk, so that a layer gives the same bits.
_PHASES = {
    "f32": ("staged", "differentiated"),
    "f64": ("staged", "differentiated"),
    "rounded": ("rounded", "rounded"),
}


def compile(
    spec: Spec,
    target: str = "sm_90a",
    *,
    precision: Optional[str] = None,
    layer: Optional[str] = None,
    output: Optional[Union[str, "os.PathLike[str]"]] = None,
    training: bool = False,
    save: Optional[str] = None,
    save_bytes: Optional[int] = None,
    schedule: Optional[str] = None,
    segment_tokens: int = 0,
    variants: Optional[Union[str, Sequence[str]]] = None,
    serving: Union[bool, Pool] = False,
    entry: str = "step",
    prologue: Sequence[str] = (),
    epilogue: Optional[Epilogue] = None,
) -> CompiledProgram:
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
        What the residuals are: "factor" (the triangular factor of each chunk, the default on
        the CPU), "checkpoints" (that, and the states that enter every 8th chunk), "states"
        (that, and the states and what they take of every chunk: the most memory, and the
        fastest backward), "none" (the backward computes everything again) or "auto" (states or
        factor, as the compiler chooses by memory and time: the default for a GPU); wyvernc --save.
    save_bytes
        With save="auto": what states may take of memory, in bytes of a row (a token has `repeat`
        of them) and value head; 0 for any. wyvernc --save-bytes has the default, 1331.
    schedule
        Compiles one variant for a GPU, by how chunk programs are divided into kernels:
        "separate", "fused-blocks", "fused-warps", "fused-backward", "clustered-backward";
        wyvernc --schedule. For the CPU, with precision "rounded", runs the kernels of that strategy instead of the chunk programs that
        they are made of. The bits are the same, or the schedule is wrong. MLIR that holds
        kernels already needs no schedule.
    segment_tokens
        Cuts sequences into segments of so many tokens that run at once, exactly
        (wyvernc --segment-tokens): for few long sequences with few heads. 0: none. For a
        GPU this too is one variant.
    variants
        For a GPU: which variants the program holds, of which a call takes the one that is
        estimated to be the fastest for its shapes: "auto" (the default, those worth having)
        or a list of "separate", "fused-blocks", "fused-warps", "segments" (of a length that
        the call's shapes decide, also behind the others: "fused-warps-segments"),
        "segments-<tokens>"; wyvernc --variants. With `training` there is one, and with saved states those of its
        forward and those of its backward.
    serving
        Compiles the step of decoding in the place of the layer: a program with `step`,
        `verify` and `commit` on a pool of states. True, or a `Pool` that says what that is;
        wyvernc --serving.
    entry
        With `serving`, what is made: "step", or "prefill", the layer's program of prompts with
        its states in that pool: a program with `prefill`. "prefill-keep" is that with states
        that are kept on the way.
    prologue
        What the program computes of its operands, which come as they leave a model's
        projections; with `training` their gradients too. "norm": q and keys come without
        their L2 norm. "rates": they are max_rate times the sigmoid of `b`. "decay": its
        logarithm is -exp(A_log) softplus(a + dt_bias), or with a lower_bound in the spec
        lower_bound sigmoid(exp(A_log) (a + dt_bias)). "gates": decay and rates. "scale": o is
        multiplied by `scale` [value heads], which has no gradient, in the place of the spec's.
        "conv", with `serving`: q, keys and values come in front of a causal convolution of four
        tokens and a SiLU, with filters such as `q_filter` [heads, dim, 4] and pools of the rows in
        front, such as `q_window` [slots, 3, heads, dim], in place.
    epilogue
        With `serving`, of a step: the norm and the gate that it computes of its output, an
        `Epilogue`; wyvernc --epilogue.

    Raises CompileError (a ValueError) with the compiler's diagnostics, and ImportError
    or FileNotFoundError where the compiler is not installed.
    """
    divided = bool(schedule or segment_tokens or variants is not None)
    asked = Asked(
        training=training,
        save=saved(training, save, target),
        save_bytes=save_bytes,
        schedule=schedule,
        segment_tokens=segment_tokens,
        variants=variants,
        pool=pool_of(serving, entry, training, divided),
        entry=entry,
        prologue=prologue,
        epilogue=epilogue,
    )
    asked.check(target)
    if target == "cpu":
        if output is not None:
            raise ValueError("output: a CPU program has no bundle; leave it out")
        return _compile_cpu(read_source(spec), precision or "f32", layer, asked)
    if precision is not None:
        raise ValueError("precision: only target='cpu' has a choice; leave it out")
    return _compile_bundle(read_source(spec), target, layer, output, asked.flags())


def _compile_cpu(source: Source, precision: str, layer: Optional[str], asked: Asked) -> CpuProgram:
    if precision not in _PHASES:
        raise ValueError(f"precision: expected {', '.join(_PHASES)}, found {precision!r}")
    if precision == "f64" and source.format == "mlir":
        raise ValueError("precision: MLIR says its own types; write f64 there")
    if asked.schedule is not None and precision != "rounded":
        raise ValueError("schedule: kernels round, so it needs precision='rounded'")
    found = read_layer(source, layer, "f64" if precision == "f64" else "")
    operand_type = found.narrow_type
    if precision == "rounded" and operand_type is None:
        raise CompileError(
            f"{source.name}: precision='rounded' needs a spec with dtype bf16 or f16"
        )
    phase = "scheduled" if asked.schedule else _PHASES[precision][asked.training]
    # A step rounds nothing: what is left to judge is the kernel's schedule.
    if asked.pool is not None and asked.entry == "step" and precision == "rounded":
        phase = "scheduled"
    if asked.segment_tokens and phase in ("wy", "differentiated"):
        phase = "staged"

    def compile_part(backward: bool) -> Any:
        try:
            return compiler_module().compile_cpu(
                found.module,
                found.name,
                phase,
                operand_type or "bf16",
                asked.training,
                asked.save,
                backward,
                asked.schedule or "separate",
                asked.segment_tokens,
                "" if asked.pool is None else asked.entry,
                *(asked.pool or Pool()),
                list(asked.prologue),
                asked.behind.parts,
                asked.behind.epsilon,
                **({} if asked.save_bytes is None else {"save_bytes": asked.save_bytes}),
            )
        except ValueError as error:
            raise CompileError(str(error)) from None

    forward = compile_part(False)
    backward = CpuProgram(compile_part(True), precision) if forward.has_backward else None
    return CpuProgram(forward, precision, backward, "kv" if asked.pool is None else asked.pool.layout)


def describe(spec: Spec) -> tuple[Mapping[str, TensorInfo], Mapping[str, TensorInfo]]:
    """Returns the inputs and the outputs of the forward that training of a layer runs, as
    its GPU program has them. Takes a second; a program's own description is for free."""
    found = read_layer(read_source(spec), None)
    try:
        compiled = compiler_module().compile_cpu(
            found.module, found.name, "rounded", found.narrow_type or "bf16", training=True
        )
    except ValueError as error:
        raise CompileError(str(error)) from None
    return describe_tensors(compiled.inputs), describe_tensors(compiled.results)


def find_wyvernc() -> str:
    """Returns the compiler driver: $WYVERNC, beside the package, in the wheel wyvern-compiler,
    in the build tree, or on PATH. Raises FileNotFoundError where there is none."""
    package = Path(__file__).parents[1]
    installed = compiler_package()
    candidates = [
        os.environ.get("WYVERNC"),
        package / "bin" / "wyvernc",
        installed and installed.WYVERNC,
        package.parent.parent / "bin" / "wyvernc",
        shutil.which("wyvernc"),
    ]
    for candidate in candidates:
        if candidate and os.access(candidate, os.X_OK):
            return os.fspath(candidate)
    raise FileNotFoundError(
        "wyvernc is not installed: expected it in $WYVERNC, beside the package, in the wheel "
        "wyvern-compiler or on PATH; type: pip install wyvern-compiler, or build it with scripts/setup"
    )


def _compile_bundle(
    source: Source,
    target: str,
    layer: Optional[str],
    output: Optional[Union[str, "os.PathLike[str]"]],
    flags: list[str],
) -> Program:
    # In a process of its own: an error inside LLVM's code generator ends it.
    wyvernc = find_wyvernc()
    text, suffix = source.text, source.format
    if source.format == "json":
        text, suffix = read_layer(source, layer).text, "yaml"
    scratch = tempfile.mkdtemp(prefix="wyvern-")
    try:
        file = Path(scratch) / f"input.{suffix}"
        file.write_text(text, encoding="utf-8")
        folder = Path(output) if output is not None else Path(scratch) / "bundle"
        command = [wyvernc, str(file), f"--arch={target}", "--emit=bundle", "-o", str(folder)]
        command += flags
        done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
        if done.returncode != 0:
            message = done.stderr.replace(str(file), source.name).strip()
            raise CompileError(message or f"wyvernc ended with status {done.returncode}")
        program = load(folder)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    weakref.finalize(program, shutil.rmtree, scratch, ignore_errors=True)
    return program
