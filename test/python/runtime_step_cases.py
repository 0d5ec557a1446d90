# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs on a pool of states, told by a fake driver; run by test_runtime.py as runtime_cases.py is."""

import sys

from runtime_cases import CU_SEQLENS, EXTENTS, FRAMEWORK, Tensor, driver, fresh_tensors, journal, launches, load, refused, rows

POOL = [{"kind": "slot"}, {"kind": "head", "size": 2}, {"kind": "whole", "size": 64}, {"kind": "whole", "size": 128}]
EACH = [{"kind": "seq"}]


def manifest():
    """A step with two heads, V = 64, K = 128: the pool's last dimension is dense."""

    def tensor(name, role, dtype, dims, **more):
        return {"name": name, "role": role, "dtype": dtype, "dims": dims, **more}

    def pointer(name, *dims):
        return [{"kind": "pointer", "tensor": name}] + [{"kind": "stride", "tensor": name, "dim": d} for d in dims]

    return {
        "schema": 3,
        "name": "step",
        "target": "sm_90a",
        "residuals": [],
        "backward": None,
        "state_layout": "vk",
        "serving": {"entry": "step", "first_slot": 0},
        "chunk": 1,
        "tensors": [
            tensor("q", "input", "bf16", rows(2, 128)),
            tensor("state", "input", "f32", POOL, in_place=True),
            tensor("read_slots", "input", "i32", EACH),
            tensor("write_slots", "input", "i32", EACH, optional=True),
            tensor("o", "output", "bf16", rows(2, 64)),
        ],
        "variants": [
            {
                "name": "decode",
                "workspace": [],
                "kernels": [
                    {
                        "symbol": "step_decode",
                        "image": "step.cubin",
                        "grid": {"factor": 4, "count": "sequences"},
                        "block": 128,
                        "dynamic_shared": 0,
                        "params": pointer("q", 0, 1, 2)
                        + pointer("state", 0, 1, 2)
                        + pointer("read_slots")
                        + pointer("write_slots")
                        + pointer("o", 0, 1, 2, 3)
                        + CU_SEQLENS
                        + EXTENTS,
                    }
                ],
            }
        ],
    }


def arguments(batch=3, tokens=1, **replaced):
    given = {
        "q": Tensor("bf16", batch, tokens, 2, 128),
        "state": Tensor("f32", 10, 2, 64, 128),
        "read_slots": Tensor("i32", batch),
        "write_slots": Tensor("i32", batch),
        "o": Tensor("bf16", batch, tokens, 2, 64),
    }
    return list((given | replaced).values())


def launch(program, tensors):
    program.launch(FRAMEWORK, tensors, 0, None, 0x900000, 0, 0x77)


def case_pool(folder):
    program = load(folder, manifest())
    driver().fake_set_context(0)
    q, state, read, write, o = tensors = arguments()
    launch(program, tensors)
    (line,) = launches(journal())
    assert line.startswith("launch step_decode grid=12,1,1 block=128,1,1 ")
    end = f"{q.address:#x} 256 256 128 {state.address:#x} 16384 8192 128 {read.address:#x} {write.address:#x} "
    assert line.endswith(end + f"{o.address:#x} 128 128 64 1 0x0 0 1 3"), line
    # No state is written, and pages hold other things besides.
    page = Tensor("f32", 10, 2, 64, 128, strides=[20000, 8192, 128, 1])
    launch(program, arguments(state=page, write_slots=None))
    (line,) = launches(journal())
    assert f" {page.address:#x} 20000 8192 128 " in line and not fresh_tensors
    # Any number of slots, indices anywhere.
    launch(program, arguments(state=Tensor("f32", 1, 2, 64, 128), read_slots=Tensor("i32", 3, address=0x5004)))
    assert " 0x5004 " in launches(journal())[0]


def case_pools_are_never_copied(folder):
    program = load(folder, manifest())

    def expect(*words, **replaced):
        with refused("WYVERN_ERROR_INVALID_TENSOR", *words):
            launch(program, arguments(**replaced))
        assert not fresh_tensors and not launches(journal())

    gaps = Tensor("f32", 10, 2, 64, 128, strides=[16384 * 2, 8192 * 2, 256, 2])
    expect("'state' has the stride 2 in dimension 3, expected 1", state=gaps)
    odd = Tensor("f32", 10, 2, 64, 128, strides=[16386, 8192, 128, 1])
    expect("'state' has the stride 16386 (65544 bytes) in dimension 0, expected a multiple of 16 bytes", state=odd)
    expect("'state' starts at 0x5004, expected a multiple of 16", state=Tensor("f32", 10, 2, 64, 128, address=0x5004))
    one = Tensor("f32", 10, 2, 64, 128, strides=[0, 8192, 128, 1])
    expect("'state' has the stride 0 in dimension 0", state=one)
    expect("'state' has dtype bf16, expected f32", state=Tensor("bf16", 10, 2, 64, 128))
    expect("'state' has extent 128 in dimension 2 (channels), expected 64", state=Tensor("f32", 10, 2, 128, 64))
    expect("'read_slots' has extent 2 in dimension 0 (sequences), expected 3", read_slots=Tensor("i32", 2))
    expect("'read_slots' has dtype i64, expected i32", read_slots=Tensor("i64", 3))


def case_nobody(folder):
    """Without sequences nothing runs, and no state is touched."""
    program = load(folder, manifest())
    launch(program, arguments(batch=0))
    lines = journal()
    assert not launches(lines) and not any(x.startswith("memset") for x in lines)


if __name__ == "__main__":
    globals()[sys.argv[1]](sys.argv[2])
