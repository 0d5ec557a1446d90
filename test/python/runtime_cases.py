# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the runtime asks of the driver, told by a fake one (fake_cuda.c).

Each `case_*` function runs in a process of its own, started by test_runtime.py with
LD_LIBRARY_PATH leading to the fake libcuda: `python runtime_cases.py <case> <folder>`.
"""

import ctypes
import os
import struct
import sys
from pathlib import Path

from wyvern import _rt

CU_SEQLENS = [{"kind": "cu_seqlens"}, {"kind": "cu_width"}]
EXTENTS = [{"kind": "tokens"}, {"kind": "sequences"}]


def fake_image(symbol, layout):
    """An ELF header without sections, and a line that the fake driver reads."""
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 2, 190, 1, 0, 64, 64, 0, 64, 56, 0, 64, 0, 0)
    return header + f"{symbol} {layout}\n".encode()


def rows(heads, width=None, multiple=1):
    dims = [{"kind": "seq"}, {"kind": "time", "multiple": multiple}, {"kind": "head", "size": heads}]
    return dims + ([{"kind": "whole", "size": width}] if width else [])


def chunks(heads, width, multiple=1):
    return [{"kind": "chunk", "multiple": multiple}, {"kind": "head", "size": heads}, {"kind": "whole", "size": width}]


def state(heads, k, v):
    return [{"kind": "seq"}, {"kind": "head", "size": heads}] + [
        {"kind": "whole", "size": size} for size in (k, v)
    ]


def manifest():
    """DeltaNet with two heads, K = 64, V = 128, as two kernels."""

    def tensor(name, role, dtype, dims, **more):
        return {"name": name, "role": role, "dtype": dtype, "dims": dims, **more}

    def strides(name, *dims):
        return [{"kind": "stride", "tensor": name, "dim": dim} for dim in dims]

    def pointer(name):
        return {"kind": "pointer", "tensor": name}

    def tile(name, width):
        return {"kind": "tensor_map", "tensor": name, "box": [1, 64, 1, width], "swizzle": 128}

    return {
        "schema": 3,
        "name": "delta_net",
        "target": "sm_90a",
        "residuals": [],
        "backward": None,
        "chunk": 64,
        "tensors": [
            tensor("q", "input", "bf16", rows(2, 64)),
            tensor("k", "input", "bf16", rows(2, 64)),
            tensor("v", "input", "bf16", rows(2, 128)),
            tensor("beta", "input", "f32", rows(2)),
            tensor("initial_state", "input", "f32", state(2, 64, 128), optional=True),
            tensor("o", "output", "bf16", rows(2, 128)),
            tensor("final_state", "output", "f32", state(2, 64, 128), optional=True),
        ],
        "variants": [
            {
                "name": "separate",
                "workspace": [
                    tensor("before_0", "workspace", "bf16", rows(2, 64)),
                    tensor("before_1", "workspace", "f32", chunks(2, 64)),
                ],
                "kernels": [
                    {
                        "symbol": "delta_net_before",
                        "image": "before.cubin",
                        "grid": {"factor": 2, "count": "slots"},
                        "block": 128,
                        "dynamic_shared": 49152,
                        "params": [tile("k", 64), pointer("beta")]
                        + strides("beta", 0, 1)
                        + [tile("before_0", 64), pointer("before_1")]
                        + CU_SEQLENS
                        + EXTENTS,
                    },
                    {
                        "symbol": "delta_net_chain",
                        "image": "chain.cubin",
                        "grid": {"factor": 4, "count": "sequences"},
                        "block": 384,
                        "dynamic_shared": 180000,
                        "waits": True,
                        "params": [tile("q", 64), tile("k", 64), tile("v", 64), tile("o", 64)]
                        + [tile("before_0", 64), pointer("before_1"), pointer("initial_state")]
                        + strides("initial_state", 0, 1, 2, 3)
                        + [pointer("final_state")]
                        + strides("final_state", 0, 1, 2, 3)
                        + CU_SEQLENS
                        + EXTENTS,
                    },
                ],
            }
        ],
    }


def kernels(spec):
    return [kernel for variant in spec["variants"] for kernel in variant["kernels"]]


def letters(kernel):
    kinds = {"tensor_map": "m", "pointer": "p", "cu_seqlens": "p"}
    return "".join(kinds.get(param["kind"], "i") for param in kernel["params"])


SIZES = {"bf16": 2, "f16": 2, "f32": 4, "f64": 8, "i32": 4, "i64": 8}


class Tensor:
    """What the binding reads of a torch tensor."""

    next_address = 0x10000

    def __init__(self, dtype, *shape, strides=None, address=None):
        self.dtype, self.shape = dtype, shape
        self.strides = strides or [0] * len(shape)
        count = 1
        for i in reversed(range(len(shape))):
            if strides is None:
                self.strides[i] = count
            count *= shape[i]
        self.address = Tensor.next_address if address is None else address
        Tensor.next_address += max(count * SIZES[dtype], 1) // 4096 * 4096 + 4096
        self.copied_from = None

    def data_ptr(self):
        return self.address

    def stride(self):
        return tuple(self.strides)

    def copy_(self, other):
        self.copied_from = other


fresh_tensors = []  # (tensor, copy) of each that was asked for
FRAMEWORK = _rt.Framework(
    {name: name for name in SIZES},
    lambda tensor, copy: fresh_tensors.append((tensor, copy)) or Tensor(tensor.dtype, *tensor.shape),
)


def load(folder, spec=None):
    spec = spec or manifest()
    for kernel in kernels(spec):
        path = Path(folder) / kernel["image"]
        if not path.exists():
            path.write_bytes(fake_image(kernel["symbol"], letters(kernel)))
    return _rt.Program(spec, str(folder))


def arguments(batch=2, tokens=100, sequences=None, **replaced):
    n = batch if sequences is None else sequences
    given = {
        "q": Tensor("bf16", batch, tokens, 2, 64),
        "k": Tensor("bf16", batch, tokens, 2, 64),
        "v": Tensor("bf16", batch, tokens, 2, 128),
        "beta": Tensor("f32", batch, tokens, 2),
        "initial_state": Tensor("f32", n, 2, 64, 128),
        "o": Tensor("bf16", batch, tokens, 2, 128),
        "final_state": Tensor("f32", n, 2, 64, 128),
    }
    assert set(replaced) <= set(given)
    return list((given | replaced).values())


def launch(program, tensors, cu_seqlens=None, stream=0x77, workspace=0x900000, size=None, device=0):
    if size is None:
        batch, tokens = tensors[0].shape[:2]
        packed = -1 if cu_seqlens is None else cu_seqlens.shape[0] - 1
        size = program.workspace_size(batch, tokens, packed)
    program.launch(FRAMEWORK, tensors, device, cu_seqlens, workspace, size, stream)


def driver():
    fake = ctypes.CDLL("libcuda.so.1")
    fake.fake_journal.restype = ctypes.c_char_p
    return fake


def journal():
    return driver().fake_journal().decode().splitlines()


def launches(lines):
    return [line for line in lines if line.startswith("launch")]


def refused(status, *words):
    """A context that expects a runtime error with a status and words in its message."""

    class Expect:
        def __enter__(self):
            return self

        def __exit__(self, kind, error, trace):
            assert kind is not None, f"expected {status}"
            assert issubclass(kind, _rt.RuntimeError), error
            assert error.status == status, (error.status, str(error))
            for word in words:
                assert word in str(error), str(error)
            return True

    return Expect()


# === Launches ===


def case_dense(folder):
    program = load(folder)
    driver().fake_set_context(0)
    tensors = arguments()
    q, k, v, beta, s0, o, s1 = (t.address for t in tensors)
    launch(program, tensors)
    lines = journal()
    assert lines[:2] == ["capture mode 2", f"load delta_net_before {letters(kernels(manifest())[0])}"]
    assert "attribute 8 = 180000 for delta_net_chain on 0" in lines
    assert not any("48 KB" in x or "delta_net_before on" in x for x in lines)
    assert "capture mode 0" in lines
    # The driver counts dimensions from the fastest; strides in bytes.
    key_map = f"dtype=9 address={k:#x} sizes=64,2,100,2 strides=128,256,25600 box=64,1,64,1"
    assert any(key_map in x and "steps=1 swizzle=3 modes=0,2,0" in x for x in lines), lines
    maps = {x.split("address=")[1].split()[0]: x.split()[1] for x in lines if x.startswith("map")}
    before, chain = launches(lines)
    # 2 heads x 2 sequences x 2 chunks
    assert before.startswith("launch delta_net_before grid=8,1,1 block=128,1,1 shared=49152 stream=0x77 ")
    work0, work1 = 0x900000, 0x900000 + 2 * 100 * 2 * 64 * 2
    assert work1 % 256 == 0
    expected = f"attributes=none context=0 map{maps[hex(k)]} {beta:#x} 200 2 map{maps[hex(work0)]} {work1:#x} 0x0 0 100 2"
    assert before.endswith(expected), (before, expected)
    state_strides = "16384 8192 128 1"
    expected = (
        f"grid=8,1,1 block=384,1,1 shared=180000 stream=0x77 attributes=overlap context=0 map{maps[hex(q)]} "
        f"map{maps[hex(k)]} map{maps[hex(v)]} map{maps[hex(o)]} map{maps[hex(work0)]} {work1:#x} "
        f"{s0:#x} {state_strides} {s1:#x} {state_strides} 0x0 0 100 2"
    )
    assert chain.endswith(expected), (chain, expected)
    assert not any(x.startswith(("retain", "push", "memset")) for x in lines)


def case_second_call_encodes_nothing(folder):
    program = load(folder)
    tensors = arguments()
    launch(program, tensors)
    first = journal()
    launch(program, tensors)
    second = journal()
    assert sum(x.startswith("map") for x in first) == 5  # k and before_0 once for both kernels
    assert not any(x.startswith(("map", "load", "attribute")) for x in second)
    assert launches(first) == launches(second)
    tensors[1] = Tensor("bf16", 2, 100, 2, 64)
    launch(program, tensors)
    assert sum(x.startswith("map") for x in journal()) == 1


def case_packed(folder):
    program = load(folder)
    for dtype, width in (("i32", 4), ("i64", 8)):
        cu = Tensor(dtype, 4, address=0x5000 + width)
        launch(program, arguments(1, 200, sequences=3), cu)
        before, chain = launches(journal())
        # 200 // 64 + 3 slots
        assert "grid=12,1,1" in before and "grid=12,1,1" in chain
        assert before.endswith(f" {cu.address:#x} {width} 200 3")
    # 200 // 64 + 3 slots of chunks, and two for each of three sequences.
    assert program.workspace_size(1, 200, 3) == 200 * 2 * 64 * 2 + 6 * 2 * 64 * 4
    assert program.workspace_size(3, 100, -1) == 3 * 100 * 2 * 64 * 2 + 3 * 2 * 2 * 64 * 4
    # Slots of two chunks: 200 // 128 + 3, and ceil(200 / 128) for each of three sequences.
    spec = manifest()
    spec["variants"][0]["workspace"][1]["dims"] = chunks(2, 64, multiple=2)
    program = load(folder, spec)
    assert program.workspace_size(1, 200, 3) == 200 * 2 * 64 * 2 + 4 * 2 * 64 * 4
    assert program.workspace_size(3, 200, -1) == 3 * 200 * 2 * 64 * 2 + 3 * 2 * 2 * 64 * 4


def case_grid_of_slots(folder):
    def blocks(chunks, tensors, cu_seqlens=None):
        spec = manifest()
        kernels(spec)[0]["grid"]["chunks"] = chunks
        launch(load(folder, spec), tensors, cu_seqlens)
        return int(launches(journal())[0].split("grid=")[1].split(",")[0])

    # 2 heads x 2 sequences x ceil(T / 128); 2 heads x (floor(T / 128) + 3)
    assert [blocks(2, arguments(2, tokens)) for tokens in (1, 128, 129, 300)] == [4, 4, 8, 12]
    packed = [arguments(1, tokens, sequences=3) for tokens in (127, 128, 300)]
    assert [blocks(2, tensors, Tensor("i64", 4)) for tensors in packed] == [6, 8, 10]
    assert blocks(2**32 - 1, arguments(2, 300)) == 4


def case_state_strides(folder):
    """[V,K] states are [K,V] views."""
    program = load(folder)
    s0 = Tensor("f32", 2, 2, 64, 128, strides=[2 * 64 * 128, 64 * 128, 1, 64])
    launch(program, arguments(initial_state=s0))
    assert f" {s0.address:#x} 16384 8192 1 64 " in launches(journal())[1]
    assert fresh_tensors == []


def case_optional_absent(folder):
    program = load(folder)
    launch(program, arguments(initial_state=None, final_state=None))
    assert " 0x0 0 0 0 0 0x0 0 0 0 0 0x0 0 100 2" in launches(journal())[1]


def case_absent_through_a_map(folder):
    spec = manifest()
    spec["tensors"][4]["dims"] = rows(2, 64)
    kernels(spec)[1]["params"] = [
        {"kind": "tensor_map", "tensor": "initial_state", "box": [1, 64, 1, 32], "swizzle": 128}
    ]
    tensors = arguments(initial_state=None)
    launch(load(folder, spec), tensors)
    line = [x for x in journal() if "dtype=7" in x][0]
    assert f"address={tensors[0].address:#x} sizes=1,1,1,1 " in line, line


def case_nothing_to_do(folder):
    program = load(folder)
    driver().fake_set_context(0)
    # T = 0: the chain still turns initial_state into final_state.
    launch(program, arguments(tokens=0))
    lines = journal()
    assert [x.split()[1] for x in launches(lines)] == ["delta_net_chain"]
    assert all("sizes=64,2,1,2" in x or "sizes=128,2,1,2" in x for x in lines if x.startswith("map"))
    # torch's empty tensors are null.
    nulls = [Tensor(t.dtype, *t.shape, address=0) for t in arguments(tokens=0)[:6]]
    launch(program, nulls + arguments(tokens=0)[6:])
    assert len(launches(journal())) == 1
    # No batch: nothing at all.
    launch(program, arguments(batch=0))
    assert journal() == []
    # No sequence: every row lies past cu_seqlens[-1].
    tensors = arguments(1, 10, sequences=0)
    launch(program, tensors, Tensor("i64", 1))
    assert journal() == [f"memset {tensors[5].address:#x} = 0 x {10 * 2 * 128 * 2} stream=0x77"]


def case_zero_rows_of_a_view(folder):
    program = load(folder)
    view = Tensor("bf16", 1, 3, 2, 128, strides=[3000, 1000, 128, 1])
    launch(program, arguments(1, 3, sequences=0, o=view), Tensor("i64", 1))
    memsets = [x for x in journal() if x.startswith("memset")]
    assert memsets == [f"memset {view.address + 2000 * i:#x} = 0 x 512 stream=0x77" for i in range(3)]


def case_views_and_copies(folder):
    program = load(folder)

    def taken(index, tensor):
        fresh_tensors.clear()
        tensors = arguments()
        tensors[index] = tensor
        launch(program, tensors)
        return fresh_tensors == []

    # A head slice of a fused projection, and a transposed [B,H,T,D].
    assert taken(0, Tensor("bf16", 2, 100, 2, 64, strides=[38400, 384, 64, 1]))
    assert taken(1, Tensor("bf16", 2, 100, 2, 64, strides=[12800, 64, 6400, 1]))
    assert taken(3, Tensor("f32", 2, 100, 2, strides=[1000, 7, 1]))
    assert not taken(0, Tensor("bf16", 2, 100, 2, 64, strides=[12800, 128, 1, 2]))
    assert not taken(1, Tensor("bf16", 2, 100, 2, 64, strides=[13400, 134, 67, 1]))
    assert not taken(1, Tensor("bf16", 2, 100, 2, 64, strides=[12800, 0, 64, 1]))
    assert not taken(1, Tensor("bf16", 2, 100, 2, 64, address=0x10008))
    # The kernels are told the strides of beta's first two dimensions alone.
    assert not taken(3, Tensor("f32", 2, 100, 2, strides=[200, 1, 100]))
    # A dimension of extent 1 may have any stride.
    assert load(folder) and taken(0, Tensor("bf16", 2, 100, 2, 64))
    tensors = arguments(1, 1, q=Tensor("bf16", 1, 1, 2, 64, strides=[7, 3, 64, 1]))
    journal()
    launch(program, tensors)
    assert any("sizes=64,2,1,1 strides=128,256,256" in x for x in journal())
    # An output that cannot be written in place is copied back.
    out = Tensor("bf16", 2, 100, 2, 128, address=0x10008)
    assert not taken(5, out) and out.copied_from is not None
    assert fresh_tensors == [(out, False)]


def case_context_of_another_device(folder):
    program = load(folder)
    fake = driver()
    fake.fake_set_context(0)
    launch(program, arguments(), device=2)
    lines = journal()
    assert lines[:2] == ["retain 2", "push 2"] and lines[-1] == "pop"
    assert all("context=2" in x for x in launches(lines))
    assert fake.fake_context() == 0
    launch(program, arguments(), device=0)
    lines = journal()
    # Loaded once, the attribute is per device.
    assert not any(x.startswith(("load", "retain")) for x in lines)
    assert "attribute 8 = 180000 for delta_net_chain on 0" in lines
    launch(program, arguments(), device=2)
    assert journal()[0] == "push 2"


case_context_of_another_device.devices = "90,80,90"


def case_unload(folder):
    program = load(folder)
    program.prepare(0)
    assert launches(journal()) == []
    del program
    assert journal() == ["unload delta_net_before", "unload delta_net_chain"]


# === Refusals ===


def case_wrong_tensors(folder):
    program = load(folder)
    tensor = "WYVERN_ERROR_INVALID_TENSOR"
    with refused(tensor, "'v' has dtype f16, expected bf16"):
        launch(program, arguments(v=Tensor("f16", 2, 100, 2, 128)))
    with refused(tensor, "'k' has rank 3, expected 4"):
        launch(program, arguments(k=Tensor("bf16", 2, 100, 64)))
    with refused(tensor, "'q' has rank 3, expected 4"):
        program.launch(FRAMEWORK, [Tensor("bf16", 2, 100, 64)] + arguments()[1:], 0, None, 0, 0, 0)
    with refused(tensor, "'k' has extent 99 in dimension 1 (time), expected 100"):
        launch(program, arguments(k=Tensor("bf16", 2, 99, 2, 64)))
    with refused(tensor, "'v' has extent 64 in dimension 3 (channels), expected 128"):
        launch(program, arguments(v=Tensor("bf16", 2, 100, 2, 64)))
    with refused(tensor, "'beta' has extent 4 in dimension 2 (heads), expected 2"):
        launch(program, arguments(beta=Tensor("f32", 2, 100, 4)))
    with refused(tensor, "'initial_state' has extent 1 in dimension 0 (sequences), expected 2"):
        launch(program, arguments(initial_state=Tensor("f32", 1, 2, 64, 128)))
    assert launches(journal()) == []


def case_more_tokens_than_the_most(folder):
    spec = manifest()
    spec["tensors"][0]["dims"][1]["most"] = 128
    program = load(folder, spec)
    launch(program, arguments(2, 128))
    assert len(launches(journal())) == 2
    with refused("WYVERN_ERROR_INVALID_TENSOR", "expected at most 128 tokens, found 129", "a larger max_tokens"):
        launch(program, arguments(1, 129))
    with refused("WYVERN_ERROR_INVALID_TENSOR", "at most 128 tokens in all packed sequences, found 129"):
        launch(program, arguments(1, 129, sequences=3), Tensor("i64", 4))
    assert launches(journal()) == []


def case_wrong_cu_seqlens(folder):
    program = load(folder)
    tensor = "WYVERN_ERROR_INVALID_TENSOR"
    packed = arguments(1, 100, sequences=3)
    size = program.workspace_size(1, 100, 3)
    with refused(tensor, "cu_seqlens has dtype f32, expected i32 or i64"):
        launch(program, packed, Tensor("f32", 4), size=size)
    with refused(tensor, "cu_seqlens has rank 2"):
        launch(program, packed, Tensor("i64", 4, 1), size=size)
    with refused(tensor, "rank 1 and 0 entries"):
        launch(program, packed, Tensor("i64", 0), size=size)
    with refused(tensor, "the stride 2, expected 1"):
        launch(program, packed, Tensor("i64", 4, strides=[2]), size=size)
    with refused("WYVERN_ERROR_INVALID_ARGUMENT", "one packed batch", "found 2"):
        launch(program, arguments(2, 100, sequences=3), Tensor("i64", 4), size=size)


def case_wrong_workspace(folder):
    program = load(folder)
    needed = program.workspace_size(2, 100, -1)
    for address, size in ((0x900000, needed - 1), (0x900010, needed), (0, needed)):
        with refused("WYVERN_ERROR_WORKSPACE", str(needed), "multiple of 256"):
            launch(program, arguments(), workspace=address, size=size)
    with refused("WYVERN_ERROR_INVALID_ARGUMENT", "overflow"):
        program.workspace_size(1 << 40, 1 << 40, -1)
    with refused("WYVERN_ERROR_INVALID_ARGUMENT", "overflow"):
        load(folder, manifest() | {"chunk": 1}).workspace_size(1, 1 << 62, (1 << 63) - 1)
    with refused("WYVERN_ERROR_INVALID_ARGUMENT", "must not be negative"):
        program.workspace_size(-1, 5, -1)


def case_grid_too_large(folder):
    program = load(folder)
    n = 1 << 30
    with refused("WYVERN_ERROR_INVALID_ARGUMENT", "delta_net_chain", "2^31 - 1"):
        launch(program, arguments(n, 0))


def case_wrong_arch(folder):
    program = load(folder)
    with refused("WYVERN_ERROR_WRONG_ARCH", "delta_net was built for sm_90a, device 0 (Fake 0) is sm_80"):
        launch(program, arguments())
    with refused("WYVERN_ERROR_WRONG_ARCH", "device 1 (Fake 1) is sm_100"):
        launch(program, arguments(), device=1)
    with refused("WYVERN_ERROR_NO_DEVICE", "no device 2", "2 GPU(s)"):
        launch(program, arguments(), device=2)
    assert not any(x.startswith("load") for x in journal())
    spec = manifest() | {"target": "sm_75"}
    with refused("WYVERN_ERROR_WRONG_ARCH", "built for sm_75"):
        launch(load(folder, spec), arguments())
    spec["target"] = "sm_80"
    launch(load(folder, spec), arguments())


case_wrong_arch.devices = "80,100"


def case_shared_memory(folder):
    spec = manifest()
    kernels(spec)[1]["dynamic_shared"] = 300000
    with refused("WYVERN_ERROR_WRONG_ARCH", "delta_net_chain needs 300000 bytes", "has 232448"):
        launch(load(folder, spec), arguments())


def case_no_gpu(folder):
    program = load(folder)
    with refused("WYVERN_ERROR_NO_DEVICE", "sees no GPU"):
        launch(program, arguments())


case_no_gpu.devices = "0"


def case_driver_refuses_the_image(folder):
    os.environ["FAKE_FAIL"] = "cuLibraryLoadData=209"
    program = load(folder)
    with refused("WYVERN_ERROR_BAD_IMAGE", "the image of delta_net_before", "CUDA_ERROR_NO_BINARY_FOR_GPU"):
        launch(program, arguments())
    assert journal() == ["retain 0", "push 0", "capture mode 2", "capture mode 0", "pop"]
    del os.environ["FAKE_FAIL"]  # nothing was kept of the failure
    launch(program, arguments())


def case_image_without_the_kernel(folder):
    (Path(folder) / "chain.cubin").write_bytes(fake_image("other", "i"))
    with refused("WYVERN_ERROR_BAD_IMAGE", "no such kernel", "delta_net_chain"):
        launch(load(folder), arguments())
    assert "unload other" in journal()


def case_launch_fails(folder):
    program = load(folder)
    os.environ["FAKE_FAIL"] = "cuLaunchKernelEx=701"
    with refused("WYVERN_ERROR_DRIVER", "cannot launch delta_net_before", "701"):
        launch(program, arguments())
    assert journal()[-1] == "pop"


if __name__ == "__main__":
    globals()[sys.argv[1]](sys.argv[2])
