# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Thousands of drafts on one pool: random numbers of tokens are accepted, states move to other slots every time,
rows are padding now and then, and NaNs are in all slots that are not in use.

A round is operations of torch that never wait for the device, so that on a GPU all of them are replays of one CUDA
graph, in which only memory changes: as in an engine.
"""

from typing import Any

import numpy as np
import step_cases
import torch

DRAFT, SEQUENCES, SLOTS, DRAWN = 4, 6, 20, 16
PADDING = 2  # the sequence that is padding in every other round

# Layers whose token `advance` knows.
SPECS = ("delta_net-1.3B", "gated_deltanet", "kda", "deltaproduct", "rwkv7")


def advance(state: Any, token: Any) -> Any:
    """One token of a layer in float64, on states [B, heads, K, V]; returns o without its scale, and the state."""

    def read(keys, of):
        return torch.einsum("bhk,bhkv->bhv", keys, of)

    def write(keys, values):
        return torch.einsum("bhk,bhv->bhkv", keys, values)

    before, gate = state, token.get("g")
    if gate is not None:
        state = state * gate.exp().reshape(*gate.shape[:2], -1, 1)
    if "p" in token:  # RWKV-7
        state = state + write(token["p"], read(token["r"], before)) + write(token["k"], token["v"])
    else:
        rows = token["k"].dim() == 4
        for k, v, beta in zip(token["k"], token["v"], token["beta"]) if rows else [(token["k"], token["v"], token["beta"])]:
            state = state + write(k, beta[..., None] * (v - read(k, state)))
    return read(token["q"], state), state


def _draw(rng, inputs, device):
    """Drafts to choose from, [DRAWN, SEQUENCES, rows, ...]; those of RWKV-7 with a transition that does not grow."""
    drafts = [step_cases.draw(rng, inputs, SEQUENCES, DRAFT) for _ in range(DRAWN)]
    for draft in drafts:
        if "p" in draft:
            draft["p"] = -0.5 * draft["r"]
    kinds = {"bf16": torch.bfloat16, "f32": torch.float32}
    return {n: torch.from_numpy(np.stack([d[n] for d in drafts])).to(device, kinds[inputs[n].dtype]) for n in drafts[0]}


class Long:
    """A program for serving with a pool of f32, and the same states in float64 beside it."""

    def __init__(self, program: Any, first_slot: int, layout: str, scale: float, device: str):
        self.program, self.none, self.scale = program, first_slot - 1, scale
        self.turned = layout == "vk"
        inputs = program.inputs
        self.drafts = _draw(np.random.default_rng(0), inputs, device)
        self.heads = inputs["state"].shape[1]
        self.pool = torch.full([SLOTS, *inputs["state"].shape[1:]], float("nan"), device=device)
        self.slots = torch.randperm(SLOTS - 1, device=device)[:SEQUENCES].int() + 1
        self.pool[self.slots.long()] = torch.randn([SEQUENCES, *self.pool.shape[1:]], device=device)
        self.state = self._turn(self.pool[self.slots.long()]).double()
        self.count = torch.zeros(1, dtype=torch.int64, device=device)
        self.worst = torch.zeros(2, dtype=torch.float64, device=device)  # of o, of the state
        self.holds = torch.ones(2, dtype=torch.bool, device=device)  # other slots are NaN, padding is zero

    def _turn(self, states):
        return states.transpose(-1, -2) if self.turned else states

    def _targets(self):
        """Slots to write: free ones, and for the first sequence the one that it has."""
        keys = torch.rand(SLOTS, device=self.pool.device)
        keys = keys.index_fill(0, self.slots.long(), 2.0)
        keys[:1].fill_(2.0)  # slot 0 is none or not in use
        free = keys.argsort()[:SEQUENCES].int()
        return torch.cat([self.slots[:1], free[1:]])

    def _judge(self, which, found, wanted):
        """Keeps the largest error; of rows that do not count both are zero."""
        error = (found - wanted).norm() / wanted.norm().clamp(min=1e-30)
        self.worst[which] = torch.maximum(self.worst[which], error.nan_to_num(float("inf"), float("inf")))

    def round(self) -> None:
        """A draft for every sequence, of which some tokens are accepted."""
        device = self.pool.device
        order = torch.rand(SEQUENCES, device=device).argsort()
        draft = {n: x.index_select(0, self.count % DRAWN)[0][order] for n, x in self.drafts.items()}
        is_padding = (self.count % 2 == 1) & (torch.arange(SEQUENCES, device=device) == PADDING)
        accepted = (torch.rand(SEQUENCES, device=device) * (DRAFT + 1)).int().masked_fill(is_padding, 0)
        read = self.slots.masked_fill(is_padding, self.none)
        target = torch.where(is_padding, self.slots, self._targets())
        write = target.masked_fill(is_padding, self.none)
        o = self.program.verify(state=self.pool, read_slots=read, **draft)
        self.program.commit(state=self.pool, read_slots=read, write_slots=write, lengths=accepted, **draft)
        self.holds[1] &= ~o[PADDING].isnan().any() & (~is_padding.any() | ~o[PADDING].any())
        self._advance(draft, accepted, o, is_padding)
        self._move(target)
        self.count += 1

    def _advance(self, draft, accepted, o, is_padding):
        wide = {n: x.double().repeat_interleave(self.heads // x.shape[2], 2) for n, x in draft.items()}
        state = self.state
        for t in range(DRAFT):
            token = {n: x[:, t] if x.shape[1] == DRAFT else x.unflatten(1, (DRAFT, -1))[:, t].transpose(0, 1) for n, x in wide.items()}
            # What is behind the accepted tokens goes on from them: a draft is judged whole.
            found, state = advance(state, token)
            counts = ~is_padding[:, None, None]
            self._judge(0, o[:, t].double() * counts, self.scale * found * counts)
            self.state = torch.where((t < accepted)[:, None, None, None], state, self.state)

    def _move(self, target):
        self._judge(1, self._turn(self.pool[target.long()]).double(), self.state)
        used = torch.zeros(SLOTS, dtype=torch.bool, device=target.device).index_fill(0, target.long(), True)
        # What a state has left is poisoned; the rest must be so still.
        left = torch.zeros_like(used).index_fill(0, self.slots.long(), True) & ~used
        self.pool.masked_fill_(left[:, None, None, None], float("nan"))
        self.holds[0] &= (self.pool.isnan().flatten(1).all(1) | used).all()
        self.slots.copy_(target)

    def failures(self) -> list[str]:
        """What does not hold, in words."""
        o, state = self.worst.tolist()
        nans, zeros = self.holds.tolist()
        holds = {
            f"o is within 3e-3, found {o:.2e}": o < 3e-3,
            f"the state is within 1e-4, found {state:.2e}": state < 1e-4,
            "slots of nobody keep their NaNs": nans,
            "padding is zero, and nothing of it is NaN": zeros,
        }
        return [what for what, held in holds.items() if not held]


def run(long: Long, rounds: int) -> None:
    """Goes through so many rounds; on a GPU by replays of a CUDA graph of one."""
    if long.pool.device.type == "cpu":
        for _ in range(rounds):
            long.round()
        return
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        long.round()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        before = long.state
        long.round()
        before.copy_(long.state)
    long.state = before
    for _ in range(rounds - 1):
        graph.replay()
    torch.cuda.synchronize()
