# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The program that serves a layer on a device, or an error that says why there is none."""

from __future__ import annotations

import os
from typing import Any, Optional, Sequence

import wyvern

from . import bundles
from .gpu import Program, load
from .layers import CHOSEN, PlainSpec, Saved, describe, saves_states
from .programs import CompiledProgram
from .steps import Epilogue, Pool


def target_of(device: str, major: int, minor: int) -> str:
    """Returns the architecture that programs for a GPU are compiled for."""
    if (major, minor) == (9, 0):
        return "sm_90a"
    raise NotImplementedError(
        f"{device} is sm_{major}{minor}; this version of wyvern has kernels for sm_90a (H100, H200)"
    )


def for_gpu(spec: PlainSpec, target: str, saved: Saved) -> Program:
    """Returns a program that saves this for its backward, prebuilt, from the cache or
    compiled into it."""
    folder = bundles.find_bundle(spec, target, saved)
    if folder is None:
        try:
            folder = bundles.compile_into_cache(spec, target, saved)
        except (ImportError, FileNotFoundError) as error:
            what, flag = ("kernel", "") if saved is None else ("training kernels", " --training")
            if saved not in (None, CHOSEN):
                flag += f" --save={saved}" if isinstance(saved, str) else " --save=factor"
            raise NotImplementedError(
                f"no prebuilt {what} for {describe(spec)} on {target} in {bundles.PREBUILT} or "
                f"{bundles.cache_folder()}, and the compiler is not installed ({error}). Compile "
                f"it elsewhere with wyvernc{flag} and put the bundle into the latter folder"
            ) from error
    variant = os.environ.get("WYVERN_VARIANT") or None
    if saved is None:
        return load(folder, variant)
    program = load(folder)
    # What saves the factor alone has one variant, whatever is asked for inference.
    if variant is not None and saves_states(program.manifest["tensors"]):
        _force(program, variant)
    return program


def _force(program: Program, variant: str) -> None:
    """Has a forward and its backward run a variant, those of the two that have it."""
    found = [x for x in (program, program.backward) if variant in x.variants]
    for x in found or [program]:  # which raises, and says what there are
        x.force_variant(variant)


def served_for_gpu(
    entry: str,
    spec: PlainSpec,
    target: str,
    pool: Pool,
    prologue: Sequence[str],
    epilogue: Optional[Epilogue] = None,
) -> Program:
    """Returns the program that decodes a layer, or one of its prompts, from the cache or compiled
    into it."""
    try:
        folder = bundles.served_in_cache(entry, spec, target, pool, prologue, epilogue)
    except (ImportError, FileNotFoundError) as error:
        what, then = ("step of decoding", "") if entry == "step" else ("program of prompts", f"={entry}")
        raise NotImplementedError(
            f"no {what} for {describe(spec)} on {target} in {bundles.cache_folder()}, and the "
            f"compiler is not installed ({error}). Compile it elsewhere with wyvernc --serving{then}, and "
            "give the Decoder what wyvern.load returns"
        ) from error
    variant = os.environ.get("WYVERN_VARIANT") if entry != "step" else None
    return load(folder, variant or None)


def for_cpu(
    spec: PlainSpec, training: bool, precision: Optional[str] = None, save: Optional[str] = None
) -> CompiledProgram:
    """Returns a program of this machine's CPU; `save` is `wyvern.compile`'s, if it is for training."""
    save = save if training else None
    try:
        return wyvern.compile(spec, target="cpu", training=training, precision=precision, save=save)
    except (ImportError, FileNotFoundError) as error:
        raise NotImplementedError(
            "the tensors are on the CPU, and running there needs the compiler module, "
            f"which is not installed ({error}); move them to a GPU, or type: "
            "pip install wyvern-compiler"
        ) from error


def of_bundle(bundle: Any, dtype: str, training: bool) -> Any:
    """Returns a bundle that the user has loaded, for operands of a type."""
    compiled = bundle.manifest["spec"]["dtype"]
    if dtype != compiled:
        raise TypeError(f"{bundle.name}: the bundle takes q in {compiled}, found {dtype}")
    if training:
        _ = bundle.backward  # raises where there is none
    return bundle


def saved_by(bundle: Optional[Program]) -> Optional[str]:
    """Returns the `save` of `wyvern.compile` that gives a program on the CPU what a bundle saves;
    None, the default, without a bundle."""
    if bundle is None:
        return None
    chunks = {n for name in bundle.residuals for kind, n in bundle.outputs[name].dims if kind == "chunk"}
    if not chunks:
        return "factor" if bundle.residuals else "none"
    return "states" if 1 in chunks else "checkpoints"
