# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""SGLang's hooks, those that go around a method."""

import functools
import pkgutil
from enum import Enum


class HookType(Enum):
    BEFORE = "before"
    AFTER = "after"
    AROUND = "around"
    REPLACE = "replace"


class HookRegistry:
    hooks: dict = {}

    @classmethod
    def register(cls, target, hook, hook_type=HookType.AFTER, *, source=None):
        cls.hooks[target] = hook, hook_type

    @classmethod
    def apply_hooks(cls):
        for target, (hook, hook_type) in cls.hooks.items():
            assert hook_type == HookType.AROUND
            path, _, name = target.rpartition(".")
            owner = pkgutil.resolve_name(path)
            setattr(owner, name, _around(getattr(owner, name), hook))


def _around(original, hook):
    @functools.wraps(original)
    def call(*args, **kwargs):
        return hook(original, *args, **kwargs)

    return call
