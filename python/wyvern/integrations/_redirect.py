# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A function of another package, replaced by one that asks Wyvern first."""

import functools
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, Optional

import torch

from ._calls import Calls

Function = Callable[..., Any]
# From a call's arguments to why Wyvern does not serve it; None where it does.
WhyNot = Callable[..., Optional[str]]

# Errors about a call; wyvern.CompileError is a ValueError.
_DECLINES = NotImplementedError, TypeError, ValueError


def redirect(
    calls: Calls, name: str, theirs: Function, ours: Function, why_not: WhyNot, always: bool = False
) -> Function:
    """Returns what runs `ours` where it can and `theirs` elsewhere, counted by `name`.

    `ours` may still decline: by an error about the arguments, or, when it looks for its
    program, by NotImplementedError or CompileError. What is wrong with a call is then
    for `theirs` to say. While the integration is off, all calls are theirs and nothing is
    counted, unless it is to serve `always`.
    """

    # torch.compile runs it while it traces: counting is no part of a graph.
    @torch.compiler.assume_constant_result
    def count(reason: Optional[str] = None) -> None:
        calls.serve(name) if reason is None else calls.fall_back(name, reason)

    @functools.wraps(theirs)
    def call(*args: Any, **kwargs: Any) -> Any:
        if not (calls.enabled or always):
            return theirs(*args, **kwargs)
        try:
            reason = why_not(*args, **kwargs)
            if reason is None:
                result = ours(*args, **kwargs)
                count()
                return result
        except _DECLINES as error:
            reason = str(error).removeprefix(f"{name}: ").partition("\n")[0]
        count(reason)
        return theirs(*args, **kwargs)

    # What torch.compiler.disable has left on `theirs` would send the compiler there.
    for attribute in [x for x in vars(call) if x.startswith("_torchdynamo")]:
        delattr(call, attribute)
    return call


def rebind(pairs: list[tuple[Any, Any]], modules: Optional[list[ModuleType]] = None) -> None:
    """Makes every global that is the first of a pair be the second, in these modules or in
    all that are loaded.

    Names are what modules have imported from one another, so the module that defines a
    function is not enough.
    """
    new_by_id = {id(old): new for old, new in pairs}
    for module in list(sys.modules.values()) if modules is None else modules:
        namespace = getattr(module, "__dict__", {})
        for name, value in list(namespace.items()):
            if id(value) in new_by_id:
                namespace[name] = new_by_id[id(value)]
