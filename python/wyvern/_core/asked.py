# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a call of `wyvern.compile` asks of the compiler; the call's own words say what each is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Sequence, Union

from .prompts import ENTRIES
from .steps import Epilogue, Pool, check_prologue

# How chunk programs are divided into kernels, as wyvernc's --schedule.
_SCHEDULES = ("separate", "fused-blocks", "fused-warps", "fused-backward", "clustered-backward")
# What a forward may save for its backward, as `wyvernc --save`.
_SAVED = ("auto", "factor", "checkpoints", "states", "none")


@dataclass(frozen=True)
class Asked:
    """The options of a call that CPU programs and bundles share."""

    training: bool
    save: str
    save_bytes: Optional[int]
    schedule: Optional[str]
    segment_tokens: int
    variants: Optional[Union[str, Sequence[str]]]
    pool: Optional[Pool]
    entry: str
    prologue: Sequence[str]
    epilogue: Optional[Epilogue]

    @property
    def behind(self) -> Epilogue:
        """The epilogue, which may have no parts."""
        return self.epilogue or Epilogue(norm=False, gate=False)

    def check(self, target: str) -> None:
        """Raises ValueError for what is none of the choices, and for options that exclude each other."""
        check_prologue(self.prologue)
        if self.epilogue is not None and (self.pool is None or self.entry != "step"):
            raise ValueError("epilogue: it is a step's; add serving=True, or leave it out")
        self.behind.check()
        if self.save_bytes is not None:
            _check_save_bytes(self.training, self.save, self.save_bytes)
        if self.schedule is not None and self.schedule not in _SCHEDULES:
            raise ValueError(f"schedule: expected {', '.join(_SCHEDULES)}, found {self.schedule!r}")
        if self.segment_tokens < 0:
            raise ValueError(f"segment_tokens: expected at least 0, found {self.segment_tokens}")
        if self.variants is not None and (self.schedule is not None or self.segment_tokens or target == "cpu"):
            raise ValueError(
                "variants: schedule and segment_tokens are one variant, as is a CPU program; leave it out"
            )

    def flags(self) -> list[str]:
        """Returns the options as wyvernc has them."""
        flags = ["--training", f"--save={self.save}"] if self.training else []
        flags += [f"--save-bytes={self.save_bytes}"] if self.save_bytes is not None else []
        if self.pool is not None:
            flags += [f"--serving={self.entry}", f"--state-layout={self.pool.layout}"]
            flags += [f"--state-type={self.pool.dtype}", f"--slot-type={self.pool.slots}"]
            flags += [f"--first-slot={self.pool.first_slot}", f"--state-rounding={self.pool.rounding}"]
        flags += [f"--prologue={','.join(self.prologue)}"] if self.prologue else []
        flags += [f"--epilogue={','.join(self.behind.parts)}"] if self.behind.parts else []
        flags += [f"--norm-epsilon={self.behind.epsilon!r}"] if self.behind.norm else []
        flags += [f"--schedule={self.schedule}"] if self.schedule is not None else []
        flags += [f"--segment-tokens={self.segment_tokens}"] if self.segment_tokens else []
        if self.variants is not None:
            names = self.variants if isinstance(self.variants, str) else ",".join(self.variants)
            flags.append(f"--variants={names}")
        return flags


def pool_of(
    serving: Union[bool, Pool], entry: str, training: bool, divided: bool
) -> Optional[Pool]:
    """Returns the pool of a program for serving; None for others."""
    if entry not in ENTRIES:
        raise ValueError(f"entry: expected {', '.join(ENTRIES)}, found {entry!r}")
    if serving is False:
        if entry != "step":
            raise ValueError("entry: it is of programs for serving; add serving=True, or leave it out")
        return None
    if serving is not True and not isinstance(serving, Pool):
        raise TypeError(
            f"serving: expected True, False or a wyvern.Pool, found {serving!r}; entry= says what is made, {', '.join(ENTRIES)}"
        )
    if training:
        raise ValueError("serving: a step has no backward; leave it or training out")
    if divided and entry == "step":
        raise ValueError(
            "serving: a step has variants of its own, for few sequences and for many; leave schedule, "
            "segment_tokens and variants out"
        )
    return (Pool() if serving is True else serving).check()


def saved(training: bool, save: Optional[str], target: str) -> str:
    """Returns `save` for the compiler."""
    if save is None:
        return "factor" if target == "cpu" else "auto"
    if not training:
        raise ValueError("save: it says what training saves; add training=True, or leave it out")
    if save not in _SAVED:
        raise ValueError(f"save: expected {', '.join(_SAVED)}, found {save!r}")
    return save


def _check_save_bytes(training: bool, save: str, save_bytes: int) -> None:
    """Raises ValueError where `save_bytes` has nothing to say, or no meaning."""
    if not training:
        raise ValueError("save_bytes: it says what training saves; add training=True, or leave it out")
    if save != "auto":
        raise ValueError(f"save_bytes: it says when save='auto' saves states, found save={save!r}; leave one of them out")
    if save_bytes < 0:
        raise ValueError(f"save_bytes: expected at least 0, found {save_bytes}")
