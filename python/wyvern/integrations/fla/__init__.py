# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""flash-linear-attention 0.6: its functions, layers and models of DeltaNet and Gated
DeltaNet on Wyvern's programs.

    import wyvern.integrations.fla as integration

    integration.enable()
    ...                               # fla.ops, fla.layers, fla.models as before
    print(integration.status())

Where FLA chooses a backend itself, Wyvern is one of them; elsewhere its functions take
the place of FLA's in every module that has imported them. What Wyvern does not serve
runs FLA's kernels.
"""

import importlib
from typing import Any

from .._calls import Calls, Status
from .._redirect import Function, rebind, redirect
from ._backend import Backend
from ._functions import DISPATCHED, NOT_SERVED, REBOUND, why_not_at_all

_calls = Calls()
_backends: list[Backend] = []
_replaced: list[tuple[Function, Function]] = []


def _theirs(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)


def _has_dispatch() -> bool:
    """Whether FLA asks backends in this process. Raises ImportError without FLA 0.6."""
    import fla

    try:
        backends = importlib.import_module("fla.backends")
    except ModuleNotFoundError as error:
        raise ImportError(
            f"flash-linear-attention {fla.__version__} has no fla.backends: install 0.6 or later"
        ) from error
    return not backends._DISPATCH_DISABLED  # FLA_DISABLE_BACKEND_DISPATCH


def _redirect_all(dispatches: bool) -> None:
    """Makes the backends, and the pairs of functions to rebind."""
    for (module, name), (ours, why_not) in (DISPATCHED | REBOUND).items():
        theirs = _theirs(module, name)
        if dispatches and (module, name) in DISPATCHED:
            _backends.append(Backend(_calls, module.removeprefix("fla.ops."), theirs, ours, why_not))
        else:
            _replaced.append((theirs, redirect(_calls, name, theirs, ours, why_not)))
    for module, names in NOT_SERVED.items():
        for name in names:
            theirs = _theirs(module, name)
            _replaced.append((theirs, redirect(_calls, name, theirs, theirs, why_not_at_all)))


def enable() -> None:
    """Serves FLA's functions, also for who has imported them before.

    Raises ImportError without FLA 0.6 or later. Calls are counted from here on.
    """
    dispatches = _has_dispatch()
    if _calls.enabled:
        return
    _redirect_all(dispatches)
    for backend in _backends:
        backend.register()
    rebind(_replaced)
    _calls.reset()
    _calls.enabled = True


def disable() -> None:
    """Undoes enable(): FLA's registries and names are what they were. Counts stay until
    enable()."""
    _calls.enabled = False
    for backend in _backends:
        backend.unregister()
    _backends.clear()
    rebind([(ours, theirs) for theirs, ours in _replaced])
    _replaced.clear()


def status() -> Status:
    """Returns what was served and what fell back to FLA, with reasons."""
    return _calls.status()
