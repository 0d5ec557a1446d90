# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""From a layer's sizes to the program that runs it.

A program is looked for in the package's prebuilt bundles, then in the cache folder
($WYVERN_CACHE_DIR, default ~/.cache/wyvern), and is compiled into the latter
when it is first needed and the compiler is installed. What another version of the
compiler has left in the cache is not taken.
"""

import hashlib
import os
import re
import shutil
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

import torch

import wyvern
from wyvern._compile import _find_wyvernc
from wyvern.program import DTYPES, BundleError, load, read_manifest

CHUNK = 64  # tokens
_KERNEL_DIMS = (64, 128)
_PREBUILT = Path(__file__).resolve().parents[1] / "bundles"


@dataclass(frozen=True)
class Layer:
    """A delta rule: what a kernel is compiled for. All else is told at run time."""

    decay: str  # none | head
    key_heads: int
    value_heads: int
    key_dim: int
    value_dim: int
    dtype: str  # of q, k, v

    def spec(self):
        """The spec that wyvernc reads, as plain data."""
        return {
            "name": "delta_rule" if self.decay == "none" else "gated_delta_rule",
            "heads": {"key": self.key_heads, "value": self.value_heads},
            "dims": {"key": self.key_dim, "value": self.value_dim},
            "dtype": self.dtype,
            "decay": self.decay,
            "scale": self.scale,
            "steps": [{"write": "k", "value": "v", "rate": "beta"}],
        }

    @property
    def scale(self):
        return self.key_dim**-0.5

    def __str__(self):
        return (
            f"decay {self.decay}, heads {self.key_heads}/{self.value_heads}, "
            f"dims {self.key_dim}x{self.value_dim}, {self.dtype}"
        )


def kernel_dim(dim):
    """The head dim of the kernel that serves `dim`."""
    return next((n for n in _KERNEL_DIMS if dim <= n), dim)


def serves(manifest, layer, target, training):
    """Whether a bundle computes exactly this layer, and saves what the ops pass on."""
    residuals, spec = manifest["residuals"], manifest.get("spec")
    if not isinstance(residuals, list) or not isinstance(spec, dict):
        return False  # compiled from IR, or not by us
    if (manifest["backward"] is not None) != training or len(residuals) != training:
        return False
    wanted = layer.spec()
    scale = spec.get("scale")
    if manifest["target"] != target or not isinstance(scale, (int, float)):
        return False
    if abs(scale - layer.scale) > 1e-6:
        return False
    if any(spec.get(key) != wanted[key] for key in ("heads", "dims", "dtype", "decay")):
        return False
    defaults = {"erase": "k", "repeat": 1, "reads": "after_decay"}
    steps = spec.get("steps")
    if not isinstance(steps, list) or len(steps) != 1 or not isinstance(steps[0], dict):
        return False
    return defaults | steps[0] == defaults | wanted["steps"][0]


def cache_folder():
    chosen = os.environ.get("WYVERN_CACHE_DIR")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wyvern"


def compiler_id():
    """What a bundle that is compiled here has behind its name: a hash of the compiler's
    version and build; that of the version alone where no compiler is installed."""
    parts = [wyvern.__version__]
    try:
        build = os.stat(_find_wyvernc())
        parts += [build.st_size, build.st_mtime_ns, os.environ.get("WYVERN_PTXAS", "")]
    except FileNotFoundError:
        pass
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:8]


def is_current(manifest, folder):
    """Whether a bundle of the cache is of this version of the compiler and, if it was
    compiled into the cache and not put there, of this build."""
    compiler = manifest.get("compiler")
    if not isinstance(compiler, dict) or compiler.get("wyvern") != wyvern.__version__:
        return False
    build = re.fullmatch(r".*-id([0-9a-f]{8})", folder.name)
    return build is None or build[1] == compiler_id()


def find_bundle(layer, target, training):
    """The folder of a bundle for this layer, or None."""
    for place in (_PREBUILT, cache_folder()):
        for path in sorted(place.glob("*/manifest.json")):
            folder = path.parent
            try:
                manifest = read_manifest(folder)
            except BundleError:
                continue  # left by another version; compiling writes a new one
            if not serves(manifest, layer, target, training):
                continue
            if place == _PREBUILT or is_current(manifest, folder):
                return folder
    return None


def _compile_bundle(layer, target, training):
    """Compiles into the cache. The bundle appears there whole or not at all, also
    when several processes compile it at once."""
    folder = cache_folder()
    spec = layer.spec()
    name = "-".join(
        str(part)
        for part in (
            spec["name"],
            f"h{layer.key_heads}x{layer.value_heads}",
            f"d{layer.key_dim}x{layer.value_dim}",
            layer.dtype,
            target,
            *(["training"] if training else []),
            f"id{compiler_id()}",
        )
    )
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=f".{name}-") as scratch:
        made = Path(scratch) / "bundle"
        wyvern.compile(spec, target=target, output=made, training=training)
        try:
            made.rename(folder / name)
        except OSError:  # another process was faster, or a stale one lies there
            if find_bundle(layer, target, training) is None:
                shutil.rmtree(folder / name)
                made.rename(folder / name)
    return folder / name


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
    folder = find_bundle(layer, target, training)
    if folder is None:
        try:
            folder = _compile_bundle(layer, target, training)
        except (ImportError, FileNotFoundError) as error:
            what, flag = ("training kernels", " --training") if training else ("kernel", "")
            raise NotImplementedError(
                f"no prebuilt {what} for {layer} on {target} in {_PREBUILT} or "
                f"{cache_folder()}, and the compiler is not installed ({error}). Compile "
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
    dtype = ("f64" if q.dtype == torch.float64 else "f32") if cpu else DTYPES[q.dtype]
    layer = Layer(decay, q.shape[2], v.shape[2], q.shape[3], v.shape[3], dtype)
    return _load_for_cpu(layer, training) if cpu else _load_for_gpu(layer, q.device, training)
