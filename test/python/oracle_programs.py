# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs as wyvern.torch calls them, with the token recurrence in the place of what
is compiled: tests of the functions around them then need no compiler and no GPU."""

from concurrent.futures import ThreadPoolExecutor

import torch

import delta_oracle

CHUNK = 64


def gradients(*args, **kwargs):
    """Autograd of the recurrence: the gradients by `d_<name>`, in float64.

    In another thread: inside of an op, autograd is switched off for the caller's.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_gradients, *args, **kwargs).result()


def _gradients(inputs, d_o, d_final_state, cu_seqlens=None, **more):
    leaves = {name: x.detach().double().requires_grad_() for name, x in inputs.items() if x is not None}
    o, state = delta_oracle.run(**leaves, cu_seqlens=cu_seqlens, **more)
    value = (o * d_o.double()).sum()
    if d_final_state is not None:
        value = value + (state * d_final_state.double()).sum()
    found = torch.autograd.grad(value, list(leaves.values()), allow_unused=True)
    return {
        f"d_{name}": torch.zeros_like(leaf) if x is None else x for (name, leaf), x in zip(leaves.items(), found)
    }


class CpuOracle:
    """As a CpuProgram: NumPy arrays in, NumPy arrays of the layer's dtype out."""

    def __init__(self, spec, training, save=None):
        self.spec = spec
        self.dtype = torch.float64 if spec["dtype"] == "f64" else torch.float32
        self.residuals = ["factor"] if training else []
        self.operands = ["q", "k", "v", *(["g"] if spec["decay"] == "head" else []), "beta"]
        self.inputs = [*self.operands, "initial_state", "cu_seqlens"]
        if training:
            self.backward = CpuOracleBackward(self)

    def read(self, inputs):
        assert set(inputs) <= set(self.inputs)
        tensors = {name: torch.from_numpy(x) for name, x in inputs.items() if x is not None}
        for name, tensor in tensors.items():
            assert tensor.dtype == (torch.int64 if name == "cu_seqlens" else self.dtype), name
        return tensors

    def __call__(self, **inputs):
        tensors = self.read(inputs)
        o, state = delta_oracle.run(**tensors, scale=self.spec["scale"])
        out = {"o": o, "final_state": state}
        if self.residuals:
            # Something that the backward can recognize.
            out["factor"] = tensors["v"].sum(-1, keepdim=True).expand(*o.shape[:3], CHUNK)
        return {name: x.detach().to(self.dtype).contiguous().numpy() for name, x in out.items()}


class CpuOracleBackward:
    def __init__(self, forward):
        self.forward = forward
        self.inputs = [*forward.inputs, "factor", "d_o", "d_final_state"]

    def __call__(self, *, factor, d_o, d_final_state, **inputs):
        tensors = self.forward.read(inputs)
        saved, d_o = torch.from_numpy(factor), torch.from_numpy(d_o)
        assert saved.dtype == d_o.dtype == self.forward.dtype
        assert torch.equal(saved[..., :1], tensors["v"].sum(-1, keepdim=True))
        cu = tensors.pop("cu_seqlens", None)
        d_final = None if d_final_state is None else torch.from_numpy(d_final_state)
        found = gradients(tensors, d_o, d_final, cu, scale=self.forward.spec["scale"])
        return {name: x.to(self.forward.dtype).numpy() for name, x in found.items()}


class GpuOracle:
    """As a Program: torch tensors in, no output that `out` has None for; only the heads
    and head dims of the kernels, and the default scale of those."""

    def __init__(self, names, operands, training):
        self.names = list(names)
        self.dims = operands[0].shape[3], operands[2].shape[3]
        assert all(dim % 16 == 0 for dim in self.dims) and (self.dims[0] <= 128 or self.dims[0] % 64 == 0)
        self.residuals = ["factor"] if training else []
        if training:
            self.backward = GpuOracleBackward(self.names)

    def __call__(self, *, out, cu_seqlens, **inputs):
        inputs = {name: x for name, x in inputs.items() if x is not None}
        o, state = delta_oracle.run(**inputs, cu_seqlens=cu_seqlens)
        v = inputs["v"]
        result = {"o": o.to(v.dtype)}
        if not out:
            result["final_state"] = state.to(inputs["beta"].dtype)
        if self.residuals:
            result["factor"] = v.sum(-1, keepdim=True).expand(*v.shape[:3], CHUNK).contiguous()
        return result


class GpuOracleBackward:
    def __init__(self, operands):
        self.inputs = [*operands, "initial_state", "factor", "d_o", "d_final_state"]

    def __call__(self, *, out, cu_seqlens, factor, d_o, d_final_state, **inputs):
        inputs = {name: x for name, x in inputs.items() if x is not None}
        assert torch.equal(factor[..., :1], inputs["v"].sum(-1, keepdim=True))
        found = gradients(inputs, d_o, d_final_state, cu_seqlens)
        assert ("d_initial_state" in out) == ("initial_state" not in inputs)
        return {name: x.to(inputs[name[2:]].dtype) for name, x in found.items()}
