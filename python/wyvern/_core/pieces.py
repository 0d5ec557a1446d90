# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Some of a program's kernels as a program of their own.

The kernels of a program run one after another. A caller that waits for one of the inputs
runs what comes before it is read, and the rest later. What a kernel of the one leaves for
a kernel of the other is workspace of the whole, an output of the one and an input of the other.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, Optional

from .manifest import Manifest


class Cut(NamedTuple):
    """The kernels before one of them, and that one with all behind it."""

    before: Any
    behind: Any


class InPieces:
    """The part of a program that is about its kernels apart."""

    manifest: Manifest
    folder: Any
    _pieces: dict[Any, Any]

    def cut_before(self, name: str) -> Optional[Cut]:
        """Returns the program in two: all kernels before the first that takes the tensor
        `name`, and the others. Both have tensors besides the program's, by the names of the
        manifest. Returns None where there are no two such pieces, or the kernels depend on shapes."""
        return self._keep(("cut", name), lambda: self._cut(name))

    def until(self, names: Iterable[str]) -> Any:
        """Returns the first kernels, up to the one that makes the last of the outputs `names`,
        as a program of these and of other outputs that it makes. Returns None where the
        kernels depend on shapes."""
        wanted = frozenset(names)
        return self._keep(("until", wanted), lambda: self._until(wanted))

    def _keep(self, key: Any, make: Any) -> Any:
        if key not in self._pieces:
            self._pieces[key] = make()
        return self._pieces[key]

    def _cut(self, name: str) -> Optional[Cut]:
        kernels = _kernels(self.manifest)
        takes = [i for i, kernel in enumerate(kernels) if name in _named(kernel)]
        if not takes or takes[0] == 0:
            return None
        count = takes[0]
        whole = range(len(kernels))
        return Cut(self._make(whole[:count], whole), self._make(whole[count:], whole))

    def _until(self, names: frozenset[str]) -> Any:
        kernels = _kernels(self.manifest)
        if not kernels:
            return None
        # What is no input of the program is first named by the kernel that makes it.
        made = [min(i for i, kernel in enumerate(kernels) if name in _named(kernel)) for name in names]
        run = range(max(made, default=-1) + 1)
        return self._make(run, run)

    def _make(self, mine: range, run: range) -> Any:
        """The program of the kernels `mine`, where those of `run` run in all."""
        return type(self)(_piece(self.manifest, mine, run), self.folder)


def _kernels(manifest: Manifest) -> list[dict[str, Any]]:
    """The kernels of a program that has one variant; none of others."""
    variants = manifest["variants"]
    return variants[0]["kernels"] if len(variants) == 1 else []


def _named(kernel: dict[str, Any]) -> set[str]:
    return {param["tensor"] for param in kernel["params"] if "tensor" in param}


def _piece(manifest: Manifest, mine: range, run: range) -> Manifest:
    """Returns the manifest of some of a program's kernels that are neighbours."""
    variant = manifest["variants"][0]
    kernels = variant["kernels"]
    named = lambda numbers: set().union(*(_named(kernels[i]) for i in numbers))
    here, earlier, later = named(mine), named(range(mine.start)), named(range(mine.stop, run.stop))
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
        "name": f"{manifest['name']}, kernels {mine.start + 1} to {mine.stop}",
        "residuals": [],
        "backward": None,
        "tensors": tensors["input"] + tensors["output"],
        "variants": [{**variant, "workspace": tensors["workspace"], "kernels": [kernels[i] for i in mine]}],
    }
    return manifest | own
