#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Checks compiled bundles on a GPU, as ops of JAX (wyvern.jax.op).

    on a machine with the compiler:   gpu_jax.py --bundles bundles --prepare
    on the GPU machine:               gpu_jax.py --bundles bundles

--prepare compiles the bundles and writes inputs, and what the float64 recurrence and its
gradients are of them (<layer>.npz). On the GPU each is compared with that; then: equal
bits of a call that is compiled and one that is not, of 20 repeats, of a mapped batch, and
of a function that XLA keeps in a CUDA graph. The GPU machine needs Python with JAX for
CUDA and NumPy; no torch, no LLVM. `wyvern` must be importable (scripts/build-runtime).
The exit status is not 0 if anything failed.
"""

import argparse
import os
import sys
import traceback
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
# Of o, the final state and gradients: the published errors of FLA in bf16, and a half more.
BAR = 9e-3
STEP = {"write": "k", "value": "v", "rate": "beta"}
LAYERS = {
    "erase": {"steps": [STEP]},
    "gated": {"decay": "head", "steps": [STEP]},
    "repeated": {"steps": [STEP | {"repeat": 2}]},
    "sum": {"decay": "head", "steps": [{"write": "k", "erase": "none", "value": "v"}]},
    "states": {"decay": "head", "steps": [STEP]},  # which its forward saves
}
# Of each layer: dense, and packed.
FORMS = {"dense": (3, 200, None), "packed": (1, 200, [0, 70, 70, 133])}


def spec(name):
    sizes = {"heads": {"key": 2, "value": 4}, "dims": {"key": 64, "value": 64}, "dtype": "bf16"}
    return {"name": name} | sizes | LAYERS[name]


# === On the machine with the compiler ===


def inputs_of(shapes, batch, tokens, sequences):
    """Operands and a state in float32, those of 16 bits rounded; by name."""
    import torch

    torch.manual_seed(12)
    made = {}
    for operand, shape in shapes.items():
        x = torch.randn(eval(shape, {"B": batch, "T": tokens}))
        if operand in ("q", "k"):
            x = torch.nn.functional.normalize(x, dim=-1)
        if operand == "g":
            x = -x.abs()
        if operand == "beta":
            x = x.sigmoid()
        made[operand] = x if operand in ("g", "beta") else x.bfloat16().float()
    return made | {"initial_state": torch.randn(sequences, 4, 64, 64)}


def expected_of(name, inputs, cu_seqlens):
    """o, the final state, the weights of a loss, and the gradients, by name; float64."""
    import torch

    sys.path.insert(0, str(HERE.parent / "python"))
    from gradient_oracle import Recurrence
    from wyvern._core.specs import read_layer, read_source

    oracle = Recurrence(read_layer(read_source(spec(name)), None, "f64").module)
    leaves = {x: tensor.double().requires_grad_() for x, tensor in inputs.items()}
    out = oracle(None if cu_seqlens is None else torch.tensor(cu_seqlens), **leaves)
    outputs = {"o": out["o"], "final_state": out["final_state"]}
    weights = {f"w_{x}": torch.randn_like(y) for x, y in outputs.items()}
    loss = sum((y * weights[f"w_{x}"]).sum() for x, y in outputs.items())
    gradients = torch.autograd.grad(loss, list(leaves.values()))
    named = dict(zip((f"d_{x}" for x in leaves), gradients))
    return {x: y.detach().numpy() for x, y in (outputs | weights | named).items()}


def prepare(folder):
    import wyvern
    from wyvern._core.op import shapes_in_words, sign

    folder.mkdir(parents=True, exist_ok=True)
    for name in LAYERS:
        save = "states" if name == "states" else "factor"
        program = wyvern.compile(spec(name), training=True, save=save, output=folder / f"jax_{name}")
        for form, (batch, tokens, cu_seqlens) in FORMS.items():
            sequences = batch if cu_seqlens is None else len(cu_seqlens) - 1
            inputs = inputs_of(shapes_in_words(sign(spec(name), program)), batch, tokens, sequences)
            arrays = {x: tensor.numpy() for x, tensor in inputs.items()} | expected_of(name, inputs, cu_seqlens)
            np.savez(folder / f"jax_{name}_{form}.npz", **arrays)
    print(f"{len(LAYERS)} bundles in {folder}")


# === On the GPU machine ===


def error(found, wanted):
    """The norm of the difference, relative to that of what is wanted."""
    found = np.asarray(found, np.float64)
    return np.linalg.norm(found - wanted) / max(np.linalg.norm(wanted), 1e-30)


class Check:
    """One layer in one form: its op, inputs and expectations."""

    def __init__(self, folder, name, form):
        import jax.numpy as jnp
        import wyvern
        from wyvern.jax import op

        self.function = op(wyvern.load(folder / f"jax_{name}"))
        arrays = dict(np.load(folder / f"jax_{name}_{form}.npz"))
        names = [*self.function.operands, "initial_state"]
        wide = ("g", "beta", "initial_state")
        self.inputs = {x: jnp.asarray(arrays.pop(x), jnp.float32 if x in wide else jnp.bfloat16) for x in names}
        cu_seqlens = FORMS[form][2]
        self.cu_seqlens = None if cu_seqlens is None else jnp.asarray(cu_seqlens, jnp.int32)
        self.weights = {x: jnp.asarray(arrays.pop(f"w_{x}"), jnp.float32) for x in ("o", "final_state")}
        self.wanted = arrays

    def call(self, inputs):
        o, state = self.function(**inputs, cu_seqlens=self.cu_seqlens, output_final_state=True)
        return {"o": o, "final_state": state}

    def step(self, inputs):
        """The outputs, and the gradients of weighted ones, by name."""
        import jax

        def loss(inputs):
            outputs = self.call(inputs)
            return sum((y * self.weights[x]).sum() for x, y in outputs.items()), outputs

        (_, outputs), gradients = jax.value_and_grad(loss, has_aux=True)(inputs)
        return outputs | {f"d_{x}": y for x, y in gradients.items()}


def same(found, wanted):
    return all(np.array_equal(np.asarray(y), np.asarray(wanted[x])) for x, y in found.items())


def problems_of(check):
    """What is wrong, in words; and the largest error."""
    import jax
    import jax.numpy as jnp

    found = jax.jit(check.step)(check.inputs)
    errors = {x: error(y, check.wanted[x]) for x, y in found.items()}
    problems = [f"{x} is off by {e:.1e}" for x, e in errors.items() if not e < BAR]
    if not same(check.step(check.inputs), found):
        problems.append("other bits without jit")
    again = jax.jit(check.step)
    if not all(same(again(check.inputs), found) for _ in range(20)):
        problems.append("other bits in a repeat")
    two = {x: jnp.stack([y, y]) for x, y in check.inputs.items()}
    mapped = jax.jit(jax.vmap(check.step))(two)
    if not all(same({x: y[i] for x, y in mapped.items()}, found) for i in range(2)):
        problems.append("other bits under vmap")
    graph = {"xla_gpu_enable_command_buffer": "FUSION,CUSTOM_CALL", "xla_gpu_graph_min_graph_size": 1}
    captured = jax.jit(check.step).lower(check.inputs).compile(compiler_options=graph)
    if not all(same(captured(check.inputs), found) for _ in range(5)):
        problems.append("other bits in a CUDA graph")
    return problems, max(errors.values())


def run(folder):
    import jax

    print(f"{jax.devices()[0].device_kind}, jax {jax.__version__}")
    if jax.default_backend() != "gpu":
        print("gpu_jax: error: JAX sees no GPU", file=sys.stderr)
        return 3
    failed = []
    for name in LAYERS:
        for form in FORMS:
            try:
                problems, largest = problems_of(Check(folder, name, form))
            except Exception as raised:
                traceback.print_exc()
                problems, largest = [f"{type(raised).__name__}: {raised}"], float("nan")
            print(f"{'FAIL' if problems else 'ok  '} {name:10} {form:8} {largest:.2e} {'; '.join(problems)}", flush=True)
            failed += [f"{name} {form}"] if problems else []
    print(f"{len(LAYERS) * len(FORMS) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundles", type=Path, required=True, help="folder of bundles, one folder each")
    parser.add_argument("--prepare", action="store_true", help="compile the bundles; needs no GPU and no JAX")
    options = parser.parse_args()
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    return prepare(options.bundles) if options.prepare else run(options.bundles)


if __name__ == "__main__":
    sys.exit(main())
