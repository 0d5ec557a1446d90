# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`wyvern.torch.Decoder`: steps of decoding as torch ops, for models that are compiled by
torch or captured into CUDA graphs."""

import functools
import threading
from collections.abc import Iterable, Sequence
from typing import Any, Optional, Union

import torch

import wyvern
from wyvern._core import serving
from wyvern._core.bundles import digest
from wyvern._core.op import bind, read_spec
from wyvern._core.specs import Spec
from wyvern._core.steps import Epilogue, check_prologue, with_seeds

from . import _conv, _direct, _prefill, _slot_checks, _tensors, _trees
from ._arguments import expect_integers, expect_tensors
from ._ops import define_op
from ._programs import target_of
from ._prompts import Prompts

_POOL = ("state", "read_slots", "write_slots", "lengths", "seeds")

_lock = threading.Lock()
_decoders: dict[str, "_Programs"] = {}


class _Programs:
    """The programs of one layer and pool, and the op that calls them."""

    def __init__(
        self,
        name: str,
        spec: Any,
        pool: wyvern.Pool,
        prologue: tuple[str, ...],
        epilogue: Optional[Epilogue],
        bundle: Any,
    ):
        self.name, self.spec, self.pool = name, spec, pool
        self.title = spec["name"]  # which the op's name begins with, for messages
        self.prologue, self.epilogue = prologue, epilogue
        self.compiled: dict[str, Any] = {} if bundle is None else {"cuda": bundle}
        inputs = self.of("cpu").inputs if bundle is None else bundle.inputs
        self.operands = tuple(x for x in inputs if x not in _POOL)
        self.timed = frozenset(x for x in self.operands if "time" in dict(inputs[x].dims))
        # Windows of a convolution and pools of running sums are written, too.
        kinds = {x: f"Tensor(w{i}!)" if inputs[x].in_place else "Tensor" for i, x in enumerate(self.operands)}
        tensors = ", ".join(f"{kind} {x}" for x, kind in kinds.items())
        self.sums = tuple(x for x in self.operands if inputs[x].in_place and not x.endswith(_prefill.OF_CONVOLUTIONS))
        self.op = define_op(
            f"{name}({tensors}, Tensor(a!) state, Tensor read_slots, Tensor? write_slots, "
            "Tensor? lengths, Tensor? seeds=None) -> Tensor",
            self.run,
            self.shape,
        )
        self._prompts: dict[wyvern.Pool, Prompts] = {}

    def prompts(self, *, is_wide: bool = False) -> Prompts:
        """The programs of prompts on the same pool, of what a convolution has made of its rows; `is_wide`: on one of
        float32, whose states are not rounded."""
        pool = self.pool._replace(dtype="f32", rounding="nearest") if is_wide else self.pool
        with _lock:
            if pool not in self._prompts:
                behind = [] if self.epilogue is None else self.epilogue.parts
                others = {{"norm": "norm_weight", "gate": "z"}[part] for part in behind}
                operands = tuple(
                    x for x in self.operands if x not in others and not x.endswith(_prefill.OF_CONVOLUTIONS)
                )
                prologue = tuple(x for x in self.prologue if x != "conv")
                name = f"{self.name}_prefill" if pool == self.pool else f"{self.name}_pieces"
                self._prompts[pool] = Prompts(name, self.spec, pool, prologue, operands, frozenset(self.sums))
            return self._prompts[pool]

    def of(self, kind: str) -> Any:
        """The program for a kind of device, compiled when it is first needed."""
        program = self.compiled.get(kind)
        if program is None:
            if kind == "cuda":
                target = target_of(torch.device("cuda", torch.cuda.current_device()))
                program = serving.served_for_gpu(
                    "step", self.spec, target, self.pool, self.prologue, self.epilogue
                )
            else:
                program = wyvern.compile(
                    self.spec,
                    target="cpu",
                    serving=self.pool,
                    prologue=self.prologue,
                    epilogue=self.epilogue,
                )
            self.compiled[kind] = program
        return program

    def run_as_is(self, given: dict[str, Any], out: Optional[torch.Tensor]) -> Optional[torch.Tensor]:
        """The same past the dispatcher, of all inputs by name, into `out` if there is one; None where the tensors are not plain ones of a
        GPU as the kernel takes them, or it has not been compiled."""
        program = self.compiled.get("cuda")
        return None if program is None else program.advance_as_is(given, out)

    def run(self, *tensors: Any) -> torch.Tensor:
        """What the op does: all arguments in order."""
        count = len(self.operands)
        operands, (state, read_slots, write_slots, lengths, *seeds) = tensors[:count], tensors[count:]
        program = self.of(operands[0].device.type)
        given = dict(zip(self.operands, operands))
        given = with_seeds(program, given, next(iter(seeds), None), write_slots is not None)
        with torch.no_grad():
            return program._advance(state, read_slots, write_slots, lengths, given)

    def shape(self, *tensors: Any) -> torch.Tensor:
        """An o of the op's arguments."""
        return tensors[0].new_empty(self.sizes(*tensors))

    def sizes(self, *tensors: Any) -> tuple[int, int, int, int]:
        """The sizes of that: a row of V for each value head and token."""
        operands, state = tensors[: len(self.operands)], tensors[len(self.operands)]
        batch, tokens = operands[0].shape[:2]
        return batch, tokens, state.shape[1], state.shape[2 if self.pool.layout == "vk" else 3]

    def check_out(self, out: torch.Tensor, *tensors: Any) -> None:
        """Raises ValueError where o of the op's arguments is of another shape or dtype than `out`, or elsewhere."""
        expected = (self.sizes(*tensors), tensors[0].dtype, tensors[0].device)
        found = (tuple(out.shape), out.dtype, out.device)
        if found != expected:
            text = lambda x: f"{x[1]} {list(x[0])} on {x[2]}"
            raise ValueError(f"{self.title}: out: expected {text(expected)}, found {text(found)}")


