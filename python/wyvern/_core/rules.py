# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The layers behind a framework's functions, without their sizes: from sizes and a type their
specs, and the signature that is the same for all sizes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

from .layers import PlainSpec, operand_roles
from .signature import Argument, Extent, Signature

CHUNK = 64  # rows
_DEFAULTS = {"rate": 1, "reads": "after_decay"}

_ROWS: tuple[Extent, ...] = (("batch", 1), ("tokens", 1))
_RATE: tuple[Extent, ...] = (*_ROWS, ("value_heads", 1))
_STATE: tuple[Extent, ...] = (("sequences", 1), ("value_heads", 1), ("key_dim", 1), ("value_dim", 1))


class Sizes(NamedTuple):
    """What a program is compiled for."""

    key_heads: int
    key_dim: int
    value_heads: int
    value_dim: int


class Rule(NamedTuple):
    """A layer for any heads and head dims; `steps` as a spec has them, defaults left out."""

    name: str
    decay: str
    steps: tuple[Mapping[str, Any], ...]
    scale: Optional[float] = None  # K ** -0.5
    max_rate: int = 1
    repeat: int = 1
    prologue: tuple[str, ...] = ()  # what the program computes of its operands
    lower_bound: Optional[float] = None  # of log decays, where gates are made with one

    def spec(self, sizes: Sizes, dtype: str) -> PlainSpec:
        """Returns the layer of these sizes, as `wyvernc --print-spec` has it."""
        scale = sizes.key_dim**-0.5 if self.scale is None else self.scale
        spec: PlainSpec = {
            "name": self.name,
            "heads": {"key": sizes.key_heads, "value": sizes.value_heads},
            "dims": {"key": sizes.key_dim, "value": sizes.value_dim},
            "dtype": dtype,
            "decay": self.decay,
            "scale": float(scale),
            "steps": self._plain_steps(),
        }
        if self.prologue:
            spec["prologue"] = list(self.prologue)
        if self.lower_bound is not None:
            spec["lower_bound"] = float(self.lower_bound)
        return spec

    def makes(self, part: str) -> bool:
        """Whether the program computes this part, "decay" or "rates", itself."""
        return part in self.prologue or "gates" in self.prologue

    def _plain_steps(self) -> list[dict[str, Any]]:
        steps = [{**_DEFAULTS, "repeat": self.repeat, **step} for step in self.steps]
        for step in steps:
            step.setdefault("erase", step["write"])
            if self.max_rate > 1 and step["erase"] != "none":
                step["max_rate"] = self.max_rate
        return steps

    def roles(self) -> dict[str, str]:
        """Returns what each operand is, as `operand_roles` says it, in the order of a function's
        arguments: q, keys and values as the steps name them, log decays, rates."""
        roles = operand_roles({"decay": self.decay, "steps": self._plain_steps()})
        names = [name for step in self.steps for name in _names(step)]
        order = ["q", *dict.fromkeys(names), *(name for name, role in roles.items() if role in ("decay", "rate"))]
        return {name: roles[name] for name in order}

    def signature(self) -> Signature:
        """Returns what the op of this layer takes and returns. Heads and head dims are sizes that
        its operands tell."""
        rows = ("tokens", self.repeat)
        of_keys = {name for step in self.steps for x in ("write", "erase") for name in _product(step.get(x))}

        raw_decay, raw_rates = self.makes("decay"), self.makes("rates")
        channels: tuple[Extent, ...] = (("key_dim", 1),) if self.decay == "channel" else ()

        def operand(name: str, role: str) -> Argument:
            if role == "decay":
                needs_bound = not raw_decay and not channels
                return Argument("a" if raw_decay else name, (*_RATE, *channels), raw_decay, needs_bound)
            own = _ROWS if role == "query" else (_ROWS[0], rows)
            if role == "rate":
                return Argument("b" if raw_rates else name, (*own, ("value_heads", 1)), raw_rates)
            side = "key" if name == "q" or name in of_keys else "value"
            return Argument(name, (*own, (f"{side}_heads", 1), (f"{side}_dim", 1)), True)

        heads: Extent = ("value_heads", 1)
        parameters = (Argument("A_log", (heads,), False), Argument("dt_bias", (heads, *channels), False))
        return Signature(
            operands=(
                *(operand(*item) for item in self.roles().items()),
                *(parameters if raw_decay and self.decay != "none" else ()),
                *((Argument("scale", (heads,), False),) if "scale" in self.prologue else ()),
            ),
            initial_state=Argument("initial_state", _STATE, False),
            o=Argument("o", (*_RATE, ("value_dim", 1)), True),
            final_state=Argument("final_state", _STATE, False),
            residuals=self._residuals(),
        )

    def _residuals(self) -> tuple[Argument, ...]:
        """The triangular factor of a chunk, where a step erases: in two parts where rates may be above 1."""
        if all(step["erase"] == "none" for step in self._plain_steps()):
            return ()
        shape = (_ROWS[0], ("tokens", self.repeat), ("value_heads", 1), ("one", self.max_rate * CHUNK))
        return (Argument("factor", shape, True),)


def _product(term: Any) -> list[str]:
    """The names in a product of names, the key or the value first."""
    return [] if term in (None, "none") else [str(term).split(" * ")[-1], *str(term).split(" * ")[:-1]]


def _names(step: Mapping[str, Any]) -> list[str]:
    return [name for x in ("write", "erase", "value", "written") for name in _product(step.get(x))]


_ERASES_ITS_KEY = ({"write": "k", "value": "v", "rate": "beta"},)
_ONLY_WRITES = ({"write": "k", "erase": "none", "value": "v"},)
_TWO_STEPS = ({"write": "b", "erase": "a", "rate": -1, "reads": "before_decay"}, *_ONLY_WRITES)
_SCALES_ITS_KEY = ({"write": "m * k", "erase": "k", "value": "v", "rate": "beta"},)

# The layers of specs/; dplr and rwkv7 with FLA's names of operands.
RULES = {
    rule.name: rule
    for rule in (
        Rule("delta_rule", "none", _ERASES_ITS_KEY),
        Rule("gated_delta_rule", "head", _ERASES_ITS_KEY),
        Rule("kda", "channel", _ERASES_ITS_KEY),
        Rule("comba", "head", ({"write": "k", "erase": "p", "value": "v", "rate": "beta", "reads": "before_decay"},)),
        Rule("gdn2", "channel", ({"write": "k", "erase": "b * k", "written": "w * v"},)),
        Rule("dplr", "channel", _TWO_STEPS),
        Rule("rwkv7", "channel", _TWO_STEPS, scale=1.0),
        Rule("pgdn", "head", _SCALES_ITS_KEY),
        Rule("pkda", "channel", _SCALES_ITS_KEY),
        Rule("linear_attention", "none", _ONLY_WRITES),
        Rule("simple_gla", "head", _ONLY_WRITES),
        Rule("gla", "channel", _ONLY_WRITES),
    )
}


def delta_rule_spec(
    decay: str,
    key_heads: int,
    value_heads: int,
    key_dim: int,
    value_dim: int,
    dtype: str,
    max_rate: int = 1,
) -> PlainSpec:
    """Returns the delta rule that the functions of a framework compute; decay is none, head or
    channel, dtype that of q, k and v, max_rate what rates reach at most."""
    names = {"none": "delta_rule", "head": "gated_delta_rule", "channel": "kda"}
    rule = RULES[names[decay]]._replace(max_rate=max_rate)
    return rule.spec(Sizes(key_heads, key_dim, value_heads, value_dim), dtype)
