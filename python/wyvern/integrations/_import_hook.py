# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What is done to modules of a package as they are imported: transformers imports a
model's module when the model is first named."""

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, Optional


class ImportHook(importlib.abc.MetaPathFinder):
    """Calls `after(module)` for each module below `package` that is imported while the
    hook is installed."""

    def __init__(self, package: str, after: Callable[[ModuleType], None]) -> None:
        self._prefix = package + "."
        self._after = after

    def install(self) -> None:
        """Sees imports from here on."""
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    def remove(self) -> None:
        """Sees no more imports."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self, name: str, path: Any, target: Optional[ModuleType] = None
    ) -> Optional[importlib.machinery.ModuleSpec]:
        """Returns the spec that the other finders have, with a loader that goes on here."""
        if not name.startswith(self._prefix):
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec = find(name, path, target) if find is not None and finder is not self else None
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _Loader(spec.loader, self._after)
                return spec
        return None


class _Loader(importlib.abc.Loader):
    """A loader, and what is done after it."""

    def __init__(self, loader: Any, after: Callable[[ModuleType], None]) -> None:
        self._loader = loader
        self._after = after

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> Optional[ModuleType]:
        module: Optional[ModuleType] = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        self._after(module)

    def __getattr__(self, name: str) -> Any:
        # inspect.getsource, pkgutil and importlib.resources ask the loader.
        return getattr(self._loader, name)
