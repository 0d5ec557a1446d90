# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Specs as plain data with every default written out, as manifests have them, and which
bundle serves one."""

from __future__ import annotations

from typing import Any, Optional, Sequence

from .manifest import Manifest

PlainSpec = dict[str, Any]


def describe(spec: PlainSpec) -> str:
    """Returns what a kernel for a spec is compiled for, in a line."""
    heads, dims = spec["heads"], spec["dims"]
    return (
        f"{spec['name']}: decay {spec['decay']}, heads {heads['key']}/{heads['value']}, "
        f"dims {dims['key']}x{dims['value']}, {spec['dtype']}"
    )


def serves(
    manifest: Manifest, spec: PlainSpec, target: str, saved: Optional[Sequence[str]]
) -> bool:
    """Whether a bundle computes exactly this layer, by whatever name, and saves for its
    backward what is `saved`; None is for one without a backward."""
    found, residuals = manifest.get("spec"), manifest["residuals"]
    if not isinstance(found, dict) or not isinstance(residuals, list):
        return False  # compiled from IR, or not by us
    if manifest.get("serving") is not None:
        return False  # the step of the layer
    if (manifest["backward"] is None) != (saved is None):
        return False
    if [residual.get("name") for residual in residuals] != list(saved or ()):
        return False
    scale = found.get("scale")
    if not isinstance(scale, (int, float)) or abs(scale - spec["scale"]) > 1e-6:
        return False
    same = {"name": spec["name"], "scale": spec["scale"]}
    return bool(manifest["target"] == target and found | same == spec)


def operand_roles(spec: PlainSpec) -> dict[str, str]:
    """Returns what each operand of a layer is: query, decay, key, value, rate, level (the
    scales of levels), or the scale of a key or a value.

    In a product of names the last one is the key or the value and those before it scale
    its channels, as in `erase: b * k`; what is a key or a value anywhere is one.
    """
    roles = {"q": "query"}
    if spec["decay"] != "none":
        roles["g"] = "decay"
    if spec.get("levels", "none") != "none":
        roles["level_scales"] = "level"
    scales: dict[str, str] = {}
    for step in spec["steps"]:
        for term, role in (("write", "key"), ("erase", "key"), ("value", "value"), ("written", "value")):
            *before, last = step.get(term, "none").split(" * ")
            scales |= dict.fromkeys(before, "scale")
            if last != "none":
                roles.setdefault(last, role)
        if isinstance(step["rate"], str):
            roles.setdefault(step["rate"], "rate")
    return scales | roles
