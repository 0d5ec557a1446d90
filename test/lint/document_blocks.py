# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The code blocks of a document, and what its source says of them.

A block is fenced, or indented by four spaces behind an empty line. The language of a
fence says what a block is; an indented one is for a shell, or what a comment before it
says:

    <!-- yaml -->                  what the next block is
    <!-- console: gpu -->          and why no test runs it
    <!-- python                    code that runs and that a reader is spared, before the
    x = 1                          blocks that follow
    -->

CONTRIBUTING.md has the words. Anything else where a block stands is a fault.
"""

import dataclasses
import re
import textwrap

KINDS = ("console", "python", "yaml", "mlir", "c", "text")
REASONS = ("gpu", "network", "ranks", "ci", "tested by")
MARK = re.compile(rf" {{0,3}}<!-- ({'|'.join(KINDS)})(?:: (.*?))? -->")
HIDDEN = re.compile(rf"<!-- ({'|'.join(KINDS)})")


@dataclasses.dataclass
class Block:
    line: int  # of its first line of code, from 1
    kind: str
    reason: str  # why it is not run; empty if it is
    code: str


class Fault(Exception):
    """A block that the document says too little of."""


def check_mark(name, line, kind, reason):
    if kind not in KINDS:
        raise Fault(f"{name}:{line}: expected a block of {', '.join(KINDS)}, found {kind or 'none of them'!r}; a picture is `text`")
    if reason and (kind == "text" or not reason.startswith(REASONS)):
        raise Fault(f"{name}:{line}: expected a reason not to run code that starts with {', '.join(REASONS)}, found {reason!r}")


class Reader:
    """Goes through the lines of a document once."""

    def __init__(self, name, text, default):
        self.name, self.default = name, default
        self.lines = text.splitlines()
        self.blocks = []
        self.mark = None  # (line, kind, reason) of a comment that waits for its block

    def until(self, start, last):
        """The first line from `start` on that is `last`."""
        for index in range(start, len(self.lines)):
            if self.lines[index].strip() == last:
                return index
        raise Fault(f"{self.name}:{start}: expected {last!r} behind the block, found the end of the document")

    def add(self, line, kind, code):
        _, kind, reason = self.mark or (line, kind, "")
        self.mark = None
        check_mark(self.name, line, kind, reason)
        self.blocks.append(Block(line, kind, reason, code))

    def read(self):
        index, empty = 0, True
        while index < len(self.lines):
            line = self.lines[index]
            if fence := re.match(r"( *)```(.*)", line):
                index = self.fence(index, len(fence[1]), fence[2])
            elif empty and line.startswith("    "):
                index = self.indented(index)
            elif mark := MARK.fullmatch(line):
                check_mark(self.name, index + 1, mark[1], mark[2])
                self.mark = (index + 1, mark[1], mark[2] or "")
            elif hidden := HIDDEN.fullmatch(line):
                end = self.until(index + 1, "-->")
                self.add(index + 2, hidden[1], "\n".join(self.lines[index + 1 : end]) + "\n")
                index = end
            elif line and self.mark:
                raise Fault(f"{self.name}:{self.mark[0]}: expected a block behind the comment, found {line!r}")
            empty = not line.strip() or bool(self.mark)
            index += 1
        return self.blocks

    def fence(self, index, indent, language):
        end = self.until(index + 1, "```")
        if self.mark and self.mark[1] != language:
            raise Fault(f"{self.name}:{self.mark[0]}: expected a comment on {language!r}, found {self.mark[1]!r}")
        self.add(index + 2, language or self.default, "\n".join(line[indent:] for line in self.lines[index + 1 : end]) + "\n")
        return end

    def indented(self, index):
        end = index
        while end < len(self.lines) and (self.lines[end].startswith("    ") or not self.lines[end]):
            end += 1
        while not self.lines[end - 1]:
            end -= 1
        self.add(index + 1, "console", textwrap.dedent("\n".join(self.lines[index:end])) + "\n")
        return end - 1


def read(name, text, default=""):
    """The blocks of a document in their order. `default` is the kind of a fence that does
    not name a language. Raises Fault."""
    return Reader(name, text, default).read()
