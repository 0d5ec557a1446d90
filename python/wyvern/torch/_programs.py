# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""From an op's operands to the program that runs them."""

import threading

import torch

import wyvern
from wyvern._core import bundles
from wyvern._core.gpu import load
from wyvern._core.layers import describe

from ._tensors import NAMES

CHUNK = 64  # tokens
_KERNEL_DIMS = (64, 128)


def kernel_dim(dim):
    """The head dim of the kernel that serves `dim`."""
    return next((n for n in _KERNEL_DIMS if dim <= n), dim)


def _target_of(device):
    major, minor = torch.cuda.get_device_capability(device)
    if (major, minor) == (9, 0):
        return "sm_90a"
    raise NotImplementedError(
        f"{torch.cuda.get_device_name(device)} is sm_{major}{minor}; this version of "
        "wyvern has kernels for sm_90a (H100, H200)"
    )


def _load_for_gpu(spec, device, saved):
    """A program for `spec` that saves this for its backward; None for no backward."""
    target = _target_of(device)
    folder = bundles.find_bundle(spec, target, saved)
    if folder is None:
        try:
            folder = bundles.compile_into_cache(spec, target, saved)
        except (ImportError, FileNotFoundError) as error:
            what, flag = ("kernel", "") if saved is None else ("training kernels", " --training")
            raise NotImplementedError(
                f"no prebuilt {what} for {describe(spec)} on {target} in {bundles.PREBUILT} or "
                f"{bundles.cache_folder()}, and the compiler is not installed ({error}). Compile "
                f"it elsewhere with wyvernc{flag} and put the bundle into the latter folder"
            ) from error
    return load(folder)


def _load_for_cpu(spec, training):
    try:
        return wyvern.compile(spec, target="cpu", training=training)
    except (ImportError, FileNotFoundError) as error:
        raise NotImplementedError(
            "the tensors are on the CPU, and running there needs the compiler module, "
            f"which is not installed ({error}); move them to a GPU or install wyvern "
            "with LLVM/MLIR 22"
        ) from error


_programs = {}
_lock = threading.Lock()


def program_for(family, operands, training):
    """The program for these operands on their device, loaded once a process."""
    q = operands[0]
    sizes = family.key(operands)
    key = (family.name, *sizes, q.dtype, q.device, training)
    program = _programs.get(key)
    if program is None:
        with _lock:
            program = _programs.get(key)
            if program is None:
                program = _programs[key] = _make(family, sizes, q, training)
    return program


def _make(family, sizes, q, training):
    if q.device.type == "cpu":
        # The CPU program computes in float32 or float64, whatever comes in.
        dtype = "f64" if q.dtype == torch.float64 else "f32"
        return _load_for_cpu(family.spec(sizes, dtype), training)
    spec = family.spec(sizes, NAMES[q.dtype])
    if family.bundle is not None:
        return _loaded(family.bundle, spec["dtype"], training)
    saved = tuple(x.name for x in family.signature.residuals) if training else None
    return _load_for_gpu(spec, q.device, saved)


def _loaded(bundle, dtype, training):
    """A bundle that the user has loaded, for operands of a type."""
    compiled = bundle.manifest["spec"]["dtype"]
    if dtype != compiled:
        raise TypeError(f"{bundle.name}: the bundle takes q in {compiled}, found {dtype}")
    if training:
        _ = bundle.backward  # raises where there is none
    return bundle
