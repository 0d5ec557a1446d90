# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Where bundles are: the package's prebuilt ones, and the cache.

A bundle that is not in the package is compiled into the cache folder
($WYVERN_CACHE_DIR, default ~/.cache/wyvern) when it is first needed and the compiler is
installed. What another version of the compiler has left in the cache is not taken.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Optional

import wyvern

from .compile import find_wyvernc
from .layers import PlainSpec, Saved, serves
from .manifest import BundleError, Manifest, read_manifest
from .steps import Epilogue, Pool

PREBUILT = Path(__file__).resolve().parents[1] / "bundles"


def cache_folder() -> Path:
    """Returns the folder that bundles are compiled into. Raises OSError where there is no home
    for it, as of a user of a container who has no name."""
    chosen = os.environ.get("WYVERN_CACHE_DIR")
    if chosen:
        return Path(chosen)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wyvern"
    except RuntimeError as error:
        raise OSError(f"there is no folder for compiled bundles ({error}); name one with WYVERN_CACHE_DIR") from None


def _places() -> Iterator[Path]:
    """The folders with bundles: who finds one in the package needs no cache."""
    yield PREBUILT
    with contextlib.suppress(OSError):
        yield cache_folder()


def compiler_id() -> str:
    """Returns what a bundle that is compiled here has behind its name: a hash of the
    compiler's version and build; of the version alone where no compiler is installed."""
    parts: list[object] = [wyvern.__version__]
    try:
        build = os.stat(find_wyvernc())
        parts += [build.st_size, build.st_mtime_ns, os.environ.get("WYVERN_PTXAS", "")]
    except FileNotFoundError:
        pass
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:8]


def is_current(manifest: Manifest, folder: Path) -> bool:
    """Returns whether a bundle of the cache is of this version of the compiler and, if it
    was compiled into the cache and not put there, of this build."""
    compiler = manifest.get("compiler")
    if not isinstance(compiler, dict) or compiler.get("wyvern") != wyvern.__version__:
        return False
    build = re.fullmatch(r".*-id([0-9a-f]{8})", folder.name)
    return build is None or build[1] == compiler_id()


def _manifests(place: Path) -> Iterator[tuple[Path, Manifest]]:
    """The bundles in a folder; what another version has left there is not among them."""
    for path in sorted(place.glob("*/manifest.json")):
        try:
            yield path.parent, read_manifest(path.parent)
        except BundleError:
            continue  # compiling writes a new one


def find_head_dims() -> set[tuple[int, int]]:
    """Returns the head dims (of keys, of values) that some bundle of the package or the cache has."""
    specs = [m.get("spec") for place in _places() for _, m in _manifests(place)]
    dims = [spec.get("dims") for spec in specs if isinstance(spec, dict)]
    return {(x["key"], x["value"]) for x in dims if isinstance(x, dict) and {"key", "value"} <= x.keys()}


def find_bundle(spec: PlainSpec, target: str, saved: Saved) -> Optional[Path]:
    """Returns the folder of a bundle for a layer that saves this (layers.serves), or None."""
    for place in _places():
        for folder, manifest in _manifests(place):
            if not serves(manifest, spec, target, saved):
                continue
            if place == PREBUILT or is_current(manifest, folder):
                return folder
    return None


def digest(data: object) -> str:
    """Returns a short hash of plain data."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]


def without_digest(name: str) -> str:
    """Returns what messages call a layer whose ops, or whose bundle, have a digest behind its name."""
    return re.sub(r"_[0-9a-f]{16}$", "", name)


def compile_into_cache(spec: PlainSpec, target: str, saved: Saved) -> Path:
    """Compiles into the cache; returns the folder. The bundle appears there whole or not
    at all, also when several processes compile it at once."""
    save = None if saved is None else saved if isinstance(saved, str) else "factor"
    kind = [] if save is None else ["training", save]
    return _compile_as(
        _name(spec, digest(spec), target, *kind),
        lambda made: wyvern.compile(spec, target=target, output=made, training=saved is not None, save=save),
        lambda: find_bundle(spec, target, saved) is not None,
    )


def served_in_cache(
    entry: str,
    spec: PlainSpec,
    target: str,
    pool: Pool,
    prologue: Sequence[str],
    epilogue: Optional[Epilogue] = None,
) -> Path:
    """Returns the folder of what serves a layer, its step or a program of prompts, in the cache,
    compiled if it is not there."""
    behind = [] if epilogue is None else [list(epilogue)]
    name = _name(spec, digest([spec, list(pool), list(prologue), *behind]), target, entry)

    def is_there() -> bool:
        try:
            read_manifest(cache_folder() / name)
        except BundleError:
            return False
        return True

    if is_there():
        return cache_folder() / name
    return _compile_as(
        name,
        lambda made: wyvern.compile(
            spec, target=target, output=made, serving=pool, entry=entry, prologue=prologue, epilogue=epilogue
        ),
        is_there,
    )


def _name(spec: PlainSpec, identity: str, target: str, *kind: str) -> str:
    """Returns the name of a folder of the cache; two layers may have one name."""
    heads, dims = spec["heads"], spec["dims"]
    sizes = f"h{heads['key']}x{heads['value']}", f"d{dims['key']}x{dims['value']}", spec["dtype"]
    return "-".join((spec["name"], *sizes, identity, target, *kind, f"id{compiler_id()}"))


def _compile_as(name: str, write: Callable[[Path], object], is_there: Callable[[], bool]) -> Path:
    """Writes a bundle and moves it into the cache under a name."""
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        scratch_folder = tempfile.TemporaryDirectory(dir=folder, prefix=f".{name}-")
    except OSError as error:
        # Not its own type: a file that is not found would be a compiler that is not.
        raise OSError(
            f"cannot write compiled bundles to {folder} ({error.strerror}); name another folder with WYVERN_CACHE_DIR"
        ) from error
    with scratch_folder as scratch:
        made = Path(scratch) / "bundle"
        write(made)
        try:
            made.rename(folder / name)
        except OSError:  # another process was faster, or a stale one lies there
            if not is_there():
                shutil.rmtree(folder / name)
                made.rename(folder / name)
    return folder / name
