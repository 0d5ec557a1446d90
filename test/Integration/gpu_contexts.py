#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Checks a program in contexts and streams that end and come anew, as nobody does who uses a framework.

    gpu_contexts.py BUNDLE VARIANT      by gpu_graphs.py

All results have the same bits, and nothing faults, at the end of the program neither. A driver gives
a new context the handle of one that has ended, and its memory the same addresses.
"""

import ctypes
import random
import sys
from array import array

import wyvern
from wyvern import _rt

TOKENS, OFTEN = 200, 40
SIZES = {"bf16": 2, "f32": 4}
cuda = ctypes.CDLL("libcuda.so.1")


def ask(function, *arguments):
    """Calls a function of the driver; what is no integer is passed by reference."""
    given = [ctypes.c_uint64(x) if isinstance(x, int) else ctypes.byref(x) for x in arguments]
    status = getattr(cuda, function)(*given)
    if status != 0:
        raise RuntimeError(f"{function}: CUDA error {status}")


def made_by(function, *arguments):
    """Returns the handle that a function of the driver makes."""
    handle = ctypes.c_uint64()
    ask(function, handle, *arguments)
    return handle.value


class Tensor:
    """Memory of the current context."""

    def __init__(self, dtype, shape, values=None):
        self.dtype, self.shape = dtype, tuple(shape)
        self.bytes = SIZES[dtype]
        for size in shape:
            self.bytes *= size
        self.address = made_by("cuMemAlloc_v2", self.bytes)
        if values is not None:
            ask("cuMemcpyHtoD_v2", self.address, (ctypes.c_char * self.bytes).from_buffer_copy(values), self.bytes)

    def data_ptr(self):
        return self.address

    def stride(self):
        strides = [1]
        for size in self.shape[:0:-1]:
            strides.insert(0, strides[0] * size)
        return tuple(strides)

    def poison(self):
        ask("cuMemsetD8_v2", self.address, 0xFF, self.bytes)

    def read(self):
        values = (ctypes.c_char * self.bytes)()
        ask("cuMemcpyDtoH_v2", values, self.address, self.bytes)
        return bytes(values)


FRAMEWORK = _rt.Framework({name: name for name in SIZES}, lambda tensor, copy: Tensor(tensor.dtype, tensor.shape))


def shape_of(tensor):
    """The shape of a tensor of a manifest, of one sequence."""
    return [{"seq": 1, "time": TOKENS}.get(dim["kind"]) or dim["size"] for dim in tensor["dims"]]


def values_of(tensor, seed):
    """Random values of an operand between -.15 and .15, rates between 0 and 1."""
    draw, count = random.Random(seed), 1
    for size in shape_of(tensor):
        count *= size
    if tensor["dtype"] == "f32":
        return array("f", [draw.random() for _ in range(count)]).tobytes()
    wide = array("f", [draw.uniform(-0.15, 0.15) for _ in range(count)]).tobytes()
    return b"".join(wide[i + 2 : i + 4] for i in range(0, len(wide), 4))


class Contexts:
    def __init__(self, folder, variant):
        self.program = wyvern.load(folder, variant)
        tensors = self.program.manifest["tensors"]
        self.inputs = [x for x in tensors if x["role"] == "input" and not x.get("optional")]
        self.values = [values_of(x, seed) for seed, x in enumerate(self.inputs)]
        self.bits = None

    def enter(self):
        """Makes the tensors in a context that has just been made."""
        operands = [Tensor(x["dtype"], shape_of(x), y) for x, y in zip(self.inputs, self.values)]
        self.o = Tensor("bf16", operands[2].shape)
        self.size = self.program._rt.workspace_size(1, TOKENS, -1)
        self.workspace = made_by("cuMemAlloc_v2", self.size + 1)
        self.arguments = [*operands, None, self.o, None]

    def run(self, what, stream=0):
        for _ in range(OFTEN):
            self.o.poison()
            self.program._rt.launch(FRAMEWORK, self.arguments, 0, None, self.workspace, self.size, stream)
            ask("cuCtxSynchronize")
            found = self.o.read()
            self.bits = self.bits or found
            if found != self.bits or b"\xff" * 16 in found:
                raise AssertionError(f"{what}: other bits than in the first context, or some that are not written")


def main(folder, variant):
    ask("cuInit", 0)
    contexts = Contexts(folder, variant)
    for _ in range(3):
        context = made_by("cuCtxCreate_v2", 0, 0)
        contexts.enter()
        contexts.run("the null stream")
        for _ in range(2):
            stream = made_by("cuStreamCreate", 1)
            contexts.run("a stream", stream)
            ask("cuStreamDestroy_v2", stream)
        contexts.run("the thread's stream", 2)
        ask("cuCtxDestroy_v2", context)
    for what in ("the primary context", "the primary context, after a reset"):
        ask("cuCtxSetCurrent", made_by("cuDevicePrimaryCtxRetain", 0))
        contexts.enter()
        contexts.run(what)
        ask("cuDevicePrimaryCtxReset_v2", 0)
    del contexts.program


if __name__ == "__main__":
    main(*sys.argv[1:])
