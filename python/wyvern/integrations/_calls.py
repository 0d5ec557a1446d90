# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What became of the calls that an integration saw."""

import threading
from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True)
class Status:
    """What an integration has done in this process.

    enabled: whether it serves calls now.
    served: calls that a Wyvern program ran, by function.
    fell_back: calls that ran the other package's own code, by function and reason.

    Calls are counted where Python makes them: one that torch.compile has traced counts
    once for each trace, and replays of a CUDA graph do not count.
    """

    enabled: bool
    served: dict[str, int]
    fell_back: dict[str, dict[str, int]]

    def __str__(self) -> str:
        lines = ["enabled" if self.enabled else "disabled"]
        lines += [f"{name}: {count} served" for name, count in self.served.items()]
        for name, reasons in self.fell_back.items():
            lines += [f"{name}: {count} fell back: {reason}" for reason, count in reasons.items()]
        return "\n".join(lines)


class Calls:
    """Counts of one integration, and whether it is on."""

    def __init__(self) -> None:
        self.enabled = False
        self._served: Counter[str] = Counter()
        self._fell_back: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def serve(self, name: str) -> None:
        """Counts a call that a program runs."""
        with self._lock:
            self._served[name] += 1

    def fall_back(self, name: str, reason: str) -> None:
        """Counts a call that is left to the other package."""
        with self._lock:
            self._fell_back[name, reason] += 1

    def reset(self) -> None:
        """Forgets what was counted."""
        with self._lock:
            self._served.clear()
            self._fell_back.clear()

    def status(self) -> Status:
        """Returns the counts until now."""
        fell_back: dict[str, dict[str, int]] = {}
        with self._lock:
            for (name, reason), count in self._fell_back.items():
                fell_back.setdefault(name, {})[reason] = count
            return Status(self.enabled, dict(self._served), fell_back)
