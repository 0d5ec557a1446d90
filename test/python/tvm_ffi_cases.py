# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A module of tvm-ffi (tvm_ffi_module.c), with the driver played by fake_cuda.c.

Each `case_*` function runs in a process of its own, started by test_tvm_ffi.py:
`python tvm_ffi_cases.py <case> <module>`.
"""

import ctypes
import sys

import numpy as np
import tvm_ffi
from runtime_cases import driver, journal, launches

CUDA = 2  # to DLPack
CODES = {"bf16": (4, 16), "f32": (2, 32), "i32": (0, 32), "u8": (1, 8), "f8": (10, 8)}
BYTES = 2 * 100 * 4 * 64 * 4  # of workspace for two sequences of 100 tokens


class DLTensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device", ctypes.c_int32),
        ("rank", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("sizes", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


class Managed(ctypes.Structure):
    _fields_ = [("tensor", DLTensor), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p)]


kept = []  # what capsules point at


class Tensor:
    """Lends memory that is not there, on a GPU that is not there."""

    def __init__(self, dtype, *sizes, address=0x10000, strides=None, offset=0, device=0):
        extents = (ctypes.c_int64 * len(sizes))
        steps = None if strides is None else ctypes.cast(extents(*strides), ctypes.POINTER(ctypes.c_int64))
        tensor = DLTensor(address, CUDA, device, len(sizes), *CODES[dtype], 1, extents(*sizes), steps, offset)
        self.managed, self.device = Managed(tensor, None, None), device
        kept.append(self)

    def __dlpack_device__(self):
        return CUDA, self.device

    def __dlpack__(self, **_):
        new = ctypes.pythonapi.PyCapsule_New
        new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        return new(ctypes.addressof(self.managed), b"dltensor", None)


def rows(**more):
    return Tensor("bf16", 2, 100, 4, 64, **more)


def scratch(size=BYTES, **more):
    return Tensor("u8", size, address=0x900000, **more)


def refused(kind, words, function, *arguments):
    try:
        function(*arguments)
    except kind as error:
        assert words in str(error), str(error)
    else:
        raise AssertionError(f"expected {kind.__name__}")


def case_a_launch(module):
    driver().fake_set_context(0)
    with tvm_ffi.use_raw_stream(tvm_ffi.device("cuda:0"), 0x77):
        module.scale(rows(address=0x20000), None, rows(address=0x30000, offset=64), None, scratch())
    (launch,) = [x for x in journal() if x.startswith("launch")]
    expected = "launch scale grid=8,1,1 block=128,1,1 shared=1024 stream=0x77 attributes=none context=0 "
    assert launch == expected + "0x20000 0x30040 256 0x900000 100", launch
    view = rows(strides=[25600, 512, 64, 1])
    module.scale(rows(), Tensor("f32", 2, 100, 4, 64), view, None, scratch())
    lines = journal()
    assert lines[-1].endswith(" 512 0x900000 100") and not any(x.startswith("load") for x in lines)


def case_packed(module):
    driver().fake_set_context(0)
    x = Tensor("bf16", 1, 200, 4, 64)
    module.scale(x, None, x, Tensor("i32", 4), scratch())
    assert "grid=12,1,1" in journal()[-1]
    refused(ValueError, "cu_seqlens has rank 2", module.scale, x, None, x, Tensor("i32", 4, 1), scratch())
    refused(ValueError, "cu_seqlens has rank 0", module.scale, x, None, x, Tensor("i32"), scratch())


def case_workspace(module):
    driver().fake_set_context(0)
    assert module.scale_workspace_size(2, 100, -1) == BYTES
    words = "scale_workspace_size: expected three integers"
    refused(TypeError, words, module.scale_workspace_size, 2, 100)
    refused(TypeError, words, module.scale_workspace_size, 2, 100, "many")
    refused(ValueError, "must not be negative", module.scale_workspace_size, -2, 100, -1)
    x = rows()
    refused(ValueError, f"expected at least {BYTES}", module.scale, x, None, x, None, scratch(BYTES - 1))
    refused(TypeError, "the workspace is a value of tvm-ffi's type 1", module.scale, x, None, x, None, 7)
    refused(ValueError, "not on CUDA device 0", module.scale, x, None, x, None, scratch(device=1))
    refused(ValueError, "not on CUDA device 0", module.scale, x, None, x, None, np.zeros(BYTES, np.uint8))
    assert journal() == []


MIB = 1 << 20


def on_stream(module, stream, batch=2, device=0):
    """What the driver did of memory in a call without a workspace, where that was, and whether it was a graph."""
    x = Tensor("bf16", batch, 100, 4, 64, device=device)
    with tvm_ffi.use_raw_stream(tvm_ffi.device(f"cuda:{device}"), stream):
        module.scale(x, None, x)
    lines = journal()
    (launch,) = launches(lines)
    memory = [x for x in lines if x.startswith(("allocate", "free"))]
    return memory, int(launch.split()[-2], 16), "graph launch" in lines


def no_framework_lends(module, stream, batch=2):
    """Without a framework whose tensors are passed there is nothing that could allocate."""
    refused(RuntimeError, "llocator", on_stream, module, stream, batch)


def case_kept_workspace(module):
    """A stream has one, as large as its largest call, and a call that comes again is a graph."""
    driver().fake_set_context(0)
    driver().fake_capture_elsewhere(1)
    memory, first, _ = on_stream(module, 0x77)
    assert memory == [f"allocate {2 * MIB} at {first:#x}"]
    assert on_stream(module, 0x77) == ([], first, False)
    memory, other, _ = on_stream(module, 0x78)
    assert memory == [f"allocate {2 * MIB} at {other:#x}"] and other != first
    memory, larger, _ = on_stream(module, 0x77, batch=21)  # of 102400 bytes
    assert memory == [f"free {first:#x}", f"allocate {4 * MIB} at {larger:#x}"]
    assert on_stream(module, 0x78) == ([], other, False)
    assert [on_stream(module, 0x77) for _ in range(20)][-1] == ([], larger, True)
    assert driver().fake_wrongs() == 0


def case_kept_workspace_of_a_device(module):
    """Contexts, devices and streams that have ended have others."""
    driver().fake_set_context(0)
    _, first, _ = on_stream(module, 0x77)
    driver().fake_renew_handles()
    memory, second, _ = on_stream(module, 0x77)
    assert len(memory) == 1 and second != first
    memory, third, _ = on_stream(module, 0x77, device=1)
    assert len(memory) == 1 and third not in (first, second)
    assert on_stream(module, 0x77) == ([], second, False) and driver().fake_context() == 0


def case_no_kept_workspace(module):
    """What the framework has to lend: of large calls, in captures, on many streams."""
    driver().fake_set_context(0)
    no_framework_lends(module, 0x77, batch=328)
    driver().fake_set_stream(1, 0, -1)
    no_framework_lends(module, 0x77)
    driver().fake_set_stream(0, 0, -1)
    assert journal() == []
    for stream in range(0x80, 0x90):
        on_stream(module, stream)
    no_framework_lends(module, 0x90)
    assert len(on_stream(module, 0x80, batch=327)[0]) == 2  # of 32 MiB


def case_no_memory_to_keep(module):
    """The framework may still have some."""
    driver().fake_set_context(0)
    no_framework_lends(module, 0x77)
    no_framework_lends(module, 0x77)
    assert [line.split()[0] for line in journal()].count("allocate") == 2


def case_unloaded(module):
    """Says what the module takes, which test_tvm_ffi.py wants freed at the end."""
    driver().fake_set_context(0)
    print(f"free {on_stream(module, 0x77)[1]:#x}", flush=True)


def case_wrong_arguments(module):
    x = rows()
    refused(TypeError, "there are 2 arguments, expected the 3 tensors, then cu_seqlens", module.scale, x, x)
    refused(TypeError, "there are 6 arguments", module.scale, *(6 * [x]))
    refused(TypeError, "'x' is None, expected a tensor", module.scale, None, None, x)
    refused(TypeError, "'weight' is a value of tvm-ffi's type 1, expected a tensor or None", module.scale, x, 3, x)
    host = np.zeros((2, 100, 4, 64), np.float32)
    refused(ValueError, "'x' is on a device of DLPack's type 1, expected CUDA, 2", module.scale, host, None, x)
    refused(TypeError, "'x' is of DLPack's type code 10 with 8 bits", module.scale, Tensor("f8", 2, 2), None, x)
    refused(ValueError, "'x' has rank 6, expected at most 5", module.scale, Tensor("f32", *(6 * [1])), None, x)
    short = Tensor("bf16", 2, 99, 4, 64)
    refused(ValueError, "'y' has extent 99 in dimension 1 (time), expected 100", module.scale, x, None, short, None, scratch())
    assert journal() == []


def case_texts(module):
    assert module.get_function_doc("scale") == "scale(x, weight, y)"
    assert module.scale_manifest() == "{}"


def case_no_device(module):
    """What the driver says goes on as a RuntimeError."""
    x = rows(device=3)
    refused(RuntimeError, "3", module.scale, x, None, x, None, scratch(device=3))


if __name__ == "__main__":
    globals()[sys.argv[1]](tvm_ffi.load_module(sys.argv[2]))
