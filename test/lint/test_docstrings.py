# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Public functions of the Python packages say what they take, in which shapes and of which types, and what they raise."""

import enum
import importlib
import inspect
import re
import types
from typing import NamedTuple

import pytest

pytest.importorskip("torch")
pytest.importorskip("jax")

PACKAGES = [
    "wyvern",
    "wyvern.program",
    "wyvern.plot",
    "wyvern.torch",
    "wyvern.torch.layers",
    "wyvern.torch.reference",
    "wyvern.jax",
    "wyvern.integrations.transformers",
    "wyvern.integrations.fla",
    "wyvern.integrations.flashinfer",
    "wyvern.integrations.sglang",
    "wyvern.integrations.vllm",
]
# What functions make: nobody calls their constructors.
MADE = {"Program", "CpuProgram", "CompiledProgram", "Op"}
# A function may say whose arguments it has instead of repeating them.
ELSEWHERE = re.compile(r"[Aa]rguments,? (\w+,? )*(are|of|as)\b|'s arguments|[Ss]ignature")
SHAPE = re.compile(r"\[[^\]]+\]")
RAISES = re.compile(r"\b(Raises?|[Rr]efused?)\b")


def members(name):
    """The public functions and classes of a package, by name."""
    package = importlib.import_module(name)
    own = [x for x, value in vars(package).items() if getattr(value, "__module__", "") == name and x[0] != "_"]
    for x in getattr(package, "__all__", own):
        value = getattr(package, x)
        if not isinstance(value, types.ModuleType):
            yield f"{name}.{x}", value


def methods(cls):
    """The public functions and properties of a class that are ours, and its constructor and call."""
    for base in reversed(cls.__mro__):
        if not base.__module__.startswith("wyvern") or issubclass(base, (BaseException, enum.Enum)):
            continue
        for x, value in vars(base).items():
            value = getattr(value, "__func__", value)  # of a class or static method
            is_public = not x.startswith("_") or x == "__call__" or x == "__init__" and cls.__name__ not in MADE
            if is_public and isinstance(value, (types.FunctionType, property)):
                yield x, value


def surface():
    found = {}
    for package in PACKAGES:
        for name, value in members(package):
            if inspect.isclass(value):
                found[name] = value, inspect.getdoc(value)
                for x, method in methods(value):
                    of_class = inspect.getdoc(value) if x in ("__init__", "__call__") else None
                    found[f"{name}.{x}"] = method, method.__doc__ or of_class
            elif callable(value):
                found[name] = value, inspect.getdoc(value)
    return found


SURFACE = surface()


def problems(value, doc):
    """What the description of a function leaves out."""
    if not doc:
        return ["has no docstring"]
    if inspect.isclass(value):
        fields = [x for x in getattr(value, "_fields", ()) if not re.search(rf"\b{x}\b", doc)]
        found = [f"does not say what {', '.join(fields)} is"] if fields else []
        return found if vars(value).get("__doc__") else ["has a docstring of another class"]
    if not inspect.isfunction(value):
        return []
    doc = " ".join(doc.split())
    found = []
    parameters = [x for x in inspect.signature(value).parameters.values() if x.name not in ("self", "cls")]
    named = [x.name for x in parameters if x.kind not in (x.VAR_KEYWORD, x.VAR_POSITIONAL)]
    if not ELSEWHERE.search(doc):
        missing = [x for x in named if not re.search(rf"\b{x}\b", doc)]
        found += [f"does not say what {', '.join(missing)} is"] if missing else []
        has_tensors = any(re.search("Tensor|ndarray|Array", str(x.annotation)) for x in parameters)
        found += ["has tensors and names no shape"] if has_tensors and not SHAPE.search(doc) else []
    names = value.__code__.co_names
    if any(x.endswith("Error") for x in names) and "raise " in inspect.getsource(value) and not RAISES.search(doc):
        found.append("does not say what it raises")
    return found


def test_public_functions_describe_themselves():
    wrong = {name: found for name, (value, doc) in SURFACE.items() if (found := problems(value, doc))}
    assert wrong == {}


def unannotated(value):
    """The parameters of a function, and its result, that mypy would take for anything."""
    value = getattr(value, "fget", value)
    if not inspect.isfunction(value):
        return []
    named = [x for x in inspect.signature(value).parameters if x not in ("self", "cls")]
    return [x for x in (*named, "return") if x not in value.__annotations__]


def test_public_functions_are_annotated():
    wrong = {name: found for name, (value, _) in SURFACE.items() if (found := unannotated(value))}
    assert wrong == {}


def test_the_surface_is_seen():
    assert {"wyvern.compile", "wyvern.Program.__call__", "wyvern.torch.DeltaNet.forward", "wyvern.jax.op"} <= set(SURFACE)


def test_what_is_left_out_is_seen():
    def function(x: "torch.Tensor", scale: float):  # noqa: F821
        """Scales x by a scale."""
        raise ValueError

    assert problems(function, None) == ["has no docstring"]
    assert problems(function, function.__doc__) == ["has tensors and names no shape", "does not say what it raises"]
    assert problems(function, "Scales x [B, T]. Raises ValueError.") == ["does not say what scale is"]
    assert problems(function, "The arguments are those of torch. Raises ValueError.") == []
    assert unannotated(function) == ["return"]

    class Wrong(ValueError):
        pass

    class Sizes(NamedTuple):
        """How many tokens there are."""

        tokens: int
        heads: int

    assert problems(Wrong, inspect.getdoc(Wrong)) == ["has a docstring of another class"]
    assert problems(Sizes, Sizes.__doc__) == ["does not say what heads is"]
