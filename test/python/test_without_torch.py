# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The core where torch cannot be imported, and what programs of all kinds have in common."""

import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

import wyvern
from test_program import bundle  # noqa: F401 (a fixture)

HERE = pathlib.Path(__file__).parent
SPEC = {
    "name": "small",
    "heads": {"key": 2, "value": 2},
    "dims": {"key": 8, "value": 8},
    "dtype": "f32",
    "decay": "head",
    "steps": [{"write": "k", "value": "v", "rate": "beta"}],
}
compiler = pytest.importorskip("wyvern._compiler", reason="the compiler module is not built")


def run_without_torch(script, *arguments):
    """Runs a script in a process in which importing torch fails."""
    start = f"import sys; sys.modules['torch'] = None; sys.path[:0] = {[str(HERE), *sys.path]!r}\n"
    command = [sys.executable, "-c", start + script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_compiles_runs_and_trains_on_numpy_arrays():
    script = f"""
import numpy as np, wyvern
rng = np.random.default_rng(0)
x = {{n: rng.standard_normal((1, 70, 2, 8)).astype(np.float32) / 3 for n in "qkv"}}
x["g"], x["beta"] = (s * rng.random((1, 70, 2)).astype(np.float32) for s in (-1, 1))
program = wyvern.compile({SPEC!r}, target="cpu", training=True)
out = program(**x)
expected = wyvern.reference({SPEC!r}, **x)["o"]
assert np.abs(out["o"] - expected).max() < 1e-5 * np.abs(expected).max()
saved = {{name: out[name] for name in program.residuals}}
given = {{n: v for n, v in (x | saved | {{"d_o": out["o"]}}).items() if n in program.backward.inputs}}
assert program.backward(**given)["d_q"].shape == (1, 70, 2, 8)
assert not any(name == "torch" or name.startswith("torch.") for name in sys.modules if sys.modules[name])
"""
    done = run_without_torch(script)
    assert done.returncode == 0, done.stderr


def test_loads_a_bundle(bundle):  # noqa: F811
    script = """
import numpy as np, wyvern
program = wyvern.load(sys.argv[1])
print(program, list(program.outputs), program.inputs["q"].shape)
x = np.zeros((1, 4, 2, 64), np.uint16)
program(q=x, k=x, v=np.zeros((1, 4, 2, 128), np.uint16), beta=np.zeros((1, 4, 2), np.float32))
"""
    done = run_without_torch(script, bundle)
    assert done.stdout == (
        "<wyvern program delta_net for sm_90a: q, k, v, beta, initial_state, cu_seqlens> "
        "['o', 'final_state'] [-1, -1, 2, 64]\n"
    )
    assert (
        "TypeError: delta_net: 'q' is a numpy.ndarray, but the program was compiled for sm_90a: "
        "expected CUDA tensors"
    ) in done.stderr


def test_preparing_a_gpu_needs_a_framework(bundle):  # noqa: F811
    done = run_without_torch("import wyvern; wyvern.load(sys.argv[1]).prepare()", bundle)
    assert "ImportError: none of the frameworks whose tensors GPU programs take is installed: torch" in done.stderr


def test_the_adaptor_says_that_torch_is_missing():
    done = run_without_torch("import wyvern; wyvern.torch")
    assert done.returncode != 0 and "torch" in done.stderr.splitlines()[-1]


def test_nothing_but_its_adaptor_needs_jax():
    script = """
sys.modules["jax"] = None
import wyvern, wyvern._core.op
wyvern.load, wyvern.compile, wyvern.reference
wyvern.jax
"""
    done = run_without_torch(script)
    assert done.returncode != 0 and "import of jax halted" in done.stderr.splitlines()[-1]


def test_the_core_imports_no_framework():
    """At run time a tensor's own framework is looked up in sys.modules."""
    core = pathlib.Path(wyvern.__file__).parent / "_core"
    for path in core.glob("*.py"):
        names = re.findall(r"^(?:from|import) (\w+)", path.read_text(), re.M)
        assert not {"torch", "jax", "cupy"} & set(names), path


def test_one_protocol(bundle):  # noqa: F811
    """What holds for a program on the CPU holds for one on a GPU."""
    cpu = wyvern.compile(SPEC, target="cpu")
    for program in (cpu, wyvern.load(bundle)):
        assert program.name and program.target
        assert not program.has_backward and program.residuals == []
        assert list(program.outputs) == ["o", "final_state"]
        q, state = program.inputs["q"], program.inputs["initial_state"]
        assert q.dims[:2] == [("seq", 1), ("time", 1)] and q.shape[:3] == [-1, -1, 2]
        assert not q.optional and state.optional
    assert cpu.inputs["g"].is_gate and wyvern.load(bundle).inputs["q"].is_gate is None
    training = wyvern.compile(SPEC, target="cpu", training=True)
    assert training.has_backward and {"d_q", "d_k", "d_v"} < set(training.backward.outputs)
    assert training.backward.inputs["d_o"].shape == training.outputs["o"].shape


class Lent:
    """An array that is only seen through DLPack."""

    def __init__(self, array, device=1):
        self.array, self.device = array, device

    def __dlpack__(self, **options):
        if self.device != 1:
            raise BufferError("not in this machine's memory")
        return self.array.__dlpack__()

    def __dlpack_device__(self):
        return self.device, 0


def test_takes_dlpack():
    program = wyvern.compile(SPEC, target="cpu")
    rng = np.random.default_rng(1)
    x = {name: rng.standard_normal((1, 9, 2, 8)).astype(np.float32) for name in "qkv"}
    x |= {"g": -rng.random((1, 9, 2)).astype(np.float32), "beta": rng.random((1, 9, 2)).astype(np.float32)}
    lent = {name: Lent(array) for name, array in x.items()}
    assert np.array_equal(program(**lent)["o"], program(**x)["o"])
    assert np.array_equal(wyvern.reference(SPEC, **lent)["o"], wyvern.reference(SPEC, **x)["o"])
    with pytest.raises(TypeError, match=r"small: q: expected an array in this machine's memory .*a test_without_torch.Lent"):
        program(**lent | {"q": Lent(x["q"], device=2)})
