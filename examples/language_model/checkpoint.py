# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A checkpoint is all that decides the rest of a run: weights, optimizer, the step, the
state of every random generator, and what run it is of."""

import os

import torch


def save(path, run, step, model, optimizer, data):
    """Replaces the checkpoint at once: whoever is interrupted keeps the last one."""
    state = {
        "run": run,
        "step": step,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "data": data.get_state(),
        "random": torch.get_rng_state(),
        "random_gpu": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }
    scratch = path.with_suffix(".part")
    torch.save(state, scratch)
    os.replace(scratch, path)


def load(path, run, model, optimizer, data):
    """Restores what `save` wrote; the step to go on from."""
    if not path.exists():
        raise FileNotFoundError(f"nothing to resume: there is no {path}; leave --resume out to start a run")
    state = torch.load(path, map_location="cpu", weights_only=True)
    different = [f"{name}: {state['run'].get(name)}, now {value}" for name, value in run.items() if state["run"].get(name) != value]
    if different:
        raise ValueError(f"{path} is of another run ({'; '.join(different)}); name its options, or another --out")
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    data.set_state(state["data"])
    torch.set_rng_state(state["random"])
    if torch.cuda.is_available() and state["random_gpu"]:
        torch.cuda.set_rng_state_all(state["random_gpu"])
    return state["step"]
