# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The delta rule that the functions of a framework compute, and which bundle serves it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .manifest import Manifest


@dataclass(frozen=True)
class Layer:
    """A delta rule: what a kernel is compiled for. All else is told at run time."""

    decay: str  # none | head
    key_heads: int
    value_heads: int
    key_dim: int
    value_dim: int
    dtype: str  # of q, k, v

    def spec(self) -> dict[str, Any]:
        """Returns the spec that wyvernc reads, as plain data."""
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
    def scale(self) -> float:
        return float(self.key_dim**-0.5)

    def __str__(self) -> str:
        return (
            f"decay {self.decay}, heads {self.key_heads}/{self.value_heads}, "
            f"dims {self.key_dim}x{self.value_dim}, {self.dtype}"
        )


def serves(manifest: Manifest, layer: Layer, target: str, training: bool) -> bool:
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
    return bool(defaults | steps[0] == defaults | wanted["steps"][0])