def own_slots(batch: int, device: torch.device) -> torch.Tensor:
    """Returns slot n for sequence n: where states are one a sequence. Kept from call to call, but
    not what is made while someone traces, or while a graph is captured, whose replays fill it."""
    is_kept = not torch.compiler.is_compiling() and not torch._C._len_torch_dispatch_stack()
    if is_kept and device.type == "cuda":
        is_kept = not torch.cuda.is_current_stream_capturing()
    return _kept_slots(batch, device) if is_kept else _make_slots(batch, device)


def _make_slots(batch: int, device: torch.device) -> torch.Tensor:
    return torch.arange(batch, dtype=torch.int32, device=device)


_kept_slots = functools.lru_cache(maxsize=64)(_make_slots)


def _pool_of(bundle: Any) -> wyvern.Pool:
    """The pool that a bundle was compiled for."""
    manifest = bundle.manifest
    state, slots = bundle.inputs["state"], bundle.inputs["read_slots"]
    return wyvern.Pool(
        manifest["state_layout"],
        state.dtype,
        slots.dtype,
        manifest["serving"]["first_slot"],
        "stochastic" if "seeds" in bundle.inputs else "nearest",
    )


def _programs_of(
    source: Any,
    pool: Optional[wyvern.Pool],
    prologue: Sequence[str],
    epilogue: Optional[Epilogue],
    layer: Optional[str],
) -> _Programs:
    bundle = source if isinstance(source, wyvern.Program) else None
    if bundle is not None:
        if not bundle.decodes:
            raise TypeError(
                f"Decoder: {bundle.name} was not compiled for serving; compile it with wyvernc --serving"
            )
        if pool is not None or prologue or epilogue is not None:
            raise TypeError(
                "Decoder: a bundle says what its pool, its prologue and its epilogue are; leave them out"
            )
        pool = _pool_of(bundle)
    if pool is not None and not isinstance(pool, wyvern.Pool):
        raise TypeError(f"Decoder: pool is {pool!r}, expected a wyvern.Pool")
    pool = (pool or wyvern.Pool()).check()
    check_prologue(prologue)
    spec = read_spec(source, layer)
    identity = [spec if bundle is None else bundle.manifest, list(pool), list(prologue)]
    identity += [] if epilogue is None else [list(epilogue.check())]
    name = f"{spec['name']}_step_{digest(identity)}"
    with _lock:
        if name not in _decoders:
            _decoders[name] = _Programs(name, spec, pool, tuple(prologue), epilogue, bundle)
        return _decoders[name]


