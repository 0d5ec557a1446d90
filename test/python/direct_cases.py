# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Calls past torch's dispatcher, with the driver played by fake_cuda.c and the GPU's
tensors by those of the CPU.

Each `case_*` function runs in a process of its own, started by test_torch_direct.py:
`python direct_cases.py <case> <folder>`.
"""

import ctypes
import hashlib
import json
import sys
from pathlib import Path

import torch
from runtime_cases import driver, fake_image, journal, kernels, launches, letters, manifest

import wyvern
from wyvern import _rt
from wyvern.torch import _direct, _programs, _tensors, chunk_delta_rule
from wyvern.torch._rules import family_of

DELTA_RULE = family_of("delta_rule")

CPU = 1  # to DLPack
TYPES = (torch.Tensor, torch.nn.Parameter)
TABLE = torch.Tensor.__dlpack_c_exchange_api__
made = []  # what was allocated


def empty(*sizes, dtype, device):
    """Memory at a multiple of 256, as CUDA's is."""
    count = torch.Size(sizes).numel()
    memory = torch.empty(count + 256, dtype=dtype)
    start = (-memory.data_ptr() % 256) // memory.element_size()
    made.append(memory[start : start + count].view(sizes))
    return made[-1]


def exchange(types=TYPES):
    return _rt.Exchange(TABLE, types, empty, _tensors.dtypes, CPU)


def load(folder):
    """DeltaNet with two heads, K = 64, V = 128, as wyvern.torch finds it once it is loaded."""
    spec = manifest()
    for kernel in kernels(spec):
        image = fake_image(kernel["symbol"], letters(kernel))
        (Path(folder) / kernel["image"]).write_bytes(image)
        kernel["sha256"] = hashlib.sha256(image).hexdigest()
    (Path(folder) / "manifest.json").write_text(json.dumps(spec))
    program = wyvern.load(folder)
    _tensors.exchange, _tensors.is_gpu = exchange(), lambda device: True
    _programs._programs["delta_rule", 2, 64, 2, 128, torch.bfloat16, torch.device("cpu"), False] = program
    driver().fake_set_context(0)
    return program


def operands(batch=2, tokens=100, **replaced):
    given = {
        "q": torch.zeros(batch, tokens, 2, 64, dtype=torch.bfloat16),
        "k": torch.zeros(batch, tokens, 2, 64, dtype=torch.bfloat16),
        "v": torch.zeros(batch, tokens, 2, 128, dtype=torch.bfloat16),
        "beta": torch.zeros(batch, tokens, 2),
    }
    return given | replaced


def case_a_call(folder):
    load(folder)
    given = operands()
    o, state = chunk_delta_rule(**given)
    assert state is None and o.shape == (2, 100, 2, 128) and o.dtype == torch.bfloat16
    lines = journal()
    before, chain = launches(lines)
    addresses = {name: x.data_ptr() for name, x in given.items()} | {"o": o.data_ptr()}
    mapped = [x for x in lines if x.startswith("map")]
    for name in ("q", "k", "v", "o"):
        assert any(f"address={addresses[name]:#x} " in x for x in mapped), (name, mapped)
    assert f" {addresses['beta']:#x} 200 2 " in before
    workspace = made[-1]
    assert [x.dtype for x in made] == [torch.bfloat16, torch.int32]
    assert any(f"address={workspace.data_ptr():#x} " in x for x in mapped)
    assert workspace.numel() * 4 == wyvern.load(folder).workspace_size(2, 100, -1)
    o, state = chunk_delta_rule(**given, output_final_state=True, scale=64**-0.5)
    assert state.shape == (2, 2, 64, 128) and state.dtype == torch.float32
    assert f" {state.data_ptr():#x} " in launches(journal())[1]


def case_a_program(folder):
    """A program that is called by itself takes the same way, and names its outputs."""
    program = load(folder)
    assert set(program(**operands())) == {"o", "final_state"} and len(made) == 3
    out = program(**operands(), out={"final_state": None})
    assert out["final_state"] is None and len(launches(journal())) == 4


def case_pieces(folder):
    """Some kernels of a program alone: what one leaves for another is a tensor between them."""
    program = load(folder)
    given = operands()
    before, maps, rest = program.cut_at("initial_state")
    assert before is None and program.cut_at("initial_state").maps is maps
    assert list(maps.inputs) == ["k", "beta"] and list(rest.outputs) == ["o", "final_state"]
    between = maps(k=given["k"], beta=given["beta"])
    assert list(between) == ["before_0", "before_1"] and between["before_1"].shape == (2 * 2, 2, 64)
    lines = journal()
    (first,) = launches(lines)
    out = rest(q=given["q"], k=given["k"], v=given["v"], **between, out={"final_state": None})
    (second,) = launches(later := journal())
    program(**given)
    assert [x.split()[:2] for x in launches(journal())] == [first.split()[:2], second.split()[:2]]
    for name in between:
        assert any(f"{between[name].data_ptr():#x} " in x for x in lines), name
        assert any(f"{between[name].data_ptr():#x} " in x for x in later), name
    assert any(f"address={out['o'].data_ptr():#x} " in x for x in later)
    assert program.cut_at("k") is None and program.cut_at("g") is None


