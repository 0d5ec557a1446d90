# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a call of XLA makes the runtime ask of the driver: a fake one (fake_cuda.c) writes
it down, and xla_ffi_caller.cpp is XLA.

Each `case_*` function runs in a process of its own, started by test_xla_ffi.py:
`python xla_cases.py <case> <folder> <caller>`.
"""

import ctypes
import sys

import runtime_cases
from runtime_cases import arguments, journal, launches, load
from wyvern import _rt

DTYPES = {"i32": 4, "i64": 5, "u8": 6, "f16": 10, "f32": 11, "f64": 12, "bf16": 16}
INITIALIZE, EXECUTE = 2, 3
ABSENT = runtime_cases.Tensor("f32", 0, address=0)


class Workspace:
    """As XLA lends it: at a multiple of 128 bytes."""

    dtype, address = "u8", 0x900080

    def __init__(self, size):
        self.shape = (size,)


class Buffer(ctypes.Structure):
    _fields_ = [
        ("dtype", ctypes.c_int),
        ("data", ctypes.c_void_p),
        ("rank", ctypes.c_int64),
        ("dims", ctypes.POINTER(ctypes.c_int64)),
    ]


def buffers(tensors):
    made = (Buffer * len(tensors))()
    for buffer, x in zip(made, tensors):
        dims = (ctypes.c_int64 * len(x.shape))(*x.shape)
        buffer.dtype, buffer.data, buffer.rank, buffer.dims = DTYPES[x.dtype], x.address, len(x.shape), dims
    return made


def handler():
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return ctypes.c_void_p(pointer(_rt.xla_handler(), None))


def call(caller, tensors, *, stage=EXECUTE, cu_seqlens=ABSENT, program="layer", workspace=Workspace(1 << 20)):
    """Returns the handler's error, or an empty string."""
    caller.call_handler.restype = ctypes.c_char_p
    inputs, outputs = [*tensors[:5], cu_seqlens], [*tensors[5:], workspace]
    given = len(inputs), buffers(inputs), len(outputs), buffers(outputs)
    return caller.call_handler(handler(), stage, program.encode(), *given).decode()


def prepared(folder):
    program = load(folder)
    program.add_for_xla("layer")
    return program


def case_metadata(folder, caller):
    """A newer XLA takes the version that we know, an older one hears of none above its own."""
    for theirs, expected in ((0, 0), (1, 1), (3, 3), (9, 3)):
        version, traits = ctypes.c_int(), ctypes.c_uint()
        caller.ask_metadata(handler(), theirs, ctypes.byref(version), ctypes.byref(traits))
        assert version.value == expected
        assert traits.value == 1  # compatible with command buffers: CUDA graphs


def case_loads_before_it_runs(folder, caller):
    prepared(folder)
    assert call(caller, arguments(), stage=INITIALIZE) == ""
    lines = journal()
    assert sum(x.startswith("load") for x in lines) == 2 and not launches(lines)
    assert call(caller, arguments()) == ""
    lines = journal()
    assert len(launches(lines)) == 2 and not any(x.startswith("load") for x in lines)


def case_is_the_launch_of_the_runtime(folder, caller):
    """On XLA's stream and device, with a workspace that starts at a multiple of 256."""
    program, tensors = prepared(folder), arguments()
    assert call(caller, tensors) == ""
    found = launches(journal())
    runtime_cases.launch(program, tensors, workspace=0x900100, device=1)
    assert found == launches(journal()) and all("stream=0x77" in x and "context=1" in x for x in found)


def case_absent(folder, caller):
    """Neither a state that is not given nor one that is not wanted is read or written."""
    prepared(folder)
    assert call(caller, arguments(initial_state=ABSENT, final_state=ABSENT)) == ""
    found = launches(journal())[1]
    assert found.endswith(" 0x0 0 0 0 0 0x0 0 0 0 0 0x0 0 100 2"), found


def case_packed(folder, caller):
    program = prepared(folder)
    for dtype in ("i32", "i64"):
        cu, tensors = runtime_cases.Tensor(dtype, 4), arguments(1, 200, sequences=3)
        assert call(caller, tensors, cu_seqlens=cu) == ""
        found = launches(journal())
        runtime_cases.launch(program, tensors, cu, workspace=0x900100, device=1)
        assert found == launches(journal())


def case_no_tokens(folder, caller):
    """Buffers without an element have no address; that is not to be absent."""
    prepared(folder)
    tensors = arguments(tokens=0)
    for x in tensors:
        if 0 in x.shape:
            x.address = 0
    assert call(caller, tensors) == ""
    assert [x.split()[1] for x in launches(journal())] == ["delta_net_chain"]


def case_errors(folder, caller):
    prepared(folder)
    error = call(caller, arguments(), program="other")
    assert "the program 'other' is not known in this process" in error, error
    error = call(caller, arguments(beta=runtime_cases.Tensor("f64", 2, 100, 2)))
    assert "delta_net: 'beta' has another type (f64 of rank 3) than the program was compiled for" in error, error
    error = call(caller, arguments(v=runtime_cases.Tensor("bf16", 2, 100, 2, 64)))
    assert "delta_net: 'v'" in error and "expected" in error, error
    error = call(caller, arguments(), workspace=Workspace(300))
    assert "workspace" in error, error
    assert not launches(journal())


if __name__ == "__main__":
    case, folder, caller = sys.argv[1:]
    globals()[case](folder, ctypes.CDLL(caller))
