# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Wyvern as a backend of FLA 0.6, for the functions that FLA dispatches itself."""

import threading
from typing import Any, Optional

from .._calls import Calls
from .._redirect import Function, WhyNot, redirect

BACKEND = "wyvern"


class Backend:
    """Serves one function of one of FLA's registries while it is registered."""

    def __init__(self, calls: Calls, registry: str, theirs: Function, ours: Function, why_not: WhyNot) -> None:
        self._calls = calls
        self._registry = registry
        self.theirs = theirs
        self._ours = ours
        self._why_not = why_not
        # Set in a thread that has declined a call after accepting it.
        self._declining = threading.local()

    def register(self) -> None:
        """Puts Wyvern before FLA's other backends (FLA_WYVERN=0 in the environment: never)."""
        from fla.backends import BaseBackend, register

        name = self.theirs.__name__
        attributes = {
            "backend_type": BACKEND,
            "package_name": "wyvern",
            "env_var": "FLA_WYVERN",
            "priority": 1,
            f"{name}_verifier": staticmethod(self._verify),
            name: staticmethod(redirect(self._calls, name, self._go_on, self._ours, lambda *_, **__: None)),
        }
        register(self._registry)(type("WyvernBackend", (BaseBackend,), attributes))

    def unregister(self) -> None:
        """Takes it out again: FLA has no function for that."""
        from fla import backends

        backends._operation_registries[self._registry]._backends.pop(BACKEND, None)

    def _verify(self, *args: Any, **kwargs: Any) -> tuple[bool, Optional[str]]:
        if getattr(self._declining, "now", False):
            return False, "declined"
        reason = self._why_not(*args, **kwargs)
        if reason is not None:
            self._calls.fall_back(self.theirs.__name__, reason)
        return reason is None, reason

    def _go_on(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the call once more through FLA's dispatch, without us."""
        self._declining.now = True
        try:
            return self.theirs(*args, **kwargs)
        finally:
            self._declining.now = False
