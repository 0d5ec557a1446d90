# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Some of a program's kernels as a program of their own.

The kernels of a program run one after another. A caller that has to wait for an input can have
what does not read it run before. What a kernel of one piece leaves for a kernel of
another is workspace of the whole, an output of the one and an input of the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Optional

from .manifest import Manifest


class Pieces(NamedTuple):
    """A program, cut at the first kernel that reads a tensor."""

    before: Any  # what else runs before; None for nothing
    maps: Any  # the kernels right before it that go through no chain
    rest: Any  # that kernel, and what comes behind


class InPieces:
    """The part of a program that is about its kernels apart."""

    manifest: Manifest
    folder: Any
    _pieces: dict[str, Optional[Pieces]]

    def cut_at(self, name: str) -> Optional[Pieces]:
        """Returns the program in pieces, of which the last one begins with the first kernel that
        reads the tensor `name`. What they leave for one another has the manifest's names.
        Returns None where no kernel without a chain is right before that one, or where the
        kernels depend on shapes."""
        if name not in self._pieces:
            self._pieces[name] = self._cut(name)
        return self._pieces[name]

    def _cut(self, name: str) -> Optional[Pieces]:
        variants = self.manifest["variants"]
        kernels = variants[0]["kernels"] if len(variants) == 1 else []
        if any(kernel["grid"]["count"] == "segments" for kernel in kernels):
            return None  # each piece would choose a length of its own
        end = next((i for i, kernel in enumerate(kernels) if name in _named([kernel])), 0)
        begin = end
        while begin > 0 and kernels[begin - 1]["grid"]["count"] == "slots":
            begin -= 1
        if begin == end:
            return None
        kind: Any = type(self)  # a program
        make = lambda first, last: kind(_piece(self.manifest, first, last), self.folder)
        return Pieces(make(0, begin) if begin else None, make(begin, end), make(end, len(kernels)))


def _named(kernels: Sequence[dict[str, Any]]) -> set[str]:
    return {param["tensor"] for kernel in kernels for param in kernel["params"] if "tensor" in param}


def _piece(manifest: Manifest, first: int, last: int) -> Manifest:
    """Returns the manifest of kernels `first` to before `last` alone."""
    variant = manifest["variants"][0]
    kernels = variant["kernels"]
    earlier, here, later = (_named(some) for some in (kernels[:first], kernels[first:last], kernels[last:]))
    tensors: dict[str, list[Any]] = {"input": [], "output": [], "workspace": []}
    for tensor in (*manifest["tensors"], *variant["workspace"]):
        name, role = tensor["name"], tensor["role"]
        if name not in here:
            continue
        if name in earlier:
            role = "input"
        elif role == "workspace" and name in later:
            role = "output"
        tensors[role].append(tensor | {"role": role})
    own = {
        "name": f"{manifest['name']}, kernels {first + 1} to {last}",
        "residuals": [],
        "backward": None,
        "tensors": tensors["input"] + tensors["output"],
        "variants": [{**variant, "workspace": tensors["workspace"], "kernels": kernels[first:last]}],
    }
    return manifest | own