def case_wide_operands(folder):
    """Rates and states of another type are converted, parameters and views taken as they are."""
    load(folder)
    fused = torch.zeros(2, 100, 2, 256, dtype=torch.bfloat16)
    q, k, v = fused.split([64, 64, 128], -1)
    state = torch.zeros(2, 2, 64, 128, dtype=torch.bfloat16)
    beta = torch.nn.Parameter(torch.zeros(2, 100, 2, dtype=torch.bfloat16))
    with torch.no_grad():
        chunk_delta_rule(q, k, v, beta, initial_state=state)
    assert any(f"address={k.data_ptr():#x} sizes=64,2,100,2 strides=512,1024,102400 " in x for x in journal())
    assert len(made) == 2


def case_packed(folder):
    load(folder)
    for dtype, width in ((torch.int32, 4), (torch.int64, 8)):
        cu = torch.tensor([0, 10, 60, 100], dtype=dtype)
        _, state = chunk_delta_rule(**operands(batch=1), cu_seqlens=cu, output_final_state=True)
        assert state.shape[0] == 3
        assert launches(journal())[1].endswith(f" {cu.data_ptr():#x} {width} 100 3")
    try:
        chunk_delta_rule(**operands(batch=1), cu_seqlens=torch.tensor([1, 100]))
    except RuntimeError as error:
        assert "expected cu_seqlens to start with 0" in str(error)
    else:
        raise AssertionError
    assert launches(journal()) == []


def case_left_to_the_functions(folder):
    """What the program would not take as it is starts nothing, and says nothing."""
    load(folder)
    flat, float_q = torch.zeros(2, 100, 128, dtype=torch.bfloat16), torch.zeros(2, 100, 2, 64)
    turned = torch.zeros(2, 100, 64, 2, dtype=torch.bfloat16).transpose(2, 3)
    negative = torch.zeros(2, 100, 2, dtype=torch.complex64).conj().imag
    subclass = torch.zeros(2, 100, 2).as_subclass(type("Mine", (torch.Tensor,), {}))
    assert negative.is_neg()
    for replaced in (
        {"q": flat},
        {"q": float_q},
        {"k": turned},
        {"v": torch.zeros(2, 99, 2, 128, dtype=torch.bfloat16)},
        {"beta": negative},
        {"beta": subclass},
        {"beta": torch.zeros(2, 100, 2, device="meta")},
        {"beta": torch.zeros(2, 100, 2, requires_grad=True)},
    ):
        given = operands(**replaced)
        assert _direct.attempt(DELTA_RULE, tuple(given.values()), None, None, False) is None, replaced
    given = tuple(operands().values())
    assert _direct.attempt(DELTA_RULE, given, torch.zeros(1, 2, 64, 128), None, False) is None
    assert _direct.attempt(DELTA_RULE, given, None, [0, 100], False) is None
    assert _direct.attempt(DELTA_RULE, given, None, torch.tensor([0, 100]), False) is None
    assert launches(journal()) == []
    try:
        chunk_delta_rule(**operands(v=torch.zeros(2, 99, 2, 128, dtype=torch.bfloat16)))
    except ValueError as error:
        assert str(error) == "chunk_delta_rule: v has shape [2, 99, 2, 128], expected [2, 100, value_heads, value_dim]"
    else:
        raise AssertionError


def load_step(folder):
    """A Decoder of the step of runtime_step_cases.py, with the lengths that wyvernc's have."""
    import runtime_step_cases
    from wyvern.torch import Decoder

    step = runtime_step_cases.manifest()
    step["tensors"].insert(4, {"name": "lengths", "role": "input", "dtype": "i32", "dims": [{"kind": "seq"}], "optional": True})
    step["spec"] = {"name": "step", "decay": "none"}
    for kernel in kernels(step):
        image = fake_image(kernel["symbol"], letters(kernel))
        (Path(folder) / kernel["image"]).write_bytes(image)
        kernel["sha256"] = hashlib.sha256(image).hexdigest()
    (Path(folder) / "manifest.json").write_text(json.dumps(step))
    _tensors.exchange, _tensors.is_gpu = exchange(), lambda device: True
    driver().fake_set_context(0)
    return Decoder(wyvern.load(folder))


