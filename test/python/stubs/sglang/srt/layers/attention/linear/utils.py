# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""SGLang's backends of linear attention; one that is not its own is CUSTOM."""

from enum import Enum


class LinearAttnKernelBackend(Enum):
    TRITON = "triton"
    CUTEDSL = "cutedsl"
    CUSTOM = "custom"

    @classmethod
    def _missing_(cls, value):
        return cls.CUSTOM
