# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Real text that is on every machine with Python: the sources of its standard library
(PSF licence; nothing is downloaded or copied). Or any file or folder of yours.

A token is a byte. Every 20th file is held out for validation. The text differs between
versions of Python; its digest is in the log, and a checkpoint resumes on its own text
only.
"""

import hashlib
import sysconfig
from pathlib import Path

import torch

HELD_OUT_EVERY = 20


def text_files(source=None):
    """The files, in an order that no file system decides."""
    if source is None:
        root = Path(sysconfig.get_paths()["stdlib"])
        found = [path for path in root.rglob("*.py") if not {"site-packages", "dist-packages"} & set(path.parts)]
    else:
        root = Path(source)
        found = [root] if root.is_file() else [path for path in root.rglob("*") if path.is_file()]
    if not found:
        raise FileNotFoundError(f"no text in {root}")
    return sorted(found, key=lambda path: path.as_posix())


class Text:
    """Bytes for training and for validation, on a device."""

    def __init__(self, source, device):
        files = [path.read_bytes() for path in text_files(source)]
        if len(files) == 1:  # one file: its last part is held out
            cut = len(files[0]) * (HELD_OUT_EVERY - 1) // HELD_OUT_EVERY
            parts = files[0][:cut], files[0][cut:]
        else:
            held_out = files[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY] or files[-1:]
            del files[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY]
            parts = b"".join(files), b"".join(held_out)
        self.digest = hashlib.sha256(b"".join(parts)).hexdigest()
        self.training, self.validation = (
            torch.frombuffer(bytearray(part), dtype=torch.uint8).to(device) for part in parts
        )

    def batch(self, part, batch, tokens, generator):
        """Inputs and labels [batch, tokens]: crops of `part` at random places, which a
        generator on the CPU draws, so that they are the same on every device."""
        if len(part) <= tokens:
            raise ValueError(f"the text has {len(part)} bytes, expected more than {tokens}, the tokens of a sequence")
        start = torch.randint(len(part) - tokens, (batch, 1), generator=generator)
        crop = part[(start + torch.arange(tokens + 1)).to(part.device)].long()
        return crop[:, :-1], crop[:, 1:]
