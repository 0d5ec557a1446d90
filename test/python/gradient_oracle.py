# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`delta.recurrence` token by token in torch, for any list of steps.

Read from the text of a module, so that a spec and a recurrence that no spec says are
differentiated by the same few lines:

    S' = S;   S <- Diag(e^g) S
    each step, `repeat` times:   u = y - b e^T S*,   S <- S + x u^T
    o = scale q^T S

docs/spec.md has the terms. Everything is float64, on all heads at once, and autograd
goes through all of it.
"""

import re

import torch


class Step:
    def __init__(self, text):
        self.operands = dict(re.findall(r"(write|erase|value|written|rate) %(\w+)", text))
        constant = re.search(r"\brate (-?\d[\d.e+-]*)", text)
        self.rate = float(constant[1]) if constant else 1.0
        repeat = re.search(r"repeat (\d+)", text)
        self.repeat = int(repeat[1]) if repeat else 1
        self.before_decay = "before_decay" in text


class Recurrence:
    """The one recurrence of a module; called with tensors by `delta.name`."""

    def __init__(self, text):
        self.types = {}  # name: (shape, element type), None where dynamic
        self.names = {}  # value: name
        signature = text[: text.index("->")]
        for value, type, name in re.findall(r'%(\w+): tensor<([^>]*)> \{delta.name = "(\w+)"\}', signature):
            *shape, element = type.split("x")
            self.names[value] = name
            self.types[name] = ([None if n == "?" else int(n) for n in shape], element)
        self.products = re.findall(r"%(\w+) = arith.mulf %(\w+), %(\w+)", text)
        body = re.search(r"delta.recurrence (.*)", text, re.S)[1]
        self.clauses = dict(re.findall(r"(query|decay|initial_state|cu_seqlens)\(%(\w+)\)", body))
        self.steps = [Step(step) for step in re.findall(r"step\(([^)]*)\)", body)]
        self.scale = float(re.search(r"scale ([\d.e+-]+)", body)[1])

    def rows_a_token(self, name):
        """Of an operand, or of a factor of one."""
        values = {value for value, known in self.names.items() if known == name}
        values |= {product for product, *factors in self.products if values & set(factors)}
        for step in self.steps:
            if values & set(step.operands.values()):
                return step.repeat
        return 1

    def __call__(self, cu_seqlens=None, **tensors):
        values = {value: tensors[name] for value, name in self.names.items() if name in tensors}
        for product, a, b in self.products:
            values[product] = values[a] * values[b]
        state = values[self.clauses["initial_state"]]
        heads = state.shape[1]
        spread = lambda x: x.repeat_interleave(heads // x.shape[2], 2)
        rows = {value: spread(x) for value, x in values.items() if x is not state}
        if cu_seqlens is None:
            o, state = self.run(rows, state, 0, rows[self.clauses["query"]].shape[1])
            return {"o": o, "final_state": state}
        outputs, states = [], []
        offsets = [int(x) for x in cu_seqlens]
        for n, (begin, end) in enumerate(zip(offsets, offsets[1:])):
            o, final = self.run(rows, state[n : n + 1], begin, end)
            outputs.append(o)
            states.append(final)
        unowned = rows[self.clauses["query"]].shape[1] - offsets[-1]
        outputs.append(state.new_zeros(1, unowned, heads, state.shape[3]))
        return {"o": torch.cat(outputs, 1), "final_state": torch.cat(states)}

    def run(self, rows, state, begin, end):
        outputs = []
        for t in range(begin, end):
            before = state
            if "decay" in self.clauses:
                decay = rows[self.clauses["decay"]][:, t].exp()
                state = (decay[..., None] if decay.ndim == 3 else decay[..., None, None]) * state
            for step in self.steps:
                for row in range(t * step.repeat, (t + 1) * step.repeat):
                    state = self.advance(step, {term: rows[value][:, row] for term, value in step.operands.items()}, state, before)
            query = rows[self.clauses["query"]][:, t]
            outputs.append(self.scale * torch.einsum("bhk,bhkv->bhv", query, state))
        if not outputs:
            return state.new_zeros(state.shape[0], 0, state.shape[1], state.shape[3]), state
        return torch.stack(outputs, 1), state

    @staticmethod
    def advance(step, terms, state, before):
        rate = terms["rate"][..., None] if "rate" in terms else step.rate
        update = 0.0
        if "written" in terms:
            update = terms["written"]
        elif "value" in terms:
            update = rate * terms["value"]
        if "erase" in terms:
            read = before if step.before_decay else state
            update = update - rate * torch.einsum("bhk,bhkv->bhv", terms["erase"], read)
        return state + terms["write"][..., None] * update[..., None, :]


def gradients(recurrence, inputs, seeds, cu_seqlens=None):
    """By autograd: the outputs, and {"d_q": ...} for the gradients {"d_o": ...} of outputs."""
    tensors = {name: torch.tensor(x, dtype=torch.float64, requires_grad=True) for name, x in inputs.items()}
    outputs = recurrence(cu_seqlens, **tensors)
    loss = sum((outputs[name[2:]] * torch.tensor(seed, dtype=torch.float64)).sum() for name, seed in seeds.items())
    found = torch.autograd.grad(loss, list(tensors.values()), allow_unused=True)
    zeros_if_unused = lambda x, d: torch.zeros_like(x) if d is None else d
    return {f"d_{name}": zeros_if_unused(x, d).numpy() for (name, x), d in zip(tensors.items(), found)}