class Decoder:
    """A layer's step, verify and commit on a pool of states, as `wyvern.Program` has them,
    with tensors of torch.

    source
        A spec, as `wyvern.compile` takes it: compiled when it is first needed. Or a program
        for serving that `wyvern.load` returned.
    pool
        What the states lie in; of a spec. Default `wyvern.Pool()`.
    prologue
        What a step computes of its operands, of a spec; see `wyvern.compile`. With "conv", filters
        and windows are operands of all calls, and windows are written where states are. So is the pool
        [slots, key heads, K / 2] of a running sum, an operand that has its name (`phi`).
    epilogue
        The norm and the gate that it computes of its output, of a spec: a `wyvern.Epilogue`.
    layer
        Which layer, by name, where a config.json has several.
    prompts
        Programs of prompts for the same pool that `wyvern.load` returned (wyvernc --serving=prefill,
        prefill-keep). Others are compiled when they are first needed.

    Operands are given in the order of `decoder.operands`, or by name. Calls are one op that
    writes the pool: torch.compile(fullgraph=True) sees one node, and a call can be captured
    into a CUDA graph after one outside. No gradients.
    """

    def __init__(
        self,
        source: Union[Spec, "wyvern.Program"],
        pool: Optional[wyvern.Pool] = None,
        *,
        prologue: Sequence[str] = (),
        epilogue: Optional[Epilogue] = None,
        layer: Optional[str] = None,
        prompts: Iterable["wyvern.Program"] = (),
    ) -> None:
        self._programs = _programs_of(source, pool, prologue, epilogue, layer)
        for program in prompts:
            self._programs.prompts().add(program)
        self.pool = self._programs.pool
        self.operands = self._programs.operands

    def __repr__(self) -> str:
        return f"<wyvern decoder {self._programs.spec['name']}({', '.join(self.operands)}) on {self.pool}>"

    @property
    def spec(self) -> Any:
        """The layer's spec as plain data."""
        return self._programs.spec

    @property
    def op(self) -> Any:
        """What is below, for torch.library.opcheck and graphs."""
        return self._programs.op

    def compile(self, device_type: str) -> None:
        """Compiles for the device_type "cuda" or "cpu" now, and not in the first call."""
        self._programs.of(device_type)

    def step(
        self,
        /,
        *operands: torch.Tensor,
        state: torch.Tensor,
        read_slots: torch.Tensor,
        write_slots: Optional[torch.Tensor] = None,
        lengths: Optional[torch.Tensor] = None,
        seeds: Optional[torch.Tensor] = None,
        out: Optional[torch.Tensor] = None,
        **named: torch.Tensor,
    ) -> torch.Tensor:
        """Advances every sequence by its tokens; returns o [B, T, value heads, V].

        Operands [B, T, heads, dim], in order or by name. state: the pool, [slots, value
        heads, V, K], written in place; read_slots, write_slots (None: where it was read) and
        lengths [B] (None: all tokens); seeds [B], of a
        pool that is rounded by them; out: where o goes. The arguments are those of `wyvern.Program.step`, and so are errors; refused are inputs that require grad."""
        write_slots = read_slots if write_slots is None else write_slots
        return self._call(operands, named, state, read_slots, write_slots, lengths, seeds, out)

    def verify(
        self,
        /,
        *operands: torch.Tensor,
        state: torch.Tensor,
        read_slots: torch.Tensor,
        lengths: Optional[torch.Tensor] = None,
        out: Optional[torch.Tensor] = None,
        **named: torch.Tensor,
    ) -> torch.Tensor:
        """Returns o [B, T, value heads, V] of a draft and leaves the pool as it is. The
        arguments are those of `step`."""
        return self._call(operands, named, state, read_slots, None, lengths, None, out)

    def commit(
        self,
        /,
        *operands: torch.Tensor,
        state: torch.Tensor,
        read_slots: torch.Tensor,
        lengths: torch.Tensor,
        write_slots: Optional[torch.Tensor] = None,
        seeds: Optional[torch.Tensor] = None,
        **named: torch.Tensor,
    ) -> None:
        """Advances every sequence by the first lengths[n] tokens of its draft: what is
        accepted, lengths [B]. The arguments are those of `step`, with the operands of `verify`."""
        write_slots = read_slots if write_slots is None else write_slots
        self._call(operands, named, state, read_slots, write_slots, lengths, seeds)

    def verify_tree(
        self,
        /,
        *operands: torch.Tensor,
        state: torch.Tensor,
        read_slots: torch.Tensor,
        parents: torch.Tensor,
        **named: torch.Tensor,
    ) -> torch.Tensor:
        """Returns o of drafts that are trees; the pool stays. parents, int32 or int64 [B, T] on the
        device: the token of its row that a token follows on, -1 for none. A parent is an earlier
        token. Each token has the bits of steps along its path. state and read_slots are those of
        `step`. Raises TypeError for parents of another type, ValueError for another shape."""
        programs = self._programs
        given = dict(zip(self.operands, bind(programs.title, self.operands, operands, named)))
        expect_tensors(programs.title, q=given["q"], read_slots=read_slots)
        expect_integers(programs.title, "parents", parents, given["q"].shape[:2])
        call = lambda lines, slots, lengths: self.verify(state=state, read_slots=slots, lengths=lengths, **lines)
        return _trees.verify(call, given, programs.timed, read_slots, parents)

    def path(self, /, *operands: torch.Tensor, nodes: torch.Tensor, **named: torch.Tensor) -> dict[str, torch.Tensor]:
        """Returns the operands of tokens `nodes` [B, N] of drafts, in this order: what `commit` takes of
        a tree whose path `nodes` was accepted, with how many of these count."""
        programs = self._programs
        given = dict(zip(self.operands, bind(programs.title, self.operands, operands, named)))
        expect_tensors(programs.title, q=given["q"])
        batch, tokens = given["q"].shape[:2]
        expect_integers(programs.title, "nodes", nodes, (batch, "N"))
        return {
            name: _trees.take(x, tokens, nodes.long()) if name in programs.timed else x for name, x in given.items()
        }

    def prefill(
        self,
        /,
        *operands: torch.Tensor,
        state: torch.Tensor,
        read_slots: torch.Tensor,
        write_slots: Optional[torch.Tensor] = None,
        cu_seqlens: Optional[torch.Tensor] = None,
        keep_every: Optional[int] = None,
        keep_slots: Optional[torch.Tensor] = None,
        position: Union[int, torch.Tensor] = 0,
        seeds: Optional[torch.Tensor] = None,
        **named: torch.Tensor,
    ) -> torch.Tensor:
        """Advances sequences by prompts of any length and returns o: by a kernel of whole sequences that
        reads and writes slots of the pool. Operands, state, read_slots, write_slots and seeds are those of a
        step, or of packed sequences with cu_seqlens [N + 1]. A sequence with a read slot that is none
        begins with zeros; one with such a write slot is not written. A prompt that is cut at a multiple
        of 64 tokens gives the bits of the whole, in a pool of float32.

        keep_every: the first token of each sequence is at `position`, a number or one a sequence on
        the device, and the state behind every multiple of keep_every tokens since position 0 goes to
        a slot too, those of keep_slots [N, how many that are]; none where a slot is none. Positions
        on the device and packed sequences take multiples of 64, which is a precondition where the
        host does not know them; slots of multiples that a sequence does not reach are not looked at.
        Other numbers cost a launch for each multiple. Raises ValueError for keep_every without
        keep_slots, and for what is no such multiple."""
        programs = self._programs
        given = dict(zip(self.operands, bind(programs.title, self.operands, operands, named)))
        with torch.no_grad():
            first = self.pool.first_slot
            slots = read_slots, read_slots if write_slots is None else write_slots
            raw, fronts = given, None
            if "conv" in programs.prologue:
                fronts = _prefill.fronts_of(given, slots[0], first, cu_seqlens)
                raw = given | _prefill.convolved(given, fronts)
            if keep_every is None:
                if keep_slots is not None:
                    raise ValueError(f"{programs.title}: keep_slots: expected keep_every, of which multiples states are kept")
                kept = None
                o = self._prompt(raw, state, slots, None, cu_seqlens, seeds)
            else:
                if keep_slots is None:
                    raise ValueError(f"{programs.title}: keep_every: expected keep_slots")
                tokens = fronts.tokens if fronts else _conv.Tokens(given["q"], cu_seqlens)
                most = given["q"].shape[1] if cu_seqlens is None else None
                kept = _prefill.kept_at(programs.title, tokens, keep_every, position, keep_slots, most)
                o = self._prompt_with_kept(raw, state, slots, kept, keep_every, position, cu_seqlens, seeds)
            if fronts:
                _prefill.write_windows(given, fronts, slots[1], first, kept)
            return _prefill.finished(o, given, programs.epilogue)

    def _prompt(self, raw, state, slots, keep, cu_seqlens, seeds):  # type: ignore[no-untyped-def]
        prompts = self._programs.prompts()
        if _slot_checks.is_on:
            _slot_checks.check(prompts.title, state.shape[0], self.pool.first_slot, *slots)
        return prompts.op(*(raw[x] for x in prompts.operands), state, *slots, keep, cu_seqlens, seeds)

    def _prompt_with_kept(self, raw, state, slots, kept, every, position, cu_seqlens, seeds):  # type: ignore[no-untyped-def]
        """A prompt whose states go to slots on the way: by the kernel where these are behind whole chunks."""
        programs, q = self._programs, raw["q"]
        chunk = programs.prompts().of(q.device.type, True).kept_chunk
        is_known = isinstance(position, int)
        if every % chunk == 0 and (not is_known or position % chunk == 0):
            keep = _prefill.by_chunks(kept, chunk, q.shape[:2], cu_seqlens)
            return self._prompt(raw, state, slots, keep, cu_seqlens, seeds)
        if not is_known or cu_seqlens is not None:
            raise ValueError(
                f"{programs.title}: keep_every is {every} and position {position}, expected multiples of {chunk}, the "
                "tokens of a chunk, for packed sequences and for positions on the device"
            )
        if seeds is not None:
            raise ValueError(
                f"{programs.title}: keep_every is {every} and position {position}, expected multiples of {chunk} for a pool "
                "that is rounded by seeds"
            )
        last = position + q.shape[1]
        ends = [n * every - position for n in range(position // every + 1, last // every + 1)]
        ends.append(q.shape[1])
        pools = {"state": state, **{x: raw[x] for x in programs.sums}}
        return _prefill.in_pieces(self._piece_of(raw), pools, slots, self.pool.first_slot, ends, kept)

    def _piece_of(self, raw):  # type: ignore[no-untyped-def]
        """Returns what computes some of the tokens of prompts that are equally long."""
        programs, tokens = self._programs, raw["q"].shape[1]
        prompts = programs.prompts(is_wide=True)

        def call(begin: int, end: int, states: dict[str, torch.Tensor], own: torch.Tensor) -> torch.Tensor:
            piece = [states.get(x, raw[x]) for x in prompts.operands]
            for i, name in enumerate(prompts.operands):
                if name in programs.timed:
                    rows = piece[i].shape[1] // tokens if tokens else 0
                    piece[i] = piece[i][:, begin * rows : end * rows]
            return prompts.op(*piece, states["state"], own, own, None, None, None)

        return call

    def _call(self, operands, named, state, read_slots, write_slots, lengths, seeds, out=None):  # type: ignore[no-untyped-def]
        programs = self._programs
        pool = {"state": state, "read_slots": read_slots, "write_slots": write_slots, "lengths": lengths}
        is_random = self.pool.rounding == "stochastic"
        # What lacks or does not take seeds is for the program to say.
        is_fit = write_slots is None or (seeds is not None) == is_random
        is_whole = len(operands) + len(named) == len(self.operands)  # less, where one is given twice
        if is_fit and is_whole and not _slot_checks.is_on and _direct.is_quiet():
            given = {**dict(zip(self.operands, operands)), **named, **pool}
            o = programs.run_as_is(given | {"seeds": seeds} if is_random else given, out)
            if o is not None:
                return o
        tensors = (*bind(programs.title, self.operands, operands, named), *pool.values(), seeds)
        given = {**pool, "seeds": seeds, "out": out}
        given = {name: x for name, x in given.items() if x is not None or name in ("state", "read_slots")}
        expect_tensors(programs.title, **dict(zip(self.operands, tensors)), **given)
        if _direct.needs_gradient((*tensors, out)):
            raise NotImplementedError(
                f"{programs.title}: an input requires grad, but a step has no backward; call it under "
                "torch.no_grad(), or detach the inputs"
            )
        if _slot_checks.is_on:
            _slot_checks.check(programs.title, state.shape[0], self.pool.first_slot, read_slots, write_slots)
        if out is None:
            return programs.op(*tensors)
        programs.check_out(out, *tensors)
        return out.copy_(programs.op(*tensors))
