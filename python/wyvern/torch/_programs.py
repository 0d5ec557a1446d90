# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""From an op's operands to the program that runs them."""

import threading

import torch

import wyvern
from wyvern._core import bundles
from wyvern._core.gpu import load
from wyvern._core.layers import Layer

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


def _load_for_gpu(layer, device, training):
    target = _target_of(device)
    folder = bundles.find_bundle(layer, target, training)
    if folder is None:
        try:
            folder = bundles.compile_into_cache(layer, target, training)
        except (ImportError, FileNotFoundError) as error:
            what, flag = ("training kernels", " --training") if training else ("kernel", "")
            raise NotImplementedError(
                f"no prebuilt {what} for {layer} on {target} in {bundles.PREBUILT} or "
                f"{bundles.cache_folder()}, and the compiler is not installed ({error}). Compile "
                f"it elsewhere with wyvernc{flag} and put the bundle into the latter folder"
            ) from error
    return load(folder)


def _load_for_cpu(layer, training):
    try:
        return wyvern.compile(layer.spec(), target="cpu", training=training)
    except (ImportError, FileNotFoundError) as error:
        raise NotImplementedError(
            "the tensors are on the CPU, and running there needs the compiler module, "
            f"which is not installed ({error}); move them to a GPU or install wyvern "
            "with LLVM/MLIR 22"
        ) from error


_programs = {}
_lock = threading.Lock()


def program_for(operands, training):
    """The program for these operands on their device, loaded once a process."""
    q, v = operands["q"], operands["v"]
    decay = "head" if "g" in operands else "none"
    key = (decay, q.shape[2], v.shape[2], q.shape[3], v.shape[3], q.dtype, q.device, training)
    program = _programs.get(key)
    if program is None:
        with _lock:
            program = _programs.get(key)
            if program is None:
                program = _programs[key] = _make(decay, q, v, training)
    return program


def _make(decay, q, v, training):
    cpu = q.device.type == "cpu"
    # The CPU program computes in float32 or float64, whatever comes in.
    dtype = ("f64" if q.dtype == torch.float64 else "f32") if cpu else NAMES[q.dtype]
    layer = Layer(decay, q.shape[2], v.shape[2], q.shape[3], v.shape[3], dtype)
    return _load_for_cpu(layer, training) if cpu else _load_for_gpu(layer, q.device, training)
