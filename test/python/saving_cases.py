# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What tests of what a call saves for its backward share."""

import wyvern
from wyvern._core import bundles


def refuse_states(monkeypatch):
    """States are asked for, and no program that saves them compiles."""
    monkeypatch.setenv("WYVERN_SAVE", "states")
    compile = bundles.wyvern.compile

    def fail(*args, save=None, **options):
        if save == "states":
            raise wyvern.CompileError("it spills\nin a kernel")
        return compile(*args, save=save, **options)

    monkeypatch.setattr(bundles.wyvern, "compile", fail)
