# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""flash-linear-attention 0.6: its functions, layers and models of the DeltaNet family on
Wyvern's programs.

    import wyvern.integrations.fla as integration

    integration.enable()
    ...                               # fla.ops, fla.layers, fla.models as before
    print(integration.status())

Where FLA chooses a backend itself, Wyvern is one of them; elsewhere its functions take
the place of FLA's in every module that has imported them. What Wyvern does not serve
runs FLA's kernels.
"""

import importlib
import threading
from typing import Any

from .._calls import Calls, Status
from .._redirect import Function, rebind, redirect
from ._backend import Backend
from ._functions import DISPATCHED, NOT_SERVED, REBOUND, why_not_at_all

_calls = Calls()
_backends: list[Backend] = []
_replaced: list[tuple[Function, Function]] = []
_lock = threading.Lock()


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


def _theirs(module: str, name: str) -> Any:
    """Returns FLA's function as it is bound now. Raises ImportError where there is none."""
    try:
        return getattr(importlib.import_module(module), name)
    except (ModuleNotFoundError, AttributeError) as error:
        import fla

        raise ImportError(
            f"flash-linear-attention {fla.__version__} has no {module}.{name}: this wyvern knows 0.6"
        ) from error


def _is_ours(function: Function) -> bool:
    """Whether it has been replaced already, or is asked through a backend."""
    return any(function is ours for _, ours in _replaced) or any(function is x.theirs for x in _backends)


def _find_served(dispatches: bool) -> tuple[list[Backend], list[tuple[Function, Function]]]:
    """Returns the backends to register, and the pairs of functions to rebind."""
    backends, pairs = [], []
    for (module, name), (ours, why_not) in (DISPATCHED | REBOUND).items():
        theirs = _theirs(module, name)
        if _is_ours(theirs):
            continue
        if dispatches and (module, name) in DISPATCHED:
            registry = module.removeprefix("fla.ops.").partition(".")[0]
            backends.append(Backend(_calls, registry, theirs, ours, why_not))
        else:
            pairs.append((theirs, redirect(_calls, name, theirs, ours, why_not)))
    return backends, pairs


def _find_counted() -> list[tuple[Function, Function]]:
    """Returns pairs of functions that are FLA's own, and counted. Another version of FLA
    may be without one."""
    pairs = []
    for module, names in NOT_SERVED.items():
        for name in names:
            try:
                theirs = _theirs(module, name)
            except ImportError:
                continue
            if not _is_ours(theirs):
                pairs.append((theirs, redirect(_calls, name, theirs, theirs, why_not_at_all)))
    return pairs


def enable() -> None:
    """Serves FLA's functions, also for who has imported them before.

    Calls are counted from here on. Where it is enabled already, it serves what modules
    have been loaded again since. Raises ImportError without FLA 0.6, or where a later one
    has not the functions that it serves.
    """
    dispatches = _has_dispatch()
    with _lock:
        backends, pairs = _find_served(dispatches)
        pairs += _find_counted()
        for backend in backends:
            backend.register()
        _backends.extend(backends)
        _replaced.extend(pairs)
        rebind(pairs)
        if not _calls.enabled:
            _calls.reset()
            _calls.enabled = True


def disable() -> None:
    """Undoes enable(): FLA's registries and names are what they were. Counts stay until
    enable()."""
    with _lock:
        _calls.enabled = False
        for backend in _backends:
            backend.unregister()
        _backends.clear()
        rebind([(ours, theirs) for theirs, ours in _replaced])
        _replaced.clear()


def status() -> Status:
    """Returns what was served and what fell back to FLA, with reasons."""
    return _calls.status()
