# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Specs as plain data with every default written out, as manifests have them, and which
bundle serves one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Union

from .manifest import Manifest

PlainSpec = dict[str, Any]

# What the forward of a bundle saves for its backward: its residuals by name; STATES, whatever they are
# as long as no chain of chunks has to run again; CHOSEN, that or what the compiler has chosen in its place;
# or None, there is no backward.
Saved = Union[Sequence[str], str, None]
STATES = "states"
CHOSEN = "auto"


def describe(spec: PlainSpec) -> str:
    """Returns what a kernel for a spec is compiled for, in a line."""
    heads, dims = spec["heads"], spec["dims"]
    return (
        f"{spec['name']}: decay {spec['decay']}, heads {heads['key']}/{heads['value']}, "
        f"dims {dims['key']}x{dims['value']}, {spec['dtype']}"
    )


def saves_states(tensors: Sequence[Mapping[str, Any]]) -> bool:
    """Returns whether a forward with these tensors (a manifest's) saves the state of every chunk."""
    of_a_chunk = {"kind": "chunk", "multiple": 1}
    return any(x.get("residual") and of_a_chunk in x["dims"] for x in tensors)


def was_chosen(manifest: Manifest) -> bool:
    """Returns whether the compiler has chosen what a bundle saves."""
    saved = manifest.get("saved")
    return isinstance(saved, dict) and saved.get("chosen") is True


def serves(manifest: Manifest, spec: PlainSpec, target: str, saved: Saved) -> bool:
    """Whether a bundle computes exactly this layer, by whatever name, and saves for its
    backward what is `saved`."""
    found, residuals = manifest.get("spec"), manifest["residuals"]
    if not isinstance(found, dict) or not isinstance(residuals, list):
        return False  # compiled from IR, or not by us
    if manifest.get("serving") is not None:
        return False  # the step of the layer
    if (manifest["backward"] is None) != (saved is None):
        return False
    if saved in (STATES, CHOSEN):
        if not saves_states(manifest["tensors"]) and not (saved == CHOSEN and was_chosen(manifest)):
            return False
    elif [residual.get("name") for residual in residuals] != list(saved or ()):
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


def _in_expressions(spec: PlainSpec, pattern: str) -> frozenset[str]:
    """What a pattern finds in the expressions of `compute`."""
    expressions = (x for assignment in spec.get("compute", ()) for x in assignment.values())
    return frozenset(found for x in expressions for found in re.findall(pattern, x))


def computed_names(spec: PlainSpec) -> frozenset[str]:
    """Returns the names in what a layer computes (`compute`): what it reads is an operand as it comes."""
    return _in_expressions(spec, r"[A-Za-z_]\w*")


def running_sums(spec: PlainSpec) -> dict[str, str]:
    """Returns the operand that each running sum of a layer is of, by the sum's name."""
    assigned = ((name, x) for assignment in spec.get("compute", ()) for name, x in assignment.items())
    found = ((name, re.fullmatch(r"running_sum\((\w+)\)", x)) for name, x in assigned)
    return {name: match[1] for name, match in found if match}


def summed_names(spec: PlainSpec) -> frozenset[str]:
    """Returns the operands that a layer sums up over tokens."""
    return frozenset(running_sums(spec).values())


def computes_values(spec: PlainSpec) -> bool:
    """Returns whether anything that is written into states is computed, or something else computed of it."""
    values = {name for step in spec["steps"] for term in ("value", "written") for name in step.get(term, "").split(" * ")}
    made = {name for assignment in spec.get("compute", ()) for name in assignment}
    return bool(values & (made | computed_names(spec)))


def with_given_values(spec: PlainSpec) -> PlainSpec:
    """Returns the layer with an operand `given_value_<step>` of its own in the place of each computed value, and
    without what no longer has a use. With these operands zero nothing is written, whatever keys, rates and
    decays are made of."""
    steps = []
    for i, step in enumerate(spec["steps"]):
        given = {term: f"given_value_{i}" for term in ("value", "written") if term in step}
        steps.append({**step, **given})
    used = {"q", "g"} if spec["decay"] != "none" else {"q"}
    terms = ("write", "erase", "value", "written", "rate")
    used |= {name for step in steps for term in terms for name in str(step.get(term, "")).split(" * ")}
    compute: list[dict[str, str]] = []
    for assignment in reversed(spec["compute"]):
        ((name, expression),) = assignment.items()
        if name in used:
            compute.insert(0, assignment)
            used = (used - {name}) | computed_names({"compute": [assignment]})
    declared = {key: {n: x for n, x in spec.get(key, {}).items() if n in used} for key in ("inputs", "parameters")}
    made = {key: value for key, value in spec.items() if key not in ("compute", *declared)}
    made |= {key: value for key, value in {"compute": compute, **declared}.items() if value}
    if not running_sums(made):  # then there is nothing to go on from but states
        made.pop("resume", None)
    return made | {"name": f"{spec['name']}_given_values", "steps": steps}
