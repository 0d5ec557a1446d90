# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Recurrences that no paper has: random steps, through form-wy and the CPU program.

A chunk program must be right for every list of steps that `delta-form-wy` takes, not
only for the layers people have named. Each seed draws a recurrence (decay, steps with
their terms, rates, repeats and order, head groups, odd sizes, gates down to -60 a
token) and inputs, and compares the compiled program with the interpreter.
"""

import random

import numpy as np
import pytest
from test_recurrences import interpret

_compiler = pytest.importorskip("wyvern._compiler", reason="built without the compiler")

TIME = 83  # one chunk and a part, for every repeat


class RandomRecurrence:
    """One recurrence in text, and the laws of its operands."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.numpy = np.random.default_rng(seed)
        self.heads = self.random.choice([1, 2, 3, 4])
        self.key_dim = self.random.choice([3, 5, 8])
        self.value_dim = self.random.choice([2, 4, 7])
        self.operands = {}  # name: (rows a token, heads, channels or None, law)
        self.types = []
        self.clauses = []
        self.add_query_and_decay()
        count = self.random.randint(0, 2)
        erasing = self.random.choice([*range(count), None])
        for i in range(count):
            self.add_step(i, erases=i == erasing)

    def operand(self, name, rows, channels, law):
        if name not in self.operands:
            divisors = [d for d in range(1, self.heads + 1) if self.heads % d == 0]
            self.operands[name] = (rows, self.random.choice(divisors), channels, law)
        self.types.append(self.type_of(name))
        return f"%{name}"

    def type_of(self, name):
        _, heads, channels, _ = self.operands[name]
        return f"tensor<?x?x{heads}{f'x{channels}' if channels else ''}xf64>"

    def add_query_and_decay(self):
        self.clauses.append(f"query({self.operand('q', 1, self.key_dim, self.key)})")
        channels = self.random.choice([None, self.key_dim])
        self.has_decay = self.random.random() < 0.7
        if self.has_decay:
            law = self.random.choice([self.gate, self.strong_gate, self.strong_then_weak_gate])
            self.clauses.append(f"decay({self.operand('g', 1, channels, law)})")

    def add_step(self, i, erases):
        choose = self.random.choice
        n = choose([1, 1, 2, 3])
        words = [f"write {self.operand(f'x{i}', n, self.key_dim, self.key)}"]
        if erases:
            name = choose([f"x{i}", f"e{i}"])
            words.append(f"erase {self.operand(name, n, self.key_dim, self.key)}")
        term = choose(["value", "written"] + ["nothing"] * erases)
        if term != "nothing":
            words.append(f"{term} {self.operand(f'y{i}', n, self.value_dim, self.normal)}")
        rate = choose(["operand", "constant", "one"])
        if rate == "operand":
            words.append(f"rate {self.operand(f'b{i}', n, None, self.rate)}")
        elif rate == "constant":
            words.append(f"rate {choose([-0.02, 0.7])}")
        if n > 1:
            words.append(f"repeat {n}")
        if erases and self.has_decay and choose([False, True]):
            words.append("before_decay")
        self.clauses.append(f"step({' '.join(words)})")

    def normal(self, shape):
        return self.numpy.standard_normal(shape)

    def key(self, shape):
        # In one orthant, so that erasing with one key and writing with another
        # shrinks the state: there is no error bound for a recurrence that explodes.
        x = np.abs(self.normal(shape))
        return x / np.linalg.norm(x, axis=-1, keepdims=True)

    def rate(self, shape):
        return self.numpy.uniform(0, 1, shape)

    def gate(self, shape):
        return -np.abs(self.normal(shape))

    def strong_gate(self, shape):
        return self.numpy.uniform(-60, 0, shape)

    def strong_then_weak_gate(self, shape):
        weak = np.arange(shape[1]) % 64 >= 30
        return np.broadcast_to(np.where(weak, -0.01, -8.0).reshape((1, -1) + (1,) * (len(shape) - 2)), shape)

    def state_type(self):
        return f"tensor<?x{self.heads}x{self.key_dim}x{self.value_dim}xf64>"

    def text(self, dtype):
        output = f"tensor<?x?x{self.heads}x{self.value_dim}xf64>"
        named = [(name, self.type_of(name)) for name in self.operands]
        named += [("initial_state", self.state_type()), ("cu_seqlens", "tensor<?xi64>")]
        arguments = ", ".join(f'%{name}: {type} {{delta.name = "{name}"}}' for name, type in named)
        types = ", ".join([*self.types, self.state_type(), "tensor<?xi64>"])
        return f"""
func.func @random({arguments}) -> ({output} {{delta.name = "o"}}, {self.state_type()} {{delta.name = "final_state"}}) {{
  %o, %s = delta.recurrence {" ".join(self.clauses)} initial_state(%initial_state) cu_seqlens(%cu_seqlens) scale 0.5
    : {types} -> ({output}, {self.state_type()})
  return %o, %s : {output}, {self.state_type()}
}}
""".replace("f64", dtype)

    def arrays(self, batch, sequences):
        arrays = {}
        for name, (rows, heads, channels, law) in self.operands.items():
            shape = (batch, TIME * rows, heads) + ((channels,) if channels else ())
            arrays[name] = np.ascontiguousarray(law(shape))
        arrays["initial_state"] = self.normal((sequences, self.heads, self.key_dim, self.value_dim))
        return arrays


def run_compiled(text, arrays):
    program = _compiler.compile_cpu(text)
    cu = np.zeros(0, np.int64)
    kinds = {"f32": np.float32, "f64": np.float64, "i64": np.int64}
    ordered = [np.ascontiguousarray(arrays.get(name, cu), kinds[kind]) for name, kind, *_ in program.inputs]
    return [np.asarray(memoryview(result)) for result in program.run(ordered)]


@pytest.mark.parametrize("seed", range(12))
def test_random_recurrence(seed, tmp_path):
    recurrence = RandomRecurrence(seed)
    packed = seed % 2 == 1
    dtype, numpy_type, bound = [("f64", np.float64, 1e-11), ("f32", np.float32, 1e-5)][seed // 2 % 2]
    arrays = recurrence.arrays(batch=1 if packed else 2, sequences=4 if packed else 2)
    arrays = {name: x.astype(numpy_type).astype(np.float64) for name, x in arrays.items()}
    if packed:
        arrays["cu_seqlens"] = np.array([0, 1, 1, 66, 80])
    path = tmp_path / "random.mlir"
    path.write_text(recurrence.text(dtype))
    expected = interpret(path, arrays, tmp_path)
    for found, wanted in zip(run_compiled(recurrence.text(dtype), arrays), expected):
        assert found.shape == wanted.shape
        # A state that is erased to nothing leaves rounding of what it was.
        scale = max(np.linalg.norm(wanted), 1e-2 * np.linalg.norm(arrays["initial_state"]))
        assert np.linalg.norm(found - wanted) <= bound * scale, recurrence.clauses
