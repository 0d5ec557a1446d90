# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs without a GPU, for the test of gpu_check.py itself.

The token recurrence stands in for the kernels; $SIMULATED_FAULT makes it fail in the
ways that gpu_check.py has to notice.
"""

import os
import time

import torch

import gpu_cases as cases



class SimulatedProgram:
    variants = ["separate"]

    def __init__(self, layer):
        self.layer, self.calls = layer, 0

    def force_variant(self, name):
        assert name is None or name in self.variants, name

    def __call__(self, *, cu_seqlens=None, out=None, **inputs):
        self.calls += 1
        fault = os.environ.get("SIMULATED_FAULT", "")
        if fault == "hang":
            time.sleep(1000)
        if fault == "die":
            os.abort()
        layer = self.layer
        case = cases.Case("", layer, 0)
        o, state = cases.reference(case, inputs, cu_seqlens)
        o, state = o.to(cases.TORCH_DTYPES[layer.dtype]), state.float()
        if fault == "wrong" and o.numel():
            o[0, -1, 0] *= 1.5
        if fault == "nan" and o.numel():
            o[0, -1] = float("nan")
        if fault == "random" and o.numel():
            o[0, 0, 0, 0] += self.calls
        if fault == "tail" and cu_seqlens is not None:
            o[:, int(cu_seqlens[-1]) :] = 1
        if fault == "state" and o.shape[1] == 0:
            state += 1
        if fault == "leak":
            o = o + torch.nan_to_num(inputs["v"].float().abs(), nan=1.0).mean().to(o.dtype)
        given = (out or {}).get("final_state")
        return {"o": o, "final_state": state if given is None else given.copy_(state)}


def install(worker):
    programs = {}
    worker.DEVICE = "cpu"
    worker.program_for = lambda layer: programs.setdefault(layer, SimulatedProgram(layer))