def case_a_step(folder):
    """A step of a Decoder asks the program, and nothing between; what it does not take goes the long way."""
    decoder = load_step(folder)
    asked = []
    decoder._programs.op = lambda *tensors: asked.append(tensors)
    q, pool, slots = torch.zeros(3, 1, 2, 128, dtype=torch.bfloat16), torch.zeros(10, 2, 64, 128), torch.arange(3, dtype=torch.int32)
    o = decoder.step(q, state=pool, read_slots=slots)
    drafted = decoder.verify(q=q, state=pool, read_slots=slots)
    assert not asked and o.shape == drafted.shape == (3, 1, 2, 64)
    step, draft = launches(journal())
    place = slots.data_ptr()
    assert f"{pool.data_ptr():#x} 16384 8192 128 {place:#x} {place:#x} {o.data_ptr():#x}" in step, step
    assert f"{place:#x} 0x0 {drafted.data_ptr():#x}" in draft, draft
    decoder.step(q, state=pool.transpose(2, 3).contiguous().transpose(2, 3), read_slots=slots)
    assert len(asked) == 1 and not launches(journal())


def case_a_step_into(folder):
    """What a caller has for o is written and returned, nothing is allocated; where it does not fit nothing is launched."""
    decoder = load_step(folder)
    program = decoder._programs.compiled["cuda"]
    q, pool, slots = torch.zeros(3, 1, 2, 128, dtype=torch.bfloat16), torch.zeros(10, 2, 64, 128), torch.arange(3, dtype=torch.int32)
    given = {"state": pool, "read_slots": slots}
    rows = empty(3, 1, 2, 64, dtype=torch.bfloat16, device="cpu")
    count = len(made)
    for call in (program.step, program.verify, decoder.step, decoder.verify):
        assert call(q=q, **given, out=rows) is rows and len(made) == count
        (line,) = launches(journal())
        assert f" {rows.data_ptr():#x} 128 128 64 1 " in line, line
    wanting = torch.zeros(3, 1, 2, 64, dtype=torch.bfloat16, requires_grad=True)
    for call, out, error, text in (
        (decoder.step, rows[:2], ValueError, "expected torch.bfloat16 [3, 1, 2, 64] on cpu, found torch.bfloat16 [2, 1, 2, 64] on cpu"),
        (decoder.step, rows.float(), ValueError, "found torch.float32 [3, 1, 2, 64] on cpu"),
        (decoder.step, rows.to("meta"), ValueError, "[3, 1, 2, 64] on meta"),
        (program.step, rows.to("meta"), TypeError, "'o' is on meta, 'q' on cpu"),
        (decoder.step, wanting, NotImplementedError, "requires grad"),
        (program.step, wanting, NotImplementedError, "requires grad"),
    ):
        try:
            call(q=q, **given, out=out)
        except error as found:
            assert text in str(found), found
        else:
            raise AssertionError(text)
    # For the runtime to say what is wrong with.
    for out in (rows[:2], rows.float()):
        assert program.advance_as_is({"q": q, **given, "write_slots": slots, "lengths": None}, out) is None
    assert not launches(journal())


def case_a_step_refused(folder):
    """The short way of a step takes nothing that the long one refuses: an operand that is given twice, or is missing, and one
    that requires grad."""
    decoder = load_step(folder)
    program = decoder._programs.compiled["cuda"]
    q, pool, slots = torch.zeros(3, 1, 2, 128, dtype=torch.bfloat16), torch.zeros(10, 2, 64, 128), torch.arange(3, dtype=torch.int32)
    wanting = q.float().requires_grad_().bfloat16()
    for call, error, text in (
        (lambda: decoder.step(q, q=q, state=pool, read_slots=slots), TypeError, "is given twice"),
        (lambda: decoder.step(q, q, state=pool, read_slots=slots), TypeError, "expected 1 operands"),
        (lambda: decoder.step(state=pool, read_slots=slots), TypeError, "q is missing"),
        (lambda: decoder.step(k=q, state=pool, read_slots=slots), TypeError, "k is none of its operands"),
        (lambda: program.step(q=q, k=q, state=pool, read_slots=slots), TypeError, "has no input 'k'"),
        (lambda: decoder.step(wanting, state=pool, read_slots=slots), NotImplementedError, "requires grad"),
        (lambda: program.step(q=wanting, state=pool, read_slots=slots), NotImplementedError, "requires grad"),
    ):
        try:
            call()
        except error as found:
            assert text in str(found), found
        else:
            raise AssertionError(text)
    assert not launches(journal())
    with torch.no_grad():
        assert program.step(q=wanting, state=pool, read_slots=slots).shape == (3, 1, 2, 64)
    assert len(launches(journal())) == 1


def case_another_table(folder):
    """Only version 1 of DLPack's functions is understood, and only their capsule."""
    words = (ctypes.c_uint64 * 16)(2)  # version 2.0, without an older one
    capsule = ctypes.pythonapi.PyCapsule_New
    capsule.restype, capsule.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    for name, error in ((b"dlpack_exchange_api", "expected DLPack's exchange functions of version 1"), (b"x", "name")):
        try:
            _rt.Exchange(capsule(ctypes.addressof(words), name, None), TYPES, empty, _tensors.dtypes, CPU)
        except ValueError as found:
            assert error in str(found), found
        else:
            raise AssertionError


if __name__ == "__main__":
    globals()[sys.argv[1]](Path(sys.argv[2]))
