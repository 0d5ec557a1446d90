# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Layer specs: what the user hands over, read into the layer that is compiled."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from typing import Any, Mapping, NamedTuple, Optional, Union

import wyvern

Spec = Union[str, "os.PathLike[str]", Mapping[str, Any]]

_SUFFIXES = {".yaml": "yaml", ".yml": "yaml", ".json": "json", ".mlir": "mlir"}


class CompileError(ValueError):
    """A spec that does not compile; the message has the compiler's diagnostics."""


class Source(NamedTuple):
    """A spec as text."""

    text: str
    name: str  # of the file, for diagnostics
    format: str  # yaml, json (a model's config) or mlir


class SpecLayer(NamedTuple):
    """One layer of a spec."""

    name: str  # empty for the only function of MLIR text
    module: str  # MLIR
    text: str  # its own spec, as YAML; empty for MLIR text
    spec: dict[str, Any]  # the same as plain data, every default written out

    @property
    def narrow_type(self) -> Optional[str]:
        """The 16-bit type that its tensors are in: bf16, f16, or None."""
        return next((t for t in ("f16", "bf16") if f"x{t}>" in self.module), None)


def compiler_package() -> Optional[Any]:
    """Returns the package of the wheel wyvern-compiler, or None where it is not installed.
    Raises ImportError where it is of another version."""
    if importlib.util.find_spec("wyvern_compiler") is None:
        return None
    package = importlib.import_module("wyvern_compiler")
    if package.__version__ != wyvern.__version__:
        raise ImportError(
            f"wyvern {wyvern.__version__} needs wyvern-compiler of the same version, found "
            f"{package.__version__}; type: pip install wyvern-compiler=={wyvern.__version__}"
        )
    return package


def compiler_module() -> Any:
    """Imports the compiler, of this package or of the wheel wyvern-compiler; raises
    ImportError where there is none."""
    try:
        from .. import _compiler

        return _compiler
    except ImportError as error:
        reason = error
    try:
        if compiler_package() is not None:
            return importlib.import_module("wyvern_compiler._compiler")
    except ImportError as error:
        reason = error
    raise ImportError(
        f"this installation of wyvern has no compiler module (wyvern._compiler: {reason}); type: "
        "pip install wyvern-compiler, or build with WYVERN_ENABLE_COMPILER=ON, or use "
        "wyvern.load on a bundle that wyvernc has made elsewhere"
    )


def read_source(spec: Spec) -> Source:
    """Reads a path, YAML or MLIR text, or a dict."""
    if isinstance(spec, Mapping):
        is_model = "model_type" in spec
        return Source(json.dumps(spec), "<dict>", "json" if is_model else "yaml")
    if not isinstance(spec, (str, os.PathLike)):
        raise TypeError(
            f"spec: expected a path, YAML or MLIR text, or a dict, found {type(spec).__name__}"
        )
    text = os.fspath(spec)
    if isinstance(spec, str) and ("\n" in text or ":" in text and not _is_there(text)):
        is_mlir = "func.func" in text
        return Source(text, "<string>", "mlir" if is_mlir else "yaml")
    path = Path(text)
    if path.suffix not in _SUFFIXES:
        raise CompileError(
            f"{path}: expected a file that ends in {', '.join(_SUFFIXES)}, or a spec as text"
        )
    try:
        return Source(path.read_text(encoding="utf-8"), str(path), _SUFFIXES[path.suffix])
    except OSError as error:
        raise CompileError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise CompileError(f"cannot read {path}: expected UTF-8, found a byte that is none at {error.start}") from None


def _is_there(text: str) -> bool:
    """Whether text is a path of something. A spec in one line may be too long for a path."""
    try:
        return Path(text).exists()
    except OSError:
        return False


def read_layer(source: Source, layer: Optional[str], dtype: str = "") -> SpecLayer:
    """Returns the one layer of a spec, or the one of that name."""
    if source.format == "mlir":
        try:
            compiler_module().check_mlir(source.text)
        except ValueError as error:
            raise CompileError(f"{source.name}: {error}") from None
        return SpecLayer(layer or "", source.text, "", {})
    try:
        layers = compiler_module().read_spec(source.text, source.name, source.format, dtype)
    except ValueError as error:
        raise CompileError(str(error)) from None
    for name, module, text, plain in layers:
        if name == layer or layer is None and len(layers) == 1:
            return SpecLayer(name, module, text, json.loads(plain))
    names = ", ".join(name for name, *_ in layers)
    wanted = "one layer; say which with layer=" if layer is None else f"a layer {layer!r}"
    raise CompileError(f"{source.name}: expected {wanted}, found {names}")
