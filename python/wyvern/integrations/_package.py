# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A package of which all modules call Wyvern's functions, those that are imported later too."""

import sys
import threading
from collections.abc import Mapping
from types import ModuleType

from ._calls import Calls
from ._import_hook import ImportHook
from ._redirect import Function, WhyNot, rebind, redirect


class Package:
    """Redirects functions in the modules of a package, from enable() to disable().

    redirected: by its name in modules, how status() calls a function, what serves it, and when.
    """

    def __init__(self, name: str, calls: Calls, redirected: Mapping[str, tuple[str, Function, WhyNot]]) -> None:
        self._prefix = name + "."
        self._calls = calls
        self._redirected = redirected
        self._replaced: list[tuple[Function, Function]] = []
        self._lock = threading.Lock()
        self._hook = ImportHook(name, self._redirect_imported)

    def enable(self) -> None:
        """Serves calls from here on, and counts them. A second call does nothing."""
        with self._lock:
            if self._calls.enabled:
                return
            self._calls.reset()
            self._calls.enabled = True
            self._hook.install()
            for name, module in list(sys.modules.items()):
                if name.startswith(self._prefix):
                    self.redirect_in(module)

    def disable(self) -> None:
        """Makes every name again what it was. Counts stay until enable()."""
        with self._lock:
            self._hook.remove()
            self._calls.enabled = False
            rebind([(ours, theirs) for theirs, ours in self._replaced])
            self._replaced.clear()

    def redirect_in(self, module: ModuleType) -> None:
        """Redirects the functions that a module calls."""
        for name, (label, ours, why_not) in self._redirected.items():
            theirs = vars(module).get(name)
            if callable(theirs) and not any(theirs is new for _, new in self._replaced):
                pair = theirs, redirect(self._calls, label, theirs, ours, why_not)
                self._replaced.append(pair)
                rebind([pair], [module])

    def _redirect_imported(self, module: ModuleType) -> None:
        """Redirects in a module that has been imported, unless disable() came before its end."""
        with self._lock:
            if self._calls.enabled:
                self.redirect_in(module)
